//! Runs a plan with tract: a typed model with the taps as outputs, compiled once for each size of frames.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array4, ArrayView4};
use tract_core::internal::bail;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec};
use tract_core::ops::math;
use tract_core::ops::nn::DataFormat;
use tract_core::prelude::*;

use super::BackboneError;
use super::plan::{Plan, Step};
use crate::weights::StateDict;

/// Sizes of frames whose compiled models are kept.
const KEPT: usize = 4;

type Model = Arc<TypedRunnableModel>;

pub(super) struct Tract {
    plan: Plan,
    /// Weight and bias of every convolution of the plan, in its order.
    weights: Vec<(Arc<Tensor>, Arc<Tensor>)>,
    /// By height and width, the one used last at the end.
    compiled: Mutex<Vec<((usize, usize), Model)>>,
}

fn failed(error: impl std::fmt::Display) -> BackboneError {
    BackboneError::Engine(format!("{error:#}"))
}

impl Tract {
    /// An engine for a plan with folded weights.
    pub(super) fn new(plan: Plan, folded: &StateDict) -> Result<Self, BackboneError> {
        let mut weights = vec![];
        for conv in plan.convs() {
            let tensor = |part: &str, shape: &[usize]| -> Result<Arc<Tensor>, BackboneError> {
                let values = folded.get(&format!("{}.{part}", conv.name), shape)?;
                Ok(Tensor::from_shape(shape, values).map_err(failed)?.into_arc_tensor())
            };
            weights.push((tensor("weight", &conv.shape())?, tensor("bias", &[conv.outputs])?));
        }
        Ok(Self { plan, weights, compiled: Mutex::default() })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn compile(&self, height: usize, width: usize) -> TractResult<Model> {
        let mut model = TypedModel::default();
        let mut values = vec![model.add_source("frames", f32::fact([1, 3, height, width]))?];
        let zero = model.add_const("zero", Tensor::from_shape(&[1, 1, 1, 1], &[0f32])?)?;
        let mut weights = self.weights.iter();
        for (index, step) in self.plan.steps.iter().enumerate() {
            let spec = |kernel: usize, stride: usize, inputs: usize, outputs: usize| {
                let pad = tvec!(kernel / 2, kernel / 2);
                let padding = PaddingSpec::Explicit(pad.clone(), pad);
                let (kernel, stride) = (tvec!(kernel, kernel), tvec!(stride, stride));
                PoolSpec::new(DataFormat::NCHW, kernel, padding, None, Some(stride), inputs, outputs)
            };
            let value = match step {
                Step::MaxPool { input, channels, kernel, stride } => {
                    let pool = MaxPool::new(spec(*kernel, *stride, *channels, *channels), None);
                    model.wire_node(format!("pool{index}"), pool, &[values[*input]])?[0]
                }
                Step::Conv(conv) => {
                    let Some((weight, bias)) = weights.next() else { bail!("{} has no weights", conv.name) };
                    let weight = model.add_const(format!("{}.weight", conv.name), weight.clone())?;
                    let bias = model.add_const(format!("{}.bias", conv.name), bias.clone())?;
                    let spec = spec(conv.kernel, conv.stride, conv.inputs, conv.outputs);
                    let op = Conv::new(spec, KernelFormat::OIHW, 1, None);
                    let mut value = model.wire_node(&conv.name, op, &[values[conv.input], weight, bias])?[0];
                    if let Some(residual) = conv.residual {
                        let name = format!("{}.add", conv.name);
                        value = model.wire_node(name, math::add(), &[value, values[residual]])?[0];
                    }
                    if conv.relu {
                        value = model.wire_node(format!("{}.relu", conv.name), math::max(), &[value, zero])?[0];
                    }
                    value
                }
            };
            values.push(value);
        }
        let taps: Vec<_> = self.plan.taps.iter().map(|&tap| values[tap]).collect();
        model.select_output_outlets(&taps)?;
        model.into_optimized()?.into_runnable()
    }

    fn model(&self, height: usize, width: usize) -> Result<Model, BackboneError> {
        // A poisoned list is still whole: a model is pushed only when it is ready.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let model = match compiled.iter().position(|(size, _)| *size == (height, width)) {
            Some(at) => compiled.remove(at).1,
            None => self.compile(height, width).map_err(failed)?,
        };
        compiled.push(((height, width), model.clone()));
        if compiled.len() > KEPT {
            compiled.remove(0);
        }
        Ok(model)
    }

    pub(super) fn run(&self, frames: ArrayView4<'_, f32>) -> Result<Vec<Array4<f32>>, BackboneError> {
        let (n, channels, height, width) = frames.dim();
        let model = self.model(height, width)?;
        let sizes = self.plan.tap_sizes(height, width);
        let shapes: Vec<_> = self.plan.tap_channels().into_iter().zip(sizes).collect();
        let mut taps: Vec<Vec<f32>> = shapes.iter().map(|(c, (h, w))| Vec::with_capacity(n * c * h * w)).collect();
        for frame in frames.outer_iter() {
            let frame = frame.as_standard_layout();
            let values = frame.as_slice().unwrap_or_default();
            let input = Tensor::from_shape(&[1, channels, height, width], values).map_err(failed)?;
            let outputs = model.run(tvec!(input.into())).map_err(failed)?;
            for (tap, output) in taps.iter_mut().zip(outputs) {
                tap.extend(output.to_plain_array_view::<f32>().map_err(failed)?.iter());
            }
        }
        let arrays = taps.into_iter().zip(shapes).map(|(tap, (c, (h, w)))| Array4::from_shape_vec((n, c, h, w), tap));
        arrays.collect::<Result<_, _>>().map_err(failed)
    }
}
