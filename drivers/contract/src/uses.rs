//! What an operation reads beside its inputs: weights and state. Passes over graphs need to know no operation by name.

use crate::{Op, StateId, WeightId};

/// How an operation reads a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightUse {
    /// Rows are looked up.
    Table,
    /// Rows are multiplied with activations: the matrices whose format a model's size and speed hang on.
    Matrix,
    /// Numbers are read as they are: gains, biases, small kernels.
    Vector,
}

impl Op {
    /// Every weight that it reads, in the order of its fields.
    #[must_use]
    pub fn weights(&self) -> Vec<(WeightId, WeightUse)> {
        let mut copy = self.clone();
        let slots = copy.weights_mut();
        slots.into_iter().map(|(id, used)| (*id, used)).collect()
    }

    /// The same, to be changed in place.
    pub(crate) fn weights_mut(&mut self) -> Vec<(&mut WeightId, WeightUse)> {
        let mut found = Vec::new();
        match self {
            Self::Embed { table } | Self::EmbedPosition { table, .. } => {
                found.push((table, WeightUse::Table))
            }
            Self::Linear { weight, bias } | Self::ExpertLinear { weight, bias, .. } => {
                found.push((weight, WeightUse::Matrix));
                found.extend(bias.as_mut().map(|bias| (bias, WeightUse::Vector)));
            }
            Self::HeadLinear { weight, .. } => found.push((weight, WeightUse::Matrix)),
            Self::AddWeight { weight, .. }
            | Self::MultiplyWeight { weight }
            | Self::ShortConvolution { weight, .. } => found.push((weight, WeightUse::Vector)),
            Self::RmsNorm { weight: gain, .. } | Self::Attention { sinks: gain, .. } => {
                found.extend(gain.as_mut().map(|gain| (gain, WeightUse::Vector)));
            }
            Self::LayerNorm {
                weight: first,
                bias: second,
                ..
            }
            | Self::Route {
                bias: first,
                expert_scale: second,
                ..
            } => {
                let both = [first, second].into_iter().flatten();
                found.extend(both.map(|vector| (vector, WeightUse::Vector)));
            }
            Self::Input { .. }
            | Self::L2Norm { .. }
            | Self::Rope { .. }
            | Self::Gated { .. }
            | Self::Activate { .. }
            | Self::Add
            | Self::Multiply
            | Self::Scale { .. }
            | Self::SoftCap { .. }
            | Self::Slice { .. }
            | Self::Concat { .. }
            | Self::CombineExperts { .. }
            | Self::GatedDelta { .. }
            | Self::SelectRows => {}
        }
        found
    }

    /// The state that it reads or writes.
    #[must_use]
    pub const fn state(&self) -> Option<StateId> {
        match self {
            Self::Attention { state, .. }
            | Self::ShortConvolution { state, .. }
            | Self::GatedDelta { state, .. } => Some(*state),
            _ => None,
        }
    }

    /// The same, to be changed in place.
    pub(crate) const fn state_mut(&mut self) -> Option<&mut StateId> {
        match self {
            Self::Attention { state, .. }
            | Self::ShortConvolution { state, .. }
            | Self::GatedDelta { state, .. } => Some(state),
            _ => None,
        }
    }
}
