//! What a bundle says about its networks. Every size comes from here; no network has constants of its own.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use vidsieve_kernels::comparator::Pool;
use vidsieve_kernels::hamming;

use crate::backbone::BackboneConfig;
use crate::bundle::Network;
use crate::calibration::Calibration;
use crate::frames::Preprocess;
use crate::regions::RegionPooling;
use crate::weights::{StateDict, WeightsError};

/// Most scales of a frame, the first included.
pub const MAX_SCALES: usize = 8;

/// Most regions of a frame, all scales together.
pub const MAX_REGIONS: usize = 4096;

/// A configuration that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}`: {reason}")]
pub struct ConfigError {
    /// The entry at fault, such as `fine_binary.channels`.
    pub part: String,
    /// What is wrong and what would do.
    pub reason: String,
}

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

/// Refuses a range of regions `[start, end)` that is empty.
pub(crate) fn check_range([start, end]: [usize; 2]) -> Result<(), String> {
    if start < end { Ok(()) } else { Err(format!("regions [{start}, {end}): the end must be above the start")) }
}

/// Sizes of PCA-whitening (§1.3 of the project's mathematics: `nrm((x - mean) W)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhiteningConfig {
    /// Values of a region vector before whitening.
    pub input: usize,
    /// Values after it: D of all networks.
    pub dims: usize,
}

/// Sizes of an ITQ projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItqConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// L: bits of its code.
    pub bits: usize,
}

/// How region vectors are weighted before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// Not at all.
    None,
    /// ViSiL's l2-attention: `(u·x)/2 + 0.5`, `u` of unit length.
    L2,
    /// DnS's h-attention: `sigmoid(u·tanh(Wx + b))`.
    H,
}

/// Padding of the comparator's 3x3 convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingMode {
    /// Zeros: DnS and s2vs.
    Zero,
    /// The border repeated: ViSiL.
    Replicate,
}

/// What the comparator's pools do with a last row or column that fills half a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolEdge {
    /// Drop it: upstream's evaluation of single pairs. Up to three frames at the end of a video do not count.
    #[default]
    Drop,
    /// Keep it: what masked training sees, and every frame counts.
    Keep,
}

impl PoolEdge {
    fn is_drop(&self) -> bool {
        *self == Self::Drop
    }
}

impl From<PoolEdge> for Pool {
    fn from(edge: PoolEdge) -> Self {
        match edge {
            PoolEdge::Drop => Self::Floor,
            PoolEdge::Keep => Self::Ceil,
        }
    }
}

/// The video comparator: three 3x3 convolutions, two pools, one 1x1 convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparatorConfig {
    /// Channels of the input map and after each 3x3 convolution (upstream: 1, 32, 64, 128).
    pub channels: [usize; 4],
    /// Padding of each convolution.
    pub padding: PaddingMode,
    /// Edge of the pools when videos are compared.
    #[serde(default, skip_serializing_if = "PoolEdge::is_drop")]
    pub edge: PoolEdge,
}

/// One map of frame similarities: which regions of a query frame are compared with which regions of a target frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Regions of the query's frames, [start, end).
    pub query: [usize; 2],
    /// Regions of the target's frames, [start, end).
    pub target: [usize; 2],
    /// Region Chamfer similarity is the mean over the query's regions of the maximum over the target's; transposed, the
    /// mean over the target's regions of the maximum over the query's. Rows are the query's frames in both cases.
    #[serde(default)]
    pub transposed: bool,
}

/// A fine-grained network: teacher, S^f_A, S^f_B or neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// Weighting of regions.
    pub attention: Attention,
    /// L: bits of a region's code; `None` keeps floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<usize>,
    /// Whether both Chamfer similarities are averaged over both directions (`visil_symmetric`); not with `channels`.
    #[serde(default)]
    pub symmetric: bool,
    /// Channels of the comparator's input, in order; `None` is one channel over all regions of both videos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// The comparator.
    pub comparator: ComparatorConfig,
    /// Whether Chamfer similarities of the unpooled maps are weighed with the comparator's answer ([`crate::direct`]); the paper's
    /// networks have no such path.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}

/// The coarse student S^c. Each module can be absent (the paper's ablation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoarseConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// h-attention a region.
    pub attention: bool,
    /// Regions of the video tensor that the network looks at, [start, end); `None` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<[usize; 2]>,
    /// Transformer encoder over frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<TransformerConfig>,
    /// NetVLAD aggregation; without it the mean over frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netvlad: Option<NetVladConfig>,
}

