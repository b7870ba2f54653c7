//! OLMo 2 (arXiv 2501.00656; configuration as in `transformers`, `Olmo2Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("olmo2", "OLMo 2", TENSORS, declare, tiny);

const TENSORS: &[&[TensorName]] = &[
    tensors::NORMS_AFTER,
    tensors::ENDS,
    tensors::QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::HEAD_NORMS,
    tensors::GATED,
];

fn tiny() -> Value {
    json!([{}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    let whole = HeadNorm {
        whole: true,
        ..HeadNorm::of_heads(sizes.norm)
    };
    let attention = Attention {
        head_norm: Some(whole),
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let layers = sizes.layers(&attention, mlp, |_, _| {});
    sizes.arranged(settings, Arrangement::POST, layers)
}
