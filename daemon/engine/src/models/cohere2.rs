//! Command R7B and Command A (arXiv 2504.00698; configuration as in `transformers`, `Cohere2Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("cohere2", "Command R7B, Command A", TENSORS, declare, tiny)
    // Older names of what the types of layers say.
    .ignoring(&[
        "cache_implementation",
        "layer_switch",
        "order_of_interleaved_layers",
    ]);

const TENSORS: &[&[TensorName]] = &[
    tensors::QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::GATED,
    tensors::ENDS,
    tensors::NORMS_BEFORE,
];

fn tiny() -> Value {
    json!([{"layer_norm_eps": 1e-5, "rms_norm_eps": null, "sliding_window": 8, "num_hidden_layers": 4}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.expect("use_qk_norm", &json!(false))?;
    settings.suppose("tie_word_embeddings", json!(true));
    settings.suppose("sliding_window", json!(4096));
    settings.suppose("logit_scale", json!(0.0625));
    let sizes = Sizes::read_with(settings, keys::LAYER_EPSILON, NormKind::Layer)?;
    let attention = Attention {
        rope: Some(rope::read(settings, sizes.head_dim, RopePairing::Neighbours)?),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let windows = windows::by_period(settings, sizes.layers, 4)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        if windows[index].is_none() {
            layer.attention.rope = None;
        }
    });
    let decoder = Decoder {
        arrangement: Arrangement::PARALLEL,
        logit_scale: settings.number(key("logit_scale", "logit_scale"))?,
        ..sizes.plain(settings, layers)?
    };
    Ok(decoder.into())
}
