//! What a bundle says about its networks. Every size comes from here; no network has constants of its own.

mod coarse;
mod error;
mod fine;
mod projections;
mod selector;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use vidsieve_kernels::hamming;

pub use self::coarse::{CoarseConfig, NetVladConfig, TransformerConfig};
pub use self::error::ConfigError;
pub(crate) use self::error::check_range;
pub(crate) use self::fine::comparator_prefix;
pub use self::fine::{Attention, Channel, ComparatorConfig, FineConfig, PaddingMode, PoolEdge};
pub use self::projections::{ItqConfig, WhiteningConfig};
pub use self::selector::SelectorConfig;
use crate::backbone::BackboneConfig;
use crate::calibration::Calibration;
use crate::frames::Preprocess;
use crate::network::Network;
pub use crate::regions::MAX_REGIONS;
use crate::regions::RegionPooling;

/// Most scales of a frame, the first included.
pub const MAX_SCALES: usize = 8;

/// One size at which frames pass the backbone, and the regions taken from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Frames to backbone input.
    pub preprocess: Preprocess,
    /// Taps to region vectors.
    pub regions: RegionPooling,
}

impl Scale {
    /// Regions of a frame; `None` where they depend on the frame's size.
    fn region_count(&self, backbone: Option<&BackboneConfig>) -> Result<Option<usize>, String> {
        self.regions.validate().map_err(|e| e.to_string())?;
        if let Some(count) = self.regions.fixed_count() {
            return Ok(Some(count));
        }
        self.preprocess.validate().map_err(|e| e.to_string())?;
        let (Some(backbone), Some((width, height))) = (backbone, self.preprocess.fixed_size()) else { return Ok(None) };
        let maps = backbone.tap_sizes(height as usize, width as usize).map_err(|e| e.to_string())?;
        self.regions.regions(&maps).map(Some).map_err(|e| e.to_string())
    }
}

