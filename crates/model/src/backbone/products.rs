//! Runs a plan as matrix products: activations are [pixel][channel], a convolution is the product of gathered patches with
//! its prepacked weights, a 1x1 convolution of stride 1 needs no gathering, and one of 3x3 and stride 1 goes through Winograd's
//! transform. Sums are in a fixed order, so a frame's maps do not depend on its batch.

use ndarray::{Array4, ArrayView3, ArrayView4};
use vidsieve_kernels::{Isa, gemm, winograd};

use super::plan::{Conv, Plan, Step};
use crate::weights::{StateDict, WeightsError};

/// Values of gathered patches at a time: they and the packed weights should stay in a cache.
const PATCH_VALUES: usize = 32 << 10;
/// Patches are gathered by a multiple of this many, which every instruction set's tile of rows divides.
const PATCH_ROWS: usize = 12;

/// A convolution's weights.
enum Layer {
    Winograd(winograd::Conv3x3),
    Patches(Patches),
}

struct Patches {
    /// [kernel row][kernel column][input channel] by output channel.
    weights: gemm::Packed,
    bias: Vec<f32>,
}

/// Work space of a run.
#[derive(Default)]
struct Space {
    patches: Vec<f32>,
    winograd: winograd::Scratch,
}

pub(super) struct Products {
    plan: Plan,
    /// One a step; `None` for pooling.
    layers: Vec<Option<Layer>>,
    /// The last step that reads a value; none for taps.
    last_use: Vec<Option<usize>>,
}

/// Height and width.
type Size = (usize, usize);

impl Products {
    /// An engine for a plan with folded weights.
    pub(super) fn new(isa: Isa, plan: Plan, folded: &StateDict) -> Result<Self, WeightsError> {
        let mut last_use = vec![None; plan.steps.len() + 1];
        let mut layers = Vec::with_capacity(plan.steps.len());
        for (index, step) in plan.steps.iter().enumerate() {
            layers.push(match step {
                Step::MaxPool { input, .. } => {
                    last_use[*input] = Some(index);
                    None
                }
                Step::Conv(conv) => {
                    for value in [Some(conv.input), conv.residual].into_iter().flatten() {
                        last_use[value] = Some(index);
                    }
                    Some(Layer::new(isa, conv, folded)?)
                }
            });
        }
        for &tap in &plan.taps {
            last_use[tap] = None;
        }
        Ok(Self { plan, layers, last_use })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Taps of frames `[frames, 3, height, width]`.
    pub(super) fn run(&self, frames: ArrayView4<'_, f32>) -> Vec<Array4<f32>> {
        let (n, _, height, width) = frames.dim();
        let sizes = self.plan.sizes(height, width);
        let shapes =
            self.plan.taps.iter().zip(self.plan.tap_channels()).map(|(&tap, c)| (n, c, sizes[tap].0, sizes[tap].1));
        let mut taps: Vec<_> = shapes.map(Array4::<f32>::zeros).collect();
        let (mut space, mut unused) = (Space::default(), vec![]);
        for (index, frame) in frames.outer_iter().enumerate() {
            let mut values = vec![interleaved(frame)];
            for (at, step) in self.plan.steps.iter().enumerate() {
                let mut out: Vec<f32> = unused.pop().unwrap_or_default();
                match (step, &self.layers[at]) {
                    (Step::Conv(conv), Some(layer)) => {
                        let residual = conv.residual.map(|value| &values[value][..]);
                        let (from, to) = (sizes[conv.input], sizes[at + 1]);
                        layer.run(conv, (&values[conv.input], from), residual, &mut space, (&mut out, to));
                    }
                    (Step::MaxPool { input, channels, kernel, stride }, _) => {
                        let (from, to) = (sizes[*input], sizes[at + 1]);
                        max_pool((&values[*input], from), *channels, (*kernel, *stride), (&mut out, to));
                    }
                    (Step::Conv(conv), None) => unreachable!("{} was given its weights", conv.name),
                }
                values.push(out);
                for (value, last) in values.iter_mut().zip(&self.last_use) {
                    if *last == Some(at) {
                        unused.push(std::mem::take(value));
                    }
                }
            }
            for (tap, &value) in taps.iter_mut().zip(&self.plan.taps) {
                let channels = tap.dim().1;
                for (c, mut plane) in tap.index_axis_mut(ndarray::Axis(0), index).outer_iter_mut().enumerate() {
                    for (to, from) in plane.iter_mut().zip(values[value].iter().skip(c).step_by(channels)) {
                        *to = *from;
                    }
                }
            }
        }
        taps
    }
}

/// A frame [channel][row][column] as [pixel][channel].
fn interleaved(frame: ArrayView3<'_, f32>) -> Vec<f32> {
    let (channels, height, width) = frame.dim();
    let mut values = vec![0f32; channels * height * width];
    for (c, plane) in frame.outer_iter().enumerate() {
        for (to, from) in values.iter_mut().skip(c).step_by(channels).zip(plane) {
            *to = *from;
        }
    }
    values
}

impl Layer {
    fn new(isa: Isa, conv: &Conv, folded: &StateDict) -> Result<Self, WeightsError> {
        let weight = folded.get(&format!("{}.weight", conv.name), &conv.shape())?;
        let bias = folded.get(&format!("{}.bias", conv.name), &[conv.outputs])?;
        if (conv.kernel, conv.stride) == (3, 1) {
            return Ok(Self::Winograd(winograd::Conv3x3::new(isa, weight, bias, conv.inputs)));
        }
        Ok(Self::Patches(Patches::new(isa, conv, weight, bias)))
    }

