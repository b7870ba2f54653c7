//! The closed set of operations. Numerics belong to the op, not to a kernel: every kernel of a driver gives the same
//! bits for one row, whatever the other rows of the step are.
//!
//! Values are float32, one row a token. Products accumulate in a fixed order that does not depend on how many rows a
//! step has or on how many threads share it. Activations are quantized (int8, one scale for 32) only against quantized
//! weights, never against F32, F16 or BF16.

use crate::{StateId, WeightId};

/// One operation of a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Token ids to rows of a table (vocabulary x width). Inputs: none (the step's token ids).
    Embed {
        /// The table.
        table: WeightId,
    },
    /// `y = x W^T (+ b)` with `W` stored as (outputs x inputs). Inputs: x.
    Linear {
        /// The matrix.
        weight: WeightId,
        /// One number an output.
        bias: Option<WeightId>,
    },
    /// Root-mean-square norm over groups of `group` consecutive numbers, times a weight of `group` numbers. Inputs: x.
    RmsNorm {
        /// The gain, `group` numbers.
        weight: WeightId,
        /// Added to the mean square.
        epsilon: f32,
        /// Width of a group: the whole row, or one head.
        group: usize,
    },
    /// Rotary position embedding on each head (arXiv 2104.09864). Inputs: x.
    Rope {
        /// Width of a head; the row is a whole number of heads.
        head_dim: usize,
        /// One inverse frequency a pair; twice as many numbers of the head are rotated, the rest pass.
        inverse_frequencies: Vec<f32>,
        /// Which two numbers make a pair.
        pairing: RopePairing,
    },
    /// Causal attention over the cached state, which first takes this step's keys and values. Inputs: q, k, v.
    Attention {
        /// Where keys and values are kept.
        state: StateId,
        /// Query heads.
        heads: usize,
        /// Key and value heads; divides `heads`.
        kv_heads: usize,
        /// Width of a query and a key head.
        head_dim: usize,
        /// Width of a value head.
        value_dim: usize,
        /// Factor on the products before the softmax.
        scale: f32,
        /// A token sees this many positions, itself included; all when absent.
        window: Option<usize>,
    },
    /// `activation(gate) * up`, number by number. Inputs: gate, up.
    Gated {
        /// The function of the gate.
        activation: Activation,
    },
    /// Sum, number by number. Inputs: a, b.
    Add,
    /// The step's output rows only; what follows has one row an output. Inputs: x.
    SelectRows,
}

impl Op {
    /// The short name in errors and tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embed { .. } => "embed",
            Self::Linear { .. } => "linear",
            Self::RmsNorm { .. } => "rms_norm",
            Self::Rope { .. } => "rope",
            Self::Attention { .. } => "attention",
            Self::Gated { .. } => "gated",
            Self::Add => "add",
            Self::SelectRows => "select_rows",
        }
    }

    /// How many inputs it takes.
    #[must_use]
    pub const fn arity(&self) -> usize {
        match self {
            Self::Embed { .. } => 0,
            Self::Linear { .. } | Self::RmsNorm { .. } | Self::Rope { .. } | Self::SelectRows => 1,
            Self::Gated { .. } | Self::Add => 2,
            Self::Attention { .. } => 3,
        }
    }
}

/// Which two numbers of a head a rotation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairing {
    /// `i` with `i + half` (GPT-NeoX).
    Halves,
    /// `2i` with `2i + 1` (GPT-J).
    Neighbours,
}

/// A gate's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
}
