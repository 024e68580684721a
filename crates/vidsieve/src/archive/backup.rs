//! Copies of an index.

use std::path::Path;

use serde::Serialize;
use vidsieve_progress::Control;

use super::Archive;
use super::verify::DamagedVideo;
use crate::Error;

/// The result of [`Archive::copy_to`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchiveCopy {
    /// Videos of the copy.
    pub videos: usize,
    /// Videos that are damaged and were left out.
    pub damaged: Vec<DamagedVideo>,
    /// Videos that are damaged and cannot even be named.
    pub nameless: usize,
}

impl Archive {
    /// Copies the index, as it is at one moment, into a folder that does not exist, also while another process writes it.
    /// The copy is an index, and holds every sound video of one that is damaged. It is there as a whole or not at all.
    /// Reports the stage `copying` in videos.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Index`] for a folder that exists or cannot be written.
    pub fn copy_to(&self, folder: impl AsRef<Path>, control: &Control<'_>) -> Result<ArchiveCopy, Error> {
        let report = self.index.copy_to(folder.as_ref(), control)?.ok_or(Error::Cancelled)?;
        let damaged = report.damaged.into_iter().map(|(id, reason)| DamagedVideo { id, reason }).collect();
        Ok(ArchiveCopy { videos: report.videos, damaged, nameless: report.nameless })
    }
}
