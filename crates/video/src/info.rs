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
    /// Seconds by the header of the stream itself.
    #[serde(skip)]
    pub(crate) stream_duration: Option<f64>,
    /// How its colours are to be read, where the file does not say or says what cannot be.
    #[serde(skip)]
    pub(crate) colour: Option<AssumedColour>,
}

/// What is assumed of colours: the file has no usable tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AssumedColour {
    /// Whether the picture is as large as those of BT.709; else it is read as BT.601.
    pub(crate) is_large: bool,
    /// Whether there are tags, of values that are reserved or that no converter knows.
    pub(crate) is_tagged: bool,
    /// Whether a tag has a reserved value, which ends FFmpeg 7 before its filters.
    pub(crate) is_reserved: bool,
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
    /// FFmpeg's name of how its YCbCr is to be read; `None` if it does not say.
    pub(crate) matrix: Option<String>,
    /// Whether a tag of its colours has a reserved value.
    pub(crate) has_reserved_colour: bool,
    pub(crate) base_rate: Option<Rate>,
    pub(crate) average_rate: Option<Rate>,
    /// Seconds at which it starts.
    pub(crate) start: Option<f64>,
    /// Seconds that it lasts.
    pub(crate) duration: Option<f64>,
    /// The same by a tag, such as `00:00:10.033000000`.
    pub(crate) tagged_duration: Option<String>,
    pub(crate) frames: Option<u64>,
    /// Packets in the first part of the file; counted where there are several streams to choose from.
    pub(crate) packets: Option<u64>,
    /// Whether it is marked as the one to be played.
    pub(crate) is_default: bool,
    /// Whether it is cover art or a strip of thumbnails.
    pub(crate) is_still: bool,
    /// Clockwise degrees by which it is to be turned.
    pub(crate) rotation: Option<f64>,
}

/// Packets of a file that are counted to choose between its streams.
pub(crate) const COUNTED: u64 = 1000;

impl StreamFacts {
    fn is_candidate(&self) -> bool {
        self.kind == Kind::Video && !self.is_still
    }

    /// Seconds that it lasts by its own header.
    fn own_duration(&self) -> Option<f64> {
        let positive = |value: Option<f64>| value.filter(|v| *v > 0.0);
        positive(self.duration).or_else(|| positive(self.tagged_duration.as_deref().and_then(clock)))
    }
}

impl FileFacts {
    /// Whether packets have to be counted: there are several video streams, and headers do not say how many frames each has.
    pub(crate) fn needs_counts(&self) -> bool {
        let videos: Vec<_> = self.streams.iter().filter(|s| s.is_candidate()).collect();
        videos.len() > 1 && videos.iter().any(|s| s.frames.is_none())
    }

    /// Returns the stream that is the video. Streams of few frames or of a part of the length are covers, previews and
    /// thumbnails; of the others it is the default one, then the one with the largest picture, then the first.
    fn video(&self) -> Option<&StreamFacts> {
        let videos = || self.streams.iter().filter(|s| s.is_candidate());
        let by_header = videos().all(|s| s.frames.is_some());
        let count = |s: &StreamFacts| if by_header { s.frames } else { s.packets }.unwrap_or(0);
        let most = videos().map(count).max()?;
        let longest = videos().filter_map(StreamFacts::own_duration).fold(0.0, f64::max);
        let is_minor = |s: &StreamFacts| {
            let few = count(s).saturating_mul(FEW) < most || (count(s) <= 1 && most > 1);
            few || s.own_duration().is_some_and(|length| length < longest / 2.0)
        };
        videos().min_by_key(|s| (is_minor(s), !s.is_default, -s.width.saturating_mul(s.height), s.index))
    }
}

/// A stream has few frames if another one has so many times as many.
const FEW: u64 = 20;

