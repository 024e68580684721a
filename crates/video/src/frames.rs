//! Decoded frames as an iterator.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vidsieve_progress::CancelToken;

use crate::backend::Backend;
use crate::error::{Error, Warning};
use crate::probe::{Info, MAX_SIDE};
use crate::sampling::{Sampling, seconds};

/// How often a waiting consumer looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(20);

/// What reading one file may cost. Only the time in which the consumer waits for FFmpeg counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Longest wait for one frame.
    pub stall: Duration,
    /// Sum of all waits.
    pub total: Duration,
    /// Frames that are returned at most; [`Warning::FrameLimit`] tells that there were more.
    pub frames: u64,
}

impl Default for Limits {
    /// Two minutes for a frame, six hours in all, 1,000,000 frames.
    fn default() -> Self {
        Self { stall: Duration::from_secs(120), total: Duration::from_secs(6 * 3600), frames: 1_000_000 }
    }
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which frames.
    pub sampling: Sampling,
    /// Frames whose longer side has more pixels are reduced to this by area; never enlarged beyond their display size.
    pub max_side: Option<u32>,
    /// Whether frames get square pixels, as players show them; else they stay as they are stored.
    pub square_pixels: bool,
    /// Seconds of the file that are skipped; the first frame at or after is the first one.
    pub start: f64,
    /// Frames after which reading ends.
    pub max_frames: Option<u64>,
    /// Threads of the decoder; `None`: as many as FFmpeg likes.
    pub threads: Option<u32>,
    /// Frames that are decoded before they are asked for, at most.
    pub ahead: usize,
    /// Limits.
    pub limits: Limits,
    /// Stops reading from elsewhere.
    pub cancel: CancelToken,
}

impl Default for Options {
    /// One frame a second by time stamps, as large as they are, two threads.
    fn default() -> Self {
        Self {
            sampling: Sampling::Fps(1.0),
            max_side: None,
            square_pixels: true,
            start: 0.0,
            max_frames: None,
            threads: Some(2),
            ahead: 3,
            limits: Limits::default(),
            cancel: CancelToken::new(),
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Options(message));
        match self.sampling {
            Sampling::Fps(fps) if !(fps.is_finite() && fps > 0.0 && fps <= 1000.0) => {
                return refuse(format!("{fps} frames a second, must be above 0 and at most 1000"));
            }
            _ => {}
        }
        if let Some(side) = self.max_side.filter(|s| !(1..=MAX_SIDE).contains(s)) {
            return refuse(format!("a largest side of {side} pixels, must be 1 to {MAX_SIDE}"));
        }
        if !(self.start.is_finite() && self.start >= 0.0 && self.start < 1e9) {
            return refuse(format!("a start of {} s, must be 0 or more", self.start));
        }
        if let Some(threads) = self.threads.filter(|t| !(1..=256).contains(t)) {
            return refuse(format!("{threads} threads, must be 1 to 256"));
        }
        Ok(())
    }
}

/// One frame: RGB, 8 bits a channel, rows from the top without padding; rotated upright, transparency over black.
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Frame {
    index: u64,
    time: f64,
    pts: f64,
    repeat: bool,
    width: u32,
    height: u32,
    data: Arc<Vec<u8>>,
}

impl Frame {
    /// Position among the returned frames.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Seconds after the first frame (plus [`Options::start`]) for which this frame was taken: k / fps for
    /// [`Sampling::Fps`], else [`Frame::pts`].
    #[must_use]
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Seconds after the first frame (plus [`Options::start`]) at which this frame appears.
    #[must_use]
    pub fn pts(&self) -> f64 {
        self.pts
    }

