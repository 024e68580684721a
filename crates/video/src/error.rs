//! What can go wrong, and what was lost without failing.

use std::fmt;
use std::path::PathBuf;

/// Why a video cannot be read or written. Every text names the file and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `ffmpeg` or `ffprobe` cannot be started.
    #[error(
        "cannot run {tool:?} ({source}): install FFmpeg 4.4 or newer (Debian and Ubuntu: apt install ffmpeg; macOS: \
         brew install ffmpeg; Windows: winget install ffmpeg), or set VIDSIEVE_FFMPEG and VIDSIEVE_FFPROBE to the \
         programs"
    )]
    FfmpegMissing {
        /// The program that was tried.
        tool: PathBuf,
        /// Why it did not start.
        source: std::io::Error,
    },
    /// The file cannot be opened.
    #[error("cannot read {path:?}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder, device or other thing that is no plain file.
    #[error("{path:?} is not a file")]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{path:?} is empty (0 bytes); copy or download it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// FFmpeg does not recognise the content.
    #[error("{path:?} is not a video that FFmpeg can read: {detail}")]
    NotAVideo {
        /// The file.
        path: PathBuf,
        /// What FFmpeg said.
        detail: String,
    },
    /// There is sound but no picture (cover art does not count).
    #[error("{path:?} has sound but no video stream")]
    AudioOnly {
        /// The file.
        path: PathBuf,
    },
    /// A picture without size or beyond the limit.
    #[error("{path:?} has a picture of {width}x{height} pixels; each side must be 1 to {limit}")]
    Size {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
        /// Largest side.
        limit: u32,
    },
    /// Not one frame was decoded.
    #[error("no frame of {path:?} could be decoded: {detail}")]
    NothingDecoded {
        /// The file.
        path: PathBuf,
        /// What FFmpeg said.
        detail: String,
    },
    /// FFmpeg kept the reader waiting for longer than [`crate::Limits`] allow.
    #[error("reading {path:?} was given up: {what} took more than {seconds} s; raise the limit if the file is sound")]
    TimeLimit {
        /// The file.
        path: PathBuf,
        /// What took too long.
        what: &'static str,
        /// The limit in seconds.
        seconds: f64,
    },
    /// What FFmpeg's output says contradicts the format it was asked for.
    #[error("FFmpeg's output for {path:?} cannot be read: {detail}; report this with the output of `ffmpeg -version`")]
    Protocol {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// [`crate::CancelToken::cancel`] was called.
    #[error("reading {path:?} was cancelled")]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// Options that contradict themselves.
    #[error("video options: {0}")]
    Options(String),
    /// A video cannot be written.
    #[error("cannot write {path:?}: {detail}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// What was not read although reading went on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The file ends early: frames up to `read` seconds came out of the `expected` seconds that its header promises.
    Lost {
        /// Time of the last decoded frame in seconds.
        read: f64,
        /// Duration by the header in seconds.
        expected: f64,
        /// What FFmpeg said.
        detail: String,
    },
    /// FFmpeg reported damage, but the frames cover the whole duration.
    Damaged {
        /// What FFmpeg said.
        detail: String,
    },
    /// [`crate::Limits::frames`] was reached; the rest was not read.
    FrameLimit {
        /// The limit.
        frames: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { read, expected, detail } => {
                write!(f, "damaged: only the first {read:.1} of {expected:.1} s could be read ({detail})")
            }
            Self::Damaged { detail } => write!(f, "damaged in places: {detail}"),
            Self::FrameLimit { frames } => write!(f, "the limit of {frames} frames was reached; the rest was not read"),
        }
    }
}
