//! Eight floats at once, for the instruction sets on which the inner loops run.
//!
//! Multiplication and addition round separately on all of them (there is no fused multiply-add), so
//! that a loop over [`Lanes`] gives the same bits on each.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a function with a target feature is compiled with it"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;

/// How many lanes.
pub const LANES: usize = 8;

/// The best instruction set that this CPU has.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// The instruction set of every CPU of the target: SSE2 on x86-64, NEON on `AArch64`.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

/// Proof that the CPU has AVX2: only [`Isa::detect`] makes one.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

/// Eight floats.
pub trait Lanes: Copy {
    /// Proof that the CPU has the instructions of the implementation.
    type Proof: Copy;

    fn zero(proof: Self::Proof) -> Self;
    fn splat(proof: Self::Proof, value: f32) -> Self;
    fn load(proof: Self::Proof, values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;

    /// The sum of the lanes, by halves: each lane with the one four, then two, then one further.
    fn sum(self) -> f32;
}

impl Isa {
    /// Detects the instruction set; the standard library caches the result.
    #[inline]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2(Avx2(()));
        }
        Self::Portable(Portable)
    }
}

impl Lanes for [f32; LANES] {
    type Proof = Portable;

    #[inline(always)]
    fn zero(_: Portable) -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    fn splat(_: Portable, value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    fn load(_: Portable, values: &[f32; LANES]) -> Self {
        *values
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self;
    }

    #[inline(always)]
    fn plus(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self[lane] += other[lane];
        }
        self
    }

    #[inline(always)]
    fn times(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self[lane] *= other[lane];
        }
        self
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d]: [f32; 4] = std::array::from_fn(|lane| self[lane] + self[lane + 4]);
        (a + c) + (b + d)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for x86::__m256 {
    type Proof = Avx2;

    #[inline(always)]
    fn zero(_: Avx2) -> Self {
        // SAFETY: the proof says that the CPU has AVX2, which includes AVX.
        unsafe { x86::_mm256_setzero_ps() }
    }

    #[inline(always)]
    fn splat(_: Avx2, value: f32) -> Self {
        // SAFETY: the proof says that the CPU has AVX2, which includes AVX.
        unsafe { x86::_mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(_: Avx2, values: &[f32; LANES]) -> Self {
        // SAFETY: the proof says that the CPU has AVX2, which includes AVX; the array is eight floats,
        // and the load asks for no alignment.
        unsafe { x86::_mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        // SAFETY: a value of this type was made with the proof; the array is eight floats, and the
        // store asks for no alignment.
        unsafe { x86::_mm256_storeu_ps(values.as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: a value of this type was made with the proof.
        unsafe { x86::_mm256_add_ps(self, other) }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: a value of this type was made with the proof.
        unsafe { x86::_mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: a value of this type was made with the proof.
        unsafe {
            let fours = x86::_mm_add_ps(
                x86::_mm256_castps256_ps128(self),
                x86::_mm256_extractf128_ps::<1>(self),
            );
            let twos = x86::_mm_add_ps(fours, x86::_mm_movehl_ps(fours, fours));
            let ones = x86::_mm_add_ss(twos, x86::_mm_movehdup_ps(twos));
            x86::_mm_cvtss_f32(ones)
        }
    }
}
