//! How two videos are related, and how much of each the other one shows.

use serde::{Deserialize, Serialize};
use vidsieve_model::alignment::Aligned;
use vidsieve_model::calibration::PairEvidence;
use vidsieve_model::fine::Examined;

/// Share of informative time from which on most of a video is in the other one.
const MOST: f64 = 0.5;
/// Share of the smaller coverage in the larger one from which on both videos are in one another.
const EVEN: f64 = 0.75;
/// Seconds, and share of either video, from which on a stretch of both is a shared part.
const PART: (f64, f64) = (1.0, 0.03);
/// Seconds below which a copy at another speed is not told from the same gesture made again, and the ratio of the seconds that match
/// on both sides from which on the speed is the same.
const BRIEF: (f64, f64) = (3.0, 0.9);
/// Likeness from which on unrelated footage is the same scene.
const ALIKE: f32 = 0.45;
/// Likeness from which on a still scene is the same picture.
const SAME_PICTURE: f32 = 0.98;

/// Relation of the query to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Most of each is in the other one.
    Copy,
    /// Most of the query is in the target, which shows more.
    Excerpt,
    /// Most of the target is in the query, which shows more.
    Contains,
    /// Both show a part of the same footage, less than most of either.
    SharesPart,
    /// They look alike and do not change alike: another take, another slide, or too little to tell.
    SameScene,
    /// Neither shows anything of the other.
    Different,
}

impl Relation {
    /// All relations.
    pub const ALL: [Self; 6] =
        [Self::Copy, Self::Excerpt, Self::Contains, Self::SharesPart, Self::SameScene, Self::Different];

    /// Name of the relation, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Excerpt => "excerpt",
            Self::Contains => "contains",
            Self::SharesPart => "shares-part",
            Self::SameScene => "same-scene",
            Self::Different => "different",
        }
    }

    /// The relation of the same pair seen from the target.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Excerpt => Self::Contains,
            Self::Contains => Self::Excerpt,
            other => other,
        }
    }

    /// Whether most of one of the videos is in the other one.
    #[must_use]
    pub const fn is_claim(self) -> bool {
        matches!(self, Self::Copy | Self::Excerpt | Self::Contains)
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of a video the other one shows, in informative frames.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct CoverageSide {
    /// Seconds of informative time that match.
    pub seconds: f64,
    /// Matching share of the video's informative time, in [0, 1].
    pub share: f64,
}

/// How much of each of two videos the other one shows, in informative frames.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Coverage {
    /// Coverage of the query.
    pub query: CoverageSide,
    /// Coverage of the target.
    pub target: CoverageSide,
}

/// Why the relation of a pair cannot be determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Untold {
    /// The query has no informative frame: all are black, flat or faded.
    NothingInQuery,
    /// The target has no informative frame.
    NothingInTarget,
    /// Nothing changes in one of them: another take of the scene looks as a copy does.
    NothingChanges,
}

impl Untold {
    /// The reason in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NothingInQuery => {
                "the query shows nothing that could be compared: its frames are black, flat or faded"
            }
            Self::NothingInTarget => {
                "the video shows nothing that could be compared: its frames are black, flat or faded"
            }
            Self::NothingChanges => {
                "nothing changes in one of the videos: a copy and another take cannot be told apart"
            }
        }
    }
}

/// The relation of a compared pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Relation of the query to the target.
    pub relation: Relation,
    /// How much of each the other one shows.
    pub coverage: Coverage,
    /// Why the relation cannot be determined.
    pub untold: Option<Untold>,
}

impl Verdict {
    /// The relation that the alignment of a pair shows.
    #[must_use]
    pub fn new(aligned: &Aligned) -> Self {
        let matched = &aligned.matched;
        let [of_query, of_target] = matched.of;
        let shares = matched.shares();
        let side = |k: usize| CoverageSide { seconds: matched.seconds[k], share: shares[k] };
        let coverage = Coverage { query: side(0), target: side(1) };
        let nothing = |untold| Self { relation: Relation::Different, coverage, untold: Some(untold) };
        if of_query <= 0.0 {
            return nothing(Untold::NothingInQuery);
        }
        if of_target <= 0.0 {
            return nothing(Untold::NothingInTarget);
        }
        let [query, target] = shares;
        let (larger, smaller) = (query.max(target), query.min(target));
        if larger >= MOST {
            let [a, b] = matched.seconds;
            let relation = match () {
                () if smaller >= EVEN * larger && a.max(b) < BRIEF.0 && a.min(b) < BRIEF.1 * a.max(b) => {
                    Relation::SameScene
                }
                () if smaller >= EVEN * larger => Relation::Copy,
                () if query > target => Relation::Excerpt,
                () => Relation::Contains,
            };
            return Self { relation, coverage, untold: None };
        }
        if is_same_picture(aligned) {
            // The very same pictures, whenever they were taken.
            let of = |seconds| CoverageSide { seconds, share: 1.0 };
            let coverage = Coverage { query: of(of_query), target: of(of_target) };
            return Self { relation: Relation::Copy, coverage, untold: None };
        }
        let seconds = matched.seconds[0].min(matched.seconds[1]);
        let relation = match () {
            () if seconds >= PART.0 && larger >= PART.1 => Relation::SharesPart,
            () if aligned.likeness >= ALIKE => Relation::SameScene,
            () => Relation::Different,
        };
        let still = relation == Relation::SameScene && aligned.is_still();
        Self { relation, coverage, untold: still.then_some(Untold::NothingChanges) }
    }
}

