//! What the machine can do: the limits that speed is told as a share of.

use std::fmt::{self, Display, Formatter};
use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Each figure is the best of so many: what else runs on the machine only takes away.
const REPEATS: usize = 5;
/// Bytes that each thread reads: far beyond its caches.
const READ_BYTES: usize = 256 << 20;
/// Numbers that are summed apart, so that no sum waits for the one before it.
const SUMS: usize = 8;
/// Streams that a thread reads at a time, as a product does.
const STREAMS: usize = 4;
/// Multiply-adds of vectors in one timing: some milliseconds.
const STEPS: u64 = 4_000_000;

/// Of all threads together, a second.
#[derive(Default)]
pub(crate) struct Limits {
    read_bytes: f64,
    int8: f64,
    bf16: f64,
    f32: f64,
}

impl Display for Limits {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            read_bytes,
            int8,
            bf16,
            f32,
        } = self;
        write!(to, "{read_bytes:.0} {int8:.0} {bf16:.0} {f32:.0}")
    }
}

/// Measures for `threads` threads at once.
pub(crate) fn measure(threads: usize) -> Limits {
    let mut limits = Limits {
        read_bytes: READ_BYTES as f64 * rate(threads, read),
        ..Limits::default()
    };
    arithmetic(threads, &mut limits);
    limits
}

/// Calls of all threads a second; `prepare` makes what a thread then calls, and is not timed.
fn rate<R: FnMut()>(threads: usize, prepare: impl Fn() -> R + Sync) -> f64 {
    let totals: Vec<f64> = thread::scope(|scope| {
        let own = || {
            let mut run = prepare();
            let times = (0..REPEATS).map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            });
            1.0 / times.fold(f64::INFINITY, f64::min)
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(own)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .collect()
    });
    totals.into_iter().sum()
}

fn read() -> impl FnMut() {
    let numbers = vec![[1_u64; SUMS]; READ_BYTES / size_of::<[u64; SUMS]>()];
    move || {
        let length = numbers.len() / STREAMS;
        let mut sums = [[0_u64; SUMS]; STREAMS];
        for at in 0..length {
            for (stream, sums) in sums.iter_mut().enumerate() {
                for (sum, number) in sums.iter_mut().zip(numbers[stream * length + at]) {
                    *sum = sum.wrapping_add(number);
                }
            }
        }
        black_box(sums);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn arithmetic(_threads: usize, _limits: &mut Limits) {}

#[cfg(target_arch = "x86_64")]
fn arithmetic(threads: usize, limits: &mut Limits) {
    // Operations of one instruction on 16 lanes: two a multiply-add of 4, 2 or 1 numbers.
    let steps = (STEPS * vectors::CHAINS) as f64;
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was detected.
        limits.f32 = 32.0 * steps * rate(threads, || || unsafe { vectors::f32(STEPS) });
    }
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the feature was detected.
        limits.int8 = 128.0 * steps * rate(threads, || || unsafe { vectors::int8(STEPS) });
    }
    if is_x86_feature_detected!("avx512bf16") {
        // SAFETY: the feature was detected.
        limits.bf16 = 64.0 * steps * rate(threads, || || unsafe { vectors::bf16(STEPS) });
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m512bh, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_set1_epi32, _mm512_set1_ps,
    };
    use std::hint::black_box;

    /// Sums that do not wait for each other: more than units times cycles of a multiply-add.
    pub(super) const CHAINS: u64 = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn f32(steps: u64) {
        let factor = black_box(_mm512_set1_ps(0.5));
        let mut sums = [_mm512_set1_ps(1.0); CHAINS as usize];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(factor, factor, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn int8(steps: u64) {
        let factor = black_box(_mm512_set1_epi32(0x0101_0101));
        let mut sums = [_mm512_set1_epi32(1); CHAINS as usize];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, factor, factor);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn bf16(steps: u64) {
        // SAFETY: any bits are 32 bfloat16.
        let factor: __m512bh = unsafe { std::mem::transmute(black_box(_mm512_set1_epi32(0x3f00_3f00))) };
        let mut sums = [_mm512_set1_ps(1.0); CHAINS as usize];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}
