//! The paper's data sets: their published annotations, what each ranks and counts as relevant, and
//! the figures of a set of scores.
//!
//! Scores come from a bundle's networks over videos or stored features ([`compute`]) or from a file
//! ([`Similarities`]); [`evaluate`] makes one report of either. Rules, as the public evaluations
//! have them (`docs/mathematics.md`, §8):
//!
//! - Equal scores keep database order, which is the order of ids as strings.
//! - Videos that are unavailable are ranked nowhere. They are no positives in FIVR, EVVE, SVD and
//!   VCDB; in `CC_WEB_VIDEO` the denominator counts them.
//! - A query without a relevant video divides by zero upstream in FIVR, `CC_WEB_VIDEO` and VCDB: it
//!   is left out of the mean and counted. In EVVE and SVD it counts 0, as upstream.

mod annotation;
mod compute;
#[cfg(not(target_family = "wasm"))]
mod features;
mod judge;
mod names;
mod report;
mod rules;
mod similarities;
mod value;

use std::fmt;

pub use annotation::AnnotationFile;
pub use compute::{AbsentVideo, Scored, VideoSource, compute};
#[cfg(not(target_family = "wasm"))]
pub use features::FeatureFiles;
pub use judge::{Judge, TaskRow};
pub use names::VideoNames;
pub use report::{Counts, DatasetReport, MergeCurve, evaluate};
pub use similarities::{Similarities, SimilarityFile};

use rules::Rules;

/// A data set of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetName {
    /// FIVR-200K.
    Fivr200k,
    /// FIVR-5K.
    Fivr5k,
    /// `CC_WEB_VIDEO`.
    CcWebVideo,
    /// SVD.
    Svd,
    /// EVVE.
    Evve,
    /// VCDB.
    Vcdb,
}

impl DatasetName {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Fivr200k, Self::Fivr5k, Self::CcWebVideo, Self::Svd, Self::Evve, Self::Vcdb];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fivr200k => "fivr-200k",
            Self::Fivr5k => "fivr-5k",
            Self::CcWebVideo => "cc-web-video",
            Self::Svd => "svd",
            Self::Evve => "evve",
            Self::Vcdb => "vcdb",
        }
    }

    /// The data set of a name, in any case and with `_` for `-`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = name.to_lowercase().replace('_', "-");
        Self::ALL.into_iter().find(|set| set.name() == name)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A data set's queries, database and annotation.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    name: DatasetName,
    queries: Vec<String>,
    database: Vec<String>,
    rules: Rules,
}

impl Dataset {
    /// Which one it is.
    #[must_use]
    pub const fn name(&self) -> DatasetName {
        self.name
    }

    /// Ids of the queries, in the order of the annotation.
    #[must_use]
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Ids of the database videos, ascending.
    #[must_use]
    pub fn database(&self) -> &[String] {
        &self.database
    }

    /// Names of the tasks, in the order of reports: those of the public evaluation.
    pub fn tasks(&self) -> impl Iterator<Item = &'static str> {
        self.rules.tasks().iter().map(|task| task.name)
    }
}

/// Why an evaluation of a data set is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file is no annotation of the data set.
    #[error("{file}: {detail}; expected {expected}")]
    Annotation {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
        /// What the data set's annotation looks like.
        expected: &'static str,
    },
    /// A file of values cannot be read.
    #[error("{file}: {detail}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Scores that do not belong to the data set.
    #[error("{file}: {detail}")]
    Similarities {
        /// The file, or the name of the scores.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// No query or no database video is left.
    #[error(
        "nothing to evaluate: of {dataset}, {queries} of {queries_listed} queries and {targets} of {targets_listed} \
         database videos are here; the first missing one is `{example}`"
    )]
    Nothing {
        /// The data set.
        dataset: DatasetName,
        /// Queries that are available.
        queries: usize,
        /// Queries of the annotation.
        queries_listed: usize,
        /// Database videos that are available.
        targets: usize,
        /// Database videos of the annotation.
        targets_listed: usize,
        /// An id that was looked for.
        example: String,
    },
    /// A network refused a video.
    #[error("{video}: {source}")]
    Network {
        /// Id of the video, or of both.
        video: String,
        /// Why.
        source: vidsieve_model::fine::InputError,
    },
}
