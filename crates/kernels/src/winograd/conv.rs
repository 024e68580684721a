//! One convolution over a whole map: bias, an addition and ReLU go with the output transform.

use super::{FREQUENCIES, Shape, Space, Transformed, VECTORS, layout, multiply, outputs, transform_tile};
use crate::aligned::Aligned;
use crate::dispatch::dispatch_f32;
use crate::isa::Isa;
use crate::simd::F32s;

/// Values of a block of tiles in the transform domain: they stay in the second-level cache beside a block's weights.
const BLOCK_VALUES: usize = 48 << 10;

/// A 3x3 convolution of stride 1 over maps `[pixel][channel]`, which are taken as surrounded by zeros.
pub struct Conv3x3 {
    isa: Isa,
    layer: Transformed,
    /// Output channels that are stored.
    channels: usize,
}

/// Work space of convolutions. One per thread; it grows to the largest need and can serve any of them.
#[derive(Default)]
pub struct Scratch {
    space: Space,
    /// The 6x6 pixels of a tile that reaches over the map's edge.
    edge: Aligned,
}

impl core::fmt::Debug for Conv3x3 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Conv3x3").field("inputs", &self.layer.inputs).field("outputs", &self.channels).finish()
    }
}

impl core::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scratch").field("values", &(self.space.len() + self.edge.len())).finish()
    }
}

/// What follows the products.
#[derive(Clone, Copy)]
struct Finish<'a> {
    residual: Option<&'a [f32]>,
    relu: bool,
}

/// The map and the tiles of a block: `first ..`, row by row.
#[derive(Clone, Copy)]
struct Map<'a> {
    values: &'a [f32],
    height: usize,
    width: usize,
    /// Channels of a pixel.
    channels: usize,
    first: usize,
}

impl Map<'_> {
    /// Tile `t` of the block: its upper left output pixel.
    fn corner(&self, t: usize) -> (usize, usize) {
        let across = self.width.div_ceil(4);
        let tile = self.first + t;
        (tile / across * 4, tile % across * 4)
    }

    /// Where the 6x6 pixels of a tile begin, if all lie inside the map.
    fn inside(&self, (y, x): (usize, usize)) -> Option<usize> {
        let whole = y > 0 && x > 0 && y + 5 <= self.height && x + 5 <= self.width;
        whole.then(|| ((y - 1) * self.width + x - 1) * self.channels)
    }

    /// Copies the 6x6 pixels of a tile, `stride` values each, zeros outside and after the channels.
    fn copy(&self, (y, x): (usize, usize), stride: usize, to: &mut [f32]) {
        for (pixel, to) in to.chunks_exact_mut(stride).take(36).enumerate() {
            let (row, column) = (y + pixel / 6, x + pixel % 6);
            let outside = row == 0 || column == 0 || row > self.height || column > self.width;
            let (values, rest) = to.split_at_mut(self.channels);
            if outside {
                values.fill(0.0);
            } else {
                let from = &self.values[((row - 1) * self.width + column - 1) * self.channels..][..self.channels];
                values.copy_from_slice(from);
            }
            rest.fill(0.0);
        }
    }
}

impl Conv3x3 {
    /// Packs weights `[outputs][inputs][3][3]` and bias `[outputs]`.
    ///
    /// # Panics
    /// If there are no inputs or outputs, or another number of weights.
    #[must_use]
    pub fn new(isa: Isa, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert!(inputs > 0 && outputs > 0, "a convolution of {inputs} by {outputs} channels");
        assert_eq!(Some(weight.len()), inputs.checked_mul(9).and_then(|n| n.checked_mul(outputs)), "weights");
        let (lanes, block) = layout(isa);
        let layer = Transformed::new(block, inputs, inputs.next_multiple_of(lanes), outputs, weight, bias);
        Self { isa, layer, channels: outputs }
    }

