//! Typed metadata values.

use super::cursor::Cursor;
use super::limits::{MAX_ARRAY_LEN, MAX_STRING_BYTES};
use crate::Reason;
use crate::error::at_most;

/// A metadata value, in the type that the file gives it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is its type")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    Array(Array),
}

/// A metadata array: all values have one type. Arrays of arrays are refused.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is its type")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    String(Vec<String>),
}

/// Ties the variants of [`Value`] and [`Array`] to the type ids of the format, for reading, writing and naming.
macro_rules! value_types {
    ($($id:literal $variant:ident $type:ty;)*) => {
        impl Value {
            /// The type's name.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($type),)*
                    Self::Array(array) => array.type_name(),
                }
            }

            pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, Reason> {
                match cursor.u32("the type of a value")? {
                    $($id => <$type as Plain>::read(cursor).map(Self::$variant),)*
                    ARRAY => Array::read(cursor, key).map(Self::Array),
                    id => Err(Reason::key(key, format!("has the unknown value type {id}"))),
                }
            }

            pub(super) fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => {
                        out.extend(u32::to_le_bytes($id));
                        value.write(out);
                    })*
                    Self::Array(array) => {
                        out.extend(ARRAY.to_le_bytes());
                        array.write(out);
                    }
                }
            }
        }

        impl Array {
            /// The type's name.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => concat!("an array of ", stringify!($type)),)*
                }
            }

            /// Values in it.
            #[must_use]
            pub const fn len(&self) -> usize {
                match self {
                    $(Self::$variant(values) => values.len(),)*
                }
            }

            /// Whether it has no values.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.len() == 0
            }

            fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, Reason> {
                let id = cursor.u32("the type of an array")?;
                let length = cursor.u64("the length of an array")?;
                at_most("the length of an array", length, MAX_ARRAY_LEN)?;
                match id {
                    $($id => read_values(cursor, length).map(Self::$variant),)*
                    ARRAY => Err(Reason::key(key, "is an array of arrays, which is not supported")),
                    id => Err(Reason::key(key, format!("has the unknown value type {id}"))),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(values) => {
                        out.extend(u32::to_le_bytes($id));
                        out.extend((values.len() as u64).to_le_bytes());
                        values.iter().for_each(|value| value.write(out));
                    })*
                }
            }
        }
    };
}

/// The type id of an array.
const ARRAY: u32 = 9;

value_types! {
    0 U8 u8;
    1 I8 i8;
    2 U16 u16;
    3 I16 i16;
    4 U32 u32;
    5 I32 i32;
    6 F32 f32;
    7 Bool bool;
    8 String String;
    10 U64 u64;
    11 I64 i64;
    12 F64 f64;
}

fn read_values<T: Plain>(cursor: &mut Cursor<'_>, length: u64) -> Result<Vec<T>, Reason> {
    // Before the allocation: a short file can not ask for a long array. The multiplication can not overflow, for the
    // length is bounded.
    cursor.check("an array", length * T::MIN_BYTES)?;
    (0..length).map(|_| T::read(cursor)).collect()
}

/// A value that is not an array.
trait Plain: Sized {
    /// The fewest bytes that one takes in a file.
    const MIN_BYTES: u64;
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Reason>;
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! plain_numbers {
    ($($type:ty),*) => {$(
        impl Plain for $type {
            const MIN_BYTES: u64 = size_of::<$type>() as u64;

            fn read(cursor: &mut Cursor<'_>) -> Result<Self, Reason> {
                cursor.array("a number").map(Self::from_le_bytes)
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )*};
}

plain_numbers!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

impl Plain for bool {
    const MIN_BYTES: u64 = 1;

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Reason> {
        match u8::read(cursor)? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(Reason::Limit {
                what: "a truth value",
                found: byte.into(),
                limit: 1,
            }),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Plain for String {
    /// The length before the text.
    const MIN_BYTES: u64 = 8;

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Reason> {
        cursor.text("a text", MAX_STRING_BYTES).map(str::to_owned)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend((self.len() as u64).to_le_bytes());
        out.extend(self.as_bytes());
    }
}
