//! Sign codes: one bit a dimension, compared by Hamming distance.

use alloc::vec;
use alloc::vec::Vec;

use crate::Isa;
use crate::isa::Kind;

/// Bytes of a code of `dims` bits.
#[must_use]
pub const fn sign_code_bytes(dims: usize) -> usize {
    dims.div_ceil(8)
}

/// One bit a dimension: bit k of byte j is set where dimension 8 j + k is above 0. Bits past the last dimension are 0.
#[must_use]
pub fn sign_code(vector: &[f32]) -> Vec<u8> {
    let mut code = vec![0; sign_code_bytes(vector.len())];
    sign_code_into(vector, &mut code);
    code
}

/// [`sign_code`] into `code`.
///
/// # Panics
/// If `code` has not [`sign_code_bytes`] bytes for the vector.
pub fn sign_code_into(vector: &[f32], code: &mut [u8]) {
    assert_eq!(code.len(), sign_code_bytes(vector.len()), "one bit for each value");
    for (byte, values) in code.iter_mut().zip(vector.chunks(8)) {
        *byte = values.iter().enumerate().fold(0, |byte, (k, &x)| byte | u8::from(x > 0.0) << k);
    }
}

/// Codes `[N][sign_code_bytes(dims)]` of rows `[N][dims]`.
///
/// # Panics
/// If `dims` is 0 or `rows` are not whole rows.
#[must_use]
pub fn sign_rows(rows: &[f32], dims: usize) -> Vec<u8> {
    assert!(dims > 0 && rows.len().is_multiple_of(dims), "whole rows of {dims} values");
    let bytes = sign_code_bytes(dims);
    let mut codes = vec![0; rows.len() / dims * bytes];
    rows.chunks_exact(dims).zip(codes.chunks_exact_mut(bytes)).for_each(|(row, code)| sign_code_into(row, code));
    codes
}

/// `distances[i]` = bits that differ between `query` and row i of `rows` `[N][code_bytes]`.
///
/// # Panics
/// If `query` has not `code_bytes` bytes or `rows` not `code_bytes` for each distance.
pub fn hamming(isa: Isa, query: &[u8], rows: &[u8], code_bytes: usize, distances: &mut [u32]) {
    super::check(query.len(), rows.len(), code_bytes, distances.len());
    if code_bytes == 0 {
        return distances.fill(0);
    }
    let rows = rows.chunks_exact(code_bytes).zip(distances);
    match isa.kind() {
        Kind::Portable => rows.for_each(|(row, distance)| *distance = portable(query, row)),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: detection has found POPCNT.
        Kind::Avx2 if code_bytes < x86::TABLE_BYTES && popcnt::get() => unsafe { x86::popcnt_rows(query, rows) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
        Kind::Avx2 => unsafe { x86::avx2_rows(query, rows) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
        Kind::Avx512 => unsafe { x86::avx512_rows(query, rows) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => rows.for_each(|(row, distance)| *distance = neon(query, row)),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Kind::Simd128 => rows.for_each(|(row, distance)| *distance = simd128(query, row)),
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        Kind::RelaxedSimd => rows.for_each(|(row, distance)| *distance = simd128(query, row)),
    }
}

/// In plain Rust, a word at a time.
#[inline(always)]
fn portable(query: &[u8], row: &[u8]) -> u32 {
    let (query, tail) = query.as_chunks::<8>();
    let (row, row_tail) = row.as_chunks::<8>();
    let words = query.iter().zip(row).map(|(q, x)| (u64::from_ne_bytes(*q) ^ u64::from_ne_bytes(*x)).count_ones());
    words.sum::<u32>() + tail.iter().zip(row_tail).map(|(q, x)| (q ^ x).count_ones()).sum::<u32>()
}

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(popcnt, "popcnt");

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;
    use core::iter::Zip;
    use core::slice::{ChunksExact, IterMut};

    type Rows<'a> = Zip<ChunksExact<'a, u8>, IterMut<'a, u32>>;

    /// Code bytes from which on tables beat counting words.
    pub(super) const TABLE_BYTES: usize = 128;

    /// Words one after the other. Without AVX2, so that the compiler keeps to the instruction.
    #[target_feature(enable = "popcnt")]
    pub(super) fn popcnt_rows(query: &[u8], rows: Rows<'_>) {
        rows.for_each(|(row, distance)| *distance = super::portable(query, row));
    }

    /// Bits in each half byte by table.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_rows(query: &[u8], rows: Rows<'_>) {
        let half = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
        let table = _mm256_broadcastsi128_si256(half);
        let low = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        let (query, tail) = query.as_chunks::<32>();
        for (row, distance) in rows {
            let (row, row_tail) = row.as_chunks::<32>();
            let mut total = zero;
            // A byte gains at most 8 a chunk: 31 chunks fit.
            for (query, row) in query.chunks(31).zip(row.chunks(31)) {
                let mut counts = zero;
                for (q, x) in query.iter().zip(row) {
                    // SAFETY: 32 values are 32 bytes.
                    let (q, x) =
                        unsafe { (_mm256_loadu_si256(q.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().cast())) };
                    let differing = _mm256_xor_si256(q, x);
                    let lows = _mm256_shuffle_epi8(table, _mm256_and_si256(differing, low));
                    let highs = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(differing), low));
                    counts = _mm256_add_epi8(counts, _mm256_add_epi8(lows, highs));
                }
                total = _mm256_add_epi64(total, _mm256_sad_epu8(counts, zero));
            }
            let half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
            let one = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
            *distance = _mm_cvtsi128_si32(one) as u32 + super::portable(tail, row_tail);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
    pub(super) fn avx512_rows(query: &[u8], rows: Rows<'_>) {
        let (query, tail) = query.as_chunks::<64>();
        let mask = (1u64 << tail.len()) - 1;
        // SAFETY: the mask has a bit for each byte of the tail.
        let tail = unsafe { _mm512_maskz_loadu_epi8(mask, tail.as_ptr().cast()) };
        for (row, distance) in rows {
            let (row, row_tail) = row.as_chunks::<64>();
            let mut sum = _mm512_setzero_si512();
            for (q, x) in query.iter().zip(row) {
                // SAFETY: 64 values are 64 bytes.
                let (q, x) = unsafe { (_mm512_loadu_si512(q.as_ptr().cast()), _mm512_loadu_si512(x.as_ptr().cast())) };
                sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(q, x)));
            }
            if mask != 0 {
                // SAFETY: the tails are of one length.
                let last = unsafe { _mm512_maskz_loadu_epi8(mask, row_tail.as_ptr().cast()) };
                sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(tail, last)));
            }
            *distance = _mm512_reduce_add_epi64(sum) as u32;
        }
    }
}

