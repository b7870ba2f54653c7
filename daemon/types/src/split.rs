//! Names of the parts of a split GGUF model (llama.cpp, `tools/gguf-split`): `NAME-00001-of-00003.gguf` and so on.

use std::path::{Path, PathBuf};

/// Parts of one model. The largest published models have under 100; the number has five digits.
const MAX_PARTS: u32 = 1024;

/// Name, number from 1 and count of a file that is named as a part.
#[must_use]
pub fn split_part(file_name: &str) -> Option<(&str, u32, u32)> {
    let stem = file_name.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let five = |digits: &str| {
        let plain = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (number, count) = (five(number)?, five(count)?);
    ((1..=count).contains(&number) && count <= MAX_PARTS).then_some((name, number, count))
}

/// The name of part `number`, from 1, of `count`.
#[must_use]
pub fn split_name(name: &str, number: u32, count: u32) -> String {
    format!("{name}-{number:05}-of-{count:05}.gguf")
}

/// The files of the model at `path`: all parts when it is named as the first of several, itself otherwise.
#[must_use]
pub fn model_files(path: &Path) -> Vec<PathBuf> {
    let file_name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match split_part(file_name) {
        Some((name, 1, count)) => (1..=count)
            .map(|number| path.with_file_name(split_name(name, number, count)))
            .collect(),
        _ => vec![path.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{MAX_PARTS, model_files, split_name, split_part};

    #[test]
    fn only_whole_names_are_parts() {
        assert_eq!(split_part("a-b-00002-of-00012.gguf"), Some(("a-b", 2, 12)));
        for other in [
            "a.gguf",
            "a-00001-of-00002.bin",
            "a-0001-of-0002.gguf",
            "a-00003-of-00002.gguf",
            "a-00000-of-00002.gguf",
            "a-+0001-of-00002.gguf",
            "a-00001-of-99999.gguf",
        ] {
            assert_eq!(split_part(other), None, "{other}");
        }
    }

    #[test]
    fn the_first_part_stands_for_all() {
        let files = model_files(Path::new("m/a-00001-of-00002.gguf"));
        let expected = ["m/a-00001-of-00002.gguf", "m/a-00002-of-00002.gguf"];
        assert_eq!(files, expected.map(|path| Path::new(path).to_owned()));
        let second = Path::new("m/a-00002-of-00002.gguf");
        assert_eq!(model_files(second), [second]);
    }

    proptest! {
        #[test]
        fn names_go_there_and_back(name in "[a-z0-9-]{0,20}", number in 1..=MAX_PARTS, more in 0..MAX_PARTS) {
            let count = (number + more).min(MAX_PARTS);
            let file = split_name(&name, number, count);
            prop_assert_eq!(split_part(&file), Some((name.as_str(), number, count)));
        }
    }
}
