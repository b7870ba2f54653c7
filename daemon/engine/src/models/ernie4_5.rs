//! Ernie 4.5, dense (`Ernie4_5Config` of `transformers`): Llama with neighbouring numbers that rotate together.

use mains_contract::{Activation, RopePairing};

use super::family::Family;
use super::settings::Settings;
use super::sizes::Sizes;
use super::{ModelError, rope, tensors};
use crate::blocks::{Architecture, Attention, GatedMlp};

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "ernie4_5",
    display_name: "Ernie 4.5",
    gguf: "ernie4_5",
    gguf_marker: None,
    ignored: &[],
    tensors: tensors::QWEN,
    declare,
};

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let biases = settings.has_part("use_bias", false, "blk.{}.attn_q.bias")?;
    let attention = Attention {
        biases,
        output_bias: biases,
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Neighbours)?),
        ..sizes.attention()
    };
    let mlp = GatedMlp {
        biases,
        ..sizes.gated(settings, Activation::Silu)?
    };
    sizes.decoder(settings, sizes.layers(&attention, mlp, |_, _| {}))
}