impl CoarseConfig {
    /// Values of the video vector.
    #[must_use]
    pub fn output(&self) -> usize {
        self.netvlad.map_or(self.dims, |v| v.output)
    }
}

/// Transformer encoder of S^c: post-norm, ReLU, no positional encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Attention heads; divides `dims`.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feedforward: usize,
    /// Encoder layers.
    pub layers: usize,
}

/// NetVLAD of S^c.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetVladConfig {
    /// K clusters.
    pub clusters: usize,
    /// Values after the reduction layer.
    pub output: usize,
}

/// The selector SN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectorConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// Regions of the video tensor that the network looks at, [start, end); `None` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<[usize; 2]>,
    /// Comparator over the self-similarity matrix.
    pub comparator: ComparatorConfig,
    /// Width of the MLP.
    pub hidden: usize,
    /// Hidden-to-hidden layers of the MLP (upstream `num_layers`, 1).
    pub layers: usize,
}

fn config_error(state: &StateDict, reason: String) -> WeightsError {
    WeightsError::Config { network: state.label.clone(), reason }
}

/// Prefix of the comparator's tensors: `visil_head.` in DnS, `video_comperator.` (spelt so) in ViSiL.
pub(crate) fn comparator_prefix(state: &StateDict) -> &'static str {
    if state.contains("video_comperator.conv1.weight") { "video_comperator." } else { "visil_head." }
}

impl ComparatorConfig {
    /// Reads the channels off the weights; padding is not in them.
    ///
    /// # Errors
    /// A tensor that is missing or has another rank.
    pub fn infer(state: &StateDict, padding: PaddingMode) -> Result<Self, WeightsError> {
        let p = comparator_prefix(state);
        let [c1, c0, _, _] = state.shape_of_rank::<4>(&format!("{p}conv1.weight"))?;
        let [c2, _, _, _] = state.shape_of_rank::<4>(&format!("{p}conv2.weight"))?;
        let [c3, _, _, _] = state.shape_of_rank::<4>(&format!("{p}conv3.weight"))?;
        Ok(Self { channels: [c0, c1, c2, c3], padding, edge: PoolEdge::Drop })
    }
}

impl FineConfig {
    /// C: channels of the comparator's input.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.channels.as_ref().map_or(1, Vec::len)
    }

    /// The channels for videos of `regions` regions a frame.
    #[must_use]
    pub fn channels_of(&self, regions: usize) -> Cow<'_, [Channel]> {
        match &self.channels {
            Some(channels) => Cow::Borrowed(channels),
            None => Cow::Owned(vec![Channel { query: [0, regions], target: [0, regions], transposed: false }]),
        }
    }

    /// Regions that a frame must have at least for the channels.
    #[must_use]
    pub fn regions_needed(&self) -> usize {
        self.channels.iter().flatten().map(|c| c.query[1].max(c.target[1])).max().unwrap_or(1)
    }

    /// Checks what can be checked without weights; the text says what is wrong.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.dims == 0 {
            return Err("dims must be at least 1".into());
        }
        if let Some(bits) = self.bits {
            if self.attention != Attention::None {
                return Err("attention and binarisation exclude each other: leave one out".into());
            }
            if self.symmetric {
                return Err("the symmetric variant is defined for float tensors only".into());
            }
            if bits == 0 || bits % 8 != 0 {
                return Err(format!("bits must be a positive multiple of 8, not {bits}"));
            }
        }
        if self.direct && self.symmetric {
            return Err("the symmetric variant has no direct path: leave `direct` out".into());
        }
        if let Some(channels) = &self.channels {
            if channels.is_empty() {
                return Err("`channels` is empty: give at least one, or leave it out for one over all regions".into());
            }
            if self.symmetric {
                return Err("the symmetric variant has one channel over all regions: leave `channels` out, or give \
                            a transposed channel instead of `symmetric`"
                    .into());
            }
            for (i, channel) in channels.iter().enumerate() {
                for (side, range) in [("query", channel.query), ("target", channel.target)] {
                    check_range(range).map_err(|e| format!("`channels[{i}].{side}`: {e}"))?;
                    if range[1] > MAX_REGIONS {
                        return Err(format!(
                            "`channels[{i}].{side}` asks for regions up to {}, at most {MAX_REGIONS} are taken",
                            range[1]
                        ));
                    }
                }
            }
        }
        let (channels, inputs) = (self.channel_count(), self.comparator.channels[0]);
        if channels != inputs {
            return Err(format!(
                "the comparator takes {inputs} channels, the network has {channels}: `channels` and \
                 `comparator.channels` must agree"
            ));
        }
        Ok(())
    }

    /// Reads the configuration off an official state dict: ViSiL's (replication padding) by its `video_comperator`,
    /// S^f_B by `binarization.W`, S^f_A by `attention.transform`. `dims` is needed for a student with neither; `symmetric`
    /// is not in the weights.
    ///
    /// # Errors
    /// A tensor that is missing or has another rank.
    pub fn infer(state: &StateDict, dims: Option<usize>, symmetric: bool) -> Result<Self, WeightsError> {
        let teacher = state.contains("video_comperator.conv1.weight");
        let padding = if teacher { PaddingMode::Replicate } else { PaddingMode::Zero };
        let comparator = ComparatorConfig::infer(state, padding)?;
        let (attention, bits, found) = if state.contains("binarization.W") {
            let [d, l] = state.shape_of_rank::<2>("binarization.W")?;
            (Attention::None, Some(l), Some(d))
        } else if state.contains("attention.transform.weight") {
            (Attention::H, None, Some(state.shape_of_rank::<2>("attention.transform.weight")?[0]))
        } else if state.contains("attention.context_vector.weight") {
            (Attention::L2, None, Some(state.shape_of_rank::<2>("attention.context_vector.weight")?[1]))
        } else {
            (Attention::None, None, None)
        };
        let dims = match (found, dims) {
            (Some(found), Some(asked)) if found != asked => {
                return Err(config_error(state, format!("the weights are for {found} dimensions, not {asked}")));
            }
            (Some(d), _) | (None, Some(d)) => d,
            (None, None) => {
                return Err(config_error(state, "the weights do not tell the dimensions: give them".into()));
            }
        };
        Ok(Self { dims, attention, bits, symmetric, channels: None, comparator, direct: false })
    }
}

