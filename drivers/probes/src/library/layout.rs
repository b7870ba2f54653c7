//! Where the bytes of an answer hold which fact.

use super::facts::{Fact, Facts, Word};

/// One kibibyte and mebibyte, for sources that count in them.
pub(crate) const KIB: f64 = 1024.0;
/// See [`KIB`].
pub(crate) const MIB: f64 = 1024.0 * 1024.0;
/// Milliwatts, millijoules and thousandths of a degree.
pub(crate) const MILLI: f64 = 1e-3;
/// Microwatts and microjoules.
pub(crate) const MICRO: f64 = 1e-6;
/// Percent, and hundredths of a degree.
pub(crate) const CENTI: f64 = 1e-2;
/// The fact's own unit.
pub(crate) const ONE: f64 = 1.0;

/// How a value lies in memory, in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U32,
    I32,
    U64,
    I64,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// A number times a scale is the fact in its unit.
    Number(Kind, Fact, f64),
    /// At most so many bytes of text.
    Word(Word, usize),
}

/// One value within an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Field {
    /// Its offset in bytes.
    pub(crate) at: usize,
    /// What it is.
    pub(crate) target: Target,
}

/// A number at an offset, of which `scale` makes the fact's unit.
pub(crate) const fn number(at: usize, kind: Kind, fact: Fact, scale: f64) -> Field {
    Field {
        at,
        target: Target::Number(kind, fact, scale),
    }
}

/// A text at an offset.
pub(crate) const fn word(at: usize, word: Word, bytes: usize) -> Field {
    Field {
        at,
        target: Target::Word(word, bytes),
    }
}

/// An answer: its size, what the caller must write into it, what it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    /// Bytes.
    pub(crate) bytes: usize,
    /// A version or type that the library wants to see at an offset.
    pub(crate) stamp: Option<(usize, u32)>,
    /// What is read of it.
    pub(crate) fields: &'static [Field],
}

impl Answer {
    /// A structure.
    pub(crate) const fn new(bytes: usize, stamp: Option<(usize, u32)>, fields: &'static [Field]) -> Self {
        assert!(
            bytes <= ROOM / 2,
            "an answer leaves half of the buffer as a margin"
        );
        Self { bytes, stamp, fields }
    }

    /// Whether it would tell nothing that `facts` does not know yet.
    pub(crate) fn is_known(&self, facts: &Facts) -> bool {
        self.fields.iter().all(|field| match field.target {
            Target::Number(_, fact, _) => facts.get(fact).is_some(),
            Target::Word(word, _) => facts.word(word).is_some(),
        })
    }
}

/// Bytes of [`Buffer`]: twice the largest answer, as some headers understate their structures.
const ROOM: usize = 2048;

/// Zeroed memory that a library writes an answer to, aligned like C's widest scalar.
#[repr(C, align(16))]
pub(crate) struct Buffer([u8; ROOM]);

impl Buffer {
    /// Memory for `answer`, stamped.
    pub(crate) fn stamped(answer: &Answer) -> Self {
        let mut buffer = Self([0; ROOM]);
        if let Some((at, stamp)) = answer.stamp
            && let Some(place) = buffer.0.get_mut(at..at + size_of::<u32>())
        {
            place.copy_from_slice(&stamp.to_ne_bytes());
        }
        buffer
    }

    /// Where a library writes.
    pub(crate) const fn pointer(&mut self) -> *mut std::ffi::c_void {
        self.0.as_mut_ptr().cast()
    }

    /// Moves what the buffer holds into `facts`; what can not be is told.
    pub(crate) fn read(&self, answer: &Answer, facts: &mut Facts) -> Vec<String> {
        let mut garbage = Vec::new();
        for field in answer.fields {
            let bytes = self.0.get(field.at..).unwrap_or_default();
            match field.target {
                Target::Number(kind, fact, scale) => {
                    if let Some(value) = value(kind, bytes) {
                        garbage.extend(facts.set(fact, value * scale).err());
                    }
                }
                Target::Word(word, most) => facts.set_word(word, bytes.get(..most).unwrap_or(bytes)),
            }
        }
        garbage
    }
}

/// The number at the start of `bytes`. Integers above 2^53 lose their last bits; none of them is a fact.
fn value(kind: Kind, bytes: &[u8]) -> Option<f64> {
    macro_rules! read {
        ($number:ty) => {
            <$number>::from_ne_bytes(*bytes.first_chunk()?)
        };
    }
    Some(match kind {
        Kind::U32 => f64::from(read!(u32)),
        Kind::I32 => f64::from(read!(i32)),
        Kind::U64 => read!(u64) as f64,
        Kind::I64 => read!(i64) as f64,
    })
}
