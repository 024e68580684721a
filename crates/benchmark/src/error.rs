//! Why a benchmark cannot go on.

use vidsieve_eval::retrieval::RetrievalError;
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::fine::InputError;
use vidsieve_model::weights::WeightsError;
use vidsieve_train::TrainError;

/// Why a benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// Videos cannot be made, or networks trained.
    #[error("{0}")]
    Train(#[source] Box<TrainError>),
    /// Scores cannot be evaluated.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// A bundle lacks a network, or one of its networks cannot be built.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// A network refuses a video.
    #[error("{video}: {source}")]
    Video {
        /// The video's id.
        video: String,
        /// Why.
        source: InputError,
    },
    /// Weights do not make the network that they are for.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The bundle cannot describe frames.
    #[error("the bundle has no backbone with whitening to describe videos with: give one that `train bundle` made")]
    NoExtractor,
}

impl From<TrainError> for BenchmarkError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}
