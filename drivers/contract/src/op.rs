//! The closed set of operations. Numerics belong to the op, not to a kernel: every kernel of a driver gives the same
//! bits for one row, whatever the other rows of the step are.
//!
//! Values are float32, one row a token. Products accumulate in a fixed order that does not depend on how many rows a
//! step has or on how many threads share it. Activations are quantized (int8, one scale for 32) only against quantized
//! weights, never against F32, F16 or BF16. Router, norms, softmax, states of a sequence and the residual stream are
//! float32 or better. `docs/operations.md` shows which families need which of these.

use crate::{Activation, ExpertGroups, RopePairing, Scoring, StateId, WeightId};

/// One operation of a graph. Where it says "groups", a row is cut into equal parts of consecutive numbers, which are
/// treated alike.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Numbers `start..start + width` of the step's input rows: what an earlier segment computed. Inputs: none.
    Input {
        /// First number of the input row.
        start: usize,
        /// How many.
        width: usize,
    },
    /// Token ids to rows of a table (vocabulary x width). Inputs: none (the step's token ids).
    Embed {
        /// The table.
        table: WeightId,
    },
    /// Positions to rows of a table: row `position + offset`. Inputs: none (the step's positions).
    EmbedPosition {
        /// The table; a position beyond it is an error of the step.
        table: WeightId,
        /// Rows before that of position 0.
        offset: usize,
    },
    /// `y = x W^T (+ b)` with `W` stored as (outputs x inputs). Inputs: x.
    Linear {
        /// The matrix.
        weight: WeightId,
        /// One number an output.
        bias: Option<WeightId>,
    },
    /// [`Op::Linear`] on each head: `y_h = W_h x_h`. Inputs: x.
    HeadLinear {
        /// Matrices of all heads, one below the other: (heads * outputs) x inputs of a head.
        weight: WeightId,
        /// Heads.
        heads: usize,
    },
    /// Sum with one row of a weight. Inputs: x.
    AddWeight {
        /// As wide as x.
        weight: WeightId,
        /// Which row of it.
        row: usize,
    },
    /// Product with a weight of one row, number by number. Inputs: x.
    MultiplyWeight {
        /// One row, as wide as x, or a single number for all of them.
        weight: WeightId,
    },
    /// Root-mean-square norm of each group, times a gain (arXiv 1910.07467). Inputs: x.
    RmsNorm {
        /// The gain, `group` numbers; 1 when absent.
        weight: Option<WeightId>,
        /// Added to the mean square.
        epsilon: f32,
        /// Width of a group: the whole row, or one head.
        group: usize,
    },
    /// `(x - mean) / sqrt(variance + epsilon)` of each group, times a gain, plus a bias (arXiv 1607.06450). Inputs: x.
    LayerNorm {
        /// The gain, `group` numbers; 1 when absent.
        weight: Option<WeightId>,
        /// The bias, `group` numbers; 0 when absent.
        bias: Option<WeightId>,
        /// Added to the variance.
        epsilon: f32,
        /// Width of a group.
        group: usize,
    },
    /// `x / sqrt(sum x^2 + epsilon)` of each group. Inputs: x.
    L2Norm {
        /// Added to the sum of squares.
        epsilon: f32,
        /// Width of a group.
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
        /// Factor on both cosine and sine: YaRN's attention factor (arXiv 2309.00071), else 1.
        scale: f32,
        /// First number of the head that is rotated.
        start: usize,
    },
    /// Attention over cached state, which first takes this step's keys and values. Inputs: q, k, v; q, k when values are
    /// parts of keys; q alone when an earlier operation has written the state of these tokens.
    ///
    /// Causal: a token sees its sequence's positions up to its own. Else: all positions of its sequence, which must
    /// then be whole in one step.
    Attention {
        /// Where keys and values are kept. Operations of one graph may use one state after the other: each overwrites
        /// the step's positions.
        state: StateId,
        /// Query heads.
        heads: usize,
        /// Key and value heads; divides `heads`, and each serves that many consecutive query heads.
        kv_heads: usize,
        /// Width of a query and a key head.
        head_dim: usize,
        /// Width of a value head.
        value_dim: usize,
        /// Factor on the products before the softmax.
        scale: f32,
        /// A token sees positions at a distance below this, itself included (in both directions when not causal); all
        /// when absent.
        window: Option<usize>,
        /// Scores become `cap * tanh(score / cap)` before the softmax.
        soft_cap: Option<f32>,
        /// One score a query head that takes part in the softmax and has no value (1 x heads).
        sinks: Option<WeightId>,
        /// Whether later positions are hidden.
        causal: bool,
        /// Values are the first `value_dim` numbers of each key head (latent attention, arXiv 2405.04434): the state
        /// keeps no values of its own.
        value_from_key: bool,
    },
    /// `activation(gate) * up`, number by number. Inputs: gate, up.
    Gated {
        /// The function of the gate.
        activation: Activation,
    },
    /// `activation(x)`, number by number. Inputs: x.
    Activate {
        /// The function; not one of a gate and something else.
        activation: Activation,
    },
    /// Sum, number by number. Inputs: a, b.
    Add,
    /// Product. Inputs: a, b. When b is narrower, a is cut into as many groups as b has numbers, and each group is
    /// multiplied by its number.
    Multiply,
    /// `x * factor`. Inputs: x.
    Scale {
        /// The factor.
        factor: f32,
    },
    /// `cap * tanh(x / cap)`. Inputs: x.
    SoftCap {
        /// The cap, above 0.
        cap: f32,
    },
    /// Of each group those `width` numbers from `start` on. Inputs: x.
    Slice {
        /// Width of a group.
        group: usize,
        /// First number that is kept.
        start: usize,
        /// How many are kept.
        width: usize,
    },
    /// Group by group: first a's numbers, then b's. Inputs: a, b.
    Concat {
        /// Groups of a, and of the output.
        groups: usize,
        /// Whether b is one group, repeated after each of a's.
        broadcast: bool,
    },
    /// Chooses experts. Inputs: router logits, `experts` wide. Output: `2 * used` wide, the ids of the chosen as whole
    /// numbers, best first and ties to the lowest id, then their weights in the same order.
    Route {
        /// Experts.
        experts: usize,
        /// How many are chosen.
        used: usize,
        /// Logits to scores. Experts are chosen by score, plus `bias`.
        scoring: Scoring,
        /// Whether the weights of the chosen are divided by their sum (plus 1e-20, so that it is never 0).
        normalise: bool,
        /// Factor on the weights, after that.
        scale: f32,
        /// Only experts of the best groups are chosen, when there are groups.
        groups: Option<ExpertGroups>,
        /// Added to scores for choosing only (1 x experts).
        bias: Option<WeightId>,
        /// Factor on the weight of each expert, last of all (1 x experts).
        expert_scale: Option<WeightId>,
    },
    /// [`Op::Linear`] by the matrix of each chosen expert. Inputs: x, route. Output: `used * outputs` wide, in the order
    /// of the route.
    ExpertLinear {
        /// Matrices of all experts, one below the other: (experts * outputs) x inputs.
        weight: WeightId,
        /// One row an expert: experts x outputs.
        bias: Option<WeightId>,
        /// Experts.
        experts: usize,
        /// How many are chosen.
        used: usize,
        /// Whether x has a part for each of the chosen, in their order, rather than one for all.
        per_slot: bool,
    },
    /// Sum of what the chosen experts gave, times their weights, in the order of the route. Inputs: x (`used` groups),
    /// route.
    CombineExperts {
        /// How many are chosen.
        used: usize,
    },
    /// Causal convolution of each number with its own kernel along the sequence: `y[t] = sum_j w[j] x[t - kernel + 1 +
    /// j]`, with zeros before position 0. Inputs: x.
    ShortConvolution {
        /// The last `kernel - 1` rows of x, oldest first: `(kernel - 1) * width` numbers.
        state: StateId,
        /// Width x kernel.
        weight: WeightId,
        /// Function of the sum.
        activation: Option<Activation>,
    },
    /// The gated delta rule (arXiv 2412.06464), token by token. For each head with state S (`key_dim x value_dim`,
    /// zeros before position 0): `S *= exp(decay)`; `S += k (beta (v - S^T k))^T`; the output is `S^T q`. S is rounded to
    /// float32 after each token and at no other place, so that chunks change no bits.
    /// Inputs: q, k (`key_heads * key_dim`), v (`heads * value_dim`), decay, beta (`heads`).
    GatedDelta {
        /// S of all heads, one after the other.
        state: StateId,
        /// Value heads.
        heads: usize,
        /// Query and key heads; divides `heads`, and each serves that many consecutive value heads.
        key_heads: usize,
        /// Width of a query and a key head.
        key_dim: usize,
        /// Width of a value head.
        value_dim: usize,
    },
    /// The step's output rows only; what follows has one row an output. Inputs: x.
    SelectRows,
}

