//! The description of a file's video, made alike by every backend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;

/// Largest width or height of a video in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// Longest that probing may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Frames a second as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Frames.
    pub num: u32,
    /// Seconds.
    pub den: u32,
}

impl Rate {
    /// Frames a second.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// `30000/1001`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (num, den) = text.split_once('/')?;
        Self::positive(num.parse().ok()?, den.parse().ok()?)
    }

    pub(crate) fn positive(num: u32, den: u32) -> Option<Self> {
        (num > 0 && den > 0).then_some(Self { num, den })
    }
}

/// The video of a file, as its header and first packets describe it. None of it is sure before decoding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// FFmpeg's names of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name of the codec, such as `h264`.
    pub codec: String,
    /// FFmpeg's name of the pixel format, such as `yuv420p`.
    pub pixel_format: String,
    /// Width of a frame in pixels, after rotation.
    pub width: u32,
    /// Height of a frame in pixels, after rotation.
    pub height: u32,
    /// Width in square pixels, after rotation: what a player shows.
    pub display_width: u32,
    /// Height in square pixels, after rotation.
    pub display_height: u32,
    /// Clockwise degrees by which players turn the stored picture, 0 to 359; already counted in the sizes.
    pub rotation: u32,
    /// Seconds by the header; `None` if it does not say.
    pub duration: Option<f64>,
    /// Average rate by the header.
    pub average_rate: Option<Rate>,
    /// The rate that its time stamps suggest; what OpenCV reports.
    pub base_rate: Option<Rate>,
    /// Frames by the header.
    pub frames: Option<u64>,
    /// Whether there is sound.
    pub has_audio: bool,
    /// Whether frames may be transparent.
    pub has_alpha: bool,
    /// Index of the video stream in the file.
    pub stream: usize,
    /// Seconds from the start of the file to the first frame.
    pub start: f64,
    /// Whether the file does not say how its YCbCr is to be read, and by its size it is BT.709.
    pub(crate) assume_bt709: bool,
}

impl Info {
    /// Frames a second as OpenCV reports them, by which the official code samples.
    #[must_use]
    pub fn upstream_rate(&self) -> Option<f64> {
        let (base, average) = (self.base_rate.map(Rate::value), self.average_rate.map(Rate::value));
        match (base, average) {
            (Some(base), Some(average)) if base > 210.0 && average < 70.0 => Some(average),
            (Some(base), _) => Some(base),
            (None, average) => average,
        }
    }
}

/// What FFmpeg says about a file.
#[derive(Debug)]
pub(crate) struct FileFacts {
    /// Names of the container.
    pub(crate) container: String,
    /// Seconds at which it starts.
    pub(crate) start: Option<f64>,
    /// Seconds that it lasts.
    pub(crate) duration: Option<f64>,
    pub(crate) streams: Vec<StreamFacts>,
}

/// Kinds of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
    Other,
}

/// What FFmpeg says about a stream.
#[derive(Debug)]
pub(crate) struct StreamFacts {
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    /// Name of the codec.
    pub(crate) codec: Option<String>,
    pub(crate) width: i64,
    pub(crate) height: i64,
    /// Width of a pixel by its height.
    pub(crate) aspect: Option<f64>,
    /// Name of the pixel format.
    pub(crate) pixel_format: String,
    /// Whether it says how its YCbCr is to be read.
    pub(crate) has_matrix: bool,
    pub(crate) base_rate: Option<Rate>,
    pub(crate) average_rate: Option<Rate>,
    /// Seconds at which it starts.
    pub(crate) start: Option<f64>,
    /// Seconds that it lasts.
    pub(crate) duration: Option<f64>,
    /// The same by a tag, such as `00:00:10.033000000`.
    pub(crate) tagged_duration: Option<String>,
    pub(crate) frames: Option<u64>,
    /// Whether it is marked as the one to be played.
    pub(crate) is_default: bool,
    /// Whether it is cover art or a strip of thumbnails.
    pub(crate) is_still: bool,
    /// Clockwise degrees by which it is to be turned.
    pub(crate) rotation: Option<f64>,
}

