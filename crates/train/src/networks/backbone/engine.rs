//! Forward and backward pass of a plain backbone in training mode, with its region vectors.
//!
//! A batch is cut into lanes of a fixed number of views. Threads take lanes; sums over a batch are sums of lanes in their order,
//! so results do not depend on the number of threads.

use std::cell::RefCell;

use rayon::prelude::*;
use vidsieve_kernels::{Isa, gemm};
use vidsieve_model::backbone::PlainConfig;

use super::conv::{Conv, Scratch, Weights, add, matmul, transpose};
use super::pool::{REGIONS, Windows, normalise, normalise_backward};
use crate::TrainError;
use crate::networks::parameters::{NamedGradients, Parameters};

/// Views of a lane.
const LANE: usize = 8;
/// Added to variances.
const EPSILON: f64 = 1e-5;
/// Part of a batch's statistics in the running ones.
const MOMENTUM: f64 = 0.1;
/// Pixels whose sums are kept in f32.
const SHORT_SUM: usize = 64;
/// What pixels are centred at, and divided by.
const MEAN: f32 = 115.0;
const DEVIATION: f32 = 58.0;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Whether statistics come from the batch or are the running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Training,
    Evaluation,
}

/// A convolution and its batch normalisation.
#[derive(Debug)]
struct Unit {
    name: String,
    norm: String,
    conv: Conv,
    weights: Option<Weights>,
    gamma: Vec<f32>,
    /// Of the batch; the variance is the biased one.
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// The normalisation as `scale z + shift`.
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// Outputs of the convolution.
    z: Vec<f32>,
    /// Gradients of z as `slope[0] g + slope[1] z + slope[2]` of the gradients g after normalisation.
    slope: [Vec<f32>; 3],
    d_gamma: Vec<f32>,
    d_beta: Vec<f32>,
    /// Gradient of the weights, a lane each.
    lanes: Vec<Vec<f32>>,
}

/// The stem, or one stage.
#[derive(Debug)]
struct Level {
    /// First convolution of a stage, its activations and their gradient.
    inner: Option<(Unit, Vec<f32>, Vec<f32>)>,
    last: Unit,
    shortcut: Option<Unit>,
    out: Vec<f32>,
    gradient: Vec<f32>,
    /// Side of the output.
    side: usize,
}

/// A network in training.
#[derive(Debug)]
pub(super) struct Engine {
    isa: Isa,
    levels: Vec<Level>,
    /// Values of a region before the head, and after it.
    width: usize,
    dims: usize,
    views: usize,
    side: usize,
    input: Vec<f32>,
    /// Region vectors `[view][region][width]`: means, and divided by the norm of each tap.
    means: Vec<f32>,
    regions: Vec<f32>,
    norms: Vec<f32>,
    /// Unit vectors of the head `[view][region][dims]`, and what they were divided by.
    vectors: Vec<f32>,
    vector_norms: Vec<f32>,
}

/// Sums of values and of squares (or products) a channel.
type Sums = [Vec<f64>; 2];