impl Op {
    /// The short name in errors and tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Embed { .. } => "embed",
            Self::EmbedPosition { .. } => "embed_position",
            Self::Linear { .. } => "linear",
            Self::HeadLinear { .. } => "head_linear",
            Self::AddWeight { .. } => "add_weight",
            Self::MultiplyWeight { .. } => "multiply_weight",
            Self::RmsNorm { .. } => "rms_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::L2Norm { .. } => "l2_norm",
            Self::Rope { .. } => "rope",
            Self::Attention { .. } => "attention",
            Self::Gated { .. } => "gated",
            Self::Activate { .. } => "activate",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Scale { .. } => "scale",
            Self::SoftCap { .. } => "soft_cap",
            Self::Slice { .. } => "slice",
            Self::Concat { .. } => "concat",
            Self::Route { .. } => "route",
            Self::ExpertLinear { .. } => "expert_linear",
            Self::CombineExperts { .. } => "combine_experts",
            Self::ShortConvolution { .. } => "short_convolution",
            Self::GatedDelta { .. } => "gated_delta",
            Self::SelectRows => "select_rows",
        }
    }

    /// How many inputs it may have.
    #[must_use]
    pub const fn input_counts(&self) -> &'static [usize] {
        match self {
            Self::Input { .. } | Self::Embed { .. } | Self::EmbedPosition { .. } => &[0],
            Self::Linear { .. }
            | Self::HeadLinear { .. }
            | Self::AddWeight { .. }
            | Self::MultiplyWeight { .. }
            | Self::RmsNorm { .. }
            | Self::LayerNorm { .. }
            | Self::L2Norm { .. }
            | Self::Rope { .. }
            | Self::Activate { .. }
            | Self::Scale { .. }
            | Self::SoftCap { .. }
            | Self::Slice { .. }
            | Self::Route { .. }
            | Self::ShortConvolution { .. }
            | Self::SelectRows => &[1],
            Self::Gated { .. }
            | Self::Add
            | Self::Multiply
            | Self::Concat { .. }
            | Self::ExpertLinear { .. }
            | Self::CombineExperts { .. } => &[2],
            Self::Attention { value_from_key, .. } => {
                if *value_from_key {
                    &[1, 2]
                } else {
                    &[1, 3]
                }
            }
            Self::GatedDelta { .. } => &[5],
        }
    }
}
