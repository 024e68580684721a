//! Files of a native machine: which files are videos, what their ids are, which names lead to one file, and how files are
//! written, moved and linked so that nothing is lost.
//!
//! The crate is internal to Vidsieve: the promised surface is the crate `vidsieve`.

mod bins;
mod content;
mod find;
mod identity;
mod ids;
mod kinds;
mod mounts;
mod relocate;
mod trash;
mod whole;
mod write;

pub use bins::in_bin;
pub use find::{FindError, FindOptions, FoundVideos, files_with_extensions, find_videos};
pub use identity::{FileFacts, FileIdentity, is_same_entry, nanoseconds};
pub use ids::{VideoFile, escape_name};
pub use kinds::{is_video, is_video_by_content, video_extensions};
pub use mounts::mount_points;
pub use relocate::{clear_leftovers, clear_link, move_file, replace_by_copy, replace_by_link, sync_folder_of};
pub use trash::{TrashPlace, choose_trash_place};
pub use whole::{whole_hash, whole_hash_while};
pub use write::write_atomically;
