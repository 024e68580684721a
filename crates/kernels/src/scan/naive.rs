//! The obvious loops, for tests and as the reference of benchmarks.

use alloc::vec::Vec;

use super::Hit;

/// `scores[i] = <query, row i>`, sums in f64.
pub fn dot_f32(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
        *score = query.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32;
    }
}

/// [`dot_f32`] with sums in f32, in order: what a plain loop costs.
pub fn dot_f32_plain(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
        *score = query.iter().zip(row).map(|(a, b)| a * b).sum();
    }
}

/// `sums[i] = <query, row i>` of int8 rows.
pub fn dot_i8(query: &[i8], rows: &[i8], sums: &mut [i32]) {
    for (row, sum) in rows.chunks_exact(query.len()).zip(sums) {
        *sum = query.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    }
}

/// Bits that differ, a byte at a time.
pub fn hamming(query: &[u8], rows: &[u8], distances: &mut [u32]) {
    for (row, distance) in rows.chunks_exact(query.len()).zip(distances) {
        *distance = query.iter().zip(row).map(|(a, b)| (a ^ b).count_ones()).sum();
    }
}

/// Sorts every score.
#[must_use]
pub fn top_k(scores: &[f32], k: usize) -> Vec<Hit> {
    let numbers = scores.iter().enumerate().filter(|(_, score)| !score.is_nan());
    let mut hits: Vec<Hit> = numbers.map(|(i, &score)| Hit { index: i as u32, score }).collect();
    hits.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(core::cmp::Ordering::Equal));
    hits.truncate(k);
    hits
}