    /// Convolves a map `[height][width][inputs]`, adds the bias and `residual` `[height][width][outputs]`, then ReLU if `relu`;
    /// `out` `[height][width][outputs]` is overwritten. Every output pixel is the same sum whatever the map around its tile.
    ///
    /// # Panics
    /// If a slice is of another length.
    pub fn run(
        &self,
        x: &[f32],
        [height, width]: [usize; 2],
        residual: Option<&[f32]>,
        relu: bool,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let channels = self.layer.inputs;
        let pixels = height.checked_mul(width);
        let holds = |len: usize, channels: usize| pixels.and_then(|n| n.checked_mul(channels)) == Some(len);
        assert!(holds(x.len(), channels) && holds(out.len(), self.channels), "a map of {height}x{width} pixels");
        assert!(residual.is_none_or(|r| r.len() == out.len()), "what is added is as large as the output");
        let tiles = height.div_ceil(4) * width.div_ceil(4);
        let block = (BLOCK_VALUES / (FREQUENCIES * self.layer.input_stride)).clamp(4, 64) & !3;
        let Scratch { space, edge } = scratch;
        edge.reserve(36 * self.layer.input_stride);
        for first in (0..tiles).step_by(block) {
            let shape = Shape::new(&self.layer, block.min(tiles - first));
            space.v.reserve(FREQUENCIES * shape.v_stride);
            space.m.reserve(FREQUENCIES * shape.m_stride);
            let map = Map { values: x, height, width, channels, first };
            transform(self.isa, map, self.layer.input_stride, edge, &mut space.v, shape);
            for block in 0..self.layer.outputs / self.layer.block {
                multiply(self.isa, &self.layer, block, space, shape);
                let begin = block * self.layer.block;
                let bias = &self.layer.bias[begin..][..self.layer.block];
                let finish = Finish { residual, relu };
                store(self.isa, map, &space.m, shape, bias, (begin, self.channels), finish, out);
            }
        }
    }
}

dispatch_f32!(
    fn transform(map: Map<'_>, stride: usize, edge: &mut [f32], v: &mut [f32], shape: Shape) = transform_body
);

#[inline(always)]
unsafe fn transform_body<V: F32s>(map: Map<'_>, stride: usize, edge: &mut [f32], v: &mut [f32], shape: Shape) {
    assert!(stride.is_multiple_of(V::LANES) && edge.len() >= 36 * stride && map.channels <= stride);
    assert!(v.len() >= FREQUENCIES * shape.v_stride && shape.v_stride >= shape.tiles * stride);
    for t in 0..shape.tiles {
        let corner = map.corner(t);
        // Pixels of whole vectors are read where they lie.
        let source = map.inside(corner).filter(|_| map.channels == stride);
        let (from, row) = match source {
            Some(at) => (&map.values[at..][..(5 * map.width + 6) * stride], map.width * stride),
            None => {
                map.copy(corner, stride, edge);
                (&edge[..36 * stride], 6 * stride)
            }
        };
        // SAFETY: 36 pixels of `stride` values were just seen to be there, whole vectors; `v` holds the tile at every frequency.
        unsafe {
            let target = v.as_mut_ptr().add(t * stride);
            transform_tile::<V>(stride, from.as_ptr(), row, stride, target, shape.v_stride);
        }
    }
}

dispatch_f32!(
    fn store(
        map: Map<'_>,
        m: &[f32],
        shape: Shape,
        bias: &[f32],
        channels: (usize, usize),
        finish: Finish<'_>,
        out: &mut [f32],
    ) = store_body
);

/// The output transform of channels `begin ..` of `channels`.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn store_body<V: F32s>(
    map: Map<'_>,
    m: &[f32],
    shape: Shape,
    bias: &[f32],
    (begin, channels): (usize, usize),
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let row = map.width * channels;
    assert!(m.len() >= FREQUENCIES * shape.m_stride && shape.m_stride >= shape.tiles * VECTORS * V::LANES);
    assert!(bias.len() >= VECTORS * V::LANES && out.len() == map.height * row);
    assert!(finish.residual.is_none_or(|r| r.len() == out.len()));
    for t in 0..shape.tiles {
        let (y, x) = map.corner(t);
        let (rows, columns) = (4.min(map.height - y), 4.min(map.width - x));
        for j in 0..VECTORS.min((channels - begin).div_ceil(V::LANES)) {
            let channel = begin + j * V::LANES;
            let lanes = V::LANES.min(channels - channel);
            // SAFETY: `m` holds the block's two vectors of every tile at every frequency; pixels are below `height` and `width`,
            // channels below `channels`, so that all of `out` and of what is added lies in their slices.
            unsafe {
                let bias = V::load(bias.as_ptr().add(j * V::LANES));
                let values = outputs::<V>(m.as_ptr().add((t * VECTORS + j) * V::LANES), shape.m_stride);
                for (dy, values) in values.iter().enumerate().take(rows) {
                    for (dx, value) in values.iter().enumerate().take(columns) {
                        let at = (y + dy) * row + (x + dx) * channels + channel;
                        let mut value = value.add(bias);
                        if let Some(residual) = finish.residual {
                            let residual = residual.as_ptr().add(at);
                            value = value.add(if lanes == V::LANES {
                                V::load(residual)
                            } else {
                                V::load_partial(residual, lanes)
                            });
                        }
                        if finish.relu {
                            value = value.max(V::splat(0.0));
                        }
                        let to = out.as_mut_ptr().add(at);
                        if lanes == V::LANES { value.store(to) } else { value.store_partial(to, lanes) }
                    }
                }
            }
        }
    }
}

