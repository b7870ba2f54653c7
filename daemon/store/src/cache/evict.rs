//! Which files go when room is wanted. Pure.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::SystemTime;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
    /// Somebody writes it.
    pub(super) unfinished: bool,
}

/// The files to remove so that at least `wanted` bytes become free: those used longest ago, and none that is in use.
///
/// # Errors
/// The bytes that are missing when all of them are not enough; nothing is to be removed then.
pub(super) fn victims(
    entries: &[Entry],
    in_use: &HashSet<PathBuf>,
    wanted: u64,
) -> Result<Vec<PathBuf>, u64> {
    let mut idle: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !entry.unfinished && !in_use.contains(&entry.path))
        .collect();
    idle.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
    let mut freed = 0_u64;
    let mut taken = Vec::new();
    for entry in idle {
        if freed >= wanted {
            break;
        }
        freed = freed.saturating_add(entry.bytes);
        taken.push(entry.path.clone());
    }
    if freed < wanted {
        return Err(wanted - freed);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::{Entry, victims};

    fn entries() -> impl Strategy<Value = Vec<(Entry, bool)>> {
        let entry = (0..1000_u64, 0..20_u64, any::<bool>(), any::<bool>());
        proptest::collection::vec(entry, 0..12).prop_map(|entries| {
            let named = entries.into_iter().enumerate();
            named
                .map(|(at, (bytes, used, unfinished, in_use))| {
                    let entry = Entry {
                        path: PathBuf::from(format!("/{at}")),
                        bytes,
                        used: SystemTime::UNIX_EPOCH + Duration::from_secs(used),
                        unfinished,
                    };
                    (entry, in_use)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn enough_goes_and_never_what_is_in_use(files in entries(), wanted in 0..4000_u64) {
            let in_use: HashSet<PathBuf> = files.iter().filter(|(_, used)| *used).map(|(entry, _)| entry.path.clone()).collect();
            let entries: Vec<Entry> = files.into_iter().map(|(entry, _)| entry).collect();
            let idle = |entry: &&Entry| !entry.unfinished && !in_use.contains(&entry.path);
            let most: u64 = entries.iter().filter(idle).map(|entry| entry.bytes).sum();
            match victims(&entries, &in_use, wanted) {
                Err(missing) => prop_assert_eq!(missing, wanted - most),
                Ok(gone) => {
                    let of = |path: &PathBuf| entries.iter().find(|entry| entry.path == *path).unwrap();
                    prop_assert!(gone.iter().all(|path| idle(&of(path))));
                    let freed: u64 = gone.iter().map(|path| of(path).bytes).sum();
                    prop_assert!(freed >= wanted);
                    // None too many: without the last it would not be enough.
                    if let Some(last) = gone.last() {
                        prop_assert!(freed - of(last).bytes < wanted);
                        // What stays was used no longer ago.
                        let kept = entries.iter().filter(idle).filter(|entry| !gone.contains(&entry.path));
                        prop_assert!(kept.into_iter().all(|entry| entry.used >= of(last).used));
                    }
                }
            }
        }
    }
}