impl CoarseConfig {
    /// Reads the configuration off an official state dict; `heads` is not in the weights (upstream: 8).
    ///
    /// # Errors
    /// A tensor that is missing or has another rank; heads that do not divide the dimensions.
    pub fn infer(state: &StateDict, dims: Option<usize>, heads: usize) -> Result<Self, WeightsError> {
        let attention = state.contains("attention.transform.weight");
        let mut found = dims;
        if attention {
            found = Some(state.shape_of_rank::<2>("attention.transform.weight")?[0]);
        }
        let mut transformer = None;
        if state.contains("transformer.layers.0.linear1.weight") {
            let [feedforward, d] = state.shape_of_rank::<2>("transformer.layers.0.linear1.weight")?;
            let layers =
                (0..).take_while(|i| state.contains(&format!("transformer.layers.{i}.linear1.weight"))).count();
            found = Some(d);
            transformer = Some(TransformerConfig { heads, feedforward, layers });
        }
        let mut netvlad = None;
        if state.contains("netvlad.centroids") {
            let [clusters, d] = state.shape_of_rank::<2>("netvlad.centroids")?;
            let [output, _] = state.shape_of_rank::<2>("netvlad.reduction_layer.weight")?;
            found = Some(d);
            netvlad = Some(NetVladConfig { clusters, output });
        }
        let Some(dims) = found else {
            return Err(config_error(state, "the weights do not tell the dimensions: give them".into()));
        };
        Ok(Self { dims, attention, regions: None, transformer, netvlad })
    }
}

