//! The `ffmpeg` and `ffprobe` programs: where they are, which version, and running them within limits.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Containers and raw streams that may be opened. What is missing opens other files by name (playlists, image
/// sequences, concatenation scripts) or makes a picture of any text.
pub(crate) const DEMUXERS: &str = "\
    mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h261,h263,\
    h264,hevc,vvc,av1,obu,ivf,ogg,flv,live_flv,kux,asf,asf_o,gif,apng,nut,nuv,nsv,mxf,lxf,\
    gxf,wtv,dv,rm,rl2,yuv4mpegpipe,swf,mjpeg,mjpeg_2000,smjpeg,mpjpeg,dirac,vc1,vc1test,cavsvideo,\
    avs,avs2,avs3,dnxhd,cine,r3d,ea,psxstr,thp,film_cpk,flic,4xm,bink,smk,roq,vmd,idcin,\
    ipmovie,wc3movie,txd,c93,bethsoftvid,tiertexseq,interplay,mtv,mv,moflex,pva,pmp,ty,hnm,\
    jv,yop,cdxl,anm,iv8,ivr,vivo,xmv,rpl,mm,mvi,nc,dhav,evc,iamf,png_pipe,jpeg_pipe,\
    jpegxl_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe,webp,avif,mp3,aac,flac,wav,w64,aiff,au,ac3,\
    eac3,dts,dtshd,truehd,amr,ape,caf,opus,tta,tak,wv,voc,mpc,mpc8,spdif,adts,loas";

/// The programs to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tools {
    pub(crate) ffmpeg: PathBuf,
    pub(crate) ffprobe: PathBuf,
}

impl Tools {
    /// `VIDSIEVE_FFMPEG` and `VIDSIEVE_FFPROBE`, else the names, to be found in `PATH`.
    pub(crate) fn of_environment() -> Self {
        let tool = |variable: &str, name: &str| {
            std::env::var_os(variable).filter(|v| !v.is_empty()).map_or_else(|| name.into(), PathBuf::from)
        };
        Self { ffmpeg: tool("VIDSIEVE_FFMPEG", "ffmpeg"), ffprobe: tool("VIDSIEVE_FFPROBE", "ffprobe") }
    }

    /// What the version of `ffmpeg` can do.
    pub(crate) fn abilities(&self) -> Result<Abilities, Error> {
        // One look a process and program: the answer does not change while it runs.
        static KNOWN: OnceLock<(PathBuf, Abilities)> = OnceLock::new();
        match KNOWN.get() {
            Some((tool, known)) if *tool == self.ffmpeg => Ok(*known),
            _ => {
                let mut command = Command::new(&self.ffmpeg);
                command.arg("-version");
                let output = run(command, &self.ffmpeg, Duration::from_secs(30))?;
                let abilities = Abilities::of_banner(&String::from_utf8_lossy(&output.stdout));
                KNOWN.get_or_init(|| (self.ffmpeg.clone(), abilities));
                Ok(abilities)
            }
        }
    }
}

/// What depends on the version of `ffmpeg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// The option that keeps every frame at its own time stamp.
    pub(crate) passthrough: &'static str,
    /// Whether packets can be changed before they are decoded.
    pub(crate) has_input_filters: bool,
}

impl Abilities {
    /// By what `ffmpeg -version` says; builds from a repository count as new.
    fn of_banner(banner: &str) -> Self {
        let version = version(banner).unwrap_or((u32::MAX, 0));
        let passthrough = if version < (5, 1) { "-vsync" } else { "-fps_mode" };
        Self { passthrough, has_input_filters: version >= (7, 0) }
    }
}

