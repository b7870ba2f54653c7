//! Rotations as settings describe them: `rope_parameters`, the older keys at the top level, or GGUF's (`transformers`,
//! `modeling_rope_utils.py`; llama.cpp, `ggml_rope_ext`).

mod layers;
mod parameters;
mod scaling;
mod yarn;

use mains_contract::RopePairing;
use serde_json::{Value, json};

use super::checkpoint::ROPE_FACTORS;
use super::settings::Settings;
use super::{ModelError, keys};
use crate::blocks::Rope;

pub(super) use layers::layers;
use parameters::{Parameters, parameters, refused};

/// What GGUF divides the frequency of a pair by that does not turn: so far that no context sees it.
const STANDSTILL: f32 = 1e30;

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
    if parameters.is_of_type("dynamic")
        && let Some(alpha) = parameters.number("alpha")?
    {
        let width = head_dim as f64;
        let base = parameters.required("rope_theta")? * alpha.powf(width / (width - 2.0));
        UNUSED.iter().for_each(|name| parameters.discard(name));
        parameters.set("rope_theta", json!(base));
        parameters.set("rope_type", json!("default"));
    }
    finish(settings, parameters, head_dim, pairing)
}

/// Reads the rotation of layers with a window, in files that tell it from that of the others. Nothing scales it: positions
/// within a window stay small.
pub(super) fn read_local(
    settings: &mut Settings,
    head_dim: usize,
    pairing: RopePairing,
) -> Result<Rope, ModelError> {
    let base = keys::LOCAL_ROPE_BASE;
    // Readers of GGUF suppose that as many numbers rotate as in the other layers, whose heads may be wider.
    let rotated = settings.integer_or(keys::LOCAL_ROTATED, head_dim)?;
    if settings.is_gguf() {
        return Ok(Rope::unscaled(
            settings.number_or(base, 10_000.0)?,
            rotated.min(head_dim),
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
    let mut base = f64::from(parameters.required("rope_theta")? as f32);
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
    let width = if kind == "proportional" {
        head_dim
    } else {
        rotated.min(head_dim)
    };
    if width != head_dim {
        settings.record_integer(keys::ROTATED, "rotated", &json!(width))?;
    }
    if kind == "dynamic" {
        base *= scaling::dynamic(settings, &mut parameters, width)?;
    }
    let mut rope = Rope::unscaled(base as f32, width, pairing);
    match kind.as_str() {
        "default" | "dynamic" => {}
        "proportional" => {
            let turned = (partial.unwrap_or(1.0) * head_dim as f64 / 2.0) as usize;
            let factor = parameters.number("factor")?.unwrap_or(1.0);
            let mut factors = vec![factor as f32; head_dim / 2];
            factors[turned..].fill(STANDSTILL);
            settings.record_rope_factors(ROPE_FACTORS, factors.clone());
            rope = rope.divided(&factors);
        }
        "linear" => {
            let factor = parameters.required("factor")? as f32;
            settings.record_text("rope.scaling.type", "linear");
            settings.record_number(keys::ROPE_FACTOR, "factor", &json!(factor))?;
            rope = rope.divided(&vec![factor; width / 2]);
        }
        "llama3" => {
            let factors = scaling::llama3(&rope, &mut parameters)?;
            settings.record_rope_factors(ROPE_FACTORS, factors.clone());
            rope = rope.divided(&factors);
        }
        "longrope" => rope = scaling::longrope(settings, &mut parameters, rope)?,
        "yarn" => rope = yarn::scale(settings, &mut parameters, base, rope)?,
        _ => {
            let known = "only default, linear, llama3, yarn, longrope, dynamic and proportional";
            return Err(refused("rope_type", &json!(kind), known));
        }
    }
    if let Some(factors) = settings.take_rope_factors(ROPE_FACTORS, width / 2)? {
        settings.record_rope_factors(ROPE_FACTORS, factors.clone());
        rope = rope.divided(&factors);
    }
    parameters.refuse_rest(&kind)?;
    Ok(rope)
}
