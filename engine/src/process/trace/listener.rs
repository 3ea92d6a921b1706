//! The two ends of the kernel's questions: how a process begins to be asked about, and how its questions are taken and answered.
#![expect(
    unsafe_code,
    reason = "no library hands over a listener between clone and exec, or speaks its protocol; proofs at each block"
)]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use libc::{c_int, c_void, seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes, sock_filter};
use rustix::io::Errno;

/// A filter that asks, and where its listener is sent: what a process needs to have itself watched.
#[derive(Debug, Clone, Copy)]
pub(in crate::process) struct Asks<'a> {
    pub(super) filter: &'a [sock_filter],
    pub(super) channel: BorrowedFd<'a>,
}

impl Asks<'_> {
    /// Puts up the filter around this thread and its descendants, for good, and sends its listener away. From then on each call that
    /// is asked about stands still until it is answered. Async-signal-safe: it makes system calls only and allocates nothing.
    pub(in crate::process) fn begin(&self) -> io::Result<()> {
        // SAFETY: takes numbers, and changes this thread alone.
        done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        let program = libc::sock_fprog {
            len: u16::try_from(self.filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            // The kernel only reads it.
            filter: self.filter.as_ptr().cast_mut(),
        };
        let install = |flags: libc::c_ulong| {
            // SAFETY: the pointer is to a live program of as many instructions as it says, which the call copies.
            let made = unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
            };
            RawFd::try_from(made).ok().filter(|made| *made >= 0).ok_or_else(io::Error::last_os_error)
        };
        // Who is being answered is not to be disturbed by signals that it survives: it would have to ask again, without end where
        // they come often. Older kernels do not know that wish.
        let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let made = match install(listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(listener)?,
            made => made?,
        };
        // SAFETY: the call above made the descriptor, and nothing else knows it. It is closed here, so that with the one that was sent the last
        // one goes: a process that holds a listener of its own would wait for itself.
        let listener = unsafe { OwnedFd::from_raw_fd(made) };
        send(self.channel, listener.as_fd())
    }
}

/// Room for one descriptor beside a message: sixteen bytes for its head and eight for the descriptor, aligned as the head is.
type Beside = [u64; 4];

/// A message of one byte with this room beside it.
fn with_message<T>(act: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut byte = [0_u8];
    let mut beside: Beside = [0; 4];
    let mut part = IoSliceMut::new(&mut byte);
    // SAFETY: all zeros is a valid message, without parts, name or anything beside it.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    // An `IoSliceMut` has the layout of an `iovec`.
    message.msg_iov = (&raw mut part).cast();
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut beside).cast();
    message.msg_controllen = ROOM as _;
    act(&mut message)
}

/// How much of that room is used. SAFETY: both only compute with a number.
const ROOM: usize = unsafe { libc::CMSG_SPACE(size_of::<c_int>() as u32) } as usize;
const LENGTH: usize = unsafe { libc::CMSG_LEN(size_of::<c_int>() as u32) } as usize;
const _: () = assert!(ROOM <= size_of::<Beside>());

