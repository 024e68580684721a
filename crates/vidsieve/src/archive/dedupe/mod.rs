//! Groups of copies, which video of each to keep, and excerpts.

mod arrange;
mod choose;
mod damage;
mod files;
mod keep;
mod options;
mod records;
mod report;
mod search;
mod sets;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use vidsieve_index::store::Summary;
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_search::{Table, Untold};

pub(crate) use choose::ChosenGroup;
pub use choose::PlanChoice;
pub use damage::FileDamage;
pub use files::{CopyFile, FileState, LinkedVideo, NameKind, OtherName};
pub use keep::{KeepBy, KeepReason};
pub use options::DedupeOptions;
pub use report::{CopyGroup, CopyMember, CopyPair, DedupeReport, ExcerptVideo, RelatedPair, UntoldVideo};

use self::arrange::Arrangement;
use self::files::FileBook;
use self::search::{Comparable, CopySearch, Findings};
use self::sets::VideoSet;
use super::Archive;
use super::decisions::Decided;
use crate::Error;

impl Archive {
    /// Finds copies and excerpts, and says which video of several copies to keep. Nothing is removed.
    ///
    /// A group is a video to keep and its copies: each was compared with it frame by frame and shows
    /// the same footage. The one to keep is no excerpt of a longer video where another one is whole.
    /// Then its file exists, is readable, unchanged since it was indexed, whole, not damaged, no link,
    /// and in no recycle bin; then it lies in a reference folder; then the [order](KeepBy) that was asked
    /// for decides; then it has the largest picture, is the longest, the largest file, the oldest file.
    /// A group without any file that is fit to be kept is listed apart: all of its videos stay.
    /// An excerpt is listed under the video that holds it. Several names of one file (links, a second
    /// mount) are one video. Pairs that people [told apart](Archive::decide) are not compared, and groups
    /// that they looked at are not shown.
    ///
    /// Reports the stages `choosing pairs` in videos, `comparing` in pairs and `aligning` in videos; a
    /// cancelled operation returns what is known until then.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a score outside [0, 1], a budget of time, or a folder without videos of the index;
    /// [`Error::Index`], [`Error::Model`].
    pub fn dedupe(&self, options: &DedupeOptions, control: &Control<'_>) -> Result<DedupeReport, Error> {
        let start = Instant::now();
        options.check()?;
        let table = self.table()?;
        let summaries: HashMap<String, Summary> = self.index.list()?.into_iter().map(|s| (s.id.clone(), s)).collect();
        let sets = |folders: &[PathBuf]| folders.iter().map(VideoSet::new).collect::<Vec<_>>();
        let (reference, between) = (sets(&options.reference), options.between.as_ref().map(|pair| sets(pair)));
        let book = FileBook::new(&table, &summaries, reference.clone());
        check_sets("reference", &options.reference, &reference, &table, &book)?;
        if let (Some(folders), Some(sets)) = (&options.between, &between) {
            check_sets("between", folders, sets, &table, &book)?;
        }
        let decided = Decided::new(&self.decisions()?, &table, &summaries);
        let in_sets = |sets: &Vec<VideoSet>, video: usize| [0, 1].map(|k| book.is_in(video, &sets[k]));
        let comparable = Comparable {
            book: &book,
            between: between.map(|sets| (0..table.len()).map(|video| in_sets(&sets, video)).collect()),
            different: decided.different(|video| book.stands_for(video)),
        };
        let mut search = CopySearch::new(self, &table, &summaries, options, control);
        let candidates = search.candidates(&comparable)?;
        search.compare(&candidates)?;
        drop(candidates);
        let pairs = search.take_pairs();
        let arrangement = Arrangement::new(&table, &book, &pairs, options.min_score, &options.keep);
        let placed: Vec<[usize; 2]> = arrangement.excerpts().collect();
        let mut excerpts = Vec::with_capacity(placed.len());
        for (done, &[excerpt, of]) in placed.iter().enumerate() {
            let cancelled = control.is_cancelled();
            report(control, "aligning", done, placed.len(), Unit::Videos);
            let segments = if cancelled { Vec::new() } else { search.segments(excerpt, of)? };
            excerpts.extend(arrangement.excerpt([excerpt, of], segments));
        }
        let mut clusters = arrangement.groups();
        let all = clusters.len() + excerpts.len();
        if !options.reviewed {
            clusters.retain(|group| !decided.is_reviewed(&table, group.videos.iter().map(|video| video.id.as_str())));
            excerpts.retain(|excerpt| !decided.is_reviewed(&table, [excerpt.id.as_str(), excerpt.of.as_str()]));
        }
        let hidden = all - clusters.len() - excerpts.len();
        let is_fit = |group: &CopyGroup| group.videos.first().is_some_and(|keep| keep.file.is_fit());
        let (clusters, mut unfit): (Vec<CopyGroup>, Vec<CopyGroup>) = clusters.into_iter().partition(is_fit);
        unfit.iter_mut().flat_map(|group| &mut group.videos).for_each(|video| video.keep = true);
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
            clusters,
            unfit,
            excerpts,
            linked: book.linked(),
            hidden,
            related: options.related.then(|| arrangement.related()),
            untold: options
                .related
                .then(|| (0..table.len()).filter(|&video| !table.is_informative(video)).map(untold).collect()),
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Refuses folders that hold no video of the index: one that was mistyped would protect or compare nothing.
fn check_sets(
    option: &'static str,
    folders: &[PathBuf],
    sets: &[VideoSet],
    table: &Table,
    book: &FileBook<'_>,
) -> Result<(), Error> {
    for (folder, set) in folders.iter().zip(sets) {
        if !(0..table.len()).any(|video| book.is_in(video, set)) {
            let value = folder.display().to_string();
            return Err(Error::InvalidOption { option, value, rule: "no video of the index lies there" });
        }
    }
    Ok(())
}

/// Reports progress; counts are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn report(control: &Control<'_>, stage: &'static str, done: usize, all: usize, unit: Unit) {
    control.report(&Progress::new(stage, done as f64, Some(all as f64), unit));
}
