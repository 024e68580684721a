//! What a training run reports while it works, and how it is stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One line of a run's log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Stage: `backbone`, `pca`, `teacher`, …
    pub stage: String,
    /// Units of work done, out of `steps`.
    pub step: u64,
    /// Units of work in all.
    pub steps: u64,
    /// Losses, rates and metrics by name, such as `loss`, `validation_map`.
    pub values: BTreeMap<String, f64>,
    /// Seconds since this run of the stage began.
    pub seconds: f64,
}

/// An artefact that was not used because it was made with other settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageNote {
    /// Stage that makes it anew.
    pub stage: String,
    /// The artefact's file; the first of several.
    pub file: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// Folder that they are set aside in.
    pub aside: PathBuf,
    /// Which settings differ.
    pub reason: String,
}

impl fmt::Display for StageNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if self.files > 1 {
            write!(f, "{} files: ", self.files)?;
        }
        write!(f, "made anew: {}; the former is in {}", self.reason, self.aside.display())
    }
}

/// Receives progress; decides whether to go on.
pub trait Monitor {
    /// Called now and then; `progress.step == progress.steps` at the end.
    fn report(&mut self, progress: &Progress);

    /// Called for an artefact of other settings, which is set aside and made anew.
    fn note(&mut self, _: &StageNote) {}

    /// Whether the run should stop at the next step, keeping a checkpoint.
    fn cancelled(&self) -> bool {
        false
    }
}

/// A monitor that keeps nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn report(&mut self, _: &Progress) {}
}
