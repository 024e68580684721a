//! Files of a native machine: which files are videos, what their ids are, and how a file is written whole or not at all.
//!
//! The crate is internal to Vidsieve: the promised surface is the crate `vidsieve`.

mod find;
mod kinds;
mod write;

pub use find::{FindError, FoundVideos, VideoFile, escape_name, files_with_extensions, find_videos};
pub use kinds::{VIDEO_EXTENSIONS, is_video};
pub use write::write_atomically;
