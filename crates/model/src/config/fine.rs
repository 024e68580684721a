//! Configurations of the fine-grained networks: teacher, S^f_A, S^f_B.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use vidsieve_kernels::comparator::Pool;

use super::error::{check_range, config_error};
use crate::regions::MAX_REGIONS;
use crate::weights::{StateDict, WeightsError};

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