/// Chooses the video stream and describes it.
pub(crate) fn describe(path: &Path, file: &FileFacts) -> Result<Info, Error> {
    let has_audio = file.streams.iter().any(|s| s.kind == Kind::Audio);
    let videos = file.streams.iter().filter(|s| s.kind == Kind::Video && !s.is_still);
    // The default stream, then the largest picture, then the first.
    let Some(stream) = videos.min_by_key(|s| (!s.is_default, -s.width.saturating_mul(s.height), s.index)) else {
        return Err(if has_audio {
            Error::AudioOnly { path: path.to_owned() }
        } else {
            Error::NotAVideo { path: path.to_owned(), detail: "it has no video stream".into() }
        });
    };
    let size = |value: i64| u32::try_from(value).ok().filter(|v| (1..=MAX_SIDE).contains(v));
    let (Some(stored_width), Some(stored_height)) = (size(stream.width), size(stream.height)) else {
        if stream.width <= 0 || stream.height <= 0 {
            let detail = format!("its {} stream has no picture size", stream.codec.as_deref().unwrap_or("video"));
            return Err(Error::NotAVideo { path: path.to_owned(), detail });
        }
        let (width, height) = (stream.width.unsigned_abs(), stream.height.unsigned_abs());
        return Err(Error::Size { path: path.to_owned(), width, height, limit: MAX_SIDE });
    };
    let rotation = stream.rotation.filter(|r| r.is_finite()).unwrap_or(0.0);
    let rotation = rotation.rem_euclid(360.0).round() as u32 % 360;
    let (display_width, display_height) = square_pixels(stored_width, stored_height, stream.aspect);
    let turn = |w: u32, h: u32| if rotation % 180 == 90 { (h, w) } else { (w, h) };
    let (width, height) = turn(stored_width, stored_height);
    let (display_width, display_height) = turn(display_width, display_height);
    let positive = |value: Option<f64>| value.filter(|v| *v > 0.0);
    let duration = positive(stream.duration)
        .or_else(|| positive(stream.tagged_duration.as_deref().and_then(clock)))
        .or_else(|| positive(file.duration));
    let pixel_format = stream.pixel_format.clone();
    let ycbcr = ["yuv", "nv", "p0"].iter().any(|p| pixel_format.starts_with(p));
    Ok(Info {
        path: path.to_owned(),
        container: file.container.clone(),
        codec: stream.codec.clone().unwrap_or_else(|| "unknown".into()),
        width,
        height,
        display_width,
        display_height,
        rotation,
        duration,
        average_rate: stream.average_rate,
        base_rate: stream.base_rate,
        frames: stream.frames,
        has_audio,
        has_alpha: has_alpha(&pixel_format),
        stream: stream.index,
        start: stream.start.unwrap_or(0.0) - file.start.unwrap_or(0.0),
        assume_bt709: !stream.has_matrix && ycbcr && (stored_width >= 1280 || stored_height > 576),
        pixel_format,
    })
}

/// The size in square pixels: the side along which pixels are too long grows. Implausible ratios are ignored.
fn square_pixels(width: u32, height: u32, ratio: Option<f64>) -> (u32, u32) {
    let ratio = ratio.filter(|r| (0.125..=8.0).contains(r));
    let grown = |side: u32, by: f64| ((f64::from(side) * by).round() as u32).clamp(1, MAX_SIDE);
    match ratio {
        Some(ratio) if ratio > 1.0 => (grown(width, ratio), height),
        Some(ratio) if ratio < 1.0 => (width, grown(height, 1.0 / ratio)),
        _ => (width, height),
    }
}

/// `00:00:10.033000000` in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (h, m, s) = (parts.next()?, parts.next()?, parts.next()?);
    let value = h.parse::<f64>().ok()? * 3600.0 + m.parse::<f64>().ok()? * 60.0 + s.parse::<f64>().ok()?;
    value.is_finite().then_some(value)
}

fn has_alpha(pixel_format: &str) -> bool {
    ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8", "ayuv", "vuya"]
        .iter()
        .any(|p| pixel_format.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixel_aspects() {
        assert_eq!(square_pixels(720, 576, Some(64.0 / 45.0)), (1024, 576));
        assert_eq!(square_pixels(720, 480, Some(8.0 / 9.0)), (720, 540));
        for odd in [None, Some(0.0), Some(1.0), Some(f64::INFINITY), Some(9000.0), Some(f64::NAN)] {
            assert_eq!(square_pixels(720, 480, odd), (720, 480), "{odd:?}");
        }
    }

    #[test]
    fn clocks_and_rates() {
        assert_eq!(clock("01:00:10.500000000"), Some(3610.5));
        assert_eq!(clock("10.5"), None);
        assert_eq!(Rate::parse("30000/1001").map(Rate::value), Some(30000.0 / 1001.0));
        assert_eq!(Rate::parse("0/0"), None);
    }
}
