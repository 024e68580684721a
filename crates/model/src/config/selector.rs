//! Configuration of the selector SN.

use serde::{Deserialize, Serialize};

use super::fine::{ComparatorConfig, PaddingMode};
use crate::weights::{StateDict, WeightsError};

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
