//! Which files a model has, and what they are called in the store.
//!
//! GGUF files get names of the store's own, so that one model under two file names is stored once. Those of a Hugging Face
//! folder keep theirs: they refer to each other.

use std::collections::BTreeSet;

use mains_types::{ImportKind, ImportRequest, ModelKind, split_name, split_part};

use crate::StoreError;

/// Bytes of a file's name (`NAME_MAX` of Linux).
const MAX_FILE_NAME_BYTES: usize = 255;

/// Files of a model: 1,024 of weights, and what goes with them.
pub(crate) const MAX_FILES: usize = 2048;

/// Bytes of the text that tells where a model comes from: a path (`PATH_MAX` of Linux).
const MAX_ORIGIN_BYTES: usize = 4096;

/// What a tar is called until it is unpacked.
const TAR: &str = "model.tar";

/// The file that makes a folder one of Hugging Face's.
const CONFIG: &str = "config.json";

/// Names under which the files of `request` are received.
///
/// # Errors
/// [`StoreError::Refused`] for files that are no model's.
pub(super) fn received_names(request: &ImportRequest) -> Result<Vec<String>, StoreError> {
    if request.origin.len() > MAX_ORIGIN_BYTES {
        return Err(refused("the path it comes from", "is longer than 4096 bytes"));
    }
    let names: Vec<&str> = request.files.iter().map(|file| file.name.as_str()).collect();
    let total = request
        .files
        .iter()
        .try_fold(0_u64, |sum, file| sum.checked_add(file.bytes.0));
    if total.is_none() {
        return Err(refused("the files", "have more bytes together than any disk"));
    }
    match request.kind {
        ImportKind::Tar if names.len() == 1 => Ok(vec![TAR.to_owned()]),
        ImportKind::Tar => Err(refused("the tar", "is not one file")),
        ImportKind::Files(kind) => {
            let (found, stored) = stored_names(&names)?;
            if found == kind {
                Ok(stored)
            } else {
                Err(refused(
                    "the files",
                    &format!("are {}, not {}", found.name(), kind.name()),
                ))
            }
        }
    }
}

/// What a model with files of these names is, and the names that they have in the store, in the same order.
///
/// # Errors
/// [`StoreError::Refused`] says which name is at fault.
pub fn stored_names(names: &[&str]) -> Result<(ModelKind, Vec<String>), StoreError> {
    if names.len() > MAX_FILES {
        return Err(refused(
            "the model",
            &format!("has {} files, at most {MAX_FILES} are taken", names.len()),
        ));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        check_file_name(name)?;
        if !seen.insert(*name) {
            return Err(refused(name, "is there twice"));
        }
    }
    if seen.contains(CONFIG) {
        let stored = names.iter().map(|name| (*name).to_owned()).collect();
        return Ok((ModelKind::HuggingFace, stored));
    }
    match names {
        [] => Err(refused("the model", "has no files")),
        [name] if name.ends_with(".gguf") && split_part(name).is_none_or(|(_, _, count)| count == 1) => {
            Ok((ModelKind::Gguf, vec!["model.gguf".to_owned()]))
        }
        _ => Ok((ModelKind::Gguf, parts(names)?)),
    }
}

/// Names of the parts of one split model.
fn parts(names: &[&str]) -> Result<Vec<String>, StoreError> {
    let mut model = None;
    let mut stored = Vec::with_capacity(names.len());
    for name in names {
        let Some((stem, number, count)) = split_part(name) else {
            return Err(refused(
                name,
                "is neither the one GGUF file of a model nor a part of one (NAME-00001-of-00002.gguf), and there is no config.json",
            ));
        };
        if *model.get_or_insert((stem, count)) != (stem, count) {
            return Err(refused(name, "is a part of another model; import one at a time"));
        }
        stored.push(split_name("model", number, count));
    }
    // Names differ, so that as many as there should be are all of them.
    match model {
        Some((stem, count)) if names.len() != count as usize => Err(refused(
            &split_name(stem, 1, count),
            &format!("has {} of its {count} parts; the others are missing", names.len()),
        )),
        _ => Ok(stored),
    }
}

/// Whether `name` is a plain file's: printable ASCII without slashes, and not hidden.
pub(crate) fn check_file_name(name: &str) -> Result<(), StoreError> {
    let plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b'/' && byte != b'\\';
    let good =
        (1..=MAX_FILE_NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain);
    if good {
        Ok(())
    } else {
        let shown: String = name.chars().take(MAX_FILE_NAME_BYTES).collect();
        Err(refused(
            &format!("{shown:?}"),
            "is no plain file name: printable ASCII, no slashes, no dot at the start, at most 255 bytes",
        ))
    }
}

pub(super) fn refused(what: &str, why: &str) -> StoreError {
    StoreError::Refused {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mains_types::ModelKind;
    use proptest::prelude::*;

    use super::{check_file_name, stored_names};

    #[test]
    fn one_model_gets_the_same_names_whatever_it_was_called() {
        assert_eq!(
            stored_names(&["a.gguf"]).unwrap(),
            (ModelKind::Gguf, vec!["model.gguf".to_owned()])
        );
        let (_, parts) = stored_names(&["b-00002-of-00002.gguf", "b-00001-of-00002.gguf"]).unwrap();
        assert_eq!(parts, ["model-00002-of-00002.gguf", "model-00001-of-00002.gguf"]);
        let folder = ["model.safetensors", "config.json"];
        assert_eq!(stored_names(&folder).unwrap().1, folder);
    }

    #[test]
    fn files_that_are_no_model_are_refused_by_name() {
        for (names, word) in [
            (&["a.bin"][..], "a.bin"),
            (&["a-00001-of-00002.gguf"], "missing"),
            (
                &["a-00001-of-00002.gguf", "b-00002-of-00002.gguf"],
                "another model",
            ),
            (&["a.gguf", "b.gguf"], "neither"),
            (&["config.json", "config.json"], "twice"),
            (&["../config.json"], "plain"),
            (&[], "no files"),
        ] {
            let error = stored_names(names).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_good_name_stays_in_its_folder(name in "\\PC{0,12}|[./a]{1,6}") {
            if check_file_name(&name).is_ok() {
                let joined = std::path::Path::new("/m").join(&name);
                prop_assert_eq!(joined.parent(), Some(std::path::Path::new("/m")));
            }
        }

        #[test]
        fn stored_names_are_good_and_differ(names in proptest::collection::vec("[a-c](-0000[1-3]-of-0000[1-3])?\\.gguf|config\\.json", 0..4)) {
            let given: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Ok((_, stored)) = stored_names(&given) {
                prop_assert_eq!(stored.len(), given.len());
                let mut unique = stored.clone();
                unique.sort();
                unique.dedup();
                prop_assert_eq!(unique.len(), stored.len());
                prop_assert!(stored.iter().all(|name| check_file_name(name).is_ok()));
            }
        }
    }
}
