//! Training of a plain backbone by contrast of edited views, on an engine of its own.
//!
//! The network is run in training mode on matrix products of the project's kernels. Nine windows of half the frame and the
//! whole frame give region vectors (generalised means with p = 3, each tap a unit vector), which a linear head, dropped after
//! training, turns into the unit vectors that the loss compares. Results are the same bits for any number of threads.

mod conv;
mod engine;
mod loss;
mod pool;

use serde::{Deserialize, Serialize};
use vidsieve_kernels::Isa;
use vidsieve_model::backbone::{BackboneConfig, PlainConfig};
use vidsieve_model::weights::StateDict;

pub use loss::{LossConfig, LossParts};

use crate::TrainError;
use crate::checkpoint::{join, part};
use crate::networks::init;
use crate::networks::parameters::{Adam, NamedGradients, Parameters};
use engine::{Engine, Mode};

/// Regions of a view: 3x3 overlapping windows of half its side in row-major order, then the whole frame.
pub const REGIONS: usize = pool::REGIONS;
/// Views of a step, at most.
pub const MAX_VIEWS: usize = 4096;
/// Side of a view, at most.
pub const MAX_SIDE: usize = 1024;
/// What pixels are centred at.
pub const PIXEL_MEAN: f32 = 115.0;
/// What centred pixels are divided by.
pub const PIXEL_DEVIATION: f32 = 58.0;

/// How a backbone is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// The network.
    pub network: PlainConfig,
    /// Values of a region after the training head.
    pub dims: usize,
    /// The loss.
    pub loss: LossConfig,
    /// Largest learning rate.
    pub rate: f32,
    /// Steps over which the rate grows from 0 to `rate`.
    pub warm_up: u64,
    /// Steps in all: the rate falls linearly to its final part at the last of them, and stays there.
    pub steps: u64,
    /// Final rate as a part of `rate`.
    pub final_part: f32,
    /// Decoupled weight decay of convolutions and of the head's matrix.
    pub weight_decay: f32,
    /// Largest norm of the gradient of all parameters together, above which it is scaled down.
    pub clip: Option<f32>,
    /// Decay a step of the moving average of weights and statistics; early on it is lower, (1 + step) / (10 + step).
    pub average: Option<f32>,
    /// Seed of the starting weights.
    pub seed: u64,
}

impl TrainerConfig {
    /// The recipe for the network `tiny` and this many steps.
    #[must_use]
    pub fn tiny(steps: u64, seed: u64) -> Self {
        Self {
            network: PlainConfig { stem: 16, stages: vec![24, 48, 96], residual: true },
            dims: 128,
            loss: LossConfig::default(),
            rate: 2e-3,
            warm_up: 50,
            steps,
            final_part: 0.02,
            weight_decay: 1e-3,
            clip: None,
            average: None,
            seed,
        }
    }

    /// Learning rate of step `step`, from 0.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub fn rate_at(&self, step: u64) -> f32 {
        if step < self.warm_up {
            return (f64::from(self.rate) * (step + 1) as f64 / self.warm_up as f64) as f32;
        }
        let falling = self.steps.saturating_sub(self.warm_up + 1).max(1);
        let done = ((step - self.warm_up) as f64 / falling as f64).min(1.0);
        (f64::from(self.rate) * (1.0 - done * (1.0 - f64::from(self.final_part)))) as f32
    }

    fn validate(&self) -> Result<(), TrainError> {
        BackboneConfig::Plain(self.network.clone()).validate()?;
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let weight = |v: f32| v.is_finite() && v >= 0.0;
        let l = &self.loss;
        let checks = [
            (self.dims > 0, "`dims` must be positive"),
            (positive(l.temperature), "`loss.temperature` must be positive"),
            (
                [l.region, l.global, l.koleo, l.cross].into_iter().all(weight),
                "weights of the loss must not be negative",
            ),
            (positive(self.rate), "`rate` must be positive"),
            ((0.0..=1.0).contains(&self.final_part), "`final_part` must be in [0, 1]"),
            (weight(self.weight_decay), "`weight_decay` must not be negative"),
            (self.clip.is_none_or(positive), "`clip` must be positive"),
            (self.average.is_none_or(|v| (0.0..1.0).contains(&v)), "`average` must be in [0, 1)"),
        ];
        match checks.into_iter().find(|c| !c.0) {
            Some((_, message)) => Err(TrainError::Network(format!("training of the backbone: {message}"))),
            None => Ok(()),
        }
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step's number, from 0.
    pub step: u64,
    /// Learning rate.
    pub rate: f32,
    /// The loss.
    pub loss: LossParts,
    /// Norm of the gradient of all parameters, before clipping.
    pub gradient_norm: f64,
}

