//! Phi-3 and Phi-4 (arXiv 2404.14219; `Phi3Config` of `transformers`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("phi3", "Phi-3", TENSORS, declare, tiny)
    // Dropout is for training.
    .ignoring(&["embd_pdrop", "resid_pdrop"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS,
    tensors::NORMS_BEFORE,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::FUSED_GATED,
    &[TensorName::new(
        "blk.{}.attn_qkv.weight",
        "model.layers.{}.self_attn.qkv_proj.weight",
    )],
];

fn tiny() -> Value {
    json!([{}, {
        "original_max_position_embeddings": 32,
        "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 2, 2, 2], "long_factor": [1, 2, 4, 8, 8, 8]},
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let mlp = GatedMlp {
        fused: true,
        ..sizes.gated(settings, Activation::Silu)?
    };
    let attention = Attention {
        fused: true,
        window: windows::of_all_layers(settings)?,
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
