//! What a model's sensitivity to quantization is to be measured by.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use mains_types::Digest;
use serde::{Deserialize, Serialize};

use super::to_worker::bounded_path;
use super::{FrameError, bounds};

/// A model, and how much of it is to be measured. Texts are the worker's own.
#[derive(Debug, Clone, PartialEq)]
pub struct SensitivityOrder {
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// [`mains_types::ModelFacts::digest`] of it, which the table carries.
    pub model: Digest,
    /// The importance of its columns when an earlier worker measured it: a GGUF file.
    pub importance: Option<PathBuf>,
    /// Threads that compute; as many as there are processors when 0.
    pub threads: u32,
    /// Texts at most.
    pub texts: u32,
    /// Groups that are measured end to end at most, those of `known` included.
    pub groups: u32,
    /// What groups and whole choices may take. What is not measured then is told by what was.
    pub time: Duration,
    /// Whether there is memory for all weights in float32, twice, to measure whole choices.
    pub whole: bool,
    /// Groups that an earlier worker measured, and nats a token of each.
    pub known: Vec<(String, f64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SensitivityOrderWire {
    path: Vec<u8>,
    model: [u8; 32],
    importance: Option<Vec<u8>>,
    threads: u32,
    texts: u32,
    groups: u32,
    time: Duration,
    whole: bool,
    known: Vec<(String, f64)>,
}

impl From<SensitivityOrder> for SensitivityOrderWire {
    fn from(order: SensitivityOrder) -> Self {
        let bytes = |path: PathBuf| OsString::from(path).into_vec();
        Self {
            path: bytes(order.path),
            model: order.model.0,
            importance: order.importance.map(bytes),
            threads: order.threads,
            texts: order.texts,
            groups: order.groups,
            time: order.time,
            whole: order.whole,
            known: order.known,
        }
    }
}

impl TryFrom<SensitivityOrderWire> for SensitivityOrder {
    type Error = FrameError;

    fn try_from(wire: SensitivityOrderWire) -> Result<Self, FrameError> {
        Ok(Self {
            path: bounded_path(wire.path)?,
            model: Digest(wire.model),
            importance: wire.importance.map(bounded_path).transpose()?,
            threads: wire.threads,
            texts: wire.texts,
            groups: wire.groups,
            time: wire.time,
            whole: wire.whole,
            known: bounds::list("sensitivity.known", wire.known, bounds::TENSORS, group)?,
        })
    }
}

/// A group's name, and its damage in nats a token.
pub(super) fn group((name, damage): (String, f64)) -> Result<(String, f64), FrameError> {
    let name = bounds::text("group.name", name, bounds::NAME_BYTES)?;
    if damage.is_finite() && damage >= 0.0 {
        return Ok((name, damage));
    }
    Err(FrameError::Invalid {
        what: "group.damage",
        reason: format!("{damage} is no damage"),
    })
}
