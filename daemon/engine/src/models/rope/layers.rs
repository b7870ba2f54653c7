//! Which layers rotate.

use serde_json::Value;

use crate::models::ModelError;
use crate::models::settings::Settings;

/// Which layers rotate: `no_rope_layers` has 1 for those that do. Else, and in GGUF, all but every fourth.
pub(in crate::models) fn layers(settings: &mut Settings, layers: usize) -> Result<Vec<bool>, ModelError> {
    const KEY: &str = "rope.layer_pattern";
    let usual =
        |interval: usize| -> Vec<bool> { (1..=layers).map(|layer| layer % interval.max(1) != 0).collect() };
    let interval = settings.take_huggingface("no_rope_layer_interval");
    let interval = interval.as_ref().and_then(Value::as_u64).unwrap_or(4);
    let name = if settings.is_gguf() { KEY } else { "no_rope_layers" };
    let rotates = match settings.take(name) {
        None | Some(Value::Null) => usual(usize::try_from(interval).unwrap_or(4)),
        Some(listed) => {
            let rotates = |value: &Value| value.as_bool().or(value.as_u64().map(|flag| flag != 0));
            let all: Option<Vec<bool>> = listed
                .as_array()
                .filter(|values| values.len() >= layers)
                .and_then(|values| values[..layers].iter().map(rotates).collect());
            all.ok_or_else(|| ModelError::setting(name, &listed, "0 or 1 for each layer"))?
        }
    };
    if rotates != usual(4) {
        settings.record_flags(KEY, rotates.clone());
    }
    Ok(rotates)
}
