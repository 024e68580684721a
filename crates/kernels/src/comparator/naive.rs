//! The comparator as plain loops over the definition: the oracle of the tests and the baseline of the timings.

use alloc::vec;
use alloc::vec::Vec;

use super::{Padding, Pool, Weights};

/// Every intermediate map of one evaluation, channel first: `[channels][rows][columns]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stages {
    /// `[C1][h][w]`, after the first convolution and ReLU.
    pub relu1: Vec<f32>,
    /// `[C1][h1][w1]`.
    pub pool1: Vec<f32>,
    /// `[C2][h1][w1]`.
    pub relu2: Vec<f32>,
    /// `[C2][h2][w2]`.
    pub pool2: Vec<f32>,
    /// `[C3][h2][w2]`.
    pub relu3: Vec<f32>,
    /// `[h2][w2]`: the output, before Hardtanh.
    pub vc_raw: Vec<f32>,
}

/// The raw output `[h2][w2]` of the map `[C0][h][w]` (`docs/mathematics.md`, §2.2).
///
/// # Panics
/// If a slice of `weights` or `map` does not have the length that its shape says.
#[must_use]
pub fn forward(weights: &Weights<'_>, padding: Padding, map: &[f32], h: usize, w: usize, pool: Pool) -> Vec<f32> {
    stages(weights, padding, map, h, w, pool).vc_raw
}

/// Computes [`forward`] and returns every intermediate map.
///
/// # Panics
/// If a slice of `weights` or `map` does not have the length that its shape says.
#[must_use]
pub fn stages(weights: &Weights<'_>, padding: Padding, map: &[f32], h: usize, w: usize, pool: Pool) -> Stages {
    let [c0, c1, c2, c3] = weights.channels;
    let [shape1, shape2] = pool.shapes(h, w);
    let relu1 = convolve(map, [c0, h, w], weights.conv1, weights.bias1, c1, padding);
    let (pool1, (h1, w1)) = (max_pool(&relu1, [c1, h, w], shape1), shape1);
    let relu2 = convolve(&pool1, [c1, h1, w1], weights.conv2, weights.bias2, c2, padding);
    let (pool2, (h2, w2)) = (max_pool(&relu2, [c2, h1, w1], shape2), shape2);
    let relu3 = convolve(&pool2, [c2, h2, w2], weights.conv3, weights.bias3, c3, padding);
    let mut vc_raw = vec![weights.fbias; h2 * w2];
    for (plane, &weight) in relu3.chunks_exact((h2 * w2).max(1)).zip(weights.fconv) {
        for (out, x) in vc_raw.iter_mut().zip(plane) {
            *out += weight * x;
        }
    }
    Stages { relu1, pool1, relu2, pool2, relu3, vc_raw }
}

/// 3x3 convolution with a border of one, bias and ReLU.
pub(super) fn convolve(
    input: &[f32],
    [cin, h, w]: [usize; 3],
    kernel: &[f32],
    bias: &[f32],
    cout: usize,
    padding: Padding,
) -> Vec<f32> {
    assert_eq!(input.len(), cin * h * w);
    assert_eq!(kernel.len(), cout * cin * 9);
    assert_eq!(bias.len(), cout);
    let at = |c: usize, y: isize, x: isize| {
        let (cy, cx) = (y.clamp(0, h as isize - 1), x.clamp(0, w as isize - 1));
        let inside = cy == y && cx == x;
        if inside || padding == Padding::Replicate { input[(c * h + cy as usize) * w + cx as usize] } else { 0.0 }
    };
    let mut out = Vec::with_capacity(cout * h * w);
    for o in 0..cout {
        for y in 0..h as isize {
            for x in 0..w as isize {
                let mut sum = bias[o];
                for c in 0..cin {
                    for ky in 0..3 {
                        for kx in 0..3 {
                            let weight = kernel[((o * cin + c) * 3 + ky) * 3 + kx];
                            sum += weight * at(c, y + ky as isize - 1, x + kx as isize - 1);
                        }
                    }
                }
                out.push(sum.max(0.0));
            }
        }
    }
    out
}

/// 2x2 maximum, stride 2, to a map of `oh` x `ow`.
pub(super) fn max_pool(input: &[f32], [c, h, w]: [usize; 3], (oh, ow): (usize, usize)) -> Vec<f32> {
    let mut out = Vec::with_capacity(c * oh * ow);
    for c in 0..c {
        for y in 0..oh {
            for x in 0..ow {
                let mut max = f32::NEG_INFINITY;
                for y in (2 * y..2 * y + 2).filter(|&y| y < h) {
                    for x in (2 * x..2 * x + 2).filter(|&x| x < w) {
                        max = max.max(input[(c * h + y) * w + x]);
                    }
                }
                out.push(max);
            }
        }
    }
    out
}
