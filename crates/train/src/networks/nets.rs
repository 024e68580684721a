//! The networks of Distill-and-Select as differentiable graphs over padded, masked batches (`docs/mathematics.md`,
//! §2-§5). They take and give the tensors of upstream's names; inference is `vidsieve-model`'s.
//!
//! Shapes: a batch of videos is `[B, T, R, D]` with a mask `[B, T]` of 1 for frames and 0 for padding; padded frames are zero.

use burn::tensor::{Device, Tensor, TensorData, activation, module, ops};

use vidsieve_model::config::{
    Attention, Channel, CoarseConfig, ComparatorConfig, FineConfig, PaddingMode, SelectorConfig,
};

use crate::TrainError;
use crate::networks::parameters::{Leaves, Parameters, values};

/// Stands for minus infinity in masked maxima and softmax.
const MASKED: f32 = -1e9;
/// Smallest squared norm that a vector is divided by.
const MIN_SQUARE: f32 = 1e-24;
/// Variance epsilon of layer and batch normalisation.
const EPSILON: f32 = 1e-5;

/// Videos of one batch, padded to the longest.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[B, T, R, D]`, zero where padded.
    pub videos: Tensor<4>,
    /// `[B, T]`, 1 for a frame, 0 for padding.
    pub mask: Tensor<2>,
}

impl Batch {
    /// Pads videos of `[T, R, D]` values each (row-major) to the longest, rounded up to a multiple of four frames.
    ///
    /// # Errors
    /// [`TrainError::Network`] for an empty batch or values that are no whole number of frames.
    pub fn new(videos: &[&[f32]], regions: usize, dims: usize, device: &Device) -> Result<Self, TrainError> {
        let size = regions * dims;
        if videos.is_empty() || size == 0 || videos.iter().any(|v| v.is_empty() || v.len() % size != 0) {
            return Err(TrainError::Network("a batch needs videos of whole frames".into()));
        }
        let frames = videos.iter().map(|v| v.len() / size).max().unwrap_or(1).next_multiple_of(4);
        let mut data = vec![0f32; videos.len() * frames * size];
        let mut mask = vec![0f32; videos.len() * frames];
        for (i, video) in videos.iter().enumerate() {
            data[i * frames * size..][..video.len()].copy_from_slice(video);
            mask[i * frames..][..video.len() / size].fill(1.0);
        }
        Ok(Self {
            videos: Tensor::from_data(TensorData::new(data, [videos.len(), frames, regions, dims]), device),
            mask: Tensor::from_data(TensorData::new(mask, [videos.len(), frames]), device),
        })
    }

    /// The regions `start..end` of every frame.
    #[must_use]
    pub fn regions(&self, start: usize, end: usize) -> Self {
        Self { videos: self.videos.clone().narrow(2, start, end - start), mask: self.mask.clone() }
    }

    /// Some of the videos, in the order given; positions may repeat.
    #[must_use]
    pub fn select(&self, videos: &[usize]) -> Self {
        let device = self.videos.device();
        #[allow(clippy::cast_possible_wrap)]
        let indices: Vec<i64> = videos.iter().map(|&v| v as i64).collect();
        let indices = Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(indices, [videos.len()]), &device);
        Self { videos: self.videos.clone().select(0, indices.clone()), mask: self.mask.clone().select(0, indices) }
    }
}

/// `x / |x|` along the last dimension; zero stays zero.
#[must_use]
pub fn normalise<const N: usize>(x: Tensor<N>) -> Tensor<N> {
    let norm = x.clone().square().sum_dim(N - 1).clamp_min(MIN_SQUARE).sqrt();
    x / norm
}

