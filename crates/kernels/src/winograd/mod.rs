//! 3x3 convolution by Winograd's F(4x4, 3x3): 36 products for 16 outputs instead of 144.
//!
//! ```text
//! for each block of tiles:                      a tile: 6x6 input pixels -> 4x4 output pixels, 4 apart
//!     V[f][tile][c] = B^T d B                   input transform, lanes = channels
//!     for each block of output channels:
//!         M[f][tile][o] = sum_c V[f][tile][c] * U[f][c][o]      36 small matrix products
//!         Y = A^T M A                           output transform, then bias, ReLU and pooling (or the 1x1 layer)
//! ```
//!
//! The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity: their products are 1 and their squares exact, which keeps
//! the rounding error of the transforms several times below that of the usual 0, +-1, +-2. Every tile goes through
//! the same operations in the same order, however tiles are grouped: results do not depend on bands or batches.

mod conv;
mod weights;

use crate::aligned::Aligned;
use crate::dispatch::dispatch_f32;
use crate::isa::Isa;
use crate::simd::F32s;
pub use conv::{Conv3x3, Scratch, naive};
pub(crate) use weights::Transformed;

/// Products of one tile.
pub(crate) const FREQUENCIES: usize = 36;
pub(crate) const POINT_A: f32 = core::f32::consts::FRAC_1_SQRT_2;
pub(crate) const POINT_B: f32 = core::f32::consts::SQRT_2;

/// Vectors of output channels in one block.
const VECTORS: usize = 2;
/// Keeps the same position of neighbouring frequencies out of one cache set.
const SKEW: usize = 16;

/// One tile. Offsets and strides are in values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Upper left of the 6x6 input pixels.
    pub(crate) input: usize,
    pub(crate) input_stride: usize,
    /// Upper left of the output pixels (pooled ones, where the layer pools).
    pub(crate) output: usize,
    pub(crate) output_stride: usize,
    /// Convolution rows and columns that exist, 1 to 4.
    pub(crate) rows: u8,
    pub(crate) columns: u8,
    /// Output rows and columns that are stored.
    pub(crate) kept_rows: u8,
    pub(crate) kept_columns: u8,
}

/// Work space of one block of tiles.
#[derive(Default)]
pub(crate) struct Space {
    v: Aligned,
    m: Aligned,
    sums: Aligned,
}

impl Space {
    /// Values held now.
    pub(crate) fn len(&self) -> usize {
        self.v.len() + self.m.len() + self.sums.len()
    }
}

/// Channels of a vector, channels of a block.
pub(crate) fn layout(isa: Isa) -> (usize, usize) {
    dispatch_f32!(fn lanes() -> usize = lanes_body);
    let lanes = lanes(isa);
    (lanes, VECTORS * lanes)
}

#[inline(always)]
unsafe fn lanes_body<V: F32s>() -> usize {
    V::LANES
}

/// Convolution, bias, ReLU and 2x2 max-pool of `tiles`, from `[...][C_in]` to `[...][C_out]` pixels.
pub(crate) fn convolve_pool(
    isa: Isa,
    layer: &Transformed,
    tiles: &[Tile],
    input: &[f32],
    output: &mut [f32],
    space: &mut Space,
) {
    let blocks = layer.outputs / layer.block;
    for tile in tiles {
        assert!((1..=2).contains(&tile.kept_rows) && (1..=2).contains(&tile.kept_columns));
        let last =
            usize::from(tile.kept_rows - 1) * tile.output_stride + usize::from(tile.kept_columns) * layer.outputs;
        assert!(tile.output + last <= output.len());
    }
    let shape = Shape::new(layer, tiles.len());
    transform(isa, layer, tiles, input, space, shape);
    for block in 0..blocks {
        multiply(isa, layer, block, space, shape);
        pool(isa, layer, block, tiles, &space.m, output, shape);
    }
}

