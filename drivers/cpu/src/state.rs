//! What sequences leave behind: keys and values of earlier tokens in blocks, and sums in slots.

use half::{bf16, f16};
use mains_blocks::{BlockQ4_0, BlockQ8_0, CACHE_BLOCK};
use mains_contract::{BlockFormat, BlockId, Bytes, DriverError, SlotId, StateSpec, StepLimits};

use crate::arena::zeroed;

/// The storage of one state of a graph.
pub(crate) enum State {
    Tokens(TokenState),
    Sequences(SlotState),
    /// Another state's.
    Shared,
}

impl State {
    /// Zeroed storage for all blocks and slots of `limits`.
    ///
    /// # Errors
    /// [`DriverError`] when memory runs out, or there are no slots for a state of sequences.
    pub(crate) fn new(spec: &StateSpec, limits: &StepLimits) -> Result<Self, DriverError> {
        match spec {
            StateSpec::PerToken {
                shared_with: Some(_), ..
            } => Ok(Self::Shared),
            StateSpec::PerToken {
                key_width,
                value_width,
                format,
                ..
            } => Ok(Self::Tokens(TokenState {
                key_width: *key_width,
                value_width: *value_width,
                block_tokens: limits.block_tokens,
                store: Store::new(*format, [*key_width, *value_width], limits)?,
            })),
            StateSpec::PerSequence { .. } if limits.slots == 0 => Err(DriverError::Limits(
                "the model has state of sequences, it needs slots".to_owned(),
            )),
            StateSpec::PerSequence { width, .. } => Ok(Self::Sequences(SlotState {
                width: *width,
                numbers: zeroed(limits.slots.saturating_mul(*width), "state")?,
            })),
        }
    }

    /// Bytes that were allocated.
    pub(crate) fn size(&self) -> Bytes {
        match self {
            Self::Tokens(state) => state.store.size(),
            Self::Sequences(state) => Bytes::from(size_of_val(state.numbers.as_slice())),
            Self::Shared => Bytes::ZERO,
        }
    }

    /// Copies all rows of block `from` to block `to`.
    pub(crate) fn copy_block(&mut self, from: BlockId, to: BlockId) {
        if let Self::Tokens(state) = self {
            let tokens = state.block_tokens;
            let (from, to) = (from.0 as usize * tokens, to.0 as usize * tokens);
            for (bytes, row) in state.rows_mut() {
                bytes.copy_within(from * row..(from + tokens) * row, to * row);
            }
        }
    }

    /// Copies slot `from` to slot `to`.
    pub(crate) fn copy_slot(&mut self, from: SlotId, to: SlotId) {
        if let Self::Sequences(state) = self {
            let (from, to, width) = (from.0 as usize, to.0 as usize, state.width);
            state
                .numbers
                .copy_within(from * width..(from + 1) * width, to * width);
        }
    }

    /// Bytes that a sequence of `blocks` blocks takes in a snapshot.
    pub(crate) fn snapshot_bytes(&self, blocks: usize) -> usize {
        match self {
            Self::Tokens(state) => {
                blocks
                    * state.block_tokens
                    * (state.store.row_bytes(state.key_width) + state.store.row_bytes(state.value_width))
            }
            Self::Sequences(state) => state.width * size_of::<f32>(),
            Self::Shared => 0,
        }
    }

    /// Calls `visit` with each run of bytes of a sequence's state, always in the same order.
    pub(crate) fn visit(&mut self, blocks: &[BlockId], slot: SlotId, mut visit: impl FnMut(&mut [u8])) {
        match self {
            Self::Tokens(state) => {
                let tokens = state.block_tokens;
                for (bytes, row) in state.rows_mut() {
                    for block in blocks {
                        visit(&mut bytes[block.0 as usize * tokens * row..][..tokens * row]);
                    }
                }
            }
            Self::Sequences(state) => {
                let numbers = &mut state.numbers[slot.0 as usize * state.width..][..state.width];
                visit(bytemuck::cast_slice_mut(numbers));
            }
            Self::Shared => {}
        }
    }
}

