//! A sensitivity table as JSON: `{"version": 1, "model": DIGEST, "groups": [{"name", "tensors": [NAME], "damages":
//! [[TYPE, NATS]]}], "kv": [[TYPE, NATS]], "whole": [[SUM, NATS]]}`.

use mains_contract::BlockFormat;
use mains_types::{Digest, GroupSensitivity, Sensitivity};
use serde::{Deserialize, Serialize};

/// Bytes of a table at the most: one of 65,536 groups in 16 types has some 30 MiB.
pub const MAX_SENSITIVITY_BYTES: u64 = 64 << 20;

/// Layout of the file.
const VERSION: u32 = 1;

/// A file that is no sensitivity table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not what the layout says.
    #[error("no sensitivity table: {0}; measure the model again")]
    Json(String),
    /// It is of another version.
    #[error("a sensitivity table of version {0}, this program knows {VERSION}; measure the model again")]
    Version(u32),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    version: u32,
    model: String,
    groups: Vec<GroupFile>,
    #[serde(default)]
    kv: Vec<(String, f64)>,
    #[serde(default)]
    whole: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFile {
    name: String,
    tensors: Vec<String>,
    damages: Vec<(String, f64)>,
}

/// The table in a file's `bytes`.
///
/// # Errors
/// [`FileError`] when they are something else, name a type that there is none of, or have a damage that is none.
pub fn read_sensitivity(bytes: &[u8]) -> Result<Sensitivity, FileError> {
    let file: TableFile =
        serde_json::from_slice(bytes).map_err(|error| FileError::Json(error.to_string()))?;
    if file.version != VERSION {
        return Err(FileError::Version(file.version));
    }
    let group = |group: GroupFile| {
        Ok(GroupSensitivity {
            name: group.name,
            tensors: group.tensors,
            damages: damages(group.damages)?,
        })
    };
    let mut whole = Vec::with_capacity(file.whole.len());
    for (added, found) in file.whole {
        let (added, found) = (checked(added)?, checked(found)?);
        if whole
            .last()
            .is_some_and(|(before, less)| added < *before || found < *less)
        {
            return Err(FileError::Json("whole plans are not in growing order".to_owned()));
        }
        whole.push((added, found));
    }
    Ok(Sensitivity {
        model: digest(&file.model)?,
        groups: file
            .groups
            .into_iter()
            .map(group)
            .collect::<Result<_, FileError>>()?,
        kv: damages(file.kv)?,
        whole,
    })
}

/// The bytes of a file with `table`.
#[must_use]
pub fn write_sensitivity(table: &Sensitivity) -> Vec<u8> {
    let named = |damages: &[(BlockFormat, f64)]| {
        let named = damages
            .iter()
            .map(|(format, damage)| (format.name().to_owned(), *damage));
        named.collect()
    };
    let file = TableFile {
        version: VERSION,
        model: table.model.to_string(),
        groups: table
            .groups
            .iter()
            .map(|group| GroupFile {
                name: group.name.clone(),
                tensors: group.tensors.clone(),
                damages: named(&group.damages),
            })
            .collect(),
        kv: named(&table.kv),
        whole: table.whole.clone(),
    };
    serde_json::to_vec(&file).expect("text and finite numbers are JSON")
}

fn damages(named: Vec<(String, f64)>) -> Result<Vec<(BlockFormat, f64)>, FileError> {
    let damage = |(name, damage): (String, f64)| {
        let format = BlockFormat::from_name(&name);
        let format = format.ok_or_else(|| FileError::Json(format!("{name:?} is no type of tensors")))?;
        Ok((format, checked(damage)?))
    };
    named.into_iter().map(damage).collect()
}

pub(super) fn checked(damage: f64) -> Result<f64, FileError> {
    if damage.is_finite() && damage >= 0.0 {
        Ok(damage)
    } else {
        Err(FileError::Json(format!("{damage} is no damage")))
    }
}

pub(super) fn digest(text: &str) -> Result<Digest, FileError> {
    let bad = || FileError::Json(format!("{text:?} is no SHA-256 digest"));
    if text.len() != 64 || !text.is_ascii() {
        return Err(bad());
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
    }
    Ok(Digest(digest))
}

#[cfg(test)]
mod tests {
    use mains_contract::BlockFormat;
    use mains_types::{Digest, GroupSensitivity, Sensitivity};
    use proptest::prelude::*;

    use super::{FileError, read_sensitivity, write_sensitivity};

    #[test]
    fn what_is_no_table_is_refused() {
        let start = format!(r#"{{"version": 1, "model": "{}""#, "ab".repeat(32));
        for (rest, why) in [
            (
                r#", "groups": [{"name": "a", "tensors": [], "damages": [["Q4_K", -1]]}]}"#,
                "no damage",
            ),
            (
                r#", "groups": [{"name": "a", "tensors": [], "damages": [["Q9", 1]]}]}"#,
                "Q9",
            ),
            (r#", "groups": [], "whole": [[2, 2], [1, 1]]}"#, "growing"),
            (r#", "groups": [], "more": 1}"#, "more"),
            (r#", "groups": []"#, "EOF"),
        ] {
            let error = read_sensitivity(format!("{start}{rest}").as_bytes()).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let other = r#"{"version": 2, "model": "", "groups": []}"#;
        assert_eq!(read_sensitivity(other.as_bytes()), Err(FileError::Version(2)));
    }

    /// Few enough binary digits to survive decimal ones.
    fn any_damage() -> impl Strategy<Value = f64> {
        (0_u16..4096).prop_map(|part| f64::from(part) / 1024.0)
    }

    prop_compose! {
        fn any_table()(
            model in any::<[u8; 32]>(),
            names in proptest::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 0..4),
            damages in proptest::collection::vec((0..BlockFormat::ALL.len(), any_damage()), 0..4),
            steps in proptest::collection::vec((any_damage(), any_damage()), 0..4),
        ) -> Sensitivity {
            let damages: Vec<_> = damages.iter().map(|(at, damage)| (BlockFormat::ALL[*at], *damage)).collect();
            let group = |(name, tensor): (String, String)| GroupSensitivity {
                name,
                tensors: vec![tensor],
                damages: damages.clone(),
            };
            let whole = steps.iter().scan((0.0, 0.0), |sum, step| {
                *sum = (sum.0 + step.0, sum.1 + step.1);
                Some(*sum)
            });
            Sensitivity {
                model: Digest(model),
                groups: names.into_iter().map(group).collect(),
                kv: damages.clone(),
                whole: whole.collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(table in any_table()) {
            prop_assert_eq!(read_sensitivity(&write_sensitivity(&table)), Ok(table));
        }

        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read_sensitivity(&bytes));
        }
    }
}
