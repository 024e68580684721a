//! From frames to a video tensor (`docs/mathematics.md`, §1), and networks straight from a bundle.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, ArrayView4, Axis, concatenate};
use vidsieve_kernels::Isa;

use crate::backbone::{Backbone, BackboneError};
use crate::bundle::{Bundle, BundleError, Network};
use crate::coarse::Coarse;
use crate::config::{ConfigError, Scale};
use crate::fine::Fine;
use crate::frames::{FrameError, Preprocess, RgbFrame};
use crate::regions::RegionError;
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
    /// The configuration contradicts itself.
    #[error("the bundle's configuration: {0}")]
    Config(#[from] ConfigError),
    /// A scale that the bundle does not have.
    #[error("there is no scale {index}: the bundle sees frames at {count} scales, counted from 0")]
    Scale {
        /// Scale asked for.
        index: usize,
        /// Scales there are.
        count: usize,
    },
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

/// Preprocessing, backbone, region pooling and PCA-whitening of a bundle, at one scale or several.
///
/// The video tensor is [T, R, D]: frame, then region, then value. The R regions of a frame are those of the first scale, then
/// those of the further scales in the configuration's order; within a scale they are in the order of its pooling (grid by
/// grid, row-major).
pub struct Extractor {
    scales: Vec<Scale>,
    ranges: Option<Vec<Range<usize>>>,
    backbone: Backbone,
    whitening: Option<Whitening>,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor").field("scales", &self.scales).finish_non_exhaustive()
    }
}

/// Arrays with the same other dimensions, one after the other along `axis`; no array makes an empty one.
fn join(axis: usize, mut parts: Vec<Array3<f32>>) -> Result<Array3<f32>, ExtractError> {
    match parts.pop() {
        None => Ok(Array3::zeros((0, 0, 0))),
        Some(only) if parts.is_empty() => Ok(only),
        Some(last) => {
            parts.push(last);
            let views: Vec<ArrayView3<'_, f32>> = parts.iter().map(|p| p.view()).collect();
            Ok(concatenate(Axis(axis), &views)?)
        }
    }
}

impl Extractor {
    /// Builds the extractor of a bundle. Without whitening the region vectors are used as they are pooled.
    ///
    /// # Errors
    /// [`ExtractError::Incomplete`] for a bundle without preprocessing, backbone or region pooling; damaged weights.
    pub fn new(isa: Isa, bundle: &Bundle) -> Result<Self, ExtractError> {
        let config = bundle.config();
        if config.preprocess.is_none() {
            return Err(ExtractError::Incomplete("preprocessing"));
        }
        let scales = config.scales().ok_or(ExtractError::Incomplete("region pooling"))?;
        for scale in &scales {
            scale.preprocess.validate()?;
            scale.regions.validate()?;
        }
        let shape = config.backbone.as_ref().ok_or(ExtractError::Incomplete("backbone"))?;
        let ranges = config.region_ranges()?;
        let backbone = Backbone::new(shape, &bundle.weights(Network::Backbone)?)?;
        let whitening = config
            .whitening
            .map(|w| -> Result<Whitening, ExtractError> {
                let state = bundle.weights(Network::Pca)?;
                let mean = state.get("mean", &[w.input])?.to_vec();
                Ok(Whitening::new(isa, mean, state.get("DVt", &[w.input, w.dims])?, w.dims)?)
            })
            .transpose()?;
        Ok(Self { scales, ranges, backbone, whitening })
    }

    /// How frames are prepared at the first scale.
    #[must_use]
    pub fn preprocess(&self) -> &Preprocess {
        &self.scales[0].preprocess
    }

    /// The scales, at least one.
    #[must_use]
    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// The regions of each scale in a video tensor, from 0 to R; `None` where their number depends on the frames' size.
    #[must_use]
    pub fn region_ranges(&self) -> Option<&[Range<usize>]> {
        self.ranges.as_deref()
    }

