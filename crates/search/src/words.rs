//! The relation of two videos in words, for people.
//!
//! `npm/src/data/words.ts` says the same in pages; both are tested with `crates/search/tests/words.json`.

use crate::comparison::Comparison;
use crate::hit::Hit;
use crate::relation::{Coverage, Relation, Untold};
use crate::segments::{LIKELY, Segment, SegmentPlace};

/// A relation in words: "an excerpt of it: 4.0 s at its end, 12 %". "It" is the target.
#[must_use]
pub fn describe(relation: Relation, coverage: &Coverage, untold: Option<Untold>, segments: &[Segment]) -> String {
    if let Some(reason) = untold {
        return unknown(reason);
    }
    let Coverage { query, target } = coverage;
    let [of_query, of_target] = [0, 1].map(|side| place(segments, side));
    match relation {
        Relation::Copy => "the same footage".to_owned(),
        Relation::Excerpt => {
            let at = in_words(of_target, segments, "its");
            format!("an excerpt of it: {}{at}, {}", seconds(target.seconds), percent(target.share))
        }
        Relation::Contains => {
            let at = in_words(of_query, segments, "the query's");
            format!("contains it: {}{at}, {} of the query", seconds(query.seconds), percent(query.share))
        }
        Relation::SharesPart => {
            let shared = seconds(query.seconds);
            match (of_query.and_then(noun), of_target.and_then(noun)) {
                (Some(of_query), Some(of_target)) if of_query != of_target => {
                    format!("shares {shared}: the query's {of_query} {} its {of_target}", preposition(of_target))
                }
                _ => format!("shares {shared}{}", in_words(of_target, segments, "its")),
            }
        }
        Relation::SameScene => "same scene, other recording".to_owned(),
        Relation::Different => "different footage".to_owned(),
    }
}

fn unknown(reason: Untold) -> String {
    match reason {
        Untold::NothingChanges => format!("same scene; {}", reason.text()),
        Untold::NothingInQuery | Untold::NothingInTarget => reason.text().to_owned(),
    }
}

/// The place that all segments have in one of the videos.
fn place(segments: &[Segment], side: usize) -> Option<SegmentPlace> {
    let first = segments.first()?.at[side];
    segments.iter().all(|segment| segment.at[side] == first).then_some(first)
}

/// A place as a noun; of the whole video none.
const fn noun(place: SegmentPlace) -> Option<&'static str> {
    match place {
        SegmentPlace::Beginning => Some("beginning"),
        SegmentPlace::Middle => Some("middle"),
        SegmentPlace::End => Some("end"),
        SegmentPlace::Whole => None,
    }
}

fn preposition(noun: &str) -> &'static str {
    if noun == "middle" { "in" } else { "at" }
}

/// Where segments lie in the video of `whose`: " at its end", " in 2 parts", or nothing.
fn in_words(place: Option<SegmentPlace>, segments: &[Segment], whose: &str) -> String {
    match place {
        Some(place) => noun(place).map_or_else(String::new, |noun| format!(" {} {whose} {noun}", preposition(noun))),
        None if segments.len() > 1 => format!(" in {} parts", segments.len()),
        None => String::new(),
    }
}

/// "4.0 s", "2 min 5 s", "1 h 2 min".
fn seconds(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round();
    if tenths < 600.0 {
        return format!("{:.1} s", tenths / 10.0);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// The middle of a stretch as a player shows it: "12:40", "1:02:05".
fn clock([from, to]: [f32; 2]) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = ((f64::from(from) + f64::from(to)) / 2.0).max(0.0) as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// "12 %", "0.3 %", "under 0.1 %".
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round();
    match tenths {
        t if t < 1.0 => "under 0.1 %".to_owned(),
        t if t < 10.0 => format!("{:.1} %", t / 10.0),
        _ => format!("{:.0} %", (share * 100.0).round()),
    }
}

impl Comparison {
    /// The relation in words ([`describe`]).
    #[must_use]
    pub fn describe(&self) -> String {
        describe(self.relation, &self.coverage, self.untold, &self.segments)
    }
}

impl Hit {
    /// The relation in words ([`describe`]). Of a hit that was not compared "likely; not compared", "likely, near 12:40; not
    /// compared", or why nothing can be told of it, or nothing.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        match (self.relation, &self.coverage) {
            (Some(relation), Some(coverage)) => Some(describe(relation, coverage, self.untold, &self.segments)),
            _ if self.score >= LIKELY => Some(match self.near {
                Some(seconds) => format!("likely, near {}; not compared", clock(seconds)),
                None => "likely; not compared".to_owned(),
            }),
            _ => self.untold.map(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;

    use super::*;
    use crate::hit::HitStage;

    /// A pair, and what is said of it.
    #[derive(Deserialize)]
    struct Case {
        score: f32,
        relation: Option<Relation>,
        coverage: Option<Coverage>,
        untold: Option<Untold>,
        segments: Vec<Segment>,
        #[serde(default)]
        near: Option<[f32; 2]>,
        words: Option<String>,
    }

    #[test]
    fn words_of_every_relation() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/words.json")).unwrap();
        let mut seen = Vec::new();
        for case in cases {
            let Case { score, relation, coverage, untold, segments, near, words } = case;
            let hit = Hit {
                id: "a".to_owned(),
                score,
                stage: if relation.is_some() { HitStage::Fine } else { HitStage::Coarse },
                coarse: score,
                fine: relation.map(|_| score),
                doubt: None,
                relation,
                coverage,
                untold,
                segments,
                near,
                unavailable: None,
                explain: None,
            };
            assert_eq!(hit.describe(), words);
            seen.extend(relation);
        }
        assert!(Relation::ALL.iter().all(|relation| seen.contains(relation)), "{seen:?}");
    }
}
