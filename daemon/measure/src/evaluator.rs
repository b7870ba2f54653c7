//! The damage of types, computed: the model with some weights quantized and restored, against the model as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use mains_blocks::{BlockError, dequantize};
use mains_contract::{BlockFormat, Driver, DriverError, Graph, OutputName, WeightData, WeightSource};
use mains_engine::importance::{Importance, Weighting};
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
    /// Tensors quantized before, as blocks: a search asks for the same again and again.
    made: BTreeMap<(String, BlockFormat), Vec<u8>>,
}

/// Bytes of quantized tensors that are kept; beyond them they are made anew each time.
const KEPT_BYTES: usize = 1 << 30;

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
        let mut evaluator = Self {
            driver,
            model,
            importance,
            texts,
            base: Vec::new(),
            made: BTreeMap::new(),
        };
        evaluator.onto(texts)?;
        Ok(evaluator)
    }

    /// Goes on with other texts; tensors that were quantized are kept.
    ///
    /// # Errors
    /// [`MeasureError::Driver`] when the model can not be loaded or the device fails.
    pub fn onto(&mut self, texts: &'a Texts) -> Result<(), MeasureError> {
        // Freed first: one set of logits is what memory is reserved for.
        self.base = Vec::new();
        self.texts = texts;
        let base = &mut self.base;
        logits(
            self.driver,
            &self.model.graph,
            &self.model.weights,
            texts,
            |row| base.extend_from_slice(row),
        )
    }

    /// KL divergence of another opening of the model, such as one with smaller caches, by position that counts.
    ///
    /// # Errors
    /// [`MeasureError::Driver`] when it can not be loaded or the device fails.
    pub fn divergence_of(&self, other: &Model) -> Result<Divergence, MeasureError> {
        against(
            self.driver,
            &self.base,
            (&other.graph, &other.weights),
            self.texts,
        )
    }

    /// The blocks of tensors in other formats than they are stored in, by name.
    fn swapped(&mut self, formats: &Formats) -> Result<Vec<(String, BlockFormat)>, MeasureError> {
        let facts = |name: &String| self.model.weights.facts(name);
        let changed = formats
            .iter()
            .filter(|(name, format)| facts(name).is_some_and(|facts| facts.format != **format));
        let changed: Vec<_> = changed.map(|(name, format)| (name.clone(), *format)).collect();
        let missing: Vec<_> = changed
            .iter()
            .filter(|key| !self.made.contains_key(*key))
            .cloned()
            .collect();
        if self.made.values().map(Vec::len).sum::<usize>() > KEPT_BYTES {
            self.made.retain(|key, _| changed.contains(key));
        }
        let (model, importance) = (self.model, self.importance);
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = missing.len().div_ceil(threads).max(1);
        let made = thread::scope(|scope| {
            let parts: Vec<_> = missing
                .chunks(share)
                .map(|part| {
                    scope.spawn(move || {
                        let blocks = part.iter().map(|key| blocks(model, importance, key));
                        blocks.collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let parts = parts.into_iter().map(|part| {
                part.join()
                    .expect("quantizing checks what it is given and does not panic")
            });
            parts.collect::<Result<Vec<_>, _>>()
        })?;
        self.made
            .extend(missing.into_iter().zip(made.into_iter().flatten()));
        Ok(changed)
    }
}

impl Evaluate for Evaluator<'_> {
    fn divergence(&mut self, formats: &Formats) -> Result<Divergence, MeasureError> {
        let changed = self.swapped(formats)?;
        let swapped = Swapped {
            model: self.model,
            restored: changed
                .into_iter()
                .map(|key| Ok((key.0.clone(), restored(&key, &self.made[&key], self.model)?)))
                .collect::<Result<_, MeasureError>>()?,
        };
        against(self.driver, &self.base, (&self.model.graph, &swapped), self.texts)
    }
}

/// How far a graph with its weights is from logits that were computed before.
fn against(
    driver: &dyn Driver,
    base: &[f32],
    (graph, weights): (&Arc<Graph>, &dyn WeightSource),
    texts: &Texts,
) -> Result<Divergence, MeasureError> {
    let width = base.len() / texts.positions();
    let mut base = base.chunks_exact(width);
    let mut found = Divergence::default();
    logits(driver, graph, weights, texts, |row| {
        if let Some(base) = base.next() {
            found.push(compare(base, row));
        }
    })?;
    Ok(found)
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

/// A tensor's blocks in another format.
fn blocks(
    model: &Model,
    importance: &Importance,
    (name, format): &(String, BlockFormat),
) -> Result<Vec<u8>, MeasureError> {
    let stored = model.weights.weight(name)?;
    let numbers = numbers(name, &stored)?;
    let weighting = importance.weighting(name, stored.cols)?;
    quantized(*format, &numbers, &weighting).map_err(|source| MeasureError::Tensor {
        name: name.clone(),
        source,
    })
}

/// What blocks stand for, as bytes of float32.
fn restored(
    (name, format): &(String, BlockFormat),
    blocks: &[u8],
    model: &Model,
) -> Result<Vec<u8>, MeasureError> {
    let stored = model.weights.weight(name)?;
    let mut numbers = vec![0.0; stored.rows * stored.cols];
    let read = dequantize(*format, blocks, &mut numbers);
    read.map_err(|source| MeasureError::Tensor {
        name: name.clone(),
        source,
    })?;
    Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
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

/// What quantizing to `format` makes of the rows of a matrix, or of a stack of them.
fn quantized(format: BlockFormat, numbers: &[f32], weighting: &Weighting<'_>) -> Result<Vec<u8>, BlockError> {
    let matrix = (numbers.len() / weighting.matrices()).max(1);
    let size = |numbers: usize| {
        let size = format.row_bytes(numbers);
        size.ok_or(BlockError::PartialBlock { format, numbers })
    };
    let mut bytes = vec![0; size(numbers.len())?];
    let parts = bytes.chunks_mut(size(matrix)?.max(1)).zip(numbers.chunks(matrix));
    for (index, (bytes, numbers)) in parts.enumerate() {
        weighting.quantize(format, numbers, index, bytes)?;
    }
    Ok(bytes)
}

/// What quantizing to `format` and back makes of them.
pub(crate) fn restore(
    format: BlockFormat,
    numbers: &mut [f32],
    weighting: &Weighting<'_>,
) -> Result<(), BlockError> {
    let bytes = quantized(format, numbers, weighting)?;
    dequantize(format, &bytes, numbers)
}