impl SelectorConfig {
    /// Reads the configuration off an official state dict.
    ///
    /// # Errors
    /// A tensor that is missing or has another rank.
    pub fn infer(state: &StateDict) -> Result<Self, WeightsError> {
        let [dims, _] = state.shape_of_rank::<2>("attention.transform.weight")?;
        let comparator = ComparatorConfig::infer(state, PaddingMode::Zero)?;
        let [hidden, _] = state.shape_of_rank::<2>("mlp.model.0.weight")?;
        // Linear, BN, ReLU, Dropout: four modules a layer; the last Linear has one output.
        let layers = (1..).take_while(|i| state.contains(&format!("mlp.model.{}.running_mean", 4 * i + 1))).count();
        Ok(Self { dims, regions: None, comparator, hidden, layers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::PlainConfig;
    use crate::regions::{Pooling, WindowGrid};

    fn windows(grids: &[(usize, f64)]) -> RegionPooling {
        let grids = grids.iter().map(|&(count, fraction)| WindowGrid { count, fraction }).collect();
        RegionPooling::Windows { grids, pooling: Pooling::Max, normalise: false }
    }

    fn fine(bits: Option<usize>) -> FineConfig {
        let channel = |query, target, transposed| Channel { query, target, transposed };
        FineConfig {
            dims: 128,
            attention: Attention::None,
            bits,
            symmetric: false,
            channels: Some(vec![
                channel([0, 9], [0, 9], false),
                channel([9, 10], [10, 35], false),
                channel([10, 35], [9, 10], true),
            ]),
            comparator: ComparatorConfig { channels: [3, 8, 8, 8], padding: PaddingMode::Zero, edge: PoolEdge::Keep },
            direct: false,
        }
    }

    /// Two scales of 10 and 25 regions, and networks that use them.
    fn two_scales() -> Config {
        Config {
            preprocess: Some(Preprocess::square(112)),
            backbone: Some(BackboneConfig::tiny()),
            regions: Some(windows(&[(3, 0.5), (1, 1.0)])),
            further_scales: vec![Scale {
                preprocess: Preprocess::square(224),
                regions: windows(&[(3, 0.5), (4, 0.5)]),
            }],
            fine_attention: Some(FineConfig { attention: Attention::H, direct: true, ..fine(None) }),
            fine_binary: Some(fine(Some(128))),
            coarse: Some(CoarseConfig {
                dims: 128,
                attention: true,
                regions: Some([0, 10]),
                transformer: None,
                netvlad: None,
            }),
            selector: Some(SelectorConfig {
                dims: 128,
                regions: Some([0, 9]),
                comparator: ComparatorConfig {
                    channels: [1, 8, 8, 8],
                    padding: PaddingMode::Zero,
                    edge: PoolEdge::Drop,
                },
                hidden: 10,
                layers: 1,
            }),
            ..Config::default()
        }
    }

    #[test]
    fn configurations_come_back_from_json() {
        let config = two_scales();
        config.validate().unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
        assert!(json.contains(r#"{"query":[10,35],"target":[9,10],"transposed":true}"#), "{json}");
    }

    /// A manifest as it was written before there were scales and channels: it parses, and is written as it was.
    #[test]
    fn old_configurations_stay_as_they_are() {
        let old = r#"{"preprocess":{"resize":{"short_side":256},"filter":"opencv_cubic","crop":224,"divisor":255.0,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"backbone":{"resnet":{"blocks":[3,4,6,3],"stem":64,"width":64,"expansion":4}},"regions":{"l3_imac":{"kernels":[28,14,6,3]}},"whitening":{"input":3840,"dims":512},"teacher":{"dims":512,"attention":"l2","symmetric":true,"comparator":{"channels":[1,32,64,128],"padding":"replicate"}},"fine_binary":{"dims":512,"attention":"none","bits":512,"symmetric":false,"comparator":{"channels":[1,32,64,128],"padding":"zero"}},"coarse":{"dims":512,"attention":true,"transformer":{"heads":8,"feedforward":2048,"layers":1},"netvlad":{"clusters":64,"output":1024}},"selector":{"dims":512,"comparator":{"channels":[1,32,64,128],"padding":"zero"},"hidden":100,"layers":1}}"#;
        let config: Config = serde_json::from_str(old).unwrap();
        config.validate().unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), old);
        assert_eq!(config.region_count().unwrap(), Some(9));
        let binary = config.fine(Network::FineBinary).unwrap();
        assert_eq!((binary.channel_count(), binary.regions_needed()), (1, 1));
        let all = Channel { query: [0, 12], target: [0, 12], transposed: false };
        assert_eq!(*binary.channels_of(12), [all]);
        assert!(config.fine(Network::Coarse).is_none());
    }

    #[test]
    fn regions_of_scales() {
        let config = two_scales();
        assert_eq!(config.region_ranges().unwrap(), Some(vec![0..10, 10..35]));
        assert_eq!(config.region_count().unwrap(), Some(35));
        assert_eq!(config.scales().map(|s| s.len()), Some(2));
        assert_eq!(Config::default().region_count().unwrap(), None);

        // The grid of L3-iMAC depends on the size of the input, which not every preprocessing fixes.
        let l3 = RegionPooling::L3Imac { kernels: vec![14, 6, 3] };
        let mut config = Config { regions: Some(l3), ..config };
        // 112 pixels: taps of 28, 14 and 7 pixels, windows of 3 at stride 2 on the last.
        assert_eq!(config.region_ranges().unwrap(), Some(vec![0..9, 9..34]));
        config.preprocess = Some(Preprocess { crop: Some(112), ..Preprocess::imagenet(112, 112) });
        assert_eq!(config.region_count().unwrap(), Some(34));
        config.preprocess = Some(Preprocess { crop: None, ..Preprocess::imagenet(112, 112) });
        assert_eq!(config.region_ranges().unwrap(), None);
        // Nothing can be said of what networks ask for, then: videos tell.
        config.validate().unwrap();
    }

    /// A change to a sound configuration, and what the refusal must say.
    type Case = (fn(&mut Config), &'static str, &'static str);

    #[test]
    fn contradictions_are_refused_by_name() {
        fn channels(config: &mut Config) -> &mut Vec<Channel> {
            config.fine_binary.as_mut().and_then(|f| f.channels.as_mut()).unwrap()
        }
        let cases: [Case; 21] = [
            (|c| c.further_scales.clear(), "fine_attention.channels", "up to 35, but a frame has 10"),
            (|c| channels(c)[1].target[1] = 36, "fine_binary.channels", "up to 36, but a frame has 35"),
            (|c| c.coarse.as_mut().unwrap().regions = Some([0, 36]), "coarse.regions", "up to 36"),
            (|c| c.selector.as_mut().unwrap().regions = Some([40, 41]), "selector.regions", "up to 41"),
            (|c| c.coarse.as_mut().unwrap().regions = Some([3, 3]), "coarse.regions", "above the start"),
            (|c| c.selector.as_mut().unwrap().regions = Some([3, 2]), "selector.regions", "above the start"),
            (|c| channels(c)[2].query = [5, 5], "fine_binary", "channels[2].query"),
            (|c| channels(c)[0].target = [5, 4], "fine_binary", "channels[0].target"),
            (|c| channels(c)[0].target = [0, usize::MAX], "fine_binary", "at most 4096"),
            (|c| channels(c).clear(), "fine_binary", "`channels` is empty"),
            (|c| _ = channels(c).pop(), "fine_binary", "takes 3 channels, the network has 2"),
            (|c| c.fine_binary.as_mut().unwrap().channels = None, "fine_binary", "takes 3 channels, the network has 1"),
            (|c| c.fine_attention.as_mut().unwrap().symmetric = true, "fine_attention", "symmetric"),
            (
                |c| {
                    let fine = c.fine_attention.as_mut().unwrap();
                    (fine.symmetric, fine.channels, fine.comparator.channels[0]) = (true, None, 1);
                },
                "fine_attention",
                "no direct path",
            ),
            (|c| c.fine_binary.as_mut().unwrap().bits = Some(12), "fine_binary", "multiple of 8"),
            (|c| c.fine_binary.as_mut().unwrap().bits = Some(2048), "fine_binary", "at most 65535 bits"),
            (|c| c.regions = None, "further_scales", "need a first one"),
            (|c| c.preprocess = None, "further_scales", "need a first one"),
            (
                |c| c.further_scales = vec![c.further_scales[0].clone(); MAX_SCALES],
                "further_scales",
                "at most 8 are taken",
            ),
            (
                |c| c.further_scales[0].regions = windows(&[(usize::MAX, 0.5)]),
                "further_scales[0]",
                "at most 4096 are taken",
            ),
            (
                |c| c.further_scales = vec![Scale { regions: windows(&[(45, 0.1)]), ..c.further_scales[0].clone() }; 3],
                "further_scales[2]",
                "at most 4096 are taken",
            ),
        ];
        for (i, (change, part, reason)) in cases.into_iter().enumerate() {
            let mut config = two_scales();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert!(error.part == part && error.to_string().contains(reason), "case {i}: {error}");
        }
        // Pooling that does not fit the backbone.
        let mut config = Config {
            backbone: Some(BackboneConfig::Plain(PlainConfig { stem: 4, stages: vec![6, 8], residual: true })),
            ..two_scales()
        };
        config.further_scales[0].regions = RegionPooling::L3Imac { kernels: vec![28, 14, 6, 3] };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("further_scales[0]") && message.contains("configured for 4 taps"), "{message}");
    }
}
