//! Choices that operations offer.

/// Which two numbers of a head a rotation pairs, counted from its `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairing {
    /// `i` with `i + half` (GPT-NeoX).
    Halves,
    /// `2i` with `2i + 1` (GPT-J).
    Neighbours,
}

/// A function of one number, or of a gate and what it gates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `x / 2 (1 + erf(x / sqrt 2))` (arXiv 1606.08415).
    Gelu,
    /// Its approximation `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `max(x, 0)`.
    Relu,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `tanh(x)`.
    Tanh,
    /// In [`crate::Op::Gated`] only: `gate` is at most `limit` and `up` within `-limit..=limit`, then
    /// `gate / (1 + e^(-alpha gate)) * (up + 1)` (gpt-oss).
    ClampedSwiglu {
        /// Factor on the gate within the sigmoid.
        alpha: f32,
        /// Where both are clamped.
        limit: f32,
    },
}

impl Activation {
    /// Whether it is more than a function of one number.
    #[must_use]
    pub const fn needs_gate(&self) -> bool {
        matches!(self, Self::ClampedSwiglu { .. })
    }
}

/// How a router's logits become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// Softmax over all experts.
    Softmax,
    /// The logits themselves choose; weights are the softmax over the chosen ones' logits.
    SoftmaxOfChosen,
    /// `1 / (1 + e^-x)`, each by itself.
    Sigmoid,
}

/// Experts in equal groups of consecutive ids, of which a row uses only some (arXiv 2405.04434).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertGroups {
    /// Groups.
    pub count: usize,
    /// How many are kept: the best, ties to the first.
    pub kept: usize,
    /// What makes a group good.
    pub rank: GroupRank,
}

/// What groups of experts are ranked by. Scores include the bias of the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRank {
    /// The highest score.
    Max,
    /// The sum of the two highest scores.
    TopTwoSum,
}