/// A Linear layer with weight `[out, in]` on the last dimension.
fn linear<const N: usize>(x: Tensor<N>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<N> {
    module::linear(x, weight.transpose(), bias)
}

/// h-attention weights `sigmoid(u . tanh(W x + b))`, `[B, T, R, 1]`.
fn h_attention(net: &Leaves, x: &Tensor<4>) -> Result<Tensor<4>, TrainError> {
    let [b, t, r, d] = x.dims();
    let x = x.clone().reshape([b * t * r, d]);
    let hidden = linear(x, net.get("attention.transform.weight")?, Some(net.get("attention.transform.bias")?)).tanh();
    let scores = hidden.matmul(net.get::<2>("attention.context_vector.weight")?.transpose());
    Ok(activation::sigmoid(scores).reshape([b, t, r, 1]))
}

/// l2-attention weights `(u . x)/2 + 0.5` with u divided by its norm, `[B, T, R, 1]`.
fn l2_attention(net: &Leaves, x: &Tensor<4>) -> Result<Tensor<4>, TrainError> {
    let [b, t, r, d] = x.dims();
    let u = normalise(net.get::<2>("attention.context_vector.weight")?);
    let scores = x.clone().reshape([b * t * r, d]).matmul(u.transpose());
    Ok((scores * 0.5 + 0.5).reshape([b, t, r, 1]))
}

/// Region Chamfer similarity of aligned pairs, query `[P, Tq, Rq, D]` and target `[P, Tt, Rt, D]`: mean over the query's
/// regions of the maximum over the target's, `[P, Tq, Tt]`.
#[must_use]
pub fn region_chamfer(query: Tensor<4>, target: Tensor<4>) -> Tensor<3> {
    let [p, tq, rq, d] = query.dims();
    let [_, tt, rt, _] = target.dims();
    let products = query.reshape([p, tq * rq, d]).matmul(target.reshape([p, tt * rt, d]).swap_dims(1, 2));
    products.reshape([p, tq * rq * tt, rt]).max_dim(2).reshape([p, tq, rq, tt]).mean_dim(2).reshape([p, tq, tt])
}

/// The comparator over `[P, C, Tq, Tt]` with a mask `[P, 1, Tq, Tt]`: raw output `[P, Tq/4, Tt/4]` and its mask.
fn comparator(
    net: &Leaves,
    config: &ComparatorConfig,
    input: Tensor<4>,
    mask: Tensor<4>,
) -> Result<(Tensor<3>, Tensor<3>), TrainError> {
    let prefix = if net.contains("video_comperator.conv1.weight") { "video_comperator." } else { "visil_head." };
    let pool = |x| module::max_pool2d(x, ops::MaxPoolOptions::new([2, 2]));
    let (mut x, mut mask) = (input, mask);
    for layer in 1..=3 {
        let weight = net.get(&format!("{prefix}conv{layer}.weight"))?;
        let bias = net.get(&format!("{prefix}conv{layer}.bias"))?;
        let (padded, padding) = match config.padding {
            PaddingMode::Zero => (x, 1),
            PaddingMode::Replicate => (replicate(x), 0),
        };
        let options = ops::ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
        x = activation::relu(module::conv2d(padded, weight, Some(bias), options) * mask.clone());
        if layer < 3 {
            x = pool(x);
            mask = pool(mask);
        }
    }
    let [p, c, h, w] = x.dims();
    let weight = net.get::<4>(&format!("{prefix}fconv.weight"))?.reshape([1, c]);
    let out = weight.unsqueeze::<3>().matmul(x.reshape([p, c, h * w]));
    let bias = net.get::<1>(&format!("{prefix}fconv.bias"))?.reshape([1, 1, 1]);
    Ok(((out + bias).reshape([p, h, w]), mask.reshape([p, h, w])))
}

/// The border repeated by one on each side.
fn replicate(x: Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let x = Tensor::cat(vec![x.clone().narrow(2, 0, 1), x.clone(), x.narrow(2, h - 1, 1)], 2);
    Tensor::cat(vec![x.clone().narrow(3, 0, 1), x.clone(), x.narrow(3, w - 1, 1)], 3)
}

/// A fine-grained network in training.
#[derive(Debug, Clone)]
pub struct FineNet {
    /// Its configuration, as in a bundle.
    pub config: FineConfig,
    /// `sqrt(2 sigma)` of the erf that stands for the sign in training (upstream: sqrt(2e-6)).
    pub erf_denominator: f32,
}

/// Similarities of aligned pairs.
#[derive(Debug, Clone)]
pub struct FineScores {
    /// Video similarities `[P]` in [-1, 1].
    pub similarity: Tensor<1>,
    /// L_reg of every pair `[P]`: the sum of what the raw comparator output exceeds [-1, 1] by.
    pub excess: Tensor<1>,
}

impl FineNet {
    /// The network of `config` with upstream's erf denominator.
    #[must_use]
    pub fn new(config: FineConfig) -> Self {
        Self { config, erf_denominator: 2e-6f32.sqrt() }
    }

    /// What the network keeps of videos, `[B, T, R, D or L]`; codes are soft (erf).
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing.
    pub fn index(&self, net: &Leaves, batch: &Batch) -> Result<Batch, TrainError> {
        let x = batch.videos.clone();
        let [b, t, r, d] = x.dims();
        let videos = if self.config.bits.is_some() {
            let w = net.get::<2>("binarization.W")?;
            let [_, bits] = w.dims();
            let z = normalise(x.reshape([b * t * r, d])).matmul(w);
            // A padded frame stays zero: erf(0) = 0.
            (z / self.erf_denominator).erf().reshape([b, t, r, bits])
        } else {
            match self.config.attention {
                Attention::None => x,
                Attention::H => x.clone() * h_attention(net, &x)?,
                Attention::L2 => x.clone() * l2_attention(net, &x)?,
            }
        };
        Ok(Batch { videos, mask: batch.mask.clone() })
    }

    /// Frame similarities of aligned pairs of indexed videos, `[P, C, Tq, Tt]`, zero where either frame is padding; and the
    /// pair mask `[P, 1, Tq, Tt]`.
    #[must_use]
    pub fn frame_similarity(&self, query: &Batch, target: &Batch) -> (Tensor<4>, Tensor<4>) {
        #[allow(clippy::cast_precision_loss)]
        let scale = self.config.bits.map_or(1.0, |bits| 1.0 / bits as f32);
        let [p, tq] = query.mask.dims();
        let [_, tt] = target.mask.dims();
        let mask = query.mask.clone().reshape([p, 1, tq, 1]) * target.mask.clone().reshape([p, 1, 1, tt]);
        let map = |q: Tensor<4>, t: Tensor<4>| region_chamfer(q, t) * scale;
        let maps: Vec<Tensor<3>> = match self.config.channels.as_deref() {
            Some(channels) if !channels.is_empty() => {
                channels.iter().map(|c| channel(c, query, target, &map)).collect()
            }
            _ => {
                let forward = map(query.videos.clone(), target.videos.clone());
                if self.config.symmetric {
                    let back = map(target.videos.clone(), query.videos.clone()).swap_dims(1, 2);
                    vec![(forward + back) * 0.5]
                } else {
                    vec![forward]
                }
            }
        };
        (Tensor::stack::<4>(maps, 1) * mask.clone(), mask)
    }

    /// Scores of aligned pairs of indexed videos.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing.
    pub fn similarity(&self, net: &Leaves, query: &Batch, target: &Batch) -> Result<FineScores, TrainError> {
        let (maps, mask) = self.frame_similarity(query, target);
        let (raw, mask) = comparator(net, &self.config.comparator, maps, mask)?;
        let [p, h, w] = raw.dims();
        let bounded = raw.clone().clamp(-1.0, 1.0);
        let side = |bounded: Tensor<3>, mask: Tensor<3>| {
            let hidden = (mask.clone() * -1.0 + 1.0) * MASKED;
            let best = (bounded + hidden).max_dim(2);
            let rows = mask.max_dim(2);
            let total = (best * rows.clone()).sum_dim(1);
            (total / rows.sum_dim(1)).reshape([p])
        };
        let mut similarity = side(bounded.clone(), mask.clone());
        if self.config.symmetric {
            similarity = (similarity + side(bounded.swap_dims(1, 2), mask.clone().swap_dims(1, 2))) * 0.5;
        }
        let over = (raw.clone() - 1.0).clamp_min(0.0) + (raw * -1.0 - 1.0).clamp_min(0.0);
        Ok(FineScores { similarity, excess: over.reshape([p, h * w]).sum_dim(1).reshape([p]) })
    }
}

fn channel(
    channel: &Channel,
    query: &Batch,
    target: &Batch,
    map: &impl Fn(Tensor<4>, Tensor<4>) -> Tensor<3>,
) -> Tensor<3> {
    let part = |batch: &Batch, range: [usize; 2]| batch.regions(range[0], range[1]).videos;
    let (q, t) = (part(query, channel.query), part(target, channel.target));
    if channel.transposed { map(t, q).swap_dims(1, 2) } else { map(q, t) }
}

/// The coarse student in training.
#[derive(Debug, Clone)]
pub struct CoarseNet {
    /// Its configuration, as in a bundle.
    pub config: CoarseConfig,
}

impl CoarseNet {
    /// Video vectors `[B, output]` of unit length. `dropout` gives the factors of a dropout layer of a shape (0 or
    /// `1 / (1 - p)`) in training.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing.
    pub fn embed(
        &self,
        net: &Leaves,
        batch: &Batch,
        dropout: &mut dyn FnMut(&[usize]) -> Option<Vec<f32>>,
    ) -> Result<Tensor<2>, TrainError> {
        let batch = match self.config.regions {
            Some([start, end]) => batch.regions(start, end),
            None => batch.clone(),
        };
        let [b, t, _, d] = batch.videos.dims();
        let mut x = batch.videos.clone();
        if self.config.attention {
            x = x.clone() * h_attention(net, &x)?;
        }
        let mut x = normalise(x.sum_dim(2).reshape([b, t, d]));
        if let Some(transformer) = &self.config.transformer {
            for layer in 0..transformer.layers {
                x = encoder_layer(net, layer, transformer.heads, x, &batch.mask, dropout)?;
            }
            x = layer_norm(net, "transformer.norm", x)?;
        }
        let mask = batch.mask.clone().reshape([b, t, 1]);
        let Some(vlad) = &self.config.netvlad else {
            let sum = (x * mask.clone()).sum_dim(1);
            return Ok(normalise((sum / mask.sum_dim(1)).reshape([b, d])));
        };
        let k = vlad.clusters;
        let weight = net.get::<4>("netvlad.conv.weight")?.reshape([k, d]);
        let assignment = activation::softmax(linear(x.clone(), weight, None), 2) * mask;
        let residual = assignment.clone().swap_dims(1, 2).matmul(x);
        let total = assignment.sum_dim(1).reshape([b, k, 1]);
        let centroids = net.get::<2>("netvlad.centroids")?.reshape([1, k, d]);
        let v = normalise(normalise(residual - total * centroids).reshape([b, k * d]));
        let reduced = linear(v, net.get("netvlad.reduction_layer.weight")?, None);
        Ok(normalise(layer_norm(net, "netvlad.norm", reduced)?))
    }
}

fn layer_norm<const N: usize>(net: &Leaves, name: &str, x: Tensor<N>) -> Result<Tensor<N>, TrainError> {
    let (weight, bias) = (net.get::<1>(&format!("{name}.weight"))?, net.get::<1>(&format!("{name}.bias"))?);
    let mean = x.clone().mean_dim(N - 1);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(N - 1);
    Ok(centred / (variance + EPSILON).sqrt() * weight.unsqueeze() + bias.unsqueeze())
}

fn drop<const N: usize>(x: Tensor<N>, dropout: &mut dyn FnMut(&[usize]) -> Option<Vec<f32>>) -> Tensor<N> {
    let dims = x.dims();
    match dropout(&dims) {
        Some(factors) => {
            let device = x.device();
            x * Tensor::from_data(TensorData::new(factors, dims), &device)
        }
        None => x,
    }
}

/// One post-norm encoder layer over `[B, T, D]`; padded frames are never attended to.
fn encoder_layer(
    net: &Leaves,
    layer: usize,
    heads: usize,
    x: Tensor<3>,
    mask: &Tensor<2>,
    dropout: &mut dyn FnMut(&[usize]) -> Option<Vec<f32>>,
) -> Result<Tensor<3>, TrainError> {
    let p = format!("transformer.layers.{layer}.");
    let [b, t, d] = x.dims();
    let size = d / heads;
    let weight = net.get(&format!("{p}self_attn.in_proj_weight"))?;
    let qkv = linear(x.clone(), weight, Some(net.get(&format!("{p}self_attn.in_proj_bias"))?));
    let part = |which: usize| qkv.clone().narrow(2, which * d, d).reshape([b, t, heads, size]).swap_dims(1, 2);
    #[allow(clippy::cast_precision_loss)]
    let scores = part(0).matmul(part(1).swap_dims(2, 3)) / (size as f32).sqrt();
    let hidden = (mask.clone() * -1.0 + 1.0).reshape([b, 1, 1, t]) * MASKED;
    let weights = drop(activation::softmax(scores + hidden, 3), dropout);
    let mixed = weights.matmul(part(2)).swap_dims(1, 2).reshape([b, t, d]);
    let named = |name: &str, x: Tensor<3>| -> Result<Tensor<3>, TrainError> {
        Ok(linear(x, net.get(&format!("{p}{name}.weight"))?, Some(net.get(&format!("{p}{name}.bias"))?)))
    };
    let attended = drop(named("self_attn.out_proj", mixed)?, dropout);
    let x = layer_norm(net, &format!("{p}norm1"), x + attended)?;
    let hidden = drop(activation::relu(named("linear1", x.clone())?), dropout);
    let out = drop(named("linear2", hidden)?, dropout);
    layer_norm(net, &format!("{p}norm2"), x + out)
}

/// The selector in training.
#[derive(Debug, Clone)]
pub struct SelectorNet {
    /// Its configuration, as in a bundle.
    pub config: SelectorConfig,
}

/// Means and biased variances that batch normalisation saw, by layer, and how many rows there were.
pub type BatchStatistics = Vec<(Tensor<1>, Tensor<1>, usize)>;

impl SelectorNet {
    /// Self-similarity of videos, `[B]`.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing.
    pub fn self_similarity(&self, net: &Leaves, batch: &Batch) -> Result<Tensor<1>, TrainError> {
        let batch = match self.config.regions {
            Some([start, end]) => batch.regions(start, end),
            None => batch.clone(),
        };
        let [b, t, r, d] = batch.videos.dims();
        let x = batch.videos.clone();
        let x = (x.clone() * h_attention(net, &x)?).sum_dim(2).reshape([b, t, d]);
        #[allow(clippy::cast_precision_loss)]
        let map = x.clone().matmul(x.swap_dims(1, 2)) / (r * r) as f32;
        let mask = batch.mask.clone().reshape([b, 1, t, 1]) * batch.mask.reshape([b, 1, 1, t]);
        let (raw, mask) = comparator(net, &self.config.comparator, map.reshape([b, 1, t, t]) * mask.clone(), mask)?;
        let [_, h, w] = raw.dims();
        let sum = |x: Tensor<3>| x.reshape([b, h * w]).sum_dim(1).reshape([b]);
        Ok(sum(raw * mask.clone()) / sum(mask))
    }

    /// Logits of the probability that the coarse answer is wrong, `[P]`, of rows `[self-similarity of the query, of the target,
    /// coarse similarity]`; batch normalisation by the batch, whose statistics are given as well.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing.
    pub fn logits(
        &self,
        net: &Leaves,
        input: Tensor<2>,
        dropout: &mut dyn FnMut(&[usize]) -> Option<Vec<f32>>,
    ) -> Result<(Tensor<1>, BatchStatistics), TrainError> {
        let [rows, _] = input.dims();
        let mut x = input;
        let mut statistics = Vec::new();
        for layer in 0..=self.config.layers {
            x = linear(x, net.get(&format!("mlp.model.{}.weight", 4 * layer))?, None);
            let mean = x.clone().mean_dim(0);
            let centred = x - mean.clone();
            let variance = centred.clone().square().mean_dim(0);
            let norm = 4 * layer + 1;
            let (weight, bias) =
                (net.get(&format!("mlp.model.{norm}.weight"))?, net.get(&format!("mlp.model.{norm}.bias"))?);
            x = centred / (variance.clone() + EPSILON).sqrt() * Tensor::<1>::unsqueeze::<2>(weight)
                + Tensor::<1>::unsqueeze::<2>(bias);
            let [_, width] = variance.dims();
            statistics.push((mean.reshape([width]), variance.reshape([width]), rows));
            x = drop(activation::relu(x), dropout);
        }
        let last = 4 * (self.config.layers + 1);
        let out =
            linear(x, net.get(&format!("mlp.model.{last}.weight"))?, Some(net.get(&format!("mlp.model.{last}.bias"))?));
        Ok((out.reshape([rows]), statistics))
    }
}

/// Moves running statistics of the selector's batch normalisations towards those of a batch (the variance unbiased), by
/// `momentum`.
///
/// # Errors
/// [`TrainError::Network`] for parameters that are missing or of another length.
#[allow(clippy::cast_precision_loss)]
pub fn update_running(
    parameters: &mut Parameters,
    statistics: BatchStatistics,
    momentum: f32,
) -> Result<(), TrainError> {
    for (layer, (mean, variance, rows)) in statistics.into_iter().enumerate() {
        let unbiased = rows as f32 / (rows.max(2) - 1) as f32;
        for (name, batch, factor) in [("running_mean", mean, 1.0), ("running_var", variance, unbiased)] {
            let name = format!("mlp.model.{}.{name}", 4 * layer + 1);
            let batch = values(batch)?;
            let running = parameters
                .values_mut(&name)
                .filter(|r| r.len() == batch.len())
                .ok_or_else(|| TrainError::Network(format!("tensor `{name}` is missing from the selector")))?;
            for (r, b) in running.iter_mut().zip(batch) {
                *r += momentum * (b * factor - *r);
            }
        }
    }
    Ok(())
}