/// Convolution, bias and ReLU of `tiles`, then `last_bias + <last, pixel>` to the pixels of `output`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn convolve_dot(
    isa: Isa,
    layer: &Transformed,
    last: &[f32],
    last_bias: f32,
    tiles: &[Tile],
    input: &[f32],
    output: &mut [f32],
    space: &mut Space,
) {
    let blocks = layer.outputs / layer.block;
    let lanes = layer.block / VECTORS;
    assert!(last.len() >= layer.outputs);
    let shape = Shape::new(layer, tiles.len());
    transform(isa, layer, tiles, input, space, shape);
    space.sums.reserve(tiles.len() * 16 * lanes);
    for block in 0..blocks {
        multiply(isa, layer, block, space, shape);
        let last = &last[block * layer.block..][..layer.block];
        dot(isa, layer, block, last, &space.m, &mut space.sums, shape);
    }
    for (sums, tile) in space.sums.chunks_exact(16 * lanes).zip(tiles) {
        for y in 0..usize::from(tile.kept_rows) {
            let row = &mut output[tile.output + y * tile.output_stride..][..usize::from(tile.kept_columns)];
            reduce(isa, &sums[4 * y * lanes..][..4 * lanes], last_bias, row);
        }
    }
}

/// Layout of `V` and `M` for a number of tiles.
#[derive(Clone, Copy)]
struct Shape {
    tiles: usize,
    /// From one frequency to the next.
    v_stride: usize,
    m_stride: usize,
}

impl Shape {
    fn new(layer: &Transformed, tiles: usize) -> Self {
        Self { tiles, v_stride: tiles * layer.input_stride + SKEW, m_stride: tiles * layer.block + SKEW }
    }
}

fn transform(isa: Isa, layer: &Transformed, tiles: &[Tile], input: &[f32], space: &mut Space, shape: Shape) {
    let lanes = layer.block / VECTORS;
    assert!(layer.input_stride.is_multiple_of(lanes));
    for tile in tiles {
        assert!(tile.input + 5 * tile.input_stride + 6 * layer.input_stride <= input.len());
    }
    space.v.reserve(FREQUENCIES * shape.v_stride);
    space.m.reserve(FREQUENCIES * shape.m_stride);
    transform_dispatched(isa, layer.input_stride, tiles, input, &mut space.v, shape.v_stride);
}

dispatch_f32!(
    fn transform_dispatched(channels: usize, tiles: &[Tile], input: &[f32], v: &mut [f32], v_stride: usize)
        = transform_body
);

#[inline(always)]
unsafe fn transform_body<V: F32s>(channels: usize, tiles: &[Tile], input: &[f32], v: &mut [f32], v_stride: usize) {
    debug_assert!(v.len() >= FREQUENCIES * v_stride && v_stride >= tiles.len() * channels);
    // SAFETY: `transform` has checked the last pixel of every tile and made `v` large enough.
    unsafe {
        for (t, tile) in tiles.iter().enumerate() {
            let (source, target) = (input.as_ptr().add(tile.input), v.as_mut_ptr().add(t * channels));
            transform_tile::<V>(channels, source, tile.input_stride, channels, target, v_stride);
        }
    }
}

/// The transform of one tile: 6x6 pixels, `pixel` values apart and `row` from row to row, to `target`, `v_stride` from one frequency
/// to the next.
///
/// # Safety
/// `source` is readable for the 36 pixels and `target` writable for 36 frequencies, of `channels` values each, a multiple of the lanes.
#[inline(always)]
unsafe fn transform_tile<V: F32s>(
    channels: usize,
    source: *const f32,
    row: usize,
    pixel: usize,
    target: *mut f32,
    v_stride: usize,
) {
    // SAFETY: as the function's contract says.
    unsafe {
        for channel in (0..channels).step_by(V::LANES) {
            let (source, target) = (source.add(channel), target.add(channel));
            let mut columns = [[V::splat(0.0); 6]; 6];
            for (x, column) in columns.iter_mut().enumerate() {
                let mut pixels = [V::splat(0.0); 6];
                for (y, value) in pixels.iter_mut().enumerate() {
                    *value = V::load(source.add(y * row + x * pixel));
                }
                *column = input_transform(pixels);
            }
            for y in 0..6 {
                let [a, b, c, d, e, f] = columns;
                let row = input_transform([a[y], b[y], c[y], d[y], e[y], f[y]]);
                for (x, value) in row.into_iter().enumerate() {
                    value.store(target.add((6 * y + x) * v_stride));
                }
            }
        }
    }
}

