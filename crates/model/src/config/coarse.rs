//! Configuration of the coarse student S^c.

use serde::{Deserialize, Serialize};

use super::error::config_error;
use crate::weights::{StateDict, WeightsError};

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
