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

/// Which network a hit's score comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum HitStage {
    /// S^c: the cosine of two vectors.
    Coarse,
    /// S^f_B: frame by frame.
    Fine,
}

/// The numbers behind a hit's scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Explanation {
    /// S^c's cosine in [-1, 1].
    pub coarse_cosine: f32,
    /// S^f_B's similarity in [-1, 1], if the pair was compared.
    pub fine_similarity: Option<f32>,
    /// The selector's scalar of the video.
    pub self_similarity: f32,
    /// Whether the budget paid for the pair.
    pub selected: bool,
    /// Place among all videos by the coarse score, from 1.
    pub coarse_rank: usize,
}

/// One video of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Hit {
    /// The video.
    pub id: String,
    /// Its score in [0, 1]: the probability that the query's informative footage is in the video. At
    /// most 0.89 if the pair was not compared.
    pub score: f32,
    /// Where the score comes from.
    pub stage: HitStage,
    /// S^c's score in [0, 1].
    pub coarse: f32,
    /// S^f_B's score in [0, 1], if the pair was compared.
    pub fine: Option<f32>,
    /// The selector's probability that the coarse score is wrong, if there is a selector.
    pub doubt: Option<f32>,
    /// How the query is related to the video; null if the pair was not compared.
    pub relation: Option<Relation>,
    /// How much of each video the other one shows; null if the pair was not compared.
    pub coverage: Option<Coverage>,
    /// Why the relation cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Untold>,
    /// Where the videos match, best first; empty if that was not looked for.
    pub segments: Vec<Segment>,
    /// Of a hit that was not compared: the seconds of the video that are most like the query, if it is not the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub near: Option<[f32; 2]>,
    /// Why a pair that was to be compared was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub unavailable: Option<String>,
    /// The numbers behind it, if asked for.
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
