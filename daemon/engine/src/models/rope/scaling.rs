//! Scalings of a rotation for contexts longer than the first training's.

use std::f64::consts::PI;

use serde_json::json;

use super::parameters::Parameters;
use crate::blocks::Rope;
use crate::models::checkpoint::{LONG_ROPE_FACTORS, SHORT_ROPE_FACTORS};
use crate::models::settings::Settings;
use crate::models::{ModelError, keys};

/// Factors that slow down what turns less than `high_freq_factor` times in the original context. They are rounded to
/// float32, as GGUF keeps them, so that both forms of a model have the same frequencies.
#[expect(clippy::cast_possible_truncation, reason = "GGUF keeps factors as float32")]
pub(super) fn llama3(rope: &Rope, parameters: &mut Parameters) -> Result<Vec<f32>, ModelError> {
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

/// What the base is multiplied with when more positions are used than the model was made for.
#[expect(
    clippy::cast_precision_loss,
    reason = "a head and a context have far fewer than 2^52 numbers"
)]
pub(super) fn dynamic(
    settings: &Settings,
    parameters: &mut Parameters,
    width: usize,
) -> Result<f64, ModelError> {
    let factor = parameters.required("factor")?;
    let context = parameters.required("max_position_embeddings")?;
    let used = settings
        .positions()
        .map_or(context, |used| context.max(used as f64));
    let width = width as f64;
    Ok((factor * used / context - (factor - 1.0)).powf(width / (width - 2.0)))
}

/// LongRoPE (arXiv 2402.13753): one of two lists of factors, the long one where texts may have more positions than the
/// original context, and larger cosines and sines.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "contexts are whole numbers below 2^24; operations take float32"
)]
pub(super) fn longrope(
    settings: &mut Settings,
    parameters: &mut Parameters,
    mut rope: Rope,
) -> Result<Rope, ModelError> {
    let original = parameters.original_context()?;
    let context = parameters.required("max_position_embeddings")?;
    let pairs = rope.inverse_frequencies.len();
    let mut lists = Vec::new();
    for (name, tensor) in [
        ("short_factor", SHORT_ROPE_FACTORS),
        ("long_factor", LONG_ROPE_FACTORS),
    ] {
        let factors = match settings.take_rope_factors(tensor, pairs)? {
            Some(factors) => factors,
            None => parameters.factors(name, pairs)?,
        };
        settings.record_rope_factors(tensor, factors.clone());
        lists.push(factors);
    }
    let factor = parameters.number("factor")?.unwrap_or(context / original);
    let grown = if factor <= 1.0 {
        1.0
    } else {
        (1.0 + factor.ln() / original.ln()).sqrt()
    };
    let given = [
        parameters.number("attention_factor")?,
        parameters.number("attn_factor")?,
    ];
    let scale = given.into_iter().flatten().next().unwrap_or(grown) as f32;
    settings.record_integer(
        keys::ROPE_CONTEXT,
        "original_max_position_embeddings",
        &json!(original as u64),
    )?;
    settings.record_number(keys::YARN_SCALE, "attention_factor", &json!(scale))?;
    rope.scale = scale;
    let used = settings.positions().map_or(context, |used| used as f64);
    Ok(rope.divided(&lists[usize::from(used > original)]))
}