/// `B^T d`: row p is the polynomial with the other points as roots.
#[inline(always)]
unsafe fn input_transform<V: F32s>(d: [V; 6]) -> [V; 6] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (minus_two, minus_half, minus_sum) = (V::splat(-2.0), V::splat(-0.5), V::splat(-2.5));
        let even_a = d[2].mul_add(minus_two, d[4]);
        let odd_a = d[1].mul_add(minus_two, d[3]);
        let even_b = d[2].mul_add(minus_half, d[4]);
        let odd_b = d[1].mul_add(minus_half, d[3]);
        [
            d[2].mul_add(minus_sum, d[0].add(d[4])),
            odd_a.mul_add(V::splat(POINT_A), even_a),
            odd_a.mul_add(V::splat(-POINT_A), even_a),
            odd_b.mul_add(V::splat(POINT_B), even_b),
            odd_b.mul_add(V::splat(-POINT_B), even_b),
            d[3].mul_add(minus_sum, d[1].add(d[5])),
        ]
    }
}

/// `A^T m`: row i holds the i-th powers of the points; infinity counts in the last row.
#[inline(always)]
unsafe fn output_transform<V: F32s>(m: [V; 6]) -> [V; 4] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        let (a, b) = (V::splat(POINT_A), V::splat(POINT_B));
        // Third powers: a^3 = a / 2, b^3 = 2 b.
        let (a3, b3) = (V::splat(0.5 * POINT_A), V::splat(2.0 * POINT_B));
        [
            m[0].add(sum_a).add(sum_b),
            difference_a.mul_add(a, difference_b.mul(b)),
            sum_a.mul_add(V::splat(0.5), sum_b.add(sum_b)),
            difference_a.mul_add(a3, difference_b.mul_add(b3, m[5])),
        ]
    }
}

/// The 4x4 outputs of a tile, from its 36 products, `stride` values apart.
#[inline(always)]
unsafe fn outputs<V: F32s>(m: *const f32, stride: usize) -> [[V; 4]; 4] {
    // SAFETY: the caller vouches for 36 vectors.
    unsafe {
        let mut columns = [[V::splat(0.0); 4]; 6];
        for (x, column) in columns.iter_mut().enumerate() {
            let mut products = [V::splat(0.0); 6];
            for (y, product) in products.iter_mut().enumerate() {
                *product = V::load(m.add((6 * y + x) * stride));
            }
            *column = output_transform(products);
        }
        let mut rows = [[V::splat(0.0); 4]; 4];
        for (y, row) in rows.iter_mut().enumerate() {
            let [a, b, c, d, e, f] = columns;
            *row = output_transform([a[y], b[y], c[y], d[y], e[y], f[y]]);
        }
        rows
    }
}

fn multiply(isa: Isa, layer: &Transformed, block: usize, space: &mut Space, shape: Shape) {
    let panels = FREQUENCIES * layer.inputs * layer.block;
    let u = &layer.kernel[block * panels..][..panels];
    let (k, stride) = (layer.inputs, layer.input_stride);
    assert!(k <= stride && shape.tiles * stride <= shape.v_stride && shape.tiles * layer.block <= shape.m_stride);
    assert!(FREQUENCIES * shape.v_stride <= space.v.len() && FREQUENCIES * shape.m_stride <= space.m.len());
    multiply_dispatched(isa, k, stride, u, &space.v, &mut space.m, shape);
}

dispatch_f32!(
    fn multiply_dispatched(k: usize, stride: usize, u: &[f32], v: &[f32], m: &mut [f32], shape: Shape) = multiply_body
);

#[inline(always)]
unsafe fn multiply_body<V: F32s>(k: usize, stride: usize, u: &[f32], v: &[f32], m: &mut [f32], shape: Shape) {
    // SAFETY: `multiply` has checked the panels of all frequencies.
    unsafe {
        // The usual widths as constants: addresses of the rows of a panel then need no arithmetic.
        match (k, stride) {
            (32, 32) => frequencies::<V, 32>(k, stride, u, v, m, shape),
            (64, 64) => frequencies::<V, 64>(k, stride, u, v, m, shape),
            _ => frequencies::<V, 0>(k, stride, u, v, m, shape),
        }
    }
}

