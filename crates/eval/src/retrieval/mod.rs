//! Evaluation on a folder of videos: every network, the merge of coarse and fine answers, and what
//! the selector is worth.
//!
//! Nothing is decoded here. The caller indexes the videos, [`score`]s them (or fills the
//! [`Matrix`]es itself), and [`evaluate`] makes the numbers.
//!
//! Rules: equal scores keep database order; a query that is itself in the database is left out of
//! its own ranking and of the pairs that are selected; videos that could not be read are left out
//! of rankings and of what is relevant, and are named in the report.

mod matrix;
mod options;
mod quality;
mod report;
mod score;
mod selection;
#[cfg(test)]
mod tests;
mod truth;

use vidsieve_model::bundle::Network;
use vidsieve_model::fine::InputError;

pub use matrix::Matrix;
pub use options::EvaluateOptions;
pub use quality::{Interval, Quality, quality_of};
pub use report::{KindRow, RetrievalOutput, RetrievalReport, SHARES, evaluate};
pub use score::{Comparers, Doubt, RetrievalNetworks, Scores, VideoOutputs, bytes_per_video, score};
pub use selection::{ByShare, SelectionCurve};
pub use truth::{Task, Truth};

/// What a truth file looks like, in errors.
const TRUTH_FORM: &str = "{\"queries\": {\"q.mp4\": [\"relevant.mp4\", …]}, \"database\": [\"…\", …]}";

/// Why an evaluation is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetrievalError {
    /// The ground truth is no JSON of the right form.
    #[error("{file}: {source}; expected {TRUTH_FORM}")]
    TruthJson {
        /// The file.
        file: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The ground truth contradicts itself.
    #[error("{file}: {detail}; expected {TRUTH_FORM}")]
    Truth {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// No query or no database video is left.
    #[error("nothing to evaluate: {queries} queries and {targets} database videos could be read")]
    Nothing {
        /// Readable queries.
        queries: usize,
        /// Readable database videos.
        targets: usize,
    },
    /// Scores that do not belong to the task.
    #[error("scores of {name}: {detail}")]
    Scores {
        /// Network or selector.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A network refused a video.
    #[error("{network} cannot compare {query} with {target}: {source}")]
    Network {
        /// The network.
        network: Network,
        /// The query.
        query: String,
        /// The database video.
        target: String,
        /// Why.
        source: InputError,
    },
}
