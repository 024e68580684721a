//! Starting weights of every network, drawn from a seed.

use nalgebra::DMatrix;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use vidsieve_model::backbone::PlainConfig;
use vidsieve_model::config::{Attention, CoarseConfig, ComparatorConfig, FineConfig, SelectorConfig};

use crate::networks::parameters::Parameters;

/// Uniform values in `-bound..bound`.
fn uniform(rng: &mut Pcg64, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
}

/// Normal values of a standard deviation (Box-Muller).
pub(crate) fn normal(rng: &mut impl Rng, count: usize, deviation: f32) -> Vec<f32> {
    (0..count)
        .map(|_| {
            let (u, v): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random());
            #[allow(clippy::cast_possible_truncation)]
            let z = ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32;
            z * deviation
        })
        .collect()
}

/// `1 / sqrt(fan_in)`: the bound of PyTorch's default for Linear and convolution, weights and biases alike.
#[allow(clippy::cast_precision_loss)]
fn bound(fan_in: usize) -> f32 {
    1.0 / (fan_in as f32).sqrt()
}

/// `sqrt(6 / (in + out))`: Xavier's bound.
#[allow(clippy::cast_precision_loss)]
fn xavier(inputs: usize, outputs: usize) -> f32 {
    (6.0 / (inputs + outputs) as f32).sqrt()
}

fn attention(p: &mut Parameters, rng: &mut Pcg64, dims: usize) {
    p.insert("attention.transform.weight", &[dims, dims], uniform(rng, dims * dims, xavier(dims, dims)));
    p.insert("attention.transform.bias", &[dims], vec![0.0; dims]);
    p.insert("attention.context_vector.weight", &[1, dims], uniform(rng, dims, bound(dims)));
}

fn comparator(p: &mut Parameters, rng: &mut Pcg64, config: &ComparatorConfig) {
    let channels = config.channels;
    for layer in 1..=3 {
        let (inputs, outputs) = (channels[layer - 1], channels[layer]);
        let weights = uniform(rng, outputs * inputs * 9, bound(inputs * 9));
        p.insert(format!("visil_head.conv{layer}.weight"), &[outputs, inputs, 3, 3], weights);
        p.insert(format!("visil_head.conv{layer}.bias"), &[outputs], uniform(rng, outputs, bound(inputs * 9)));
    }
    p.insert("visil_head.fconv.weight", &[1, channels[3], 1, 1], uniform(rng, channels[3], bound(channels[3])));
    p.insert("visil_head.fconv.bias", &[1], uniform(rng, 1, bound(channels[3])));
}

/// Output of a comparator that lets its input through for a frame similarity of 0, and how much it rises up to 1.
const THROUGH: [f32; 2] = [-1.0, 2.5];
/// Weight of what a further channel exceeds the first one by; the first has weight 1.
const EXCESS: f32 = 0.5;
/// Taps of the first convolution: a pair of frames and the pairs before and after it, which in a copy agree as well.
const ALONG: [(usize, f32); 3] = [(0, 0.25), (4, 0.5), (8, 0.25)];
/// What random weights keep beside the path that lets the input through.
const BESIDE: f32 = 0.1;

/// Turns a comparator's start into one that lets the maps through: the first filter passes the first channel on, averaged along the
/// diagonal, one filter
/// for each further channel what that exceeds the first by (`max(a, b) = a + relu(b - a)`), and the output is their weighted sum:
/// training starts from max-pooled Chamfer similarity instead of noise. `gain` is what similarities are multiplied by to reach
/// 1 for equal frames.
#[allow(clippy::cast_precision_loss)]
fn let_through(p: &mut Parameters, config: &ComparatorConfig, gain: f32) {
    let maps = config.channels[0];
    if config.channels[1..].iter().any(|&c| c < maps) {
        return;
    }
    for layer in 1..=3 {
        let inputs = config.channels[layer - 1];
        if let Some(weights) = p.values_mut(&format!("visil_head.conv{layer}.weight")) {
            for (filter, w) in weights.chunks_exact_mut(inputs * 9).enumerate() {
                if filter < maps {
                    w.fill(0.0);
                    if layer > 1 {
                        w[filter * 9 + 4] = 1.0;
                        continue;
                    }
                    for (tap, weight) in ALONG {
                        w[filter * 9 + tap] = weight * gain;
                        if filter > 0 {
                            w[tap] = -weight * gain;
                        }
                    }
                }
            }
        }
        if let Some(bias) = p.values_mut(&format!("visil_head.conv{layer}.bias")) {
            bias[..maps].fill(0.0);
        }
    }
    if let Some(weights) = p.values_mut("visil_head.fconv.weight") {
        weights.iter_mut().for_each(|w| *w *= BESIDE);
        for (map, w) in weights[..maps].iter_mut().enumerate() {
            let share = if map == 0 { 1.0 } else { EXCESS };
            *w = THROUGH[1] * share;
        }
    }
    if let Some(bias) = p.values_mut("visil_head.fconv.bias") {
        bias.fill(THROUGH[0]);
    }
}

