//! Where probes look: another library in place of a maker's, another tree in place of `/sys`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Names of libraries whose path the environment may give, as `MAINS_LIB_` and the name.
const LIBRARIES: [&str; 13] = [
    "NVML",
    "CUDA",
    "ROCM_SMI",
    "LEVEL_ZERO",
    "DCMI",
    "CNDEV",
    "MTML",
    "MXSML",
    "IXML",
    "EFML",
    "BRML",
    "XPUML",
    "HGML",
];

/// Where the probes look. The default is where an installed system has everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    libraries: BTreeMap<String, PathBuf>,
    sysfs: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            libraries: BTreeMap::new(),
            sysfs: PathBuf::from("/sys"),
        }
    }
}

impl Places {
    /// What `MAINS_LIB_<NAME>` and `MAINS_SYSFS` say. Empty variables count as not set.
    #[must_use]
    pub fn from_environment() -> Self {
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        let mut places = Self::default();
        for name in LIBRARIES {
            if let Some(library) = path(&format!("MAINS_LIB_{name}")) {
                places = places.with_library(name, library);
            }
        }
        match path("MAINS_SYSFS") {
            Some(sysfs) => places.with_sysfs(sysfs),
            None => places,
        }
    }

    /// Opens `path` in place of the library that `MAINS_LIB_<name>` stands for.
    #[must_use]
    pub fn with_library(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.libraries.insert(name.into(), path.into());
        self
    }

    /// Reads the tree at `path` in place of `/sys`.
    #[must_use]
    pub fn with_sysfs(mut self, path: impl Into<PathBuf>) -> Self {
        self.sysfs = path.into();
        self
    }

    /// Folders and files that must be readable beside the system's own: those of the given libraries, which may have others
    /// beside them, and the given tree.
    #[must_use]
    pub fn given(&self) -> Vec<PathBuf> {
        let folder = |library: &PathBuf| library.parent().map(Path::to_path_buf);
        let mut given: Vec<PathBuf> = self.libraries.values().filter_map(folder).collect();
        given.extend(Some(self.sysfs.clone()).filter(|sysfs| *sysfs != Self::default().sysfs));
        given
    }

    pub(crate) fn library(&self, name: &str) -> Option<&Path> {
        self.libraries.get(name).map(PathBuf::as_path)
    }

    pub(crate) fn sysfs(&self) -> &Path {
        &self.sysfs
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Places;

    #[test]
    fn what_is_given_must_be_readable() {
        assert_eq!(Places::default().given(), Vec::<PathBuf>::new());
        let places = Places::default()
            .with_library("NVML", "/srv/x/libnvidia-ml.so.1")
            .with_sysfs("/srv/tree");
        assert_eq!(
            places.given(),
            [PathBuf::from("/srv/x"), PathBuf::from("/srv/tree")]
        );
    }
}
