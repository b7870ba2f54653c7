//! Hunyuan, dense (`HunYuanDenseV1Config` of `transformers`): Llama with norms of heads behind the rotation.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("hunyuan_v1_dense", "Hunyuan", tensors::QWEN, declare, tiny)
    .adding(&[HEAD_NORMS]).in_gguf("hunyuan-dense")
    // A token's id that nothing is computed from.
    .ignoring(&["eod_token_id"]);

const HEAD_NORMS: &[TensorName] = &[
    TensorName::new(
        "blk.{}.attn_q_norm.weight",
        "model.layers.{}.self_attn.query_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.attn_k_norm.weight",
        "model.layers.{}.self_attn.key_layernorm.weight",
    ),
];

fn tiny() -> Value {
    json!([{"rope_scaling": {"type": "dynamic", "alpha": 50.0, "factor": 1.0}}])
}

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
