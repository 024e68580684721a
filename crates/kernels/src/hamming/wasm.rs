//! WebAssembly: 16 byte lanes; the query's half byte selects a table of distances, the target's half bytes index it.
//!
//! Indices are below 16, for which `i8x16.swizzle` and the relaxed form agree.

use core::arch::wasm32::*;

use super::bytes::{Bytes16, MAX_RUN, NIBBLES, even_odd, transpose};
use super::generic::{Engine, MAX_LANES};

const LANES: usize = 16;
/// Bytes of one step: the low and the high half bytes of a code byte of all lanes.
const STEP: usize = 2 * LANES;

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
        code_bytes * STEP
    }

    unsafe fn pack(codes: &[&[u8]; MAX_LANES], dst: &mut [u8]) {
        assert_eq!(dst.len(), codes[0].len() * STEP);
        let low = u8x16_splat(15);
        // SAFETY: `transpose` calls with a step below the code length: writes stay in `dst`.
        unsafe {
            transpose::<v128>(
                codes,
                LANES,
                |lane| even_odd(lane, LANES),
                |step, _, column| {
                    let p = dst.as_mut_ptr().add(step * STEP);
                    v128_and(column, low).store(p);
                    u8x16_shr(column, 4).store(p.add(LANES));
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
            match (count, vectors) {
                (1, 1) => tile_of::<L, 1, 1>(query, target, code_bytes, least, first),
                (1, 2) => tile_of::<L, 1, 2>(query, target, code_bytes, least, first),
                (1, _) => tile_of::<L, 1, 3>(query, target, code_bytes, least, first),
                (2, 1) => tile_of::<L, 2, 1>(query, target, code_bytes, least, first),
                (2, 2) => tile_of::<L, 2, 2>(query, target, code_bytes, least, first),
                (2, _) => tile_of::<L, 2, 3>(query, target, code_bytes, least, first),
                (_, 1) => tile_of::<L, 3, 1>(query, target, code_bytes, least, first),
                (_, 2) => tile_of::<L, 3, 2>(query, target, code_bytes, least, first),
                (_, _) => tile_of::<L, 3, 3>(query, target, code_bytes, least, first),
            }
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
    let mut wide = [[[zero; 2]; P]; Q];
    for run in 0..runs {
        let mut counts = [[zero; P]; Q];
        for k in run * code_bytes / runs..(run + 1) * code_bytes / runs {
            // SAFETY: each code has `code_bytes > k` bytes, each vector as many steps of STEP bytes.
            let tables = core::array::from_fn::<_, Q, _>(|q| NIBBLES.of(unsafe { *query.add(q * code_bytes + k) }));
            for half in 0..2 {
                // SAFETY: a table is two halves of 16 bytes.
                let tables = tables.map(|table| unsafe { v128_load(table.add(half * 16).cast()) });
                for v in 0..P {
                    // SAFETY: as for the tables.
                    let index = unsafe { v128_load(target.add((v * code_bytes + k) * STEP + half * LANES).cast()) };
                    for q in 0..Q {
                        counts[q][v] = u8x16_add(counts[q][v], L::lookup(tables[q], index));
                    }
                }
            }
        }
        for (wide, &count) in wide.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
            wide[0] = u16x8_add(wide[0], v128_and(count, even));
            wide[1] = u16x8_add(wide[1], u16x8_shr(count, 8));
        }
    }
    for (q, wide) in wide.iter().enumerate() {
        for part in 0..2 {
            let mut min = wide[1..].iter().fold(wide[0][part], |min, w| u16x8_min(min, w[part]));
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
