//! Weights of 3x3 convolutions in the transform domain.

use super::{FREQUENCIES, POINT_A, POINT_B};
use crate::aligned::Aligned;

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

impl Transformed {
    /// Packs `kernel` `[channels][inputs][3][3]` and `bias` `[channels]` for input pixels of `input_stride` values.
    pub(crate) fn new(
        block: usize,
        inputs: usize,
        input_stride: usize,
        channels: usize,
        kernel: &[f32],
        bias: &[f32],
    ) -> Self {
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
