//! What is known of a model whose measurement is not over, as JSON: `{"version": 1, "model": DIGEST, "build": BUILD, "spent_s":
//! SECONDS, "groups": [[NAME, NATS]], "deaths": N, "failed": REASON}`.

use std::time::Duration;

use mains_types::Digest;
use serde::{Deserialize, Serialize};

use super::sensitivity::{FileError, checked, digest};

/// Bytes of a record at the most: 65,536 groups with names of 64 bytes have some 6 MiB.
pub const MAX_MEASURING_BYTES: u64 = 16 << 20;

/// Layout of the file.
const VERSION: u32 = 1;

/// A measurement so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measuring {
    /// What workers have spent on it.
    pub spent: Duration,
    /// Groups that were measured, and nats a token of each.
    pub groups: Vec<(String, f64)>,
    /// Workers in a row that died of it before they had measured a group.
    pub deaths: u32,
    /// Why it was given up.
    pub failed: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasuringFile {
    version: u32,
    model: String,
    build: String,
    spent_s: u64,
    groups: Vec<(String, f64)>,
    deaths: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// The record of `model` in a file's `bytes`. One that another build wrote begins anew: what it measured, or could not measure, may be
/// different now.
///
/// # Errors
/// [`FileError`] when they are something else, or another model's.
pub fn read_measuring(bytes: &[u8], model: &Digest, build: &str) -> Result<Measuring, FileError> {
    let file: MeasuringFile =
        serde_json::from_slice(bytes).map_err(|error| FileError::Json(error.to_string()))?;
    if file.version != VERSION {
        return Err(FileError::Version(file.version));
    }
    if digest(&file.model)? != *model {
        return Err(FileError::Json(format!("it is of model {}", file.model)));
    }
    if file.build != build {
        return Ok(Measuring::default());
    }
    let group = |(name, damage)| Ok((name, checked(damage)?));
    Ok(Measuring {
        spent: Duration::from_secs(file.spent_s),
        groups: file
            .groups
            .into_iter()
            .map(group)
            .collect::<Result<_, FileError>>()?,
        deaths: file.deaths,
        failed: file.failed,
    })
}

/// The bytes of a file with the record of `model`.
#[must_use]
pub fn write_measuring(measuring: &Measuring, model: &Digest, build: &str) -> Vec<u8> {
    let file = MeasuringFile {
        version: VERSION,
        model: model.to_string(),
        build: build.to_owned(),
        spent_s: measuring.spent.as_secs(),
        groups: measuring.groups.clone(),
        deaths: measuring.deaths,
        failed: measuring.failed.clone(),
    };
    serde_json::to_vec(&file).expect("text and finite numbers are JSON")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mains_types::Digest;
    use proptest::prelude::*;

    use super::{Measuring, read_measuring, write_measuring};

    const MODEL: Digest = Digest([7; 32]);

    #[test]
    fn another_build_begins_anew_and_another_model_is_refused() {
        let known = Measuring {
            failed: Some("it has no tokenizer".to_owned()),
            ..Measuring::default()
        };
        let file = write_measuring(&known, &MODEL, "1");
        assert_eq!(read_measuring(&file, &MODEL, "1"), Ok(known));
        assert_eq!(read_measuring(&file, &MODEL, "2"), Ok(Measuring::default()));
        let error = read_measuring(&file, &Digest([8; 32]), "1").unwrap_err();
        assert!(error.to_string().contains("of model 0707"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            spent in 0..1_u64 << 40,
            // Few enough binary digits to survive decimal ones.
            groups in proptest::collection::vec(("\\PC{0,8}", (0_u16..4096).prop_map(|part| f64::from(part) / 1024.0)), 0..4),
            deaths in any::<u32>(),
            failed in proptest::option::of("\\PC{0,8}"),
        ) {
            let known = Measuring { spent: Duration::from_secs(spent), groups, deaths, failed };
            prop_assert_eq!(read_measuring(&write_measuring(&known, &MODEL, "1"), &MODEL, "1"), Ok(known));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read_measuring(&bytes, &MODEL, "1"));
        }
    }
}
