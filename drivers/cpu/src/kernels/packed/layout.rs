//! What a format is to the kernels: constants, and how vectors of levels and scales come of its bytes.

use bytemuck::{cast_ref, pod_read_unaligned};
use half::f16;

use crate::kernels::math::ROUND;
use crate::simd::{LANES, Simd, VECTOR_BYTES};

/// Rows that lie side by side.
pub(crate) const GROUP: usize = LANES;
/// Columns whose levels are unpacked together: those of one scale of the activations.
pub(super) const PART: usize = 32;
/// Vectors of the levels of that many columns.
pub(super) const PART_VECTORS: usize = PART / 4;
/// Bytes of 16 float16 or of two vectors of bytes.
const HALVES_BYTES: usize = 2 * LANES;
/// Bytes of 16 float32.
const FLOATS_BYTES: usize = 4 * LANES;

/// How a block's scales are stored, each for 16 rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scales {
    /// One float16.
    Half,
    /// The exponent of a power of two, biased by 128.
    Exponent,
    /// One float16, and for each sub-block a factor in a byte without a sign; minima likewise.
    Unsigned,
    /// One float16, and for each sub-block a factor in a byte with a sign.
    Signed,
    /// One float16, and for each sub-block a factor in the low half of a byte; the minimum's in the high half.
    Nibbles,
    /// One float32 a sub-block.
    Float,
}

/// A format: planes of bits that make a stored level, and scales.
pub(crate) trait Layout {
    /// Bits of a level in the first plane: 2, 4 or 8.
    const LOW: usize;
    /// Bits of a level above those: 0, 1 or 2.
    const HIGH: usize;
    /// What stored bits stand for, when it is not themselves.
    const TABLE: Option<[u8; 16]>;
    /// What a level of 0 is stored as.
    const ZERO: i16;
    /// Whether stored levels may be above 127.
    const FULL: bool;
    /// Columns of a block.
    const BLOCK: usize;
    /// Columns of a sub-block, which has a scale of its own: 16 or 32.
    const SUB: usize;
    /// How scales are stored.
    const SCALES: Scales;
    /// Whether there are minima, which are stored as scales are.
    const MINIMA: bool;

    /// Vectors of [`PART`] columns.
    const VECTORS: usize = Self::LOW + Self::HIGH;
    /// Sub-blocks of a block.
    const SUBS: usize = Self::BLOCK / Self::SUB;
    /// Bytes of the first number of the scales: of the block's own.
    const BASE_BYTES: usize = match Self::SCALES {
        Scales::Exponent => LANES,
        Scales::Float => FLOATS_BYTES * Self::SUBS,
        _ => HALVES_BYTES,
    };
    /// Where the factors of sub-blocks begin.
    const SUBS_AT: usize = Self::BASE_BYTES * if Self::MINIMA { 2 } else { 1 };
    /// Bytes of a block's scales and minima.
    const HEADER: usize = Self::SUBS_AT
        + match Self::SCALES {
            Scales::Unsigned => Self::SUBS * LANES * if Self::MINIMA { 2 } else { 1 },
            Scales::Signed | Scales::Nibbles => Self::SUBS * LANES,
            _ => 0,
        };
}

/// How many groups `rows` rows make; the last may not be full.
pub(crate) const fn groups(rows: usize) -> usize {
    rows.div_ceil(GROUP)
}

/// One group of 16 rows.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) vectors: &'a [[u8; VECTOR_BYTES]],
    pub(super) headers: &'a [u8],
}

/// Bytes of the levels of a group.
pub(super) const fn levels_bytes<L: Layout>(cols: usize) -> usize {
    cols / PART * L::VECTORS * VECTOR_BYTES
}

/// Bytes of a group: whole vectors.
pub(super) const fn bytes_of_group<L: Layout>(cols: usize) -> usize {
    levels_bytes::<L>(cols) + (cols / L::BLOCK * L::HEADER).next_multiple_of(VECTOR_BYTES)
}

impl<'a> Group<'a> {
    /// The group at `index` of packed rows of `cols` columns.
    #[inline(always)]
    pub(super) fn new<L: Layout>(bytes: &'a [u8], index: usize, cols: usize) -> Self {
        let size = bytes_of_group::<L>(cols);
        let (levels, headers) = bytes[index * size..][..size].split_at(levels_bytes::<L>(cols));
        Self {
            vectors: levels.as_chunks().0,
            headers,
        }
    }

