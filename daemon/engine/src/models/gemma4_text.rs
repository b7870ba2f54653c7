//! Gemma 4 without eyes and ears (configuration as in `transformers`, `Gemma4TextConfig`).

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
    settings.refuse_gguf("gemma4")?;
    gemma::suppose(settings);
    // Pictures alone see ahead.
    if settings.take("use_bidirectional_attention") == Some(json!("all")) {
        return Err(ModelError::setting(
            "use_bidirectional_attention",
            &json!("all"),
            "only null or vision",
        ));
    }
    let sizes = Sizes::read(settings)?;
    settings.require(keys::WINDOW)?;
    let mut windows = windows::by_period(settings, sizes.layers, 6)?;
    // The last layer sees everything, whatever files say.
    windows[sizes.layers - 1] = None;
    let one_projection = settings.flag("attention_k_eq_v", false)?;
    let heads = head_sizes(settings, &sizes, &windows, one_projection)?;
    let full = windows
        .iter()
        .position(Option::is_none)
        .map_or(sizes.head_dim, |layer| heads[layer].0);
    let full = rope::read_of(settings, "full_attention", full, RopePairing::Halves)?;
    let sliding = rope::read_local(settings, sizes.head_dim, RopePairing::Halves)?;
    let attention = Attention {
        scale: 1.0,
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        value_norm: Some(Norm {
            kind: NormKind::RmsWithoutGain,
            ..sizes.norm
        }),
        ..biases::of_attention(settings, sizes.attention())?
    };
    let shared = settings.count_or("num_kv_shared_layers", 0)?.min(sizes.layers);
    let first_shared = sizes.layers - shared;
    let doubled = settings.flag("use_double_wide_mlp", false)?;
    let mlp = gemma::mlp(settings, &sizes)?;
    let experts = experts_beside(settings, mlp.activation)?;
    let mut layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.beside.clone_from(&experts);
        let slides = windows[index].is_some();
        let attention = &mut layer.attention;
        attention.window = windows[index];
        (attention.head_dim, attention.kv_heads) = heads[index];
        attention.value_dim = attention.head_dim;
        attention.rope = Some(if slides { &sliding } else { &full }.clone());
        if one_projection && !slides {
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
        if doubled {
            layers[index].mlp = mlp.widened(2).into();
        }
    }
    let decoder = gemma::decoder(settings, &sizes, None, layers)?;
    Ok(Architecture::from(Decoder {
        per_layer: per_layer_input(settings, mlp.activation, sizes.norm)?,
        layer_scale: true,
        ..decoder
    }))
}

/// Experts beside the dense part of each layer, where the settings switch them on.
fn experts_beside(settings: &mut Settings, activation: Activation) -> Result<Option<Experts>, ModelError> {
    if !settings.flag("enable_moe_block", false)? {
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

/// Width of a head and number of key heads of each layer.
fn head_sizes(
    settings: &mut Settings,
    sizes: &Sizes,
    windows: &[Option<usize>],
    one_projection: bool,
) -> Result<Vec<(usize, usize)>, ModelError> {
    let global = settings.count_or("global_head_dim", 512)?;
    let global_kv = settings.count_or("num_global_key_value_heads", sizes.kv_heads)?;
    let mut heads = vec![(sizes.head_dim, sizes.kv_heads); sizes.layers];
    let name = "per_layer_config";
    let listed = match settings.take(name) {
        Some(Value::Object(listed)) => listed,
        _ => {
            for (heads, window) in heads.iter_mut().zip(windows) {
                if window.is_none() {
                    *heads = (global, if one_projection { global_kv } else { sizes.kv_heads });
                }
            }
            return Ok(heads);
        }
    };
    for (index, changes) in &listed {
        let refused = || {
            ModelError::setting(
                &format!("{name}.{index}"),
                changes,
                "only head_dim and num_key_value_heads",
            )
        };
        let layer = index.parse().ok().filter(|index: &usize| *index < sizes.layers);
        let (Some(layer), Some(changes)) = (layer, changes.as_object()) else {
            return Err(refused());
        };
        for (key, value) in changes {
            let value = value.as_u64().and_then(|value| usize::try_from(value).ok());
            match (key.as_str(), value.filter(|value| *value > 0)) {
                ("head_dim", Some(value)) => heads[layer].0 = value,
                ("num_key_value_heads", Some(value)) => heads[layer].1 = value,
                _ => return Err(refused()),
            }
        }
    }
    Ok(heads)
}

fn per_layer_input(
    settings: &mut Settings,
    activation: Activation,
    norm: Norm,
) -> Result<Option<PerLayerInput>, ModelError> {
    let width = settings.count_or("hidden_size_per_layer_input", 256)?;
    let vocabulary = settings.count_or("vocab_size_per_layer_input", 262_144)?;
    let input = PerLayerInput {
        width,
        vocabulary,
        activation,
        norm,
    };
    Ok(Some(input).filter(|_| width > 0))
}
