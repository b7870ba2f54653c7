//! What a sequence leaves behind between steps: the engine owns ids of blocks and slots, the driver owns the storage.

use crate::{BlockFormat, Bytes};

/// One block of per-token state: `block_tokens` consecutive positions of one sequence, in every per-token state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// One slot of per-sequence state: one sequence, in every per-sequence state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// One state of a graph, by its index in [`crate::Graph::states`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// A state that a family declares. Prefix cache, preemption and planner see only these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSpec {
    /// Keys and values of one attention layer, a row each a token. An earlier position can be returned to at any time.
    PerToken {
        /// Numbers of a token's keys (heads times head size).
        key_width: usize,
        /// Numbers of a token's values; 0 when they are part of the keys.
        value_width: usize,
        /// The cache's type. Keys and values are read back in it within a chunk too.
        format: BlockFormat,
        /// Positions that are ever read again, when the attention is windowed.
        window: Option<usize>,
        /// The state whose storage this one reads instead of having its own.
        shared_with: Option<StateId>,
    },
    /// What a sequence has been summed up to (linear attention, convolution). Only the last position can be gone on
    /// from, except by a copy or a snapshot that was made at another. A step that starts at position 0 finds zeros.
    PerSequence {
        /// Numbers of a sequence.
        width: usize,
        /// Their type: F32, so that a sum does not depend on where it was interrupted.
        format: BlockFormat,
    },
}

impl StateSpec {
    /// Bytes that one token adds to this state; 0 when another state holds them.
    #[must_use]
    pub fn bytes_per_token(&self) -> Bytes {
        match self {
            Self::PerToken {
                key_width,
                value_width,
                format,
                shared_with: None,
                ..
            } => row_bytes(*format, *key_width) + row_bytes(*format, *value_width),
            Self::PerToken { .. } | Self::PerSequence { .. } => Bytes::ZERO,
        }
    }

    /// Bytes that one sequence adds to this state, whatever its length.
    #[must_use]
    pub fn bytes_per_sequence(&self) -> Bytes {
        match self {
            Self::PerSequence { width, format } => row_bytes(*format, *width),
            Self::PerToken { .. } => Bytes::ZERO,
        }
    }
}

/// More than there are when a row is no whole number of blocks: a load then fails instead of being too small.
fn row_bytes(format: BlockFormat, width: usize) -> Bytes {
    Bytes::from(format.row_bytes(width).unwrap_or(usize::MAX))
}

/// The state of one sequence: what a snapshot covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceState<'a> {
    /// Its blocks, in the order of positions.
    pub blocks: &'a [BlockId],
    /// Its slot; [`SlotId`] 0 when the graph has no per-sequence state.
    pub slot: SlotId,
}
