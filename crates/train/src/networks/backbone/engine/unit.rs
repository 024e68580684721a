//! A convolution with its batch normalisation: passes over one lane, statistics and gradients over
//! all.

use std::cell::RefCell;

use rayon::prelude::*;
use vidsieve_kernels::Isa;

use super::super::conv::{Conv, Scratch, Weights, add};
use crate::TrainError;
use crate::networks::parameters::{NamedGradients, Parameters};

/// Added to variances.
const EPSILON: f64 = 1e-5;
/// Part of a batch's statistics in the running ones.
const MOMENTUM: f64 = 0.1;
/// Pixels whose sums are kept in f32.
const SHORT_SUM: usize = 64;
/// Values of the weights' gradient that one thread sums up at once.
const BLOCK: usize = 4096;

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Whether statistics come from the batch or are the running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Mode {
    Training,
    Evaluation,
}

/// A convolution and its batch normalisation.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) norm: String,
    pub(super) conv: Conv,
    pub(super) weights: Option<Weights>,
    pub(super) gamma: Vec<f32>,
    /// Of the batch; the variance is the biased one.
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
    /// The normalisation as `scale z + shift`.
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    /// Outputs of the convolution.
    pub(super) z: Vec<f32>,
    /// Gradients of z as `slope[0] g + slope[1] z + slope[2]` of the gradients g after
    /// normalisation.
    pub(super) slope: [Vec<f32>; 3],
    pub(super) d_gamma: Vec<f32>,
    pub(super) d_beta: Vec<f32>,
    /// Gradient of the weights, a lane each.
    pub(super) lanes: Vec<Vec<f32>>,
}

/// Sums of values and of squares (or products) a channel.
pub(super) type Sums = [Vec<f64>; 2];

impl Unit {
    pub(super) fn new(name: String, norm: String, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self {
            name,
            norm,
            conv: Conv { inputs, outputs, kernel, stride },
            weights: None,
            gamma: vec![],
            mean: vec![0.0; outputs],
            variance: vec![1.0; outputs],
            scale: vec![],
            shift: vec![],
            z: vec![],
            slope: Default::default(),
            d_gamma: vec![],
            d_beta: vec![],
            lanes: vec![],
        }
    }

    /// Takes its parameters and, for evaluation, the running statistics.
    pub(super) fn load(&mut self, isa: Isa, parameters: &Parameters, mode: Mode) -> Result<(), TrainError> {
        let get = |name: String, count: usize| match parameters.values(&name) {
            Some(values) if values.len() == count => Ok(values),
            Some(values) => {
                Err(TrainError::Network(format!("tensor `{name}` has {} values, not {count}", values.len())))
            }
            None => Err(TrainError::Network(format!("tensor `{name}` is missing from the network's parameters"))),
        };
        let outputs = self.conv.outputs;
        self.weights = Some(self.conv.pack(isa, get(format!("{}.weight", self.name), self.conv.patch() * outputs)?));
        self.gamma = get(format!("{}.weight", self.norm), outputs)?.to_vec();
        self.shift = get(format!("{}.bias", self.norm), outputs)?.to_vec();
        if mode == Mode::Evaluation {
            let mean = get(format!("{}.running_mean", self.norm), outputs)?;
            let variance = get(format!("{}.running_var", self.norm), outputs)?;
            self.mean = mean.iter().map(|&v| f64::from(v)).collect();
            self.variance = variance.iter().map(|&v| f64::from(v)).collect();
            self.finish();
        }
        Ok(())
    }

