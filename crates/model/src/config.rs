//! What a bundle says about its networks. Every size comes from here; no network has constants of its own.

use serde::{Deserialize, Serialize};

use crate::backbone::BackboneConfig;
use crate::frames::Preprocess;
use crate::regions::RegionPooling;
use crate::weights::{StateDict, WeightsError};

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

/// The video comparator: three 3x3 convolutions, two pools, one 1x1 convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparatorConfig {
    /// Channels of the input map and after each 3x3 convolution (upstream: 1, 32, 64, 128).
    pub channels: [usize; 4],
    /// Padding of each convolution.
    pub padding: PaddingMode,
}

/// A fine-grained network: teacher, S^f_A, S^f_B or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// Weighting of regions.
    pub attention: Attention,
    /// L: bits of a region's code; `None` keeps floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<usize>,
    /// Whether both Chamfer similarities are averaged over both directions (`visil_symmetric`).
    #[serde(default)]
    pub symmetric: bool,
    /// The comparator.
    pub comparator: ComparatorConfig,
}

/// The coarse student S^c. Each module can be absent (the paper's ablation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoarseConfig {
    /// D: values of a region vector.
    pub dims: usize,
    /// h-attention a region.
    pub attention: bool,
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
        Ok(Self { channels: [c0, c1, c2, c3], padding })
    }
}

impl FineConfig {
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
        Ok(Self { dims, attention, bits, symmetric, comparator })
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
        Ok(Self { dims, attention, transformer, netvlad })
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
        Ok(Self { dims, comparator, hidden, layers })
    }
}
