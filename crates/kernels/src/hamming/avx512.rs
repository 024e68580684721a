//! AVX-512 with VPOPCNTDQ: eight 64-bit lanes; exclusive or, popcount, add.

use core::arch::x86_64::*;

use super::generic::{Engine, MAX_LANES, tiles};
use super::words;

const LANES: usize = 8;

pub(super) struct Avx512;

// SAFETY: `words::pack` fills `dst`; `tile_of` keeps to the contract of `tile`.
unsafe impl Engine for Avx512 {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 1;
    const TILE_VECTORS: usize = 9;

    #[inline(always)]
    fn vector_bytes(code_bytes: usize) -> usize {
        words::steps(code_bytes) * LANES * 8
    }

    #[inline(always)]
    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
        words::pack::<LANES>(codes, index, vectors, dst);
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
                [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9)],
                tile_of::<Q, P>(query, target, code_bytes, least, first)
            );
        }
    }
}

/// `tile` for `Q` codes and `P` vectors.
///
/// # Safety
/// As for `tile`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
unsafe fn tile_of<const Q: usize, const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let (full, rest) = (code_bytes / 8, code_bytes % 8);
    let mut counts = [[_mm512_setzero_si512(); P]; Q];
    // SAFETY: every vector has a step for each of the `full` words and one for the rest.
    let mut step = |words: [u64; Q], step: usize| unsafe {
        for v in 0..P {
            let vector = _mm512_loadu_si512(target.add((step * P + v) * LANES * 8).cast());
            for (counts, word) in counts.iter_mut().zip(words) {
                let differing = _mm512_xor_si512(vector, _mm512_set1_epi64(word as i64));
                counts[v] = _mm512_add_epi64(counts[v], _mm512_popcnt_epi64(differing));
            }
        }
    };
    for k in 0..full {
        // SAFETY: each code has `full` whole words.
        step(core::array::from_fn(|q| unsafe { query.add(q * code_bytes + k * 8).cast::<u64>().read_unaligned() }), k);
    }
    if rest > 0 {
        // SAFETY: each code has `rest` bytes after its whole words.
        step(core::array::from_fn(|q| unsafe { words::last_word(query.add(q * code_bytes + full * 8), rest) }), full);
    }
    for (q, counts) in counts.iter().enumerate() {
        let min = counts[1..].iter().fold(counts[0], |min, &count| _mm512_min_epu64(min, count));
        let mut min = _mm512_cvtepi64_epi16(min);
        // SAFETY: `least` has `Q` rows of LANES values, 16 bytes each.
        unsafe {
            let least = least.add(q * LANES).cast::<__m128i>();
            if !first {
                min = _mm_min_epu16(min, _mm_loadu_si128(least));
            }
            _mm_storeu_si128(least, min);
        }
    }
}
