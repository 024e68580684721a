//! Carrying a plan out.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use vidsieve_files::{
    FileFacts, FileIdentity, TrashPlace, choose_trash_place, move_file, replace_by_link, sync_folder_of, whole_hash,
};
use vidsieve_progress::{Control, Progress, Unit};

use super::log::{ActionLog, LogStep, StepKind};
use super::{DedupePlan, PlanFile, PlanGroup};
use crate::Error;

/// What is done with the files that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanAction {
    /// They go to the trash of the disk that they are on.
    Trash,
    /// Those with the same bytes as the file that is kept become hard links to it; the others stay.
    HardLink,
    /// They go to a folder, below which they keep their paths.
    Move(PathBuf),
}

/// The result of [`DedupePlan::apply`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ApplyReport {
    /// The log, which [`undo_plan`](super::undo_plan) reads.
    pub log: String,
    /// Files that were moved or linked.
    pub done: Vec<ActedFile>,
    /// Files that stayed.
    pub skipped: Vec<SkippedFile>,
    /// Bytes of the files that were moved or linked.
    pub bytes: u64,
    /// Whether the operation was cancelled before all files were looked at.
    pub interrupted: bool,
}

/// A file that was moved, linked or put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActedFile {
    /// Where it was.
    pub from: String,
    /// Where it is; the same for a link.
    pub to: String,
}

/// A file that stayed where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedFile {
    /// The file.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl DedupePlan {
    /// Carries the plan out: each file that may go is moved to the trash or to a folder, or becomes a hard link.
    ///
    /// Before that the file that is kept is read as a whole: it must be there, with the content that the plan says, and not
    /// be the same file as the one that goes, which must be unchanged as well. Files that are not as the plan says stay.
    /// Nothing is replaced at the new place. Each step is in the log before it is done, and at any time each file is
    /// somewhere as a whole. A plan whose execution was interrupted can be carried out again, with the same log.
    /// Reports the stage `acting` in videos.
    ///
    /// # Errors
    /// [`Error::File`] for a log that cannot be written, [`Error::Plan`] for one of another kind or that another process
    /// writes. What was done until then is in the log.
    pub fn apply(
        &self,
        action: &PlanAction,
        log: impl AsRef<Path>,
        control: &Control<'_>,
    ) -> Result<ApplyReport, Error> {
        let log = ActionLog::open(log.as_ref(), true)?;
        let identity = |group: &PlanGroup| FileIdentity::of(group.keep.as_ref()?.path.as_path()).ok();
        let kept = self.groups.iter().filter_map(identity).collect();
        let report = ApplyReport {
            log: log.path().display().to_string(),
            done: Vec::new(),
            skipped: Vec::new(),
            bytes: 0,
            interrupted: false,
        };
        let mut run = Run { action, log, kept, report };
        let (all, mut done) = (self.going().count(), 0);
        for group in self.groups.iter().filter(|group| !group.go.is_empty()) {
            let Some(keep) = &group.keep else { continue };
            let checked = if control.is_cancelled() { Err(String::new()) } else { check_kept(keep) };
            for file in &group.go {
                #[allow(clippy::cast_precision_loss)]
                control.report(&Progress::new("acting", done as f64, Some(all as f64), Unit::Videos));
                done += 1;
                if control.is_cancelled() {
                    run.report.interrupted = true;
                    return Ok(run.report);
                }
                match &checked {
                    Ok(facts) => run.take(file, keep, facts)?,
                    Err(reason) => run.skip(file, format!("the file to keep, {}, {reason}", keep.path)),
                }
            }
        }
        Ok(run.report)
    }
}

/// Reads the file that is kept; why it is not as the plan says is an error.
fn check_kept(keep: &PlanFile) -> Result<FileFacts, String> {
    let path = keep.path.as_path();
    let facts = check(keep).map_err(|reason| reason.unwrap_or_else(|| "is gone".to_owned()))?;
    match FileFacts::of(path) {
        Ok(after) if after.is_same(&facts) => Ok(facts),
        _ => Err("was changed meanwhile".to_owned()),
    }
}

/// Reads a file of a plan; why it is not as the plan says is an error, `None` if it is gone.
fn check(file: &PlanFile) -> Result<FileFacts, Option<String>> {
    let path = file.path.as_path();
    let unreadable =
        |error: io::Error| (error.kind() != ErrorKind::NotFound).then(|| format!("cannot be read: {error}"));
    let facts = FileFacts::of(path).map_err(unreadable)?;
    if facts.is_link || !facts.is_file {
        return Err(Some("is a link or no file".to_owned()));
    }
    if facts.size != file.size || whole_hash(path).map_err(unreadable)? != file.blake3 {
        return Err(Some("has changed since the plan was made".to_owned()));
    }
    Ok(facts)
}

