//! Takes the parameters of an object one by one; what is left at the end is unknown and refused.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::RequestError;
use super::json::kind;

/// The parameters of an object that were not looked at yet.
pub(super) struct Fields {
    map: Map<String, Value>,
    /// Path of the object, empty for the body itself.
    path: String,
}

/// A parameter that OpenAI documents and that is not honoured here.
pub(super) struct Refused {
    /// Its name.
    pub name: &'static str,
    /// Whether a value asks for nothing, as the documented default does. Null always does.
    pub asks_nothing: fn(&Value) -> bool,
    /// Why it is refused, or what to use.
    pub why: &'static str,
}

impl Fields {
    pub(super) const fn new(map: Map<String, Value>, path: String) -> Self {
        Self { map, path }
    }

    /// The parameters of an object inside the body.
    pub(super) fn of(value: Value, path: String) -> Result<Self, RequestError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            other => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// The full path of a parameter of this object.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The value of `name`, gone from here. Null asks for nothing, like an absent parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, RequestError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&self.path_of(name), "a boolean", &other)),
        }
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, RequestError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&self.path_of(name), "a string", &other)),
        }
    }

    pub(super) fn required_string(&mut self, name: &str) -> Result<String, RequestError> {
        self.string(name)?
            .ok_or_else(|| RequestError::missing(self.path_of(name)))
    }

    pub(super) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, RequestError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let path = self.path_of(name);
        let Value::Number(number) = &value else {
            return Err(wrong_type(&path, "an integer", &value));
        };
        match number.as_i64() {
            Some(integer) if range.contains(&integer) => Ok(Some(integer)),
            _ => Err(RequestError::invalid(
                path,
                format_args!(
                    "{number} is not an integer from {} to {}",
                    range.start(),
                    range.end()
                ),
            )),
        }
    }

    /// An integer from `least` to `most`.
    pub(super) fn count(&mut self, name: &str, least: u32, most: u32) -> Result<Option<u32>, RequestError> {
        let value = self.integer(name, i64::from(least)..=i64::from(most))?;
        Ok(value.map(|value| u32::try_from(value).expect("checked to be within a range of u32")))
    }

    /// A number that `allowed` accepts; `range` says in words what that is.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: &str,
        allowed: impl Fn(f64) -> bool,
    ) -> Result<Option<f32>, RequestError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        as_number(&self.path_of(name), &value, range, allowed).map(Some)
    }

    /// Refuses each parameter of the table that asks for something.
    pub(super) fn refuse(&mut self, table: &[Refused]) -> Result<(), RequestError> {
        for refused in table {
            if let Some(value) = self.take(refused.name)
                && !(refused.asks_nothing)(&value)
            {
                return Err(RequestError::unsupported(self.path_of(refused.name), refused.why));
            }
        }
        Ok(())
    }

    /// Refuses the first parameter that is left.
    pub(super) fn finish(self) -> Result<(), RequestError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(RequestError::unknown(self.path_of(name))),
        }
    }
}

/// A finite number that `allowed` accepts, as the f32 that the engine computes with.
#[expect(
    clippy::cast_possible_truncation,
    reason = "sampling is computed in f32; the range was checked before"
)]
pub(super) fn as_number(
    path: &str,
    value: &Value,
    range: &str,
    allowed: impl Fn(f64) -> bool,
) -> Result<f32, RequestError> {
    match value.as_f64() {
        Some(number) if allowed(number) => Ok(number as f32),
        Some(number) => Err(RequestError::invalid(
            path,
            format_args!("{number} is not {range}"),
        )),
        None => Err(wrong_type(path, "a number", value)),
    }
}

pub(super) fn wrong_type(path: &str, expected: &str, found: &Value) -> RequestError {
    let mut error = RequestError::invalid(path, format_args!("expected {expected}, got {}", kind(found)));
    error.code = "invalid_type";
    error
}

/// For [`Refused::asks_nothing`]: no value but null does.
pub(super) const fn never(_: &Value) -> bool {
    false
}

/// For [`Refused::asks_nothing`]: an empty array, object or string.
pub(super) fn empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
