//! Keys and values of earlier tokens, in blocks, stored in the cache's own format.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};
use half::{bf16, f16};
use mains_blocks::{Block, BlockQ4_0, BlockQ8_0, CACHE_BLOCK};
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
    row_bytes: usize,
    store: Store,
}

enum Store {
    F32(Vec<f32>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    Q8_0(Vec<BlockQ8_0>),
    Q4_0(Vec<BlockQ4_0>),
}

impl TokenState {
    /// Zeroed storage for all blocks of `limits`; of none when another state has it.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(spec: &StateSpec, limits: &StepLimits) -> Result<Self, DriverError> {
        let (key_width, value_width, format) = match spec {
            StateSpec::PerToken {
                key_width,
                value_width,
                format,
                shared_with: None,
                ..
            } => (*key_width, *value_width, *format),
            StateSpec::PerToken { format, .. } | StateSpec::PerSequence { format, .. } => (0, 0, *format),
        };
        let tokens = limits.blocks.saturating_mul(limits.block_tokens);
        Ok(Self {
            block_tokens: limits.block_tokens,
            keys: Rows::new(key_width, format, tokens)?,
            values: Rows::new(value_width, format, tokens)?,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(self.keys.bytes().len() + self.values.bytes().len())
    }

    /// Stores the key of `position`, rounded to the cache's format.
    pub(crate) fn write_keys(&mut self, blocks: &[BlockId], position: usize, key: &[f32]) {
        let row = self.row(blocks, position);
        self.keys.write(row, key);
    }

    /// Stores the value of `position`, rounded to the cache's format.
    pub(crate) fn write_values(&mut self, blocks: &[BlockId], position: usize, value: &[f32]) {
        let row = self.row(blocks, position);
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
        let (from, to) = (self.rows_of(from), self.rows_of(to));
        for rows in [&mut self.keys, &mut self.values] {
            rows.copy(from.clone(), to.start);
        }
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(&self) -> usize {
        self.block_tokens * (self.keys.row_bytes + self.values.row_bytes)
    }

    /// Appends the bytes of `block`.
    pub(crate) fn save_block(&self, block: BlockId, to: &mut Vec<u8>) {
        let rows = self.rows_of(block);
        self.keys.save(rows.clone(), to);
        self.values.save(rows, to);
    }

    /// Fills `block` from [`TokenState::block_bytes`] bytes.
    pub(crate) fn load_block(&mut self, block: BlockId, from: &[u8]) {
        let rows = self.rows_of(block);
        let (keys, values) = from.split_at(self.block_tokens * self.keys.row_bytes);
        self.keys.load(rows.clone(), keys);
        self.values.load(rows, values);
    }

    fn rows_of(&self, block: BlockId) -> Range<usize> {
        let first = block.0 as usize * self.block_tokens;
        first..first + self.block_tokens
    }

    fn row(&self, blocks: &[BlockId], position: usize) -> usize {
        blocks[position / self.block_tokens].0 as usize * self.block_tokens + position % self.block_tokens
    }
}

impl Rows {
    fn new(width: usize, format: BlockFormat, rows: usize) -> Result<Self, DriverError> {
        let numbers = rows.saturating_mul(width);
        let blocks = numbers / CACHE_BLOCK;
        let store = match format {
            BlockFormat::F16 => Store::F16(allocate(numbers, "state")?),
            BlockFormat::BF16 => Store::BF16(allocate(numbers, "state")?),
            BlockFormat::Q8_0 => Store::Q8_0(allocate(blocks, "state")?),
            BlockFormat::Q4_0 => Store::Q4_0(allocate(blocks, "state")?),
            _ => Store::F32(allocate(numbers, "state")?),
        };
        Ok(Self {
            width,
            row_bytes: format.row_bytes(width).unwrap_or(0),
            store,
        })
    }

    fn bytes(&self) -> &[u8] {
        match &self.store {
            Store::F32(numbers) => cast_slice(numbers),
            Store::F16(numbers) => cast_slice(numbers),
            Store::BF16(numbers) => cast_slice(numbers),
            Store::Q8_0(blocks) => cast_slice(blocks),
            Store::Q4_0(blocks) => cast_slice(blocks),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.store {
            Store::F32(numbers) => cast_slice_mut(numbers),
            Store::F16(numbers) => cast_slice_mut(numbers),
            Store::BF16(numbers) => cast_slice_mut(numbers),
            Store::Q8_0(blocks) => cast_slice_mut(blocks),
            Store::Q4_0(blocks) => cast_slice_mut(blocks),
        }
    }

    fn write(&mut self, row: usize, numbers: &[f32]) {
        let range = row * self.width..(row + 1) * self.width;
        let blocks = range.start / CACHE_BLOCK..range.end / CACHE_BLOCK;
        let in_blocks = numbers.as_chunks().0.iter();
        match &mut self.store {
            Store::F32(stored) => stored[range].copy_from_slice(numbers),
            Store::F16(stored) => {
                for (stored, number) in stored[range].iter_mut().zip(numbers) {
                    *stored = f16::from_f32(*number);
                }
            }
            Store::BF16(stored) => {
                for (stored, number) in stored[range].iter_mut().zip(numbers) {
                    *stored = bf16::from_f32(*number);
                }
            }
            Store::Q8_0(stored) => {
                for (stored, numbers) in stored[blocks].iter_mut().zip(in_blocks) {
                    *stored = BlockQ8_0::cached(numbers);
                }
            }
            Store::Q4_0(stored) => {
                for (stored, numbers) in stored[blocks].iter_mut().zip(in_blocks) {
                    *stored = BlockQ4_0::cached(numbers);
                }
            }
        }
    }

    fn read(&self, row: usize, at: usize) -> f64 {
        let index = row * self.width + at;
        let (block, at) = (index / CACHE_BLOCK, index % CACHE_BLOCK);
        match &self.store {
            Store::F32(stored) => f64::from(stored[index]),
            Store::F16(stored) => stored[index].to_f64(),
            Store::BF16(stored) => stored[index].to_f64(),
            Store::Q8_0(stored) => f64::from(stored[block].scale()) * f64::from(stored[block].levels()[at]),
            Store::Q4_0(stored) => {
                f64::from(stored[block].scales()[0]) * f64::from(stored[block].levels()[at])
            }
        }
    }

    /// The bytes of some rows.
    fn range(&self, rows: Range<usize>) -> Range<usize> {
        rows.start * self.row_bytes..rows.end * self.row_bytes
    }

    fn copy(&mut self, from: Range<usize>, to: usize) {
        let (source, target) = (self.range(from), to * self.row_bytes);
        self.bytes_mut().copy_within(source, target);
    }

    fn save(&self, rows: Range<usize>, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.bytes()[self.range(rows)]);
    }

    fn load(&mut self, rows: Range<usize>, from: &[u8]) {
        let range = self.range(rows);
        self.bytes_mut()[range].copy_from_slice(from);
    }
}