/// Chooses the video stream and describes it.
pub(crate) fn describe(path: &Path, file: &FileFacts) -> Result<Info, Error> {
    let has_audio = file.streams.iter().any(|s| s.kind == Kind::Audio);
    let Some(stream) = file.video() else {
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
    let stream_duration = stream.own_duration();
    let pixel_format = stream.pixel_format.clone();
    Ok(Info {
        path: path.to_owned(),
        container: file.container.clone(),
        codec: stream.codec.clone().unwrap_or_else(|| "unknown".into()),
        width,
        height,
        display_width,
        display_height,
        rotation,
        duration: stream_duration.or(file.duration.filter(|d| *d > 0.0)),
        stream_duration,
        average_rate: stream.average_rate,
        base_rate: stream.base_rate,
        frames: stream.frames,
        has_audio,
        has_alpha: has_alpha(&pixel_format),
        stream: stream.index,
        start: stream.start.unwrap_or(0.0) - file.start.unwrap_or(0.0),
        colour: assumed_colour(stream, stored_width >= 1280 || stored_height > 576),
        pixel_format,
    })
}

/// Matrices that FFmpeg's converter knows.
const MATRICES: [&str; 6] = ["bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "bt2020nc"];

/// Returns what is assumed of a stream's colours; `None` if its tags are of use, or it has no YCbCr.
fn assumed_colour(stream: &StreamFacts, is_large: bool) -> Option<AssumedColour> {
    let is_ycbcr = ["yuv", "nv", "p0"].iter().any(|p| stream.pixel_format.starts_with(p));
    let is_known = stream.matrix.as_deref().is_some_and(|name| MATRICES.contains(&name));
    let is_reserved = stream.has_reserved_colour;
    (is_ycbcr && (!is_known || is_reserved)).then(|| AssumedColour {
        is_large,
        is_tagged: stream.matrix.is_some() || is_reserved,
        is_reserved,
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

    fn video(index: usize, size: [i64; 2], is_default: bool) -> StreamFacts {
        StreamFacts {
            index,
            kind: Kind::Video,
            codec: Some("h264".into()),
            width: size[0],
            height: size[1],
            aspect: None,
            pixel_format: "yuv420p".into(),
            matrix: None,
            has_reserved_colour: false,
            base_rate: None,
            average_rate: None,
            start: None,
            duration: None,
            tagged_duration: None,
            frames: None,
            packets: None,
            is_default,
            is_still: false,
            rotation: None,
        }
    }

    #[test]
    fn the_stream_that_moves_is_chosen() {
        let file =
            |streams: Vec<StreamFacts>| FileFacts { container: "mov".into(), start: None, duration: None, streams };
        let chosen = |streams: Vec<StreamFacts>| file(streams).video().map(|s| s.index);
        let film = |index, frames| StreamFacts { frames, ..video(index, [640, 360], true) };
        // A larger cover, by the header's frames and by counted packets; marked as the default one.
        let cover = |frames, packets| StreamFacts { frames, packets, ..video(0, [1600, 1200], true) };
        assert_eq!(chosen(vec![cover(Some(1), None), film(1, Some(200))]), Some(1));
        assert_eq!(chosen(vec![cover(None, Some(1)), StreamFacts { packets: Some(400), ..film(1, None) }]), Some(1));
        let other = StreamFacts { packets: Some(400), ..video(1, [640, 360], false) };
        assert_eq!(chosen(vec![cover(None, Some(1)), other]), Some(1));
        // Thumbnails every ten seconds, and a stream that lasts for a part of the file.
        assert_eq!(chosen(vec![cover(Some(20), None), film(1, Some(5000))]), Some(1));
        let part = |index, seconds| StreamFacts { duration: Some(seconds), ..film(index, Some(900)) };
        assert_eq!(chosen(vec![StreamFacts { width: 1920, ..part(0, 3.0) }, part(1, 60.0)]), Some(1));
        // Of streams alike: the default one, the larger picture, the first.
        assert_eq!(chosen(vec![film(0, Some(90)), StreamFacts { width: 1280, ..film(1, Some(90)) }]), Some(1));
        let odd = StreamFacts { width: 1280, is_default: false, ..film(1, Some(90)) };
        assert_eq!(chosen(vec![film(0, Some(90)), odd]), Some(0));
        assert_eq!(chosen(vec![film(0, Some(90)), film(1, Some(80))]), Some(0));
        // One picture is taken if there is nothing else; what is marked as a cover is not.
        assert_eq!(chosen(vec![cover(Some(1), None)]), Some(0));
        assert_eq!(chosen(vec![StreamFacts { is_still: true, ..cover(Some(1), None) }]), None);
        assert!(file(vec![cover(None, None), film(1, Some(9))]).needs_counts());
        assert!(
            !file(vec![cover(None, None)]).needs_counts()
                && !file(vec![film(0, Some(1)), film(1, Some(2))]).needs_counts()
        );
    }

    #[test]
    fn colours_without_usable_tags() {
        let of = |matrix: Option<&str>, reserved| {
            let tags = StreamFacts {
                matrix: matrix.map(str::to_owned),
                has_reserved_colour: reserved,
                ..video(0, [9, 9], true)
            };
            assumed_colour(&tags, false).map(|colour| (colour.is_tagged, colour.is_reserved))
        };
        assert_eq!(of(Some("bt709"), false), None);
        assert_eq!(of(None, false), Some((false, false)));
        assert_eq!(of(Some("ictcp"), false), Some((true, false)));
        assert_eq!(of(Some("bt709"), true), Some((true, true)));
        let rgb = StreamFacts { pixel_format: "gbrp".into(), ..video(0, [9, 9], true) };
        assert_eq!(assumed_colour(&rgb, true), None);
    }

    #[test]
    fn clocks_and_rates() {
        assert_eq!(clock("01:00:10.500000000"), Some(3610.5));
        assert_eq!(clock("10.5"), None);
        assert_eq!(Rate::parse("30000/1001").map(Rate::value), Some(30000.0 / 1001.0));
        assert_eq!(Rate::parse("0/0"), None);
    }
}
