//! Trainable tensors by name, their place in a burn graph, and Adam over them.
//!
//! Parameters live as plain values under upstream's names, so that a checkpoint, a [`StateDict`] and a bundle hold the same
//! thing. A step makes burn leaves of them ([`Leaves`]), takes the gradients back by name, and [`Adam`] updates the values:
//! the whole state of a training run is two maps and a step counter.

use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use vidsieve_model::weights::{StateDict, WeightTensor, WeightsError};

use crate::TrainError;

/// Trainable tensors and buffers of one network, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    tensors: BTreeMap<String, WeightTensor>,
}

impl Parameters {
    /// No tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all tensors of a state dict.
    #[must_use]
    pub fn from_state(state: &StateDict) -> Self {
        Self { tensors: state.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect() }
    }

    /// The tensors as a state dict that networks are built from; `label` precedes names in messages.
    ///
    /// # Errors
    /// A tensor whose shape does not fit its values; not for tensors that came through [`Parameters::insert`].
    pub fn to_state(&self, label: &str) -> Result<StateDict, WeightsError> {
        let mut state = StateDict::new(label);
        for (name, tensor) in &self.tensors {
            state.insert(name.clone(), tensor.shape.clone(), tensor.data.clone())?;
        }
        Ok(state)
    }

    /// Adds or replaces a tensor.
    ///
    /// # Panics
    /// When `data` does not have as many values as `shape` says.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], data: Vec<f32>) {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "values of a tensor");
        self.tensors.insert(name.into(), WeightTensor { shape: shape.to_vec(), data });
    }

    /// Whether a tensor of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Values of a tensor, if it is there.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(|t| t.data.as_slice())
    }

    /// Values of a tensor to be changed in place, if it is there.
    pub fn values_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        self.tensors.get_mut(name).map(|t| t.data.as_mut_slice())
    }

    /// All tensors in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of values in all tensors.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tensors.values().map(|t| t.data.len()).sum()
    }
}

/// Gradients by name, as long as the values of the tensor.
pub type NamedGradients = BTreeMap<String, Vec<f32>>;

/// The parameters of a network as leaves of one burn graph. A leaf is flat; [`Leaves::get`] gives it its shape.
#[derive(Debug)]
pub struct Leaves {
    device: Device,
    leaves: BTreeMap<String, (Tensor<1>, Vec<usize>)>,
}

impl Leaves {
    /// Leaves on `device` (with autodiff) for the tensors that `trainable` accepts; the others become constants.
    pub fn new(parameters: &Parameters, device: &Device, trainable: impl Fn(&str) -> bool) -> Self {
        let leaves = parameters
            .iter()
            .map(|(name, tensor)| {
                let leaf = Tensor::<1>::from_data(TensorData::new(tensor.data.clone(), [tensor.data.len()]), device);
                let leaf = if trainable(name) { leaf.require_grad() } else { leaf };
                (name.to_owned(), (leaf, tensor.shape.clone()))
            })
            .collect();
        Self { device: device.clone(), leaves }
    }

    /// The device of all leaves.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// A tensor in its own shape.
    ///
    /// # Errors
    /// [`TrainError::Network`] for a name that is not there or another rank than `D`.
    pub fn get<const D: usize>(&self, name: &str) -> Result<Tensor<D>, TrainError> {
        let (leaf, shape) = self
            .leaves
            .get(name)
            .ok_or_else(|| TrainError::Network(format!("tensor `{name}` is missing from the network's parameters")))?;
        let dims: [usize; D] = shape.as_slice().try_into().map_err(|_| {
            TrainError::Network(format!("tensor `{name}` has shape {shape:?}, {D} dimensions are needed"))
        })?;
        Ok(leaf.clone().reshape(dims))
    }

