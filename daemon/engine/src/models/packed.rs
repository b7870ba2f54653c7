//! A model's weights from a file that has them packed for a driver, and the making of that file.

use std::io::{Seek, Write};
use std::sync::Arc;

use mains_contract::{BlockFormat, Driver, DriverError, KeptWeight, SharedBytes, WeightData, WeightSource};
use mains_formats::{PackedFile, PackedTensor, PackedWriter, Reason};

use super::Model;

/// Packed weights that can not be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The driver keeps nothing that could be mapped.
    #[error("driver {0} packs no weights; load the model without a file of them")]
    NoPacker(&'static str),
    /// A weight is missing or does not suit the driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The file can not be written.
    #[error("writing packed weights: {0}")]
    Write(#[from] Reason),
}

/// Writes the weights of `model` as `driver` keeps them to `out`, an empty file, for the variant of that digest. `beat` is
/// called before each of them.
///
/// # Errors
/// [`PackError`]; what was written is then no file of packed weights.
pub fn write_packed<W: Write + Seek>(
    model: &Model,
    driver: &dyn Driver,
    variant: &str,
    out: W,
    mut beat: impl FnMut(&str),
) -> Result<W, PackError> {
    let name = driver.capabilities().driver;
    let packer = driver.packer().ok_or(PackError::NoPacker(name))?;
    let mut file = PackedWriter::new(out, variant, name)?;
    let mut packed = Vec::new();
    for kept in packer.kept(&model.graph, &model.formats()) {
        beat(&kept.name);
        let data = model.weights.weight(&kept.name)?;
        packed.clear();
        packed.resize(kept.bytes, 0);
        packer.pack(&kept, &data, &mut packed)?;
        file.add(&described(&kept), &packed)?;
    }
    Ok(file.finish()?)
}

/// Bytes of the file that [`write_packed`] makes of the same.
///
/// # Errors
/// [`PackError::NoPacker`], or why its table can not be told.
pub fn packed_bytes(model: &Model, driver: &dyn Driver, variant: &str) -> Result<u64, PackError> {
    let name = driver.capabilities().driver;
    let packer = driver.packer().ok_or(PackError::NoPacker(name))?;
    let kept = packer.kept(&model.graph, &model.formats());
    let tensors: Vec<PackedTensor> = kept.iter().map(described).collect();
    Ok(mains_formats::packed_bytes(variant, name, &tensors)?)
}

/// Weights of which a file may have packed ones: those that it has in the layout that is asked for are mapped, the others
/// come from `weights`.
pub struct PackedWeights<'a> {
    weights: &'a dyn WeightSource,
    file: Option<Arc<PackedFile>>,
}

impl<'a> PackedWeights<'a> {
    /// `weights`, and those of `file`, which was made for the same variant.
    #[must_use]
    pub fn new(weights: &'a dyn WeightSource, file: Option<PackedFile>) -> Self {
        Self {
            weights,
            file: file.map(Arc::new),
        }
    }
}

impl WeightSource for PackedWeights<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        self.weights.weight(name)
    }

    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        self.weights.format(name)
    }

    fn packed(&self, kept: &KeptWeight) -> Result<Option<SharedBytes>, DriverError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let found = file.verified(&kept.name).map_err(|error| DriverError::Weight {
            name: kept.name.clone(),
            reason: error.to_string(),
        })?;
        let range = found.and_then(|(tensor, range)| (*tensor == described(kept)).then_some(range));
        Ok(range.and_then(|range| SharedBytes::new(Arc::clone(file) as Arc<_>, range)))
    }
}

fn described(kept: &KeptWeight) -> PackedTensor {
    PackedTensor {
        name: kept.name.clone(),
        layout: kept.layout.clone(),
        format: kept.format,
        rows: kept.rows as u64,
        cols: kept.cols as u64,
        parts: kept.parts as u64,
        bytes: kept.bytes as u64,
    }
}
