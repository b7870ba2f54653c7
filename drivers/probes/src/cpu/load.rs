//! Reads the kernel's files under a root, so that a test can bring its own tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::{self, Limit};
use super::sys::{self, Counter};

/// Reads below one root.
#[derive(Debug)]
pub(super) struct Files<'a> {
    root: &'a Path,
}

impl<'a> Files<'a> {
    /// Reads below `root`, which is `/` but for tests.
    pub(super) const fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// The text of an absolute path.
    pub(super) fn text(&self, path: &str) -> io::Result<String> {
        let at = self.at(Path::new(path));
        fs::read_to_string(&at).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn maybe(&self, path: &Path) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    fn entries(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.at(Path::new(folder))) else {
            return Vec::new();
        };
        let mut names: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| Path::new(folder).join(entry.file_name()))
            .collect();
        names.sort();
        names
    }

    /// Package and core of each online thread.
    pub(super) fn topology(&self) -> Vec<(String, String)> {
        self.entries("/sys/devices/system/cpu")
            .iter()
            .filter_map(|folder| {
                let package = self.maybe(&folder.join("topology/physical_package_id"))?;
                Some((package, self.maybe(&folder.join("topology/core_id"))?))
            })
            .collect()
    }

    /// The hottest of the sensors that belong to processors.
    pub(super) fn temperature(&self) -> Option<f64> {
        const DRIVERS: [&str; 3] = ["coretemp", "k10temp", "zenpower"];
        self.entries("/sys/class/hwmon")
            .iter()
            .filter(|folder| {
                self.maybe(&folder.join("name"))
                    .is_some_and(|name| DRIVERS.contains(&name.trim()))
            })
            .filter_map(|folder| sys::millidegrees(&self.maybe(&folder.join("temp1_input"))?))
            .reduce(f64::max)
    }

    /// Counters of energy of the processors' packages, where this user may read them (`Documentation/power/powercap`).
    pub(super) fn energy(&self) -> Vec<(PathBuf, Counter)> {
        let packages = self.entries("/sys/class/powercap").into_iter().filter(|folder| {
            self.maybe(&folder.join("name"))
                .is_some_and(|name| name.starts_with("package-"))
        });
        packages
            .filter_map(|folder| {
                let number = |name: &str| self.maybe(&folder.join(name))?.trim().parse().ok();
                let counter = Counter {
                    microjoules: number("energy_uj")?,
                    range: number("max_energy_range_uj")?,
                };
                Some((folder, counter))
            })
            .collect()
    }

    /// Limits of this process's control groups, ancestors included.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let own = self.maybe(Path::new("/proc/self/cgroup")).unwrap_or_default();
        let mounts = self.maybe(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        let mut limits = Vec::new();
        for hierarchy in cgroup::hierarchies(&own, &mounts) {
            let version = hierarchy.version;
            limits.extend(hierarchy.folders.iter().filter_map(|folder| {
                let limit = self.maybe(&folder.join(version.limit))?;
                let usage = self.maybe(&folder.join(version.usage));
                let stat = self.maybe(&folder.join("memory.stat"));
                cgroup::limit(version, &limit, usage.as_deref(), stat.as_deref())
            }));
        }
        limits
    }
}
