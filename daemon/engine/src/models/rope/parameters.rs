//! Parameters of one rotation, wherever files keep them.

use serde_json::{Map, Value, json};

use crate::models::checkpoint::LONG_ROPE_FACTORS;
use crate::models::settings::Settings;
use crate::models::{ModelError, keys};

/// Parameters that change nothing for text: its three axes are one.
const IGNORED: [&str; 2] = ["mrope_section", "mrope_interleaved"];

/// GGUF's keys of a scaling, and the parameters of `transformers` that they are.
const GGUF_KEYS: [(&str, &str); 8] = [
    ("rope.freq_base", "rope_theta"),
    ("rope.scaling.type", "rope_type"),
    ("rope.scaling.factor", "factor"),
    (
        "rope.scaling.original_context_length",
        "original_max_position_embeddings",
    ),
    ("rope.scaling.attn_factor", "attn_factor"),
    ("rope.scaling.yarn_beta_fast", "beta_fast"),
    ("rope.scaling.yarn_beta_slow", "beta_slow"),
    ("rope.scaling.yarn_truncate", "truncate"),
];

/// Parameters of one rotation, taken one by one so that those that are left are known.
pub(super) struct Parameters {
    values: Map<String, Value>,
}

pub(super) fn parameters(
    settings: &mut Settings,
    layer_type: Option<&str>,
) -> Result<Parameters, ModelError> {
    let mut values = Map::new();
    if settings.is_gguf() {
        for (key, name) in GGUF_KEYS {
            if let Some(value) = settings.take(key) {
                values.insert(name.to_owned(), value);
            }
        }
        if let Some(rotated) = settings.take("rope.dimension_count") {
            values.insert("rotated".to_owned(), rotated);
        }
        if settings.has_rope_factors(LONG_ROPE_FACTORS) {
            values.insert("rope_type".to_owned(), json!("longrope"));
        }
        if let Some(context) = settings.peek(keys::CONTEXT.gguf) {
            values.insert("max_position_embeddings".to_owned(), context);
        }
        return Ok(Parameters { values });
    }
    // Files from before `rope_parameters` have `rope_scaling`, and the base at the top level.
    for name in ["rope_parameters", "rope_scaling"] {
        match settings.take(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(given)) if values.is_empty() || values == given => values = given,
            Some(given @ Value::Object(_)) => {
                return Err(ModelError::setting(
                    name,
                    &given,
                    "rope_parameters says something else",
                ));
            }
            Some(other) => return Err(ModelError::setting(name, &other, "it must be an object")),
        }
    }
    let inner = layer_type.and_then(|layer_type| values.get(layer_type).cloned());
    if let Some(Value::Object(inner)) = inner {
        values = inner;
        // `transformers` looks for this one beside the types of layers, where no file has it.
        values.remove("truncate");
    }
    if let Some(kind) = values.remove("type") {
        values.entry("rope_type").or_insert(kind);
    }
    // The older names of what has one factor a pair.
    let kind = values.get("rope_type").and_then(Value::as_str);
    if matches!(kind, Some("su" | "yarn")) && values.contains_key("long_factor") {
        values.insert("rope_type".to_owned(), json!("longrope"));
    }
    for name in ["rope_theta", "partial_rotary_factor"] {
        if let Some(value) = settings.take(name).filter(|value| !value.is_null()) {
            values.entry(name).or_insert(value);
        }
    }
    // What `transformers` takes where a file says nothing and a family no other.
    values.entry("rope_theta").or_insert(json!(10_000.0));
    let original = "original_max_position_embeddings";
    if let Some(value) = settings.take(original).filter(|value| !value.is_null()) {
        values.insert(original.to_owned(), value);
    }
    if let Some(context) = settings.peek("max_position_embeddings") {
        values.insert("max_position_embeddings".to_owned(), context);
    }
    Ok(Parameters { values })
}

impl Parameters {
    pub(super) fn is_of_type(&self, kind: &str) -> bool {
        self.values.get("rope_type") == Some(&json!(kind))
    }

    pub(super) fn discard(&mut self, name: &str) {
        self.values.remove(name);
    }

    pub(super) fn discard_zero(&mut self, name: &str) {
        if self.values.get(name).and_then(Value::as_f64) == Some(0.0) {
            self.discard(name);
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// One positive number for each of `pairs` pairs.
    pub(super) fn factors(&mut self, name: &str, pairs: usize) -> Result<Vec<f32>, ModelError> {
        let listed = self.take(name).ok_or_else(|| ModelError::MissingSetting {
            name: format!("rope_parameters.{name}"),
        })?;
        let factors: Option<Vec<f32>> = serde_json::from_value(listed.clone()).ok();
        let positive = |factors: &Vec<f32>| factors.iter().all(|factor| *factor > 0.0 && factor.is_finite());
        let suiting = factors.filter(|factors| factors.len() == pairs).filter(positive);
        suiting.ok_or_else(|| refused(name, &listed, &format!("{pairs} numbers above 0")))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value
            .as_f64()
            .filter(|number| number.is_finite() && *number > 0.0);
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(refused(name, &value, "a number above 0")),
        }
    }

    pub(super) fn required(&mut self, name: &str) -> Result<f64, ModelError> {
        self.number(name)?.ok_or_else(|| ModelError::MissingSetting {
            name: format!("rope_parameters.{name}"),
        })
    }

    /// The context before scaling; the whole one when files do not say.
    pub(super) fn original_context(&mut self) -> Result<f64, ModelError> {
        match self.number("original_max_position_embeddings")? {
            Some(original) => Ok(original),
            None => self.required("max_position_embeddings"),
        }
    }

    /// Refuses what no rule has taken.
    pub(super) fn refuse_rest(mut self, kind: &str) -> Result<(), ModelError> {
        for name in ["max_position_embeddings", "original_max_position_embeddings"] {
            self.values.remove(name);
        }
        let unknown =
            |(name, value): &(&String, &Value)| !value.is_null() && !IGNORED.contains(&name.as_str());
        match self.values.iter().find(unknown) {
            Some((name, value)) => Err(refused(
                name,
                value,
                &format!("a rotation of type {kind} has no such parameter"),
            )),
            None => Ok(()),
        }
    }
}

pub(super) fn refused(name: &str, value: &Value, reason: &str) -> ModelError {
    ModelError::setting(&format!("rope_parameters.{name}"), value, reason)
}
