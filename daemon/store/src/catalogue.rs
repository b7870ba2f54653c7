//! Which models there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mains_contract::Bytes;
use mains_types::{ModelSource, Origin, model_files, split_part};

use crate::{StoreError, check_name, pilot};

/// A model by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its name.
    pub name: String,
    /// A GGUF file or a Hugging Face folder; `None` for one of the store folder.
    pub path: Option<PathBuf>,
}

/// The models that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// By name.
    pub models: Vec<ModelSource>,
    /// What is wrong with some of them or keeps others out, for the log.
    pub problems: Vec<StoreError>,
}

/// The models of `folder`, those that were `imported`, and those of the configuration. A configured path wins over the store's
/// model of the same name, and an imported model over a file that was put there.
pub(crate) fn catalogue(
    folder: &Path,
    imported: Vec<ModelSource>,
    configured: &[Configured],
) -> Result<Catalogue, StoreError> {
    let mut problems = Vec::new();
    let mut found = in_folder(folder, &mut problems)?;
    for model in imported {
        let (name, path) = (model.name.clone(), model.path.clone());
        if let Some(hidden) = found.insert(name.clone(), model) {
            problems.push(duplicate(&name, path, hidden.path));
        }
    }
    let mut seen: BTreeMap<&str, &Configured> = BTreeMap::new();
    for model in configured {
        check_name(&model.name)?;
        let place = |of: &Configured| of.path.clone().unwrap_or_else(|| folder.join(&of.name));
        if let Some(first) = seen.insert(&model.name, model) {
            return Err(duplicate(&model.name, place(first), place(model)));
        }
        match &model.path {
            Some(path) => {
                if let Some(reason) = what_is_wrong(path) {
                    problems.push(no_model(&model.name, path, reason));
                }
                let source = source(model.name.clone(), path.clone(), Origin::Configured);
                if let Some(hidden) = found.insert(model.name.clone(), source) {
                    problems.push(duplicate(&model.name, path.clone(), hidden.path));
                }
            }
            None if !found.contains_key(&model.name) => {
                return Err(no_model(&model.name, folder, "has no such model; give its path"));
            }
            None => {}
        }
    }
    let models = found.into_values().collect();
    Ok(Catalogue { models, problems })
}

fn in_folder(
    folder: &Path,
    problems: &mut Vec<StoreError>,
) -> Result<BTreeMap<String, ModelSource>, StoreError> {
    let failed = |error| StoreError::io("read", folder, &error);
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = name_of(&path) {
            found.entry(name).or_default().push(path);
        }
    }
    let mut models = BTreeMap::new();
    for (name, mut paths) in found {
        paths.sort();
        if let Err(problem) = check_name(&name) {
            problems.push(problem);
        } else if let [first, second, ..] = paths.as_slice() {
            problems.push(duplicate(&name, first.clone(), second.clone()));
        } else if let Some(path) = paths.pop() {
            let origin = if name == pilot::NAME {
                Origin::Embedded
            } else {
                Origin::Folder
            };
            models.insert(name.clone(), source(name, path, origin));
        }
    }
    Ok(models)
}

/// The name of the model at `path`, if one may be there. Of a split model the first part stands for all.
fn name_of(path: &Path) -> Option<String> {
    let file_name = path.file_name()?.to_string_lossy().into_owned();
    if path.is_dir() {
        return path.join("config.json").is_file().then_some(file_name);
    }
    let stem = file_name.strip_suffix(".gguf").filter(|_| path.is_file())?;
    match split_part(&file_name) {
        Some((name, 1, _)) => Some(name.to_owned()),
        Some(_) => None,
        None => Some(stem.to_owned()),
    }
}

fn what_is_wrong(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Err(_) => Some("is not there or may not be read"),
        Ok(found) if found.is_file() || path.join("config.json").is_file() => None,
        Ok(_) => Some("is neither a GGUF file nor a folder with config.json"),
    }
}

fn source(name: String, path: PathBuf, origin: Origin) -> ModelSource {
    let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
    let since = written
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .duration_since(SystemTime::UNIX_EPOCH);
    ModelSource {
        bytes: bytes_of(&path),
        name,
        path,
        created: since.map_or(0, |since| since.as_secs()),
        origin,
    }
}

