//! Checking an index.

use std::path::Path;

use serde::Serialize;
use vidsieve_index::store::{Index, IndexError};
use vidsieve_progress::Control;

use super::Archive;
use crate::Error;

/// The result of [`Archive::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether every video was checked and none is damaged.
    pub ok: bool,
    /// Videos that were checked.
    pub checked: usize,
    /// Videos of the index; `None` if it is too damaged to count them.
    pub videos: Option<usize>,
    /// Videos whose record is damaged or missing.
    pub damaged: Vec<DamagedVideo>,
    /// Why the index as a whole cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl VerifyReport {
    /// Returns whether the check was cancelled before it had seen every video.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.videos.is_some_and(|videos| self.checked < videos)
    }
}

/// A video whose record is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DamagedVideo {
    /// Its id.
    pub id: String,
    /// What is wrong.
    pub reason: String,
}

impl Archive {
    /// Checks the index of a folder: the database's pages, and every record against what is kept beside it. It takes a
    /// folder since a damaged index may not open; the index must not be open. Pages are left out where the folder cannot be
    /// written or another process reads the index. Reports the stage `checking` in videos.
    ///
    /// Damage is a result, not an error, and so is a check that was cancelled.
    ///
    /// # Errors
    /// [`Error::Index`] for a folder without an index, or one that another process writes.
    pub fn verify(folder: impl AsRef<Path>, control: &Control<'_>) -> Result<VerifyReport, Error> {
        match check(folder.as_ref(), control) {
            Ok(report) => Ok(report),
            Err(error @ IndexError::Damaged { .. }) => Ok(VerifyReport {
                ok: false,
                checked: 0,
                videos: None,
                damaged: Vec::new(),
                error: Some(error.to_string()),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(folder: &Path, control: &Control<'_>) -> Result<VerifyReport, IndexError> {
    match Index::open(folder) {
        Ok(mut index) => index.check_pages()?,
        Err(IndexError::Locked(_) | IndexError::Io { .. }) => {}
        Err(error) => return Err(error),
    }
    let index = Index::open_read_only(folder)?;
    let found = index.verify(control)?;
    let videos = usize::try_from(index.len()?).unwrap_or(usize::MAX);
    let damaged: Vec<_> = found.damaged.into_iter().map(|(id, reason)| DamagedVideo { id, reason }).collect();
    let ok = damaged.is_empty() && found.checked >= videos;
    Ok(VerifyReport { ok, checked: found.checked, videos: Some(videos), damaged, error: None })
}
