//! How frames get from a decoder's thread to the consumer.

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
        Self { size, info, options, shared, sender, held, returned: 0, last_pts: None }
    }

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
            Sampling::Adaptive | Sampling::Upstream => 1.0,
            Sampling::All => 0.0,
        };
        let frame = self.info.average_rate.map_or(0.0, |r| 1.0 / r.value());
        self.info.duration.filter(|d| d - read > step + 2.0 * frame + 0.5)
    }
}
