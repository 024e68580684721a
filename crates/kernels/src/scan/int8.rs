//! int8 rows: integer dot products, exact on every instruction set.

use alloc::vec;
use alloc::vec::Vec;

use crate::Isa;
use crate::isa::Kind;

/// Most dimensions of int8 vectors: the sums of products fit `i32` on every path.
pub const MAX_DIMS_I8: usize = 65_536;

/// The vector as int8 times a scale: `x ~ q * scale`, `scale = max |x| / 127`, rounded to nearest (halves to even).
/// Values that are not finite count as 0; a vector of zeros has scale 0.
#[must_use]
pub fn quantise_i8(vector: &[f32]) -> (Vec<i8>, f32) {
    let mut values = vec![0; vector.len()];
    let scale = quantise_i8_into(vector, &mut values);
    (values, scale)
}

/// [`quantise_i8`] into `values`; returns the scale.
///
/// # Panics
/// If the lengths differ.
pub fn quantise_i8_into(vector: &[f32], values: &mut [i8]) -> f32 {
    assert_eq!(vector.len(), values.len(), "one int8 value for each value");
    let finite = |x: f32| if x.is_finite() { x } else { 0.0 };
    let largest = vector.iter().fold(0f32, |most, &x| most.max(finite(x).abs()));
    if largest == 0.0 {
        values.fill(0);
        return 0.0;
    }
    // In f64, so that neither the quotient of tiny numbers nor that of huge ones leaves the range.
    let factor = 127.0 / f64::from(largest);
    for (value, &x) in values.iter_mut().zip(vector) {
        *value = libm::rint(f64::from(finite(x)) * factor) as i8;
    }
    (f64::from(largest) / 127.0) as f32
}

/// Quantises rows `[N][dims]`: values `[N][dims]` and scales `[N]`.
///
/// # Panics
/// If `dims` is 0 or `rows` are not whole rows.
#[must_use]
pub fn quantise_rows_i8(rows: &[f32], dims: usize) -> (Vec<i8>, Vec<f32>) {
    assert!(dims > 0 && rows.len().is_multiple_of(dims), "whole rows of {dims} values");
    let mut values = vec![0; rows.len()];
    let scales =
        rows.chunks_exact(dims).zip(values.chunks_exact_mut(dims)).map(|(row, out)| quantise_i8_into(row, out));
    let scales = scales.collect();
    (values, scales)
}

/// `sums[i] = <query, row i>` for `rows` `[N][dims]`, exact.
///
/// # Panics
/// If `query` has not `dims` values, `rows` not `dims` for each sum, or `dims` exceeds [`MAX_DIMS_I8`].
pub fn dot_i8(isa: Isa, query: &[i8], rows: &[i8], dims: usize, sums: &mut [i32]) {
    Query::new(isa, query, dims).dots(rows, sums);
}

/// `scores[i] = <query, row i> * query_scale * scales[i]`: estimates of the f32 dot products.
///
/// # Panics
/// As [`dot_i8`], or if there is not one scale for each score.
pub fn scores_i8(isa: Isa, query: &[i8], query_scale: f32, rows: &[i8], scales: &[f32], scores: &mut [f32]) {
    assert_eq!(scales.len(), scores.len(), "one scale for each row");
    let dims = query.len();
    assert_eq!(scores.len().checked_mul(dims), Some(rows.len()), "{} rows of {dims} values", scores.len());
    let query = Query::new(isa, query, dims);
    let mut sums = [0i32; 256];
    let mut start = 0;
    for (scores, scales) in scores.chunks_mut(sums.len()).zip(scales.chunks(sums.len())) {
        let n = scores.len();
        let sums = &mut sums[..n];
        query.dots(&rows[start * dims..(start + n) * dims], sums);
        for ((score, sum), scale) in scores.iter_mut().zip(sums).zip(scales) {
            *score = *sum as f32 * (query_scale * scale);
        }
        start += n;
    }
}

