//! How frames get from a decoder's thread to the consumer.

use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Warning};
use crate::info::Info;
use crate::options::Options;
use crate::sampling::{Held, Sampling, seconds};

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

    /// Seconds after the first frame (plus [`Options::start`]) for which this frame was taken: k /
    /// rate for [`Sampling::Fps`] and [`Sampling::Adaptive`], else [`Frame::pts`].
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

/// What a decoder sends to the consumer.
pub(crate) enum Message {
    Frame(Frame),
    Warning(Warning),
    /// Seconds from the first frame to the end of the last one.
    Length(f64),
    Failed(Error),
}

/// What the consumer ends a decoder with: a flag, and the child if there is one.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    child: Mutex<Option<Child>>,
    stop: AtomicBool,
}

impl Shared {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.kill();
    }

    /// Whether the consumer wants no more frames.
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

/// The way of frames from a decoder to its consumer.
///
/// It decides the limits on frames and what counts as lost.
pub(crate) struct Delivery {
    pub(crate) info: Info,
    /// The file that FFmpeg reads: the one described, or one that was made of it.
    pub(crate) input: PathBuf,
    /// What was lost when it was made.
    pub(crate) damage: Option<String>,
    pub(crate) size: (u32, u32),
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
    sender: SyncSender<Message>,
    held: Held<Picture>,
    returned: u64,
    last_pts: Option<i64>,
}

/// A picture as it is returned.
struct Picture {
    /// Microseconds after the first frame.
    micros: i64,
    data: Arc<Vec<u8>>,
}

impl Delivery {
    pub(crate) fn new(info: Info, options: Options, shared: Arc<Shared>, sender: SyncSender<Message>) -> Self {
        let (size, held) = (options.frame_size(&info), Held::new());
        let input = info.path.clone();
        Self { size, info, input, damage: None, options, shared, sender, held, returned: 0, last_pts: None }
    }

    /// The filter that says how colours are to be read where the file does not, with a comma after it.
    pub(crate) fn colour_filter(&self) -> String {
        let Some(colour) = self.info.colour else { return String::new() };
        // OpenCV, which the official code reads with, does not go by the size.
        let is_bt709 = colour.is_large && self.options.sampling != Sampling::Upstream;
        let matrix = if is_bt709 { "bt709" } else { "smpte170m" };
        let others = if colour.is_tagged { ":color_primaries=bt709:color_trc=bt709" } else { "" };
        format!("setparams=colorspace={matrix}{others},")
    }

    /// FFmpeg's filters from a frame that is upright to one as it is returned.
    pub(crate) fn picture_filters(&self) -> String {
        let (width, height) = self.size;
        let mut filters = format!("scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int");
        filters.push_str(if self.info.has_alpha {
            ",format=gbrap,premultiply=inplace=1,format=rgb24"
        } else {
            ",format=rgb24"
        });
        filters
    }

    /// Hands a frame to the consumer; `false` when no more are wanted. `time`, `micros`: after the
    /// first frame. `undecided`: holds the frame until the rate is known. `picture` is asked only
    /// if the frame is wanted, and may give nothing when it fails.
    pub(crate) fn emit(
        &mut self,
        time: f64,
        micros: i64,
        undecided: Option<f64>,
        picture: impl FnOnce() -> Option<Arc<Vec<u8>>>,
    ) -> bool {
        if let Some(rate) = undecided {
            self.held.thin(rate);
            let Some(data) = picture() else { return false };
            self.held.push(time, Picture { micros, data });
            return true;
        }
        self.held.thin(1.0);
        self.release() && self.send(time, micros, picture)
    }

    /// Hands over the frames that were held; `false` when no more are wanted.
    pub(crate) fn release(&mut self) -> bool {
        self.held.take().into_iter().all(|(time, picture)| self.send(time, picture.micros, || Some(picture.data)))
    }

    fn send(&mut self, time: f64, micros: i64, picture: impl FnOnce() -> Option<Arc<Vec<u8>>>) -> bool {
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
        // Sending fails only where the consumer has gone.
        let _ = self.sender.send(Message::Failed(error));
    }

    fn warn(&self, warning: Warning) {
        let _ = self.sender.send(Message::Warning(warning));
    }

    /// Tells how long the video is, and of damage. `times`: of all frames; `failure`: what FFmpeg said, if it failed or said
    /// anything.
    pub(crate) fn finish(&self, times: &FrameTimes, failure: Option<String>) {
        let detail = [failure, self.damage.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let is_damaged = !detail.is_empty();
        let end = self.options.start + times.end(self.period());
        let length = self.length(times, end, is_damaged);
        if is_damaged {
            self.warn(match self.info.duration.filter(|d| d - end > 2.0 * self.period() + 0.5) {
                Some(expected) => Warning::Lost { read: length, expected, detail },
                None => Warning::Damaged { detail },
            });
        }
        // Sending fails only where the consumer has gone.
        let _ = self.sender.send(Message::Length(length));
    }

    /// Seconds of a frame by the header.
    fn period(&self) -> f64 {
        self.info.average_rate.map_or(0.0, |rate| 1.0 / rate.value())
    }

    /// Seconds of the video. What its header says counts as far as the frames bear it out: the last picture may stay, but for
    /// no longer than all before it, and headers lie.
    fn length(&self, times: &FrameTimes, end: f64, is_damaged: bool) -> f64 {
        let last = self.options.start + seconds(times.last.unwrap_or(0));
        let a_little = end + 2.0 * seconds(times.gap) + 0.5;
        let limit = if is_damaged { a_little } else { 2.0 * last + 10.0 * seconds(times.longest) + 60.0 };
        let own = self.info.stream_duration.filter(|d| (last..=limit).contains(d));
        let of_file = || {
            let other = self.info.duration.filter(|_| self.info.stream_duration.is_none());
            other.filter(|d| (last..=a_little).contains(d))
        };
        own.or_else(of_file).unwrap_or(end)
    }
}

/// The times of all frames of a file, of those too that are not returned; microseconds after the first one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameTimes {
    last: Option<i64>,
    /// Between the last two.
    gap: i64,
    /// The longest between two.
    longest: i64,
}

impl FrameTimes {
    pub(crate) fn see(&mut self, micros: i64) {
        if let Some(last) = self.last {
            if micros <= last {
                return;
            }
            self.gap = micros.saturating_sub(last);
            self.longest = self.longest.max(self.gap);
        }
        self.last = Some(micros);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Seconds after the first frame at which the last one ends: it lasts as long as the one before. `period`: of a single
    /// one.
    fn end(&self, period: f64) -> f64 {
        let gap = if self.gap > 0 { seconds(self.gap) } else { period };
        seconds(self.last.unwrap_or(0)) + gap
    }
}
