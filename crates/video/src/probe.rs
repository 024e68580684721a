//! What a file says about its video, by `ffprobe`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::tools::{Tools, arg, check_file, file_url, input_guards, run};

/// Largest width or height of a video in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// Longest that `ffprobe` may take.
const LIMIT: Duration = Duration::from_secs(60);

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

    fn parse(text: &str) -> Option<Self> {
        let (num, den) = text.split_once('/')?;
        let rate = Self { num: num.parse().ok()?, den: den.parse().ok()? };
        (rate.num > 0 && rate.den > 0).then_some(rate)
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

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    index: usize,
    codec_type: Option<String>,
    codec_name: Option<String>,
    #[serde(default)]
    width: i64,
    #[serde(default)]
    height: i64,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_space: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
    #[serde(default)]
    timed_thumbnails: u8,
}

#[derive(Deserialize, Default)]
struct Tags {
    #[serde(rename = "DURATION")]
    duration: Option<String>,
    rotate: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

/// Reads what the file says about its video.
///
/// # Errors
/// [`Error`] when the file is missing, empty, no video, has sound only, a picture of a size beyond [`MAX_SIDE`], or
/// when FFmpeg is missing.
pub fn probe(path: &Path) -> Result<Info, Error> {
    probe_with(&Tools::of_environment(), path)
}

pub(crate) fn probe_with(tools: &Tools, path: &Path) -> Result<Info, Error> {
    check_file(path)?;
    let mut command = Command::new(&tools.ffprobe);
    command.args(["-hide_banner", "-v", "error"]);
    input_guards(&mut command);
    let entries = "format=format_name,start_time,duration:stream=index,codec_type,codec_name,width,height,\
        sample_aspect_ratio,pix_fmt,color_space,r_frame_rate,avg_frame_rate,start_time,duration,nb_frames:\
        stream_disposition=default,attached_pic,timed_thumbnails:stream_tags=DURATION,rotate:stream_side_data=rotation";
    arg(&mut command, "-show_entries", entries);
    arg(&mut command, "-print_format", "json=compact=1");
    arg(&mut command, "-i", file_url(path));
    let output = run(command, &tools.ffprobe, LIMIT)?;
    let Some(status) = output.status else {
        return Err(Error::TimeLimit { path: path.to_owned(), what: "ffprobe", seconds: LIMIT.as_secs_f64() });
    };
    let not_a_video = |detail: &str| {
        // The message repeats the name of the file, which the error has already.
        let name = file_url(path).to_string_lossy().into_owned();
        let detail = detail.replace(&format!("{name}: "), "");
        Error::NotAVideo { path: path.to_owned(), detail }
    };
    let answer: Answer = match serde_json::from_slice(&output.stdout) {
        Ok(answer) => answer,
        Err(_) if !status.success() => return Err(not_a_video(&output.stderr)),
        Err(e) => return Err(Error::Protocol { path: path.to_owned(), detail: format!("ffprobe: {e}") }),
    };
    let Some(format) = answer.format.filter(|_| status.success()) else { return Err(not_a_video(&output.stderr)) };
    let is = |s: &Stream, kind: &str| s.codec_type.as_deref() == Some(kind);
    let has_audio = answer.streams.iter().any(|s| is(s, "audio"));
    let videos = answer.streams.iter().filter(|s| is(s, "video"));
    let videos = videos.filter(|s| s.disposition.attached_pic == 0 && s.disposition.timed_thumbnails == 0);
    // The default stream, then the largest picture, then the first.
    let Some(stream) = videos.min_by_key(|s| (s.disposition.default == 0, -s.width.saturating_mul(s.height), s.index))
    else {
        return Err(if has_audio {
            Error::AudioOnly { path: path.to_owned() }
        } else {
            not_a_video("it has no video stream")
        });
    };
    describe(path, stream, &format, has_audio)
}

fn describe(path: &Path, stream: &Stream, format: &Format, has_audio: bool) -> Result<Info, Error> {
    let size = |value: i64| u32::try_from(value).ok().filter(|v| (1..=MAX_SIDE).contains(v));
    let (Some(stored_width), Some(stored_height)) = (size(stream.width), size(stream.height)) else {
        if stream.width <= 0 || stream.height <= 0 {
            let detail = format!("its {} stream has no picture size", stream.codec_name.as_deref().unwrap_or("video"));
            return Err(Error::NotAVideo { path: path.to_owned(), detail });
        }
        let (width, height) = (stream.width.unsigned_abs(), stream.height.unsigned_abs());
        return Err(Error::Size { path: path.to_owned(), width, height, limit: MAX_SIDE });
    };
    let counterclockwise = stream.side_data_list.iter().find_map(|s| s.rotation);
    let clockwise = stream.tags.rotate.as_deref().and_then(|r| r.parse::<f64>().ok());
    let rotation = counterclockwise.map(|r| -r).or(clockwise).filter(|r| r.is_finite()).unwrap_or(0.0);
    let rotation = rotation.rem_euclid(360.0).round() as u32 % 360;
    let (display_width, display_height) =
        square_pixels(stored_width, stored_height, stream.sample_aspect_ratio.as_deref());
    let turn = |w: u32, h: u32| if rotation % 180 == 90 { (h, w) } else { (w, h) };
    let (width, height) = turn(stored_width, stored_height);
    let (display_width, display_height) = turn(display_width, display_height);
    let seconds = |text: &Option<String>| text.as_deref().and_then(|t| t.parse::<f64>().ok()).filter(|t| t.is_finite());
    let positive = |value: Option<f64>| value.filter(|v| *v > 0.0);
    let duration = positive(seconds(&stream.duration))
        .or_else(|| positive(stream.tags.duration.as_deref().and_then(clock)))
        .or_else(|| positive(seconds(&format.duration)));
    let pixel_format = stream.pix_fmt.clone().unwrap_or_default();
    let unspecified = matches!(stream.color_space.as_deref(), None | Some("unknown" | "unspecified" | "reserved"));
    let ycbcr = ["yuv", "nv", "p0"].iter().any(|p| pixel_format.starts_with(p));
    let rate = |text: &Option<String>| text.as_deref().and_then(Rate::parse);
    Ok(Info {
        path: path.to_owned(),
        container: format.format_name.clone(),
        codec: stream.codec_name.clone().unwrap_or_else(|| "unknown".into()),
        width,
        height,
        display_width,
        display_height,
        rotation,
        duration,
        average_rate: rate(&stream.avg_frame_rate),
        base_rate: rate(&stream.r_frame_rate),
        frames: stream.nb_frames.as_deref().and_then(|n| n.parse().ok()),
        has_audio,
        has_alpha: has_alpha(&pixel_format),
        stream: stream.index,
        start: seconds(&stream.start_time).unwrap_or(0.0) - seconds(&format.start_time).unwrap_or(0.0),
        assume_bt709: unspecified && ycbcr && (stored_width >= 1280 || stored_height > 576),
        pixel_format,
    })
}

/// The size in square pixels: the side along which pixels are too long grows. Implausible ratios are ignored.
fn square_pixels(width: u32, height: u32, ratio: Option<&str>) -> (u32, u32) {
    let ratio = ratio.and_then(|r| {
        let (num, den) = r.split_once(':')?;
        let ratio = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
        (ratio.is_finite() && (0.125..=8.0).contains(&ratio)).then_some(ratio)
    });
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
        assert_eq!(square_pixels(720, 576, Some("64:45")), (1024, 576));
        assert_eq!(square_pixels(720, 480, Some("8:9")), (720, 540));
        for odd in [None, Some("0:1"), Some("1:1"), Some("1:0"), Some("9000:1"), Some("x")] {
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
