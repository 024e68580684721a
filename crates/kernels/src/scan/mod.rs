//! Coarse search: one query against the global vectors `[N][dims]` of N videos (`docs/mathematics.md`, §4).
//!
//! A scan is bound by memory, so the rows come in three sizes: f32 (4 bytes a dimension), int8 with a scale a row (1 byte)
//! and sign codes (1 bit). [`scan_rescored`] passes over small rows and computes the best few again from the f32 vectors.
//! Scores of int8 rows and Hamming distances are exact integers on every instruction set. Every row is computed by
//! itself: rows may be split over calls, threads and shards without changing a bit, and [`Best`] merges what they find.

mod int8;
pub mod naive;
mod sign;
#[cfg(test)]
mod tests;
mod top;

use alloc::vec;
use alloc::vec::Vec;

pub use int8::{MAX_DIMS_I8, dot_i8, quantise_i8, quantise_i8_into, quantise_rows_i8, scores_i8};
pub use sign::{hamming, sign_code, sign_code_bytes, sign_code_into, sign_rows};
pub use top::{Best, Hit, top_k};

use crate::Isa;
use crate::dispatch::dispatch_f32;
use crate::simd::F32s;

/// Rows of which the scores are kept at a time: they stay in the first cache.
const BLOCK: usize = 1024;

/// `scores[i] = <query, row i>` for `rows` `[N][dims]`. The score of a row with values that are not finite is not finite.
///
/// # Panics
/// If `query` has not `dims` values or `rows` not `dims` for each score.
pub fn dot_f32(isa: Isa, query: &[f32], rows: &[f32], dims: usize, scores: &mut [f32]) {
    check(query.len(), rows.len(), dims, scores.len());
    dots(isa, query, rows, dims, scores);
}

/// Lengths of a scan: `query` values in the query, `rows` in the rows, `n` results.
#[track_caller]
fn check(query: usize, rows: usize, dims: usize, n: usize) {
    assert_eq!(query, dims, "a query of {dims} values");
    assert_eq!(n.checked_mul(dims), Some(rows), "{n} rows of {dims} values");
}

dispatch_f32!(fn dots(query: &[f32], rows: &[f32], dims: usize, scores: &mut [f32]) = dots_body);

// One row after the other: memory is read as one stream, which prefetchers follow better than several rows at once.
#[inline(always)]
unsafe fn dots_body<V: F32s>(query: &[f32], rows: &[f32], dims: usize, scores: &mut [f32]) {
    let lanes = V::LANES;
    let q = query.as_ptr();
    // The query's values past its last whole vector, in the lanes where a load that ends with the row has the row's.
    let rest = dims % lanes;
    let mut last = [0f32; 16];
    let at = if dims < lanes { 0 } else { lanes - rest };
    last[at..at + rest].copy_from_slice(&query[dims - rest..]);
    // SAFETY: `last` holds 16 >= LANES values.
    let last = unsafe { V::load(last.as_ptr()) };
    for (i, score) in scores.iter_mut().enumerate() {
        // SAFETY: the caller has checked that the query holds `dims` values and the rows `dims` for each score.
        *score = unsafe {
            let row = rows.as_ptr().add(i * dims);
            let mut sums = [V::splat(0.0); 4];
            let mut k = 0;
            while k + 4 * lanes <= dims {
                for (part, sum) in sums.iter_mut().enumerate() {
                    let at = k + part * lanes;
                    *sum = V::load(q.add(at)).mul_add(V::load(row.add(at)), *sum);
                }
                k += 4 * lanes;
            }
            while k + lanes <= dims {
                sums[0] = V::load(q.add(k)).mul_add(V::load(row.add(k)), sums[0]);
                k += lanes;
            }
            if k < dims {
                let x = if dims < lanes { V::load_partial(row, dims) } else { V::load(row.add(dims - lanes)) };
                sums[1] = last.mul_add(x, sums[1]);
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
        };
    }
}

/// The small rows of a first pass, one for each of N vectors.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// int8 with a scale a row, as [`quantise_rows_i8`] makes them.
    Int8 {
        /// `[N][dims]`.
        values: &'a [i8],
        /// `[N]`.
        scales: &'a [f32],
    },
    /// Sign codes, as [`sign_rows`] makes them: `[N][sign_code_bytes(dims)]`.
    Sign(&'a [u8]),
}

/// The `k` best rows of a first pass, without rescoring. Scores are estimates of the dot product (`Int8`) or
/// `1 - 2 hamming / dims`, an estimate of the cosine's order (`Sign`).
///
/// # Panics
/// If the rows are not whole rows for a query of this length, or dims is above [`MAX_DIMS_I8`] for `Int8`.
#[must_use]
pub fn scan(isa: Isa, query: &[f32], rows: Rows<'_>, k: usize) -> Vec<Hit> {
    let dims = query.len();
    let mut best = Best::new(k);
    let mut scores = vec![0f32; BLOCK];
    match rows {
        Rows::Int8 { values, scales } => {
            let (query, scale) = quantise_i8(query);
            assert_eq!(scales.len().checked_mul(dims), Some(values.len()), "{} rows of {dims}", scales.len());
            let mut start = 0;
            for scales in scales.chunks(BLOCK) {
                let scores = &mut scores[..scales.len()];
                let values = &values[start * dims..(start + scales.len()) * dims];
                scores_i8(isa, &query, scale, values, scales, scores);
                best.push(start, scores);
                start += scales.len();
            }
        }
        Rows::Sign(codes) => {
            let query = sign_code(query);
            let bytes = query.len();
            assert!(bytes > 0 && codes.len().is_multiple_of(bytes), "codes of whole rows of {bytes} bytes");
            let mut distances = vec![0u32; BLOCK];
            for (block, codes) in codes.chunks(BLOCK * bytes).enumerate() {
                let n = codes.len() / bytes;
                hamming(isa, &query, codes, bytes, &mut distances[..n]);
                for (score, distance) in scores.iter_mut().zip(&distances[..n]) {
                    *score = 1.0 - 2.0 * *distance as f32 / dims as f32;
                }
                best.push(block * BLOCK, &scores[..n]);
            }
        }
    }
    best.finish()
}

/// The `k` best rows: a first pass over small `rows` keeps the best `max(k, oversample)`, `exact` gives their true scores.
/// Rows whose true score is not a number are left out.
///
/// With f32 vectors in memory, `exact` is `|i| dot(isa, query, &vectors[i as usize * dims..][..dims])`; it is called in order
/// of rising index, so that vectors on a disk are read forwards.
///
/// # Panics
/// As [`scan`].
#[must_use]
pub fn scan_rescored(
    isa: Isa,
    query: &[f32],
    rows: Rows<'_>,
    k: usize,
    oversample: usize,
    mut exact: impl FnMut(u32) -> f32,
) -> Vec<Hit> {
    let mut hits = scan(isa, query, rows, k.max(oversample));
    hits.sort_unstable_by_key(|hit| hit.index);
    let mut best = Best::new(k);
    for hit in hits {
        best.push(hit.index as usize, &[exact(hit.index)]);
    }
    best.finish()
}

/// The dot product of two vectors, with the bits that [`dot_f32`] gives for such a row.
///
/// # Panics
/// If the vectors differ in length.
#[must_use]
pub fn dot(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    let mut score = [0f32];
    dot_f32(isa, a, b, a.len(), &mut score);
    score[0]
}
