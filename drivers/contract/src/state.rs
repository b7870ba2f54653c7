//! What a sequence leaves behind between steps: the engine owns block ids, the driver owns the storage.

use crate::{BlockFormat, Bytes};

/// One block of per-token state: `block_tokens` consecutive positions of one sequence, in every per-token state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// One state of a graph, by its index in [`crate::Graph::states`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// A state that a family declares. Prefix cache, preemption and planner see only these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSpec {
    /// Keys and values of one attention layer, a row each a token.
    PerToken {
        /// Numbers of a token's keys (heads times head size).
        key_width: usize,
        /// Numbers of a token's values.
        value_width: usize,
        /// The cache's type. Keys and values are read back in it within a chunk too.
        format: BlockFormat,
        /// Positions that are ever read again, when the attention is windowed.
        window: Option<usize>,
        /// The state whose storage this one reads instead of having its own.
        shared_with: Option<StateId>,
    },
}

impl StateSpec {
    /// Bytes that one token adds to this state; 0 when another state holds them.
    #[must_use]
    pub fn bytes_per_token(&self) -> Bytes {
        match self {
            Self::PerToken {
                shared_with: Some(_), ..
            } => Bytes::ZERO,
            Self::PerToken {
                key_width,
                value_width,
                format,
                ..
            } => {
                let row = |width: usize| format.row_bytes(width).unwrap_or(usize::MAX);
                Bytes::from(row(*key_width).saturating_add(row(*value_width)))
            }
        }
    }
}