    /// Whether a tensor of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.leaves.contains_key(name)
    }

    /// Gradients of the trainable leaves after `backward`; a leaf that the loss does not depend on is left out.
    ///
    /// # Errors
    /// [`TrainError::Network`] when values cannot be read back from the device.
    pub fn gradients(&self, gradients: &Gradients) -> Result<NamedGradients, TrainError> {
        let mut named = BTreeMap::new();
        for (name, (leaf, _)) in &self.leaves {
            if let Some(gradient) = leaf.grad(gradients) {
                named.insert(name.clone(), values(gradient)?);
            }
        }
        Ok(named)
    }
}

/// The values of a tensor, row-major.
///
/// # Errors
/// [`TrainError::Network`] when they cannot be read back from the device.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as::<f32>().map_err(|e| TrainError::Network(format!("a tensor cannot be read back: {e:?}")))
}

/// The value of a tensor of one value; 0 of an empty one.
///
/// # Errors
/// As [`values`].
pub fn scalar<const D: usize>(tensor: Tensor<D>) -> Result<f64, TrainError> {
    Ok(values(tensor)?.first().copied().map_or(0.0, f64::from))
}

/// Adam (Kingma & Ba) with optional decoupled weight decay, over parameters by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay (AdamW) of tensors with two dimensions or more, 0 for plain Adam.
    pub weight_decay: f32,
    step: u64,
    moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 0, moments: BTreeMap::new() }
    }
}

impl Adam {
    /// Updates made so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.step
    }

    /// One update of every parameter that has a gradient, at learning rate `lr`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] for a gradient that is not finite; nothing is changed then.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &NamedGradients, lr: f32) -> Result<(), TrainError> {
        for (name, gradient) in gradients {
            if gradient.iter().any(|g| !g.is_finite()) {
                return Err(TrainError::Diverged(format!(
                    "the gradient of `{name}` is not finite at step {}",
                    self.step
                )));
            }
        }
        self.step += 1;
        let correct1 = 1.0 - f64::from(self.beta1).powf(self.step as f64);
        let correct2 = 1.0 - f64::from(self.beta2).powf(self.step as f64);
        let (rate, root) = ((f64::from(lr) / correct1) as f32, correct2.sqrt() as f32);
        for (name, gradient) in gradients {
            let Some(tensor) = parameters.tensors.get_mut(name) else { continue };
            let decay = if tensor.shape.len() > 1 { lr * self.weight_decay } else { 0.0 };
            let [first, second] = self
                .moments
                .entry(name.clone())
                .or_insert_with(|| [vec![0.0; gradient.len()], vec![0.0; gradient.len()]]);
            for (((value, &g), m), v) in tensor.data.iter_mut().zip(gradient).zip(first).zip(second) {
                *m += (1.0 - self.beta1) * (g - *m);
                *v += (1.0 - self.beta2) * (g * g - *v);
                *value -= decay * *value;
                *value -= rate * *m / (v.sqrt() / root + self.epsilon);
            }
        }
        Ok(())
    }

    /// Step counter and moments as tensors, to be kept in a checkpoint.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn state(&self) -> Parameters {
        let mut state = Parameters::new();
        // Two 24-bit halves: exact in f32.
        state.insert("step", &[2], vec![(self.step >> 24) as f32, (self.step & 0xff_ffff) as f32]);
        for (name, [first, second]) in &self.moments {
            state.insert(format!("first.{name}"), &[first.len()], first.clone());
            state.insert(format!("second.{name}"), &[second.len()], second.clone());
        }
        state
    }

    /// Takes back what [`Adam::state`] gave; the rates stay.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn restore(&mut self, state: &Parameters) {
        self.moments.clear();
        if let Some([high, low]) = state.values("step") {
            self.step = ((*high as u64) << 24) | (*low as u64);
        }
        for (name, tensor) in state.iter() {
            if let Some(name) = name.strip_prefix("first.")
                && let Some(second) = state.values(&format!("second.{name}"))
            {
                self.moments.insert(name.to_owned(), [tensor.data.clone(), second.to_vec()]);
            }
        }
    }
}
