//! Takes metadata values out as the types that callers want.

use super::value::{Array, Value};

/// A value that can be taken out of metadata.
pub trait FromValue<'a>: Sized {
    /// What is expected, for the error.
    const EXPECTED: &'static str;

    /// The value, or `None` when it has another type or does not fit.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! from_integers {
    ($($type:ty = $expected:literal),*) => {$(
        /// Any integer type of the file is taken when the value fits.
        impl FromValue<'_> for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                value.integer()?.try_into().ok()
            }
        }
    )*};
}

from_integers!(
    u32 = "a whole number below 2^32",
    u64 = "a whole number",
    usize = "a whole number",
    i64 = "an integer"
);

impl Value {
    /// The integer that it is, in whichever integer type.
    fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(value) => value.into(),
            Self::I8(value) => value.into(),
            Self::U16(value) => value.into(),
            Self::I16(value) => value.into(),
            Self::U32(value) => value.into(),
            Self::I32(value) => value.into(),
            Self::U64(value) => value.into(),
            Self::I64(value) => value.into(),
            _ => return None,
        })
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a number";

    #[expect(
        clippy::cast_possible_truncation,
        reason = "hyperparameters are computed with in f32"
    )]
    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::F32(value) => Some(value),
            Value::F64(value) => Some(value as Self),
            _ => None,
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(value) = *value {
            Some(value)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a text";

    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::String(value) = value {
            Some(value)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a Array {
    const EXPECTED: &'static str = "an array";

    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(array) = value {
            Some(array)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a [String] {
    const EXPECTED: &'static str = "an array of texts";

    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(Array::String(values)) = value {
            Some(values)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a [f32] {
    const EXPECTED: &'static str = "an array of f32";

    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Array(Array::F32(values)) = value {
            Some(values)
        } else {
            None
        }
    }
}

/// Any integer type of the file is taken; the values are widened.
impl FromValue<'_> for Vec<i64> {
    const EXPECTED: &'static str = "an array of integers";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Array(array) = value else { return None };
        Some(match array {
            Array::U8(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::I8(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::U16(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::I16(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::U32(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::I32(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Array::U64(values) => values
                .iter()
                .map(|value| i64::try_from(*value).ok())
                .collect::<Option<_>>()?,
            Array::I64(values) => values.clone(),
            Array::F32(_) | Array::F64(_) | Array::Bool(_) | Array::String(_) => return None,
        })
    }
}
