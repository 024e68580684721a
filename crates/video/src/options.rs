//! What is read, at which cost, and how to stop it.

use std::time::Duration;

use vidsieve_progress::CancelToken;

use crate::error::Error;
use crate::info::{Info, MAX_SIDE};
use crate::sampling::Sampling;

/// What reading one file may cost. Only the time in which the consumer waits for FFmpeg counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Longest wait for one frame.
    pub stall: Duration,
    /// Sum of all waits.
    pub total: Duration,
    /// Frames that are returned at most; [`Warning::FrameLimit`](crate::Warning::FrameLimit) tells that there were more.
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
    /// [`Sampling::Adaptive`], frames as large as they are, two threads.
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
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
    pub(crate) fn check(&self) -> Result<(), Error> {
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

    /// The size of the returned frames of a video.
    pub(crate) fn frame_size(&self, info: &Info) -> (u32, u32) {
        let (width, height) =
            if self.square_pixels { (info.display_width, info.display_height) } else { (info.width, info.height) };
        match self.max_side {
            Some(limit) if width.max(height) > limit => {
                let scale = f64::from(limit) / f64::from(width.max(height));
                let side = |s: u32| ((f64::from(s) * scale).round() as u32).clamp(1, limit);
                (side(width), side(height))
            }
            _ => (width, height),
        }
    }
}
