//! Weights in the order in which the kernels read them.

use super::Weights;
use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::winograd::{self, Transformed};

/// The first convolution: `[C1 / LANES][C0][9][LANES]`, bias `[C1 / LANES][LANES]`, channels padded with zeros.
pub(crate) struct First {
    pub(crate) kernel: Aligned,
    pub(crate) bias: Aligned,
    /// C0.
    pub(crate) inputs: usize,
    /// C1, rounded up to whole vectors.
    pub(crate) outputs: usize,
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
