//! What a model's own files say about sampling and about ending an answer.
//!
//! The files' own values win. A file that says `do_sample: false` asks for the most likely token, so its temperature
//! is 0. Where files say nothing the temperature is 1, as clients of the OpenAI API expect, although the
//! `transformers` library would then decode greedily.

use mains_types::SamplingDefaults;
use serde_json::{Map, Value};

use super::ModelError;

/// Ids and sampling of one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Defaults {
    /// Tokens that end an answer, growing, each once.
    pub(super) eos: Vec<u32>,
    /// The token that begins a text.
    pub(super) bos: Option<u32>,
    /// Sampling.
    pub(super) sampling: SamplingDefaults,
}

/// Settings of `generation_config.json` that say nothing about which token comes next, or that are read elsewhere.
const IGNORED: &[&str] = &[
    "_from_model_config",
    "bos_token_id",
    "cache_implementation",
    "decoder_start_token_id",
    "do_sample",
    "eos_token_id",
    "max_length",
    "max_new_tokens",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "return_dict_in_generate",
    "transformers_version",
    "use_cache",
];

/// Keys of GGUF that name tokens which end an answer.
const GGUF_EOS: [&str; 4] = [
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.eos_token_ids",
];

/// Reads `config.json` and `generation_config.json`; the latter's `bos_token_id` wins.
pub(super) fn from_huggingface(config: &Value, generation: Option<&Value>) -> Result<Defaults, ModelError> {
    let empty = Map::new();
    let generation = generation.and_then(Value::as_object).unwrap_or(&empty);
    let mut eos = Vec::new();
    for value in [config.get("eos_token_id"), generation.get("eos_token_id")] {
        eos.extend(ids("eos_token_id", value)?);
    }
    let bos = match ids("bos_token_id", generation.get("bos_token_id"))?.first() {
        Some(id) => Some(*id),
        None => ids("bos_token_id", config.get("bos_token_id"))?.first().copied(),
    };
    let mut sampling = SamplingDefaults::default();
    for (name, value) in generation {
        if !value.is_null() && !IGNORED.contains(&name.as_str()) {
            set(&mut sampling, name, name, value)?;
        }
    }
    if generation.get("do_sample") == Some(&Value::Bool(false)) {
        sampling.temperature = Some(0.0);
    }
    Ok(Defaults {
        eos: sorted(eos),
        bos,
        sampling,
    })
}

/// Reads GGUF metadata, scalars and arrays of numbers as JSON.
pub(super) fn from_gguf(metadata: &Map<String, Value>) -> Result<Defaults, ModelError> {
    let mut eos = Vec::new();
    for key in GGUF_EOS {
        eos.extend(ids(key, metadata.get(key))?);
    }
    let key = "tokenizer.ggml.bos_token_id";
    let bos = ids(key, metadata.get(key))?.first().copied();
    let mut sampling = SamplingDefaults::default();
    for (key, value) in metadata {
        if let Some(name) = key.strip_prefix("general.sampling.") {
            let name = match name {
                "temp" => "temperature",
                "penalty_repeat" => "repetition_penalty",
                other => other,
            };
            set(&mut sampling, name, key, value)?;
        }
    }
    Ok(Defaults {
        eos: sorted(eos),
        bos,
        sampling,
    })
}

/// Sets the default called `name`, which the file calls `key`. A setting that is not honoured is refused unless it has
/// the value that changes nothing.
fn set(sampling: &mut SamplingDefaults, name: &str, key: &str, value: &Value) -> Result<(), ModelError> {
    match name {
        "temperature" => sampling.temperature = Some(number(key, value, 0.0)?),
        "top_p" => sampling.top_p = Some(number(key, value, 0.0)?),
        "min_p" => sampling.min_p = Some(number(key, value, 0.0)?),
        "repetition_penalty" => sampling.repetition_penalty = Some(number(key, value, f32::MIN_POSITIVE)?),
        "top_k" => {
            let top_k = value.as_u64().and_then(|top_k| u32::try_from(top_k).ok());
            sampling.top_k = Some(top_k.ok_or_else(|| ModelError::setting(key, value, "a whole number"))?);
        }
        _ if changes_nothing(name, value) => {}
        _ => {
            return Err(ModelError::setting(
                key,
                value,
                "this default for sampling is not honoured",
            ));
        }
    }
    Ok(())
}