#[cfg(target_arch = "aarch64")]
fn neon(query: &[u8], row: &[u8]) -> u32 {
    use core::arch::aarch64::*;
    let (query, tail) = query.as_chunks::<16>();
    let (row, row_tail) = row.as_chunks::<16>();
    // SAFETY: loads read 16 bytes of chunks of 16; NEON is part of the AArch64 baseline.
    let sum = unsafe {
        let mut total = vdupq_n_u32(0);
        // A byte gains at most 8 a chunk: 31 chunks fit.
        for (query, row) in query.chunks(31).zip(row.chunks(31)) {
            let mut counts = vdupq_n_u8(0);
            for (q, x) in query.iter().zip(row) {
                counts = vaddq_u8(counts, vcntq_u8(veorq_u8(vld1q_u8(q.as_ptr()), vld1q_u8(x.as_ptr()))));
            }
            total = vpadalq_u16(total, vpaddlq_u8(counts));
        }
        vaddvq_u32(total)
    };
    sum + portable(tail, row_tail)
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn simd128(query: &[u8], row: &[u8]) -> u32 {
    use core::arch::wasm32::*;
    let (query, tail) = query.as_chunks::<16>();
    let (row, row_tail) = row.as_chunks::<16>();
    let mut total = u32x4_splat(0);
    // A byte gains at most 8 a chunk: 31 chunks fit.
    for (query, row) in query.chunks(31).zip(row.chunks(31)) {
        let mut counts = u8x16_splat(0);
        for (q, x) in query.iter().zip(row) {
            // SAFETY: 16 values are 16 bytes.
            let (q, x) = unsafe { (v128_load(q.as_ptr().cast()), v128_load(x.as_ptr().cast())) };
            counts = u8x16_add(counts, i8x16_popcnt(v128_xor(q, x)));
        }
        total = u32x4_add(total, u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(counts)));
    }
    let lanes = [
        u32x4_extract_lane::<0>(total),
        u32x4_extract_lane::<1>(total),
        u32x4_extract_lane::<2>(total),
        u32x4_extract_lane::<3>(total),
    ];
    lanes.iter().sum::<u32>() + portable(tail, row_tail)
}
