//! Memory limits of control groups, parsed and combined. Pure. Formats: `Documentation/admin-guide/cgroup-v2.rst`,
//! `Documentation/admin-guide/cgroup-v1/memory.rst`, `proc_pid_mountinfo(5)`.

use std::path::{Path, PathBuf};

use mains_contract::Bytes;

/// Names of the files of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// The limit.
    pub(super) limit: &'static str,
    /// What is charged now.
    pub(super) usage: &'static str,
    /// The key in `memory.stat` of file pages that the kernel gives back before it kills.
    pub(super) reclaimable: &'static str,
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

const V2: Version = Version {
    limit: "memory.max",
    usage: "memory.current",
    reclaimable: "inactive_file",
};

/// Where one hierarchy that may limit memory is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Its files.
    pub(super) version: Version,
    /// Folders of this process's group and of its ancestors, the innermost first.
    pub(super) folders: Vec<PathBuf>,
}

/// Finds the hierarchies from `/proc/self/cgroup` and `/proc/self/mountinfo`.
pub(super) fn hierarchies(cgroup: &str, mountinfo: &str) -> Vec<Hierarchy> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            let mut kind = kind.split(' ');
            let (file_system, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
            let version = match file_system {
                "cgroup2" => V2,
                "cgroup" if options.split(',').any(|option| option == "memory") => V1,
                _ => return None,
            };
            let group = group(cgroup, version)?;
            Some(Hierarchy {
                version,
                folders: folders(Path::new(point), Path::new(root), Path::new(group)),
            })
        })
        .collect()
}

fn group(cgroup: &str, version: Version) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let wanted = if version == V2 {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|name| name == "memory")
        };
        wanted.then_some(path)
    })
}

/// A group outside of what is mounted (a container sees only its own) is read at the mount itself.
fn folders(point: &Path, root: &Path, group: &Path) -> Vec<PathBuf> {
    let below = group.strip_prefix(root).unwrap_or(Path::new(""));
    below.ancestors().map(|part| point.join(part)).collect()
}

/// The limit of one group and what is left under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// What the group may use.
    pub(super) limit: Bytes,
    /// What it may still use; absent when its usage is unknown.
    pub(super) free: Option<Bytes>,
}

/// Reads one group's texts. `max`, a missing or a broken limit is no limit.
pub(super) fn limit(version: Version, limit: &str, usage: Option<&str>, stat: Option<&str>) -> Option<Limit> {
    let limit: u64 = limit.trim().parse().ok()?;
    let used = usage
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map(|usage| {
            let reclaimable = stat.and_then(|text| stat_value(text, version.reclaimable));
            usage.saturating_sub(reclaimable.unwrap_or(0))
        });
    Some(Limit {
        limit: Bytes(limit),
        free: used.map(|used| Bytes(limit.saturating_sub(used))),
    })
}

fn stat_value(stat: &str, key: &str) -> Option<u64> {
    stat.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
        31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\nbroken line\n";

    #[test]
    fn both_versions_are_found() {
        let found = hierarchies("4:memory:/a/b\n0::/x\n", HYBRID);
        let list = |index: usize| found.get(index).unwrap().folders.clone();
        assert_eq!(
            list(0),
            [
                Path::new("/sys/fs/cgroup/unified/x"),
                Path::new("/sys/fs/cgroup/unified/")
            ]
        );
        assert_eq!(list(1).len(), 3);
        assert_eq!(list(1).first().unwrap(), Path::new("/sys/fs/cgroup/memory/a/b"));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount() {
        let mounts = "1 0 0:1 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let own = hierarchies("0::/docker/abc/job\n", mounts);
        assert_eq!(
            own.first().unwrap().folders.first().unwrap(),
            Path::new("/sys/fs/cgroup/job")
        );
        let foreign = hierarchies("0::/other\n", mounts);
        assert_eq!(foreign.first().unwrap().folders, [Path::new("/sys/fs/cgroup/")]);
    }

    #[test]
    fn file_pages_count_as_free() {
        let stat = "anon 10\ninactive_file 30\n";
        let found = limit(V2, "100\n", Some("70\n"), Some(stat)).unwrap();
        assert_eq!(
            found,
            Limit {
                limit: Bytes(100),
                free: Some(Bytes(60))
            }
        );
        assert_eq!(limit(V2, "max\n", Some("70\n"), None), None);
        assert_eq!(
            limit(V1, "50", Some("70"), Some("total_inactive_file x"))
                .unwrap()
                .free,
            Some(Bytes(0))
        );
        assert_eq!(limit(V1, "50", None, None).unwrap().free, None);
    }
}
