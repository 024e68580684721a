//! Weights in the order in which the kernels read them.

use super::aligned::Aligned;
use super::winograd::{FREQUENCIES, POINT_A, POINT_B};
use super::{Weights, winograd};
use crate::isa::Isa;

/// The first convolution: `[C1 / LANES][C0][9][LANES]`, bias `[C1 / LANES][LANES]`, channels padded with zeros.
pub(crate) struct First {
    pub(crate) kernel: Aligned,
    pub(crate) bias: Aligned,
    /// C0.
    pub(crate) inputs: usize,
    /// C1, rounded up to whole vectors.
    pub(crate) outputs: usize,
}

/// A 3x3 convolution in the transform domain: `[blocks][36][C_in][block]`, bias `[blocks][block]`, output channels
/// padded with zeros to whole blocks.
pub(crate) struct Transformed {
    pub(crate) kernel: Aligned,
    pub(crate) bias: Aligned,
    /// Input channels: rows of a panel.
    pub(crate) inputs: usize,
    /// Channels of a pixel of the input map, `inputs` rounded up to whole vectors.
    pub(crate) input_stride: usize,
    /// Output channels, rounded up to whole blocks.
    pub(crate) outputs: usize,
    /// Output channels that are worked on together.
    pub(crate) block: usize,
}

/// All layers, packed for one instruction set.
pub(crate) struct Packed {
    pub(crate) first: First,
    pub(crate) second: Transformed,
    pub(crate) third: Transformed,
    /// `[C3]`, zeros up to `third.outputs`.
    pub(crate) last: Aligned,
    pub(crate) last_bias: f32,
}

impl Packed {
    /// `weights` must have been checked.
    pub(crate) fn new(isa: Isa, weights: &Weights<'_>) -> Self {
        let [c0, c1, c2, c3] = weights.channels;
        let (lanes, block) = winograd::layout(isa);
        let first = First::new(lanes, c0, c1, weights.conv1, weights.bias1);
        let second = Transformed::new(block, c1, first.outputs, c2, weights.conv2, weights.bias2);
        let third = Transformed::new(block, c2, second.outputs, c3, weights.conv3, weights.bias3);
        let mut last = Aligned::zeros(third.outputs);
        last[..c3].copy_from_slice(weights.fconv);
        Self { first, second, third, last, last_bias: weights.fbias }
    }
}

impl First {
    fn new(lanes: usize, inputs: usize, channels: usize, kernel: &[f32], bias: &[f32]) -> Self {
        let outputs = channels.next_multiple_of(lanes);
        let mut packed = Aligned::zeros(outputs * inputs * 9);
        for (o, filters) in kernel.chunks_exact(inputs * 9).enumerate() {
            for (i, &weight) in filters.iter().enumerate() {
                packed[(o / lanes * inputs * 9 + i) * lanes + o % lanes] = weight;
            }
        }
        let mut padded = Aligned::zeros(outputs);
        padded[..channels].copy_from_slice(bias);
        Self { kernel: packed, bias: padded, inputs, outputs }
    }
}

impl Transformed {
    fn new(block: usize, inputs: usize, input_stride: usize, channels: usize, kernel: &[f32], bias: &[f32]) -> Self {
        let outputs = channels.next_multiple_of(block);
        let mut packed = Aligned::zeros(outputs * inputs * FREQUENCIES);
        for (o, filters) in kernel.chunks_exact(inputs * 9).enumerate() {
            for (i, filter) in filters.chunks_exact(9).enumerate() {
                for (f, value) in transform_filter(filter).into_iter().enumerate() {
                    packed[((o / block * FREQUENCIES + f) * inputs + i) * block + o % block] = value;
                }
            }
        }
        let mut padded = Aligned::zeros(outputs);
        padded[..channels].copy_from_slice(bias);
        Self { kernel: packed, bias: padded, inputs, input_stride, outputs, block }
    }
}

/// `G g G^T` of a 3x3 filter, in f64 and rounded once.
fn transform_filter(filter: &[f32]) -> [f32; FREQUENCIES] {
    let (a, b) = (f64::from(POINT_A), f64::from(POINT_B));
    let (a2, b2) = (0.5, 2.0);
    // Row of point p: (1, p, p^2) / product of (p - q) over the other finite points q; last row: the point infinity.
    let (na, nb) = (2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    let g: [[f64; 3]; 6] = [
        [1.0, 0.0, 0.0],
        [1.0 / na, a / na, a2 / na],
        [1.0 / na, -a / na, a2 / na],
        [1.0 / nb, b / nb, b2 / nb],
        [1.0 / nb, -b / nb, b2 / nb],
        [0.0, 0.0, 1.0],
    ];
    let mut out = [0.0; FREQUENCIES];
    for i in 0..6 {
        for j in 0..6 {
            let mut sum = 0.0;
            for (y, gy) in g[i].iter().enumerate() {
                for (x, gx) in g[j].iter().enumerate() {
                    sum += gy * gx * f64::from(filter[3 * y + x]);
                }
            }
            out[6 * i + j] = sum as f32;
        }
    }
    out
}
