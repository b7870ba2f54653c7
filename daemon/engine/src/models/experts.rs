//! Mixtures of experts as settings describe them.

use serde_json::Value;

use super::settings::Settings;
use super::{ModelError, keys};
use crate::blocks::{DecoderLayer, Experts, Mlp};

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
