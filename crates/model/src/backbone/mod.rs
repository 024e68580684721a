//! The convolutional backbone: normalised frames to feature maps, one tap a stage.
//!
//! A [`BackboneConfig`] becomes a plan of steps, weights are folded (batch normalisation into convolutions), and an
//! [`Engine`] runs the plan.

mod plan;
mod products;
#[cfg(feature = "tract")]
mod tract;

use ndarray::{Array4, ArrayView4};
use serde::{Deserialize, Serialize};
use vidsieve_kernels::Isa;

use crate::weights::{StateDict, WeightsError};

/// Why a backbone cannot be built or run.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum BackboneError {
    /// The configuration contradicts itself.
    #[error("backbone: {0}")]
    Config(String),
    /// The weights do not fit the configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Frames that the network cannot take.
    #[error("the backbone takes frames [frames, 3, height, width] with positive height and width, got {0:?}")]
    Input([usize; 4]),
    /// The network engine failed.
    #[error("backbone: the network engine failed: {0}")]
    Engine(String),
}

/// A ResNet of bottleneck blocks, tensors named as torchvision does: 7x7 convolution and 3x3 max-pooling of stride 2,
/// then `blocks.len()` stages, the second and later ones at half the resolution of the one before. The stride is in the
/// 3x3 convolution. Taps: the output of every stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResnetConfig {
    /// Blocks of every stage (ResNet-50: 3, 4, 6, 3).
    pub blocks: Vec<usize>,
    /// Channels after the first convolution (64).
    pub stem: usize,
    /// Channels inside a block of the first stage, doubled from stage to stage (64).
    pub width: usize,
    /// Channels after a block, relative to those inside (4).
    pub expansion: usize,
}

/// A light network of plain 3x3 convolutions: `stem` of stride 2, then one block a stage, each of stride 2: `conv1` with
/// ReLU, `conv2`, plus a 1x1 convolution `shortcut` of the block's input, ReLU. Taps: the output of every stage. Tensors:
/// `stem`, `stage<i>.conv1`, `stage<i>.conv2`, `stage<i>.shortcut` with `.weight`, and a batch normalisation each: `stem_bn`,
/// `stage<i>.bn1`, `stage<i>.bn2`, `stage<i>.shortcut_bn`; i from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainConfig {
    /// Channels after the first convolution.
    pub stem: usize,
    /// Channels after every stage.
    pub stages: Vec<usize>,
    /// Whether blocks have a shortcut.
    pub residual: bool,
}

/// Shape of a backbone. Every convolution of kernel k has padding `floor(k / 2)` and is followed by batch
/// normalisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BackboneConfig {
    /// Bottleneck ResNet.
    Resnet(ResnetConfig),
    /// Light network of plain convolutions.
    Plain(PlainConfig),
}

impl BackboneConfig {
    /// The official networks' backbone.
    #[must_use]
    pub fn resnet50() -> Self {
        Self::Resnet(ResnetConfig { blocks: vec![3, 4, 6, 3], stem: 64, width: 64, expansion: 4 })
    }

    /// The light backbone of 172 thousand parameters.
    #[must_use]
    pub fn tiny() -> Self {
        Self::Plain(PlainConfig { stem: 16, stages: vec![24, 48, 96], residual: true })
    }

    /// Checks the configuration itself.
    ///
    /// # Errors
    /// [`BackboneError::Config`].
    pub fn validate(&self) -> Result<(), BackboneError> {
        plan::Plan::new(self).map(|_| ())
    }

    /// Channels of every tap.
    ///
    /// # Errors
    /// [`BackboneError::Config`].
    pub fn tap_channels(&self) -> Result<Vec<usize>, BackboneError> {
        Ok(plan::Plan::new(self)?.tap_channels())
    }

    /// Height and width of every tap for frames of this height and width.
    ///
    /// # Errors
    /// [`BackboneError::Config`].
    pub fn tap_sizes(&self, height: usize, width: usize) -> Result<Vec<(usize, usize)>, BackboneError> {
        Ok(plan::Plan::new(self)?.tap_sizes(height, width))
    }