#[inline(always)]
unsafe fn frequencies<V: F32s, const K: usize>(
    k: usize,
    stride: usize,
    u: &[f32],
    v: &[f32],
    m: &mut [f32],
    shape: Shape,
) {
    let block = VECTORS * V::LANES;
    // Rows whose sums stay in registers, beside the weights, a broadcast value and, where products are not fused, them.
    let most = match (V::REGISTERS, V::LANES) {
        (32.., _) => 12,
        (_, 4) => 4,
        _ => 6,
    };
    let groups = shape.tiles.div_ceil(most);
    for f in 0..FREQUENCIES {
        // SAFETY: the caller vouches for the panels of all frequencies; the groups cover `shape.tiles` rows.
        unsafe {
            let u = u.as_ptr().add(f * k * block);
            let mut v = v.as_ptr().add(f * shape.v_stride);
            let mut m = m.as_mut_ptr().add(f * shape.m_stride);
            let mut left = shape.tiles;
            for group in 0..groups {
                let rows = left.div_ceil(groups - group);
                match rows {
                    1 => product::<V, 1, K>(k, stride, u, v, m),
                    2 => product::<V, 2, K>(k, stride, u, v, m),
                    3 => product::<V, 3, K>(k, stride, u, v, m),
                    4 => product::<V, 4, K>(k, stride, u, v, m),
                    5 if V::REGISTERS >= 32 || V::LANES > 4 => product::<V, 5, K>(k, stride, u, v, m),
                    6 if V::REGISTERS >= 32 || V::LANES > 4 => product::<V, 6, K>(k, stride, u, v, m),
                    7 if V::REGISTERS >= 32 => product::<V, 7, K>(k, stride, u, v, m),
                    8 if V::REGISTERS >= 32 => product::<V, 8, K>(k, stride, u, v, m),
                    9 if V::REGISTERS >= 32 => product::<V, 9, K>(k, stride, u, v, m),
                    10 if V::REGISTERS >= 32 => product::<V, 10, K>(k, stride, u, v, m),
                    11 if V::REGISTERS >= 32 => product::<V, 11, K>(k, stride, u, v, m),
                    _ if V::REGISTERS >= 32 => product::<V, 12, K>(k, stride, u, v, m),
                    _ => unreachable!("groups have at most `most` rows"),
                }
                left -= rows;
                v = v.add(rows * stride);
                m = m.add(rows * block);
            }
        }
    }
}

/// `m[ROWS][block] = v[ROWS][k] u[k][block]`; `K` is `k` and the stride of `v`, where it is not 0.
#[inline(always)]
unsafe fn product<V: F32s, const ROWS: usize, const K: usize>(
    k: usize,
    stride: usize,
    u: *const f32,
    v: *const f32,
    m: *mut f32,
) {
    let (k, stride) = if K == 0 { (k, stride) } else { (K, K) };
    // SAFETY: the caller vouches for the three panels.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for i in 0..k {
            let u = u.add(i * VECTORS * V::LANES);
            let weights: [V; VECTORS] = [V::load(u), V::load(u.add(V::LANES))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*v.add(row * stride + i));
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                sum.store(m.add((row * VECTORS + j) * V::LANES));
            }
        }
    }
}

fn pool(isa: Isa, layer: &Transformed, block: usize, tiles: &[Tile], m: &[f32], output: &mut [f32], shape: Shape) {
    let bias = &layer.bias[block * layer.block..][..layer.block];
    assert!(tiles.len() == shape.tiles && FREQUENCIES * shape.m_stride <= m.len());
    pool_dispatched(isa, tiles, bias, m, shape.m_stride, output, block * layer.block, layer.outputs);
}

dispatch_f32!(
    fn pool_dispatched(
        tiles: &[Tile],
        bias: &[f32],
        m: &[f32],
        m_stride: usize,
        output: &mut [f32],
        channel: usize,
        channels: usize,
    ) = pool_body
);

