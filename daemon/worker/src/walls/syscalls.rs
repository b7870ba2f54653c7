//! seccomp: which system calls a worker may make.
//!
//! The roles that compute need few, and get a list of them. The role that probes runs makers' libraries, whose needs are
//! not known: it gets all but a list. In both no process is started, traced or signalled, and no socket is made.
//!
//! Refusals are errors, not kills: a library that tries something gets to say what it lacks.

use std::collections::BTreeMap;

use mains_wire::frames::Role;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::syscall_lists::{COMPUTE, DENIED_TO_PROBES, UNKNOWN};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts this thread and those that it starts. Needs `PR_SET_NO_NEW_PRIVS`.
pub(super) fn restrict(role: Role) -> Result<(), String> {
    let filters = filters(role).map_err(|error| error.to_string())?;
    for filter in &filters {
        apply_filter(filter).map_err(|error| format!("the kernel refused the filter: {error}"))?;
    }
    Ok(())
}

fn filters(role: Role) -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let refused = || SeccompAction::Errno(libc::EPERM as u32);
    let main = match role {
        Role::Probe => {
            let mut denied = all(DENIED_TO_PROBES);
            for (call, rule) in others_only()? {
                denied.insert(call, rule);
            }
            denied.insert(libc::SYS_clone, vec![SeccompRule::new(vec![new_process()?])?]);
            program(denied, SeccompAction::Allow, refused())?
        }
        Role::Inspect | Role::Run | Role::Convert => {
            let mut allowed = all(COMPUTE);
            for (call, argument) in OPENS {
                allowed.insert(call, vec![SeccompRule::new(vec![reads_only(argument)?])?]);
            }
            allowed.insert(libc::SYS_clone, vec![SeccompRule::new(vec![new_thread()?])?]);
            allowed.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own_process()?])?]);
            allowed.insert(
                libc::SYS_prlimit64,
                vec![SeccompRule::new(vec![calling_process()?])?],
            );
            program(allowed, refused(), SeccompAction::Allow)?
        }
    };
    // First, because the main filter may forbid to install another. It lets through what this one answers.
    let unknown = program(
        all(UNKNOWN),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
    )?;
    Ok([unknown, main])
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules, otherwise, matched, ARCHITECTURE)?.try_into()
}

fn all(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// Calls that open files, with the argument that has the flags.
#[cfg(target_arch = "x86_64")]
const OPENS: [(i64, u8); 2] = [(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(target_arch = "aarch64")]
const OPENS: [(i64, u8); 1] = [(libc::SYS_openat, 2)];

/// Neither writes, nor creates, nor truncates: a second wall behind Landlock.
fn reads_only(argument: u8) -> Result<SeccompCondition, seccompiler::BackendError> {
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    let writing = u64::from(writing.unsigned_abs());
    SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(writing),
        0,
    )
}

/// A thread of this process.
fn new_thread() -> Result<SeccompCondition, seccompiler::BackendError> {
    clone_thread_is(libc::CLONE_THREAD)
}

/// A process of its own.
fn new_process() -> Result<SeccompCondition, seccompiler::BackendError> {
    clone_thread_is(0)
}

fn clone_thread_is(value: i32) -> Result<SeccompCondition, seccompiler::BackendError> {
    let bit = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let value = u64::from(value.unsigned_abs());
    SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), value)
}

/// The first argument is this process: a signal to itself ends it when it panics.
fn own_process() -> Result<SeccompCondition, seccompiler::BackendError> {
    first_argument(SeccompCmpOp::Eq, std::process::id())
}

/// The first argument is 0, which means the process that calls.
fn calling_process() -> Result<SeccompCondition, seccompiler::BackendError> {
    first_argument(SeccompCmpOp::Eq, 0)
}

fn first_argument(operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value.into())
}

/// Calls that are refused when they are about another process.
fn others_only() -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        let other = first_argument(SeccompCmpOp::Ne, std::process::id())?;
        rules.insert(call, vec![SeccompRule::new(vec![other])?]);
    }
    let other = first_argument(SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![other])?]);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use mains_wire::frames::Role;

    use super::filters;

    #[test]
    fn every_role_has_filters_that_compile() {
        for role in Role::ALL {
            let [unknown, main] = filters(role).unwrap();
            assert!(!main.is_empty() && !unknown.is_empty(), "{role:?}");
        }
    }
}
