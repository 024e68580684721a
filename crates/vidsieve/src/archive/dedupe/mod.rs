//! Groups of copies, which video of each to keep, and excerpts.

mod arrange;
mod keep;
mod records;
mod report;
mod search;

use std::collections::HashMap;
use std::time::Instant;

use vidsieve_index::store::Summary;
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_search::{Budget, Untold};

pub use keep::KeepReason;
pub use report::{CopyGroup, CopyMember, CopyPair, DedupeReport, ExcerptVideo, RelatedPair, UntoldVideo};

use self::arrange::Arrangement;
use self::search::{CopySearch, Findings};
use super::Archive;
use crate::Error;

/// Options of [`Archive::dedupe`].
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct DedupeOptions {
    min_score: f32,
    budget: Budget,
    related: bool,
}

impl Default for DedupeOptions {
    fn default() -> Self {
        Self { min_score: 0.9, budget: Budget::Auto, related: false }
    }
}

impl DedupeOptions {
    /// Returns the defaults: copies score at least 0.9, each video is compared with at most 500 others
    /// beside the likely ones, and other related pairs are not listed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the score from which two videos are copies, or one an excerpt of the other, in [0, 1].
    pub const fn min_score(mut self, min_score: f32) -> Self {
        self.min_score = min_score;
        self
    }

    /// Sets how many pairs of each video are compared frame by frame; a time is refused. Pairs whose
    /// coarse score is likely are compared in any case, with [`Budget::None`] only these.
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets whether the other pairs that have something in common are listed, and the videos of which
    /// nothing can be told.
    pub const fn related(mut self, related: bool) -> Self {
        self.related = related;
        self
    }

    fn check(&self) -> Result<(), Error> {
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

impl Archive {
    /// Finds copies and excerpts, and says which video of several copies to keep. Nothing is removed.
    ///
    /// A group is a video to keep and its copies: each was compared with it frame by frame and shows
    /// the same footage. The one to keep is no excerpt of a longer video where another one is whole,
    /// then its file exists, then it has the largest picture, is the longest, the largest file, the
    /// oldest file. An excerpt is listed under the video that holds it. Reports the stages `choosing
    /// pairs` in videos, `comparing` in pairs and `aligning` in videos; a cancelled operation returns
    /// what is known until then.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a score outside [0, 1] or a budget of time; [`Error::Index`], [`Error::Model`].
    pub fn dedupe(&self, options: &DedupeOptions, control: &Control<'_>) -> Result<DedupeReport, Error> {
        let start = Instant::now();
        options.check()?;
        let table = self.table()?;
        let summaries: HashMap<String, Summary> = self.index.list()?.into_iter().map(|s| (s.id.clone(), s)).collect();
        let mut search = CopySearch::new(self, &table, &summaries, options, control);
        let candidates = search.candidates()?;
        search.compare(&candidates)?;
        drop(candidates);
        let pairs = search.take_pairs();
        let arrangement = Arrangement::new(&table, &summaries, &pairs, options.min_score);
        let placed: Vec<[usize; 2]> = arrangement.excerpts().collect();
        let mut excerpts = Vec::with_capacity(placed.len());
        for (done, &[excerpt, of]) in placed.iter().enumerate() {
            let cancelled = control.is_cancelled();
            report(control, "aligning", done, placed.len(), Unit::Videos);
            let segments = if cancelled { Vec::new() } else { search.segments(excerpt, of)? };
            excerpts.extend(arrangement.excerpt([excerpt, of], segments));
        }
        let Findings { missing, compared, .. } = search.into_findings();
        let untold = |video: usize| UntoldVideo {
            id: table.id(video).to_owned(),
            reason: Untold::NothingInTarget.text().to_owned(),
        };
        Ok(DedupeReport {
            model: self.index.bundle().to_string(),
            videos: table.len(),
            min_score: options.min_score,
            budget: options.budget.to_string(),
            compared,
            missing: missing.into_iter().collect(),
            interrupted: control.is_cancelled(),
            clusters: arrangement.groups(),
            excerpts,
            related: options.related.then(|| arrangement.related()),
            untold: options
                .related
                .then(|| (0..table.len()).filter(|&video| !table.is_informative(video)).map(untold).collect()),
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Reports progress; counts are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn report(control: &Control<'_>, stage: &'static str, done: usize, all: usize, unit: Unit) {
    control.report(&Progress::new(stage, done as f64, Some(all as f64), unit));
}
