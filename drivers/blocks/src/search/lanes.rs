//! Numbers side by side, one a lane.

/// Lanes: the 16 sub-blocks of one block, the 8 of two, or 16 blocks; the width of the widest vectors.
pub(crate) const LANES: usize = 16;
/// One number of each lane.
pub(crate) type Lanes = [f32; LANES];

/// 1.5 * 2^23: adding and subtracting it rounds a small float32 to a whole number, ties to even, without a call.
const TO_WHOLE: f32 = 12_582_912.0;

/// `value` as a whole number from `low` to `high`; the largest magnitude is 2^22.
#[inline(always)]
pub(crate) fn whole(value: f32, low: f32, high: f32) -> f32 {
    let above = if value > low { value } else { low };
    let within = if above < high { above } else { high };
    within + TO_WHOLE - TO_WHOLE
}

/// What turns numbers into levels: no division in the inner loop.
#[inline(always)]
pub(crate) fn inverse(scales: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = if scales[lane] == 0.0 {
            0.0
        } else {
            1.0 / scales[lane]
        };
    }
    out
}

/// The sum over the `SUBS` lanes of each block, in each of its lanes.
#[inline(always)]
pub(crate) fn group_sum<const SUBS: usize>(values: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for (out, values) in out
        .as_chunks_mut::<SUBS>()
        .0
        .iter_mut()
        .zip(values.as_chunks::<SUBS>().0)
    {
        let mut sum = 0.0;
        for value in values {
            sum += value;
        }
        *out = [sum; SUBS];
    }
    out
}

/// The largest of the `SUBS` lanes of each block, in each of its lanes; 0 when none is above.
#[inline(always)]
pub(crate) fn group_max<const SUBS: usize>(values: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for (out, values) in out
        .as_chunks_mut::<SUBS>()
        .0
        .iter_mut()
        .zip(values.as_chunks::<SUBS>().0)
    {
        let mut most = 0.0;
        for value in values {
            most = if *value > most { *value } else { most };
        }
        *out = [most; SUBS];
    }
    out
}

/// `new` in the lanes that are chosen.
#[inline(always)]
pub(crate) fn replace(chosen: &[bool; LANES], old: &mut Lanes, new: &Lanes) {
    for lane in 0..LANES {
        old[lane] = if chosen[lane] { new[lane] } else { old[lane] };
    }
}

/// Lanes in which `new` is above `old`; a NaN is not.
#[inline(always)]
pub(crate) fn above(new: &Lanes, old: &Lanes) -> [bool; LANES] {
    let mut out = [false; LANES];
    for lane in 0..LANES {
        out[lane] = new[lane] > old[lane];
    }
    out
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and 0..=63 where it is called"
)]
pub(crate) fn to_u8(whole: f32) -> u8 {
    whole as u8
}
