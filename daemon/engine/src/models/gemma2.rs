//! Gemma 2 (arXiv 2408.00118; configuration as in `transformers`, `Gemma2Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family =
    Family::new("gemma2", "Gemma 2", TENSORS, declare, tiny).ignoring(&["cache_implementation"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::ENDS_PLUS_ONE,
    tensors::GEMMA_NORMS,
    tensors::QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::GATED,
];

fn tiny() -> Value {
    json!([{"sliding_window": 8, "query_pre_attn_scalar": 12}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    gemma::suppose(settings);
    let sizes = Sizes::read(settings)?;
    let cap = key("attn_logit_softcapping", "attn_logit_softcapping");
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Halves)?),
        soft_cap: settings.number_unless_null(cap, Some(50.0))?,
        ..gemma::attention(settings, &sizes, 46)?
    };
    let mlp = gemma::mlp(settings, &sizes)?;
    let windows = windows::by_layer(settings, sizes.layers, |layer| layer % 2 == 0)?;
    let layers = sizes.layers(&attention, mlp, windows::set(&windows));
    Ok(gemma::decoder(settings, &sizes, Some(30.0), layers)?.into())
}
