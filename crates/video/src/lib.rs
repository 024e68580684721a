//! Decoding, sampling and writing videos on a native machine, through FFmpeg run as a child process, or for reading
//! linked into this one (feature `linked`).
//!
//! ```no_run
//! use vidsieve_video::{Frames, Options};
//!
//! let mut frames = Frames::open("clip.mp4".as_ref(), Options::default())?;
//! for frame in &mut frames {
//!     let frame = frame?;
//!     println!("{:.3} s: {}x{}", frame.time(), frame.width(), frame.height());
//! }
//! for warning in frames.warnings() {
//!     eprintln!("clip.mp4: {warning}");
//! }
//! # Ok::<(), vidsieve_video::Error>(())
//! ```
//!
//! Files are opened by their literal names and by nothing else: no network protocols, no playlists, no image sequences.
//! `VIDSIEVE_DECODER`, `process` or `linked`, chooses the way to FFmpeg where both are built in; `linked` is the default
//! then. `VIDSIEVE_FFMPEG` and `VIDSIEVE_FFPROBE` name the programs where those in `PATH` are not wanted.

mod backend;
mod delivery;
mod error;
mod frames;
mod info;
#[cfg(feature = "linked")]
mod linked;
mod nut;
mod options;
mod process;
mod sampling;
mod tools;
mod webp;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::probe;
pub use delivery::Frame;
pub use error::{Error, Warning};
pub use frames::Frames;
pub use info::{Info, MAX_SIDE, Rate};
pub use options::{Limits, Options};
pub use sampling::{LEAST_SAMPLES, Sampling, TOLERANCE, adaptive, adaptive_rate, covering, upstream_step};
pub use vidsieve_progress::CancelToken;
pub use writer::{Codec, Writer, WriterOptions};