    /// Whether this is the very frame that was returned before, on the screen for more than one sample.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.repeat
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height * 3` bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

enum Message {
    Frame(Frame),
    Warning(Warning),
    Failed(Error),
}

/// The frames of a file in order. Dropping it stops FFmpeg.
///
/// Damage does not fail as long as one frame decodes: the frames before and after it come out, and
/// [`Frames::warnings`] tells at the end what was lost.
#[derive(Debug)]
pub struct Frames {
    info: Info,
    size: (u32, u32),
    cancel: CancelToken,
    limits: Limits,
    waited: Duration,
    warnings: Vec<Warning>,
    receiver: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    patience: Option<Duration>,
}

/// What the consumer ends a decoder with: a flag, and the child if there is one.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    child: Mutex<Option<Child>>,
    stop: AtomicBool,
}

impl Shared {
    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.kill();
    }

    /// Whether nobody wants frames any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn kill(&self) {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // It fails only for a child that is over.
            let _ = child.kill();
        }
    }

    pub(crate) fn put(&self, child: Child) {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        if self.stop.load(Ordering::SeqCst) {
            self.kill();
        }
    }

    pub(crate) fn take(&self) -> Option<Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Frames {
    /// Probes the file and starts decoding.
    ///
    /// # Errors
    /// What [`crate::probe`] refuses, and options that contradict themselves. A file that decodes to nothing fails at
    /// the first frame.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        Self::open_by(&Backend::of_environment()?, path, options)
    }

    pub(crate) fn open_by(backend: &Backend, path: &Path, options: Options) -> Result<Self, Error> {
        options.check()?;
        let info = backend.probe(path)?;
        let size = target_size(&info, &options);
        let (sender, receiver) = sync_channel(options.ahead);
        let shared = Arc::new(Shared::default());
        let (cancel, limits) = (options.cancel.clone(), options.limits);
        let decoder = backend.decoder(Delivery {
            info: info.clone(),
            size,
            options,
            shared: shared.clone(),
            sender,
            returned: 0,
            last_pts: None,
        })?;
        let thread = std::thread::Builder::new()
            .name("decode".into())
            .spawn(decoder)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        Ok(Self {
            info,
            size,
            cancel,
            limits,
            waited: Duration::ZERO,
            warnings: Vec::new(),
            receiver: Some(receiver),
            thread: Some(thread),
            shared,
            patience: backend.patience(),
        })
    }

    /// What the file says about its video.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Width and height of every returned frame.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// What was not read; complete when the iterator has ended.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn path(&self) -> PathBuf {
        self.info.path.clone()
    }

    fn close(&mut self) {
        self.shared.stop();
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let start = Instant::now();
            while self.patience.is_some_and(|p| start.elapsed() < p) && !thread.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if self.patience.is_none() || thread.is_finished() {
                // A panic of the thread was printed there; nothing is left to do.
                let _ = thread.join();
            }
        }
    }

    fn fail(&mut self, error: Error) -> Option<Result<Frame, Error>> {
        self.close();
        Some(Err(error))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.as_ref()?;
        let start = Instant::now();
        loop {
            if self.cancel.is_cancelled() {
                let error = Error::Cancelled { path: self.path() };
                return self.fail(error);
            }
            let message = self.receiver.as_ref()?.recv_timeout(TICK);
            let waited = start.elapsed();
            match message {
                Ok(Message::Frame(frame)) => {
                    self.waited += waited;
                    return Some(Ok(frame));
                }
                Ok(Message::Warning(warning)) => self.warnings.push(warning),
                Ok(Message::Failed(error)) => return self.fail(error),
                Err(RecvTimeoutError::Disconnected) => {
                    self.close();
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let limit = [
                        ("one frame", self.limits.stall, waited),
                        ("decoding", self.limits.total, self.waited + waited),
                    ]
                    .into_iter()
                    .find(|(_, limit, took)| took > limit);
                    if let Some((what, limit, _)) = limit {
                        let error = Error::TimeLimit { path: self.path(), what, seconds: limit.as_secs_f64() };
                        return self.fail(error);
                    }
                }
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.close();
    }
}

fn target_size(info: &Info, options: &Options) -> (u32, u32) {
    let (width, height) =
        if options.square_pixels { (info.display_width, info.display_height) } else { (info.width, info.height) };
    match options.max_side {
        Some(limit) if width.max(height) > limit => {
            let scale = f64::from(limit) / f64::from(width.max(height));
            let side = |s: u32| ((f64::from(s) * scale).round() as u32).clamp(1, limit);
            (side(width), side(height))
        }
        _ => (width, height),
    }
}

/// Where a decoder hands its frames to, with all that it has to know. The limits on frames and what counts as lost are
/// decided here.
pub(crate) struct Delivery {
    pub(crate) info: Info,
    pub(crate) size: (u32, u32),
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
    sender: SyncSender<Message>,
    returned: u64,
    last_pts: Option<i64>,
}

impl Delivery {
    /// FFmpeg's filters from a frame that is upright to one as it is returned.
    pub(crate) fn picture_filters(&self) -> String {
        let (width, height) = self.size;
        let mut filters = format!("scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int");
        if self.info.assume_bt709 && self.options.sampling != Sampling::Upstream {
            filters.push_str(":in_color_matrix=bt709");
        }
        filters.push_str(if self.info.has_alpha {
            ",format=gbrap,premultiply=inplace=1,format=rgb24"
        } else {
            ",format=rgb24"
        });
        filters
    }

    /// Hands a frame to the consumer; `false` when no more are wanted. `time`, `micros`: after the first frame.
    /// `picture` is asked only if the frame is wanted, and may give nothing when it fails.
    pub(crate) fn emit(&mut self, time: f64, micros: i64, picture: impl FnOnce() -> Option<Arc<Vec<u8>>>) -> bool {
        if self.options.max_frames.is_some_and(|max| self.returned >= max) {
            return false;
        }
        if self.returned >= self.options.limits.frames {
            self.warn(Warning::FrameLimit { frames: self.options.limits.frames });
            return false;
        }
        let Some(data) = picture() else { return false };
        let message = Message::Frame(Frame {
            index: self.returned,
            time: self.options.start + time,
            pts: self.options.start + seconds(micros),
            repeat: self.last_pts == Some(micros),
            width: self.size.0,
            height: self.size.1,
            data,
        });
        self.last_pts = Some(micros);
        self.returned += 1;
        // With the last wanted frame delivered, FFmpeg need not go on to the next one.
        self.sender.send(message).is_ok() && self.options.max_frames.is_none_or(|max| self.returned < max)
    }

    /// Ends reading with an error.
    pub(crate) fn fail(&self, error: Error) {
        // Without a receiver nobody is interested.
        let _ = self.sender.send(Message::Failed(error));
    }

    fn warn(&self, warning: Warning) {
        let _ = self.sender.send(Message::Warning(warning));
    }

    /// Tells of damage. `last`: microseconds of the last frame after the first one.
    pub(crate) fn warn_of_damage(&self, last: i64, detail: String) {
        let read = self.options.start + seconds(last);
        self.warn(match self.lost(last) {
            Some(expected) => Warning::Lost { read, expected, detail },
            None => Warning::Damaged { detail },
        });
    }

    /// The duration by the header, if the frames end well before it.
    pub(crate) fn lost(&self, last: i64) -> Option<f64> {
        let read = self.options.start + seconds(last);
        let step = match self.options.sampling {
            Sampling::Fps(fps) => 1.0 / fps,
            Sampling::Upstream => 1.0,
            Sampling::All => 0.0,
        };
        let frame = self.info.average_rate.map_or(0.0, |r| 1.0 / r.value());
        self.info.duration.filter(|d| d - read > step + 2.0 * frame + 0.5)
    }
}