/// A query in the form that its instruction set multiplies.
struct Query<'a> {
    isa: Isa,
    bytes: &'a [i8],
    /// The same, widened; empty where products take bytes.
    words: Vec<i16>,
    /// Subtracted from every sum of a path that adds 128 to its rows.
    #[cfg(target_arch = "x86_64")]
    offset: i32,
}

impl<'a> Query<'a> {
    #[track_caller]
    fn new(isa: Isa, query: &'a [i8], dims: usize) -> Self {
        assert_eq!(query.len(), dims, "a query of {dims} values");
        assert!(dims <= MAX_DIMS_I8, "{dims} dimensions: int8 vectors have at most {MAX_DIMS_I8}");
        let words = match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => Vec::new(),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => Vec::new(),
            _ => query.iter().map(|&x| i16::from(x)).collect(),
        };
        Self {
            isa,
            bytes: query,
            words,
            #[cfg(target_arch = "x86_64")]
            offset: 128 * query.iter().map(|&x| i32::from(x)).sum::<i32>(),
        }
    }

    #[track_caller]
    fn dots(&self, rows: &[i8], sums: &mut [i32]) {
        let dims = self.bytes.len();
        assert_eq!(sums.len().checked_mul(dims), Some(rows.len()), "{} rows of {dims} values", sums.len());
        if dims == 0 {
            return sums.fill(0);
        }
        let rows = rows.chunks_exact(dims).zip(sums);
        match self.isa.kind() {
            Kind::Portable => rows.for_each(|(row, sum)| *sum = portable(&self.words, row)),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
            Kind::Avx2 => unsafe { x86::avx2_rows(&self.words, rows) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
            Kind::Avx512 => unsafe { x86::avx512_rows(self.bytes, self.offset, rows) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => rows.for_each(|(row, sum)| *sum = neon(self.bytes, row)),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => rows.for_each(|(row, sum)| *sum = simd128(&self.words, row)),
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::RelaxedSimd => rows.for_each(|(row, sum)| *sum = simd128(&self.words, row)),
        }
    }
}

/// In plain Rust.
#[inline(always)]
fn portable(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(&q, &x)| i32::from(q) * i32::from(x)).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;
    use core::iter::Zip;
    use core::slice::{ChunksExact, IterMut};

    type Rows<'a> = Zip<ChunksExact<'a, i8>, IterMut<'a, i32>>;

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_rows(query: &[i16], rows: Rows<'_>) {
        let (query, tail) = query.as_chunks::<16>();
        for (row, sum) in rows {
            let (row, row_tail) = row.as_chunks::<16>();
            let mut sums = [_mm256_setzero_si256(); 4];
            let mut add = |part: usize, q: &[i16; 16], x: &[i8; 16]| {
                // SAFETY: 16 values are 32 bytes of the query and 16 of the row.
                let (q, x) = unsafe { (_mm256_loadu_si256(q.as_ptr().cast()), _mm_loadu_si128(x.as_ptr().cast())) };
                sums[part] = _mm256_add_epi32(sums[part], _mm256_madd_epi16(q, _mm256_cvtepi8_epi16(x)));
            };
            let (q4, q1) = query.as_chunks::<4>();
            let (x4, x1) = row.as_chunks::<4>();
            for (q, x) in q4.iter().zip(x4) {
                add(0, &q[0], &x[0]);
                add(1, &q[1], &x[1]);
                add(2, &q[2], &x[2]);
                add(3, &q[3], &x[3]);
            }
            for (q, x) in q1.iter().zip(x1) {
                add(0, q, x);
            }
            let total = _mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3]));
            let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
            let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
            let one = _mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair));
            *sum = _mm_cvtsi128_si32(one) + super::portable(tail, row_tail);
        }
    }

    /// Rows plus 128, as unsigned bytes, times the query; `offset` is what the 128 adds to each sum.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn avx512_rows(query: &[i8], offset: i32, rows: Rows<'_>) {
        let flip = _mm512_set1_epi8(i8::MIN);
        let (query, tail) = query.as_chunks::<64>();
        let mask = (1u64 << tail.len()) - 1;
        // SAFETY: the mask has a bit for each value of the tail. The other lanes are 0, whatever the row's lanes are.
        let tail = unsafe { _mm512_maskz_loadu_epi8(mask, tail.as_ptr()) };
        for (row, sum) in rows {
            let (row, row_tail) = row.as_chunks::<64>();
            // SAFETY: the tails are of one length.
            let last = unsafe { _mm512_maskz_loadu_epi8(mask, row_tail.as_ptr()) };
            let zero = _mm512_setzero_si512();
            let mut sums = [zero; 4];
            sums[3] = _mm512_dpbusd_epi32(zero, _mm512_xor_si512(last, flip), tail);
            let mut add = |part: usize, q: &[i8; 64], x: &[i8; 64]| {
                // SAFETY: 64 values are 64 bytes.
                let (q, x) = unsafe { (_mm512_loadu_si512(q.as_ptr().cast()), _mm512_loadu_si512(x.as_ptr().cast())) };
                sums[part] = _mm512_dpbusd_epi32(sums[part], _mm512_xor_si512(x, flip), q);
            };
            let (q4, q1) = query.as_chunks::<4>();
            let (x4, x1) = row.as_chunks::<4>();
            for (q, x) in q4.iter().zip(x4) {
                add(0, &q[0], &x[0]);
                add(1, &q[1], &x[1]);
                add(2, &q[2], &x[2]);
                add(3, &q[3], &x[3]);
            }
            for (q, x) in q1.iter().zip(x1) {
                add(0, q, x);
            }
            let total = _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]));
            *sum = _mm512_reduce_add_epi32(total).wrapping_sub(offset);
        }
    }
}

