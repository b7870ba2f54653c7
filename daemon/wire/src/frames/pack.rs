//! What weights are to be packed for.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use mains_types::Digest;
use serde::{Deserialize, Serialize};

use super::to_worker::bounded_path;
use super::{FrameError, bounds};

/// A model whose weights are to be in a driver's layouts, in the types that its files have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOrder {
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// [`mains_types::Plan::weights`] of the plans that the file is for.
    pub weights: Digest,
    /// The driver's name.
    pub driver: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PackOrderWire {
    path: Vec<u8>,
    weights: [u8; 32],
    driver: String,
}

impl From<PackOrder> for PackOrderWire {
    fn from(order: PackOrder) -> Self {
        Self {
            path: OsString::from(order.path).into_vec(),
            weights: order.weights.0,
            driver: order.driver,
        }
    }
}

impl TryFrom<PackOrderWire> for PackOrder {
    type Error = FrameError;

    fn try_from(wire: PackOrderWire) -> Result<Self, FrameError> {
        Ok(Self {
            path: bounded_path(wire.path)?,
            weights: Digest(wire.weights),
            driver: bounds::text("pack.driver", wire.driver, bounds::NAME_BYTES)?,
        })
    }
}
