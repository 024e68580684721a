//! Convolutions as matrix products: activations are `[image][row][column][channel]`, patches are gathered block by block.

use rayon::prelude::*;
use vidsieve_kernels::{Isa, gemm};

/// Values of gathered patches at a time: they should stay in the second cache.
const PATCH_VALUES: usize = 64 << 10;
/// Patches at a time, at least: fewer make the sum of weight gradients dominate.
const MIN_PATCHES: usize = 128;
/// Patches at a time, at most.
const MAX_PATCHES: usize = 512;
/// Rows of a product that one thread takes at a time.
const PRODUCT_ROWS: usize = 48;

/// A square convolution without bias, padding `kernel / 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conv {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

/// Buffers that one thread reuses.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    patches: Vec<f32>,
    transposed: Vec<f32>,
    product: Vec<f32>,
    /// Gradient of a convolution's output.
    pub(super) delta: Vec<f32>,
}

/// The weights of a convolution, laid out for both directions.
#[derive(Debug)]
pub(super) struct Weights {
    /// `[kernel row, kernel column, input channel][output channel]`.
    forward: gemm::Packed,
    /// Its transpose.
    backward: gemm::Packed,
}

impl Conv {
    /// Values of a patch.
    pub(super) const fn patch(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    /// Side of the output for an input of side `n`.
    pub(super) const fn side(&self, n: usize) -> usize {
        n.div_ceil(self.stride)
    }

    /// Lays out weights `[outputs][inputs][kernel][kernel]`.
    pub(super) fn pack(&self, isa: Isa, weights: &[f32]) -> Weights {
        let area = self.kernel * self.kernel;
        let mut columns = vec![0f32; weights.len()];
        for (o, kernels) in weights.chunks_exact(area * self.inputs).enumerate() {
            for (i, kernel) in kernels.chunks_exact(area).enumerate() {
                for (at, &w) in kernel.iter().enumerate() {
                    columns[(at * self.inputs + i) * self.outputs + o] = w;
                }
            }
        }
        Weights {
            forward: gemm::Packed::from_columns(isa, &columns, self.patch(), self.outputs),
            backward: gemm::Packed::from_rows(isa, &columns, self.patch(), self.outputs),
        }
    }

    /// Brings a gradient `[outputs][kernel][kernel][inputs]` into the order of the weights.
    pub(super) fn unpack(&self, gradient: &[f32]) -> Vec<f32> {
        let area = self.kernel * self.kernel;
        let mut weights = vec![0f32; gradient.len()];
        for (from, to) in gradient.chunks_exact(self.patch()).zip(weights.chunks_exact_mut(self.patch())) {
            for (at, values) in from.chunks_exact(self.inputs).enumerate() {
                for (i, &v) in values.iter().enumerate() {
                    to[i * area + at] = v;
                }
            }
        }
        weights
    }

    /// Output rows of pixels in a block.
    fn block(&self, to: usize) -> usize {
        ((PATCH_VALUES / self.patch()).clamp(MIN_PATCHES, MAX_PATCHES) / to).max(1)
    }

    /// The outputs `[image][pixel][output]` of square maps of side `side`.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        side: usize,
        x: &[f32],
        out: &mut [f32],
        scratch: &mut Scratch,
        mut each: impl FnMut(&[f32]),
    ) {
        let to = self.side(side);
        let (row, block) = (to * self.outputs, self.block(to));
        for (index, out) in out.chunks_mut(block * row).enumerate() {
            let patches = out.len() / self.outputs;
            scratch.patches.resize(patches * self.patch(), 0.0);
            self.gather(x, side, index * block, &mut scratch.patches);
            gemm::matmul(&scratch.patches, patches, &weights.forward, out);
            each(out);
        }
    }