    /// Name and shape of every tensor before folding: convolutions without bias, batch normalisations.
    ///
    /// # Errors
    /// [`BackboneError::Config`].
    pub fn tensors(&self) -> Result<Vec<(String, Vec<usize>)>, BackboneError> {
        Ok(plan::Plan::new(self)?.tensors())
    }

    /// Multiply-adds of the convolutions for one frame of this height and width.
    ///
    /// # Errors
    /// [`BackboneError::Config`].
    pub fn multiply_adds(&self, height: usize, width: usize) -> Result<u64, BackboneError> {
        Ok(plan::Plan::new(self)?.multiply_adds(height, width))
    }

    /// The weights with every batch normalisation folded into its convolution: `<convolution>.weight` and `.bias` only.
    /// A convolution that has a bias counts as folded already. Other tensors (a classifier, say) are left out.
    ///
    /// # Errors
    /// [`BackboneError::Config`]; [`BackboneError::Weights`] for a tensor that is missing, has another shape or is not
    /// finite, and for a negative running variance.
    pub fn fold(&self, weights: &StateDict) -> Result<StateDict, BackboneError> {
        plan::Plan::new(self)?.fold(weights)
    }
}

/// What computes the convolutions. Both give the same maps up to the order of float additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// Matrix products of this crate's kernels. Takes frames of any size at no extra cost.
    Products(Isa),
    /// tract. Compiles a model the first time that it meets a size of frames.
    #[cfg(feature = "tract")]
    Tract,
}

impl Default for Engine {
    fn default() -> Self {
        Self::Products(Isa::best())
    }
}

enum Runner {
    Products(products::Products),
    #[cfg(feature = "tract")]
    Tract(tract::Tract),
}

/// A backbone with its weights.
pub struct Backbone {
    runner: Runner,
}

impl Backbone {
    /// Builds the network from weights, folded or not (see [`BackboneConfig::fold`]), for the default engine: matrix
    /// products on the best instruction set.
    ///
    /// # Errors
    /// As [`BackboneConfig::fold`]; [`BackboneError::Engine`].
    pub fn new(config: &BackboneConfig, weights: &StateDict) -> Result<Self, BackboneError> {
        Self::with_engine(config, weights, Engine::default())
    }

    /// Builds the network for a chosen engine.
    ///
    /// # Errors
    /// As [`Backbone::new`].
    pub fn with_engine(config: &BackboneConfig, weights: &StateDict, engine: Engine) -> Result<Self, BackboneError> {
        let plan = plan::Plan::new(config)?;
        let folded = plan.fold(weights)?;
        let runner = match engine {
            Engine::Products(isa) => Runner::Products(products::Products::new(isa, plan, &folded)?),
            #[cfg(feature = "tract")]
            Engine::Tract => Runner::Tract(tract::Tract::new(plan, &folded)?),
        };
        Ok(Self { runner })
    }

    fn plan(&self) -> &plan::Plan {
        match &self.runner {
            Runner::Products(products) => products.plan(),
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.plan(),
        }
    }

    /// Channels of every tap.
    #[must_use]
    pub fn tap_channels(&self) -> Vec<usize> {
        self.plan().tap_channels()
    }

    /// Feature maps `[frames, channels, height, width]`, one a tap, of normalised frames `[frames, 3, height, width]`.
    /// Memory grows with the number of frames: feed long videos in parts.
    ///
    /// # Errors
    /// [`BackboneError::Input`], [`BackboneError::Engine`].
    pub fn run(&self, frames: ArrayView4<'_, f32>) -> Result<Vec<Array4<f32>>, BackboneError> {
        let (n, channels, height, width) = frames.dim();
        if n == 0 {
            return Ok(self.tap_channels().into_iter().map(|c| Array4::zeros((0, c, 0, 0))).collect());
        }
        if channels != 3 || height == 0 || width == 0 {
            return Err(BackboneError::Input([n, channels, height, width]));
        }
        match &self.runner {
            Runner::Products(products) => Ok(products.run(frames)),
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.run(frames),
        }
    }
}

impl std::fmt::Debug for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backbone").field("taps", &self.tap_channels()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
