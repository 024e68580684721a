//! Packing for engines whose lanes are bytes of codes, and the distance tables of half bytes.

use super::generic::MAX_LANES;

/// Code bytes that byte lanes can count, at 8 each, before they overflow.
pub(super) const MAX_RUN: usize = 31;

/// `NIBBLES[q][0][n]` = Hamming distance of `n` to the low half of byte `q`; `NIBBLES[q][1][n]`: to the high half.
#[cfg(not(target_arch = "aarch64"))]
#[repr(C, align(64))]
pub(super) struct Nibbles([[[u8; 16]; 2]; 256]);

#[cfg(not(target_arch = "aarch64"))]
pub(super) static NIBBLES: Nibbles = {
    let mut tables = [[[0; 16]; 2]; 256];
    let mut q = 0;
    while q < 256 {
        let mut n = 0;
        while n < 16 {
            tables[q][0][n] = (n as u8 ^ (q as u8 & 15)).count_ones() as u8;
            tables[q][1][n] = (n as u8 ^ (q as u8 >> 4)).count_ones() as u8;
            n += 1;
        }
        q += 1;
    }
    Nibbles(tables)
};

#[cfg(not(target_arch = "aarch64"))]
impl Nibbles {
    /// The two tables of byte `q`, 32 bytes.
    #[inline(always)]
    pub(super) fn of(&self, q: u8) -> *const u8 {
        self.0[usize::from(q)].as_ptr().cast()
    }
}

/// Sixteen bytes in a register.
///
/// # Safety
/// `load` and `store` touch 16 bytes. Every method needs the instruction set of the implementing type.
pub(super) unsafe trait Bytes16: Copy {
    /// 16 bytes from `p`.
    unsafe fn load(p: *const u8) -> Self;
    /// 16 bytes to `p`.
    unsafe fn store(self, p: *mut u8);
    /// `a0 b0 a1 b1 … a7 b7` and `a8 b8 … a15 b15`.
    unsafe fn zip(a: Self, b: Self) -> (Self, Self);
}

/// Transposes codes: `put(dst, step, half, column)` receives, for each byte `step` of the codes and each half of 16 lanes,
/// that byte of the codes `codes[code_of(lane)]`.
///
/// # Safety
/// The instruction set of `V` is present; `codes[..lanes]` have equal lengths; `lanes` is 16 or 32.
#[inline(always)]
pub(super) unsafe fn transpose<V: Bytes16>(
    codes: &[&[u8]; MAX_LANES],
    lanes: usize,
    code_of: impl Fn(usize) -> usize,
    mut put: impl FnMut(usize, usize, V),
) {
    let bytes = codes[0].len();
    for half in 0..lanes / 16 {
        for k in (0..bytes).step_by(16) {
            let n = (bytes - k).min(16);
            // SAFETY: the caller vouches for the instruction set; slices are checked to hold what is loaded.
            unsafe {
                let mut x = [V::load([0; 16].as_ptr()); 16];
                for (lane, x) in x.iter_mut().enumerate() {
                    let code = &codes[code_of(16 * half + lane)][k..k + n];
                    *x = if n == 16 {
                        V::load(code.as_ptr())
                    } else {
                        let mut filled = [0; 16];
                        filled[..n].copy_from_slice(code);
                        V::load(filled.as_ptr())
                    };
                }
                // An element's address, row bits then column bits, is rotated by one bit per round.
                for _ in 0..4 {
                    let mut y = x;
                    for i in 0..8 {
                        (y[2 * i], y[2 * i + 1]) = V::zip(x[i], x[i + 8]);
                    }
                    x = y;
                }
                for (j, &column) in x[..n].iter().enumerate() {
                    put(k + j, half, column);
                }
            }
        }
    }
}

/// The code of byte lane `lane` where even lanes are widened to the first half of the 16-bit lanes and odd lanes to the
/// second: with it, the widened lanes are in the order of the codes.
#[inline(always)]
#[cfg(not(target_arch = "aarch64"))]
pub(super) const fn even_odd(lane: usize, lanes: usize) -> usize {
    lane / 2 + (lane % 2) * (lanes / 2)
}
