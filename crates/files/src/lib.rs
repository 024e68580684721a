//! Files of a native machine: which files are videos, what their ids are, which names lead to one file, and how files are
//! written, moved and linked so that nothing is lost.
//!
//! The crate is internal to Vidsieve: the promised surface is the crate `vidsieve`.

mod bins;
mod find;
mod identity;
mod kinds;
mod relocate;
mod trash;
mod whole;
mod write;

pub use bins::in_bin;
pub use find::{FindError, FoundVideos, VideoFile, escape_name, files_with_extensions, find_videos};
pub use identity::{FileFacts, FileIdentity, is_same_entry, nanoseconds};
pub use kinds::{VIDEO_EXTENSIONS, is_video};
pub use relocate::{clear_leftovers, clear_link, move_file, replace_by_copy, replace_by_link, sync_folder_of};
pub use trash::{TrashPlace, choose_trash_place};
pub use whole::whole_hash;
pub use write::write_atomically;
