//! Phi-3 and Phi-4 without a scaled rotation (arXiv 2404.14219; `Phi3Config` of `transformers`).

use mains_contract::{Activation, RopePairing};

use super::family::{Family, TensorName};
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, rope, tensors, windows};
use crate::blocks::{Architecture, Attention, GatedMlp};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "phi3",
    display_name: "Phi-3",
    gguf: "phi3",
    gguf_marker: None,
    // Dropout is for training.
    ignored: &["embd_pdrop", "resid_pdrop"],
    tensors: &[
        tensors::ENDS,
        tensors::NORMS_BEFORE,
        tensors::VALUE_OUTPUT,
        tensors::FUSED_GATED,
        &[TensorName::new(
            "blk.{}.attn_qkv.weight",
            "model.layers.{}.self_attn.qkv_proj.weight",
        )],
    ],
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        fused: true,
        rope: Some(rope::read_unscaled(
            settings,
            sizes.head_dim,
            RopePairing::Halves,
        )?),
        window: windows::of_all_layers(settings)?,
        ..sizes.attention()
    };
    let mlp = GatedMlp {
        fused: true,
        ..sizes.gated(settings, Activation::Silu)?
    };
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
