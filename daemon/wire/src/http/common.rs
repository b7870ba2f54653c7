//! The parameters that chat and plain completions share.

use mains_types::{LogitBias, Sampling};
use serde_json::Value;

use super::fields::{Fields, as_number, wrong_type};
use super::{MAX_KEEP_ALIVE_S, MAX_LOGIT_BIAS, MAX_STOP_BYTES, MAX_STOPS, RequestError};

/// How a streamed answer is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaming {
    /// A last chunk with the usage, and `usage: null` in the others.
    pub include_usage: bool,
}

pub(super) fn sampling(fields: &mut Fields) -> Result<Sampling, RequestError> {
    let penalty = |number: f64| (-2.0..=2.0).contains(&number);
    Ok(Sampling {
        temperature: fields.number("temperature", "from 0 to 2", |t| (0.0..=2.0).contains(&t))?,
        top_k: fields.count("top_k", 0, i32::MAX.unsigned_abs())?,
        top_p: fields.number("top_p", "above 0 and at most 1", |p| p > 0.0 && p <= 1.0)?,
        min_p: fields.number("min_p", "from 0 to 1", |p| (0.0..=1.0).contains(&p))?,
        frequency_penalty: fields.number("frequency_penalty", "from -2 to 2", penalty)?,
        presence_penalty: fields.number("presence_penalty", "from -2 to 2", penalty)?,
        repetition_penalty: fields.number("repetition_penalty", "from 0.01 to 10", |p| {
            (0.01..=10.0).contains(&p)
        })?,
        logit_bias: logit_bias(fields)?,
        seed: fields
            .integer("seed", i64::MIN..=i64::MAX)?
            .map(i64::cast_unsigned),
    })
}

fn logit_bias(fields: &mut Fields) -> Result<Vec<LogitBias>, RequestError> {
    let Some(value) = fields.take("logit_bias") else {
        return Ok(Vec::new());
    };
    let Value::Object(map) = value else {
        return Err(wrong_type("logit_bias", "an object", &value));
    };
    if map.len() > MAX_LOGIT_BIAS {
        return Err(RequestError::invalid(
            "logit_bias",
            format_args!("{} entries, the most are {MAX_LOGIT_BIAS}", map.len()),
        ));
    }
    map.iter()
        .map(|(key, value)| {
            let path = format!("logit_bias.{key}");
            let token = key
                .parse()
                .ok()
                .filter(|token: &u32| token.to_string() == *key)
                .ok_or_else(|| RequestError::invalid(&*path, "the key is not a token id"))?;
            let bias = as_number(&path, value, "from -100 to 100", |b| {
                (-100.0..=100.0).contains(&b)
            })?;
            Ok(LogitBias { token, bias })
        })
        .collect()
}

pub(super) fn stop(fields: &mut Fields) -> Result<Vec<String>, RequestError> {
    let stops = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(stop)) => vec![stop],
        Some(Value::Array(items)) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::String(stop) => Ok(stop),
                other => Err(wrong_type(&format!("stop[{index}]"), "a string", &other)),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(wrong_type("stop", "a string or an array of strings", &other)),
    };
    if stops.len() > MAX_STOPS {
        return Err(RequestError::invalid(
            "stop",
            format_args!("{} strings, the most are {MAX_STOPS}", stops.len()),
        ));
    }
    if stops
        .iter()
        .any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES)
    {
        return Err(RequestError::invalid(
            "stop",
            format_args!("a stop string has 1 to {MAX_STOP_BYTES} bytes"),
        ));
    }
    Ok(stops)
}

pub(super) fn streaming(fields: &mut Fields) -> Result<Option<Streaming>, RequestError> {
    let stream = fields.boolean("stream")?.unwrap_or(false);
    let options = fields.take("stream_options");
    if !stream {
        return match options {
            None => Ok(None),
            Some(_) => Err(RequestError::invalid(
                "stream_options",
                "only allowed together with \"stream\": true",
            )),
        };
    }
    let mut include_usage = false;
    if let Some(options) = options {
        let mut options = Fields::of(options, "stream_options".to_owned())?;
        include_usage = options.boolean("include_usage")?.unwrap_or(false);
        if options.boolean("include_obfuscation")?.unwrap_or(false) {
            return Err(RequestError::unsupported(
                "stream_options.include_obfuscation",
                "a Unix socket has nobody between the ends",
            ));
        }
        options.finish()?;
    }
    Ok(Some(Streaming { include_usage }))
}

/// Seconds as a number, or a duration such as `"90s"`, `"5m"`, `"2h"`.
pub(super) fn keep_alive(fields: &mut Fields) -> Result<Option<u64>, RequestError> {
    let Some(value) = fields.take("keep_alive") else {
        return Ok(None);
    };
    let seconds = match &value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => duration(text),
        other => return Err(wrong_type("keep_alive", "seconds or a duration", other)),
    };
    match seconds {
        Some(seconds) if seconds <= MAX_KEEP_ALIVE_S => Ok(Some(seconds)),
        _ => Err(RequestError::invalid(
            "keep_alive",
            format_args!(
                "{value} is not a duration from 0 to {MAX_KEEP_ALIVE_S} s (a number of seconds, or \"90s\", \"5m\", \
                 \"2h\"); a model that is to stay for good is pinned in the configuration"
            ),
        )),
    }
}

fn duration(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let scale = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

/// A model's name; whether it exists is not this module's matter.
pub(super) fn model(fields: &mut Fields) -> Result<String, RequestError> {
    let model = fields.required_string("model")?;
    if model.is_empty() {
        return Err(RequestError::invalid("model", "the name is empty"));
    }
    Ok(model)
}
