//! Options of [`Archive::dedupe`](crate::Archive::dedupe).

use std::path::PathBuf;

use vidsieve_search::Budget;

use super::keep::KeepBy;
use crate::Error;

/// Options of [`Archive::dedupe`](crate::Archive::dedupe).
#[derive(Debug, Clone)]
#[must_use]
pub struct DedupeOptions {
    pub(crate) min_score: f32,
    pub(super) budget: Budget,
    pub(super) related: bool,
    pub(super) keep: Vec<KeepBy>,
    pub(super) reference: Vec<PathBuf>,
    pub(super) between: Option<[PathBuf; 2]>,
    pub(super) reviewed: bool,
}

impl Default for DedupeOptions {
    fn default() -> Self {
        Self {
            min_score: 0.9,
            budget: Budget::Auto,
            related: false,
            keep: Vec::new(),
            reference: Vec::new(),
            between: None,
            reviewed: false,
        }
    }
}

impl DedupeOptions {
    /// Returns the defaults: copies score at least 0.9, each video is compared with at most 500 others
    /// beside the likely ones, and other related pairs are not listed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the score from which two videos are copies, or one an excerpt of the other, in [0, 1].
    pub fn min_score(mut self, min_score: f32) -> Self {
        self.min_score = min_score;
        self
    }

    /// Sets how many pairs of each video are compared frame by frame; a time is refused. Pairs whose
    /// coarse score is likely are compared in any case, with [`Budget::None`] only these.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets whether the other pairs that have something in common are listed, and the videos of which
    /// nothing can be told.
    pub fn related(mut self, related: bool) -> Self {
        self.related = related;
        self
    }

    /// Sets the order in which the video to keep is chosen, among those whose files are fit to be kept; what it does not
    /// decide is decided as by default.
    pub fn keep(mut self, order: impl Into<Vec<KeepBy>>) -> Self {
        self.keep = order.into();
        self
    }

    /// Protects the videos of a folder, which is named by its path or as the beginning of ids: they are kept, and no plan
    /// acts on them. May be called several times.
    pub fn reference(mut self, folder: impl Into<PathBuf>) -> Self {
        self.reference.push(folder.into());
        self
    }

    /// Compares only videos of one folder with videos of another one; both are named as for
    /// [`reference`](Self::reference).
    pub fn between(mut self, a: impl Into<PathBuf>, b: impl Into<PathBuf>) -> Self {
        self.between = Some([a.into(), b.into()]);
        self
    }

    /// Sets whether groups and excerpts that people looked at are shown too.
    pub fn reviewed(mut self, reviewed: bool) -> Self {
        self.reviewed = reviewed;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.min_score) {
            let value = self.min_score.to_string();
            return Err(Error::InvalidOption { option: "min_score", value, rule: "scores are from 0 to 1" });
        }
        if self.budget.time().is_some() {
            return Err(Error::InvalidOption {
                option: "budget",
                value: self.budget.to_string(),
                rule: "a time is no budget here, give a share or pairs",
            });
        }
        Ok(())
    }
}
