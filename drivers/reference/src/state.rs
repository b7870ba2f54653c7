//! Keys and values of earlier tokens, in blocks, stored in the cache's own format.

use half::f16;
use mains_contract::{BlockFormat, BlockId, Bytes, DriverError, StateSpec, StepLimits};

use crate::allocate::allocate;

/// One state of a graph: `blocks x block_tokens` rows of keys, and as many of values.
pub(crate) struct TokenState {
    block_tokens: usize,
    keys: Rows,
    values: Rows,
}

/// Rows of one width in the cache's format.
struct Rows {
    width: usize,
    store: Store,
}

enum Store {
    F32(Vec<f32>),
    F16(Vec<f16>),
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
        Ok(Self {
            block_tokens: limits.block_tokens,
            keys: Rows::new(*key_width, *format, tokens)?,
            values: Rows::new(*value_width, *format, tokens)?,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn bytes(&self) -> Bytes {
        self.keys.bytes() + self.values.bytes()
    }

    /// Stores the key and the value of `position`, rounded to the cache's format.
    pub(crate) fn write(&mut self, blocks: &[BlockId], position: usize, key: &[f32], value: &[f32]) {
        let row = self.row(blocks, position);
        self.keys.write(row, key);
        self.values.write(row, value);
    }

    /// Number `at` of the key of `position`.
    pub(crate) fn key(&self, blocks: &[BlockId], position: usize, at: usize) -> f64 {
        self.keys.read(self.row(blocks, position), at)
    }

    /// Number `at` of the value of `position`.
    pub(crate) fn value(&self, blocks: &[BlockId], position: usize, at: usize) -> f64 {
        self.values.read(self.row(blocks, position), at)
    }

    /// Copies all rows of block `from` to block `to`.
    pub(crate) fn copy_block(&mut self, from: BlockId, to: BlockId) {
        for rows in [&mut self.keys, &mut self.values] {
            rows.copy(
                from.0 as usize * self.block_tokens,
                to.0 as usize * self.block_tokens,
                self.block_tokens,
            );
        }
    }

    fn row(&self, blocks: &[BlockId], position: usize) -> usize {
        blocks[position / self.block_tokens].0 as usize * self.block_tokens + position % self.block_tokens
    }
}

impl Rows {
    fn new(width: usize, format: BlockFormat, rows: usize) -> Result<Self, DriverError> {
        let numbers = rows.saturating_mul(width);
        let store = match format {
            BlockFormat::F16 => Store::F16(allocate(numbers, "state")?),
            _ => Store::F32(allocate(numbers, "state")?),
        };
        Ok(Self { width, store })
    }

    fn bytes(&self) -> Bytes {
        Bytes::from(match &self.store {
            Store::F32(numbers) => size_of_val(numbers.as_slice()),
            Store::F16(numbers) => size_of_val(numbers.as_slice()),
        })
    }

    fn write(&mut self, row: usize, numbers: &[f32]) {
        let range = row * self.width..(row + 1) * self.width;
        match &mut self.store {
            Store::F32(stored) => stored[range].copy_from_slice(numbers),
            Store::F16(stored) => {
                for (stored, number) in stored[range].iter_mut().zip(numbers) {
                    *stored = f16::from_f32(*number);
                }
            }
        }
    }

    fn read(&self, row: usize, at: usize) -> f64 {
        match &self.store {
            Store::F32(stored) => f64::from(stored[row * self.width + at]),
            Store::F16(stored) => stored[row * self.width + at].to_f64(),
        }
    }

    fn copy(&mut self, from: usize, to: usize, rows: usize) {
        let source = from * self.width..(from + rows) * self.width;
        let target = to * self.width;
        match &mut self.store {
            Store::F32(stored) => stored.copy_within(source, target),
            Store::F16(stored) => stored.copy_within(source, target),
        }
    }
}