    /// Turns mean, variance, gamma and beta (in `shift`) into scale and shift.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn finish(&mut self) {
        self.scale.clear();
        for (c, &gamma) in self.gamma.iter().enumerate() {
            let scale = f64::from(gamma) / (self.variance[c] + EPSILON).sqrt();
            self.scale.push(scale as f32);
            self.shift[c] = (f64::from(self.shift[c]) - self.mean[c] * scale) as f32;
        }
    }

    /// Takes the batch's statistics from the sums of all lanes over `count` pixels.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn measure(&mut self, lanes: impl Iterator<Item = Sums>, count: usize) {
        let [sums, squares] = total(lanes, self.conv.outputs);
        let count = count as f64;
        for c in 0..self.conv.outputs {
            self.mean[c] = sums[c] / count;
            self.variance[c] = (squares[c] / count - self.mean[c] * self.mean[c]).max(0.0);
        }
        self.finish();
    }

    /// From sums of g and of g z: gradients of gamma and beta, and how g becomes the gradient of z.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(super) fn measure_back(&mut self, [sums, products]: &Sums, count: usize) {
        let outputs = self.conv.outputs;
        self.d_gamma.clear();
        self.d_beta.clear();
        self.slope = [vec![0.0; outputs], vec![0.0; outputs], vec![0.0; outputs]];
        for c in 0..outputs {
            let inverse = 1.0 / (self.variance[c] + EPSILON).sqrt();
            let d_gamma = inverse * (products[c] - self.mean[c] * sums[c]);
            self.d_gamma.push(d_gamma as f32);
            self.d_beta.push(sums[c] as f32);
            let scale = f64::from(self.gamma[c]) * inverse;
            let by_z = -scale * inverse * d_gamma / count as f64;
            self.slope[0][c] = scale as f32;
            self.slope[1][c] = by_z as f32;
            self.slope[2][c] = (-scale * sums[c] / count as f64 - by_z * self.mean[c]) as f32;
        }
    }

    pub(super) fn packed(&self) -> &Weights {
        self.weights.as_ref().unwrap_or_else(|| unreachable!("weights are loaded before every pass"))
    }

    /// The convolution of one lane; sums of its outputs and of their squares.
    pub(super) fn forward(&self, side: usize, x: &[f32], z: &mut [f32]) -> Sums {
        let mut sums = [vec![0.0; self.conv.outputs], vec![0.0; self.conv.outputs]];
        SCRATCH.with_borrow_mut(|scratch| {
            self.conv.forward(self.packed(), side, x, z, scratch, |z| sum_up(&mut sums, z, z));
        });
        sums
    }

    /// One lane of the backward pass, for the gradient g after normalisation.
    pub(super) fn backward(
        &self,
        side: usize,
        x: &[f32],
        g: &[f32],
        z: &[f32],
        gradient: &mut Vec<f32>,
        dx: Option<&mut [f32]>,
    ) {
        gradient.clear();
        gradient.resize(self.conv.patch() * self.conv.outputs, 0.0);
        SCRATCH.with_borrow_mut(|scratch| {
            self.conv.backward(self.packed(), side, x, g.len(), gradient, dx, scratch, |first, delta| {
                let channels = self.conv.outputs;
                let [by_g, by_z, constant] = self.slope.each_ref().map(|s| &s[..channels]);
                let rows = delta.chunks_exact_mut(channels).zip(g[first..].chunks_exact(channels));
                for ((d, g), z) in rows.zip(z[first..].chunks_exact(channels)) {
                    let (d, g, z) = (&mut d[..channels], &g[..channels], &z[..channels]);
                    for c in 0..channels {
                        d[c] = by_g[c] * g[c] + by_z[c] * z[c] + constant[c];
                    }
                }
            });
        });
    }

    /// Adds its gradients by name.
    pub(super) fn gradients(&self, named: &mut NamedGradients) {
        let mut total = vec![0f32; self.conv.patch() * self.conv.outputs];
        total.par_chunks_mut(BLOCK).enumerate().for_each(|(index, total)| {
            for lane in &self.lanes {
                add(total, &lane[index * BLOCK..]);
            }
        });
        named.insert(format!("{}.weight", self.name), self.conv.unpack(&total));
        named.insert(format!("{}.weight", self.norm), self.d_gamma.clone());
        named.insert(format!("{}.bias", self.norm), self.d_beta.clone());
    }

    /// Moves the running statistics towards the batch's, of `count` pixels.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(super) fn update(&self, parameters: &mut Parameters, count: usize) {
        let unbiased = if count > 1 { count as f64 / (count - 1) as f64 } else { 1.0 };
        for (part, batch, factor) in [("running_mean", &self.mean, 1.0), ("running_var", &self.variance, unbiased)] {
            if let Some(values) = parameters.values_mut(&format!("{}.{part}", self.norm)) {
                for (v, b) in values.iter_mut().zip(batch) {
                    *v = (f64::from(*v) * (1.0 - MOMENTUM) + b * factor * MOMENTUM) as f32;
                }
            }
        }
    }
}

/// Adds sums of `a` and of `a b`, both `[pixel][channel]`.
pub(super) fn sum_up([first, second]: &mut Sums, a: &[f32], b: &[f32]) {
    let channels = first.len();
    let mut short = vec![0f32; 2 * channels];
    for (a, b) in a.chunks(SHORT_SUM * channels).zip(b.chunks(SHORT_SUM * channels)) {
        short.fill(0.0);
        let (s, p) = short.split_at_mut(channels);
        let (s, p) = (&mut s[..channels], &mut p[..channels]);
        for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
            let (a, b) = (&a[..channels], &b[..channels]);
            for c in 0..channels {
                s[c] += a[c];
                p[c] += a[c] * b[c];
            }
        }
        for c in 0..channels {
            first[c] += f64::from(s[c]);
            second[c] += f64::from(p[c]);
        }
    }
}

/// The sums of all lanes, in order.
pub(super) fn total(lanes: impl Iterator<Item = Sums>, channels: usize) -> Sums {
    let mut all = [vec![0.0; channels], vec![0.0; channels]];
    for lane in lanes {
        for (all, lane) in all.iter_mut().zip(&lane) {
            for (a, l) in all.iter_mut().zip(lane) {
                *a += l;
            }
        }
    }
    all
}

/// `relu(scale z + shift)`, plus the same of the shortcut before the ReLU.
pub(super) fn activate(out: &mut [f32], (unit, z): (&Unit, &[f32]), shortcut: Option<(&Unit, &[f32])>) {
    let channels = unit.conv.outputs;
    let (scale, shift) = (&unit.scale[..channels], &unit.shift[..channels]);
    match shortcut {
        None => {
            for (out, z) in out.chunks_exact_mut(channels).zip(z.chunks_exact(channels)) {
                let (out, z) = (&mut out[..channels], &z[..channels]);
                for c in 0..channels {
                    out[c] = (scale[c] * z[c] + shift[c]).max(0.0);
                }
            }
        }
        Some((other, y)) => {
            let (other_scale, other_shift) = (&other.scale[..channels], &other.shift[..channels]);
            let rows = out.chunks_exact_mut(channels).zip(z.chunks_exact(channels));
            for ((out, z), y) in rows.zip(y.chunks_exact(channels)) {
                let (out, z, y) = (&mut out[..channels], &z[..channels], &y[..channels]);
                for c in 0..channels {
                    out[c] = (scale[c] * z[c] + shift[c] + other_scale[c] * y[c] + other_shift[c]).max(0.0);
                }
            }
        }
    }
}
