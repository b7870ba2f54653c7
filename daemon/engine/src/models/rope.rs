//! Rotations as settings describe them: `rope_parameters`, the older keys at the top level, or GGUF's (`transformers`,
//! `modeling_rope_utils.py`; llama.cpp, `ggml_rope_ext`).

use std::f64::consts::PI;

use mains_contract::RopePairing;
use serde_json::{Map, Value, json};

use super::settings::Settings;
use super::{ModelError, keys};
use crate::blocks::Rope;

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

/// Reads the rotation of all layers; heads are `head_dim` wide.
pub(super) fn read(
    settings: &mut Settings,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    let parameters = parameters(settings, None)?;
    finish(settings, parameters, head_dim, pairing)
}

/// Reads the rotation of layers of one type, such as `full_attention`, where Hugging Face files tell them apart.
pub(super) fn read_of(
    settings: &mut Settings,
    layer_type: &str,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    let parameters = parameters(settings, Some(layer_type))?;
    finish(settings, parameters, head_dim, pairing)
}

/// The same where no scaling is known.
pub(super) fn read_unscaled(
    settings: &mut Settings,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    let parameters = parameters(settings, None)?;
    match parameters.values.get("rope_type") {
        Some(kind) if *kind != json!("default") && *kind != json!("none") => {
            Err(refused("rope_type", kind, "only default"))
        }
        _ => finish(settings, parameters, head_dim, pairing),
    }
}

/// The same where a scaling called dynamic has an `alpha` that stretches the base once and for all. GGUF files have the
/// stretched base.
#[expect(
    clippy::cast_precision_loss,
    reason = "a head has far fewer than 2^24 numbers"
)]
pub(super) fn read_stretched(
    settings: &mut Settings,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    /// What published files have beside `alpha` and what has no effect then.
    const UNUSED: [&str; 5] = ["factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim"];
    let mut parameters = parameters(settings, None)?;
    let is_dynamic = parameters.values.get("rope_type") == Some(&json!("dynamic"));
    if is_dynamic && let Some(alpha) = parameters.number("alpha")? {
        let width = head_dim as f64;
        let base = parameters.required("rope_theta")? * alpha.powf(width / (width - 2.0));
        for name in UNUSED {
            parameters.values.remove(name);
        }
        parameters.values.insert("rope_theta".to_owned(), json!(base));
        parameters.values.insert("rope_type".to_owned(), json!("default"));
    }
    finish(settings, parameters, head_dim, pairing)
}

