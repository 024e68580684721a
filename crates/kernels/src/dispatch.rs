//! Runs a generic body by the instruction set that an [`crate::Isa`] proves.

/// `dispatch_f32!(fn name(arg: Type, …) -> Ret = body);` defines `fn name(isa: Isa, arg: Type, …) -> Ret`, which runs
/// the generic `unsafe fn body<V: F32s>(arg: Type, …) -> Ret` compiled for the instruction set that `isa` proves.
/// `body` must be `#[inline(always)]`, or it is compiled without the instruction set; apart from the instruction set it
/// must be sound for all arguments that the calling module lets through.
macro_rules! dispatch_f32 {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            use $crate::isa::Kind;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the vector type's instruction set.
                unsafe { $body::<$crate::arch::x86_64::F32x8>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the vector type's instruction set.
                unsafe { $body::<$crate::arch::x86_64::F32x16>($($arg),*) }
            }
            match isa.kind() {
                // SAFETY: plain Rust needs no instruction set.
                Kind::Portable => unsafe { $body::<$crate::arch::generic::F32x4>($($arg),*) },
                // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: Advanced SIMD is part of the AArch64 baseline.
                #[cfg(target_arch = "aarch64")]
                Kind::Neon => unsafe { $body::<$crate::arch::aarch64::F32x4>($($arg),*) },
                // SAFETY: the whole module is compiled with simd128.
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Kind::Simd128 => unsafe { $body::<$crate::arch::wasm32::F32x4>($($arg),*) },
                // SAFETY: the whole module is compiled with relaxed-simd.
                #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
                Kind::RelaxedSimd => unsafe { $body::<$crate::arch::wasm32::RelaxedF32x4>($($arg),*) },
            }
        }
    };
}
pub(crate) use dispatch_f32;