#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn pool_body<V: F32s>(
    tiles: &[Tile],
    bias: &[f32],
    m: &[f32],
    m_stride: usize,
    output: &mut [f32],
    channel: usize,
    channels: usize,
) {
    // SAFETY: `pool` has checked the products, `convolve_pool` the last pixel that is stored of every tile.
    unsafe {
        for (t, tile) in tiles.iter().enumerate() {
            for j in 0..VECTORS {
                let bias = V::load(bias.as_ptr().add(j * V::LANES));
                let mut y = outputs::<V>(m.as_ptr().add((t * VECTORS + j) * V::LANES), m_stride);
                // Rows and columns beyond the map repeat their neighbour, so that they do not count in the maximum.
                if tile.rows < 4 || tile.columns < 4 {
                    for row in &mut y {
                        if tile.columns == 1 {
                            row[1] = row[0];
                        }
                        if tile.columns == 3 {
                            row[3] = row[2];
                        }
                    }
                    if tile.rows == 1 {
                        y[1] = y[0];
                    }
                    if tile.rows == 3 {
                        y[3] = y[2];
                    }
                }
                let target = output.as_mut_ptr().add(tile.output + channel + j * V::LANES);
                for py in 0..usize::from(tile.kept_rows.min(2)) {
                    for px in 0..usize::from(tile.kept_columns.min(2)) {
                        let top = y[2 * py][2 * px].max(y[2 * py][2 * px + 1]);
                        let bottom = y[2 * py + 1][2 * px].max(y[2 * py + 1][2 * px + 1]);
                        let value = top.max(bottom).add(bias).max(V::splat(0.0));
                        value.store(target.add(py * tile.output_stride + px * channels));
                    }
                }
            }
        }
    }
}

fn dot(isa: Isa, layer: &Transformed, block: usize, last: &[f32], m: &[f32], sums: &mut [f32], shape: Shape) {
    let bias = &layer.bias[block * layer.block..][..layer.block];
    let lanes = layer.block / VECTORS;
    assert!(last.len() == layer.block && FREQUENCIES * shape.m_stride <= m.len());
    assert!(sums.len() >= shape.tiles * 16 * lanes);
    dot_dispatched(isa, shape.tiles, bias, last, m, shape.m_stride, sums, block == 0);
}

dispatch_f32!(
    fn dot_dispatched(
        tiles: usize,
        bias: &[f32],
        last: &[f32],
        m: &[f32],
        m_stride: usize,
        sums: &mut [f32],
        start: bool,
    ) = dot_body
);

/// `sums[tile][pixel][lane] += relu(y + bias) * last`, from zero at the `start`.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn dot_body<V: F32s>(
    tiles: usize,
    bias: &[f32],
    last: &[f32],
    m: &[f32],
    m_stride: usize,
    sums: &mut [f32],
    start: bool,
) {
    // SAFETY: `dot` has checked products, bias, weights and sums.
    unsafe {
        for t in 0..tiles {
            let sums = sums.as_mut_ptr().add(t * 16 * V::LANES);
            for j in 0..VECTORS {
                let bias = V::load(bias.as_ptr().add(j * V::LANES));
                let last = V::load(last.as_ptr().add(j * V::LANES));
                let y = outputs::<V>(m.as_ptr().add((t * VECTORS + j) * V::LANES), m_stride);
                for (pixel, value) in y.as_flattened().iter().enumerate() {
                    let sum = sums.add(pixel * V::LANES);
                    let before = if start && j == 0 { V::splat(0.0) } else { V::load(sum) };
                    value.add(bias).max(V::splat(0.0)).mul_add(last, before).store(sum);
                }
            }
        }
    }
}

/// `output[i] = bias + sum of the lanes of sums[i]`.
fn reduce(isa: Isa, sums: &[f32], bias: f32, output: &mut [f32]) {
    assert!(output.len() * layout(isa).0 <= sums.len());
    reduce_dispatched(isa, sums, bias, output);
}

dispatch_f32!(fn reduce_dispatched(sums: &[f32], bias: f32, output: &mut [f32]) = reduce_body);

#[inline(always)]
unsafe fn reduce_body<V: F32s>(sums: &[f32], bias: f32, output: &mut [f32]) {
    for (i, out) in output.iter_mut().enumerate() {
        // SAFETY: `reduce` has checked the vectors.
        *out = bias + unsafe { V::load(sums.as_ptr().add(i * V::LANES)).sum() };
    }
}
