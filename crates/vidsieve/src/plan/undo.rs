//! Taking back what was done by a plan.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Serialize;
use vidsieve_files::{
    FileIdentity, clear_leftovers, clear_link, move_file, replace_by_copy, sync_folder_of, whole_hash,
};
use vidsieve_progress::{Control, Progress, Unit};

use super::apply::{ActedFile, SkippedFile};
use super::log::{ActionLog, LogStep, StepKind};
use crate::Error;

/// The result of [`undo_plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UndoReport {
    /// Files that are back where they were.
    pub restored: Vec<ActedFile>,
    /// Files that could not be put back.
    pub skipped: Vec<SkippedFile>,
    /// Whether the operation was cancelled before all files were looked at.
    pub interrupted: bool,
}

/// Takes back what a log says was done, the last step first: files go back to where they were, with their content and time;
/// links become files of their own again. Nothing is replaced: a file whose place was taken meanwhile stays where it is.
/// Reports the stage `undoing` in videos. What was interrupted can be done again.
///
/// # Errors
/// [`Error::File`] for a log that cannot be read or written, [`Error::Plan`] for what is no log or one that another process
/// writes. A file that cannot be put back is no error.
pub fn undo_plan(log: impl AsRef<Path>, control: &Control<'_>) -> Result<UndoReport, Error> {
    let mut log = ActionLog::open(log.as_ref(), false)?;
    let mut report = UndoReport { restored: Vec::new(), skipped: Vec::new(), interrupted: false };
    let steps: Vec<LogStep> = log.steps().iter().rev().cloned().collect();
    // Places that hold the file of a later step, which could not be put back.
    let mut taken = HashSet::new();
    for (done, step) in steps.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)]
        control.report(&Progress::new("undoing", done as f64, Some(steps.len() as f64), Unit::Videos));
        if control.is_cancelled() {
            report.interrupted = true;
            break;
        }
        let outcome = match step.action {
            StepKind::HardLink => unlink(step),
            // The step was interrupted before its file had the place.
            StepKind::Move | StepKind::Trash if taken.contains(&step.to) => Ok(false),
            StepKind::Move | StepKind::Trash => move_back(step),
        };
        match outcome {
            Ok(was_done) => {
                if was_done {
                    let (from, to) = (step.to.to_string(), step.from.to_string());
                    report.restored.push(ActedFile { from, to });
                }
                log.undone(step)?;
            }
            Err(error) => {
                taken.insert(step.to.clone());
                report.skipped.push(SkippedFile { path: step.from.to_string(), reason: error.to_string() });
            }
        }
    }
    Ok(report)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn in_the_way(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, format!("another file is at {} now", path.display()))
}

/// Moves a file back; returns whether it had been moved.
fn move_back(step: &LogStep) -> io::Result<bool> {
    let (from, to) = (step.from.as_path(), step.to.as_path());
    let was_moved = move_back_from(step, from, to)?;
    if let Some(info) = step.info.as_ref().map(|info| info.as_path()).filter(|info| exists(info)) {
        std::fs::remove_file(info)?;
    }
    Ok(was_moved)
}

fn move_back_from(step: &LogStep, from: &Path, to: &Path) -> io::Result<bool> {
    clear_leftovers(to, step.size, &step.blake3)?;
    // An interrupted return may have left the same at the old place.
    clear_leftovers(from, step.size, &step.blake3)?;
    match (exists(from), exists(to)) {
        // It was never moved, or is back.
        (true, false) => Ok(false),
        (false, false) => {
            let text = format!("it is neither here nor at {}", to.display());
            Err(io::Error::new(ErrorKind::NotFound, text))
        }
        (true, true) => {
            // An interrupted move to another disk may have left both.
            if whole_hash(from)? != step.blake3 || whole_hash(to)? != step.blake3 {
                return Err(in_the_way(from));
            }
            std::fs::remove_file(to)?;
            sync_folder_of(to)?;
            Ok(false)
        }
        (false, true) => {
            if let Some(folder) = from.parent() {
                std::fs::create_dir_all(folder)?;
            }
            // It may have been changed at its new place: it goes back as it is.
            move_file(to, from, &whole_hash(to)?)?;
            Ok(true)
        }
    }
}

/// Gives a file that became a link its own content again; returns whether it was a link.
fn unlink(step: &LogStep) -> io::Result<bool> {
    let (path, keep) = (step.from.as_path(), step.keep.as_path());
    clear_link(path, keep, &step.blake3)?;
    match (FileIdentity::of(path), FileIdentity::of(keep)) {
        (Ok(own), Ok(kept)) if own == kept => replace_by_copy(path, path, &step.blake3, step.modified)?,
        // It was never linked, or has its own content again.
        (Ok(_), _) => return Ok(false),
        (Err(_), Ok(_)) => replace_by_copy(path, keep, &step.blake3, step.modified)?,
        (Err(error), Err(_)) => return Err(error),
    }
    Ok(true)
}
