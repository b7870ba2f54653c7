//! The metadata of a file, by key.

use std::path::{Path, PathBuf};

use super::from_value::FromValue;
use super::value::Value;
use crate::{FormatError, Reason};

/// Keys and values in the order of the file. Keys are unique.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    path: PathBuf,
    entries: Vec<(String, Value)>,
}

impl Metadata {
    pub(super) fn new(path: &Path, entries: Vec<(String, Value)>) -> Self {
        Self {
            path: path.to_owned(),
            entries,
        }
    }

    /// Every key and value, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of `key`, or `None` when the file does not have it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| value)
    }

    /// Takes the value of `key` out, which the metadata no longer has.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.iter().position(|(found, _)| found == key)?;
        Some(self.entries.remove(index).1)
    }

    /// The value of `key` as a `T`, or `None` when the file does not have it.
    ///
    /// # Errors
    /// [`Reason::Key`] names the key, the type found and the type expected.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, FormatError> {
        find(&self.entries, key).map_err(|reason| reason.at(&self.path))
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// [`Reason::Key`] when the file does not have it, or as [`Metadata::find`].
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, FormatError> {
        self.find(key)?.ok_or_else(|| {
            Reason::key(key, format!("is missing; it should be {}", T::EXPECTED)).at(&self.path)
        })
    }
}

/// The value of `key` among `entries` as a `T`.
pub(super) fn find<'a, T: FromValue<'a>>(
    entries: &'a [(String, Value)],
    key: &str,
) -> Result<Option<T>, Reason> {
    let Some((_, value)) = entries.iter().find(|(found, _)| found == key) else {
        return Ok(None);
    };
    let fits = T::from_value(value).ok_or_else(|| {
        let shown = match value {
            Value::String(_) | Value::Array(_) => String::new(),
            number => format!(" ({number:?})"),
        };
        Reason::key(
            key,
            format!("is {}{shown}; it should be {}", value.type_name(), T::EXPECTED),
        )
    });
    fits.map(Some)
}