/// Keys and values: `blocks x block_tokens` rows of each.
pub(crate) struct TokenState {
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    pub(crate) block_tokens: usize,
    pub(crate) store: Store,
}

impl TokenState {
    /// The row of `position` in a sequence that owns `blocks`.
    pub(crate) fn row(&self, blocks: &[BlockId], position: usize) -> usize {
        blocks[position / self.block_tokens].0 as usize * self.block_tokens + position % self.block_tokens
    }

    /// The bytes of all keys and of all values, each with those of a row.
    fn rows_mut(&mut self) -> [(&mut [u8], usize); 2] {
        let bytes = [self.key_width, self.value_width].map(|width| self.store.row_bytes(width));
        let [keys, values] = with_rows!(&mut self.store, rows => rows.bytes_mut());
        [(keys, bytes[0]), (values, bytes[1])]
    }
}

/// Numbers of each sequence, one slot after the other.
pub(crate) struct SlotState {
    pub(crate) width: usize,
    pub(crate) numbers: Vec<f32>,
}

/// Keys and values in the cache's format.
pub(crate) enum Store {
    F32(KeysAndValues<f32>),
    F16(KeysAndValues<f16>),
    BF16(KeysAndValues<bf16>),
    Q8_0(KeysAndValues<BlockQ8_0>),
    Q4_0(KeysAndValues<BlockQ4_0>),
}

/// Does something with the rows of `$store`, whatever they are kept in.
macro_rules! with_rows {
    ($store:expr, $rows:ident => $done:expr) => {
        match $store {
            Store::F32($rows) => $done,
            Store::F16($rows) => $done,
            Store::BF16($rows) => $done,
            Store::Q8_0($rows) => $done,
            Store::Q4_0($rows) => $done,
        }
    };
}
pub(crate) use with_rows;

impl Store {
    fn new(format: BlockFormat, widths: [usize; 2], limits: &StepLimits) -> Result<Self, DriverError> {
        let tokens = limits.blocks.saturating_mul(limits.block_tokens);
        let [keys, values] = widths.map(|width| tokens.saturating_mul(width));
        let [key_blocks, value_blocks] = widths.map(|width| tokens.saturating_mul(width / CACHE_BLOCK));
        Ok(match format {
            BlockFormat::F16 => Self::F16(KeysAndValues::new(keys, values)?),
            BlockFormat::BF16 => Self::BF16(KeysAndValues::new(keys, values)?),
            BlockFormat::Q8_0 => Self::Q8_0(KeysAndValues::new(key_blocks, value_blocks)?),
            BlockFormat::Q4_0 => Self::Q4_0(KeysAndValues::new(key_blocks, value_blocks)?),
            _ => Self::F32(KeysAndValues::new(keys, values)?),
        })
    }

    fn size(&self) -> Bytes {
        with_rows!(self, rows => rows.size())
    }

    /// Bytes of a row of `width` numbers.
    const fn row_bytes(&self, width: usize) -> usize {
        match self {
            Self::F32(_) => width * size_of::<f32>(),
            Self::F16(_) | Self::BF16(_) => width * size_of::<f16>(),
            Self::Q8_0(_) => width / CACHE_BLOCK * size_of::<BlockQ8_0>(),
            Self::Q4_0(_) => width / CACHE_BLOCK * size_of::<BlockQ4_0>(),
        }
    }
}

/// Rows of keys and rows of values.
pub(crate) struct KeysAndValues<T> {
    pub(crate) keys: Vec<T>,
    pub(crate) values: Vec<T>,
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

    fn bytes_mut(&mut self) -> [&mut [u8]; 2] {
        [
            bytemuck::cast_slice_mut(&mut self.keys),
            bytemuck::cast_slice_mut(&mut self.values),
        ]
    }
}
