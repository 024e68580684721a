//! Element-wise functions and row operations that the networks share. Rows are consecutive slices of equal length.

pub use vidsieve_kernels::math::{exp, sigmoid, tanh};

/// `nrm(v) = v / max(|v|, 1e-12)`, a row at a time, in place.
pub fn normalise_rows(x: &mut [f32], width: usize) {
    for row in x.chunks_exact_mut(width) {
        let inverse = 1.0 / norm(row).max(1e-12);
        row.iter_mut().for_each(|v| *v *= inverse);
    }
}

/// Euclidean length, squares added in eight interleaved sums.
#[must_use]
pub fn norm(row: &[f32]) -> f32 {
    dot(row, row).sqrt()
}

/// Dot product, added in eight interleaved sums.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// LayerNorm with eps 1e-5, a row at a time, in place; mean and variance in f64.
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32]) {
    let width = weight.len();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / width as f64;
    for row in x.chunks_exact_mut(width) {
        let mean = mean_of(&mut row.iter().map(|&v| f64::from(v)));
        let variance = mean_of(&mut row.iter().map(|&v| (f64::from(v) - mean).powi(2)));
        #[allow(clippy::cast_possible_truncation)]
        let (mean, inverse) = (mean as f32, (1.0 / (variance + 1e-5).sqrt()) as f32);
        for ((v, w), b) in row.iter_mut().zip(weight).zip(bias) {
            *v = (*v - mean) * inverse * w + b;
        }
    }
}

/// Softmax, a row at a time, in place.
pub fn softmax(x: &mut [f32], width: usize) {
    for row in x.chunks_exact_mut(width) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = exp(*v - largest));
        let inverse = 1.0 / row.iter().sum::<f32>();
        row.iter_mut().for_each(|v| *v *= inverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_independent() {
        let mut x = vec![3.0, 4.0, 0.0, 0.0, -1.0, 0.0];
        normalise_rows(&mut x, 2);
        assert_eq!(x, [0.6, 0.8, 0.0, 0.0, -1.0, 0.0]);
        let mut x = vec![1.0, 1.0, 0.0, 100.0];
        softmax(&mut x, 2);
        assert_eq!(&x[..2], [0.5, 0.5]);
        assert!(x[3] == 1.0 && x[2] < 1e-30);
        let mut x = vec![1.0, 3.0, -5.0, -5.0];
        layer_norm(&mut x, &[2.0, 2.0], &[1.0, 0.0]);
        assert!((x[0] + 1.0).abs() < 1e-4 && (x[1] - 2.0).abs() < 1e-4, "{x:?}");
        assert_eq!(&x[2..], [1.0, 0.0]);
    }
}
