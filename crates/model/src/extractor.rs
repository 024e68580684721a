//! From frames to a video tensor (§1 of the project's mathematics), and networks straight from a bundle.

use ndarray::{Array3, ArrayView4, Axis, concatenate};
use vidsieve_kernels::Isa;

use crate::backbone::{Backbone, BackboneError};
use crate::bundle::{Bundle, BundleError, Network};
use crate::coarse::Coarse;
use crate::config::FineConfig;
use crate::fine::Fine;
use crate::frames::{FrameError, Preprocess, RgbFrame};
use crate::regions::{RegionError, RegionPooling};
use crate::selector::Selector;
use crate::whitening::{Whitening, WhiteningError};

/// Frames that pass the backbone at once: memory does not depend on the length of a video.
const BATCH: usize = 8;

/// Why a network of a bundle could not be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The bundle lacks the network or its weights are damaged.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The weights do not make the network.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    /// The bundle lacks a part that is needed to encode frames.
    #[error("the bundle has no {0}: it cannot encode frames, only compare what was encoded")]
    Incomplete(&'static str),
    /// Frames that cannot be encoded.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The backbone failed.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The taps do not fit the region pooling.
    #[error(transparent)]
    Regions(#[from] RegionError),
    /// The region vectors do not fit the whitening.
    #[error(transparent)]
    Whitening(#[from] WhiteningError),
    /// Arrays of contradicting shapes.
    #[error("{0}")]
    Shape(#[from] ndarray::ShapeError),
}

/// Preprocessing, backbone, region pooling and PCA-whitening of a bundle.
pub struct Extractor {
    preprocess: Preprocess,
    backbone: Backbone,
    regions: RegionPooling,
    whitening: Option<Whitening>,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor")
            .field("preprocess", &self.preprocess)
            .field("regions", &self.regions)
            .finish_non_exhaustive()
    }
}

impl Extractor {
    /// Builds the extractor of a bundle. Without whitening the region vectors are used as they are pooled.
    ///
    /// # Errors
    /// [`ExtractError::Incomplete`] for a bundle without preprocessing, backbone or region pooling; damaged weights.
    pub fn new(isa: Isa, bundle: &Bundle) -> Result<Self, ExtractError> {
        let config = bundle.config();
        let preprocess = config.preprocess.ok_or(ExtractError::Incomplete("preprocessing"))?;
        preprocess.validate()?;
        let regions = config.regions.clone().ok_or(ExtractError::Incomplete("region pooling"))?;
        regions.validate()?;
        let shape = config.backbone.as_ref().ok_or(ExtractError::Incomplete("backbone"))?;
        let backbone = Backbone::new(shape, &bundle.weights(Network::Backbone)?)?;
        let whitening = config
            .whitening
            .map(|w| -> Result<Whitening, ExtractError> {
                let state = bundle.weights(Network::Pca)?;
                let mean = state.get("mean", &[w.input])?.to_vec();
                Ok(Whitening::new(isa, mean, state.get("DVt", &[w.input, w.dims])?, w.dims)?)
            })
            .transpose()?;
        Ok(Self { preprocess, backbone, regions, whitening })
    }

    /// How frames are prepared.
    #[must_use]
    pub const fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The video tensor [T, R, D] of T frames. All frames of a call have one size.
    ///
    /// # Errors
    /// [`ExtractError::Frames`] and the errors of the steps.
    pub fn video(&self, frames: &[RgbFrame<'_>]) -> Result<Array3<f32>, ExtractError> {
        let mut parts = Vec::with_capacity(frames.len().div_ceil(BATCH));
        for frames in frames.chunks(BATCH) {
            parts.push(self.prepared(self.preprocess.batch(frames)?.view())?);
        }
        let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
        if views.is_empty() { Ok(Array3::zeros((0, 0, 0))) } else { Ok(concatenate(Axis(0), &views)?) }
    }

    /// The video tensor of frames that are prepared already, [T, 3, H, W].
    ///
    /// # Errors
    /// The errors of the steps.
    pub fn prepared(&self, frames: ArrayView4<'_, f32>) -> Result<Array3<f32>, ExtractError> {
        let taps = self.backbone.run(frames)?;
        let views: Vec<_> = taps.iter().map(|t| t.view()).collect();
        let regions = self.regions.pool(&views)?;
        let Some(whitening) = &self.whitening else { return Ok(regions) };
        let (frames, count, _) = regions.dim();
        let whitened = whitening.apply(&regions.into_iter().collect::<Vec<_>>())?;
        Ok(Array3::from_shape_vec((frames, count, whitening.dims()), whitened)?)
    }
}

impl Bundle {
    /// A fine network: [`Network::Teacher`], [`Network::FineAttention`], [`Network::FineBinary`] or
    /// [`Network::FinePlain`].
    ///
    /// # Errors
    /// [`BundleError::Absent`] for any other or missing network; damaged weights.
    pub fn fine(&self, isa: Isa, network: Network) -> Result<Fine, ExtractError> {
        let config = self.config();
        let of: Option<FineConfig> = match network {
            Network::Teacher => config.teacher,
            Network::FineAttention => config.fine_attention,
            Network::FineBinary => config.fine_binary,
            Network::FinePlain => config.fine_plain,
            _ => None,
        };
        let of = of.ok_or_else(|| self.absent(network))?;
        Ok(Fine::new(isa, of, &self.weights(network)?)?)
    }

    /// The coarse student.
    ///
    /// # Errors
    /// [`BundleError::Absent`] for a bundle without it; damaged weights.
    pub fn coarse(&self, isa: Isa) -> Result<Coarse, ExtractError> {
        let config = self.config().coarse.ok_or_else(|| self.absent(Network::Coarse))?;
        Ok(Coarse::new(isa, config, &self.weights(Network::Coarse)?)?)
    }

    /// The selector.
    ///
    /// # Errors
    /// [`BundleError::Absent`] for a bundle without it; damaged weights.
    pub fn selector(&self, isa: Isa) -> Result<Selector, ExtractError> {
        let config = self.config().selector.ok_or_else(|| self.absent(Network::Selector))?;
        Ok(Selector::new(isa, config, &self.weights(Network::Selector)?)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backbone::{BackboneConfig, PlainConfig};
    use crate::bundle::{BundleWriter, Storage};
    use crate::config::{Config, WhiteningConfig};
    use crate::regions::Pooling;
    use crate::weights::StateDict;

    fn bundle() -> Bundle {
        let backbone = BackboneConfig::Plain(PlainConfig { stem: 4, stages: vec![6, 8], residual: true });
        let mut weights = StateDict::new("");
        let mut z = 1u32;
        let mut number = || {
            z = z.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (z >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for (name, shape) in backbone.tensors().unwrap() {
            let n = shape.iter().product();
            let positive = name.ends_with("running_var");
            let data = (0..n).map(|_| if positive { number().abs() + 0.5 } else { number() }).collect();
            weights.insert(name, shape, data).unwrap();
        }
        let mut pca = StateDict::new("");
        pca.insert("mean", vec![14], (0..14).map(|_| number()).collect()).unwrap();
        pca.insert("DVt", vec![14, 5], (0..70).map(|_| number()).collect()).unwrap();
        let config = Config {
            preprocess: Some(Preprocess::square(32)),
            backbone: Some(backbone),
            regions: Some(RegionPooling::windows3x3(Pooling::Max, false)),
            whitening: Some(WhiteningConfig { input: 14, dims: 5 }),
            ..Config::default()
        };
        let mut writer = BundleWriter::new(config, "CC0-1.0", BTreeMap::new());
        writer.add(Network::Backbone, &weights, Storage::F32).unwrap();
        writer.add(Network::Pca, &pca, Storage::F32).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn frames_become_unit_region_vectors_whatever_the_batch() {
        let extractor = Extractor::new(Isa::best(), &bundle()).unwrap();
        let pixels: Vec<Vec<u8>> =
            (0..BATCH + 3).map(|f| (0..48 * 40 * 3).map(|i| ((i * (f + 3)) % 251) as u8).collect()).collect();
        let frames: Vec<RgbFrame<'_>> = pixels.iter().map(|p| RgbFrame::new(48, 40, p).unwrap()).collect();
        let video = extractor.video(&frames).unwrap();
        assert_eq!(video.dim(), (BATCH + 3, 9, 5));
        for region in video.rows() {
            assert!((region.dot(&region) - 1.0).abs() < 1e-5);
        }
        let last = extractor.video(&frames[BATCH + 2..]).unwrap();
        for (a, b) in last.iter().zip(video.index_axis(Axis(0), BATCH + 2)) {
            assert!((a - b).abs() < 1e-5);
        }
        assert_eq!(extractor.video(&[]).unwrap().dim().0, 0);
    }

    #[test]
    fn what_a_bundle_lacks_is_named() {
        let bundle = bundle();
        let message = bundle.coarse(Isa::best()).unwrap_err().to_string();
        assert!(message.contains("no coarse network") && message.contains("backbone"), "{message}");
        let config = Config { whitening: Some(WhiteningConfig { input: 1, dims: 1 }), ..Config::default() };
        let empty = BundleWriter::new(config, "", BTreeMap::new()).finish().unwrap();
        let message = Extractor::new(Isa::best(), &empty).unwrap_err().to_string();
        assert!(message.contains("preprocessing"), "{message}");
    }
}
