//! Gemma 3 without its eyes (arXiv 2503.19786; configuration as in `transformers`, `Gemma3TextConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("gemma3_text", "Gemma 3", TENSORS, declare, tiny)
    .in_gguf("gemma3")
    // The published implementation reads the cap of scores and leaves it at that.
    .ignoring(&["attn_logit_softcapping", "cache_implementation"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::GATED,
    tensors::ENDS_PLUS_ONE,
    tensors::GEMMA_NORMS,
    tensors::VALUE,
    tensors::OUTPUT,
    tensors::QUERY_KEY,
];

fn tiny() -> Value {
    json!([{"sliding_window": 8, "sliding_window_pattern": 2, "rope_local_base_freq": 10_000.0}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    // Published files of models that see leave these out.
    for (name, value) in [
        ("num_attention_heads", json!(8)),
        ("num_key_value_heads", json!(4)),
        ("vocab_size", json!(262_208)),
        ("max_position_embeddings", json!(131_072)),
        ("rms_norm_eps", json!(1e-6)),
    ] {
        settings.suppose(name, value);
    }
    gemma::suppose(settings);
    let sizes = Sizes::read(settings)?;
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        ..gemma::attention(settings, &sizes, 62)?
    };
    let mlp = gemma::mlp(settings, &sizes)?;
    let [sliding, full] = gemma::ropes(settings, &sizes)?;
    settings.require(keys::WINDOW)?;
    let windows = windows::by_period(settings, sizes.layers, 6)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        layer.attention.rope = Some(windows[index].map_or(&full, |_| &sliding).clone());
    });
    Ok(gemma::decoder(settings, &sizes, None, layers)?.into())
}
