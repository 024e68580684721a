//! The vector trait that generic kernels are written over; [`crate::dispatch`] compiles them.

/// A vector of `LANES` f32 values of one instruction set.
///
/// # Safety
/// An implementation touches exactly `LANES` consecutive values in `load` and `store` (`n <= LANES` in the partial
/// forms). Every method needs the instruction set of the implementing type: callers are functions compiled for it
/// (see [`crate::dispatch`]) that inline these methods.
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
