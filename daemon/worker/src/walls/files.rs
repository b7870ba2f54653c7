//! Landlock: which files a worker may read. It may write none, and reach no TCP port, no abstract socket and no process
//! outside.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use mains_wire::frames::Role;

use super::Allowed;

/// What is asked of the kernel: files, TCP, scopes. An older kernel gives part of it, which is told.
const WANTED: ABI = ABI::V6;

/// Libraries and what their loader reads.
const LIBRARIES: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];

/// What says how many processors and how much memory there are, and the time of the place, which chat templates may
/// tell. `/proc/self` is this process alone.
const MACHINE: [&str; 8] = [
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system",
    "/sys/fs/cgroup",
];

/// What probes read: the machine's own description and the lists of Vulkan drivers.
const DESCRIPTIONS: [&str; 6] = [
    "/proc",
    "/sys",
    "/etc/vulkan",
    "/usr/share/vulkan",
    "/usr/share/drirc.d",
    "/opt",
];

/// Devices: a probe opens them.
const DEVICES: &str = "/dev";

/// Restricts this thread and those that it starts.
pub(super) fn restrict(allowed: &Allowed) -> Result<(), String> {
    let status = ruleset(allowed).map_err(|error| error.to_string())?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(
            "in part only: this kernel's Landlock lacks TCP, scopes or devices (Linux 6.12 has all)"
                .to_owned(),
        ),
        RulesetStatus::NotEnforced => Err(
            "this kernel has no Landlock: boot one that has it, with landlock in its lsm= list".to_owned(),
        ),
    }
}

fn ruleset(allowed: &Allowed) -> Result<RestrictionStatus, landlock::RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?
        .create()?;
    let fixed = LIBRARIES.iter().chain(&MACHINE).map(Path::new);
    let mut paths: Vec<PathBuf> = fixed.map(Path::to_path_buf).collect();
    paths.extend(allowed.readable.iter().cloned());
    if allowed.role == Role::Probe {
        paths.extend(DESCRIPTIONS.iter().map(PathBuf::from));
        let use_device = read | AccessFs::WriteFile | AccessFs::IoctlDev;
        rules = allow(rules, Path::new(DEVICES), use_device)?;
    }
    for path in paths {
        rules = allow(rules, &path, read)?;
    }
    rules.restrict_self()
}

/// Allows `access` below `path`; what is not there needs no rule.
fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    let Ok(descriptor) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(WANTED)
    };
    rules.add_rule(PathBeneath::new(descriptor, access))
}
