//! Gemma 4 without eyes and ears (configuration as in `transformers`, `Gemma4TextConfig`).

use super::gemma4_heads as heads;
use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("gemma4_text", "Gemma 4", TENSORS, declare, tiny)
    .in_gguf("gemma4")
    // Sizes of experts, read where there are any.
    .ignoring(&["moe_intermediate_size", "num_experts", "top_k_experts"]);

const TENSORS: &[&[TensorName]] = &[
    tensors::NORMS_BEFORE_OF_FOUR,
    tensors::NORMS_AFTER,
    tensors::QUERY_KEY,
    tensors::HEAD_NORMS,
    tensors::ENDS,
    tensors::GATED,
    tensors::VALUE,
    tensors::OUTPUT,
    &[
        TensorName::new(
            "per_layer_token_embd.weight",
            "model.embed_tokens_per_layer.weight",
        ),
        TensorName::new(
            "per_layer_model_proj.weight",
            "model.per_layer_model_projection.weight",
        ),
        TensorName::new(
            "per_layer_proj_norm.weight",
            "model.per_layer_projection_norm.weight",
        ),
        TensorName::new(
            "blk.{}.inp_gate.weight",
            "model.layers.{}.per_layer_input_gate.weight",
        ),
        TensorName::new(
            "blk.{}.proj.weight",
            "model.layers.{}.per_layer_projection.weight",
        ),
        TensorName::new(
            "blk.{}.post_norm.weight",
            "model.layers.{}.post_per_layer_input_norm.weight",
        ),
        TensorName::new("blk.{}.layer_output_scale.weight", "model.layers.{}.layer_scalar"),
        TensorName::new("blk.{}.ffn_gate_inp.weight", "model.layers.{}.router.proj.weight"),
        TensorName::new("blk.{}.ffn_gate_inp.scale", "model.layers.{}.router.scale"),
        TensorName::new(
            "blk.{}.ffn_gate_up_exps.weight",
            "model.layers.{}.experts.gate_up_proj",
        ),
        TensorName::new("blk.{}.ffn_down_exps.weight", "model.layers.{}.experts.down_proj"),
        TensorName::new(
            "blk.{}.ffn_down_exps.scale",
            "model.layers.{}.router.per_expert_scale",
        ),
        TensorName::new(
            "blk.{}.post_ffw_norm_1.weight",
            "model.layers.{}.post_feedforward_layernorm_1.weight",
        ),
        TensorName::new(
            "blk.{}.pre_ffw_norm_2.weight",
            "model.layers.{}.pre_feedforward_layernorm_2.weight",
        ),
        TensorName::new(
            "blk.{}.post_ffw_norm_2.weight",
            "model.layers.{}.post_feedforward_layernorm_2.weight",
        ),
    ],
];

