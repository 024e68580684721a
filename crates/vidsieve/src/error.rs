//! Why an operation failed.

use std::path::PathBuf;

use vidsieve_files::FindError;
use vidsieve_index::store::IndexError;
use vidsieve_model::bundle::BundleError;
use vidsieve_model::encoder::EncodeError;
use vidsieve_record::{BundleId, RecordError};
use vidsieve_search::SearchError;
use vidsieve_video::Sampling;

use crate::archive::IndexReport;
use crate::encode::sampling_name;

/// Why an operation of this crate failed. Each message is one line that names the file, option or id and, where there is
/// one, the remedy; [`source`](std::error::Error::source) leads to the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operation was stopped by its [`CancelToken`](crate::CancelToken) before it had a result.
    #[error("interrupted")]
    Cancelled,
    /// An option outside its range.
    #[error("{option} {value}: {rule}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// The value given.
        value: String,
        /// The values that are allowed.
        rule: &'static str,
    },
    /// `VIDSIEVE_ISA` names an instruction set that this machine lacks.
    #[error("VIDSIEVE_ISA: this machine has no instruction set {0:?}")]
    InstructionSet(String),
    /// The index cannot be opened, read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk is full.
    #[error("{0}: make room on the disk; what is indexed is kept, the same command goes on from there")]
    StorageFull(#[source] IndexError),
    /// The model in an index's folder is not the one that made the index.
    #[error(
        "{}: this is not the bundle that made the index ({}): put that one in its place",
        path.display(),
        expected.short()
    )]
    ForeignModel {
        /// The model's file.
        path: PathBuf,
        /// The model that made the index.
        expected: BundleId,
    },
    /// A model's file cannot be read.
    #[error("{}: {source}", path.display())]
    ReadModel {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A model's file is damaged or of another format.
    #[error(transparent)]
    Model(#[from] BundleError),
    /// The model lacks a network that encoding needs.
    #[error(transparent)]
    Encoder(EncodeError),
    /// The videos of the index are sampled in another way.
    #[error(
        "{}: the sampling of this index is `{}`, not `{}`: leave the option out, or make another index",
        folder.display(),
        sampling_name(*found),
        sampling_name(*asked)
    )]
    OtherSampling {
        /// The index's folder.
        folder: PathBuf,
        /// The sampling of the index.
        found: Sampling,
        /// The sampling asked for.
        asked: Sampling,
    },
    /// The index names a sampling of a later version.
    #[error("{}: sampled by {name:?}, which this Vidsieve does not know", folder.display())]
    UnknownSampling {
        /// The index's folder.
        folder: PathBuf,
        /// The sampling by name.
        name: String,
    },
    /// The index has no video of this id.
    #[error("{id:?}: no such video in {}", folder.display())]
    UnknownVideo {
        /// The id.
        id: String,
        /// The index's folder.
        folder: PathBuf,
    },
    /// Paths that cannot be searched for videos.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Paths without a single video.
    #[error(
        "no videos in {}: folders are searched for files with the usual extensions; name a file to index whatever it is \
         called",
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoVideos {
        /// The paths.
        paths: Vec<PathBuf>,
    },
    /// A file cannot be decoded, or FFmpeg is missing ([`vidsieve_video::Error::FfmpegMissing`]).
    #[error(transparent)]
    Video(#[from] vidsieve_video::Error),
    /// Frames that cannot be encoded.
    #[error("{video}: {source}")]
    Encode {
        /// The file, or a word for frames without one.
        video: String,
        /// The cause.
        source: EncodeError,
    },
    /// A frame that is not later than the one before it.
    #[error("frame {frame} at {time} s: times must be finite and must not decrease")]
    FrameTime {
        /// The frame's number, from 0.
        frame: usize,
        /// Its time in seconds.
        time: f64,
    },
    /// An encoded video that makes no record.
    #[error("{video}: {source}")]
    Record {
        /// The file or id.
        video: String,
        /// The cause.
        source: RecordError,
    },
    /// Videos that cannot be compared, such as those of two models.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A plan, or the log of one, that cannot be used.
    #[error("{}: {detail}", path.display())]
    Plan {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A decision that cannot be kept.
    #[error("{0}")]
    Decision(String),
    /// Choices that contradict each other, or are too many.
    #[error("{0}")]
    Choice(String),
    /// Adding videos stopped before all files were processed. What was committed stays, and adding the same paths again
    /// continues from there.
    #[error("{}: stopped: {source}", report.index)]
    AddStopped {
        /// What was done until then.
        report: Box<IndexReport>,
        /// Why it stopped.
        source: Box<Error>,
    },
}

impl Error {
    /// Returns whether the operation was cancelled rather than refused.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled | Self::Video(vidsieve_video::Error::Cancelled { .. }) => true,
            Self::AddStopped { source, .. } => source.is_cancelled(),
            _ => false,
        }
    }
}
