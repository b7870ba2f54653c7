//! The damage of types, computed: the model with some weights quantized and restored, against the model as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use mains_blocks::{dequantize, quantize_weighted};
use mains_contract::{BlockFormat, Driver, DriverError, Graph, OutputName, WeightData, WeightSource};
use mains_engine::importance::Importance;
use mains_engine::models::Model;

use crate::divergence::{Divergence, compare};
use crate::{MeasureError, Texts, each_row};

/// Types of tensors, by their names in GGUF; those that are not named stay as they are.
pub type Formats = BTreeMap<String, BlockFormat>;

/// What measures the damage of types.
pub trait Evaluate {
    /// KL divergence from the unquantized model with these types, by position that counts.
    ///
    /// # Errors
    /// [`MeasureError`] when it can not be computed.
    fn divergence(&mut self, formats: &Formats) -> Result<Divergence, MeasureError>;
}

/// Measures with a driver: weights are quantized and restored to float32, so that only their own damage counts, not
/// that of int8 activations.
pub struct Evaluator<'a> {
    driver: &'a dyn Driver,
    model: &'a Model,
    importance: &'a Importance,
    texts: &'a Texts,
    /// Logits of the model as it is, at the positions that count.
    base: Vec<f32>,
}

impl<'a> Evaluator<'a> {
    /// Computes the unquantized model's predictions on `texts`.
    ///
    /// # Errors
    /// [`MeasureError::Driver`] when the model can not be loaded or the device fails.
    pub fn new(
        driver: &'a dyn Driver,
        model: &'a Model,
        importance: &'a Importance,
        texts: &'a Texts,
    ) -> Result<Self, MeasureError> {
        let mut base = Vec::new();
        logits(driver, &model.graph, &model.weights, texts, |row| {
            base.extend_from_slice(row)
        })?;
        Ok(Self {
            driver,
            model,
            importance,
            texts,
            base,
        })
    }
}

impl Evaluate for Evaluator<'_> {
    fn divergence(&mut self, formats: &Formats) -> Result<Divergence, MeasureError> {
        let swapped = Swapped::new(self.model, self.importance, formats)?;
        let width = self.base.len() / self.texts.positions();
        let mut base = self.base.chunks_exact(width);
        let mut found = Divergence::default();
        logits(self.driver, &self.model.graph, &swapped, self.texts, |row| {
            if let Some(base) = base.next() {
                found.push(compare(base, row));
            }
        })?;
        Ok(found)
    }
}

/// Hands on the logits of every position that counts, in order.
///
/// # Errors
/// [`MeasureError::Driver`] when the model can not be loaded or the device fails.
pub fn logits(
    driver: &dyn Driver,
    graph: &Arc<Graph>,
    weights: &dyn WeightSource,
    texts: &Texts,
    mut each: impl FnMut(&[f32]),
) -> Result<(), MeasureError> {
    let limits = texts.limits();
    let mut loaded = driver.load(Arc::clone(graph), weights, &limits)?;
    for (ids, mask) in texts.rows().iter().zip(texts.masks()) {
        each_row(&mut *loaded, graph, &limits, ids, |first, outputs| {
            let rows = outputs
                .iter()
                .find(|(name, _)| *name == OutputName::Logits)
                .map_or(&[][..], |(_, rows)| rows);
            let here = mask.len().min(first + limits.rows) - first;
            let width = rows.len() / here.max(1);
            for (row, counts) in rows.chunks_exact(width.max(1)).zip(&mask[first..]) {
                if *counts {
                    each(row);
                }
            }
        })?;
    }
    Ok(())
}

/// A model's weights, some of them quantized and restored.
struct Swapped<'a> {
    model: &'a Model,
    restored: BTreeMap<String, Vec<u8>>,
}

impl<'a> Swapped<'a> {
    fn new(model: &'a Model, importance: &Importance, formats: &Formats) -> Result<Self, MeasureError> {
        let changed = formats.iter().filter(|(name, format)| {
            model
                .weights
                .facts(name)
                .is_some_and(|facts| facts.format != **format)
        });
        let restored = changed.map(|(name, format)| {
            let stored = model.weights.weight(name)?;
            let mut numbers = numbers(name, &stored)?;
            restore(*format, &mut numbers, stored.cols, importance.of(name)).map_err(|source| {
                MeasureError::Tensor {
                    name: name.clone(),
                    source,
                }
            })?;
            Ok((
                name.clone(),
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            ))
        });
        Ok(Self {
            model,
            restored: restored.collect::<Result<_, MeasureError>>()?,
        })
    }
}

impl WeightSource for Swapped<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let stored = self.model.weights.weight(name)?;
        Ok(match self.restored.get(name) {
            Some(bytes) => WeightData {
                format: BlockFormat::F32,
                bytes,
                ..stored
            },
            None => stored,
        })
    }
}

/// A tensor's numbers.
pub(crate) fn numbers(name: &str, stored: &WeightData<'_>) -> Result<Vec<f32>, MeasureError> {
    let mut numbers = vec![0.0; stored.rows * stored.cols];
    let read = dequantize(stored.format, stored.bytes, &mut numbers);
    read.map_err(|source| MeasureError::Tensor {
        name: name.to_owned(),
        source,
    })?;
    Ok(numbers)
}

/// What quantizing to `format` and back makes of rows of `cols` numbers; the importance has a row, or one for each matrix of
/// a stack.
pub(crate) fn restore(
    format: BlockFormat,
    numbers: &mut [f32],
    cols: usize,
    importance: Option<&[f32]>,
) -> Result<(), mains_blocks::BlockError> {
    let matrices = importance.map_or(1, |importance| (importance.len() / cols.max(1)).max(1));
    let matrix = numbers.len() / matrices;
    for (index, numbers) in numbers.chunks_mut(matrix.max(1)).enumerate() {
        let size = format.row_bytes(numbers.len());
        let mut bytes = vec![
            0;
            size.ok_or(mains_blocks::BlockError::PartialBlock {
                format,
                numbers: numbers.len()
            })?
        ];
        let importance = importance.map(|importance| &importance[index * cols..(index + 1) * cols]);
        quantize_weighted(
            format,
            numbers,
            importance.filter(|_| format.is_quantized()),
            &mut bytes,
        )?;
        dequantize(format, &bytes, numbers)?;
    }
    Ok(())
}
