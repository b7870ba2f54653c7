//! YaRN.

use std::f64::consts::PI;

use serde_json::{Value, json};

use super::parameters::{Parameters, refused};
use crate::blocks::Rope;
use crate::models::settings::Settings;
use crate::models::{ModelError, keys};

/// arXiv 2309.00071: frequencies go over from the original to the divided ones between two numbers of turns, and
/// cosine and sine grow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a head has far fewer than 2^24 numbers; operations take float32"
)]
pub(super) fn scale(
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
    // 0 is as good as none.
    for name in ["mscale", "mscale_all_dim"] {
        parameters.discard_zero(name);
    }
    // GGUF has what is multiplied with the growth, but where attention grows as a whole files suppose a rotation that does
    // not; and all numbers as float32: both forms have the same bits.
    let supposed = if settings.is_recorded(keys::YARN_GROWTH) {
        1.0
    } else {
        growth(1.0)
    };
    let each = [parameters.number("mscale")?, parameters.number("mscale_all_dim")?];
    let scale = match (parameters.number("attention_factor")?, each) {
        (Some(scale), _) => scale,
        (None, [Some(each), Some(all)]) => growth(each) / growth(all),
        _ if settings.is_gguf() => supposed,
        _ => growth(1.0),
    };
    let beyond = match parameters.number("attn_factor")? {
        Some(factor) => factor as f32,
        None => (scale / supposed) as f32,
    };
    settings.record_text("rope.scaling.type", "yarn");
    settings.record_number(keys::ROPE_FACTOR, "factor", &json!(factor))?;
    settings.record_integer(
        keys::ROPE_CONTEXT,
        "original_max_position_embeddings",
        &json!(context as u64),
    )?;
    for (key, value, usual) in [
        (keys::YARN_SCALE, f64::from(beyond), 1.0),
        (keys::YARN_FAST, fast, 32.0),
        (keys::YARN_SLOW, slow, 1.0),
    ] {
        if (value - usual).abs() > f64::EPSILON {
            settings.record_number(key, key.gguf, &json!(value))?;
        }
    }
    settings.record_flag("rope.scaling.yarn_truncate", truncate);
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
    rope.scale = (f64::from(beyond) * supposed) as f32;
    Ok(rope)
}
