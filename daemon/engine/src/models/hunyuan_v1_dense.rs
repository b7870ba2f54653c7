//! Hunyuan, dense (`HunYuanDenseV1Config` of `transformers`): Llama with norms of heads behind the rotation.

use mains_contract::{Activation, RopePairing};

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, biases, rope, tensors};
use crate::blocks::{Architecture, Attention, HeadNorm};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "hunyuan_v1_dense",
    display_name: "Hunyuan",
    gguf: "hunyuan-dense",
    gguf_marker: None,
    // A token's id that nothing is computed from.
    ignored: &["eod_token_id"],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::QUERY_KEY,
        tensors::VALUE_OUTPUT,
        tensors::GATED,
        &[
            TensorName::new(
                "blk.{}.attn_q_norm.weight",
                "model.layers.{}.self_attn.query_layernorm.weight",
            ),
            TensorName::new(
                "blk.{}.attn_k_norm.weight",
                "model.layers.{}.self_attn.key_layernorm.weight",
            ),
        ],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm {
            after_rope: true,
            ..HeadNorm::of_heads(sizes.norm)
        }),
        rope: Some(rope::read_stretched(
            settings,
            sizes.head_dim,
            RopePairing::Halves,
        )?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
