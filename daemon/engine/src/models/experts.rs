//! Mixtures of experts as settings describe them.

use mains_contract::{Activation, ExpertGroups, GroupRank, Scoring};
use serde_json::{Value, json};

use super::keys::{self, in_gguf, key};
use super::settings::Settings;
use super::{ModelError, activation};
use crate::blocks::{DecoderLayer, Experts, Mlp, SharedExpert};

/// GGUF's number for the sigmoid (llama.cpp, `llama_expert_gating_func_type`).
const SIGMOID: usize = 2;

/// How many experts there are. `config.json` has either of two names for it.
pub(super) fn count(settings: &mut Settings) -> Result<usize, ModelError> {
    match settings.optional_integer(keys::EXPERTS)? {
        Some(count) => Ok(count),
        None => settings.integer(keys::LOCAL_EXPERTS),
    }
}

/// Experts that the softmax of the router's logits chooses. GGUF files need not say whether their weights sum to 1:
/// `normalise_in_gguf` is what the architecture does.
pub(super) fn read(settings: &mut Settings, normalise_in_gguf: bool) -> Result<Experts, ModelError> {
    let experts = count(settings)?;
    let used = settings.integer(keys::EXPERTS_USED)?;
    let width = settings.integer(keys::EXPERT_WIDTH)?;
    Ok(Experts {
        normalise: normalise(settings, normalise_in_gguf)?,
        activation: activation::read(settings, "hidden_act", Activation::Silu)?,
        ..Experts::by_softmax(experts, used, width)
    })
}

/// Whether the weights of the chosen sum to 1.
pub(super) fn normalise(settings: &mut Settings, in_gguf: bool) -> Result<bool, ModelError> {
    const KEY: &str = "expert_weights_norm";
    let normalise = match settings.take(KEY) {
        Some(Value::Bool(normalise)) => normalise,
        _ => settings.flag("norm_topk_prob", settings.is_gguf() && in_gguf)?,
    };
    if normalise != in_gguf {
        settings.record_flag(KEY, normalise);
    }
    Ok(normalise)
}

/// Which layers have experts: all but `mlp_only_layers`, and of these each `decoder_sparse_step`-th. In GGUF the tensors
/// tell.
pub(super) fn sparse_layers(settings: &mut Settings, layers: usize) -> Result<Vec<bool>, ModelError> {
    let step = settings.take_huggingface("decoder_sparse_step");
    let step = step.as_ref().and_then(Value::as_u64).unwrap_or(1).max(1);
    let name = "mlp_only_layers";
    let dense: Vec<u64> = match settings.take_huggingface(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(listed) => serde_json::from_value(listed.clone())
            .map_err(|_| ModelError::setting(name, &listed, "a list of layers"))?,
    };
    let is_sparse = |layer: usize| {
        if settings.is_gguf() {
            return settings.has_tensor(&format!("blk.{layer}.ffn_gate_inp.weight"));
        }
        let number = layer as u64;
        !dense.contains(&number) && (number + 1).is_multiple_of(step)
    };
    Ok((0..layers).map(is_sparse).collect())
}

/// Gives a layer its experts.
pub(super) fn set(experts: &Experts, sparse: &[bool]) -> impl Fn(usize, &mut DecoderLayer) {
    move |index, layer| {
        if sparse[index] {
            layer.mlp = Mlp::Experts(experts.clone());
        }
    }
}

/// Experts scored by the sigmoid and chosen with a learned number added to the score, in groups when there are several,
/// with a shared one (arXiv 2412.19437); and how many of the first layers have none of them.
pub(super) fn by_sigmoid(settings: &mut Settings) -> Result<(Experts, usize), ModelError> {
    let experts = settings.integer(key("expert_count", "n_routed_experts"))?;
    let used = settings.integer(keys::EXPERTS_USED)?;
    let width = settings.integer(keys::EXPERT_WIDTH)?;
    let shared = settings.integer(key("expert_shared_count", "n_shared_experts"))?;
    let gating = settings.integer_or(in_gguf("expert_gating_func"), SIGMOID)?;
    if gating != SIGMOID {
        let reason = "only the sigmoid, 2";
        return Err(ModelError::setting("expert_gating_func", &json!(gating), reason));
    }
    let groups = ExpertGroups {
        count: settings.integer_or(key("expert_group_count", "n_group"), 1)?,
        kept: settings.integer_or(key("expert_group_used_count", "topk_group"), 1)?,
        rank: GroupRank::TopTwoSum,
    };
    let block = Experts {
        scoring: Scoring::Sigmoid,
        normalise: settings.recorded_flag(("expert_weights_norm", "norm_topk_prob"), true)?,
        scale: settings.number_or(key("expert_weights_scale", "routed_scaling_factor"), 1.0)?,
        groups: Some(groups).filter(|groups| groups.count > 1),
        choice_bias: true,
        activation: activation::read(settings, "hidden_act", Activation::Silu)?,
        shared: Some(SharedExpert {
            width: shared * width,
            gated: false,
        }),
        ..Experts::by_softmax(experts, used, width)
    };
    Ok((block, dense_layers(settings)?))
}

/// How many of the first layers have a dense part.
fn dense_layers(settings: &mut Settings) -> Result<usize, ModelError> {
    let (gguf, huggingface) = ("leading_dense_block_count", "first_k_dense_replace");
    let name = if settings.is_gguf() { gguf } else { huggingface };
    if settings.peek(name) == Some(Value::from(0)) {
        settings.take(name);
        return Ok(0);
    }
    Ok(settings.optional_integer(key(gguf, huggingface))?.unwrap_or(0))
}