struct Run<'a> {
    action: &'a PlanAction,
    log: ActionLog,
    /// The files that are kept, of all groups.
    kept: HashSet<FileIdentity>,
    report: ApplyReport,
}

impl Run<'_> {
    fn skip(&mut self, file: &PlanFile, reason: String) {
        self.report.skipped.push(SkippedFile { path: file.path.to_string(), reason });
    }

    /// Does with a file what is to be done, if all is as the plan says.
    fn take(&mut self, file: &PlanFile, keep: &PlanFile, kept: &FileFacts) -> Result<(), Error> {
        let facts = match check(file) {
            Ok(facts) => facts,
            Err(reason) => {
                self.skip(file, reason.map_or_else(|| "it is gone".to_owned(), |reason| format!("it {reason}")));
                return Ok(());
            }
        };
        if self.kept.contains(&facts.identity) {
            self.skip(file, "it is the same file as one that is kept: nothing would be gained".to_owned());
            return Ok(());
        }
        let path = file.path.as_path();
        let outcome = match self.action {
            PlanAction::HardLink if file.blake3 != keep.blake3 => {
                Err("it has other bytes than the file to keep: a link would lose them".to_owned())
            }
            PlanAction::HardLink if !facts.identity.is_beside(&kept.identity) => {
                Err("it is on another disk than the file to keep".to_owned())
            }
            PlanAction::HardLink => Ok((StepKind::HardLink, path.to_owned(), None)),
            PlanAction::Trash => choose_trash_place(path)
                .map(|place| (StepKind::Trash, place.file.clone(), Some(place)))
                .map_err(|error| error.to_string()),
            PlanAction::Move(folder) => {
                free_place(folder, path).map(|place| (StepKind::Move, place, None)).map_err(|error| error.to_string())
            }
        };
        let (kind, to, place) = match outcome {
            Ok(chosen) => chosen,
            Err(reason) => {
                self.skip(file, reason);
                return Ok(());
            }
        };
        let info = place.as_ref().and_then(|place| place.info.as_deref());
        let step = self.log.begin(|step| LogStep {
            step,
            action: kind,
            from: file.path.clone(),
            to: to.as_path().into(),
            info: info.map(Into::into),
            keep: keep.path.clone(),
            size: facts.size,
            modified: facts.modified,
            blake3: file.blake3,
        })?;
        // Both were read a while ago, if they are large.
        let still = |path: &Path, before: &FileFacts| FileFacts::of(path).is_ok_and(|now| now.is_same(before));
        let outcome = if !still(keep.path.as_path(), kept) || !still(path, &facts) {
            Err(io::Error::new(ErrorKind::InvalidData, "a file was changed meanwhile"))
        } else {
            match (kind, &place) {
                (StepKind::HardLink, _) => replace_by_link(path, keep.path.as_path(), &file.blake3),
                (_, Some(place)) => move_to_trash(path, place, &file.blake3),
                (_, None) => move_file(path, &to, &file.blake3),
            }
        };
        self.log.end(&step, &outcome)?;
        match outcome {
            Ok(()) => {
                self.report.bytes += facts.size;
                let done = ActedFile { from: file.path.to_string(), to: to.display().to_string() };
                self.report.done.push(done);
            }
            Err(error) => self.skip(file, error.to_string()),
        }
        Ok(())
    }
}

/// Moves a file to a place in the trash. Without the file no description of it stays there.
fn move_to_trash(path: &Path, place: &TrashPlace, hash: &[u8; 32]) -> io::Result<()> {
    place.describe()?;
    let moved = move_file(path, &place.file, hash);
    if moved.is_err()
        && place.file.symlink_metadata().is_err()
        && let Some(info) = &place.info
    {
        let _ = std::fs::remove_file(info);
    }
    moved
}

/// A name below a folder, after the path of a file, that no file has; the folders above it are made.
fn free_place(folder: &Path, file: &Path) -> io::Result<PathBuf> {
    let parent = file.parent().unwrap_or(file).canonicalize()?;
    let below = parent.components().filter(|part| matches!(part, Component::Normal(_)));
    let folder = std::path::absolute(folder)?.join(below.collect::<PathBuf>());
    std::fs::create_dir_all(&folder)?;
    sync_folder_of(&folder)?;
    let stem = file.file_stem().unwrap_or_default();
    for copy in 1..10_000u32 {
        let mut name = stem.to_owned();
        if copy > 1 {
            name.push(format!(" ({copy})"));
        }
        if let Some(extension) = file.extension() {
            name.push(".");
            name.push(extension);
        }
        let place = folder.join(name);
        if place.symlink_metadata().is_err() {
            return Ok(place);
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "the folder is full of files of this name"))
}
