//! NEON: 16 byte lanes; exclusive or, byte popcount, add.

use core::arch::aarch64::*;

use super::bytes::{Bytes16, MAX_RUN, transpose};
use super::generic::{Engine, MAX_LANES, tiles};

const LANES: usize = 16;

pub(super) struct Neon;

// SAFETY: `pack` writes LANES bytes for each step of a vector; `tile_of` keeps to the contract of `tile`.
unsafe impl Engine for Neon {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 3;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    fn vector_bytes(code_bytes: usize) -> usize {
        code_bytes * LANES
    }

    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
        assert!(index < vectors && dst.len() == codes[0].len() * vectors * LANES);
        // SAFETY: `transpose` calls with a step below the code length: writes stay in `dst`.
        unsafe {
            transpose::<uint8x16_t>(
                codes,
                LANES,
                |lane| lane,
                |step, _, column| {
                    column.store(dst.as_mut_ptr().add((step * vectors + index) * LANES));
                },
            );
        }
    }

    #[inline(always)]
    unsafe fn tile(
        count: usize,
        vectors: usize,
        query: *const u8,
        target: *const u8,
        code_bytes: usize,
        least: *mut u16,
        first: bool,
    ) {
        // SAFETY: the contract of `tile` is that of `tile_of`.
        unsafe {
            tiles!(
                count,
                vectors,
                [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)],
                tile_of::<Q, P>(query, target, code_bytes, least, first)
            );
        }
    }
}

// SAFETY: load and store touch 16 bytes; NEON is part of the AArch64 baseline.
unsafe impl Bytes16 for uint8x16_t {
    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        // SAFETY: the caller vouches for the memory.
        unsafe { vld1q_u8(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller vouches for the memory.
        unsafe { vst1q_u8(p, self) }
    }
    #[inline(always)]
    unsafe fn zip(a: Self, b: Self) -> (Self, Self) {
        // SAFETY: NEON is part of the AArch64 baseline.
        unsafe { (vzip1q_u8(a, b), vzip2q_u8(a, b)) }
    }
}

/// `tile` for `Q` codes and `P` vectors.
///
/// # Safety
/// As for `tile`.
#[target_feature(enable = "neon")]
unsafe fn tile_of<const Q: usize, const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let runs = code_bytes.div_ceil(MAX_RUN);
    let mut wide = [[[vdupq_n_u16(0); 2]; Q]; P];
    for run in 0..runs {
        let mut counts = [[vdupq_n_u8(0); Q]; P];
        for k in run * code_bytes / runs..(run + 1) * code_bytes / runs {
            // SAFETY: each code has `code_bytes > k` bytes.
            let bytes = core::array::from_fn::<_, Q, _>(|q| unsafe { vld1q_dup_u8(query.add(q * code_bytes + k)) });
            for (v, counts) in counts.iter_mut().enumerate() {
                // SAFETY: each vector has `code_bytes` steps of LANES bytes.
                let vector = unsafe { vld1q_u8(target.add((k * P + v) * LANES)) };
                for (count, byte) in counts.iter_mut().zip(bytes) {
                    *count = vaddq_u8(*count, vcntq_u8(veorq_u8(vector, byte)));
                }
            }
        }
        for (wide, &count) in wide.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
            wide[0] = vaddw_u8(wide[0], vget_low_u8(count));
            wide[1] = vaddw_high_u8(wide[1], count);
        }
    }
    for q in 0..Q {
        for part in 0..2 {
            let mut min = wide[1..].iter().fold(wide[0][q][part], |min, w| vminq_u16(min, w[q][part]));
            // SAFETY: `least` has `Q` rows of LANES values, two vectors each.
            unsafe {
                let least = least.add(q * LANES + part * 8);
                if !first {
                    min = vminq_u16(min, vld1q_u16(least));
                }
                vst1q_u16(least, min);
            }
        }
    }
}
