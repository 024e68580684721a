//! Writing videos.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::Error;
use crate::info::{MAX_SIDE, Rate};
use crate::tools::{Messages, Tools, arg, file_url, spawn, wait};

/// How frames are encoded, and in which container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264 in MP4, by libx264.
    H264 {
        /// Quality, 0 (lossless) to 51.
        crf: u8,
        /// Speed: `ultrafast` to `veryslow`.
        preset: &'static str,
    },
    /// VP9 in WebM, by libvpx.
    Vp9 {
        /// Quality, 0 to 63.
        crf: u8,
    },
    /// Animated GIF with a palette of its own; rates round to hundredths of a second.
    Gif,
    /// Exact RGB: FFV1 in Matroska.
    Ffv1,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriterOptions {
    /// Width of the frames in pixels. H.264 and VP9 drop the last column of an odd width.
    pub width: u32,
    /// Height of the frames in pixels. H.264 and VP9 drop the last row of an odd height.
    pub height: u32,
    /// Frames a second.
    pub rate: Rate,
    /// Encoding.
    pub codec: Codec,
    /// Frames between two key frames at most; `None`: as the encoder likes.
    pub key_interval: Option<u32>,
    /// Threads of the encoder. The same number gives the same bytes.
    pub threads: u32,
}

impl WriterOptions {
    /// H.264 of good quality with one thread.
    #[must_use]
    pub fn h264(width: u32, height: u32, rate: Rate) -> Self {
        let codec = Codec::H264 { crf: 20, preset: "veryfast" };
        Self { width, height, rate, codec, key_interval: None, threads: 1 }
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Options(message));
        let (width, height) = (self.width, self.height);
        let even = matches!(self.codec, Codec::H264 { .. } | Codec::Vp9 { .. });
        let least = if even { 2 } else { 1 };
        if !(least..=MAX_SIDE).contains(&width) || !(least..=MAX_SIDE).contains(&height) {
            return refuse(format!("frames of {width}x{height} pixels: each side must be {least} to {MAX_SIDE}"));
        }
        if self.rate.num == 0 || self.rate.den == 0 || !(0.001..=1000.0).contains(&self.rate.value()) {
            return refuse(format!("{}/{} frames a second, must be 0.001 to 1000", self.rate.num, self.rate.den));
        }
        let presets =
            ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"];
        match self.codec {
            Codec::H264 { crf, preset } if crf > 51 || !presets.contains(&preset) => {
                refuse(format!("H.264 with crf {crf} and preset {preset}: crf is 0 to 51, presets are {presets:?}"))
            }
            Codec::Vp9 { crf } if crf > 63 => refuse(format!("VP9 with crf {crf}: must be 0 to 63")),
            _ if !(1..=256).contains(&self.threads) || self.key_interval == Some(0) => {
                refuse("threads must be 1 to 256, a key interval at least 1".into())
            }
            _ => Ok(()),
        }
    }
}

/// Writes frames to a file, which appears under its name when it is complete. Dropping an unfinished writer leaves
/// nothing.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    frame_bytes: usize,
    frames: u64,
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Option<JoinHandle<Messages>>,
}

