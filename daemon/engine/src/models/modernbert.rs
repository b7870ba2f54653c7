//! ModernBERT (arXiv 2412.13663; configuration as in `transformers`, `ModernBertConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("modernbert", "ModernBERT", TENSORS, declare, tiny)
    .in_gguf("modern-bert")
    .ignoring(&[
        "classifier_activation",
        "classifier_bias",
        "classifier_dropout",
        "classifier_pooling",
        "cls_token_id",
        "decoder_bias",
        "deterministic_flash_attn",
        "embedding_dropout",
        "gradient_checkpointing",
        "initializer_cutoff_factor",
        "layer_norm_eps",
        "mlp_dropout",
        "position_embedding_type",
        "reference_compile",
        "repad_logits_with_grad",
        "sep_token_id",
        "sparse_pred_ignore_index",
        "sparse_prediction",
    ]);

const TENSORS: &[&[TensorName]] = &[&[
    TensorName::new("token_embd.weight", "embeddings.tok_embeddings.weight"),
    TensorName::new("token_embd_norm.weight", "embeddings.norm.weight"),
    TensorName::new("token_embd_norm.bias", "embeddings.norm.bias"),
    TensorName::new("output_norm.weight", "final_norm.weight"),
    TensorName::new("output_norm.bias", "final_norm.bias"),
    TensorName::new("blk.{}.attn_norm.weight", "layers.{}.attn_norm.weight"),
    TensorName::new("blk.{}.attn_norm.bias", "layers.{}.attn_norm.bias"),
    TensorName::new("blk.{}.attn_qkv.weight", "layers.{}.attn.Wqkv.weight"),
    TensorName::new("blk.{}.attn_qkv.bias", "layers.{}.attn.Wqkv.bias"),
    TensorName::new("blk.{}.attn_output.weight", "layers.{}.attn.Wo.weight"),
    TensorName::new("blk.{}.attn_output.bias", "layers.{}.attn.Wo.bias"),
    TensorName::new("blk.{}.ffn_norm.weight", "layers.{}.mlp_norm.weight"),
    TensorName::new("blk.{}.ffn_norm.bias", "layers.{}.mlp_norm.bias"),
    TensorName::new("blk.{}.ffn_up.weight", "layers.{}.mlp.Wi.weight"),
    TensorName::new("blk.{}.ffn_up.bias", "layers.{}.mlp.Wi.bias"),
    TensorName::new("blk.{}.ffn_down.weight", "layers.{}.mlp.Wo.weight"),
    TensorName::new("blk.{}.ffn_down.bias", "layers.{}.mlp.Wo.bias"),
]];

fn tiny() -> Value {
    json!([{"norm_eps": 1e-5, "rms_norm_eps": null, "rope_theta": null, "local_attention": 8, "num_hidden_layers": 3}])
}

/// Under which key some programs write it that others do not read it from.
const EPSILON: Key = key("attention.layer_norm_rms_epsilon", "norm_eps");

/// The key of this file. Where it has both, they are one number.
fn epsilon(settings: &mut Settings) -> Key {
    if settings.is_gguf() && settings.has(keys::LAYER_EPSILON) {
        settings.take(EPSILON.gguf);
        return keys::LAYER_EPSILON;
    }
    EPSILON
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.take("classifier.pooling_type");
    let norm_biases = settings.has_part("norm_bias", false, "output_norm.bias")?;
    let kind = if norm_biases {
        NormKind::LayerWithBias
    } else {
        NormKind::Layer
    };
    let epsilon = epsilon(settings);
    let sizes = encoders::sizes(settings, epsilon, kind)?;
    let both = [keys::LAYER_EPSILON, EPSILON].map(|key| key.gguf);
    settings.record_everywhere(both, sizes.norm.epsilon);
    let biases = settings.has_part("attention_bias", false, "blk.{}.attn_qkv.bias")?;
    let attention = Attention {
        causal: false,
        fused: true,
        biases,
        output_bias: biases,
        ..sizes.attention()
    };
    let mlp = GatedMlp {
        fused: true,
        biases: settings.has_part("mlp_bias", false, "blk.{}.ffn_up.bias")?,
        ..GatedMlp::new(
            sizes.feed_forward,
            activation::read(settings, "hidden_activation", Activation::Gelu)?,
        )
    };
    suppose_ropes(settings);
    let full = rope::read_of(settings, "full_attention", sizes.head_dim, RopePairing::Halves)?;
    let sliding = rope::read_local(settings, sizes.head_dim, RopePairing::Halves)?;
    settings.suppose("local_attention", json!(128));
    // To both sides: half of what the setting says.
    let window = settings.integer(key("attention.sliding_window", "local_attention"))? / 2 + 1;
    let slides = sliding_layers(settings, sizes.layers)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = slides[index].then_some(window);
        layer.attention.rope = Some(if slides[index] { &sliding } else { &full }.clone());
    });
    let encoder = Encoder {
        width: sizes.width,
        vocabulary: settings.vocabulary()?,
        context: sizes.context,
        positions: false,
        token_types: None,
        norm: sizes.norm,
        norms: EncoderNorms::OfInputs,
        pooler: false,
        layers,
    };
    Ok(encoder.into())
}

/// Files from before `rope_parameters` had types of layers keep a base for each.
fn suppose_ropes(settings: &mut Settings) {
    let mut base = |name: &str, usual: f64| {
        let base = settings.take_huggingface(name).unwrap_or(json!(usual));
        json!({"rope_theta": base})
    };
    let full = base("global_rope_theta", 160_000.0);
    let sliding = base("local_rope_theta", 10_000.0);
    settings.suppose(
        "rope_parameters",
        json!({"full_attention": full, "sliding_attention": sliding}),
    );
}

/// Which layers have a window: those that a list says, or all but every so many'th.
fn sliding_layers(settings: &mut Settings, layers: usize) -> Result<Vec<bool>, ModelError> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    if matches!(settings.peek(PATTERN), Some(Value::Array(_))) {
        return windows::listed(settings, PATTERN, layers);
    }
    settings.suppose("global_attn_every_n_layers", json!(3));
    let period = settings.integer(key(PATTERN, "global_attn_every_n_layers"))?;
    let by_period: Vec<bool> = (0..layers).map(|layer| !layer.is_multiple_of(period)).collect();
    if settings.is_gguf() || settings.peek("layer_types").is_none_or(|listed| listed.is_null()) {
        return Ok(by_period);
    }
    let slides = windows::listed(settings, "layer_types", layers)?;
    if slides != by_period {
        settings.record_flags(PATTERN, slides.clone());
    }
    Ok(slides)
}
