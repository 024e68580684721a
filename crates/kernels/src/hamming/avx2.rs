//! AVX2: 32 byte lanes; the query's half byte selects a table of distances, the target's half bytes index it.

use core::arch::x86_64::*;

use super::bytes::{Bytes16, MAX_RUN, NIBBLES, even_odd, transpose};
use super::generic::{Engine, MAX_LANES, tiles};

const LANES: usize = 32;

pub(super) struct Avx2;

// SAFETY: `pack` writes both halves of each lane for each step; `tile_of` keeps to the contract of `tile`.
unsafe impl Engine for Avx2 {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 3;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    fn vector_bytes(code_bytes: usize) -> usize {
        2 * code_bytes * LANES
    }

    #[inline(always)]
    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
        // SAFETY: the caller vouches for AVX2.
        unsafe { pack(codes, index, vectors, dst) };
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

// SAFETY: load and store touch 16 bytes; SSE2 is part of the x86-64 baseline.
unsafe impl Bytes16 for __m128i {
    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        // SAFETY: the caller vouches for the memory.
        unsafe { _mm_loadu_si128(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller vouches for the memory.
        unsafe { _mm_storeu_si128(p.cast(), self) }
    }
    #[inline(always)]
    unsafe fn zip(a: Self, b: Self) -> (Self, Self) {
        // SAFETY: SSE2 is part of the x86-64 baseline.
        unsafe { (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)) }
    }
}

/// Packs 32 codes: `dst[step][half][index of vectors][lane]` is a half byte, the low one first.
#[target_feature(enable = "avx2")]
fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
    assert!(index < vectors && dst.len() == 2 * codes[0].len() * vectors * LANES);
    let low = _mm_set1_epi8(15);
    // SAFETY: `transpose` calls with a step below the code length and a half below 2: writes stay in `dst`.
    unsafe {
        transpose::<__m128i>(
            codes,
            LANES,
            |lane| even_odd(lane, LANES),
            |step, part, column| {
                let p = dst.as_mut_ptr().add((2 * step * vectors + index) * LANES + part * 16);
                _mm_and_si128(column, low).store(p);
                _mm_and_si128(_mm_srli_epi16::<4>(column), low).store(p.add(vectors * LANES));
            },
        );
    }
}

/// `tile` for `Q` codes and `P` vectors.
///
/// # Safety
/// As for `tile`.
#[target_feature(enable = "avx2")]
unsafe fn tile_of<const Q: usize, const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let zero = _mm256_setzero_si256();
    let even = _mm256_set1_epi16(0xff);
    let runs = code_bytes.div_ceil(MAX_RUN);
    let mut wide = [[[zero; 2]; Q]; P];
    for run in 0..runs {
        let mut counts = [[zero; Q]; P];
        for k in run * code_bytes / runs..(run + 1) * code_bytes / runs {
            let mut pairs = [core::ptr::null::<u8>(); Q];
            for (q, pair) in pairs.iter_mut().enumerate() {
                // SAFETY: each code has `code_bytes > k` bytes.
                *pair = NIBBLES.of(unsafe { *query.add(q * code_bytes + k) });
            }
            for half in 0..2 {
                let mut tables = [zero; Q];
                for (table, pair) in tables.iter_mut().zip(pairs) {
                    // SAFETY: a pair is two tables of 16 bytes.
                    *table = unsafe { _mm256_broadcastsi128_si256(_mm_load_si128(pair.add(half * 16).cast())) };
                }
                for (v, counts) in counts.iter_mut().enumerate() {
                    // SAFETY: there are `code_bytes > k` steps of two halves of `P` vectors.
                    let index = unsafe { _mm256_loadu_si256(target.add(((2 * k + half) * P + v) * LANES).cast()) };
                    for (count, table) in counts.iter_mut().zip(tables) {
                        *count = _mm256_add_epi8(*count, _mm256_shuffle_epi8(table, index));
                    }
                }
            }
        }
        for (wide, &count) in wide.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
            wide[0] = _mm256_add_epi16(wide[0], _mm256_and_si256(count, even));
            wide[1] = _mm256_add_epi16(wide[1], _mm256_srli_epi16::<8>(count));
        }
    }
    for q in 0..Q {
        for part in 0..2 {
            let mut min = wide[1..].iter().fold(wide[0][q][part], |min, w| _mm256_min_epu16(min, w[q][part]));
            // SAFETY: `least` has `Q` rows of LANES values, two vectors each.
            unsafe {
                let least = least.add(q * LANES + part * 16).cast::<__m256i>();
                if !first {
                    min = _mm256_min_epu16(min, _mm256_loadu_si256(least));
                }
                _mm256_storeu_si256(least, min);
            }
        }
    }
}
