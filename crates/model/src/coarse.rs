//! The coarse student S^c (`docs/mathematics.md`, §4): h-attention, region pooling, transformer, NetVLAD, one vector.

use ndarray::{ArrayView3, s};
use vidsieve_kernels::{
    Isa,
    gemm::{self, Packed},
};

use crate::attention::RegionAttention;
use crate::config::{Attention, CoarseConfig, NetVladConfig, TransformerConfig, check_range};
use crate::fine::{InputError, regions_of};
use crate::math::{layer_norm, normalise_rows, softmax};
use crate::weights::{StateDict, WeightsError};

/// Query frames whose attention rows are worked on at once: memory of self-attention grows with T, not T².
const ROWS: usize = 64;

/// A Linear layer `y = xW^T + b`, W [out][in].
#[derive(Debug)]
struct Linear {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

impl Linear {
    fn new(
        isa: Isa,
        state: &StateDict,
        weight: &str,
        bias: Option<&str>,
        [n, k]: [usize; 2],
    ) -> Result<Self, WeightsError> {
        let weight = Packed::from_rows(isa, state.get(weight, &[n, k])?, n, k);
        let bias = bias.map(|b| state.get(b, &[n]).map(<[f32]>::to_vec)).transpose()?;
        Ok(Self { weight, bias })
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.weight.k();
        let mut y = vec![0f32; rows * self.weight.n()];
        gemm::matmul(x, rows, &self.weight, &mut y);
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
        }
        y
    }
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn new(state: &StateDict, name: &str, width: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: state.get(&format!("{name}.weight"), &[width])?.to_vec(),
            bias: state.get(&format!("{name}.bias"), &[width])?.to_vec(),
        })
    }

    fn apply(&self, x: &mut [f32]) {
        layer_norm(x, &self.weight, &self.bias);
    }
}

/// One post-norm encoder layer.
#[derive(Debug)]
struct EncoderLayer {
    heads: usize,
    in_proj: Linear,
    out_proj: Linear,
    linear1: Linear,
    linear2: Linear,
    norm1: Norm,
    norm2: Norm,
}

impl EncoderLayer {
    fn new(
        isa: Isa,
        state: &StateDict,
        index: usize,
        d: usize,
        config: TransformerConfig,
    ) -> Result<Self, WeightsError> {
        let p = format!("transformer.layers.{index}.");
        let linear = |name: &str, shape| {
            Linear::new(isa, state, &format!("{p}{name}.weight"), Some(&format!("{p}{name}.bias")), shape)
        };
        Ok(Self {
            heads: config.heads,
            in_proj: Linear::new(
                isa,
                state,
                &format!("{p}self_attn.in_proj_weight"),
                Some(&format!("{p}self_attn.in_proj_bias")),
                [3 * d, d],
            )?,
            out_proj: linear("self_attn.out_proj", [d, d])?,
            linear1: linear("linear1", [config.feedforward, d])?,
            linear2: linear("linear2", [d, config.feedforward])?,
            norm1: Norm::new(state, &format!("{p}norm1"), d)?,
            norm2: Norm::new(state, &format!("{p}norm2"), d)?,
        })
    }

    /// `x1 = LN1(x + MHA(x))`, `LN2(x1 + W2 relu(W1 x1 + b1) + b2)`; x is [T][D].
    fn forward(&self, x: &mut [f32]) {
        let attended = self.attention(x);
        x.iter_mut().zip(&attended).for_each(|(v, a)| *v += a);
        self.norm1.apply(x);
        let d = self.norm1.weight.len();
        // The hidden layer is wide: rows in blocks keep its memory fixed.
        for block in x.chunks_mut(ROWS * d) {
            let mut hidden = self.linear1.forward(block);
            hidden.iter_mut().for_each(|v| *v = v.max(0.0));
            let out = self.linear2.forward(&hidden);
            block.iter_mut().zip(&out).for_each(|(v, o)| *v += o);
        }
        self.norm2.apply(x);
    }

    /// Multi-head self-attention of all frames with all frames.
    fn attention(&self, x: &[f32]) -> Vec<f32> {
        let d = self.norm1.weight.len();
        let (frames, size) = (x.len() / d, d / self.heads);
        let isa = self.in_proj.weight.isa();
        let qkv = self.in_proj.forward(x);
        #[allow(clippy::cast_precision_loss)]
        let scale = 1.0 / (size as f32).sqrt();
        let part = |which: usize, head: usize, factor: f32| -> Vec<f32> {
            let start = which * d + head * size;
            qkv.chunks_exact(3 * d).flat_map(|row| row[start..start + size].iter().map(move |v| v * factor)).collect()
        };
        let mut mixed = vec![0f32; frames * d];
        let mut weights = vec![0f32; ROWS.min(frames) * frames];
        let mut block = vec![0f32; ROWS.min(frames) * size];
        for head in 0..self.heads {
            let q = part(0, head, scale);
            let k = Packed::from_rows(isa, &part(1, head, 1.0), frames, size);
            let v = Packed::from_columns(isa, &part(2, head, 1.0), frames, size);
            for (i, rows) in q.chunks(ROWS * size).enumerate() {
                let n = rows.len() / size;
                let (weights, block) = (&mut weights[..n * frames], &mut block[..n * size]);
                gemm::matmul(rows, n, &k, weights);
                softmax(weights, frames);
                gemm::matmul(weights, n, &v, block);
                for (j, row) in block.chunks_exact(size).enumerate() {
                    let start = (i * ROWS + j) * d + head * size;
                    mixed[start..start + size].copy_from_slice(row);
                }
            }
        }
        self.out_proj.forward(&mixed)
    }
}

