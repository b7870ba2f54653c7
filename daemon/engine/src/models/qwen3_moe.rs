//! Qwen3 with experts (arXiv 2505.09388; `Qwen3MoeConfig` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen3_moe", "Qwen3 MoE", TENSORS, declare, tiny).in_gguf("qwen3moe")
    // Of Qwen3's windows, which are for all layers here.
    .ignoring(&["max_window_layers"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS,
    tensors::NORMS_BEFORE,
    tensors::QUERY_KEY,
    tensors::VALUE_OUTPUT,
    tensors::EXPERTS,
    tensors::HEAD_NORMS,
    tensors::GATED,
];

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

fn tiny() -> Vec<Value> {
    vec![tiny::mixture(json!({"num_experts": 4, "norm_topk_prob": true}))]
}