/// Starting weights of a fine-grained network: its comparator starts by letting frame similarities through. `projection` `[D, L]` starts the binary layer (ITQ); without it the layer
/// starts at random.
#[must_use]
pub fn fine(config: &FineConfig, projection: Option<&[f32]>, seed: u64) -> Parameters {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut p = Parameters::new();
    match config.attention {
        Attention::None => {}
        Attention::L2 => {
            let u = uniform(&mut rng, config.dims, bound(config.dims));
            p.insert("attention.context_vector.weight", &[1, config.dims], u);
        }
        Attention::H => attention(&mut p, &mut rng, config.dims),
    }
    if let Some(bits) = config.bits {
        let w = match projection {
            Some(w) if w.len() == config.dims * bits => w.to_vec(),
            _ => normal(&mut rng, config.dims * bits, bound(config.dims)),
        };
        p.insert("binarization.W", &[config.dims, bits], w);
    }
    comparator(&mut p, &mut rng, &config.comparator);
    // Attention starts near one half for both videos, so similarities near one quarter.
    let_through(&mut p, &config.comparator, if config.attention == Attention::None { 1.0 } else { 4.0 });
    p
}

/// What the layers beside the transformer's residual path start with, of their usual weights.
const RESIDUAL: f32 = 0.1;
/// Length of the centroids at the start: short beside the frame vectors, so that each cluster's residuals point where the mean
/// does.
const CENTROID: f32 = 0.1;

/// `rows` orthonormal columns of `columns` values each, row-major `[rows, columns]` with `rows >= columns`.
fn isometry(rng: &mut Pcg64, rows: usize, columns: usize) -> Vec<f32> {
    let start: Vec<f64> = normal(rng, rows * columns, 1.0).into_iter().map(f64::from).collect();
    let q = DMatrix::from_row_slice(rows, columns, &start).qr().q();
    #[allow(clippy::cast_possible_truncation)]
    (0..rows).flat_map(|r| q.row(r).iter().map(|v| *v as f32).collect::<Vec<_>>()).collect()
}

/// Starting weights of a coarse student. It starts near the mean of its region vectors: the transformer hardly changes frames, every
/// cluster's residuals are about the mean frame, and the reduction averages the clusters and turns the result (§4 starts all of it
/// at random and needs a corpus of the paper's size to come as far).
#[must_use]
pub fn coarse(config: &CoarseConfig, seed: u64) -> Parameters {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut p = Parameters::new();
    let d = config.dims;
    if config.attention {
        attention(&mut p, &mut rng, d);
    }
    if let Some(t) = &config.transformer {
        for layer in 0..t.layers {
            let name = |part: &str| format!("transformer.layers.{layer}.{part}");
            p.insert(name("self_attn.in_proj_weight"), &[3 * d, d], uniform(&mut rng, 3 * d * d, xavier(d, 3 * d)));
            p.insert(name("self_attn.in_proj_bias"), &[3 * d], vec![0.0; 3 * d]);
            p.insert(name("self_attn.out_proj.weight"), &[d, d], uniform(&mut rng, d * d, RESIDUAL * bound(d)));
            p.insert(name("self_attn.out_proj.bias"), &[d], vec![0.0; d]);
            p.insert(name("linear1.weight"), &[t.feedforward, d], uniform(&mut rng, t.feedforward * d, bound(d)));
            p.insert(name("linear1.bias"), &[t.feedforward], vec![0.0; t.feedforward]);
            let weights = uniform(&mut rng, t.feedforward * d, RESIDUAL * bound(t.feedforward));
            p.insert(name("linear2.weight"), &[d, t.feedforward], weights);
            p.insert(name("linear2.bias"), &[d], vec![0.0; d]);
            for norm in ["norm1", "norm2"] {
                p.insert(name(&format!("{norm}.weight")), &[d], vec![1.0; d]);
                p.insert(name(&format!("{norm}.bias")), &[d], vec![0.0; d]);
            }
        }
        p.insert("transformer.norm.weight", &[d], vec![1.0; d]);
        p.insert("transformer.norm.bias", &[d], vec![0.0; d]);
    }
    if let Some(v) = &config.netvlad {
        let assignment = normal(&mut rng, v.clusters * d, bound(d));
        let centroids = assignment.iter().map(|v| v * CENTROID).collect();
        p.insert("netvlad.conv.weight", &[v.clusters, d, 1, 1], assignment);
        p.insert("netvlad.centroids", &[v.clusters, d], centroids);
        let inputs = v.clusters * d;
        let reduction = if v.output >= d {
            let turn = isometry(&mut rng, v.output, d);
            let noise = normal(&mut rng, v.output * inputs, RESIDUAL * bound(inputs));
            noise.iter().enumerate().map(|(i, n)| n + turn[i / inputs * d + i % inputs % d]).collect()
        } else {
            normal(&mut rng, v.output * inputs, bound(inputs))
        };
        p.insert("netvlad.reduction_layer.weight", &[v.output, inputs], reduction);
        p.insert("netvlad.norm.weight", &[v.output], vec![1.0; v.output]);
        p.insert("netvlad.norm.bias", &[v.output], vec![0.0; v.output]);
    }
    p
}