#[cfg(target_arch = "aarch64")]
fn neon(query: &[i8], row: &[i8]) -> i32 {
    use core::arch::aarch64::*;
    let (query, tail) = query.as_chunks::<16>();
    let (row, row_tail) = row.as_chunks::<16>();
    // SAFETY: loads read 16 bytes of chunks of 16; NEON is part of the AArch64 baseline.
    let sum = unsafe {
        let mut sums = [vdupq_n_s32(0); 2];
        for (q, x) in query.iter().zip(row) {
            let (q, x) = (vld1q_s8(q.as_ptr()), vld1q_s8(x.as_ptr()));
            sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(q), vget_low_s8(x)));
            sums[1] = vpadalq_s16(sums[1], vmull_high_s8(q, x));
        }
        vaddvq_s32(vaddq_s32(sums[0], sums[1]))
    };
    sum + tail.iter().zip(row_tail).map(|(&q, &x)| i32::from(q) * i32::from(x)).sum::<i32>()
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn simd128(query: &[i16], row: &[i8]) -> i32 {
    use core::arch::wasm32::*;
    let (query, tail) = query.as_chunks::<16>();
    let (row, row_tail) = row.as_chunks::<16>();
    let mut sums = [i32x4_splat(0); 2];
    for (q, x) in query.iter().zip(row) {
        // SAFETY: 16 values are 32 bytes of the query and 16 of the row.
        let (low, high, x) = unsafe {
            let q: *const v128 = q.as_ptr().cast();
            (v128_load(q), v128_load(q.add(1)), v128_load(x.as_ptr().cast()))
        };
        sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(low, i16x8_extend_low_i8x16(x)));
        sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(high, i16x8_extend_high_i8x16(x)));
    }
    let total = i32x4_add(sums[0], sums[1]);
    let lanes = [
        i32x4_extract_lane::<0>(total),
        i32x4_extract_lane::<1>(total),
        i32x4_extract_lane::<2>(total),
        i32x4_extract_lane::<3>(total),
    ];
    lanes.iter().sum::<i32>() + portable(tail, row_tail)
}
