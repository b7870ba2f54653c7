//! Weights that are not in the files as a driver takes them: made, packed and given away one at a time.

use std::sync::Arc;

use mains_contract::{
    BlockFormat, DriverError, KeptWeight, PACKED_ALIGNMENT, Packer, SharedBytes, WeightData, WeightSource,
};

use super::Weights;

/// The weights of a `source` of packed ones; those of `weights` that would have to be made and kept for it are packed at once
/// instead, so that a load holds a copy of one tensor and not of all: in the order of GGUF's rows that is every query and key of
/// Llama's, in a Hugging Face folder every stack of experts.
pub struct MadeWeights<'a> {
    source: &'a dyn WeightSource,
    weights: &'a Weights,
    packer: Option<&'a dyn Packer>,
}

impl<'a> MadeWeights<'a> {
    /// `source`, which gets what it does not have packed from `weights`, for the driver of `packer`. Without one, weights that
    /// are made are kept as [`Weights`] keeps them.
    #[must_use]
    pub fn new(source: &'a dyn WeightSource, weights: &'a Weights, packer: Option<&'a dyn Packer>) -> Self {
        Self {
            source,
            weights,
            packer,
        }
    }
}

impl WeightSource for MadeWeights<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        self.source.weight(name)
    }

    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        self.source.format(name)
    }

    fn packed(&self, kept: &KeptWeight) -> Result<Option<SharedBytes>, DriverError> {
        let there = self.source.packed(kept)?;
        let (None, Some(packer)) = (&there, self.packer) else {
            return Ok(there);
        };
        let Some(bytes) = self.weights.made(&kept.name)? else {
            return Ok(None);
        };
        let data = WeightData {
            format: self.weights.format(&kept.name)?,
            rows: kept.rows,
            cols: kept.cols,
            bytes: &bytes,
        };
        let mut packed = vec![0; kept.bytes + PACKED_ALIGNMENT];
        let start = packed.as_ptr().align_offset(PACKED_ALIGNMENT);
        let range = start..start + kept.bytes;
        packer.pack(kept, &data, &mut packed[range.clone()])?;
        Ok(SharedBytes::new(Arc::new(packed), range))
    }
}