impl Verdict {
    /// What tells whether the query's footage is in the target, as its score weighs it. Of the very same picture nothing is surer.
    #[must_use]
    pub fn evidence(&self, examined: &Examined) -> PairEvidence {
        let Examined { aligned, similarity, .. } = examined;
        let surest = aligned.segments.iter().map(|segment| segment.probability).fold(0.0, f32::max);
        #[allow(clippy::cast_possible_truncation)]
        PairEvidence {
            share: self.coverage.query.share as f32,
            surest: if self.relation == Relation::Copy && is_same_picture(aligned) { 1.0 } else { surest },
            similarity: *similarity,
            likeness: aligned.likeness,
        }
    }
}

/// Whether a still scene is the same picture in both videos.
pub(crate) fn is_same_picture(aligned: &Aligned) -> bool {
    aligned.is_still() && aligned.likeness >= SAME_PICTURE && aligned.matched.of.iter().all(|&seconds| seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use vidsieve_model::alignment::Matched;

    use super::*;

    fn verdict(seconds: [f64; 2], of: [f64; 2], likeness: f32, energies: [f32; 2]) -> Verdict {
        let matched = Matched { seconds, of, expected: 0.0 };
        Verdict::new(&Aligned { matched, likeness, energies, ..Aligned::default() })
    }

    #[test]
    fn relations_by_what_is_covered() {
        let of = |seconds, of| verdict(seconds, of, 0.9, [0.2; 2]).relation;
        assert_eq!(of([9.0, 9.0], [10.0, 10.0]), Relation::Copy);
        assert_eq!(of([10.0, 8.6], [10.0, 10.0]), Relation::Copy);
        assert_eq!(of([9.0, 9.0], [10.0, 40.0]), Relation::Excerpt);
        // Two seconds at another speed may be the same gesture made again.
        assert_eq!(of([2.0, 2.5], [2.0, 2.5]), Relation::SameScene);
        assert_eq!(of([2.0, 2.1], [2.0, 2.1]), Relation::Copy);
        assert_eq!(of([4.0, 5.0], [4.0, 5.0]), Relation::Copy);
        assert_eq!(of([9.0, 9.0], [40.0, 10.0]), Relation::Contains);
        assert_eq!(of([4.0, 4.0], [20.0, 40.0]), Relation::SharesPart);
        assert_eq!(of([0.5, 0.5], [20.0, 40.0]), Relation::SameScene);
        assert_eq!(verdict([0.0; 2], [20.0, 40.0], 0.2, [0.2; 2]).relation, Relation::Different);
        assert_eq!(Relation::Excerpt.reversed(), Relation::Contains);
        for relation in Relation::ALL {
            assert_eq!(relation.reversed().reversed(), relation);
            assert_eq!(serde_json::to_string(&relation).unwrap_or_default(), format!("\"{relation}\""));
        }
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let untold = |of, likeness, energies| verdict([0.0; 2], of, likeness, energies).untold;
        assert_eq!(untold([0.0, 5.0], 0.0, [0.0; 2]), Some(Untold::NothingInQuery));
        assert_eq!(untold([5.0, 0.0], 0.0, [0.0; 2]), Some(Untold::NothingInTarget));
        assert_eq!(untold([5.0, 5.0], 0.8, [0.2, 0.01]), Some(Untold::NothingChanges));
        assert_eq!(untold([5.0, 5.0], 0.1, [0.2, 0.01]), None);
        let same = verdict([0.0; 2], [5.0, 7.0], 0.99, [0.0; 2]);
        assert_eq!((same.relation, same.coverage.target.share, same.untold), (Relation::Copy, 1.0, None));
    }
}