/// Sends a descriptor.
fn send(channel: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    with_message(|message| {
        // SAFETY: the room beside the message holds the head and one descriptor, is aligned for the head, and lives until the call has ended,
        // as the message and its part do.
        let sent = unsafe {
            let head = libc::CMSG_FIRSTHDR(&raw const *message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = LENGTH as _;
            libc::CMSG_DATA(head).cast::<c_int>().write_unaligned(descriptor.as_raw_fd());
            libc::sendmsg(channel.as_raw_fd(), message, libc::MSG_NOSIGNAL)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    })
}

/// Receives a descriptor; none if the other end is closed.
fn receive(channel: &UnixStream) -> io::Result<Option<OwnedFd>> {
    with_message(|message| {
        let received = loop {
            // SAFETY: the message, its part and the room beside it live until the call has ended, and have the lengths that it says.
            let received =
                unsafe { libc::recvmsg(channel.as_raw_fd(), &raw mut *message, libc::MSG_CMSG_CLOEXEC) };
            let error = io::Error::last_os_error();
            match received {
                0.. => break received,
                _ if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        };
        if received == 0 {
            return Ok(None);
        }
        // SAFETY: the kernel wrote the room beside the message and how much of it is used, by which the first head is found, if there is
        // one; with the length of one descriptor it is followed by one, which is new and nobody's yet.
        let descriptor = unsafe {
            let head = libc::CMSG_FIRSTHDR(&raw const *message).as_ref();
            let is_one = |head: &&libc::cmsghdr| {
                head.cmsg_level == libc::SOL_SOCKET
                    && head.cmsg_type == libc::SCM_RIGHTS
                    && head.cmsg_len == LENGTH
            };
            head.filter(is_one).map(|head| {
                let descriptor = libc::CMSG_DATA(head).cast::<c_int>().read_unaligned();
                OwnedFd::from_raw_fd(descriptor)
            })
        };
        Ok(descriptor)
    })
}

/// Where a command's questions arrive.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

/// A call that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) id: u64,
    /// The thread that asks.
    pub(super) thread: u32,
    pub(super) convention: u32,
    pub(super) number: u32,
    pub(super) arguments: [u64; 6],
}

/// What the kernel writes of a question; a later one may write more than is known here.
#[repr(C)]
struct Asked {
    known: seccomp_notif,
    more: [u64; 16],
}

impl Listener {
    /// That of the process at the other end of the channel; none if it ended before it was watched.
    pub(super) fn of(channel: &UnixStream) -> io::Result<Option<Self>> {
        let listener = receive(channel)?.map(Self);
        if let Some(listener) = &listener {
            listener.check_sizes()?;
            let together: u64 = 1;
            // SAFETY: takes numbers, and changes the listener alone. A kernel before Linux 6.6 does not know it: then both sides
            // only take turns more slowly.
            unsafe {
                libc::ioctl(listener.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, together);
            }
        }
        Ok(listener)
    }

    /// Whether there is room for what this kernel writes.
    fn check_sizes(&self) -> io::Result<()> {
        let mut sizes = seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: the kernel writes three numbers to a live value of that type.
        done(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) })?;
        let fits = usize::from(sizes.seccomp_notif) <= size_of::<Asked>()
            && usize::from(sizes.seccomp_notif_resp) <= size_of::<seccomp_notif_resp>();
        if fits { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// The next question: to be asked for only when one has arrived. None if who asked is gone meanwhile.
    pub(super) fn next(&self) -> io::Result<Option<Question>> {
        // SAFETY: all zeros is valid for a struct of numbers, and what the kernel wants to find.
        let mut asked: Asked = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the kernel writes a question of at most the size of `Asked`, which was compared, to a live value.
        let taken =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked) };
        let seccomp_notif { id, pid, data, .. } = asked.known;
        match taken {
            0.. => Ok(Some(Question {
                id,
                thread: pid,
                convention: data.arch,
                number: data.nr.cast_unsigned(),
                arguments: data.args,
            })),
            _ => match io::Error::last_os_error() {
                error if is(&error, &[libc::ENOENT, libc::EINTR]) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Whether who asked this still waits: if so, what was read of that process was its own.
    pub(super) fn waits(&self, question: &Question) -> bool {
        let id = question.id;
        // SAFETY: the kernel reads a number from a live value.
        unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw const id) == 0
        }
    }

    /// Lets who asked this go on as if nobody had been asked.
    pub(super) fn let_go(&self, question: &Question) -> io::Result<()> {
        let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
        let answer = seccomp_notif_resp { id: question.id, val: 0, error: 0, flags };
        // SAFETY: the kernel reads an answer of the size that was compared from a live value.
        let answered = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw const answer)
        };
        match answered {
            0.. => Ok(()),
            // It is gone, or was called away by a signal and will ask again.
            _ => match io::Error::last_os_error() {
                error if is(&error, &[libc::ENOENT]) => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A page is never smaller: what lies in one piece of this length is there wholly, or not at all.
const PIECE: u64 = 4096;

/// What is in the memory of a thread's process from this address on: as much as fits, or as there is.
pub(super) fn memory(thread: u32, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let first = usize::try_from(PIECE - address % PIECE).unwrap_or(into.len()).min(into.len());
    let part = |address: u64, length: usize| {
        let address = usize::try_from(address).unwrap_or(0);
        libc::iovec { iov_base: std::ptr::without_provenance_mut::<c_void>(address), iov_len: length }
    };
    let from = [part(address, first), part(address + first as u64, into.len() - first)];
    let to = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: the kernel writes to the one place, which is live, exclusively borrowed and as long as it says, and reads from another
    // process: addresses there that lead nowhere give an error.
    let read = unsafe {
        libc::process_vm_readv(thread.cast_signed(), &raw const to, 1, from.as_ptr(), from.len() as _, 0)
    };
    usize::try_from(read)
        .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::FAULT))
}

fn is(error: &io::Error, numbers: &[c_int]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

fn done(answer: impl Into<libc::c_long>) -> io::Result<()> {
    if answer.into() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
