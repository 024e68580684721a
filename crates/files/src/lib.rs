//! Files of a native machine: which files are videos, what their ids are, and how a file is written whole or not at all.
//!
//! The crate is internal to Vidsieve: the promised surface is the crate `vidsieve`.

mod content;
mod find;
mod ids;
mod kinds;
mod mounts;
mod write;

pub use find::{FindError, FindOptions, FoundVideos, files_with_extensions, find_videos};
pub use ids::{VideoFile, escape_name};
pub use kinds::{is_video, is_video_by_content, video_extensions};
pub use mounts::mount_points;
pub use write::write_atomically;
