//! The vector trait that generic kernels are written over, and the macro that compiles one per instruction set.

/// A vector of `LANES` f32 values of one instruction set.
///
/// # Safety
/// An implementation touches exactly `LANES` consecutive values in `load` and `store` (`n <= LANES` in the partial
/// forms). Every method needs the instruction set of the implementing type: callers are functions compiled for it
/// (see [`dispatch_f32`]) that inline these methods.
pub(crate) unsafe trait F32s: Copy {
    /// Values in one vector.
    const LANES: usize;
    /// Architectural vector registers: what a register-blocked kernel may plan with.
    const REGISTERS: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;
    /// `LANES` values from `p`, unaligned.
    unsafe fn load(p: *const f32) -> Self;
    /// `LANES` values to `p`, unaligned.
    unsafe fn store(self, p: *mut f32);
    /// `n <= LANES` values from `p`; the other lanes are 0.
    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> Self {
        debug_assert!(n <= Self::LANES);
        let mut lanes = [0f32; 16];
        // SAFETY: the caller vouches for `n` readable values; `lanes` holds 16 >= LANES.
        unsafe {
            core::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            Self::load(lanes.as_ptr())
        }
    }
    /// The first `n <= LANES` lanes to `p`.
    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize) {
        debug_assert!(n <= Self::LANES);
        let mut lanes = [0f32; 16];
        // SAFETY: the caller vouches for `n` writable values; `lanes` holds 16 >= LANES.
        unsafe {
            self.store(lanes.as_mut_ptr());
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    /// `self + b`.
    unsafe fn add(self, b: Self) -> Self;
    /// `self - b`.
    unsafe fn sub(self, b: Self) -> Self;
    /// `self * b`.
    unsafe fn mul(self, b: Self) -> Self;
    /// `self * b + c`, fused where the instruction set fuses.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// Lane-wise maximum of numbers (NaN lanes: either operand).
    unsafe fn max(self, b: Self) -> Self;
    /// Sum of all lanes.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0f32; 16];
        // SAFETY: `lanes` holds 16 >= LANES values.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes[..Self::LANES].iter().sum()
    }
}

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
