//! Qwen3 with experts (arXiv 2505.09388; `Qwen3MoeConfig` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen3_moe", "Qwen3 MoE", tensors::QWEN, declare, tiny)
    .adding(&[tensors::HEAD_NORMS, tensors::EXPERTS]).in_gguf("qwen3moe")
    // Of Qwen3's windows, which are for all layers here.
    .ignoring(&["max_window_layers"]);

fn tiny() -> Value {
    json!([{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": true}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let rotating = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        window: windows::of_all_layers(settings)?,
        ..biases::of_attention(settings, rotating)?
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let experts = experts::read(settings, true)?;
    let sparse = experts::sparse_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, dense, experts::set(&experts, &sparse));
    sizes.decoder(settings, layers)
}
