//! Hits, and the outcomes of pairs that were selected for re-ranking.

use serde::Serialize;

use crate::relation::{Coverage, Relation, Untold, Verdict};
use crate::segments::Segment;

/// Two videos compared frame by frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// S^f_B's similarity in [-1, 1].
    pub raw: f32,
    /// The score that users see, in [0, 1].
    pub score: f32,
    /// How the query is related to the video.
    pub verdict: Verdict,
}

/// The result of re-ranking a pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was compared frame by frame.
    Compared(Pair),
    /// Its record is missing.
    Missing,
    /// Its record cannot be used; the reason.
    Failed(String),
}

/// Stage that computed a hit's score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum HitStage {
    /// S^c: the cosine of two vectors.
    Coarse,
    /// S^f_B: frame by frame.
    Fine,
}

/// Numbers behind a hit's scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Explanation {
    /// S^c's cosine in [-1, 1].
    pub coarse_cosine: f32,
    /// S^f_B's similarity in [-1, 1], if the pair was compared.
    pub fine_similarity: Option<f32>,
    /// The selector's scalar of the video.
    pub self_similarity: f32,
    /// Whether the pair was within the budget.
    pub selected: bool,
    /// Rank among all videos by the coarse score, from 1.
    pub coarse_rank: usize,
}

/// One video of a search's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Hit {
    /// The video.
    pub id: String,
    /// Score in [0, 1]: the probability that the query's informative footage is in the video. At most
    /// 0.89 if the pair was not compared.
    pub score: f32,
    /// Stage that computed the score.
    pub stage: HitStage,
    /// S^c's score in [0, 1].
    pub coarse: f32,
    /// S^f_B's score in [0, 1], if the pair was compared.
    pub fine: Option<f32>,
    /// The selector's probability that the coarse score is wrong, if there is a selector.
    pub doubt: Option<f32>,
    /// Relation of the query to the video; null if the pair was not compared.
    pub relation: Option<Relation>,
    /// How much of each video the other one shows; null if the pair was not compared.
    pub coverage: Option<Coverage>,
    /// Why the relation cannot be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Untold>,
    /// Matching segments, best first; empty unless requested.
    pub segments: Vec<Segment>,
    /// Start and end in seconds of the part most similar to the query, for hits that were not compared. Absent if that
    /// is the whole video.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub near: Option<[f32; 2]>,
    /// Why a selected pair was not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub unavailable: Option<String>,
    /// Numbers behind the scores, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub explain: Option<Explanation>,
}

impl Hit {
    /// Whether segments are computed for this hit: it was compared and has some.
    #[must_use]
    pub fn wants_segments(&self) -> bool {
        self.unavailable.is_none() && self.coverage.is_some_and(|c| c.query.seconds > 0.0)
    }
}