/// Major and minor version by a banner.
fn version(banner: &str) -> Option<(u32, u32)> {
    let version = banner.strip_prefix("ffmpeg version ")?;
    let version = version.strip_prefix('n').unwrap_or(version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let major = numbers.next()?.ok()?;
    Some((major, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

/// Arguments that precede `-i`: what may be opened, and the largest picture.
pub(crate) fn input_guards(command: &mut Command) {
    command.args(["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS]);
}

/// The file as FFmpeg takes it literally, whatever characters its name has.
pub(crate) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Checks that there is a file with bytes in it, which FFmpeg's messages would not tell plainly.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    std::fs::File::open(path).map_err(unreadable)?;
    if metadata.len() == 0 {
        return Err(Error::Empty { path: path.to_owned() });
    }
    Ok(())
}

/// Starts a program in a process group of its own: what a terminal sends to this program's group does not reach it, and the
/// end of its input is this program's to tell.
pub(crate) fn spawn(mut command: Command, tool: &Path) -> Result<Child, Error> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(|source| Error::FfmpegMissing { tool: tool.to_owned(), source })
}

pub(crate) struct Output {
    /// `None`: it ran past the time limit and was killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs a program whose answer is short: at most [`MAX_ANSWER`] bytes are kept.
pub(crate) fn run(mut command: Command, tool: &Path, limit: Duration) -> Result<Output, Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command, tool)?;
    let stdout = child.stdout.take().map(|pipe| std::thread::spawn(move || read_all(pipe)));
    let stderr = child.stderr.take().map(Messages::collect);
    let status = wait(&mut child, limit);
    let stdout = stdout.and_then(|t| t.join().ok()).unwrap_or_default();
    let stderr = stderr.and_then(|t| t.join().ok()).unwrap_or_default().summary();
    Ok(Output { status, stdout, stderr })
}

/// Waits for the end of a child; kills it after `limit`, which gives `None`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(pause),
            _ => {
                // Either it is over already or it is killed here; the exit status then tells nothing.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Largest answer of a program in bytes.
const MAX_ANSWER: u64 = 16 << 20;

fn read_all(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // A pipe that breaks ends the answer; the exit status tells why.
    let _ = pipe.by_ref().take(MAX_ANSWER).read_to_end(&mut kept);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    kept
}

/// The first lines of a program's error output; later ones are counted only.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    lines: Vec<String>,
    more: u64,
}

impl Messages {
    const LINES: usize = 4;
    const LENGTH: usize = 240;

    /// Reads a pipe to its end in a thread of its own.
    pub(crate) fn collect(pipe: impl Read + Send + 'static) -> JoinHandle<Self> {
        std::thread::spawn(move || {
            let mut messages = Self::default();
            let mut line = Vec::new();
            let mut pipe = pipe;
            let mut buffer = [0u8; 4096];
            while let Ok(n) = pipe.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                for &byte in &buffer[..n] {
                    if byte == b'\n' || byte == b'\r' {
                        messages.push(&line);
                        line.clear();
                    } else if line.len() < 4 * Self::LENGTH {
                        line.push(byte);
                    }
                }
            }
            messages.push(&line);
            messages
        })
    }

    /// Keeps a line, if it says something new.
    pub(crate) fn push(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        // `[h264 @ 0x55d0c8a5b2c0] text`: addresses differ from run to run.
        let text = text.trim();
        let text = match text.split_once("] ") {
            Some((prefix, rest)) if prefix.starts_with('[') && prefix.contains(" @ 0x") => {
                let name = prefix.trim_start_matches('[').split(" @ ").next().unwrap_or_default();
                format!("{name}: {rest}")
            }
            _ => text.to_owned(),
        };
        if text.is_empty() || self.lines.contains(&text) {
            return;
        }
        if self.lines.len() < Self::LINES {
            self.lines.push(text.chars().filter(|c| !c.is_control()).take(Self::LENGTH).collect());
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.lines.join("; ");
        if self.more > 0 {
            text.push_str(&format!("; and {} more messages", self.more));
        }
        if text.is_empty() { "FFmpeg gave no reason".into() } else { text }
    }
}

/// Appends arguments of any string type.
pub(crate) fn arg(command: &mut Command, name: &str, value: impl AsRef<OsStr>) {
    command.arg(name).arg(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (banner, passthrough, has_input_filters) in [
            ("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright (c)", "-vsync", false),
            ("ffmpeg version 5.0 Copyright", "-vsync", false),
            ("ffmpeg version 5.1.9-0+deb12u1 Copyright", "-fps_mode", false),
            ("ffmpeg version n7.1 Copyright", "-fps_mode", true),
            ("ffmpeg version 7.0.2-static https://johnvansickle.com/ffmpeg/", "-fps_mode", true),
            ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", "-fps_mode", true),
            ("ffmpeg version 8 Copyright", "-fps_mode", true),
            ("ffmpeg version N-119584-g06cee0c681 Copyright", "-fps_mode", true),
            ("something else", "-fps_mode", true),
        ] {
            assert_eq!(Abilities::of_banner(banner), Abilities { passthrough, has_input_filters }, "{banner}");
        }
    }

    #[test]
    fn messages_are_bounded_and_without_addresses() {
        let text = "[h264 @ 0x55aa] bad\n[h264 @ 0x66bb] bad\n\na\nb\nc\nd\ne\n".to_owned() + &"x".repeat(100_000);
        let messages = Messages::collect(std::io::Cursor::new(text)).join().unwrap();
        assert_eq!(messages.summary(), "h264: bad; a; b; c; and 3 more messages");
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let tools = Tools { ffmpeg: "no-such-ffmpeg".into(), ffprobe: "no-such-ffprobe".into() };
        let error = tools.abilities().unwrap_err();
        assert!(matches!(error, Error::FfmpegMissing { .. }));
        let text = error.to_string();
        assert!(text.contains("no-such-ffmpeg") && text.contains("apt install ffmpeg"), "{text}");
    }
}