    fn run(
        &self,
        conv: &Conv,
        (x, from): (&[f32], Size),
        residual: Option<&[f32]>,
        space: &mut Space,
        (out, to): (&mut Vec<f32>, Size),
    ) {
        // Every value is overwritten.
        out.resize(to.0 * to.1 * conv.outputs, 0.0);
        match self {
            Self::Winograd(kernel) => kernel.run(x, from.into(), residual, conv.relu, out, &mut space.winograd),
            Self::Patches(patches) => patches.run(conv, (x, from), residual, &mut space.patches, (out, to)),
        }
    }
}

impl Patches {
    fn new(isa: Isa, conv: &Conv, weight: &[f32], bias: &[f32]) -> Self {
        let area = conv.kernel * conv.kernel;
        let mut columns = vec![0f32; weight.len()];
        for (o, kernels) in weight.chunks_exact(area * conv.inputs).enumerate() {
            for (i, kernel) in kernels.chunks_exact(area).enumerate() {
                for (at, &w) in kernel.iter().enumerate() {
                    columns[(at * conv.inputs + i) * conv.outputs + o] = w;
                }
            }
        }
        Self {
            weights: gemm::Packed::from_columns(isa, &columns, area * conv.inputs, conv.outputs),
            bias: bias.to_vec(),
        }
    }

    fn run(
        &self,
        conv: &Conv,
        (x, from): (&[f32], Size),
        residual: Option<&[f32]>,
        patches: &mut Vec<f32>,
        (out, to): (&mut [f32], Size),
    ) {
        let (k, n) = (self.weights.k(), self.weights.n());
        let block = (PATCH_VALUES / k).max(PATCH_ROWS).next_multiple_of(PATCH_ROWS);
        for (index, out) in out.chunks_mut(block * n).enumerate() {
            let (first, count) = (index * block, out.len() / n);
            if conv.kernel == 1 && conv.stride == 1 {
                gemm::matmul(&x[first * k..][..count * k], count, &self.weights, out);
            } else {
                patches.resize(block * k, 0.0);
                let patches = &mut patches[..count * k];
                gather(conv, (x, from), to.1, first, patches);
                gemm::matmul(patches, count, &self.weights, out);
            }
            let residual = residual.map(|r| &r[first * n..]);
            finish(out, &self.bias, residual, conv.relu);
        }
    }
}

/// The patches of output pixels `first ..` (row-major, `width` a row): kernel rows, kernel columns, channels; 0 outside.
fn gather(conv: &Conv, (x, (height, width)): (&[f32], Size), to_width: usize, first: usize, patches: &mut [f32]) {
    let (kernel, channels, pad) = (conv.kernel, conv.inputs, conv.kernel / 2);
    for (pixel, patch) in (first..).zip(patches.chunks_exact_mut(kernel * kernel * channels)) {
        // Relative to the padded input.
        let (top, left) = (pixel / to_width * conv.stride, pixel % to_width * conv.stride);
        let (begin, end) = (left.max(pad), (left + kernel).min(width + pad));
        for (row, part) in (top..).zip(patch.chunks_exact_mut(kernel * channels)) {
            if row < pad || row - pad >= height {
                part.fill(0.0);
                continue;
            }
            let (before, rest) = part.split_at_mut((begin - left) * channels);
            let (inside, after) = rest.split_at_mut((end - begin) * channels);
            before.fill(0.0);
            copy(inside, &x[((row - pad) * width + begin - pad) * channels..][..inside.len()]);
            after.fill(0.0);
        }
    }
}

/// Copies some dozens of values. In WebAssembly a copy of memory is a call into the host, which takes longer than that; adding 0,
/// which at most makes -0 to 0, keeps the compiler from making one of the loop.
fn copy(to: &mut [f32], from: &[f32]) {
    if cfg!(target_arch = "wasm32") {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from + 0.0;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// Adds bias and residual, then ReLU.
fn finish(out: &mut [f32], bias: &[f32], residual: Option<&[f32]>, relu: bool) {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let at_least = |v: f32| if v < floor { floor } else { v };
    match residual {
        None => {
            for pixel in out.chunks_exact_mut(bias.len()) {
                for (o, b) in pixel.iter_mut().zip(bias) {
                    *o = at_least(*o + b);
                }
            }
        }
        Some(residual) => {
            for (pixel, residual) in out.chunks_exact_mut(bias.len()).zip(residual.chunks_exact(bias.len())) {
                for ((o, b), r) in pixel.iter_mut().zip(bias).zip(residual) {
                    *o = at_least(*o + b + r);
                }
            }
        }
    }
}

fn max_pool(
    (x, (height, width)): (&[f32], Size),
    channels: usize,
    (kernel, stride): (usize, usize),
    (out, to): (&mut Vec<f32>, Size),
) {
    let window =
        |at: usize, n: usize| (at * stride).saturating_sub(kernel / 2)..(at * stride + kernel - kernel / 2).min(n);
    out.clear();
    out.resize(to.0 * to.1 * channels, f32::NEG_INFINITY);
    for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
        for row in window(pixel / to.1, height) {
            for column in window(pixel % to.1, width) {
                for (a, &v) in out.iter_mut().zip(&x[(row * width + column) * channels..]) {
                    *a = if v > *a { v } else { *a };
                }
            }
        }
    }
}
