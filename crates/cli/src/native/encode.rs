//! A file to an encoded video: FFmpeg decodes in a process and a thread of its own, frames are prepared and described on all
//! cores, a few batches at a time. Memory does not grow with the file beyond what is kept of each frame.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::output::Failure;
use rayon::prelude::*;
use vidsieve_model::encoder::{Encoder, MAX_FRAMES, Part};
use vidsieve_model::frames::RgbFrame;
use vidsieve_record::{Record, RecordError};
use vidsieve_search::Query;
use vidsieve_search::segments::Timeline;
use vidsieve_video::{CancelToken, Frame, Frames, Info, Limits, Options, Sampling, Warning};

/// Frames that one task describes.
const BATCH: usize = 8;

/// Why a file could not be encoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read as a video.
    #[error(transparent)]
    Video(#[from] vidsieve_video::Error),
    /// The networks refuse its frames.
    #[error("{path}: {source}")]
    Encode {
        /// The file.
        path: String,
        /// The reason.
        source: vidsieve_model::encoder::EncodeError,
    },
    /// What was encoded makes no record.
    #[error("{path}: {source}")]
    Record {
        /// The file.
        path: String,
        /// The reason.
        source: RecordError,
    },
}

impl FileError {
    /// How a command that needs the file ends: a file that is no video is bad input, an interruption or a missing program is not.
    pub(crate) fn failure(&self, cancel: &CancelToken) -> Failure {
        match self {
            _ if cancel.is_cancelled() => Failure::failed("interrupted"),
            Self::Video(vidsieve_video::Error::FfmpegMissing { .. }) => Failure::failed(self),
            _ => Failure::new(self),
        }
    }
}

/// An encoded file.
#[derive(Debug)]
pub(crate) struct Video {
    /// What is searched with.
    pub(crate) query: Query,
    /// What FFmpeg tells of the file.
    pub(crate) info: Info,
    /// What was lost on the way.
    pub(crate) warnings: Vec<Warning>,
    /// Time spent waiting for FFmpeg.
    pub(crate) decode: Duration,
    /// Time spent on preparing and describing frames (of this thread: tasks run on all cores).
    pub(crate) encode: Duration,
}

impl Video {
    /// What an index keeps.
    pub(crate) fn record(&self) -> Result<Record<Vec<u8>>, FileError> {
        self.query.record().map_err(|source| FileError::Record { path: self.info.path.display().to_string(), source })
    }
}

/// How far a file is: seconds of video that are encoded, and the length that its header promises.
pub(crate) type Progress<'a> = &'a (dyn Fn(f64, Option<f64>) + Sync);

/// How files are encoded.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// Which frames are taken.
    pub(crate) sampling: Sampling,
    /// Files that are encoded at the same time: each holds its share of the frames in memory.
    pub(crate) files: usize,
    /// Ends it.
    pub(crate) cancel: CancelToken,
}

/// Encodes a file.
pub(crate) fn file(encoder: &Encoder, path: &Path, work: &Work, progress: Progress<'_>) -> Result<Video, FileError> {
    let refuse = |source| FileError::Encode { path: path.display().to_string(), source };
    let block = BATCH * rayon::current_num_threads().div_ceil(work.files.max(1));
    let options = Options {
        sampling: work.sampling,
        max_side: Some(encoder.frame_side()),
        // The next block is decoded while this one is described.
        ahead: block,
        limits: Limits { frames: MAX_FRAMES as u64, ..Limits::default() },
        cancel: work.cancel.clone(),
        ..Options::default()
    };
    let mut frames = Frames::open(path, options)?;
    let promised = frames.info().duration;
    let (mut all, mut times) = (Part::default(), Vec::new());
    let (mut decode, mut encode) = (Duration::ZERO, Duration::ZERO);
    let mut batch: Vec<Run> = Vec::with_capacity(block);
    let mut ended = false;
    while !ended {
        let start = Instant::now();
        batch.clear();
        let mut samples = 0;
        // A still picture makes long runs: they end with a number of samples, so that progress is seen and kept.
        while batch.len() < block && samples < STILL {
            let Some(frame) = frames.next() else {
                ended = true;
                break;
            };
            let frame = frame?;
            samples += 1;
            times.push(frame.time());
            match batch.last_mut() {
                Some(run) if same(&run.frame, &frame) => run.samples += 1,
                _ => batch.push(Run { frame, samples: 1 }),
            }
        }
        decode += start.elapsed();
        if batch.is_empty() {
            break;
        }
        let start = Instant::now();
        let parts: Vec<Part> = tasks(&batch)
            .into_par_iter()
            .map(|runs| describe(encoder, runs))
            .collect::<Result<_, _>>()
            .map_err(refuse)?;
        parts.iter().for_each(|part| all.join(part));
        encode += start.elapsed();
        progress(times.last().copied().unwrap_or(0.0), promised);
    }
    let start = Instant::now();
    let encoded = encoder.finish(all).map_err(refuse)?;
    encode += start.elapsed();
    let info = frames.info().clone();
    let query = Query::new(encoder.bundle(), encoded, Timeline::of_file(times, info.duration));
    Ok(Video { query, info, warnings: frames.warnings().to_vec(), decode, encode })
}

/// Samples of a still picture that are taken at a time.
const STILL: usize = 4096;

/// A picture and how many samples it lasts.
struct Run {
    frame: Frame,
    samples: usize,
}

fn same(a: &Frame, b: &Frame) -> bool {
    (b.is_repeat() || a.data() == b.data()) && (a.width(), a.height()) == (b.width(), b.height())
}

/// Runs that are described together: up to [`BATCH`] of one sample each, or one that lasts.
fn tasks(runs: &[Run]) -> Vec<&[Run]> {
    runs.chunk_by(|a, b| a.samples == 1 && b.samples == 1).flat_map(|some| some.chunks(BATCH)).collect()
}

/// A picture that lasts for several samples is described once.
fn describe(encoder: &Encoder, runs: &[Run]) -> Result<Part, vidsieve_model::encoder::EncodeError> {
    let views = runs
        .iter()
        .map(|Run { frame, .. }| RgbFrame::new(frame.width(), frame.height(), frame.data()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(vidsieve_model::extractor::ExtractError::from)?;
    let part = encoder.describe(&views)?;
    let [Run { samples, .. }] = runs else { return Ok(part) };
    let mut repeated = Part::default();
    (0..*samples).for_each(|_| repeated.join(&part));
    Ok(repeated)
}
