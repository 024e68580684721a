//! Refusals that configurations share.

use crate::weights::{StateDict, WeightsError};

/// A configuration that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}`: {reason}")]
pub struct ConfigError {
    /// The entry at fault, such as `fine_binary.channels`.
    pub part: String,
    /// What is wrong and what would do.
    pub reason: String,
}

/// Refuses a range of regions `[start, end)` that is empty.
pub(crate) fn check_range([start, end]: [usize; 2]) -> Result<(), String> {
    if start < end { Ok(()) } else { Err(format!("regions [{start}, {end}): the end must be above the start")) }
}

pub(super) fn config_error(state: &StateDict, reason: String) -> WeightsError {
    WeightsError::Config { network: state.label.clone(), reason }
}