    /// The video tensor [T, R, D] of T frames. Frames of one batch may have different sizes if every scale makes the same
    /// size of them ([`Preprocess::fixed_size`]).
    ///
    /// # Errors
    /// [`ExtractError::Frames`] and the errors of the steps.
    pub fn video(&self, frames: &[RgbFrame<'_>]) -> Result<Array3<f32>, ExtractError> {
        let mut parts = Vec::with_capacity(frames.len().div_ceil(BATCH));
        for frames in frames.chunks(BATCH) {
            let of_scale = |(index, scale): (usize, &Scale)| {
                let prepared = scale.preprocess.batch(frames)?;
                self.prepared(index, prepared.view())
            };
            let scales = self.scales.iter().enumerate().map(of_scale).collect::<Result<Vec<_>, _>>()?;
            parts.push(join(1, scales)?);
        }
        join(0, parts)
    }

    /// The regions of one scale, [T, R of the scale, D], of frames that are prepared for it already, [T, 3, H, W]. Scales
    /// joined along the second axis make the video tensor.
    ///
    /// # Errors
    /// [`ExtractError::Scale`] for a scale that is not there; the errors of the steps.
    pub fn prepared(&self, scale: usize, frames: ArrayView4<'_, f32>) -> Result<Array3<f32>, ExtractError> {
        let count = self.scales.len();
        let Scale { regions, .. } = self.scales.get(scale).ok_or(ExtractError::Scale { index: scale, count })?;
        let taps = self.backbone.run(frames)?;
        let views: Vec<_> = taps.iter().map(|t| t.view()).collect();
        let regions = regions.pool(&views)?;
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
        let config = self.config().fine(network).ok_or_else(|| self.absent(network))?;
        Ok(Fine::new(isa, config.clone(), &self.weights(network)?)?)
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
    use crate::regions::{Pooling, RegionPooling, WindowGrid};
    use crate::weights::StateDict;

    fn bundle() -> Bundle {
        seen_at(Preprocess::square(32), RegionPooling::windows3x3(Pooling::Max, false), vec![])
    }

    fn seen_at(preprocess: Preprocess, regions: RegionPooling, further_scales: Vec<Scale>) -> Bundle {
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
            preprocess: Some(preprocess),
            backbone: Some(backbone),
            regions: Some(regions),
            further_scales,
            whitening: Some(WhiteningConfig { input: 14, dims: 5 }),
            ..Config::default()
        };
        let mut writer = BundleWriter::new(config, "CC0-1.0", BTreeMap::new());
        writer.add(Network::Backbone, &weights, Storage::F32).unwrap();
        writer.add(Network::Pca, &pca, Storage::F32).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn scales_are_what_each_would_be_alone_one_after_the_other() {
        let windows = |grids: &[(usize, f64)]| RegionPooling::Windows {
            grids: grids.iter().map(|&(count, fraction)| WindowGrid { count, fraction }).collect(),
            pooling: Pooling::Gem { p: 3.0, floor: 1e-6 },
            normalise: false,
        };
        let scales = [
            Scale { preprocess: Preprocess::square(32), regions: windows(&[(3, 0.5), (1, 1.0)]) },
            Scale { preprocess: Preprocess::square(64), regions: windows(&[(3, 0.5), (4, 0.5)]) },
            // 48 pixels: taps of 12 and 6, a grid of 2x2 by the last.
            Scale {
                preprocess: Preprocess { crop: Some(48), ..Preprocess::imagenet(50, 48) },
                regions: RegionPooling::L3Imac { kernels: vec![6, 3] },
            },
        ];
        let [first, further @ ..] = scales.clone();
        let bundle = seen_at(first.preprocess, first.regions, further.to_vec());
        let extractor = Extractor::new(Isa::best(), &bundle).unwrap();
        // Frames of two sizes in one batch.
        let sizes = [(48, 40), (64, 90), (48, 40)];
        let pixels: Vec<Vec<u8>> = sizes
            .iter()
            .enumerate()
            .map(|(f, (w, h))| (0..w * h * 3).map(|i| ((i * (f + 3)) % 251) as u8).collect())
            .collect();
        let frames: Vec<RgbFrame<'_>> =
            sizes.iter().zip(&pixels).map(|((w, h), p)| RgbFrame::new(*w as u32, *h as u32, p).unwrap()).collect();
        let video = extractor.video(&frames).unwrap();
        let ranges = bundle.config().region_ranges().unwrap().unwrap();
        assert_eq!(extractor.region_ranges().unwrap(), ranges);
        assert_eq!((ranges[0].clone(), ranges[1].clone()), (0..10, 10..35));
        assert_eq!(video.dim(), (3, bundle.config().region_count().unwrap().unwrap(), 5));
        for (index, (scale, range)) in scales.into_iter().zip(ranges).enumerate() {
            let alone = seen_at(scale.preprocess, scale.regions, vec![]);
            assert_eq!(alone.config().region_count().unwrap(), Some(range.len()));
            let alone = Extractor::new(Isa::best(), &alone).unwrap().video(&frames).unwrap();
            assert_eq!(video.slice(ndarray::s![.., range, ..]), alone, "scale {index}");
            let prepared = scale.preprocess.batch(&frames).unwrap();
            assert_eq!(extractor.prepared(index, prepared.view()).unwrap(), alone);
        }
        let message = extractor.prepared(3, ndarray::Array4::zeros((1, 3, 8, 8)).view()).unwrap_err().to_string();
        assert!(message.contains("no scale 3") && message.contains("3 scales"), "{message}");
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