fn tiny() -> Value {
    json!([{
        "sliding_window": 8, "sliding_window_pattern": 2, "num_hidden_layers": 4, "num_kv_shared_layers": 2,
        "global_head_dim": 16, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 96,
    }, {
        "sliding_window": 8, "sliding_window_pattern": 2, "hidden_size_per_layer_input": 0, "global_head_dim": 16,
        "attention_k_eq_v": true, "num_global_key_value_heads": 1, "enable_moe_block": true, "num_experts": 4,
        "top_k_experts": 2, "moe_intermediate_size": 24,
    }])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    gemma::suppose(settings);
    // Pictures alone see ahead.
    if settings.take("use_bidirectional_attention") == Some(json!("all")) {
        return Err(ModelError::setting(
            "use_bidirectional_attention",
            &json!("all"),
            "only null or vision",
        ));
    }
    let kv_heads = settings.listed(keys::KV_HEADS)?;
    let widths = settings.listed(keys::FEED_FORWARD)?;
    let sizes = Sizes::read(settings)?;
    settings.require(keys::WINDOW)?;
    let mut windows = windows::by_period(settings, sizes.layers, 6)?;
    // The last layer sees everything, whatever files say.
    windows[sizes.layers - 1] = None;
    let shared = settings.count(key("attention.shared_kv_layers", "num_kv_shared_layers"), 0)?;
    let one_projection = one_projections(settings, &windows)?;
    let heads = heads::read(
        settings,
        &sizes,
        &windows,
        kv_heads,
        one_projection.contains(&true),
    )?;
    let of_type = |slides: bool| (0..sizes.layers).find(|layer| windows[*layer].is_some() == slides);
    let head_dim = |slides: bool| of_type(slides).map_or(sizes.head_dim, |layer| heads[layer].0);
    let full = rope::read_of(settings, "full_attention", head_dim(false), RopePairing::Halves)?;
    let sliding = rope::read_local(settings, head_dim(true), RopePairing::Halves)?;
    let attention = Attention {
        scale: 1.0,
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        value_norm: Some(Norm {
            kind: NormKind::RmsWithoutGain,
            ..sizes.norm
        }),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let mlp = gemma::mlp(settings, &sizes)?;
    let experts = experts_beside(settings, mlp.activation)?;
    let first_shared = sizes.layers - shared.min(sizes.layers);
    let widths = match widths {
        Some(widths) => widths,
        None => widths_of(settings, &sizes, first_shared)?,
    };
    let mut layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.mlp = GatedMlp::new(widths[index], mlp.activation).into();
        layer.beside.clone_from(&experts);
        let attention = &mut layer.attention;
        attention.window = windows[index];
        (attention.head_dim, attention.kv_heads) = heads[index];
        attention.value_dim = attention.head_dim;
        attention.rope = Some(windows[index].map_or(&full, |_| &sliding).clone());
        if one_projection[index] {
            attention.key_values = KeyValues::OneProjection;
        }
    });
    for index in first_shared..sizes.layers {
        let alike = |owner: &usize| windows[*owner] == windows[index];
        let owner = (0..first_shared).rev().find(alike).ok_or_else(|| {
            let reason = "of each type of layers one must keep keys";
            ModelError::setting("num_kv_shared_layers", &json!(shared), reason)
        })?;
        layers[index].attention.key_values = KeyValues::OfLayer(owner);
    }
    let decoder = gemma::decoder(settings, &sizes, None, layers)?;
    Ok(Architecture::from(Decoder {
        per_layer: per_layer_input(settings, mlp.activation, sizes.norm)?,
        layer_scale: true,
        ..decoder
    }))
}

/// Which layers take values from the projection of keys. In GGUF it is those without a projection of values.
fn one_projections(settings: &mut Settings, windows: &[Option<usize>]) -> Result<Vec<bool>, ModelError> {
    if settings.is_gguf() {
        let has_values = |layer: usize| settings.has_tensor(&format!("blk.{layer}.attn_v.weight"));
        return Ok((0..windows.len()).map(|layer| !has_values(layer)).collect());
    }
    let one = settings.flag("attention_k_eq_v", false)?;
    Ok(windows.iter().map(|window| one && window.is_none()).collect())
}

/// Numbers between the projections of each layer's dense part.
fn widths_of(settings: &mut Settings, sizes: &Sizes, first_shared: usize) -> Result<Vec<usize>, ModelError> {
    let doubled = settings.flag("use_double_wide_mlp", false)?;
    let width = |layer: usize| sizes.feed_forward * if doubled && layer >= first_shared { 2 } else { 1 };
    let widths: Vec<usize> = (0..sizes.layers).map(width).collect();
    settings.record_per_layer(keys::FEED_FORWARD, &widths);
    Ok(widths)
}

/// Experts beside the dense part of each layer, where the settings switch them on.
fn experts_beside(settings: &mut Settings, activation: Activation) -> Result<Option<Experts>, ModelError> {
    if settings.is_gguf() && !settings.has(keys::EXPERTS)
        || !settings.flag("enable_moe_block", settings.is_gguf())?
    {
        return Ok(None);
    }
    let count = settings.integer(keys::EXPERTS)?;
    let used = settings.integer(key("expert_used_count", "top_k_experts"))?;
    let width = settings.integer(keys::EXPERT_WIDTH)?;
    Ok(Some(Experts {
        activation,
        scaled: true,
        fused: true,
        ..Experts::by_softmax(count, used, width)
    }))
}

fn per_layer_input(
    settings: &mut Settings,
    activation: Activation,
    norm: Norm,
) -> Result<Option<PerLayerInput>, ModelError> {
    let key = key("embedding_length_per_layer_input", "hidden_size_per_layer_input");
    let width = settings.count(key, 256)?;
    // Readers of GGUF ask for it where there is none, too.
    settings.record_instead(key, width);
    let vocabulary = if settings.is_gguf() {
        settings.vocabulary()?
    } else {
        settings.count_or("vocab_size_per_layer_input", 262_144)?
    };
    let input = PerLayerInput {
        width,
        vocabulary,
        activation,
        norm,
    };
    Ok(Some(input).filter(|_| width > 0))
}
