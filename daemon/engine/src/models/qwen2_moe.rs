//! Qwen2 with experts and one that all tokens use (arXiv 2407.10671; `Qwen2MoeConfig` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("qwen2_moe", "Qwen2 MoE", tensors::QWEN, declare, tiny)
    .adding(&[tensors::EXPERTS, tensors::SHARED_EXPERT])
    .in_gguf("qwen2moe");

fn tiny() -> Value {
    json!([{
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "mlp_only_layers": [0],
        "shared_expert_intermediate_size": 20,
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        biases: settings.has_part("qkv_bias", true, "blk.{}.attn_q.bias")?,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let dense = sizes.gated(settings, Activation::Silu)?;
    let shared = SharedExpert {
        width: settings.integer(keys::SHARED_EXPERT_WIDTH)?,
        gated: true,
    };
    let experts = Experts {
        shared: Some(shared),
        ..experts::read(settings, false)?
    };
    let sparse = experts::sparse_layers(settings, sizes.layers)?;
    let windows = windows::of_every_other_layer(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, dense, |index, layer| {
        windows::set(&windows)(index, layer);
        experts::set(&experts, &sparse)(index, layer);
    });
    sizes.decoder(settings, layers)
}