/// Bytes of the files of the model at `path`, as far as they can be seen.
fn bytes_of(path: &Path) -> Bytes {
    let size = |path: PathBuf| {
        fs::metadata(path)
            .ok()
            .filter(fs::Metadata::is_file)
            .map(|found| Bytes(found.len()))
    };
    if !path.is_dir() {
        return model_files(path).into_iter().filter_map(size).sum();
    }
    let entries = fs::read_dir(path).into_iter().flatten();
    entries.filter_map(|entry| size(entry.ok()?.path())).sum()
}

fn duplicate(name: &str, first: PathBuf, second: PathBuf) -> StoreError {
    StoreError::Duplicate {
        name: name.to_owned(),
        first,
        second,
    }
}

fn no_model(name: &str, path: &Path, reason: &str) -> StoreError {
    StoreError::NoModel {
        name: name.to_owned(),
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Configured, catalogue};
    use crate::StoreError;

    fn configured(name: &str, path: Option<&std::path::Path>) -> Configured {
        Configured {
            name: name.to_owned(),
            path: path.map(Into::into),
        }
    }

    #[test]
    fn finds_files_folders_and_configured_paths() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.gguf"), "").unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/config.json"), "{}").unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        let file = elsewhere.path().join("c");
        fs::write(&file, "").unwrap();

        let found = catalogue(
            folder.path(),
            Vec::new(),
            &[configured("c", Some(&file)), configured("a", None)],
        )
        .unwrap();
        let names: Vec<_> = found.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(found.problems, []);
        assert!(found.models.iter().all(|model| model.created > 0));
        assert_eq!(found.models[1].bytes, mains_contract::Bytes(2));
        let origins: Vec<_> = found.models.iter().map(|model| model.origin.name()).collect();
        assert_eq!(origins, ["folder", "folder", "configured"]);
    }

    #[test]
    fn a_bad_model_in_the_store_costs_itself_only() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["good.gguf", "bad name.gguf", "twice.gguf"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        fs::create_dir(folder.path().join("twice")).unwrap();
        fs::write(folder.path().join("twice/config.json"), "{}").unwrap();
        let found = catalogue(folder.path(), Vec::new(), &[]).unwrap();
        assert_eq!(found.models.len(), 1);
        assert!(matches!(found.problems[0], StoreError::Name { .. }));
        assert!(matches!(found.problems[1], StoreError::Duplicate { .. }));
    }

    #[test]
    fn a_split_model_is_one_model() {
        let folder = tempfile::tempdir().unwrap();
        for (part, bytes) in [
            ("a-00001-of-00002.gguf", "123"),
            ("a-00002-of-00002.gguf", "4567"),
        ] {
            fs::write(folder.path().join(part), bytes).unwrap();
        }
        let found = catalogue(folder.path(), Vec::new(), &[]).unwrap();
        assert_eq!((found.models.len(), &found.problems), (1, &Vec::new()));
        assert_eq!((&*found.models[0].name, found.models[0].bytes.0), ("a", 7));
        assert_eq!(found.models[0].path, folder.path().join("a-00001-of-00002.gguf"));
    }

    #[test]
    fn a_bad_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let twice = [configured("m", Some(&path)), configured("m", Some(folder.path()))];
        assert!(matches!(
            catalogue(folder.path(), Vec::new(), &twice),
            Err(StoreError::Duplicate { .. })
        ));
        assert!(matches!(
            catalogue(folder.path(), Vec::new(), &[configured("a/b", Some(&path))]),
            Err(StoreError::Name { .. })
        ));
        assert!(matches!(
            catalogue(folder.path(), Vec::new(), &[configured("m", None)]),
            Err(StoreError::NoModel { .. })
        ));
    }

    #[test]
    fn a_configured_file_that_is_not_there_is_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let found = catalogue(
            folder.path(),
            Vec::new(),
            &[configured("m", Some(&folder.path().join("none")))],
        )
        .unwrap();
        assert_eq!(found.models.len(), 1);
        assert!(matches!(found.problems[0], StoreError::NoModel { .. }));
    }
}