/// The networks of a bundle. A network that is `None` is not in the bundle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Frames to backbone input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// Convolutional backbone with its taps; tensors under `backbone.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<BackboneConfig>,
    /// Taps to region vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionPooling>,
    /// Further scales at which the one backbone sees every frame. Their regions follow those of `preprocess` and `regions`,
    /// scale by scale, and share the whitening.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_scales: Vec<Scale>,
    /// PCA-whitening of region vectors; tensors `pca.mean`, `pca.DVt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitening: Option<WhiteningConfig>,
    /// Teacher T (ViSiL); tensors under `teacher.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<FineConfig>,
    /// Fine attention student S^f_A; tensors under `fine_attention.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_attention: Option<FineConfig>,
    /// Fine binary student S^f_B; tensors under `fine_binary.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_binary: Option<FineConfig>,
    /// Fine student with neither attention nor binarisation; tensors under `fine_plain.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_plain: Option<FineConfig>,
    /// Iterative quantisation; tensor `itq.proj`. A start for training S^f_B, not a network of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itq: Option<ItqConfig>,
    /// Coarse student S^c; tensors under `coarse.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<CoarseConfig>,
    /// Selector SN; tensors under `selector.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<SelectorConfig>,
    /// Raw similarities to probabilities, for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Config {
    /// All scales of a frame, the first one made of `preprocess` and `regions`; `None` if one of these is missing.
    #[must_use]
    pub fn scales(&self) -> Option<Vec<Scale>> {
        let first = Scale { preprocess: self.preprocess?, regions: self.regions.clone()? };
        Some(std::iter::once(first).chain(self.further_scales.iter().cloned()).collect())
    }

    /// The regions of each scale in the video tensor [T, R, D], in order, from 0 to R without gaps. `None` if the
    /// configuration does not describe scales, or if a number of regions depends on the size of the frames.
    ///
    /// # Errors
    /// [`ConfigError`] for region pooling that contradicts itself or the backbone, and above [`MAX_SCALES`] or
    /// [`MAX_REGIONS`].
    pub fn region_ranges(&self) -> Result<Option<Vec<Range<usize>>>, ConfigError> {
        let refuse = |part: String, reason: String| ConfigError { part, reason };
        let Some(scales) = self.scales() else {
            if self.further_scales.is_empty() {
                return Ok(None);
            }
            let reason = "further scales need a first one: give `preprocess` and `regions`";
            return Err(refuse("further_scales".into(), reason.into()));
        };
        if scales.len() > MAX_SCALES {
            let reason = format!("{} scales with the first, at most {MAX_SCALES} are taken", scales.len());
            return Err(refuse("further_scales".into(), reason));
        }
        let mut ranges = Vec::with_capacity(scales.len());
        let (mut end, mut known) = (0, true);
        for (i, scale) in scales.iter().enumerate() {
            let part = || if i == 0 { "regions".to_owned() } else { format!("further_scales[{}]", i - 1) };
            let Some(count) = scale.region_count(self.backbone.as_ref()).map_err(|e| refuse(part(), e))? else {
                known = false;
                continue;
            };
            if count > MAX_REGIONS - end {
                let reason =
                    format!("{} regions in a frame, at most {MAX_REGIONS} are taken", count.saturating_add(end));
                return Err(refuse(part(), reason));
            }
            ranges.push(end..end + count);
            end += count;
        }
        Ok(known.then_some(ranges))
    }

    /// R: regions of a frame, all scales together. `None` as for [`Config::region_ranges`].
    ///
    /// # Errors
    /// As [`Config::region_ranges`].
    pub fn region_count(&self) -> Result<Option<usize>, ConfigError> {
        Ok(self.region_ranges()?.map(|ranges| ranges.last().map_or(0, |last| last.end)))
    }

    /// The configuration of a fine network; `None` for other networks and those that are not there.
    #[must_use]
    pub const fn fine(&self, network: Network) -> Option<&FineConfig> {
        match network {
            Network::Teacher => self.teacher.as_ref(),
            Network::FineAttention => self.fine_attention.as_ref(),
            Network::FineBinary => self.fine_binary.as_ref(),
            Network::FinePlain => self.fine_plain.as_ref(),
            _ => None,
        }
    }

    /// Checks what can be checked without weights: the scales, the regions that networks ask for against those that
    /// there are, channels, calibration.
    ///
    /// # Errors
    /// [`ConfigError`], naming the entry at fault.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let count = self.region_count()?;
        let given = |part: String, needed: usize| match count {
            Some(count) if needed > count => Err(ConfigError {
                part,
                reason: format!(
                    "asks for regions up to {needed}, but a frame has {count} (0 to {}): add a scale or ask for fewer",
                    count.saturating_sub(1)
                ),
            }),
            _ => Ok(()),
        };
        for network in Network::ALL {
            let Some(fine) = self.fine(network) else { continue };
            fine.validate().map_err(|reason| ConfigError { part: network.name().into(), reason })?;
            given(format!("{}.channels", network.name()), fine.regions_needed())?;
            if let (Some(bits), Some(count)) = (fine.bits, count) {
                hamming::Shape::new(count, bits)
                    .map_err(|e| ConfigError { part: network.name().into(), reason: e.to_string() })?;
            }
        }
        for (name, regions) in
            [("coarse", self.coarse.and_then(|c| c.regions)), ("selector", self.selector.and_then(|s| s.regions))]
        {
            let part = format!("{name}.regions");
            let Some(range) = regions else { continue };
            check_range(range).map_err(|reason| ConfigError { part: part.clone(), reason })?;
            given(part, range[1])?;
        }
        self.calibration.as_ref().map_or(Ok(()), |c| c.validate(self))
    }
}

impl Network {
    /// Whether a configuration names this network.
    #[must_use]
    pub const fn is_in(self, config: &Config) -> bool {
        match self {
            Self::Backbone => config.backbone.is_some(),
            Self::Pca => config.whitening.is_some(),
            Self::Teacher => config.teacher.is_some(),
            Self::FineAttention => config.fine_attention.is_some(),
            Self::FineBinary => config.fine_binary.is_some(),
            Self::FinePlain => config.fine_plain.is_some(),
            Self::Itq => config.itq.is_some(),
            Self::Coarse => config.coarse.is_some(),
            Self::Selector => config.selector.is_some(),
        }
    }
}

impl Calibration {
    /// Checks every curve, and that its network is in `config`.
    ///
    /// # Errors
    /// [`ConfigError`], naming the curve.
    pub fn validate(&self, config: &Config) -> Result<(), ConfigError> {
        for network in Network::ALL {
            let Some(curve) = self.curve(network) else { continue };
            let refuse = |reason: String| ConfigError { part: format!("calibration.{}", network.name()), reason };
            if !network.is_in(config) {
                return Err(refuse("there is no such network in the configuration: leave the curve out".into()));
            }
            curve.check().map_err(refuse)?;
        }
        if let Some(evidence) = &self.evidence {
            let refuse = |reason: String| ConfigError { part: "calibration.evidence".into(), reason };
            if !Network::FineBinary.is_in(config) {
                return Err(refuse("there is no S^f_B in the configuration: leave the weights out".into()));
            }
            evidence.check().map_err(refuse)?;
        }
        Ok(())
    }
}