/// The definition in plain loops.
pub mod naive {
    /// The definition of [`super::Conv3x3::run`], with sums in f64.
    ///
    /// # Panics
    /// If a slice is too short.
    #[allow(clippy::too_many_arguments)]
    pub fn conv3x3(
        weight: &[f32],
        bias: &[f32],
        x: &[f32],
        [height, width]: [usize; 2],
        residual: Option<&[f32]>,
        relu: bool,
        out: &mut [f32],
    ) {
        let (outputs, pixels) = (bias.len(), height * width);
        let inputs = x.len() / pixels.max(1);
        for (at, out) in out.iter_mut().enumerate() {
            let (pixel, o) = (at / outputs, at % outputs);
            let (y, x0) = (pixel / width, pixel % width);
            let mut sum = f64::from(bias[o]) + residual.map_or(0.0, |r| f64::from(r[at]));
            for ky in 0..3 {
                for kx in 0..3 {
                    let (row, column) = ((y + ky).wrapping_sub(1), (x0 + kx).wrapping_sub(1));
                    if row < height && column < width {
                        for i in 0..inputs {
                            let w = weight[(o * inputs + i) * 9 + 3 * ky + kx];
                            sum += f64::from(w) * f64::from(x[(row * width + column) * inputs + i]);
                        }
                    }
                }
            }
            *out = if relu { sum.max(0.0) as f32 } else { sum as f32 };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::numbers;

    fn check([height, width]: [usize; 2], inputs: usize, channels: usize, seed: u64) {
        let scale = (inputs as f32 * 9.0).sqrt().recip();
        let weight: Vec<f32> = numbers(seed, 9 * inputs * channels).iter().map(|w| w * scale).collect();
        let bias = numbers(seed ^ 1, channels);
        let x = numbers(seed ^ 2, height * width * inputs);
        let added = numbers(seed ^ 3, height * width * channels);
        // One work space for all: what a call leaves behind does not matter.
        let mut scratch = Scratch::default();
        for (residual, relu) in [(None, false), (Some(&added[..]), true)] {
            let mut expected = vec![0f32; added.len()];
            naive::conv3x3(&weight, &bias, &x, [height, width], residual, relu, &mut expected);
            for isa in Isa::available() {
                let conv = Conv3x3::new(isa, &weight, &bias, inputs);
                let mut out = vec![f32::NAN; added.len()];
                conv.run(&x, [height, width], residual, relu, &mut out, &mut scratch);
                for (i, (got, want)) in out.iter().zip(&expected).enumerate() {
                    let what = "the value";
                    assert!(
                        (got - want).abs() <= 1e-5,
                        "{isa} {height}x{width} {inputs}>{channels} {what} {i}: {got} {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn chosen_shapes() {
        for (size, inputs, channels) in
            [([0, 0], 3, 3), ([1, 1], 1, 1), ([4, 4], 8, 8), ([7, 7], 128, 128), ([14, 14], 64, 64), ([57, 10], 5, 33)]
        {
            check(size, inputs, channels, 5);
        }
    }

    proptest! {
        #[test]
        fn any_shape(h in 1usize..20, w in 1usize..20, inputs in 1usize..40, channels in 1usize..70, seed in any::<u64>()) {
            check([h, w], inputs, channels, seed);
        }
    }

    /// A tile's outputs depend on its own 6x6 pixels alone, bit for bit: not on the map's size, not on blocks.
    #[test]
    fn a_part_of_a_map_gives_the_same_bits() {
        let (inputs, channels) = (16, 24);
        let (weight, bias) = (numbers(1, 9 * inputs * channels), numbers(2, channels));
        let x = numbers(3, 40 * 40 * inputs);
        let mut scratch = Scratch::default();
        for isa in Isa::available() {
            let conv = Conv3x3::new(isa, &weight, &bias, inputs);
            let mut whole = vec![0f32; 40 * 40 * channels];
            conv.run(&x, [40, 40], None, true, &mut whole, &mut scratch);
            // The first 12 rows: all but the last tile row sees the same pixels.
            let mut part = vec![0f32; 12 * 40 * channels];
            conv.run(&x[..12 * 40 * inputs], [12, 40], None, true, &mut part, &mut scratch);
            assert_eq!(part[..8 * 40 * channels], whole[..8 * 40 * channels], "{isa}");
        }
    }
}
