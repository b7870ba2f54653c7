//! The values between operations: every node has its own, so that all of a step can be looked at after it.

use mains_contract::{Bytes, DriverError, Graph, StepLimits, ValueId};

use crate::allocate::allocate;

/// One a node: `rows x width` of its limits.
pub(crate) struct Values {
    numbers: Vec<Vec<f32>>,
    widths: Vec<usize>,
}

impl Values {
    /// Room for all values under `limits`.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(graph: &Graph, limits: &StepLimits) -> Result<Self, DriverError> {
        let nodes = graph.nodes().iter();
        let numbers = nodes.clone().map(|node| {
            let rows = if node.selected {
                limits.output_rows
            } else {
                limits.rows
            };
            allocate(rows.saturating_mul(node.width), "values between operations")
        });
        Ok(Self {
            numbers: numbers.collect::<Result<_, _>>()?,
            widths: nodes.map(|node| node.width).collect(),
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn bytes(&self) -> Bytes {
        let numbers = self.numbers.iter();
        numbers
            .map(|numbers| Bytes::from(size_of_val(numbers.as_slice())))
            .sum()
    }

    /// The first `count` numbers of `value`.
    pub(crate) fn first(&self, value: ValueId, count: usize) -> &[f32] {
        &self.numbers[value.0 as usize][..count]
    }

    /// A row of `value`.
    pub(crate) fn row(&self, value: ValueId, row: usize) -> &[f32] {
        let width = self.widths[value.0 as usize];
        &self.numbers[value.0 as usize][row * width..][..width]
    }

    /// Takes the value of the node at `index` out, so that it can be written while others are read.
    pub(crate) fn take(&mut self, index: usize) -> Vec<f32> {
        std::mem::take(&mut self.numbers[index])
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self, index: usize, numbers: Vec<f32>) {
        self.numbers[index] = numbers;
    }
}
