//! Which projections have biases, from settings.

use super::ModelError;
use super::settings::Settings;
use crate::blocks::{Attention, GatedMlp};

/// `attention_bias`: all four projections have biases. In GGUF the tensors tell.
pub(super) fn of_attention(settings: &mut Settings, attention: Attention) -> Result<Attention, ModelError> {
    Ok(Attention {
        biases: settings.has_part("attention_bias", false, "blk.{}.attn_q.bias")?,
        output_bias: settings.has_part("attention_bias", false, "blk.{}.attn_output.bias")?,
        ..attention
    })
}

/// `mlp_bias`: all three projections have biases. In GGUF the tensors tell.
pub(super) fn of_gated(settings: &mut Settings, mlp: GatedMlp) -> Result<GatedMlp, ModelError> {
    Ok(GatedMlp {
        biases: settings.has_part("mlp_bias", false, "blk.{}.ffn_gate.bias")?,
        ..mlp
    })
}
