//! Functions between projections by their names.

use mains_contract::Activation;
use serde_json::{Value, json};

use super::ModelError;
use super::settings::Settings;

/// What `config.json` calls them (`transformers`, `activations.py`). A function's first name is the one that GGUF gets.
const NAMES: [(&str, Activation); 10] = [
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
];

/// Its key in GGUF, where it is not the family's usual one.
const KEY: &str = "hidden_activation";

/// The function that `config.json` names in the setting `name`: `usual` when it does not.
pub(super) fn read(settings: &mut Settings, name: &str, usual: Activation) -> Result<Activation, ModelError> {
    let name = if settings.is_gguf() { KEY } else { name };
    let activation = match settings.take(name).filter(|value| !value.is_null()) {
        None => usual,
        Some(value) => named(name, &value)?,
    };
    if activation != usual
        && let Some((first, _)) = NAMES.iter().find(|(_, known)| *known == activation)
    {
        settings.record_text(KEY, first);
    }
    Ok(activation)
}

fn named(name: &str, value: &Value) -> Result<Activation, ModelError> {
    let found = NAMES.iter().find(|(known, _)| *value == json!(known));
    found.map(|(_, activation)| *activation).ok_or_else(|| {
        let known = NAMES.map(|(name, _)| name).join(", ");
        ModelError::setting(name, value, format!("only {known}"))
    })
}
