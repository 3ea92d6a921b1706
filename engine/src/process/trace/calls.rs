//! The system calls by which files are opened and executed, and the filter that asks about them.
//!
//! The filter asks on the machine's own behalf and on that of the 32-bit programs that it runs as well. What only lists folders is
//! not asked about.

use libc::{c_uint, sock_filter};

/// What a system call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `open(path, flags)`.
    Open,
    /// `openat(folder, path, flags)`.
    OpenAt,
    /// `openat2(folder, path, how)`.
    OpenHow,
    /// `execve(path, …)`.
    Execute,
    /// `execveat(folder, path, …, …, flags)`.
    ExecuteAt,
    /// `io_uring_setup(…)`: files can be opened through a ring without any call of these.
    Ring,
}

use Call::{Execute, ExecuteAt, Open, OpenAt, OpenHow, Ring};

/// One way to call the kernel: its name there, and the numbers of the calls.
type Convention = (u32, &'static [(u32, Call)]);

#[cfg(target_arch = "x86_64")]
const CONVENTIONS: &[Convention] = &[
    (
        0xC000_003E,
        &[
            (2, Open),
            (257, OpenAt),
            (437, OpenHow),
            (59, Execute),
            (322, ExecuteAt),
            (425, Ring),
            // The same for programs with short pointers.
            (SHORT_POINTERS | 2, Open),
            (SHORT_POINTERS | 257, OpenAt),
            (SHORT_POINTERS | 437, OpenHow),
            (SHORT_POINTERS | 520, Execute),
            (SHORT_POINTERS | 545, ExecuteAt),
            (SHORT_POINTERS | 425, Ring),
        ],
    ),
    (0x4000_0003, &[(5, Open), (295, OpenAt), (437, OpenHow), (11, Execute), (358, ExecuteAt), (425, Ring)]),
];
#[cfg(target_arch = "x86_64")]
const SHORT_POINTERS: u32 = 0x4000_0000;

#[cfg(target_arch = "aarch64")]
const CONVENTIONS: &[Convention] = &[
    (0xC000_00B7, &[(56, OpenAt), (437, OpenHow), (221, Execute), (281, ExecuteAt), (425, Ring)]),
    (0x4000_0028, &[(5, Open), (322, OpenAt), (437, OpenHow), (11, Execute), (387, ExecuteAt), (425, Ring)]),
];

#[cfg(target_arch = "riscv64")]
const CONVENTIONS: &[Convention] =
    &[(0xC000_00F3, &[(56, OpenAt), (437, OpenHow), (221, Execute), (281, ExecuteAt), (425, Ring)])];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const CONVENTIONS: &[Convention] = &[];

/// The call of this number.
pub(super) fn call(convention: u32, number: u32) -> Option<Call> {
    let (_, calls) = CONVENTIONS.iter().find(|(name, _)| *name == convention)?;
    calls.iter().find(|(known, _)| *known == number).map(|(_, call)| *call)
}

/// Whether there is a filter for this machine.
pub(super) fn are_known() -> bool {
    !CONVENTIONS.is_empty()
}

/// Where the kernel tells a filter of the number, of the convention, and of the arguments (their lower halves: all these machines
/// are little-endian).
const NUMBER: u32 = 0;
const CONVENTION: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What is never asked about: it reads no file.
const READS_NOTHING: c_uint = (libc::O_DIRECTORY | libc::O_PATH).cast_unsigned();

/// The program of the filter.
pub(super) fn filter() -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (convention, calls) in CONVENTIONS {
        let block = block(calls);
        let past = u8::try_from(block.len()).expect("a block has a few dozen instructions");
        program.extend([load(CONVENTION), jump(libc::BPF_JEQ, *convention, 0, past)]);
        program.extend(block);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// What is answered in one convention.
fn block(calls: &[(u32, Call)]) -> Vec<sock_filter> {
    let mut block = vec![load(NUMBER)];
    let ask = answer(libc::SECCOMP_RET_USER_NOTIF);
    for (number, call) in calls {
        let flags = match call {
            Open => Some(1),
            OpenAt => Some(2),
            OpenHow | Execute | ExecuteAt | Ring => None,
        };
        match flags {
            Some(place) => block.extend([
                jump(libc::BPF_JEQ, *number, 0, 4),
                load(ARGUMENTS + 8 * place),
                jump(libc::BPF_JSET, READS_NOTHING, 1, 0),
                ask,
                answer(libc::SECCOMP_RET_ALLOW),
            ]),
            None => block.extend([jump(libc::BPF_JEQ, *number, 0, 1), ask]),
        }
    }
    block.push(answer(libc::SECCOMP_RET_ALLOW));
    block
}

fn load(place: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, place, 0, 0)
}

fn jump(comparison: u32, with: u32, if_so: u8, else_by: u8) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, with, if_so, else_by)
}

fn answer(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("codes of instructions are small"), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_kernels() {
        let [(convention, _), ..] = CONVENTIONS else { return };
        let number = |number: libc::c_long| u32::try_from(number).unwrap();
        for (known, is) in [
            (libc::SYS_openat, OpenAt),
            (libc::SYS_openat2, OpenHow),
            (libc::SYS_execve, Execute),
            (libc::SYS_execveat, ExecuteAt),
            (libc::SYS_io_uring_setup, Ring),
        ] {
            assert_eq!(call(*convention, number(known)), Some(is));
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(call(*convention, number(libc::SYS_open)), Some(Open));
        assert_eq!(call(*convention, number(libc::SYS_read)), None);
    }

    /// What the filter answers to a call, as the kernel would play it.
    fn played(convention: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let program = filter();
        let (mut at, mut held) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let code = u32::from(code);
            at += 1;
            if code == libc::BPF_RET | libc::BPF_K {
                return k;
            } else if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                held = match k {
                    NUMBER => number,
                    CONVENTION => convention,
                    place => arguments[usize::try_from((place - ARGUMENTS) / 8).unwrap()],
                };
            } else {
                let holds = match code & 0xf0 {
                    libc::BPF_JEQ => held == k,
                    _ => held & k != 0,
                };
                at += usize::from(if holds { jt } else { jf });
            }
        }
    }

    #[test]
    fn the_filter_asks_about_what_is_known_and_nothing_else() {
        for (convention, calls) in CONVENTIONS {
            for number in (0..600).flat_map(|number| [number, number | 0x4000_0000]) {
                let is_known = calls.iter().any(|(known, _)| *known == number);
                let expected = if is_known { libc::SECCOMP_RET_USER_NOTIF } else { libc::SECCOMP_RET_ALLOW };
                assert_eq!(played(*convention, number, [0; 3]), expected, "{convention:x} {number}");
            }
            // A folder that is listed.
            let openat = calls.iter().find(|(_, call)| *call == OpenAt).unwrap().0;
            let arguments = [0, 0, READS_NOTHING];
            assert_eq!(played(*convention, openat, arguments), libc::SECCOMP_RET_ALLOW);
        }
        assert_eq!(played(0x1234, 257, [0; 3]), libc::SECCOMP_RET_ALLOW);
    }
}