/// A training run of a backbone: parameters, optimiser, step counter.
#[derive(Debug)]
pub struct Trainer {
    config: TrainerConfig,
    isa: Isa,
    engine: Engine,
    parameters: Parameters,
    adam: Adam,
    average: Option<Parameters>,
}

/// An optimiser that has made no step.
fn optimiser(config: &TrainerConfig) -> Adam {
    let mut adam = Adam::default();
    adam.weight_decay = config.weight_decay;
    adam
}

impl Trainer {
    /// A run from starting weights that the seed determines.
    ///
    /// # Errors
    /// [`TrainError::Network`] for a configuration that contradicts itself.
    pub fn new(config: TrainerConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let parameters = init::backbone(&config.network, config.dims, config.seed);
        let isa = Isa::best();
        let engine = Engine::new(isa, &config.network, config.dims);
        let adam = optimiser(&config);
        let average = config.average.is_some().then(|| parameters.clone());
        Ok(Self { config, isa, engine, parameters, adam, average })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &TrainerConfig {
        &self.config
    }

    /// Steps made so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.adam.steps()
    }

    /// All parameters: the network's tensors, `head.weight` and `head.bias`.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// One update. `views` are RGB images `[view][row][column][colour]` of this side: the first views of all images, then
    /// their second views. `sources` has one number an image: images of the same number are not told apart.
    ///
    /// # Errors
    /// [`TrainError::Data`] for views that do not fit; [`TrainError::Diverged`] when loss or gradients are not finite,
    /// before any parameter has changed.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub fn step(&mut self, views: &[u8], side: usize, sources: &[u32]) -> Result<StepReport, TrainError> {
        let (loss, mut gradients) = self.gradients(views, side, sources)?;
        let square: f64 = gradients.values().flatten().map(|&g| f64::from(g) * f64::from(g)).sum();
        let gradient_norm = square.sqrt();
        let step = self.adam.steps();
        if !(loss.total.is_finite() && gradient_norm.is_finite()) {
            return Err(TrainError::Diverged(format!("the loss is {} at step {step}", loss.total)));
        }
        if let Some(clip) = self.config.clip.map(f64::from).filter(|&c| gradient_norm > c) {
            let factor = (clip / gradient_norm) as f32;
            gradients.values_mut().flatten().for_each(|g| *g *= factor);
        }
        let rate = self.config.rate_at(step);
        self.adam.step(&mut self.parameters, &gradients, rate)?;
        self.engine.update_statistics(&mut self.parameters);
        if let (Some(average), Some(decay)) = (&mut self.average, self.config.average) {
            let decay = decay.min(((1 + step) as f64 / (10 + step) as f64) as f32);
            for (name, tensor) in self.parameters.iter() {
                for (a, v) in average.values_mut(name).into_iter().flatten().zip(&tensor.data) {
                    *a += (1.0 - decay) * (v - *a);
                }
            }
        }
        Ok(StepReport { step, rate, loss, gradient_norm })
    }

    /// The loss and the gradients at `parameters` for a batch, as [`Trainer::step`] takes it; running statistics of `parameters`
    /// move, the trainer's own parameters and optimiser do not.
    ///
    /// # Errors
    /// [`TrainError::Data`] for views that do not fit; [`TrainError::Network`] for other parameters than the network's.
    pub fn gradients_at(
        &mut self,
        parameters: &mut Parameters,
        views: &[u8],
        side: usize,
        sources: &[u32],
    ) -> Result<(LossParts, NamedGradients), TrainError> {
        std::mem::swap(&mut self.parameters, parameters);
        let result = self.gradients(views, side, sources);
        self.engine.update_statistics(&mut self.parameters);
        std::mem::swap(&mut self.parameters, parameters);
        result
    }

    /// The loss and the gradients of all parameters for a batch, as [`Trainer::step`] takes it. Changes nothing.
    ///
    /// # Errors
    /// [`TrainError::Data`] for views that do not fit.
    pub fn gradients(
        &mut self,
        views: &[u8],
        side: usize,
        sources: &[u32],
    ) -> Result<(LossParts, NamedGradients), TrainError> {
        let count = Self::count(views, side)?;
        if count != 2 * sources.len() {
            let message = format!("a step takes two views an image: {} images, {count} views", sources.len());
            return Err(TrainError::Data(message));
        }
        self.engine.forward(&self.parameters, views, side, Mode::Training)?;
        let (loss, gradient) =
            loss::loss(self.isa, &self.config.loss, self.engine.vectors(), self.config.dims, sources);
        Ok((loss, self.engine.backward(&self.parameters, &gradient)?))
    }

    /// Number of views in `views`.
    fn count(views: &[u8], side: usize) -> Result<usize, TrainError> {
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(TrainError::Data(format!("views have sides of 1 to {MAX_SIDE} pixels, not {side}")));
        }
        let (count, rest) = (views.len() / (side * side * 3), views.len() % (side * side * 3));
        if rest != 0 || count == 0 || count > MAX_VIEWS {
            return Err(TrainError::Data(format!(
                "{} values are no whole number from 1 to {MAX_VIEWS} of views {side}x{side}x3",
                views.len()
            )));
        }
        Ok(count)
    }

    /// Region vectors `[view][region][channels of all taps]` in evaluation mode (running statistics), each tap a unit vector.
    /// `averaged` takes the moving average of the weights, if there is one.
    ///
    /// # Errors
    /// [`TrainError::Data`] for views that do not fit.
    pub fn regions(&mut self, views: &[u8], side: usize, averaged: bool) -> Result<Vec<f32>, TrainError> {
        Self::count(views, side)?;
        let average = self.average.as_ref().filter(|_| averaged);
        self.engine.forward(average.unwrap_or(&self.parameters), views, side, Mode::Evaluation)?;
        Ok(self.engine.regions().to_vec())
    }

    /// The network's tensors (without the head) that [`vidsieve_model::backbone::Backbone`] is built from. `averaged` takes the
    /// moving average of the weights, if there is one.
    ///
    /// # Errors
    /// [`TrainError::Network`]; not for a trainer that works.
    pub fn export(&self, averaged: bool) -> Result<StateDict, TrainError> {
        let from = self.average.as_ref().filter(|_| averaged).unwrap_or(&self.parameters);
        let mut state = StateDict::new("backbone.");
        for (name, tensor) in from.iter().filter(|(name, _)| !name.starts_with("head.")) {
            let inserted = state.insert(name, tensor.shape.clone(), tensor.data.clone());
            inserted?;
        }
        Ok(state)
    }

    /// Everything that a run needs to go on: parameters, optimiser, moving average. The configuration is not in it.
    #[must_use]
    pub fn state(&self) -> Parameters {
        let adam = self.adam.state();
        let mut parts = vec![("net", &self.parameters), ("adam", &adam)];
        parts.extend(self.average.as_ref().map(|average| ("average", average)));
        join(&parts)
    }

    /// Takes back what [`Trainer::state`] gave. A moving average that is missing starts from the weights.
    ///
    /// # Errors
    /// [`TrainError::Network`] for tensors that are missing, have another shape or are not finite; nothing has changed then.
    pub fn load(&mut self, state: &Parameters) -> Result<(), TrainError> {
        let check = |found: Parameters, what: &str| {
            for (name, tensor) in self.parameters.iter() {
                let other = found.iter().find(|(n, _)| *n == name).map(|(_, t)| t);
                if other.is_none_or(|t| t.shape != tensor.shape || t.data.iter().any(|v| !v.is_finite())) {
                    return Err(TrainError::Network(format!(
                        "checkpoint of a backbone: tensor `{what}/{name}` is missing, damaged or not of shape {:?}: was \
                         it kept with another configuration?",
                        tensor.shape
                    )));
                }
            }
            Ok(found)
        };
        let parameters = check(part(state, "net"), "net")?;
        let moments = part(state, "adam");
        for (name, tensor) in moments.iter() {
            let of = name.strip_prefix("first.").or_else(|| name.strip_prefix("second."));
            let count = of.map_or(Some(2), |n| parameters.values(n).map(<[f32]>::len));
            if count != Some(tensor.data.len()) {
                return Err(TrainError::Network(format!("checkpoint of a backbone: `adam/{name}` fits no parameter")));
            }
        }
        let average = part(state, "average");
        let average = match (self.config.average, average.count()) {
            (None, _) => None,
            (Some(_), 0) => Some(parameters.clone()),
            (Some(_), _) => Some(check(average, "average")?),
        };
        (self.parameters, self.average) = (parameters, average);
        self.adam.restore(&moments);
        Ok(())
    }

    /// Starts from the weights of another run of the same network, with a fresh optimiser.
    ///
    /// # Errors
    /// As [`Trainer::load`].
    pub fn start_from(&mut self, state: &Parameters) -> Result<(), TrainError> {
        let net = part(state, "net");
        self.load(&join(&[("net", &net)]))?;
        self.adam = optimiser(&self.config);
        Ok(())
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
