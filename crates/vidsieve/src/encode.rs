//! Videos to what an index keeps of them.
//!
//! FFmpeg decodes in a process and a thread of its own, frames are prepared and described on all cores, a few batches at a
//! time. Memory does not grow with the video beyond what is kept of each frame.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use vidsieve_model::encoder::{EncodeError, Encoder, MAX_FRAMES, Part};
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::frames::{FrameError, RgbFrame};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::{BundleId, Record};
use vidsieve_search::Query;
use vidsieve_search::segments::Timeline;
use vidsieve_video::{Frame, Frames, Info, Limits, Options, Sampling, Warning};

use crate::{Error, Model, View};

/// Frames that one task describes.
const BATCH: usize = 8;
/// Samples of a still picture that are taken at a time.
const STILL: usize = 4096;
/// The highest rate of sampling, in frames a second.
pub(crate) const MAX_FPS: f64 = 1000.0;

/// Returns the name of a sampling, as an index keeps it.
pub(crate) fn sampling_name(sampling: Sampling) -> Cow<'static, str> {
    match sampling {
        Sampling::Adaptive => Cow::Borrowed("auto"),
        Sampling::Fps(fps) => Cow::Owned(format!("fps {fps}")),
        Sampling::Upstream => Cow::Borrowed("upstream"),
        Sampling::All => Cow::Borrowed("all"),
    }
}

/// Returns the sampling of a name that an index keeps; `None` for an unknown one.
pub(crate) fn sampling_of_name(name: &str) -> Option<Sampling> {
    [Sampling::Adaptive, Sampling::Upstream]
        .into_iter()
        .find(|sampling| sampling_name(*sampling) == name)
        .or_else(|| name.strip_prefix("fps ")?.parse().ok().map(Sampling::Fps))
}

/// Refuses a rate outside its range.
pub(crate) fn check_sampling(sampling: Sampling) -> Result<(), Error> {
    match sampling {
        Sampling::Fps(fps) if !(fps.is_finite() && fps > 0.0 && fps <= MAX_FPS) => Err(Error::InvalidOption {
            option: "fps",
            value: fps.to_string(),
            rule: "must be above 0 and at most 1000",
        }),
        _ => Ok(()),
    }
}

/// Options of [`encode_file`].
#[derive(Debug, Clone)]
#[must_use]
pub struct EncodeOptions {
    sampling: Sampling,
    files: usize,
    view: View,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { sampling: Sampling::default(), files: 1, view: View::Upright }
    }
}

impl EncodeOptions {
    /// Returns the defaults: [`Sampling::Adaptive`], one file at a time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which frames are taken. By default one a second, and 2, 4 or 8 of videos below 15
    /// seconds.
    pub const fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets how the frames are seen: upright by default. A copy that is turned or mirrored is like the video in the same view.
    pub const fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Sets how many files the program encodes at the same time, 1 or more: each holds its share of frames in memory.
    pub const fn files_at_once(mut self, files: usize) -> Self {
        self.files = files;
        self
    }
}

/// A video as it is indexed, searched with and compared: a vector, and a code for each sampled frame.
#[derive(Debug, Clone)]
pub struct EncodedVideo {
    query: Query,
    info: Option<Info>,
    warnings: Vec<Warning>,
    decode: Duration,
    encode: Duration,
}

impl EncodedVideo {
    /// Reads a video from a record.
    ///
    /// # Errors
    /// [`Error::Search`] for codes that no network could have made.
    pub fn from_record<B: AsRef<[u8]>>(record: &Record<B>) -> Result<Self, Error> {
        Ok(Self::of(Query::from_record(record)?))
    }

    fn of(query: Query) -> Self {
        Self { query, info: None, warnings: Vec::new(), decode: Duration::ZERO, encode: Duration::ZERO }
    }

    /// Returns the record that an index keeps of the video.
    ///
    /// # Errors
    /// [`Error::Record`] for times or codes that no record holds.
    pub fn record(&self) -> Result<Record<Vec<u8>>, Error> {
        self.query.record().map_err(|source| Error::Record { video: self.name(), source })
    }

    fn name(&self) -> String {
        self.info.as_ref().map_or_else(|| "the frames".to_owned(), |info| info.path.display().to_string())
    }

    /// Returns the identity of the model that encoded it.
    #[must_use]
    pub const fn model(&self) -> BundleId {
        self.query.bundle
    }

    /// Returns the times of its T sampled frames in seconds from the first; they do not decrease.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        self.query.timeline.times()
    }

    /// Returns its length in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.query.timeline.duration()
    }

    /// Returns FFmpeg's description of the file; `None` for a video that was not encoded from one.
    #[must_use]
    pub const fn info(&self) -> Option<&Info> {
        self.info.as_ref()
    }

    /// Returns what could not be read of the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the time spent waiting for frames.
    #[must_use]
    pub const fn decode_time(&self) -> Duration {
        self.decode
    }

    /// Returns the time spent describing frames, on all cores at once.
    #[must_use]
    pub const fn encode_time(&self) -> Duration {
        self.encode
    }

    /// Returns the video for the crates below this one. It is no part of the promised surface.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_query(&self) -> &Query {
        &self.query
    }
}

