//! A backbone as a list of steps, and the folding of batch normalisation.

use super::{BackboneConfig, BackboneError};
use crate::weights::{StateDict, WeightsError};

/// PyTorch's default, which all networks here were trained with.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// More steps than any sensible network has.
const MAX_STEPS: usize = 4096;

/// Where a step reads: 0 is the frame, `i + 1` the output of step i.
pub(super) type Value = usize;

/// A convolution with square kernel, bias, optional addition and ReLU: `relu(conv(input) + residual)`.
#[derive(Debug)]
pub(super) struct Conv {
    /// Name of the convolution's tensors, without `.weight`.
    pub(super) name: String,
    /// Name of its batch normalisation.
    norm: String,
    pub(super) input: Value,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Kernel k; padding is `k / 2`.
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) residual: Option<Value>,
    pub(super) relu: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    Conv(Conv),
    /// Max-pooling with padding `kernel / 2`, which never wins.
    MaxPool {
        input: Value,
        channels: usize,
        kernel: usize,
        stride: usize,
    },
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) taps: Vec<Value>,
}

impl Step {
    fn channels(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.outputs,
            Self::MaxPool { channels, .. } => *channels,
        }
    }

    /// Input, kernel and stride.
    fn window(&self) -> (Value, usize, usize) {
        match self {
            Self::Conv(conv) => (conv.input, conv.kernel, conv.stride),
            Self::MaxPool { input, kernel, stride, .. } => (*input, *kernel, *stride),
        }
    }
}

impl Plan {
    pub(super) fn new(config: &BackboneConfig) -> Result<Self, BackboneError> {
        let mut plan = Self { steps: vec![], taps: vec![] };
        let zero = |what: &str| Err(BackboneError::Config(format!("{what} must be positive")));
        let too_wide = || BackboneError::Config("the channels of a stage overflow".into());
        match config {
            BackboneConfig::Resnet(c) => {
                if c.stem == 0 || c.width == 0 || c.expansion == 0 || c.blocks.is_empty() || c.blocks.contains(&0) {
                    return zero("`stem`, `width`, `expansion`, the number of stages and of blocks a stage");
                }
                plan.conv(("conv1", "bn1"), 0, 7, 2, c.stem, None, true)?;
                plan.steps.push(Step::MaxPool { input: 1, channels: c.stem, kernel: 3, stride: 2 });
                let mut input = 2;
                let mut width = c.width;
                for (stage, &blocks) in c.blocks.iter().enumerate() {
                    let outputs = width.checked_mul(c.expansion).ok_or_else(too_wide)?;
                    for block in 0..blocks {
                        let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
                        let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                        let a = plan.conv((&name("conv1"), &name("bn1")), input, 1, 1, width, None, true)?;
                        let b = plan.conv((&name("conv2"), &name("bn2")), a, 3, stride, width, None, true)?;
                        let shortcut = if stride != 1 || plan.channels(input) != outputs {
                            let names = (&*name("downsample.0"), &*name("downsample.1"));
                            plan.conv(names, input, 1, stride, outputs, None, false)?
                        } else {
                            input
                        };
                        input = plan.conv((&name("conv3"), &name("bn3")), b, 1, 1, outputs, Some(shortcut), true)?;
                    }
                    plan.taps.push(input);
                    width = width.checked_mul(2).ok_or_else(too_wide)?;
                }
            }
            BackboneConfig::Plain(c) => {
                if c.stem == 0 || c.stages.is_empty() || c.stages.contains(&0) {
                    return zero("`stem`, the number of stages and their channels");
                }
                let mut input = plan.conv(("stem", "stem_bn"), 0, 3, 2, c.stem, None, true)?;
                for (stage, &outputs) in c.stages.iter().enumerate() {
                    let name = |part: &str| format!("stage{}.{part}", stage + 1);
                    let a = plan.conv((&name("conv1"), &name("bn1")), input, 3, 2, outputs, None, true)?;
                    let shortcut = if c.residual {
                        let names = (&*name("shortcut"), &*name("shortcut_bn"));
                        Some(plan.conv(names, input, 1, 2, outputs, None, false)?)
                    } else {
                        None
                    };
                    input = plan.conv((&name("conv2"), &name("bn2")), a, 3, 1, outputs, shortcut, true)?;
                    plan.taps.push(input);
                }
            }
        }
        Ok(plan)
    }