/// Which layers rotate: `no_rope_layers` has 1 for those that do. Else, and in GGUF, all but every fourth.
pub(super) fn layers(settings: &mut Settings, layers: usize) -> Result<Vec<bool>, ModelError> {
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

/// Reads the rotation of layers with a window, in files that tell it from that of the others. Nothing scales it: positions
/// within a window stay small.
pub(super) fn read_local(
    settings: &mut Settings,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    let base = keys::LOCAL_ROPE_BASE;
    if settings.is_gguf() {
        return Ok(Rope::unscaled(
            settings.number_or(base, 10_000.0)?,
            head_dim,
            pairing,
        ));
    }
    let mut parameters = parameters(settings, Some("sliding_attention"))?;
    match parameters.take("rope_type") {
        None => {}
        Some(kind) if kind == json!("default") => {}
        Some(kind) => {
            return Err(refused(
                "rope_type",
                &kind,
                "only default in layers with a window",
            ));
        }
    }
    let theta = parameters.required("rope_theta")?;
    parameters.refuse_rest("default")?;
    let theta = settings.record_number(base, "rope_theta", &json!(theta))?;
    Ok(Rope::unscaled(theta, head_dim, pairing))
}

/// Parameters of one rotation, taken one by one so that those that are left are known.
struct Parameters {
    values: Map<String, Value>,
}

fn parameters(settings: &mut Settings, layer_type: Option<&str>) -> Result<Parameters, ModelError> {
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
    }
    if let Some(kind) = values.remove("type") {
        values.entry("rope_type").or_insert(kind);
    }
    for name in ["rope_theta", "partial_rotary_factor"] {
        if let Some(value) = settings.take(name).filter(|value| !value.is_null()) {
            values.entry(name).or_insert(value);
        }
    }
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
    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, ModelError> {
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

    fn required(&mut self, name: &str) -> Result<f64, ModelError> {
        self.number(name)?.ok_or_else(|| ModelError::MissingSetting {
            name: format!("rope_parameters.{name}"),
        })
    }

    /// The context before scaling; the whole one when files do not say.
    fn original_context(&mut self) -> Result<f64, ModelError> {
        match self.number("original_max_position_embeddings")? {
            Some(original) => Ok(original),
            None => self.required("max_position_embeddings"),
        }
    }

    /// Refuses what no rule has taken.
    fn refuse_rest(mut self, kind: &str) -> Result<(), ModelError> {
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

fn refused(name: &str, value: &Value, reason: &str) -> ModelError {
    ModelError::setting(&format!("rope_parameters.{name}"), value, reason)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a head has far fewer than 2^24 numbers; operations take float32"
)]
fn finish(
    settings: &mut Settings,
    mut parameters: Parameters,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    // GGUF keeps it as float32.
    let base = f64::from(parameters.required("rope_theta")? as f32);
    settings.record_number(keys::ROPE_BASE, "rope_theta", &json!(base))?;
    let kind = match parameters.take("rope_type") {
        None => "default".to_owned(),
        Some(Value::String(kind)) if kind == "none" => "default".to_owned(),
        Some(Value::String(kind)) => kind,
        Some(other) => return Err(refused("rope_type", &other, "it must be a name")),
    };
    let partial = parameters
        .number("partial_rotary_factor")?
        .filter(|partial| *partial <= 1.0);
    let rotated = match parameters.number("rotated")? {
        Some(rotated) => rotated as usize,
        None => (head_dim as f64 * partial.unwrap_or(1.0)) as usize,
    };
    let proportional = kind == "proportional";
    let width = if proportional {
        head_dim
    } else {
        rotated.min(head_dim)
    };
    if width != head_dim {
        settings.record_integer(keys::ROTATED, "rotated", &json!(width))?;
    }
    let mut rope = Rope::unscaled(base as f32, width, pairing);
    match kind.as_str() {
        "default" => {}
        "proportional" => {
            let turned = (partial.unwrap_or(1.0) * head_dim as f64 / 2.0) as usize;
            rope.inverse_frequencies[turned..].fill(0.0);
            let factor = parameters.number("factor")?.unwrap_or(1.0);
            rope = rope.divided(&vec![factor as f32; head_dim / 2]);
        }
        "linear" => {
            let factor = parameters.required("factor")? as f32;
            settings.record_text("rope.scaling.type", "linear");
            settings.record_number(keys::ROPE_FACTOR, "factor", &json!(factor))?;
            rope = rope.divided(&vec![factor; width / 2]);
        }
        "llama3" => {
            let factors = llama3(&rope, &mut parameters)?;
            settings.record_rope_factors(factors.clone());
            rope = rope.divided(&factors);
        }
        "yarn" => rope = yarn(settings, &mut parameters, base, rope)?,
        _ => {
            return Err(refused(
                "rope_type",
                &json!(kind),
                "only default, linear, llama3, yarn and proportional",
            ));
        }
    }
    if let Some(factors) = settings.take_rope_factors(width / 2)? {
        settings.record_rope_factors(factors.clone());
        rope = rope.divided(&factors);
    }
    parameters.refuse_rest(&kind)?;
    Ok(rope)
}

/// Factors that slow down what turns less than `high_freq_factor` times in the original context. They are rounded to
/// float32, as GGUF keeps them, so that both forms of a model have the same frequencies.
#[expect(clippy::cast_possible_truncation, reason = "GGUF keeps factors as float32")]
fn llama3(rope: &Rope, parameters: &mut Parameters) -> Result<Vec<f32>, ModelError> {
    let factor = parameters.required("factor")?;
    let low = parameters.required("low_freq_factor")?;
    let high = parameters.required("high_freq_factor")?;
    let context = parameters.original_context()?;
    let one = |frequency: &f32| {
        let turns = context * f64::from(*frequency) / (2.0 * PI);
        if turns > high {
            1.0
        } else if turns < low {
            factor as f32
        } else {
            let smooth = (turns - low) / (high - low);
            ((1.0 - smooth) / factor + smooth).recip() as f32
        }
    };
    Ok(rope.inverse_frequencies.iter().map(one).collect())
}

/// YaRN (arXiv 2309.00071): frequencies go over from the original to the divided ones between two numbers of turns, and
/// cosine and sine grow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a head has far fewer than 2^24 numbers; operations take float32"
)]
fn yarn(
    settings: &mut Settings,
    parameters: &mut Parameters,
    base: f64,
    mut rope: Rope,
) -> Result<Rope, ModelError> {
    let context = parameters.original_context()?;
    let factor = match parameters.number("factor")? {
        Some(factor) => f64::from(factor as f32),
        None => parameters.required("max_position_embeddings")? / context,
    };
    let fast = parameters.number("beta_fast")?.unwrap_or(32.0);
    let slow = parameters.number("beta_slow")?.unwrap_or(1.0);
    let truncate = match parameters.take("truncate") {
        None => true,
        Some(Value::Bool(truncate)) => truncate,
        Some(other) => return Err(refused("truncate", &other, "true or false")),
    };
    let growth = |by: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * by * factor.ln() + 1.0
        }
    };
    let each = [parameters.number("mscale")?, parameters.number("mscale_all_dim")?];
    let scale = match (parameters.number("attention_factor")?, each) {
        (Some(scale), _) => scale,
        (None, [Some(each), Some(all)]) => growth(each) / growth(all),
        _ => growth(1.0),
    };
    // GGUF has what is multiplied with the growth, and all numbers as float32: both forms have the same bits.
    let beyond_growth = match parameters.number("attn_factor")? {
        Some(factor) => factor as f32,
        None => (scale / growth(1.0)) as f32,
    };
    settings.record_text("rope.scaling.type", "yarn");
    settings.record_number(keys::ROPE_FACTOR, "factor", &json!(factor))?;
    settings.record_integer(
        keys::ROPE_CONTEXT,
        "original_max_position_embeddings",
        &json!(context as u64),
    )?;
    for (key, value, usual) in [
        (keys::YARN_SCALE, f64::from(beyond_growth), 1.0),
        (keys::YARN_FAST, fast, 32.0),
        (keys::YARN_SLOW, slow, 1.0),
    ] {
        if (value - usual).abs() > f64::EPSILON {
            settings.record_number(key, key.gguf, &json!(value))?;
        }
    }
    if !truncate {
        settings.record_flag("rope.scaling.yarn_truncate", false);
    }
    let width = 2.0 * rope.inverse_frequencies.len() as f64;
    // The pair, counted in numbers, that turns so often in the original context.
    let pair = |turns: f64| width * (context / (turns * 2.0 * PI)).ln() / (2.0 * base.ln());
    let (mut low, mut high) = (pair(fast), pair(slow));
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(width - 1.0));
    let span = if low == high { 0.001 } else { high - low };
    for (index, frequency) in rope.inverse_frequencies.iter_mut().enumerate() {
        let divided = ((index as f64 - low) / span).clamp(0.0, 1.0);
        let original = f64::from(*frequency);
        *frequency = (original / factor * divided + original * (1.0 - divided)) as f32;
    }
    rope.scale = (f64::from(beyond_growth) * growth(1.0)) as f32;
    Ok(rope)
}
