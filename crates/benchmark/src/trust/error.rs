//! Why a trust benchmark cannot be made or run.

use std::path::{Path, PathBuf};

use vidsieve_edits::EditError;

/// Why a trust benchmark cannot be made or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file or folder cannot be read or written, or is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A video cannot be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A video cannot be read, encoded or compared.
    #[error(transparent)]
    Library(#[from] vidsieve::Error),
    /// Nothing can be fitted on the pairs.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] vidsieve_train::TrainError),
    /// The options or the clips make no benchmark.
    #[error("{0}")]
    Data(String),
    /// The run was stopped; the same command continues.
    #[error("interrupted: the same command continues")]
    Cancelled,
}

impl TrustError {
    pub(crate) fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }
}