/// A frame of the caller: RGB, 8 bits a channel, rows from the top without padding.
#[derive(Debug, Clone, PartialEq)]
pub struct RgbPicture {
    /// Seconds from the first frame.
    pub time: f64,
    /// Width in pixels, 1 to 32,768.
    pub width: u32,
    /// Height in pixels, 1 to 32,768.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

/// Encodes a video file. Reports the stage `encoding` in seconds of video.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Video`] for a file that is no video, or without FFmpeg; [`Error::Encode`] for more than
/// 100,000 frames; [`Error::Encoder`] for a model without the networks for it.
pub fn encode_file(
    model: &Model,
    path: impl AsRef<Path>,
    options: &EncodeOptions,
    control: &Control<'_>,
) -> Result<EncodedVideo, Error> {
    let (path, encoder) = (path.as_ref(), model.encoder()?);
    check_sampling(options.sampling)?;
    let block = BATCH * rayon::current_num_threads().div_ceil(options.files.max(1));
    let decoding = Options {
        sampling: options.sampling,
        max_side: Some(encoder.frame_side()),
        // The next block is decoded while this one is described.
        ahead: block,
        limits: Limits { frames: MAX_FRAMES as u64, ..Limits::default() },
        cancel: control.cancel().clone(),
        ..Options::default()
    };
    let name = path.display().to_string();
    let run = || {
        let mut frames = Frames::open(path, decoding)?;
        let promised = frames.info().duration;
        let done = |at: f64| control.report(&Progress::new("encoding", at, promised, Unit::Seconds).of(&name));
        let encoded = match options.view {
            View::Upright => describe_all(encoder, &name, block, &mut || Ok(frames.next().transpose()?), &done)?,
            view => {
                let turned = |frame: Frame| view.apply(frame.time(), frame.width(), frame.height(), frame.data());
                describe_all(encoder, &name, block, &mut || Ok(frames.next().transpose()?.map(turned)), &done)?
            }
        };
        let info = frames.info().clone();
        // What was read, not what the header promises.
        let timeline = match frames.length() {
            Some(length) => Timeline::new(encoded.times, length),
            None => Timeline::of_file(encoded.times, None),
        };
        let query = Query::new(encoder.bundle(), encoded.video, timeline);
        let warnings = frames.warnings().to_vec();
        Ok(EncodedVideo { query, info: Some(info), warnings, decode: encoded.waiting, encode: encoded.describing })
    };
    run().map_err(|error: Error| if control.is_cancelled() { Error::Cancelled } else { error })
}

/// Encodes two files at the same time, in their order.
///
/// # Errors
/// As [`encode_file`].
pub fn encode_files(
    model: &Model,
    paths: [&Path; 2],
    options: &EncodeOptions,
    control: &Control<'_>,
) -> Result<[EncodedVideo; 2], Error> {
    let options = options.clone().files_at_once(2);
    let [a, b] = paths;
    // The networks are built once, before the threads need them.
    model.encoder()?;
    let (a, b) = std::thread::scope(|scope| {
        let second = scope.spawn(|| encode_file(model, b, &options, control));
        let first = encode_file(model, a, &options, control);
        (first, second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    Ok([a?, b?])
}

/// Encodes frames of the caller, in the order of their times: frames that were decoded elsewhere,
/// or drawn. All of them are taken. An index that they are searched in should have been sampled
/// alike: by default one frame a second, and for a video below 15, 7.5 or 3.75 seconds 2, 4 or 8.
/// `duration` is the video's length in seconds if it is known. Reports the stage `encoding` in
/// seconds of video.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Encode`] without frames, for more than 100,000, or for one of another size than its bytes;
/// [`Error::FrameTime`] for times that decrease; [`Error::Encoder`] for a model without the networks for it.
pub fn encode_frames(
    model: &Model,
    frames: impl IntoIterator<Item = RgbPicture>,
    duration: Option<f64>,
    control: &Control<'_>,
) -> Result<EncodedVideo, Error> {
    let encoder = model.encoder()?;
    let (mut frames, mut count, mut last) = (frames.into_iter(), 0, 0.0);
    let mut next = || {
        let Some(frame) = frames.next() else { return Ok(None) };
        if !frame.time.is_finite() || frame.time < last {
            return Err(Error::FrameTime { frame: count, time: frame.time });
        }
        (count, last) = (count + 1, frame.time);
        if control.is_cancelled() { Err(Error::Cancelled) } else { Ok(Some(frame)) }
    };
    let done = |at: f64| control.report(&Progress::new("encoding", at, duration, Unit::Seconds));
    let block = BATCH * rayon::current_num_threads();
    let encoded = describe_all(encoder, "the frames", block, &mut next, &done)?;
    let query = Query::new(encoder.bundle(), encoded.video, Timeline::of_file(encoded.times, duration));
    Ok(EncodedVideo { decode: encoded.waiting, encode: encoded.describing, ..EncodedVideo::of(query) })
}

/// A sampled picture.
trait Picture: Send + Sync {
    fn time(&self) -> f64;
    fn view(&self) -> Result<RgbFrame<'_>, FrameError>;
    /// Whether `next` shows the very same pixels.
    fn is_same(&self, next: &Self) -> bool;
}

impl Picture for Frame {
    fn time(&self) -> f64 {
        Self::time(self)
    }

    fn view(&self) -> Result<RgbFrame<'_>, FrameError> {
        RgbFrame::new(self.width(), self.height(), self.data())
    }

    fn is_same(&self, next: &Self) -> bool {
        (next.is_repeat() || self.data() == next.data())
            && (self.width(), self.height()) == (next.width(), next.height())
    }
}

impl Picture for RgbPicture {
    fn time(&self) -> f64 {
        self.time
    }

    fn view(&self) -> Result<RgbFrame<'_>, FrameError> {
        RgbFrame::new(self.width, self.height, &self.rgb)
    }

    fn is_same(&self, next: &Self) -> bool {
        (self.width, self.height) == (next.width, next.height) && self.rgb == next.rgb
    }
}

/// The result of [`describe_all`].
struct Described {
    video: vidsieve_model::encoder::Encoded,
    times: Vec<f64>,
    /// Time spent in `next`.
    waiting: Duration,
    describing: Duration,
}

/// Describes all pictures, a block at a time; `done` receives the time of the last one after each block.
fn describe_all<P: Picture>(
    encoder: &Encoder,
    name: &str,
    block: usize,
    next: &mut dyn FnMut() -> Result<Option<P>, Error>,
    done: &dyn Fn(f64),
) -> Result<Described, Error> {
    let refuse = |source| Error::Encode { video: name.to_owned(), source };
    let (mut all, mut times) = (Part::default(), Vec::new());
    let (mut waiting, mut describing) = (Duration::ZERO, Duration::ZERO);
    let mut batch: Vec<Run<P>> = Vec::with_capacity(block);
    let mut ended = false;
    while !ended {
        let start = Instant::now();
        batch.clear();
        let mut samples = 0;
        // A still picture makes long runs: they end with a number of samples, so that progress is seen and kept.
        while batch.len() < block && samples < STILL {
            let Some(picture) = next()? else {
                ended = true;
                break;
            };
            samples += 1;
            times.push(picture.time());
            match batch.last_mut() {
                Some(run) if run.picture.is_same(&picture) => run.samples += 1,
                _ => batch.push(Run { picture, samples: 1 }),
            }
        }
        waiting += start.elapsed();
        if batch.is_empty() {
            break;
        }
        if times.len() > MAX_FRAMES {
            return Err(refuse(EncodeError::TooLong { frames: times.len() }));
        }
        let start = Instant::now();
        let parts: Vec<Part> = tasks(&batch)
            .into_par_iter()
            .map(|runs| describe(encoder, runs))
            .collect::<Result<_, _>>()
            .map_err(refuse)?;
        parts.iter().for_each(|part| all.join(part));
        describing += start.elapsed();
        done(times.last().copied().unwrap_or(0.0));
    }
    let start = Instant::now();
    let video = encoder.finish(all).map_err(refuse)?;
    describing += start.elapsed();
    Ok(Described { video, times, waiting, describing })
}

/// A picture and how many samples it lasts.
struct Run<P> {
    picture: P,
    samples: usize,
}

/// Returns runs that are described together: up to [`BATCH`] of one sample each, or one that lasts.
fn tasks<P>(runs: &[Run<P>]) -> Vec<&[Run<P>]> {
    runs.chunk_by(|a, b| a.samples == 1 && b.samples == 1).flat_map(|some| some.chunks(BATCH)).collect()
}

/// Describes runs; a picture that lasts for several samples is described once.
fn describe<P: Picture>(encoder: &Encoder, runs: &[Run<P>]) -> Result<Part, EncodeError> {
    let views = runs.iter().map(|run| run.picture.view()).collect::<Result<Vec<_>, _>>().map_err(ExtractError::from)?;
    let part = encoder.describe(&views)?;
    let [Run { samples, .. }] = runs else { return Ok(part) };
    let mut repeated = Part::default();
    (0..*samples).for_each(|_| repeated.join(&part));
    Ok(repeated)
}