/// Whether a setting that is not honoured has its neutral value (`GenerationConfig` of `transformers`; GGUF's
/// `general.sampling`).
fn changes_nothing(name: &str, value: &Value) -> bool {
    let neutral: &[f64] = match name {
        "typical_p" | "num_beams" | "num_beam_groups" | "num_return_sequences" | "length_penalty" => &[1.0],
        "diversity_penalty"
        | "epsilon_cutoff"
        | "eta_cutoff"
        | "min_length"
        | "min_new_tokens"
        | "no_repeat_ngram_size"
        | "xtc_probability"
        | "mirostat" => &[0.0],
        // How far back the repetition penalty looks: everything.
        "penalty_last_n" => &[-1.0],
        // Settings of samplers that are off when their main setting is neutral.
        "mirostat_tau" | "mirostat_eta" | "xtc_threshold" => return true,
        _ => return false,
    };
    value.as_f64().is_some_and(|value| neutral.contains(&value))
}

#[expect(clippy::cast_possible_truncation, reason = "sampling takes float32")]
fn number(key: &str, value: &Value, least: f32) -> Result<f32, ModelError> {
    value
        .as_f64()
        .map(|number| number as f32)
        .filter(|number| number.is_finite() && *number >= least)
        .ok_or_else(|| ModelError::setting(key, value, format!("a number of at least {least}")))
}

/// One id, a list of ids, or none.
fn ids(key: &str, value: Option<&Value>) -> Result<Vec<u32>, ModelError> {
    let one = |value: &Value| {
        value
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| ModelError::setting(key, value, "a token id"))
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{from_gguf, from_huggingface};

    #[test]
    fn every_source_of_eos_counts() {
        let config = json!({"eos_token_id": 5, "bos_token_id": null});
        let generation = json!({"eos_token_id": [7, 5], "bos_token_id": 3});
        let defaults = from_huggingface(&config, Some(&generation)).unwrap();
        assert_eq!((defaults.eos, defaults.bos), (vec![5, 7], Some(3)));
        let metadata = json!({"tokenizer.ggml.eos_token_id": 9, "tokenizer.ggml.eot_token_id": 2});
        assert_eq!(from_gguf(metadata.as_object().unwrap()).unwrap().eos, [2, 9]);
    }

    #[test]
    fn files_decide_sampling_and_silence_decides_nothing() {
        let generation = json!({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95});
        let sampling = from_huggingface(&json!({}), Some(&generation)).unwrap().sampling;
        assert_eq!(
            (sampling.temperature, sampling.top_k, sampling.top_p),
            (Some(0.6), Some(20), Some(0.95))
        );
        let greedy = from_huggingface(&json!({}), Some(&json!({"do_sample": false}))).unwrap();
        assert_eq!(greedy.sampling.temperature, Some(0.0));
        assert_eq!(
            from_huggingface(&json!({}), None).unwrap().sampling.temperature,
            None
        );
        let metadata = json!({"general.sampling.temp": 0.5, "general.sampling.penalty_repeat": 1.1});
        let sampling = from_gguf(metadata.as_object().unwrap()).unwrap().sampling;
        assert_eq!(
            (sampling.temperature, sampling.repetition_penalty),
            (Some(0.5), Some(1.1))
        );
    }

    #[test]
    fn a_default_that_is_not_honoured_is_named() {
        let beams = from_huggingface(&json!({}), Some(&json!({"num_beams": 4}))).unwrap_err();
        assert!(beams.to_string().contains("num_beams = 4"), "{beams}");
        assert!(from_huggingface(&json!({}), Some(&json!({"num_beams": 1}))).is_ok());
        let metadata = json!({"general.sampling.mirostat": 2});
        let mirostat = from_gguf(metadata.as_object().unwrap()).unwrap_err();
        assert!(
            mirostat.to_string().contains("general.sampling.mirostat = 2"),
            "{mirostat}"
        );
    }
}
