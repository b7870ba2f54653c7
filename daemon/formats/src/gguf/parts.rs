//! A model split over several files (llama.cpp, `tools/gguf-split`): `NAME-00001-of-00003.gguf` and so on, each with tensors of its
//! own, the first with all metadata.

use std::path::{Path, PathBuf};

use super::limits::MAX_PARTS;
use super::metadata::find;
use super::value::Value;
use crate::Reason;
use crate::error::at_most;

/// What begins the keys that are about the parts, not the model.
pub(super) const SECTION: &str = "split.";

/// Which part a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// From 0.
    pub(super) number: u32,
    pub(super) count: u32,
    /// Tensors of all parts.
    pub(super) tensors: Option<u32>,
}

impl Part {
    /// Reads the keys of a file; none when it is a whole model.
    pub(super) fn of(metadata: &[(String, Value)]) -> Result<Option<Self>, Reason> {
        let Some(count) = find::<u32>(metadata, "split.count")?.filter(|count| *count > 1) else {
            return Ok(None);
        };
        at_most("the number of parts", count.into(), MAX_PARTS)?;
        let number = find::<u32>(metadata, "split.no")?
            .ok_or_else(|| Reason::key("split.no", "is missing, but split.count is there"))?;
        if number >= count {
            return Err(Reason::key("split.no", format!("is {number}, of {count} parts")));
        }
        let tensors = find::<u32>(metadata, "split.tensors.count")?;
        Ok(Some(Self {
            number,
            count,
            tensors,
        }))
    }

    /// Refuses a part that stands alone.
    pub(super) fn refuse(self) -> Reason {
        Reason::Kind(format!(
            "is part {} of {} of a split model; open the first of its files by its path, with the others beside it",
            self.number + 1,
            self.count
        ))
    }

    /// The file of part `number`, when `first` is the path of the first.
    ///
    /// # Errors
    /// When this is not the first part, or the file is not named as a part.
    pub(super) fn path(self, first: &Path, number: u32) -> Result<PathBuf, Reason> {
        let name = first
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let ending = |number: u32| format!("-{:05}-of-{:05}.gguf", number + 1, self.count);
        let stem = name.strip_suffix(&ending(0)).filter(|_| self.number == 0);
        let stem = stem.ok_or_else(|| self.refuse())?;
        Ok(first.with_file_name(format!("{stem}{}", ending(number))))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Part;

    #[test]
    fn parts_are_found_by_the_name_of_the_first() {
        let part = Part {
            number: 0,
            count: 12,
            tensors: None,
        };
        let path = part.path(Path::new("a/m-00001-of-00012.gguf"), 11).unwrap();
        assert_eq!(path, Path::new("a/m-00012-of-00012.gguf"));
        assert!(part.path(Path::new("a/m-00002-of-00012.gguf"), 1).is_err());
        assert!(part.path(Path::new("a/m.gguf"), 1).is_err());
        let second = Part { number: 1, ..part };
        assert!(second.path(Path::new("a/m-00001-of-00012.gguf"), 1).is_err());
    }
}
