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
    /// Whether every video was checked and none is damaged, nor any page that was checked.
    pub ok: bool,
    /// Videos that were checked.
    pub checked: usize,
    /// Videos of the index; `None` if it is too damaged to count them.
    pub videos: Option<usize>,
    /// Videos whose record is damaged or missing.
    pub damaged: Vec<DamagedVideo>,
    /// Damaged videos that cannot even be named.
    pub nameless: usize,
    /// Whether the database's pages are sound; `None` if they were not checked, since another process writes the index.
    pub pages: Option<bool>,
    /// What to do, if anything: no more than is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
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
    /// folder since a damaged index may not open. A damaged page counts for the videos that it holds. Pages are left out
    /// while another process writes the index. Nothing is changed. Reports the stage `checking` in videos.
    ///
    /// Damage is a result, not an error, and so is a check that was cancelled.
    ///
    /// # Errors
    /// [`Error::Index`] for a folder without an index.
    pub fn verify(folder: impl AsRef<Path>, control: &Control<'_>) -> Result<VerifyReport, Error> {
        match check(folder.as_ref(), control) {
            Ok(report) => Ok(report),
            Err(error @ IndexError::Damaged { .. }) => Ok(VerifyReport {
                ok: false,
                checked: 0,
                videos: None,
                damaged: Vec::new(),
                nameless: 0,
                pages: Some(false),
                remedy: Some(format!(
                    "put a copy of the index in its place, or index the videos again in another folder than {}",
                    folder.as_ref().display()
                )),
                error: Some(error.to_string()),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(folder: &Path, control: &Control<'_>) -> Result<VerifyReport, IndexError> {
    let pages = Index::check_pages(folder)?;
    let found = Index::open_read_only(folder)?.verify(control)?;
    let damaged: Vec<_> = found.damaged.into_iter().map(|(id, reason)| DamagedVideo { id, reason }).collect();
    let are_sound = pages != Some(false) && !found.unreadable && found.nameless == 0;
    let ok = damaged.is_empty() && found.checked >= found.videos && are_sound;
    let shown = folder.display();
    let remedy = if found.unreadable || found.nameless > 0 || (damaged.is_empty() && pages == Some(false)) {
        let others = if damaged.is_empty() && found.nameless == 0 { "all videos" } else { "the sound videos" };
        Some(format!(
            "`vidsieve backup --index {shown} --to NEW` copies {others} to a new index; `vidsieve index --index NEW` adds what \
             is not in it from the files"
        ))
    } else if damaged.is_empty() {
        None
    } else {
        Some(format!(
            "`vidsieve remove --index {shown} ID` takes a damaged video out, `vidsieve index --index {shown}` adds it again \
             from its file"
        ))
    };
    Ok(VerifyReport {
        ok,
        checked: found.checked,
        videos: Some(found.videos),
        damaged,
        nameless: found.nameless,
        pages,
        remedy,
        error: None,
    })
}
