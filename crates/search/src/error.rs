//! Why a search fails.

use vidsieve_model::extractor::ExtractError;
use vidsieve_model::fine::InputError;
use vidsieve_record::RecordError;

/// Why a search cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A vector of another length than the table's.
    #[error("a video vector of {found} values where {expected} are indexed")]
    Dims {
        /// Values that the index has.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Columns of a table that do not belong together.
    #[error("{ids} ids, {values} values and {scalars} scalars do not make a table of {dims} dimensions")]
    Columns {
        /// Ids.
        ids: usize,
        /// Values of all vectors.
        values: usize,
        /// Self-similarities.
        scalars: usize,
        /// Dimensions of a vector.
        dims: usize,
    },
    /// A record of another bundle, or damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Codes of another shape than the networks'.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The bundle lacks a network.
    #[error(transparent)]
    Bundle(#[from] ExtractError),
}
