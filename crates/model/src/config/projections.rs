//! Sizes of the projections of region vectors: whitening and iterative quantisation.

use serde::{Deserialize, Serialize};

/// Sizes of PCA-whitening (`nrm((x - mean) W)`).
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
