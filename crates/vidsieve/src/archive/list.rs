//! The videos of an index, removing them, and giving space back.

use std::sync::Arc;

use serde::Serialize;
use vidsieve_index::store::{IndexError, Summary};

use super::Archive;
use super::missing::{Roots, SourceState};
use crate::Error;

/// The result of [`Archive::list`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArchiveListing {
    /// Identity of the model: 64 hexadecimal digits.
    pub model: String,
    /// All videos, in the order of their ids.
    pub videos: Vec<ArchiveVideo>,
}

/// A video of an index.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArchiveVideo {
    /// Its id.
    pub id: String,
    /// Its file, with replacement characters where the name is not UTF-8; empty without a file.
    pub path: String,
    /// Its length in seconds.
    pub duration: f64,
    /// Sampled frames.
    pub frames: u32,
    /// Width of its pictures in pixels, 0 if unknown.
    pub width: u32,
    /// Height of its pictures in pixels, 0 if unknown.
    pub height: u32,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// Size of the record in bytes.
    pub record_bytes: u64,
    /// Time at which the video was added, in seconds since 1970.
    pub added: u64,
    /// Whether its file exists.
    pub exists: bool,
    /// What became of its file.
    pub file: SourceState,
    /// What could not be read of its file; empty for a file that was read whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub damage: String,
}

impl ArchiveVideo {
    fn new(summary: Summary, file: SourceState) -> Self {
        Self {
            exists: matches!(file, SourceState::Present | SourceState::Changed),
            file,
            damage: summary.source.damage.clone(),
            path: summary.source.display(),
            duration: summary.duration,
            frames: summary.frames,
            width: summary.source.picture[0],
            height: summary.source.picture[1],
            file_bytes: summary.source.size,
            record_bytes: summary.bytes,
            added: summary.added,
            id: summary.id,
        }
    }
}

/// The result of [`Archive::remove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoveReport {
    /// Ids of videos that were removed.
    pub removed: Vec<String>,
    /// Ids that the index did not have.
    pub missing: Vec<String>,
    /// Videos of the index afterwards.
    pub videos: u64,
}

/// The result of [`Archive::compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// Bytes of the database before.
    pub bytes_before: u64,
    /// Bytes of the database afterwards.
    pub bytes_after: u64,
}

impl Archive {
    /// Returns all videos, in the order of their ids, and what became of their files.
    ///
    /// # Errors
    /// [`Error::Index`] for a damaged index.
    pub fn list(&self) -> Result<ArchiveListing, Error> {
        let roots = Roots::of(self)?;
        let of = |summary: Summary| {
            let file = roots.state(&summary);
            ArchiveVideo::new(summary, file)
        };
        let videos = self.index.list()?.into_iter().map(of).collect();
        Ok(ArchiveListing { model: self.index.bundle().to_string(), videos })
    }

    /// Removes videos by their ids, all in one change. Files are not touched; ids that the index does not have are
    /// reported.
    ///
    /// # Errors
    /// [`Error::Index`] for an index that is open to read; nothing is removed then.
    pub fn remove<S: AsRef<str>>(&self, ids: &[S]) -> Result<RemoveReport, Error> {
        let mut distinct: Vec<&str> = Vec::new();
        for id in ids.iter().map(AsRef::as_ref) {
            if !distinct.contains(&id) {
                distinct.push(id);
            }
        }
        let outcomes = self.index.remove_many(&distinct)?;
        self.forget_table();
        let of = |existed: bool| {
            let ids = distinct.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == existed);
            ids.map(|(id, _)| (*id).to_owned()).collect()
        };
        Ok(RemoveReport { removed: of(true), missing: of(false), videos: self.index.len()? })
    }

    /// Returns free space of the database to the file system.
    ///
    /// # Errors
    /// [`Error::Index`] for an index that is open to read.
    pub fn compact(&mut self) -> Result<CompactReport, Error> {
        let folder = self.folder().to_owned();
        let index = Arc::get_mut(&mut self.index).ok_or(IndexError::InUse(folder))?;
        let (bytes_before, bytes_after) = index.compact()?;
        Ok(CompactReport { bytes_before, bytes_after })
    }
}
