//! Instruction sets, and the proof that one is present.

use core::fmt;

/// An instruction set that is present on this machine: a capability token that kernels dispatch on.
///
/// The only ways to get one are [`Isa::best`], [`Isa::available`] and [`Isa::by_name`], which detect; holding one is
/// therefore what makes the kernels safe functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Plain Rust; whatever the compiler makes of it.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, VL, VPOPCNTDQ and VNNI (Ice Lake, Zen 4 and later), with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Advanced SIMD, part of every AArch64 machine.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// WebAssembly simd128, chosen at build time.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
    /// WebAssembly simd128 with relaxed-simd, chosen at build time.
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    RelaxedSimd,
}

#[cfg(target_arch = "x86_64")]
mod detect {
    cpufeatures::new!(avx2_fma, "avx2", "fma");
    cpufeatures::new!(avx512, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vpopcntdq");

    pub(super) fn avx2() -> bool {
        avx2_fma::get()
    }

    pub(super) fn avx512() -> bool {
        // `cpufeatures` has checked that the operating system saves the registers; it does not know VNNI.
        avx2() && avx512::get() && core::arch::x86_64::__cpuid_count(7, 0).ecx & (1 << 11) != 0
    }
}

impl Isa {
    /// The fastest instruction set of this machine (natively found at run time, in wasm fixed by the build).
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self(Kind::Portable))
    }

    /// Plain Rust: present everywhere.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// Every instruction set of this machine, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let kinds: &[(Kind, bool)] = &[
            (Kind::Portable, true),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, detect::avx2()),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, detect::avx512()),
            #[cfg(target_arch = "aarch64")]
            (Kind::Neon, true),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            (Kind::Simd128, true),
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            (Kind::RelaxedSimd, true),
        ];
        let mut present = [None; 4];
        for (slot, kind) in present.iter_mut().zip(kinds.iter().filter(|k| k.1)) {
            *slot = Some(Self(kind.0));
        }
        present.into_iter().flatten()
    }

    /// The instruction set called `name` (see [`Isa::name`]), if this machine has it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().find(|isa| isa.name() == name)
    }

    /// `portable`, `avx2`, `avx512`, `neon`, `simd128` or `relaxed-simd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => "simd128",
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::RelaxedSimd => "relaxed-simd",
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        self.0
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({})", self.name())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_is_available_and_found_by_name() {
        let best = Isa::best();
        assert!(Isa::available().any(|isa| isa == best));
        assert_eq!(Isa::by_name(best.name()), Some(best));
        assert_eq!(Isa::by_name("mmx"), None);
        assert_eq!(Isa::available().next(), Some(Isa::portable()));
    }
}
