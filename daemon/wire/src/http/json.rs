//! JSON without duplicate keys: of two values under one key, one would be ignored in silence.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::RequestError;

/// Parses a body as one JSON object.
///
/// # Errors
/// [`RequestError`] for invalid UTF-8, invalid JSON, a key given twice, nesting beyond 128, or anything but an object.
pub(super) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, RequestError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        RequestError::malformed(format_args!("invalid UTF-8 after byte {}", error.valid_up_to()))
    })?;
    match serde_json::from_str::<Unique>(text) {
        Ok(Unique(Value::Object(map))) => Ok(map),
        Ok(Unique(other)) => Err(RequestError::malformed(format_args!("it is {}", kind(&other)))),
        Err(error) => Err(RequestError::malformed(error)),
    }
}

/// What a value is, in words for an error.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A [`Value`] whose objects had each key once.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key \"{key}\" is given twice")));
            }
            let Unique(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_object;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_plain_object() {
        for (body, word) in [
            (&b"[1]"[..], "an array"),
            (b"{\"a\":1,\"a\":2}", "given twice"),
            (b"{\"a\":{\"b\":1,\"b\":1}}", "given twice"),
            (b"{\"a\":1e999}", "out of range"),
            (b"{\"a\":\"\xff\"}", "invalid UTF-8 after byte 6"),
            (b"{\"a\":1} x", "trailing"),
            (b"", "EOF"),
        ] {
            let error = parse_object(body).unwrap_err();
            assert!(error.message.contains(word), "{}", error.message);
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(
            parse_object(deep.as_bytes())
                .unwrap_err()
                .message
                .contains("recursion")
        );
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_any_bytes(body: Vec<u8>) {
            let plain = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body).ok();
            if let Ok(map) = parse_object(&body) {
                prop_assert_eq!(Some(map), plain);
            }
        }
    }
}
