//! Decoding of rendered files.
//!
//! Each frame carries its number in two grey levels, which says which one came out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::backend::Backend;
use crate::tools::{Tools, file_url};
use crate::*;

const WIDTH: u32 = 64;
const HEIGHT: u32 = 32;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vidsieve-video-{}-{serial}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Left half: `number / 50`, right half: `number % 50`, in steps of 5 grey levels.
fn numbered(number: u32, width: u32, height: u32) -> Vec<u8> {
    assert!(number < 2500);
    let row: Vec<u8> = (0..width)
        .flat_map(|x| {
            let digit = if x < width / 2 { number / 50 } else { number % 50 };
            [(digit * 5) as u8; 3]
        })
        .collect();
    row.repeat(height as usize)
}

/// The number that [`numbered`] put into a frame which is upright.
fn number(frame: &Frame) -> u32 {
    let digit = |x: u32| {
        let at = ((frame.height() / 2) * frame.width() + x) as usize * 3;
        (u32::from(frame.data()[at + 1]) + 2) / 5
    };
    digit(frame.width() / 8) * 50 + digit(frame.width() - 1 - frame.width() / 8)
}

fn ffmpeg(arguments: &[&str], file: &Path, frames: &[Vec<u8>]) {
    let mut child = Command::new(Tools::of_environment().ffmpeg)
        .args(["-hide_banner", "-nostats", "-v", "error", "-y"])
        .args(arguments)
        .arg(file_url(file))
        .stdin(Stdio::piped())
        .spawn()
        .expect("these tests need FFmpeg in PATH: apt install ffmpeg");
    let mut pipe = child.stdin.take().unwrap();
    for frame in frames {
        pipe.write_all(frame).unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success(), "ffmpeg {arguments:?}");
}

/// `count` numbered frames at `rate` a second.
fn render(file: &Path, count: u32, rate: &str, arguments: &[&str]) {
    let size = format!("{WIDTH}x{HEIGHT}");
    let mut all = vec!["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", &size, "-framerate", rate, "-i", "pipe:0"];
    all.extend(arguments);
    let frames: Vec<Vec<u8>> = (0..count).map(|n| numbered(n, WIDTH, HEIGHT)).collect();
    ffmpeg(&all, file, &frames);
}

const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p"];

fn read(by: &Backend, file: &Path, options: Options) -> (Vec<Frame>, Vec<Warning>) {
    let mut frames = Frames::open_by(by, file, options).unwrap();
    let list = (&mut frames).map(|f| f.unwrap()).collect();
    (list, frames.warnings().to_vec())
}

fn sampled(sampling: Sampling) -> Options {
    Options { sampling, ..Options::default() }
}

fn each_second() -> Options {
    sampled(Sampling::Fps(1.0))
}

/// Numbers of the frames at one a second.
fn numbers(by: &Backend, file: &Path) -> Vec<u32> {
    let (frames, warnings) = read(by, file, each_second());
    assert_eq!(warnings, [], "{file:?}");
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!((frame.index(), frame.time()), (k as u64, k as f64));
        assert!(frame.pts() <= frame.time() + TOLERANCE);
    }
    frames.iter().map(number).collect()
}

/// Makes a test of each function and backend that is built in.
macro_rules! tests_of_each_backend {
    ($($name:ident,)*) => {
        mod process {
            use super::*;
            $(#[test]
            fn $name() {
                super::$name(&Backend::Process(Tools::of_environment()));
            })*
        }
        #[cfg(feature = "linked")]
        mod linked {
            use super::*;
            $(#[test]
            fn $name() {
                super::$name(&Backend::Linked);
            })*
        }
    };
}

/// Copies an MP4 with another matrix in the header of its track; it is the identity in one that FFmpeg wrote.
fn turn(plain: &Path, turned: &Path, [a, b, u, c, d, v]: [i32; 6]) {
    let mut data = std::fs::read(plain).unwrap();
    let at = data.windows(4).position(|w| w == b"tkhd").unwrap() + 4 + 40;
    let matrix = [a, b, u, c, d, v, 0, 0, 0x4000_0000];
    data[at..at + 36].copy_from_slice(&matrix.map(i32::to_be_bytes).concat());
    std::fs::write(turned, data).unwrap();
}

#[cfg(feature = "linked")]
mod agreement;
mod damage;
mod files;
mod oddities;
mod pictures;
mod times;
mod writing;
