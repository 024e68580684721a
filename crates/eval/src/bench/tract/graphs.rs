//! Networks as tract-core graphs: what the kernels are measured against.

use tract_core::internal::*;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::nn::{DataFormat, Reduce, Reducer, Softmax, SoftmaxKind};
use vidsieve_model::config::CoarseConfig;
use vidsieve_model::weights::StateDict;

use super::super::BenchError;
use super::super::network::Network;

/// An optimised graph of one input and one output.
pub(in super::super) struct Graph {
    model: Arc<TypedRunnableModel>,
    shape: TVec<usize>,
}

impl Graph {
    fn new(model: TypedModel, shape: &[usize]) -> TractResult<Self> {
        Ok(Self { model: model.into_optimized()?.into_runnable()?, shape: shape.into() })
    }

    /// The output for one input.
    pub(in super::super) fn run(&self, x: &[f32]) -> Result<Vec<f32>, BenchError> {
        let run = || -> TractResult<Vec<f32>> {
            let out = self.model.run(tvec!(Tensor::from_shape(&self.shape, x)?.into()))?;
            Ok(out[0].to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        run().map_err(BenchError::contestant)
    }
}

fn pool_spec(kernel: usize, pad: usize, stride: usize, channels: (usize, usize)) -> PoolSpec {
    PoolSpec::new(
        DataFormat::NCHW,
        tvec!(kernel, kernel),
        PaddingSpec::Explicit(tvec!(pad, pad), tvec!(pad, pad)),
        None,
        Some(tvec!(stride, stride)),
        channels.0,
        channels.1,
    )
}

/// The comparator over one [1, 1, h, w] map, optimised by tract.
pub(super) fn comparator(network: &Network, h: usize, w: usize) -> TractResult<Graph> {
    let mut model = TypedModel::default();
    let mut x = model.add_source("map", f32::fact([1, 1, h, w]))?;
    let zero = model.add_const("zero", tensor0(0f32).broadcast_into_rank(4)?)?;
    for (i, (weight, bias)) in network.conv.iter().enumerate() {
        let (ci, co) = (Network::CHANNELS[i], Network::CHANNELS[i + 1]);
        let weight = model.add_const(format!("w{i}"), Tensor::from_shape(&[co, ci, 3, 3], weight)?)?;
        let bias = model.add_const(format!("b{i}"), Tensor::from_shape(&[co], bias)?)?;
        let conv = Conv::new(pool_spec(3, 1, 1, (ci, co)), KernelFormat::OIHW, 1, None);
        x = model.wire_node(format!("conv{i}"), conv, &[x, weight, bias])?[0];
        x = model.wire_node(format!("relu{i}"), tract_core::ops::math::max(), &[x, zero])?[0];
        if i < 2 {
            x = model.wire_node(
                format!("pool{i}"),
                MaxPool { pool_spec: pool_spec(2, 0, 2, (co, co)), with_index_outputs: None },
                &[x],
            )?[0];
        }
    }
    let weight = model.add_const("fw", Tensor::from_shape(&[1, Network::CHANNELS[3], 1, 1], &network.fconv)?)?;
    let bias = model.add_const("fb", Tensor::from_shape(&[1], &[network.fbias])?)?;
    let conv = Conv::new(pool_spec(1, 0, 1, (Network::CHANNELS[3], 1)), KernelFormat::OIHW, 1, None);
    x = model.wire_node("fconv", conv, &[x, weight, bias])?[0];
    model.select_output_outlets(&[x])?;
    Graph::new(model, &[1, 1, h, w])
}

/// A graph under construction.
struct Builder<'a> {
    model: TypedModel,
    state: &'a StateDict,
    count: usize,
}

impl Builder<'_> {
    fn node(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> TractResult<OutletId> {
        self.count += 1;
        Ok(self.model.wire_node(format!("n{}", self.count), op, inputs)?[0])
    }

    fn constant(&mut self, shape: &[usize], values: &[f32]) -> TractResult<OutletId> {
        self.count += 1;
        self.model.add_const(format!("c{}", self.count), Tensor::from_shape(shape, values)?)
    }

    /// A stored tensor, reshaped.
    fn weight(&mut self, name: &str, shape: &[usize]) -> TractResult<OutletId> {
        let stored = self.state.shape(name)?.to_vec();
        let values = self.state.get(name, &stored)?.to_vec();
        self.constant(shape, &values)
    }

    fn scale(&mut self, x: OutletId, factor: f32) -> TractResult<OutletId> {
        let rank = self.model.outlet_fact(x)?.rank();
        let factor = self.constant(&vec![1; rank], &[factor])?;
        self.node(tract_core::ops::math::mul(), &[x, factor])
    }

    fn einsum(&mut self, expression: &str, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.node(EinSum::new(expression.parse()?, f32::datum_type()), &[a, b])
    }

    /// `x W^T + b`, x [m, k], W [n, k].
    fn linear(&mut self, x: OutletId, weight: &str, bias: Option<&str>) -> TractResult<OutletId> {
        let shape = self.state.shape(weight)?.to_vec();
        let (n, k) = (shape[0], shape[1]);
        let w = self.weight(weight, &[n, k])?;
        let y = self.einsum("mk,nk->mn", x, w)?;
        let Some(bias) = bias else { return Ok(y) };
        let b = self.weight(bias, &[1, n])?;
        self.node(tract_core::ops::math::add(), &[y, b])
    }

    fn reshape(&mut self, x: OutletId, from: &[usize], to: &[usize]) -> TractResult<OutletId> {
        let dims = |s: &[usize]| s.iter().map(|d| d.to_dim()).collect::<TVec<TDim>>();
        self.node(AxisOp::Reshape(0, dims(from), dims(to)), &[x])
    }

    fn sum(&mut self, x: OutletId, axis: usize) -> TractResult<OutletId> {
        self.node(Reduce::new(tvec!(axis), Reducer::Sum), &[x])
    }

    /// Rows of a matrix to unit length.
    fn normalise(&mut self, x: OutletId) -> TractResult<OutletId> {
        let squares = self.node(tract_core::ops::math::square(), &[x])?;
        let sum = self.sum(squares, 1)?;
        let inverse = self.node(tract_core::ops::math::rsqrt(), &[sum])?;
        self.node(tract_core::ops::math::mul(), &[x, inverse])
    }

    /// LayerNorm of the rows of a matrix of `n` columns.
    #[allow(clippy::cast_precision_loss)]
    fn norm(&mut self, x: OutletId, name: &str, n: usize) -> TractResult<OutletId> {
        let sum = self.sum(x, 1)?;
        let mean = self.scale(sum, 1.0 / n as f32)?;
        let centred = self.node(tract_core::ops::math::sub(), &[x, mean])?;
        let squares = self.node(tract_core::ops::math::square(), &[centred])?;
        let sum = self.sum(squares, 1)?;
        let variance = self.scale(sum, 1.0 / n as f32)?;
        let eps = self.constant(&[1, 1], &[1e-5])?;
        let variance = self.node(tract_core::ops::math::add(), &[variance, eps])?;
        let inverse = self.node(tract_core::ops::math::rsqrt(), &[variance])?;
        let x = self.node(tract_core::ops::math::mul(), &[centred, inverse])?;
        let weight = self.weight(&format!("{name}.weight"), &[1, n])?;
        let bias = self.weight(&format!("{name}.bias"), &[1, n])?;
        let x = self.node(tract_core::ops::math::mul(), &[x, weight])?;
        self.node(tract_core::ops::math::add(), &[x, bias])
    }

    fn softmax(&mut self, x: OutletId, axis: usize) -> TractResult<OutletId> {
        self.node(Softmax { axes: tvec!(axis), quant_output_dt: None, kind: SoftmaxKind::Softmax }, &[x])
    }
}

/// S^c with one transformer layer over region vectors [frames * regions, D] of a fixed number of frames.
#[allow(clippy::cast_precision_loss)]
pub(super) fn coarse(state: &StateDict, config: &CoarseConfig, frames: usize, regions: usize) -> TractResult<Graph> {
    let d = config.dims;
    let transformer = config.transformer.context("the benchmark's network has a transformer")?;
    let vlad = config.netvlad.context("the benchmark's network has NetVLAD")?;
    let (heads, clusters) = (transformer.heads, vlad.clusters);
    let size = d / heads;
    let (add, mul) = (tract_core::ops::math::add, tract_core::ops::math::mul);
    let mut g = Builder { model: TypedModel::default(), state, count: 0 };
    let x = g.model.add_source("regions", f32::fact([frames * regions, d]))?;
    let h = g.linear(x, "attention.transform.weight", Some("attention.transform.bias"))?;
    let h = g.node(tract_core::ops::math::tanh(), &[h])?;
    let a = g.linear(h, "attention.context_vector.weight", None)?;
    let a = g.node(tract_core::ops::nn::sigmoid(), &[a])?;
    let x = g.node(mul(), &[x, a])?;
    let x = g.reshape(x, &[frames * regions, d], &[frames, regions, d])?;
    let x = g.sum(x, 1)?;
    let x = g.reshape(x, &[frames, 1, d], &[frames, d])?;
    let x = g.normalise(x)?;

    let p = "transformer.layers.0.";
    let qkv = g.linear(x, &format!("{p}self_attn.in_proj_weight"), Some(&format!("{p}self_attn.in_proj_bias")))?;
    let mut parts = Vec::new();
    for i in 0..3 {
        let part = g.node(tract_core::ops::array::Slice::new(1, i * d, (i + 1) * d), &[qkv])?;
        parts.push(g.reshape(part, &[frames, d], &[frames, heads, size])?);
    }
    let q = g.scale(parts[0], 1.0 / (size as f32).sqrt())?;
    let scores = g.einsum("thd,shd->hts", q, parts[1])?;
    let scores = g.softmax(scores, 2)?;
    let mixed = g.einsum("hts,shd->thd", scores, parts[2])?;
    let mixed = g.reshape(mixed, &[frames, heads, size], &[frames, d])?;
    let y = g.linear(mixed, &format!("{p}self_attn.out_proj.weight"), Some(&format!("{p}self_attn.out_proj.bias")))?;
    let x = g.node(add(), &[x, y])?;
    let x = g.norm(x, &format!("{p}norm1"), d)?;
    let y = g.linear(x, &format!("{p}linear1.weight"), Some(&format!("{p}linear1.bias")))?;
    let zero = g.constant(&[1, 1], &[0.0])?;
    let y = g.node(tract_core::ops::math::max(), &[y, zero])?;
    let y = g.linear(y, &format!("{p}linear2.weight"), Some(&format!("{p}linear2.bias")))?;
    let x = g.node(add(), &[x, y])?;
    let x = g.norm(x, &format!("{p}norm2"), d)?;
    let x = g.norm(x, "transformer.norm", d)?;

    let conv = g.weight("netvlad.conv.weight", &[clusters, d])?;
    let assign = g.einsum("mk,nk->mn", x, conv)?;
    let assign = g.softmax(assign, 1)?;
    let sums = g.einsum("tk,td->kd", assign, x)?;
    let mass = g.sum(assign, 0)?;
    let mass = g.reshape(mass, &[1, clusters], &[clusters, 1])?;
    let centroids = g.weight("netvlad.centroids", &[clusters, d])?;
    let centres = g.node(mul(), &[centroids, mass])?;
    let v = g.node(tract_core::ops::math::sub(), &[sums, centres])?;
    let v = g.normalise(v)?;
    let v = g.reshape(v, &[clusters, d], &[1, clusters * d])?;
    let v = g.normalise(v)?;
    let v = g.linear(v, "netvlad.reduction_layer.weight", None)?;
    let v = g.norm(v, "netvlad.norm", vlad.output)?;
    let v = g.normalise(v)?;
    g.model.select_output_outlets(&[v])?;
    Graph::new(g.model, &[frames * regions, d])
}