#[derive(Debug)]
struct Transformer {
    layers: Vec<EncoderLayer>,
    norm: Norm,
}

#[derive(Debug)]
struct NetVlad {
    clusters: usize,
    assignment: Linear,
    centroids: Vec<f32>,
    reduction: Linear,
    norm: Norm,
}

/// Intermediate values of [`Coarse::stages`], all row-major; a stage of a module that is switched off is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CoarseStages {
    /// Attention weights `[T][R]`.
    pub attention: Vec<f32>,
    /// Frame vectors after region pooling `[T][D]`.
    pub pooled: Vec<f32>,
    /// Frame vectors after the transformer `[T][D]`.
    pub transformer: Vec<f32>,
    /// Soft assignment of frames to clusters `[T][K]`.
    pub soft_assign: Vec<f32>,
    /// Residual sums a cluster `[K][D]`.
    pub vlad_raw: Vec<f32>,
    /// The same normalised a cluster, then as a whole `[K*D]`.
    pub vlad_norm: Vec<f32>,
    /// After the reduction layer.
    pub reduced: Vec<f32>,
    /// After the last LayerNorm.
    pub layer_norm: Vec<f32>,
    /// The video vector, of unit length.
    pub out: Vec<f32>,
}

/// The coarse student with its weights.
#[derive(Debug)]
pub struct Coarse {
    config: CoarseConfig,
    attention: Option<RegionAttention>,
    transformer: Option<Transformer>,
    netvlad: Option<NetVlad>,
}

impl Coarse {
    /// Builds the network from its weights.
    ///
    /// # Errors
    /// Missing, misshapen or damaged tensors; heads that do not divide the dimensions.
    pub fn new(isa: Isa, config: CoarseConfig, state: &StateDict) -> Result<Self, WeightsError> {
        let refuse = |reason: String| WeightsError::Config { network: state.label.clone(), reason };
        let d = config.dims;
        if d == 0 {
            return Err(refuse("dims must be at least 1".into()));
        }
        config.regions.map_or(Ok(()), check_range).map_err(&refuse)?;
        let kind = if config.attention { Attention::H } else { Attention::None };
        let attention = RegionAttention::new(isa, kind, d, state)?;
        let transformer = config
            .transformer
            .map(|t| {
                if t.heads == 0 || !d.is_multiple_of(t.heads) {
                    return Err(refuse(format!("{} heads do not divide {d} dimensions", t.heads)));
                }
                let layers = (0..t.layers).map(|i| EncoderLayer::new(isa, state, i, d, t)).collect::<Result<_, _>>()?;
                Ok(Transformer { layers, norm: Norm::new(state, "transformer.norm", d)? })
            })
            .transpose()?;
        let netvlad = config
            .netvlad
            .map(|NetVladConfig { clusters, output }| {
                let flat = clusters.checked_mul(d).ok_or_else(|| refuse("clusters * dims overflow".into()))?;
                let conv = state.get("netvlad.conv.weight", &[clusters, d, 1, 1])?;
                Ok(NetVlad {
                    clusters,
                    assignment: Linear { weight: Packed::from_rows(isa, conv, clusters, d), bias: None },
                    centroids: state.get("netvlad.centroids", &[clusters, d])?.to_vec(),
                    reduction: Linear::new(isa, state, "netvlad.reduction_layer.weight", None, [output, flat])?,
                    norm: Norm::new(state, "netvlad.norm", output)?,
                })
            })
            .transpose()?;
        Ok(Self { config, attention, transformer, netvlad })
    }

    /// Sizes of the network.
    #[must_use]
    pub const fn config(&self) -> &CoarseConfig {
        &self.config
    }