    /// The scales and minima of a block.
    #[inline(always)]
    pub(super) fn header<L: Layout>(&self, block: usize) -> &'a [u8] {
        &self.headers[block * L::HEADER..][..L::HEADER]
    }

    /// The levels of [`PART`] columns, 4 a vector.
    #[inline(always)]
    pub(super) fn levels<S: Simd, L: Layout>(&self, part: usize) -> [S::Bytes; PART_VECTORS] {
        let vectors = &self.vectors[part * L::VECTORS..][..L::VECTORS];
        let mut levels = [S::load_bytes(&vectors[0]); PART_VECTORS];
        for at in 0..PART_VECTORS {
            let mut bits = plane::<S>(&vectors[..L::LOW], L::LOW, at);
            if L::HIGH > 0 {
                bits = S::join(bits, plane::<S>(&vectors[L::LOW..], L::HIGH, at), L::LOW);
            }
            levels[at] = match L::TABLE {
                Some(table) => S::look_up(&table, bits),
                None => bits,
            };
        }
        levels
    }
}

/// Where `bits` bits of the 4 columns of vector `at` are: which vector of the plane, and above how many bits.
pub(super) const fn place(bits: usize, at: usize) -> (usize, usize) {
    (at % bits, bits * (at / bits))
}

#[inline(always)]
fn plane<S: Simd>(vectors: &[[u8; VECTOR_BYTES]], bits: usize, at: usize) -> S::Bytes {
    let (vector, shift) = place(bits, at);
    let bytes = S::load_bytes(&vectors[vector]);
    if bits == 8 {
        bytes
    } else {
        S::bits(bytes, shift, u8::MAX >> (8 - bits))
    }
}

/// What all sub-blocks of a block share: vectors over its 16 rows.
#[derive(Clone, Copy)]
pub(super) struct Base<S> {
    scale: S,
    minimum: S,
}

impl<S: Simd> Base<S> {
    #[inline(always)]
    pub(super) fn new<L: Layout>(header: &[u8]) -> Self {
        Self {
            scale: base::<S, L>(header),
            minimum: if L::MINIMA {
                base::<S, L>(&header[L::BASE_BYTES..])
            } else {
                S::zero()
            },
        }
    }

    /// The scales of sub-block `sub`.
    #[inline(always)]
    pub(super) fn scale<L: Layout>(self, header: &[u8], sub: usize) -> S {
        match L::SCALES {
            Scales::Half | Scales::Exponent => self.scale,
            Scales::Unsigned => S::load_u8(row::<L>(header, sub)).mul(self.scale),
            Scales::Signed => S::load_i8(cast_ref(row::<L>(header, sub))).mul(self.scale),
            Scales::Nibbles => S::load_u8(&nibbles(row::<L>(header, sub), 0)).mul(self.scale),
            Scales::Float => S::load(&pod_read_unaligned(&header[sub * FLOATS_BYTES..][..FLOATS_BYTES])),
        }
    }

    /// What the 16 rows subtract in sub-block `sub`: zeros when the format has no minima.
    #[inline(always)]
    pub(super) fn minimum<L: Layout>(self, header: &[u8], sub: usize) -> S {
        if !L::MINIMA {
            return S::zero();
        }
        match L::SCALES {
            Scales::Half | Scales::Exponent | Scales::Signed => self.minimum,
            Scales::Unsigned => S::load_u8(row::<L>(header, L::SUBS + sub)).mul(self.minimum),
            Scales::Nibbles => S::load_u8(&nibbles(row::<L>(header, sub), 4)).mul(self.minimum),
            Scales::Float => {
                let start = L::BASE_BYTES + sub * FLOATS_BYTES;
                S::load(&pod_read_unaligned(&header[start..start + FLOATS_BYTES]))
            }
        }
    }
}

// Closures and array methods are left to be functions of their own, without the instructions that the kernel was entered
// for; so these are functions that are inlined.

/// The number that scales, or minima, begin with.
#[inline(always)]
fn base<S: Simd, L: Layout>(header: &[u8]) -> S {
    match L::SCALES {
        Scales::Exponent => powers::<S>(&pod_read_unaligned(&header[..LANES])),
        Scales::Float => S::zero(),
        _ => S::load_f16(&pod_read_unaligned::<[f16; LANES]>(&header[..HALVES_BYTES])),
    }
}

/// The bytes at `index` of those of sub-blocks.
#[inline(always)]
fn row<L: Layout>(header: &[u8], index: usize) -> &[u8; LANES] {
    &header[L::SUBS_AT..].as_chunks().0[index]
}

/// Four bits of each byte.
#[inline(always)]
fn nibbles(bytes: &[u8; LANES], shift: u32) -> [u8; LANES] {
    const LOW: u128 = u128::MAX / 0xff * 0x0f;
    (u128::from_le_bytes(*bytes) >> shift & LOW).to_le_bytes()
}

/// `2^(exponent - 128)`, the smallest of which are no normal float32: the product of two halves of the exponent.
#[inline(always)]
fn powers<S: Simd>(exponents: &[u8; LANES]) -> S {
    let exponent = S::load_u8(exponents).sub(S::splat(128.0));
    let half = exponent.fma(S::splat(0.5), S::splat(ROUND)).sub(S::splat(ROUND));
    half.power_of_two().mul(exponent.sub(half).power_of_two())
}
