//! Keys and values of earlier tokens, in blocks, stored in the cache's own format.

use half::f16;
use mains_contract::{BlockFormat, BlockId, Bytes, DriverError, StateSpec, StepLimits};

use crate::arena::zeroed;

/// One state of a graph: `blocks x block_tokens` rows of keys, and as many of values.
pub(crate) struct TokenState {
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    pub(crate) block_tokens: usize,
    pub(crate) store: Store,
}

/// Keys and values in the cache's format.
pub(crate) enum Store {
    F32(KeysAndValues<f32>),
    F16(KeysAndValues<f16>),
}

/// Rows of keys and rows of values.
pub(crate) struct KeysAndValues<T> {
    pub(crate) keys: Vec<T>,
    pub(crate) values: Vec<T>,
}

impl TokenState {
    /// Zeroed storage for all blocks of `limits`.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(spec: &StateSpec, limits: &StepLimits) -> Result<Self, DriverError> {
        let StateSpec::PerToken {
            key_width,
            value_width,
            format,
            ..
        } = spec
        else {
            return Err(DriverError::Device(
                "state of a sequence was not refused".to_owned(),
            ));
        };
        let tokens = limits.blocks.saturating_mul(limits.block_tokens);
        let (keys, values) = (
            tokens.saturating_mul(*key_width),
            tokens.saturating_mul(*value_width),
        );
        let store = if *format == BlockFormat::F16 {
            Store::F16(KeysAndValues::new(keys, values)?)
        } else {
            Store::F32(KeysAndValues::new(keys, values)?)
        };
        Ok(Self {
            key_width: *key_width,
            value_width: *value_width,
            block_tokens: limits.block_tokens,
            store,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn size(&self) -> Bytes {
        match &self.store {
            Store::F32(rows) => rows.size(),
            Store::F16(rows) => rows.size(),
        }
    }

    /// The row of `position` in a sequence that owns `blocks`.
    pub(crate) fn row(&self, blocks: &[BlockId], position: usize) -> usize {
        blocks[position / self.block_tokens].0 as usize * self.block_tokens + position % self.block_tokens
    }

    /// Copies all rows of block `from` to block `to`.
    pub(crate) fn copy_block(&mut self, from: BlockId, to: BlockId) {
        let (from, to) = (
            from.0 as usize * self.block_tokens,
            to.0 as usize * self.block_tokens,
        );
        match &mut self.store {
            Store::F32(rows) => {
                copy_rows(&mut rows.keys, self.key_width, from, to, self.block_tokens);
                copy_rows(&mut rows.values, self.value_width, from, to, self.block_tokens);
            }
            Store::F16(rows) => {
                copy_rows(&mut rows.keys, self.key_width, from, to, self.block_tokens);
                copy_rows(&mut rows.values, self.value_width, from, to, self.block_tokens);
            }
        }
    }
}

impl<T: bytemuck::Pod> KeysAndValues<T> {
    fn new(keys: usize, values: usize) -> Result<Self, DriverError> {
        Ok(Self {
            keys: zeroed(keys, "state")?,
            values: zeroed(values, "state")?,
        })
    }

    fn size(&self) -> Bytes {
        Bytes::from(size_of_val(self.keys.as_slice()) + size_of_val(self.values.as_slice()))
    }
}

fn copy_rows<T: Copy>(numbers: &mut [T], width: usize, from: usize, to: usize, rows: usize) {
    numbers.copy_within(from * width..(from + rows) * width, to * width);
}
