//! Instruction sets, detected at run time, and the one way into kernels that use them.

use crate::simd::{Portable, Simd};

/// An instruction set that kernels are compiled for. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, BW, DQ and VL with VNNI's int8 products.
    Avx512Vnni,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// No instructions beyond the target's own; slow without fused multiply-add.
    Portable,
}

impl Isa {
    /// From the fastest to the slowest.
    pub const ALL: [Self; 4] = [Self::Avx512Vnni, Self::Avx512, Self::Avx2, Self::Portable];

    /// The short name, such as `avx512vnni`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        Detected::new(self).is_some()
    }
}

/// Computes something with the primitives of any instruction set.
pub(crate) trait Kernel {
    /// Must be `#[inline(always)]`, with all that it calls in its loops, to be compiled with the set's instructions.
    fn run<S: Simd>(self);
}

/// An instruction set that this machine was seen to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detected(Isa);

#[cfg(target_arch = "x86_64")]
impl Detected {
    /// `isa`, when the machine has it.
    pub(crate) fn new(isa: Isa) -> Option<Self> {
        let avx2 = || {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
        };
        let avx512 = || {
            avx2()
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
        };
        let found = match isa {
            Isa::Avx512Vnni => avx512() && is_x86_feature_detected!("avx512vnni"),
            Isa::Avx512 => avx512(),
            Isa::Avx2 => avx2(),
            Isa::Portable => true,
        };
        found.then_some(Self(isa))
    }

    /// Runs `kernel` with this set's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            // SAFETY: `new` is the only way to make this value, and it saw the features that the function enables.
            Isa::Avx512Vnni => unsafe { run_avx512_vnni(kernel) },
            // SAFETY: as above.
            Isa::Avx512 => unsafe { run_avx512(kernel) },
            // SAFETY: as above.
            Isa::Avx2 => unsafe { run_avx2(kernel) },
            Isa::Portable => kernel.run::<Portable>(),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Detected {
    /// `isa`, when the machine has it.
    pub(crate) fn new(isa: Isa) -> Option<Self> {
        (isa == Isa::Portable).then_some(Self(isa))
    }

    /// Runs `kernel` with this set's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        kernel.run::<Portable>();
    }
}

impl Detected {
    /// The fastest set of this machine.
    pub(crate) fn best() -> Self {
        let found = Isa::ALL.into_iter().find_map(Self::new);
        found.expect("the portable set is on every machine")
    }

    pub(crate) fn isa(self) -> Isa {
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn run_avx512_vnni<K: Kernel>(kernel: K) {
    kernel.run::<crate::simd::Avx512<true>>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<crate::simd::Avx512<false>>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<crate::simd::Avx2>();
}
