//! WebAssembly: 16 byte lanes; the query's half byte selects a table of distances, the target's half bytes index it.
//!
//! Indices are below 16, for which `i8x16.swizzle` and the relaxed form agree.

use core::arch::wasm32::*;

use super::bytes::{Bytes16, MAX_RUN, NIBBLES, even_odd, transpose};
use super::generic::{Engine, MAX_LANES, tiles};

const LANES: usize = 16;

/// A table of 16 bytes, indexed by 16 lanes below 16.
trait Lookup {
    fn lookup(table: v128, index: v128) -> v128;
}

/// Plain simd128.
pub(super) struct Simd128;

impl Lookup for Simd128 {
    #[inline(always)]
    fn lookup(table: v128, index: v128) -> v128 {
        i8x16_swizzle(table, index)
    }
}

/// With relaxed-simd.
#[cfg(target_feature = "relaxed-simd")]
pub(super) struct Relaxed;

#[cfg(target_feature = "relaxed-simd")]
impl Lookup for Relaxed {
    #[inline(always)]
    fn lookup(table: v128, index: v128) -> v128 {
        i8x16_relaxed_swizzle(table, index)
    }
}

// SAFETY: `pack` writes both halves of each lane for each step; `tile_of` keeps to the contract of `tile`.
unsafe impl<L: Lookup> Engine for L {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 3;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    fn vector_bytes(code_bytes: usize) -> usize {
        2 * code_bytes * LANES
    }

    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
        let half = dst.len() / 2;
        assert!(index < vectors && half == codes[0].len() * vectors * LANES);
        let low = u8x16_splat(15);
        // SAFETY: `transpose` calls with a step below the code length: writes stay in `dst`.
        unsafe {
            transpose::<v128>(
                codes,
                LANES,
                |lane| even_odd(lane, LANES),
                |step, _, column| {
                    let p = dst.as_mut_ptr().add((step * vectors + index) * LANES);
                    v128_and(column, low).store(p);
                    u8x16_shr(column, 4).store(p.add(half));
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
                tile_of::<L, Q, P>(query, target, code_bytes, least, first)
            );
        }
    }
}

// SAFETY: load and store touch 16 bytes; the module is compiled with simd128.
unsafe impl Bytes16 for v128 {
    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        // SAFETY: the caller vouches for the memory.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller vouches for the memory.
        unsafe { v128_store(p.cast(), self) }
    }
    #[inline(always)]
    unsafe fn zip(a: Self, b: Self) -> (Self, Self) {
        (
            u8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b),
            u8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b),
        )
    }
}

/// `tile` for `Q` codes and `P` vectors.
///
/// # Safety
/// As for `tile`.
#[inline(never)]
unsafe fn tile_of<L: Lookup, const Q: usize, const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let zero = u8x16_splat(0);
    let even = u16x8_splat(0xff);
    let runs = code_bytes.div_ceil(MAX_RUN);
    let mut wide = [[[zero; 2]; Q]; P];
    for run in 0..runs {
        let mut counts = [[zero; Q]; P];
        for half in 0..2 {
            for k in run * code_bytes / runs..(run + 1) * code_bytes / runs {
                let mut tables = [zero; Q];
                for (q, table) in tables.iter_mut().enumerate() {
                    // SAFETY: each code has `code_bytes > k` bytes; a table is two halves of 16 bytes.
                    *table = unsafe { v128_load(NIBBLES.of(*query.add(q * code_bytes + k)).add(half * 16).cast()) };
                }
                for (v, counts) in counts.iter_mut().enumerate() {
                    // SAFETY: each half has `code_bytes > k` steps of `P` vectors.
                    let index = unsafe {
                        let target = target.add((half * code_bytes + k) * P * LANES);
                        v128_load(target.add(v * LANES).cast())
                    };
                    for (count, table) in counts.iter_mut().zip(tables) {
                        *count = u8x16_add(*count, L::lookup(table, index));
                    }
                }
            }
        }
        for (wide, &count) in wide.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
            wide[0] = u16x8_add(wide[0], v128_and(count, even));
            wide[1] = u16x8_add(wide[1], u16x8_shr(count, 8));
        }
    }
    for q in 0..Q {
        for part in 0..2 {
            let mut min = wide[1..].iter().fold(wide[0][q][part], |min, w| u16x8_min(min, w[q][part]));
            // SAFETY: `least` has `Q` rows of LANES values, two vectors each.
            unsafe {
                let least = least.add(q * LANES + part * 8).cast::<v128>();
                if !first {
                    min = u16x8_min(min, v128_load(least));
                }
                v128_store(least, min);
            }
        }
    }
}
