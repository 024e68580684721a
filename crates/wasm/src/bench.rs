//! The backbone by itself, as benchmarks compare it with other engines.

use ndarray::ArrayView4;
use vidsieve_model::backbone::BackboneError;
use vidsieve_model::bundle::{BundleError, Network};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Model;
use crate::error::{EngineErrorCode, Error};

impl From<BackboneError> for Error {
    fn from(error: BackboneError) -> Self {
        Self::new(EngineErrorCode::BadModel, error)
    }
}

/// The convolutional backbone of a bundle.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Backbone {
    inner: vidsieve_model::backbone::Backbone,
    multiply_adds: Vec<f64>,
}

#[wasm_bindgen]
impl Backbone {
    /// The backbone of a bundle; `sides` are those of the frames of which [`Backbone::multiply_adds`] tells.
    ///
    /// # Errors
    /// `bad-model` for a bundle without one.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &Model, sides: Vec<usize>) -> Result<Self, Error> {
        let absent = || Error::new(EngineErrorCode::BadModel, "the bundle has no backbone");
        let config = model.bundle.config().backbone.as_ref().ok_or_else(absent)?;
        let weights = model.bundle.weights(Network::Backbone).map_err(|e: BundleError| Error::from(e))?;
        let inner = vidsieve_model::backbone::Backbone::new(config, &weights)?;
        let adds = |side: usize| Ok(config.multiply_adds(side, side)? as f64);
        let multiply_adds = sides.into_iter().map(adds).collect::<Result<_, BackboneError>>()?;
        Ok(Self { inner, multiply_adds })
    }

    /// Multiply-adds of the convolutions as they are defined, for a frame of each side.
    #[wasm_bindgen(getter, js_name = multiplyAdds)]
    #[must_use]
    pub fn multiply_adds(&self) -> Vec<f64> {
        self.multiply_adds.clone()
    }

    /// The feature maps of normalised frames `[count][3][side][side]`: those of the first stage, then of the second, and so on.
    ///
    /// # Errors
    /// `bad-frame` for another number of values.
    pub fn run(&self, frames: &[f32], count: usize, side: usize) -> Result<Vec<f32>, Error> {
        let frames = ArrayView4::from_shape((count, 3, side, side), frames)
            .map_err(|e| Error::new(EngineErrorCode::BadFrame, e))?;
        Ok(self.inner.run(frames)?.into_iter().flatten().collect())
    }
}