    #[allow(clippy::too_many_arguments)]
    fn conv(
        &mut self,
        (name, norm): (&str, &str),
        input: Value,
        kernel: usize,
        stride: usize,
        outputs: usize,
        residual: Option<Value>,
        relu: bool,
    ) -> Result<Value, BackboneError> {
        if self.steps.len() >= MAX_STEPS {
            return Err(BackboneError::Config(format!("more than {MAX_STEPS} layers")));
        }
        let (name, norm, inputs) = (name.to_owned(), norm.to_owned(), self.channels(input));
        self.steps.push(Step::Conv(Conv { name, norm, input, inputs, outputs, kernel, stride, residual, relu }));
        Ok(self.steps.len())
    }

    fn channels(&self, value: Value) -> usize {
        if value == 0 { 3 } else { self.steps[value - 1].channels() }
    }

    pub(super) fn convs(&self) -> impl Iterator<Item = &Conv> {
        self.steps.iter().filter_map(|step| match step {
            Step::Conv(conv) => Some(conv),
            Step::MaxPool { .. } => None,
        })
    }

    pub(super) fn tap_channels(&self) -> Vec<usize> {
        self.taps.iter().map(|&tap| self.channels(tap)).collect()
    }

    /// Height and width of the frame and of every step's output.
    pub(super) fn sizes(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        let mut sizes = vec![(height, width)];
        for step in &self.steps {
            let (input, kernel, stride) = step.window();
            // Odd kernels only: (n + 2 (k / 2) - k) / stride + 1.
            debug_assert!(kernel % 2 == 1);
            let size = |n: usize| n.div_ceil(stride);
            sizes.push((size(sizes[input].0), size(sizes[input].1)));
        }
        sizes
    }

    pub(super) fn tap_sizes(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        let sizes = self.sizes(height, width);
        self.taps.iter().map(|&tap| sizes[tap]).collect()
    }

    pub(super) fn multiply_adds(&self, height: usize, width: usize) -> u64 {
        let sizes = self.sizes(height, width);
        let steps = self.steps.iter().zip(&sizes[1..]);
        steps
            .map(|(step, &(h, w))| match step {
                Step::Conv(c) => (c.inputs * c.outputs * c.kernel * c.kernel) as u64 * (h * w) as u64,
                Step::MaxPool { .. } => 0,
            })
            .sum()
    }

    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![];
        for conv in self.convs() {
            tensors.push((format!("{}.weight", conv.name), conv.shape().to_vec()));
            for part in ["weight", "bias", "running_mean", "running_var"] {
                tensors.push((format!("{}.{part}", conv.norm), vec![conv.outputs]));
            }
        }
        tensors
    }

    pub(super) fn fold(&self, weights: &StateDict) -> Result<StateDict, BackboneError> {
        let mut folded = StateDict::new(weights.label.clone());
        for conv in self.convs() {
            let (weight, bias) = conv.fold(weights)?;
            folded.insert(format!("{}.weight", conv.name), conv.shape().to_vec(), weight)?;
            folded.insert(format!("{}.bias", conv.name), vec![conv.outputs], bias)?;
        }
        Ok(folded)
    }
}

impl Conv {
    /// [outputs][inputs][kernel][kernel].
    pub(super) fn shape(&self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel, self.kernel]
    }

    /// Weight and bias with the batch normalisation folded in.
    fn fold(&self, weights: &StateDict) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
        let weight = weights.get(&format!("{}.weight", self.name), &self.shape())?;
        let bias = format!("{}.bias", self.name);
        if weights.contains(&bias) {
            return Ok((weight.to_vec(), weights.get(&bias, &[self.outputs])?.to_vec()));
        }
        let norm = |part: &str| weights.get(&format!("{}.{part}", self.norm), &[self.outputs]);
        let (gamma, beta, mean, variance) =
            (norm("weight")?, norm("bias")?, norm("running_mean")?, norm("running_var")?);
        if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
            return Err(WeightsError::Config {
                network: weights.label.clone(),
                reason: format!("`{}.running_var` holds {negative}, a variance is not negative", self.norm),
            });
        }
        let mut folded = Vec::with_capacity(weight.len());
        let mut biases = Vec::with_capacity(self.outputs);
        for (o, kernel) in weight.chunks_exact(self.inputs * self.kernel * self.kernel).enumerate() {
            let scale = f64::from(gamma[o]) / (f64::from(variance[o]) + BATCH_NORM_EPSILON).sqrt();
            folded.extend(kernel.iter().map(|&w| (f64::from(w) * scale) as f32));
            biases.push((f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32);
        }
        Ok((folded, biases))
    }
}