    /// The video vector of a video tensor [T, R, D], T >= 1: [`CoarseConfig::output`] values of unit length.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn index(&self, video: ArrayView3<'_, f32>) -> Result<Vec<f32>, InputError> {
        Ok(self.stages(video)?.out)
    }

    /// All intermediate values on the way to the video vector.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn stages(&self, video: ArrayView3<'_, f32>) -> Result<CoarseStages, InputError> {
        let mut stages = CoarseStages::default();
        stages.pooled = self.pool_with(video, |weights| stages.attention.extend(weights))?;
        self.after_pooling(&mut stages);
        Ok(stages)
    }

    /// The frame vectors `[T][D]` of a video tensor [T, R, D]: all that the network keeps of its frames. Those of parts of a
    /// video, one after the other, are those of the video.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn pool(&self, video: ArrayView3<'_, f32>) -> Result<Vec<f32>, InputError> {
        self.pool_with(video, |_| ())
    }

    /// The video vector of frame vectors `[T][D]`, as [`Coarse::pool`] makes them.
    ///
    /// # Errors
    /// [`InputError`] for no frames or vectors of another length.
    pub fn of_pooled(&self, pooled: Vec<f32>) -> Result<Vec<f32>, InputError> {
        if pooled.is_empty() {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        if !pooled.len().is_multiple_of(self.config.dims) {
            return Err(InputError::Dims { expected: self.config.dims, found: pooled.len() % self.config.dims });
        }
        let mut stages = CoarseStages { pooled, ..CoarseStages::default() };
        self.after_pooling(&mut stages);
        Ok(stages.out)
    }

    /// [`Coarse::pool`]; `attention` is given each frame's weights [R], if the network has attention.
    fn pool_with(
        &self,
        video: ArrayView3<'_, f32>,
        mut attention: impl FnMut(Vec<f32>),
    ) -> Result<Vec<f32>, InputError> {
        let (frames, regions, dims) = video.dim();
        if frames == 0 || regions == 0 {
            return Err(InputError::Empty { frames, regions });
        }
        if dims != self.config.dims {
            return Err(InputError::Dims { expected: self.config.dims, found: dims });
        }
        let range = regions_of(self.config.regions, regions)?;
        let (regions, video) = (range.len(), video.slice_move(s![.., range, ..]));
        let mut all = vec![0f32; frames * dims];
        for (frame, pooled) in video.outer_iter().zip(all.chunks_exact_mut(dims)) {
            let frame = frame.as_standard_layout();
            let x = frame.as_slice().unwrap_or_default();
            let weights = self.attention.as_ref().map_or_else(|| vec![1.0; regions], |a| a.weights(x));
            for (region, w) in x.chunks_exact(dims).zip(&weights) {
                pooled.iter_mut().zip(region).for_each(|(p, v)| *p += w * v);
            }
            if self.attention.is_some() {
                attention(weights);
            }
        }
        normalise_rows(&mut all, dims);
        Ok(all)
    }

    /// Transformer, NetVLAD and what follows, from `stages.pooled`.
    fn after_pooling(&self, stages: &mut CoarseStages) {
        let dims = self.config.dims;
        let mut x = stages.pooled.clone();
        if let Some(transformer) = &self.transformer {
            transformer.layers.iter().for_each(|layer| layer.forward(&mut x));
            transformer.norm.apply(&mut x);
            stages.transformer.clone_from(&x);
        }
        if let Some(vlad) = &self.netvlad {
            vlad.forward(&x, dims, stages);
        } else {
            let mut mean = vec![0f32; dims];
            for row in x.chunks_exact(dims) {
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
            }
            normalise_rows(&mut mean, dims);
            stages.out = mean;
        }
    }
}

impl NetVlad {
    /// `V_k = sum_t a_tk (x_t - c_k)`, `nrm` a cluster, flatten, `nrm`, reduce, LayerNorm, `nrm`.
    fn forward(&self, x: &[f32], dims: usize, stages: &mut CoarseStages) {
        let k = self.clusters;
        let frames = x.len() / dims;
        let mut assign = self.assignment.forward(x);
        softmax(&mut assign, k);
        let mut transposed = vec![0f32; k * frames];
        let mut mass = vec![0f32; k];
        for (t, row) in assign.chunks_exact(k).enumerate() {
            for (c, a) in row.iter().enumerate() {
                transposed[c * frames + t] = *a;
                mass[c] += a;
            }
        }
        let mut vlad = vec![0f32; k * dims];
        let packed = Packed::from_columns(self.assignment.weight.isa(), x, frames, dims);
        gemm::matmul(&transposed, k, &packed, &mut vlad);
        for ((row, centroid), mass) in vlad.chunks_exact_mut(dims).zip(self.centroids.chunks_exact(dims)).zip(&mass) {
            row.iter_mut().zip(centroid).for_each(|(v, c)| *v -= mass * c);
        }
        stages.soft_assign = assign;
        stages.vlad_raw.clone_from(&vlad);
        normalise_rows(&mut vlad, dims);
        normalise_rows(&mut vlad, k * dims);
        let mut out = self.reduction.forward(&vlad);
        stages.vlad_norm = vlad;
        stages.reduced.clone_from(&out);
        self.norm.apply(&mut out);
        stages.layer_norm.clone_from(&out);
        let width = out.len();
        normalise_rows(&mut out, width);
        stages.out = out;
    }
}
