//! The result of [`Archive::dedupe`](crate::Archive::dedupe).

use std::cmp::Reverse;

use serde::Serialize;
use vidsieve_search::{Coverage, Relation, Segment, Untold};

use super::files::{CopyFile, LinkedVideo};
use super::keep::KeepReason;

/// The result of [`Archive::dedupe`](crate::Archive::dedupe).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct DedupeReport {
    /// Identity of the model: 64 hexadecimal digits.
    pub model: String,
    /// Videos of the index.
    pub videos: usize,
    /// Score from which two videos are copies, or one an excerpt of the other.
    pub min_score: f32,
    /// The budget by name.
    pub budget: String,
    /// Number of pairs compared frame by frame.
    pub compared: usize,
    /// Ids of videos whose record could not be read.
    pub missing: Vec<String>,
    /// Whether the operation was cancelled: not all pairs were compared then.
    pub interrupted: bool,
    /// Groups of copies.
    pub clusters: Vec<CopyGroup>,
    /// Groups of copies of which no file is fit to be kept while the others go ([`CopyFile::is_fit`]): each is gone, has
    /// changed, is damaged, a link, or in a recycle bin. All of them are marked as kept; the best one is first.
    pub unfit: Vec<CopyGroup>,
    /// Videos that are excerpts of longer ones, each once.
    pub excerpts: Vec<ExcerptVideo>,
    /// Videos that are indexed under several names: links and second paths.
    pub linked: Vec<LinkedVideo>,
    /// Groups and excerpts that are not shown since people looked at them.
    pub hidden: usize,
    /// Other pairs that have something in common, by relation, the highest score first; `None` unless
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub related: Option<Vec<RelatedPair>>,
    /// Videos of which nothing can be told; `None` unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Vec<UntoldVideo>>,
    /// Time that it took, in seconds.
    pub seconds: f64,
}

/// A video to keep and its copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct CopyGroup {
    /// Id of the video to keep.
    pub keep: String,
    /// Why that one.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub reason: KeepReason,
    /// The videos: the one to keep, then its copies, the best one first.
    pub videos: Vec<CopyMember>,
    /// The video to keep with each of its copies.
    pub pairs: Vec<CopyPair>,
}

/// A video of a [`CopyGroup`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct CopyMember {
    /// Its id.
    pub id: String,
    /// Whether it is the one to keep.
    pub keep: bool,
    /// Its score with the video to keep, in [0, 1]; of that one the best score.
    pub score: f32,
    /// Its file.
    #[serde(flatten)]
    pub file: CopyFile,
}

/// Two videos that are copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct CopyPair {
    /// Id of one video, the query of the comparison.
    pub a: String,
    /// Id of the other, the target.
    pub b: String,
    /// Score of the pair, in [0, 1].
    pub score: f32,
    /// How much of each the other one shows.
    pub coverage: Coverage,
}

/// A video that is an excerpt of a longer one. It is no copy: what to do with it is up to people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct ExcerptVideo {
    /// Its id.
    pub id: String,
    /// Id of the video that contains the excerpt.
    pub of: String,
    /// Seconds of its informative time that are in that video.
    pub seconds: f64,
    /// Their share of its informative time, in [0, 1].
    pub share: f64,
    /// Its score in [0, 1].
    pub score: f32,
    /// Where in that video it begins, in seconds; `None` if the operation was cancelled before this
    /// was looked for.
    pub start: Option<f64>,
    /// Where the videos match, best first; the excerpt is the query.
    pub segments: Vec<Segment>,
    /// Its file.
    #[serde(flatten)]
    pub file: CopyFile,
}

/// Two related videos that are neither copies nor excerpt and whole, or whose score is too low for
/// that.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct RelatedPair {
    /// Id of one video, the query of the comparison.
    pub a: String,
    /// Id of the other, the target.
    pub b: String,
    /// Relation of the first to the second.
    pub relation: Relation,
    /// Score of the pair, in [0, 1].
    pub score: f32,
    /// How much of each the other one shows.
    pub coverage: Coverage,
    /// Why the relation cannot be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Untold>,
}

impl CopyGroup {
    /// Returns the bytes that are gained where all copies go.
    #[must_use]
    pub fn bytes_to_gain(&self) -> u64 {
        self.videos.iter().filter(|video| !video.keep).map(|video| video.file.bytes).sum()
    }
}

impl DedupeReport {
    /// Keeps at most so many groups, so many unfit ones and so many excerpts: those with the most bytes to gain, in this
    /// order. Returns how many are left out.
    pub fn limit(&mut self, most: usize) -> usize {
        let all = |report: &Self| report.clusters.len() + report.unfit.len() + report.excerpts.len();
        let before = all(self);
        let bytes = |group: &CopyGroup| group.videos.iter().map(|video| video.file.bytes).sum::<u64>();
        self.clusters.sort_by_key(|group| Reverse(group.bytes_to_gain()));
        self.unfit.sort_by_key(|group| Reverse(bytes(group)));
        self.excerpts.sort_by_key(|excerpt| Reverse(excerpt.file.bytes));
        self.clusters.truncate(most);
        self.unfit.truncate(most);
        self.excerpts.truncate(most);
        before - all(self)
    }
}

impl RelatedPair {
    /// Returns the relation in words.
    #[must_use]
    pub fn describe(&self) -> String {
        vidsieve_search::words::describe(self.relation, &self.coverage, self.untold, &[])
    }
}

/// A video of which nothing can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct UntoldVideo {
    /// Its id.
    pub id: String,
    /// Why, in words.
    pub reason: String,
}
