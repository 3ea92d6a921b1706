//! Keeping a command from the network by a filter of system calls: it can make no socket but local ones (of Unix, and of netlink,
//! by which programs ask for the names of the interfaces).

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// The numbers of a 64-bit kernel for programs with short pointers have this bit; the same calls are behind them.
const SHORT_POINTERS: i64 = 0x4000_0000;

/// The program of the filter, for the machine that this is compiled for.
///
/// # Errors
/// If there is none for this machine.
pub(super) fn filter() -> io::Result<BpfProgram> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = || -> Result<BpfProgram, seccompiler::BackendError> {
        let other_than = |family: libc::c_int| {
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family.unsigned_abs().into())
        };
        let foreign = SeccompRule::new(vec![other_than(libc::AF_UNIX)?, other_than(libc::AF_NETLINK)?])?;
        // Sockets can be made by way of a ring too, past every filter: no rules, so it is denied in any case.
        let calls = [(libc::SYS_socket, vec![foreign]), (libc::SYS_io_uring_setup, Vec::new())];
        let rules: BTreeMap<i64, Vec<SeccompRule>> = calls
            .into_iter()
            .flat_map(|(call, rules)| [(call, rules.clone()), (call | SHORT_POINTERS, rules)])
            .collect();
        let denied = SeccompAction::Errno(libc::EACCES.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, denied, machine)?.try_into()
    };
    filter().map_err(io::Error::other)
}