impl Unit {
    fn new(name: String, norm: String, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
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
    fn load(&mut self, isa: Isa, parameters: &Parameters, mode: Mode) -> Result<(), TrainError> {
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
    fn finish(&mut self) {
        self.scale.clear();
        for (c, &gamma) in self.gamma.iter().enumerate() {
            let scale = f64::from(gamma) / (self.variance[c] + EPSILON).sqrt();
            self.scale.push(scale as f32);
            self.shift[c] = (f64::from(self.shift[c]) - self.mean[c] * scale) as f32;
        }
    }

    /// Takes the batch's statistics from the sums of all lanes over `count` pixels.
    #[allow(clippy::cast_precision_loss)]
    fn measure(&mut self, lanes: impl Iterator<Item = Sums>, count: usize) {
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
    fn measure_back(&mut self, [sums, products]: &Sums, count: usize) {
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

    fn packed(&self) -> &Weights {
        self.weights.as_ref().unwrap_or_else(|| unreachable!("weights are loaded before every pass"))
    }

    /// The convolution of one lane; sums of its outputs and of their squares.
    fn forward(&self, side: usize, x: &[f32], z: &mut [f32]) -> Sums {
        let mut sums = [vec![0.0; self.conv.outputs], vec![0.0; self.conv.outputs]];
        SCRATCH.with_borrow_mut(|scratch| {
            self.conv.forward(self.packed(), side, x, z, scratch, |z| sum_up(&mut sums, z, z));
        });
        sums
    }

    /// One lane of the backward pass, for the gradient g after normalisation.
    fn backward(&self, side: usize, x: &[f32], g: &[f32], z: &[f32], gradient: &mut Vec<f32>, dx: Option<&mut [f32]>) {
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
    fn gradients(&self, named: &mut NamedGradients) {
        let mut total = vec![0f32; self.conv.patch() * self.conv.outputs];
        total.par_chunks_mut(4096).enumerate().for_each(|(index, total)| {
            for lane in &self.lanes {
                add(total, &lane[index * 4096..]);
            }
        });
        named.insert(format!("{}.weight", self.name), self.conv.unpack(&total));
        named.insert(format!("{}.weight", self.norm), self.d_gamma.clone());
        named.insert(format!("{}.bias", self.norm), self.d_beta.clone());
    }

    /// Moves the running statistics towards the batch's, of `count` pixels.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn update(&self, parameters: &mut Parameters, count: usize) {
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
fn sum_up([first, second]: &mut Sums, a: &[f32], b: &[f32]) {
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
fn total(lanes: impl Iterator<Item = Sums>, channels: usize) -> Sums {
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
fn activate(out: &mut [f32], (unit, z): (&Unit, &[f32]), shortcut: Option<(&Unit, &[f32])>) {
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

/// Zeroes the gradient where the activation is 0.
fn mask(gradient: &mut [f32], out: &[f32]) {
    for (g, &o) in gradient.iter_mut().zip(out) {
        *g = if o > 0.0 { *g } else { 0.0 };
    }
}

/// Lanes of `size` values a view; `count` empty ones where there are no values.
fn cut(x: &[f32], size: usize, count: usize) -> Vec<&[f32]> {
    if x.is_empty() { vec![&[]; count] } else { x.chunks(LANE * size).collect() }
}

/// As [`cut`].
fn cut_mut(x: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
    if x.is_empty() { (0..count).map(|_| &mut [][..]).collect() } else { x.chunks_mut(LANE * size).collect() }
}

fn resize(x: &mut Vec<f32>, count: usize) {
    x.resize(count, 0.0);
}

impl Level {
    fn channels(&self) -> usize {
        self.last.conv.outputs
    }

    /// Values a view.
    fn size(&self) -> usize {
        self.side * self.side * self.channels()
    }
}

impl Engine {
    /// A network with a head of `dims` values.
    pub(super) fn new(isa: Isa, config: &PlainConfig, dims: usize) -> Self {
        let level = |inner, last, shortcut| Level { inner, last, shortcut, out: vec![], gradient: vec![], side: 0 };
        let mut levels = vec![level(None, Unit::new("stem".into(), "stem_bn".into(), 3, config.stem, 3, 2), None)];
        let mut inputs = config.stem;
        for (stage, &outputs) in config.stages.iter().enumerate() {
            let name = |part: &str| format!("stage{}.{part}", stage + 1);
            let first = Unit::new(name("conv1"), name("bn1"), inputs, outputs, 3, 2);
            let last = Unit::new(name("conv2"), name("bn2"), outputs, outputs, 3, 1);
            let shortcut =
                config.residual.then(|| Unit::new(name("shortcut"), name("shortcut_bn"), inputs, outputs, 1, 2));
            levels.push(level(Some((first, vec![], vec![])), last, shortcut));
            inputs = outputs;
        }
        Self {
            isa,
            levels,
            width: config.stages.iter().sum(),
            dims,
            views: 0,
            side: 0,
            input: vec![],
            means: vec![],
            regions: vec![],
            norms: vec![],
            vectors: vec![],
            vector_norms: vec![],
        }
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.levels.iter().flat_map(|l| l.inner.as_ref().map(|i| &i.0).into_iter().chain([&l.last]).chain(&l.shortcut))
    }

    /// Region vectors of the last forward pass, `[view][region][channels of all taps]`, each tap a unit vector.
    pub(super) fn regions(&self) -> &[f32] {
        &self.regions
    }

    /// Unit vectors of the head of the last forward pass, `[view][region][dims]`.
    pub(super) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Gives every buffer its size.
    fn prepare(&mut self, views: usize, side: usize) {
        (self.views, self.side) = (views, side);
        resize(&mut self.input, views * side * side * 3);
        let mut from = side;
        for level in &mut self.levels {
            level.side = from.div_ceil(2);
            let count = views * level.size();
            resize(&mut level.out, count);
            resize(&mut level.gradient, count);
            resize(&mut level.last.z, count);
            if let Some((unit, out, gradient)) = &mut level.inner {
                resize(&mut unit.z, count);
                resize(out, count);
                resize(gradient, count);
            }
            if let Some(unit) = &mut level.shortcut {
                resize(&mut unit.z, count);
            }
            from = level.side;
        }
        resize(&mut self.means, views * REGIONS * self.width);
        resize(&mut self.regions, views * REGIONS * self.width);
    }

    /// Runs the network on views `[view][row][column][colour]`.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing or have another shape.
    pub(super) fn forward(
        &mut self,
        parameters: &Parameters,
        views: &[u8],
        side: usize,
        mode: Mode,
    ) -> Result<(), TrainError> {
        let isa = self.isa;
        for level in &mut self.levels {
            let inner = level.inner.as_mut().map(|i| &mut i.0);
            for unit in inner.into_iter().chain([&mut level.last]).chain(&mut level.shortcut) {
                unit.load(isa, parameters, mode)?;
            }
        }
        let area = side * side * 3;
        let count = views.len() / area;
        self.prepare(count, side);
        let lanes = count.div_ceil(LANE);
        let training = mode == Mode::Training;

        let stem = &mut self.levels[0];
        let size = stem.size();
        let mut z = std::mem::take(&mut stem.last.z);
        let unit = &stem.last;
        let sums: Vec<Sums> =
            (views.par_chunks(LANE * area), cut_mut(&mut self.input, area, lanes), cut_mut(&mut z, size, lanes))
                .into_par_iter()
                .with_max_len(1)
                .map(|(views, input, z)| {
                    for (x, &v) in input.iter_mut().zip(views) {
                        *x = (f32::from(v) - MEAN) / DEVIATION;
                    }
                    unit.forward(side, input, z)
                })
                .collect();
        stem.last.z = z;
        if training {
            stem.last.measure(sums.into_iter(), count * stem.side * stem.side);
        }

        let mut offset = 0;
        for at in 1..self.levels.len() {
            let (before, level) = self.levels.split_at_mut(at);
            let (before, level) = (&mut before[at - 1], &mut level[0]);
            let (from, size) = (before.size(), level.size());
            let pool = (at > 1).then_some(offset);
            if at > 1 {
                offset += before.channels();
            }
            let Some((first, middle, _)) = &mut level.inner else {
                unreachable!("every stage has a first convolution")
            };
            let (mut first_z, mut short_z) = (
                std::mem::take(&mut first.z),
                level.shortcut.as_mut().map_or_else(Vec::new, |u| std::mem::take(&mut u.z)),
            );
            let mut out = std::mem::take(&mut before.out);
            let before_ref = &*before;
            let (first_ref, shortcut) = (&*first, level.shortcut.as_ref());
            let width = self.width;
            let sums: Vec<(Sums, Option<Sums>)> = (
                cut_mut(&mut out, from, lanes),
                cut(&before_ref.last.z, from, lanes),
                cut(before_ref.shortcut.as_ref().map_or(&[], |u| &u.z), from, lanes),
                cut_mut(&mut first_z, size, lanes),
                cut_mut(&mut short_z, size, lanes),
                cut_mut(&mut self.means, REGIONS * width, lanes),
            )
                .into_par_iter()
                .with_max_len(1)
                .map(|(out, z, short, first_z, short_z, means)| {
                    activate(out, (&before_ref.last, z), before_ref.shortcut.as_ref().map(|u| (u, short)));
                    if let Some(offset) = pool {
                        pool_lane(before_ref, out, means, (offset, width));
                    }
                    let first = first_ref.forward(before_ref.side, out, first_z);
                    (first, shortcut.map(|u| u.forward(before_ref.side, out, short_z)))
                })
                .collect();
            before.out = out;
            first.z = first_z;
            let pixels = count * level.side * level.side;
            if let Some(unit) = &mut level.shortcut {
                unit.z = short_z;
                if training {
                    unit.measure(sums.iter().filter_map(|s| s.1.clone()), pixels);
                }
            }
            if training {
                first.measure(sums.into_iter().map(|s| s.0), pixels);
            }

            let mut z = std::mem::take(&mut level.last.z);
            let (first, last) = (&*first, &level.last);
            let sums: Vec<Sums> =
                (cut_mut(middle, size, lanes), cut(&first.z, size, lanes), cut_mut(&mut z, size, lanes))
                    .into_par_iter()
                    .with_max_len(1)
                    .map(|(middle, first_z, z)| {
                        activate(middle, (first, first_z), None);
                        last.forward(level.side, middle, z)
                    })
                    .collect();
            level.last.z = z;
            if training {
                level.last.measure(sums.into_iter(), pixels);
            }
        }

        if let Some(level) = self.levels.last_mut() {
            let size = level.size();
            let mut out = std::mem::take(&mut level.out);
            let level_ref = &*level;
            let width = self.width;
            (
                cut_mut(&mut out, size, lanes),
                cut(&level_ref.last.z, size, lanes),
                cut(level_ref.shortcut.as_ref().map_or(&[], |u| &u.z), size, lanes),
                cut_mut(&mut self.means, REGIONS * width, lanes),
            )
                .into_par_iter()
                .with_max_len(1)
                .for_each(|(out, z, short, means)| {
                    activate(out, (&level_ref.last, z), level_ref.shortcut.as_ref().map(|u| (u, short)));
                    pool_lane(level_ref, out, means, (offset, width));
                });
            level.out = out;
        }
        self.head(parameters)
    }

    /// Region vectors from means, and the head.
    fn head(&mut self, parameters: &Parameters) -> Result<(), TrainError> {
        let (width, dims) = (self.width, self.dims);
        let taps: Vec<usize> = self.levels[1..].iter().map(Level::channels).collect();
        self.regions.copy_from_slice(&self.means);
        let rows = self.views * REGIONS;
        resize(&mut self.norms, rows * taps.len());
        let regions = self.regions.par_chunks_exact_mut(width).with_min_len(REGIONS * LANE);
        regions.zip(self.norms.par_chunks_exact_mut(taps.len())).for_each(|(region, norms)| {
            let mut rest = region;
            for (&channels, norm) in taps.iter().zip(norms) {
                let (tap, more) = rest.split_at_mut(channels);
                *norm = normalise(tap);
                rest = more;
            }
        });
        let missing = || TrainError::Network("the head's parameters `head.weight` and `head.bias` are missing".into());
        let weight = parameters.values("head.weight").filter(|v| v.len() == dims * width).ok_or_else(missing)?;
        let bias = parameters.values("head.bias").filter(|v| v.len() == dims).ok_or_else(missing)?;
        self.vectors = matmul(&self.regions, rows, &gemm::Packed::from_rows(self.isa, weight, dims, width));
        resize(&mut self.vector_norms, rows);
        let vectors = self.vectors.par_chunks_exact_mut(dims).with_min_len(REGIONS * LANE);
        vectors.zip(&mut self.vector_norms[..]).for_each(|(vector, norm)| {
            add(vector, bias);
            *norm = normalise(vector);
        });
        Ok(())
    }

    /// Gradients of all parameters for the gradient of [`Engine::vectors`], after a forward pass in training mode.
    ///
    /// # Errors
    /// [`TrainError::Network`] as [`Engine::forward`].
    pub(super) fn backward(&mut self, parameters: &Parameters, gradient: &[f32]) -> Result<NamedGradients, TrainError> {
        let mut named = NamedGradients::new();
        let regions = self.head_backward(parameters, gradient, &mut named)?;
        let (count, width) = (self.views, self.width);
        let lanes = count.div_ceil(LANE);
        let last = self.levels.len() - 1;
        let mut offset = width - self.levels[last].channels();

        // The gradient of the last stage comes from its regions alone.
        let level = &mut self.levels[last];
        let size = level.size();
        let mut g = std::mem::take(&mut level.gradient);
        let level_ref = &*level;
        let mut sums: Vec<(Sums, Option<Sums>)> = (
            cut_mut(&mut g, size, lanes),
            cut(&level_ref.out, size, lanes),
            cut(&level_ref.last.z, size, lanes),
            cut(level_ref.shortcut.as_ref().map_or(&[], |u| &u.z), size, lanes),
            cut(&self.means, REGIONS * width, lanes),
            cut(&regions, REGIONS * width, lanes),
        )
            .into_par_iter()
            .with_max_len(1)
            .map(|(g, out, z, short, means, regions)| {
                pool_lane_backward(level_ref, out, (means, regions), (offset, width), g);
                level_sums(level_ref, g, out, z, short)
            })
            .collect();
        level.gradient = g;

        for at in (1..self.levels.len()).rev() {
            let (before, level) = self.levels.split_at_mut(at);
            let (before, level) = (&mut before[at - 1], &mut level[0]);
            let (from, size) = (before.size(), level.size());
            let pixels = count * level.side * level.side;
            let shortcut_sums = total(sums.iter().filter_map(|s| s.1.clone()), level.channels());
            let last_sums = total(sums.into_iter().map(|s| s.0), level.channels());
            level.last.measure_back(&last_sums, pixels);
            if let Some(unit) = &mut level.shortcut {
                unit.measure_back(&shortcut_sums, pixels);
            }

            // Second convolution.
            let Some((first, middle, middle_gradient)) = &mut level.inner else {
                unreachable!("every stage has a first convolution")
            };
            let mut gradients = std::mem::take(&mut level.last.lanes);
            gradients.resize_with(lanes, Vec::new);
            let (first_ref, last) = (&*first, &level.last);
            let inner_sums: Vec<Sums> = (
                cut(&level.gradient, size, lanes),
                cut(&last.z, size, lanes),
                cut(middle, size, lanes),
                cut(&first_ref.z, size, lanes),
                cut_mut(middle_gradient, size, lanes),
                &mut gradients[..],
            )
                .into_par_iter()
                .with_max_len(1)
                .map(|(g, z, middle, first_z, dx, gradient)| {
                    dx.fill(0.0);
                    last.backward(level.side, middle, g, z, gradient, Some(&mut *dx));
                    mask(dx, middle);
                    let mut sums = [vec![0.0; first_ref.conv.outputs], vec![0.0; first_ref.conv.outputs]];
                    sum_up(&mut sums, dx, first_z);
                    sums
                })
                .collect();
            level.last.lanes = gradients;
            first.measure_back(&total(inner_sums.into_iter(), first.conv.outputs), pixels);

            // First convolution and shortcut, into what is before them.
            let mut g = std::mem::take(&mut before.gradient);
            let mut gradients = std::mem::take(&mut first.lanes);
            gradients.resize_with(lanes, Vec::new);
            let mut short_gradients = level.shortcut.as_mut().map_or_else(Vec::new, |u| std::mem::take(&mut u.lanes));
            short_gradients.resize_with(lanes, Vec::new);
            let pool = at > 1;
            if pool {
                offset -= before.channels();
            }
            let (before_ref, first_ref, shortcut) = (&*before, &*first, level.shortcut.as_ref());
            sums = (
                (
                    cut_mut(&mut g, from, lanes),
                    cut(&before_ref.out, from, lanes),
                    cut(&before_ref.last.z, from, lanes),
                    cut(before_ref.shortcut.as_ref().map_or(&[], |u| &u.z), from, lanes),
                ),
                (
                    cut(middle_gradient, size, lanes),
                    cut(&first_ref.z, size, lanes),
                    cut(&level.gradient, size, lanes),
                    cut(shortcut.map_or(&[], |u| &u.z), size, lanes),
                ),
                (
                    cut(&self.means, REGIONS * width, lanes),
                    cut(&regions, REGIONS * width, lanes),
                    &mut gradients[..],
                    &mut short_gradients[..],
                ),
            )
                .into_par_iter()
                .with_max_len(1)
                .map(
                    |(
                        (g, out, z, short),
                        (first_g, first_z, level_g, short_z),
                        (means, regions, gradient, short_gradient),
                    )| {
                        if pool {
                            pool_lane_backward(before_ref, out, (means, regions), (offset, width), g);
                        } else {
                            g.fill(0.0);
                        }
                        first_ref.backward(before_ref.side, out, first_g, first_z, gradient, Some(&mut *g));
                        if let Some(unit) = shortcut {
                            unit.backward(before_ref.side, out, level_g, short_z, short_gradient, Some(&mut *g));
                        }
                        level_sums(before_ref, g, out, z, short)
                    },
                )
                .collect();
            before.gradient = g;
            first.lanes = gradients;
            if let Some(unit) = &mut level.shortcut {
                unit.lanes = short_gradients;
            }
        }

        let stem = &mut self.levels[0];
        let stem_sums = total(sums.into_iter().map(|s| s.0), stem.channels());
        stem.last.measure_back(&stem_sums, count * stem.side * stem.side);
        let mut gradients = std::mem::take(&mut stem.last.lanes);
        gradients.resize_with(lanes, Vec::new);
        let (side, size, unit) = (self.side, stem.size(), &stem.last);
        (
            cut(&self.input, side * side * 3, lanes),
            cut(&stem.gradient, size, lanes),
            cut(&unit.z, size, lanes),
            &mut gradients[..],
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(x, g, z, gradient)| unit.backward(side, x, g, z, gradient, None));
        stem.last.lanes = gradients;
        for unit in self.units() {
            unit.gradients(&mut named);
        }
        Ok(named)
    }

    /// Gradients of the head, and of the regions' means.
    fn head_backward(
        &self,
        parameters: &Parameters,
        gradient: &[f32],
        named: &mut NamedGradients,
    ) -> Result<Vec<f32>, TrainError> {
        let (width, dims, rows) = (self.width, self.dims, self.views * REGIONS);
        let missing = || TrainError::Network("the head's parameter `head.weight` is missing".into());
        let weight = parameters.values("head.weight").filter(|v| v.len() == dims * width).ok_or_else(missing)?;
        let mut delta = gradient.to_vec();
        let units = self.vectors.par_chunks_exact(dims).zip(&self.vector_norms[..]);
        let pairs = delta.par_chunks_exact_mut(dims).with_min_len(REGIONS * LANE).zip(units);
        pairs.for_each(|(d, (unit, &norm))| normalise_backward(unit, norm, d));
        let of_weights = || {
            let mut bias = vec![0f64; dims];
            for d in delta.chunks_exact(dims) {
                for (b, d) in bias.iter_mut().zip(d) {
                    *b += f64::from(*d);
                }
            }
            let mut transposed = vec![];
            transpose(&delta, rows, dims, &mut transposed);
            let packed = gemm::Packed::from_columns(self.isa, &self.regions, rows, width);
            (bias, matmul(&transposed, dims, &packed))
        };
        let of_regions = || matmul(&delta, rows, &gemm::Packed::from_columns(self.isa, weight, dims, width));
        let ((bias, d_weight), mut regions) = rayon::join(of_weights, of_regions);
        #[allow(clippy::cast_possible_truncation)]
        named.insert("head.bias".into(), bias.iter().map(|&b| b as f32).collect());
        named.insert("head.weight".into(), d_weight);
        let taps: Vec<usize> = self.levels[1..].iter().map(Level::channels).collect();
        let units = self.regions.par_chunks_exact(width).zip(self.norms.par_chunks_exact(taps.len()));
        let pairs = regions.par_chunks_exact_mut(width).with_min_len(REGIONS * LANE).zip(units);
        pairs.for_each(|(mut d, (mut unit, norms))| {
            for (&channels, &norm) in taps.iter().zip(norms) {
                let ((d_tap, d_more), (tap, more)) = (d.split_at_mut(channels), unit.split_at(channels));
                normalise_backward(tap, norm, d_tap);
                (d, unit) = (d_more, more);
            }
        });
        Ok(regions)
    }

    /// Moves the running statistics towards those of the last training pass.
    pub(super) fn update_statistics(&self, parameters: &mut Parameters) {
        for level in &self.levels {
            let count = self.views * level.side * level.side;
            let inner = level.inner.as_ref().map(|i| &i.0);
            for unit in inner.into_iter().chain([&level.last]).chain(&level.shortcut) {
                unit.update(parameters, count);
            }
        }
    }
}

/// Means of the regions of one tap for the views of a lane.
fn pool_lane(level: &Level, out: &[f32], means: &mut [f32], (offset, width): (usize, usize)) {
    let (windows, channels) = (Windows::new(level.side), level.channels());
    SCRATCH.with_borrow_mut(|scratch| {
        for (map, means) in out.chunks_exact(level.size()).zip(means.chunks_exact_mut(REGIONS * width)) {
            windows.forward(map, channels, means, (offset, width), &mut scratch.delta);
        }
    });
}

/// Writes the gradient of one tap for the views of a lane.
fn pool_lane_backward(
    level: &Level,
    out: &[f32],
    (means, gradients): (&[f32], &[f32]),
    place: (usize, usize),
    dx: &mut [f32],
) {
    let (windows, channels) = (Windows::new(level.side), level.channels());
    let size = REGIONS * place.1;
    SCRATCH.with_borrow_mut(|scratch| {
        let views = out.chunks_exact(level.size()).zip(dx.chunks_exact_mut(level.size()));
        for ((map, dx), (m, g)) in views.zip(means.chunks_exact(size).zip(gradients.chunks_exact(size))) {
            windows.backward(map, channels, (m, g), place, dx, &mut scratch.delta);
        }
    });
}

/// Masks the gradient of a lane of a level's output, and sums it up for the level's batch normalisations.
fn level_sums(level: &Level, g: &mut [f32], out: &[f32], z: &[f32], short: &[f32]) -> (Sums, Option<Sums>) {
    mask(g, out);
    let zeros = || [vec![0.0; level.channels()], vec![0.0; level.channels()]];
    let mut sums = zeros();
    sum_up(&mut sums, g, z);
    let short = level.shortcut.as_ref().map(|_| {
        let mut sums = zeros();
        sum_up(&mut sums, g, short);
        sums
    });
    (sums, short)
}
