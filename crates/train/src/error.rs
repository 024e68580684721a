//! Why training cannot go on.

use std::path::{Path, PathBuf};

use vidsieve_edits::EditError;
use vidsieve_eval::retrieval::RetrievalError;
use vidsieve_model::backbone::BackboneError;
use vidsieve_model::bundle::BundleError;
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::fine::InputError;
use vidsieve_model::regions::RegionError;
use vidsieve_model::weights::WeightsError;
use vidsieve_model::whitening::WhiteningError;

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder of the run cannot be read, written or understood.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<FileError>,
    },
    /// Parameters, shapes and configuration do not fit together.
    #[error("{0}")]
    Network(String),
    /// Too little material to train on.
    #[error("{0}")]
    Data(String),
    /// A video of a set cannot be described.
    #[error("{video}: {source}")]
    Describe {
        /// The video's id.
        video: String,
        /// Why.
        source: Box<ExtractError>,
    },
    /// An image, a clip or an edit was refused.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Weights do not make the network that they are for.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The backbone's configuration or weights were refused.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// Feature maps do not fit the region pooling.
    #[error(transparent)]
    Regions(#[from] RegionError),
    /// Region vectors do not fit the whitening.
    #[error(transparent)]
    Whitening(#[from] WhiteningError),
    /// A bundle lacks a network, or one of its networks cannot be built or run.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// A network does not take the videos of a set.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A bundle is damaged, or lacks a network.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Arrays of contradicting shapes.
    #[error(transparent)]
    Shape(#[from] ndarray::ShapeError),
    /// Scores of a validation cannot be evaluated.
    #[error(transparent)]
    Evaluation(#[from] RetrievalError),
    /// Settings cannot be written as JSON.
    #[error("the settings of {stage} cannot be written as JSON: {source}")]
    Settings {
        /// The stage.
        stage: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The loss or a gradient is not finite.
    #[error("training diverged: {0}; lower the learning rate, or continue from an earlier checkpoint")]
    Diverged(String),
    /// Stopped on request; a checkpoint was kept.
    #[error("stopped; the same command continues from the last checkpoint")]
    Cancelled,
}

impl TrainError {
    /// An error about a file.
    pub fn file(path: &Path, source: impl Into<FileError>) -> Self {
        Self::File { path: path.to_owned(), source: Box::new(source.into()) }
    }
}

/// What is wrong with a file of a training run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not the JSON that is expected.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is not a sound safetensors file.
    #[error(transparent)]
    Tensors(#[from] safetensors::SafeTensorError),
    /// It is not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It is not an image or a clip that can be edited.
    #[error(transparent)]
    Picture(#[from] EditError),
    /// It is not a video that can be read or written.
    #[error(transparent)]
    Video(#[from] vidsieve_video::Error),
    /// It does not hold what is expected of it.
    #[error("{0}")]
    Content(String),
}

impl From<String> for FileError {
    fn from(reason: String) -> Self {
        Self::Content(reason)
    }
}

impl From<&str> for FileError {
    fn from(reason: &str) -> Self {
        Self::Content(reason.to_owned())
    }
}