    /// Adds to `gradient` `[outputs][kernel][kernel][inputs]` and, where wanted, to `dx` (as `x`). `delta` fills its second
    /// argument with the gradient of the outputs that begin at its first argument.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward(
        &self,
        weights: &Weights,
        side: usize,
        x: &[f32],
        count: usize,
        gradient: &mut [f32],
        mut dx: Option<&mut [f32]>,
        scratch: &mut Scratch,
        mut delta: impl FnMut(usize, &mut [f32]),
    ) {
        let to = self.side(side);
        let (row, block) = (to * self.outputs, self.block(to));
        let Scratch { patches, transposed, product, delta: dy } = scratch;
        let mut first = 0;
        while first * row < count {
            let values = (block * row).min(count - first * row);
            let rows = values / self.outputs;
            dy.resize(values, 0.0);
            delta(first * row, dy);
            patches.resize(rows * self.patch(), 0.0);
            self.gather(x, side, first, patches);
            let packed = gemm::Packed::from_columns(weights.forward.isa(), patches, rows, self.patch());
            transpose(dy, rows, self.outputs, transposed);
            product.resize(gradient.len(), 0.0);
            gemm::matmul(transposed, self.outputs, &packed, product);
            add(gradient, product);
            if let Some(dx) = dx.as_deref_mut() {
                gemm::matmul(dy, rows, &weights.backward, patches);
                self.scatter(patches, side, first, dx);
            }
            first += block;
        }
    }

    /// Rows of pixels from `first` on (over all images) of a map of side `side`: calls `f` with the place in the patches, the
    /// place in the maps (none outside of them) and how many values, for every run of values.
    #[inline(always)]
    fn runs(&self, side: usize, first: usize, patches: usize, mut f: impl FnMut(usize, Option<usize>, usize)) {
        let (to, channels, pad) = (self.side(side), self.inputs, self.kernel / 2);
        let line = self.kernel * channels;
        for (index, pixel_row) in (first..first + patches / (self.patch() * to)).enumerate() {
            let (image, y) = (pixel_row / to, pixel_row % to);
            for part in 0..self.kernel {
                let source = y * self.stride + part;
                if source < pad || source - pad >= side {
                    for x in 0..to {
                        f((index * to + x) * self.patch() + part * line, None, line);
                    }
                    continue;
                }
                let source = (image * side + source - pad) * side * channels;
                for x in 0..to {
                    let place = (index * to + x) * self.patch() + part * line;
                    let left = x * self.stride;
                    if left >= pad && left + self.kernel <= side + pad {
                        f(place, Some(source + (left - pad) * channels), line);
                    } else {
                        let (begin, end) = (left.max(pad), (left + self.kernel).min(side + pad));
                        let (before, inside) = ((begin - left) * channels, (end - begin) * channels);
                        f(place, None, before);
                        f(place + before, Some(source + (begin - pad) * channels), inside);
                        f(place + before + inside, None, line - before - inside);
                    }
                }
            }
        }
    }

    /// Patches of the output pixels in rows `first ..`, zeros outside the maps.
    fn gather(&self, x: &[f32], side: usize, first: usize, patches: &mut [f32]) {
        self.runs(side, first, patches.len(), |to, from, n| match from {
            Some(from) => patches[to..to + n].copy_from_slice(&x[from..from + n]),
            None => patches[to..to + n].fill(0.0),
        });
    }

    /// Adds patches to where [`Conv::gather`] took them from.
    fn scatter(&self, patches: &[f32], side: usize, first: usize, x: &mut [f32]) {
        self.runs(side, first, patches.len(), |from, to, n| {
            if let Some(to) = to {
                add(&mut x[to..to + n], &patches[from..from + n]);
            }
        });
    }
}

/// `to += from`.
pub(super) fn add(to: &mut [f32], from: &[f32]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += b;
    }
}

/// `[columns][rows]` of `x` `[rows][columns]`.
pub(super) fn transpose(x: &[f32], rows: usize, columns: usize, out: &mut Vec<f32>) {
    const BLOCK: usize = 8;
    out.resize(rows * columns, 0.0);
    let blocks = rows / BLOCK;
    for block in 0..blocks {
        let from = &x[block * BLOCK * columns..][..BLOCK * columns];
        let mut lines: [&[f32]; BLOCK] = [&[]; BLOCK];
        for (line, part) in lines.iter_mut().zip(from.chunks_exact(columns)) {
            *line = part;
        }
        for (c, to) in out.chunks_exact_mut(rows).enumerate() {
            let mut values = [0f32; BLOCK];
            for (value, line) in values.iter_mut().zip(&lines) {
                *value = line[c];
            }
            to[block * BLOCK..][..BLOCK].copy_from_slice(&values);
        }
    }
    for r in blocks * BLOCK..rows {
        for (to, &v) in out.chunks_exact_mut(rows).zip(&x[r * columns..][..columns]) {
            to[r] = v;
        }
    }
}

/// `a b` for `a` `[m][k]`, by all threads. The same bits as by one.
pub(super) fn matmul(a: &[f32], m: usize, b: &gemm::Packed) -> Vec<f32> {
    let mut c = vec![0f32; m * b.n()];
    if b.n() > 0 && b.k() > 0 {
        c.par_chunks_mut(PRODUCT_ROWS * b.n()).zip(a.par_chunks(PRODUCT_ROWS * b.k())).for_each(|(c, a)| {
            gemm::matmul(a, c.len() / b.n(), b, c);
        });
    }
    c
}