impl Writer {
    /// Starts the encoder. The folder must exist; a file of this name is replaced when the new one is complete.
    ///
    /// # Errors
    /// Bad options, a path without a file name, FFmpeg missing.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, Error> {
        options.check()?;
        let refuse = |detail: &str| Error::Write { path: path.to_owned(), detail: detail.into() };
        let name = path.file_name().ok_or_else(|| refuse("it names no file"))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(refuse("its folder does not exist; create it first"));
        }
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.tmp", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder.join(hidden);
        let tools = Tools::of_environment();
        let mut child = spawn(command(&tools, &temporary, options), &tools.ffmpeg)?;
        let stdin = child.stdin.take();
        let messages = child.stderr.take().map(Messages::collect);
        let frame_bytes = options.width as usize * options.height as usize * 3;
        Ok(Self { path: path.to_owned(), temporary, frame_bytes, frames: 0, child, stdin, messages })
    }

    /// Appends a frame of `width * height * 3` RGB bytes, rows from the top.
    ///
    /// # Errors
    /// [`Error::Write`] for another number of bytes, or when the encoder has failed.
    pub fn write(&mut self, frame: &[u8]) -> Result<(), Error> {
        if frame.len() != self.frame_bytes {
            let detail = format!("a frame of {} bytes, expected {}", frame.len(), self.frame_bytes);
            return Err(Error::Write { path: self.path.clone(), detail });
        }
        let written = self.stdin.as_mut().is_some_and(|pipe| pipe.write_all(frame).is_ok());
        if !written {
            return Err(self.failure());
        }
        self.frames += 1;
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`] without frames, when the encoder fails or takes more than ten minutes to end, or when renaming
    /// fails.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.frames == 0 {
            return Err(Error::Write { path: self.path.clone(), detail: "it would have no frames".into() });
        }
        self.stdin = None;
        let status = wait(&mut self.child, Duration::from_secs(600));
        if !status.is_some_and(|s| s.success()) {
            return Err(self.failure());
        }
        std::fs::rename(&self.temporary, &self.path)
            .map_err(|e| Error::Write { path: self.path.clone(), detail: e.to_string() })
    }

    fn failure(&mut self) -> Error {
        self.stdin = None;
        // Long enough for its last words.
        wait(&mut self.child, Duration::from_secs(5));
        let messages = self.messages.take().and_then(|t| t.join().ok()).unwrap_or_default();
        Error::Write { path: self.path.clone(), detail: format!("FFmpeg failed: {}", messages.summary()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stdin = None;
        let finished = matches!(self.child.try_wait(), Ok(Some(status)) if status.success());
        if !finished {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // After a successful finish it is gone already.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn command(tools: &Tools, file: &Path, options: &WriterOptions) -> Command {
    let mut command = Command::new(&tools.ffmpeg);
    command.args(["-hide_banner", "-nostats", "-v", "error", "-y", "-filter_threads", "1"]);
    command.args(["-protocol_whitelist", "file,pipe", "-f", "rawvideo", "-pix_fmt", "rgb24"]);
    arg(&mut command, "-video_size", format!("{}x{}", options.width, options.height));
    arg(&mut command, "-framerate", format!("{}/{}", options.rate.num, options.rate.den));
    command.args(["-i", "pipe:0", "-an"]);
    // Said plainly in the file, so that no decoder has to guess by the size.
    let colours = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0,scale=flags=area+accurate_rnd+full_chroma_inp:\
                   out_color_matrix=bt709:out_range=tv,format=yuv420p";
    let tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"];
    let container = match options.codec {
        Codec::H264 { crf, preset } => {
            command.args(["-vf", colours, "-c:v", "libx264", "-preset", preset]).args(tags);
            arg(&mut command, "-crf", crf.to_string());
            command.args(["-movflags", "+faststart"]);
            "mp4"
        }
        Codec::Vp9 { crf } => {
            command.args(["-vf", colours, "-c:v", "libvpx-vp9", "-b:v", "0", "-deadline", "good", "-cpu-used", "4"]);
            command.args(tags);
            arg(&mut command, "-crf", crf.to_string());
            "webm"
        }
        Codec::Gif => {
            command.args(["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-c:v", "gif", "-loop", "0"]);
            "gif"
        }
        Codec::Ffv1 => {
            command.args(["-c:v", "ffv1", "-level", "3", "-pix_fmt", "bgr0"]);
            "matroska"
        }
    };
    if let Some(interval) = options.key_interval {
        arg(&mut command, "-g", interval.to_string());
    }
    arg(&mut command, "-threads", options.threads.to_string());
    command.args(["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", container]);
    command.arg(file_url(file));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