/// Makes `factor * y + offset` of what a fine network bounds to [-1, 1]: the answer of its direct path (before tanh) or, without one,
/// the output of its comparator (before Hardtanh).
pub fn rescale(parameters: &mut Parameters, factor: f32, offset: f32) {
    if let Some([scale, shift]) =
        parameters.values_mut("direct.scale").and_then(|s| s.as_chunks_mut::<2>().0.first_mut())
    {
        (*scale, *shift) = (factor * *scale, factor * *shift + offset);
        return;
    }
    for (name, offset) in [("visil_head.fconv.weight", 0.0), ("visil_head.fconv.bias", offset)] {
        if let Some(values) = parameters.values_mut(name) {
            values.iter_mut().for_each(|v| *v = factor * *v + offset);
        }
    }
}

/// Starting weights of a selector.
#[must_use]
pub fn selector(config: &SelectorConfig, seed: u64) -> Parameters {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut p = Parameters::new();
    attention(&mut p, &mut rng, config.dims);
    comparator(&mut p, &mut rng, &config.comparator);
    let hidden = config.hidden;
    for layer in 0..=config.layers {
        let inputs = if layer == 0 { 3 } else { hidden };
        let weights = uniform(&mut rng, hidden * inputs, xavier(inputs, hidden));
        p.insert(format!("mlp.model.{}.weight", 4 * layer), &[hidden, inputs], weights);
        let norm = format!("mlp.model.{}", 4 * layer + 1);
        p.insert(format!("{norm}.weight"), &[hidden], vec![1.0; hidden]);
        p.insert(format!("{norm}.bias"), &[hidden], vec![0.0; hidden]);
        p.insert(format!("{norm}.running_mean"), &[hidden], vec![0.0; hidden]);
        p.insert(format!("{norm}.running_var"), &[hidden], vec![1.0; hidden]);
    }
    let last = 4 * (config.layers + 1);
    p.insert(format!("mlp.model.{last}.weight"), &[1, hidden], uniform(&mut rng, hidden, xavier(hidden, 1)));
    p.insert(format!("mlp.model.{last}.bias"), &[1], uniform(&mut rng, 1, bound(hidden)));
    p
}

/// Starting weights of a plain backbone (He's normal for convolutions, neutral batch normalisation) and of the training head
/// `head` to `dims` values a region.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn backbone(config: &PlainConfig, dims: usize, seed: u64) -> Parameters {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut p = Parameters::new();
    let mut layer = |p: &mut Parameters, name: &str, norm: &str, inputs: usize, outputs: usize, kernel: usize| {
        let deviation = (2.0 / (inputs * kernel * kernel) as f32).sqrt();
        let weights = normal(&mut rng, outputs * inputs * kernel * kernel, deviation);
        p.insert(format!("{name}.weight"), &[outputs, inputs, kernel, kernel], weights);
        for (part, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            p.insert(format!("{norm}.{part}"), &[outputs], vec![value; outputs]);
        }
    };
    layer(&mut p, "stem", "stem_bn", 3, config.stem, 3);
    let mut inputs = config.stem;
    for (stage, &outputs) in config.stages.iter().enumerate() {
        let name = |part: &str| format!("stage{}.{part}", stage + 1);
        layer(&mut p, &name("conv1"), &name("bn1"), inputs, outputs, 3);
        layer(&mut p, &name("conv2"), &name("bn2"), outputs, outputs, 3);
        if config.residual {
            layer(&mut p, &name("shortcut"), &name("shortcut_bn"), inputs, outputs, 1);
        }
        inputs = outputs;
    }
    let taps: usize = config.stages.iter().sum();
    p.insert("head.weight", &[dims, taps], uniform(&mut rng, dims * taps, bound(taps)));
    p.insert("head.bias", &[dims], vec![0.0; dims]);
    p
}
