//! The first layer: 3x3 convolution, bias, ReLU and 2x2 max-pool in one pass, lanes = output channels.

use super::pack::First;
use crate::dispatch::dispatch_f32;
use crate::isa::Isa;
use crate::simd::F32s;

/// Where the rows of one call lie. Strides are in values.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    /// Input value of channel 0 above and left of the first convolution output.
    pub(crate) input: usize,
    pub(crate) input_stride: usize,
    pub(crate) channel_stride: usize,
    /// First pooled output pixel.
    pub(crate) output: usize,
    pub(crate) output_stride: usize,
    /// Pooled rows and columns.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// The last pooled row (column) covers a single convolution row (column).
    pub(crate) half_row: bool,
    pub(crate) half_column: bool,
}

/// Pooled rows of `[rows][columns][C1]` from input rows `[C0][2 rows + 2][2 columns + 2]`.
pub(crate) fn convolve(isa: Isa, layer: &First, input: &[f32], output: &mut [f32], at: Rows) {
    if at.rows == 0 || at.columns == 0 {
        return;
    }
    let last =
        at.input + (layer.inputs - 1) * at.channel_stride + (2 * at.rows + 1) * at.input_stride + (2 * at.columns + 1);
    assert!(last < input.len(), "input rows end before the border");
    assert!(at.output + (at.rows - 1) * at.output_stride + at.columns * layer.outputs <= output.len());
    assert!(layer.kernel.len() >= layer.outputs * layer.inputs * 9 && layer.bias.len() >= layer.outputs);
    dispatched(isa, layer, input, output, at);
}

dispatch_f32!(fn dispatched(layer: &First, input: &[f32], output: &mut [f32], at: Rows) = body);

#[inline(always)]
unsafe fn body<V: F32s>(layer: &First, input: &[f32], output: &mut [f32], at: Rows) {
    // SAFETY: `convolve` has checked the last value that is read and written; `outputs` is a multiple of `LANES`.
    unsafe {
        let input = input.as_ptr().add(at.input);
        let output = output.as_mut_ptr().add(at.output);
        for row in 0..at.rows {
            let half_row = at.half_row && row + 1 == at.rows;
            let source = input.add(2 * row * at.input_stride);
            for vector in 0..layer.outputs / V::LANES {
                let kernel = layer.kernel.as_ptr().add(vector * layer.inputs * 9 * V::LANES);
                let bias = V::load(layer.bias.as_ptr().add(vector * V::LANES));
                let target = output.add(row * at.output_stride + vector * V::LANES);
                if layer.inputs == 1 {
                    let weights = load_weights::<V>(kernel);
                    for x in 0..at.columns {
                        let mut sums = [bias; 4];
                        accumulate(&mut sums, &weights, source.add(2 * x), at.input_stride);
                        let half_column = at.half_column && x + 1 == at.columns;
                        pool(sums, half_row, half_column).store(target.add(x * layer.outputs));
                    }
                } else {
                    for x in 0..at.columns {
                        let mut sums = [bias; 4];
                        for channel in 0..layer.inputs {
                            let weights = load_weights::<V>(kernel.add(channel * 9 * V::LANES));
                            let source = source.add(channel * at.channel_stride + 2 * x);
                            accumulate(&mut sums, &weights, source, at.input_stride);
                        }
                        let half_column = at.half_column && x + 1 == at.columns;
                        pool(sums, half_row, half_column).store(target.add(x * layer.outputs));
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn load_weights<V: F32s>(kernel: *const f32) -> [V; 9] {
    // SAFETY: the caller vouches for nine vectors.
    unsafe {
        let mut weights = [V::splat(0.0); 9];
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight = V::load(kernel.add(i * V::LANES));
        }
        weights
    }
}

/// Adds one input channel to the 2x2 convolution outputs of a pooled cell, from 4x4 input values.
#[inline(always)]
unsafe fn accumulate<V: F32s>(sums: &mut [V; 4], weights: &[V; 9], source: *const f32, stride: usize) {
    // SAFETY: the caller vouches for four rows of four values.
    unsafe {
        for y in 0..4 {
            for x in 0..4 {
                let value = V::splat(*source.add(y * stride + x));
                for (i, sum) in sums.iter_mut().enumerate() {
                    let (oy, ox) = (i / 2, i % 2);
                    if y >= oy && y < oy + 3 && x >= ox && x < ox + 3 {
                        *sum = value.mul_add(weights[3 * (y - oy) + (x - ox)], *sum);
                    }
                }
            }
        }
    }
}

/// ReLU and the maximum of the outputs that exist.
#[inline(always)]
unsafe fn pool<V: F32s>(sums: [V; 4], half_row: bool, half_column: bool) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let top = if half_column { sums[0] } else { sums[0].max(sums[1]) };
        let bottom = if half_column { sums[2] } else { sums[2].max(sums[3]) };
        let max = if half_row { top } else { top.max(bottom) };
        max.max(V::splat(0.0))
    }
}
