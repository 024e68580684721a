//! What people decided about the videos of an index.
//!
//! A decision names videos by their content, so that it holds after files were moved, renamed or indexed again.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use vidsieve_index::store::Summary;
use vidsieve_search::Table;

use super::Archive;
use crate::Error;

/// Most videos that one decision names.
const MOST_VIDEOS: usize = 10_000;
/// Most decisions that are imported at once.
const MOST_DECISIONS: usize = 1_000_000;

/// What was decided about videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum DecisionKind {
    /// No two of them are the same footage: they are not compared with each other again.
    Different,
    /// Somebody has looked at them: a group or excerpt of these videos alone is not shown again.
    Reviewed,
}

/// A decision of a person about two or more videos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// What was decided.
    pub kind: DecisionKind,
    /// About which videos.
    pub videos: Vec<DecidedVideo>,
    /// When, in seconds from 1970.
    pub made: u64,
}

/// A video of a [`Decision`]: it is recognised by its content or by its record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecidedVideo {
    /// Its id when it was decided, for people.
    pub id: String,
    /// The checksum of its record, in hexadecimal digits.
    pub record: String,
    /// The size and hash of its file, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl DecidedVideo {
    fn of(summary: &Summary) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let source = &summary.source;
        Self {
            id: summary.id.clone(),
            record: format!("{:016x}", summary.checksum),
            content: source.hash.map(|hash| format!("{}-{}", source.size, hex(&hash))),
        }
    }

    /// What the video is recognised by, of which any is enough.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        let record = Mark { is_record: true, text: self.record.clone() };
        let content = self.content.clone().map(|text| Mark { is_record: false, text });
        std::iter::once(record).chain(content)
    }
}

/// A record's checksum, or a file's content.
#[derive(PartialEq, Eq, Hash)]
struct Mark {
    is_record: bool,
    text: String,
}

impl Decision {
    /// The key under which it is kept: the same videos have one decision of a kind.
    fn key(&self) -> Vec<u8> {
        let mut videos: Vec<&str> = self.videos.iter().map(|video| video.record.as_str()).collect();
        videos.sort_unstable();
        videos.dedup();
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        hash.update(self.kind.to_string().as_bytes());
        for video in videos {
            hash.update(b"\n");
            hash.update(video.as_bytes());
        }
        hash.digest128().to_be_bytes().to_vec()
    }

    fn check(&self) -> Result<(), String> {
        let is_hex = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        };
        let is_sound = |video: &DecidedVideo| {
            video.id.len() <= 4096
                && is_hex(&video.record, 16)
                && video.content.as_ref().is_none_or(|content| is_hex(content, 128))
        };
        if !(2..=MOST_VIDEOS).contains(&self.videos.len()) {
            return Err(format!("a decision is about 2 to {MOST_VIDEOS} videos"));
        }
        match self.videos.iter().find(|video| !is_sound(video)) {
            Some(video) => Err(format!("{:?}: its checksums are no hexadecimal digits", video.id)),
            None => Ok(()),
        }
    }
}

impl Archive {
    /// Keeps a decision about two or more videos of the index. It holds for their content: after a move, for copies with
    /// the same bytes, and in another index that [imports](Self::import_decisions) it.
    ///
    /// # Errors
    /// [`Error::UnknownVideo`]; [`Error::Decision`] for fewer than two videos or the same one twice; [`Error::Index`].
    pub fn decide<S: AsRef<str>>(&self, kind: DecisionKind, ids: &[S]) -> Result<Decision, Error> {
        let decision = self.decision(kind, ids)?;
        self.put_decisions(std::slice::from_ref(&decision))?;
        Ok(decision)
    }

    /// Takes a decision about exactly these videos back; returns whether there was one.
    ///
    /// # Errors
    /// As [`Archive::decide`].
    pub fn undecide<S: AsRef<str>>(&self, kind: DecisionKind, ids: &[S]) -> Result<bool, Error> {
        let asked = self.decision(kind, ids)?;
        // A record may have been made again since: the content decides then.
        let has_same = |decision: &Decision| {
            let is_in = |video: &DecidedVideo, all: &[DecidedVideo]| {
                all.iter().any(|other| other.marks().any(|mark| video.marks().any(|own| own == mark)))
            };
            decision.kind == kind
                && decision.videos.iter().all(|video| is_in(video, &asked.videos))
                && asked.videos.iter().all(|video| is_in(video, &decision.videos))
        };
        let same: Vec<Vec<u8>> = self.decisions()?.iter().filter(|d| has_same(d)).map(Decision::key).collect();
        Ok(self.index.remove_decisions(&same)? > 0)
    }

    /// Returns all decisions, the oldest first.
    ///
    /// # Errors
    /// [`Error::Index`] for a damaged index.
    pub fn decisions(&self) -> Result<Vec<Decision>, Error> {
        let kept = self.index.decisions()?;
        let mut all: Vec<Decision> = kept.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect();
        all.sort_by(|a, b| (a.made, &a.videos).cmp(&(b.made, &b.videos)));
        Ok(all)
    }

    /// Adds decisions of another index, or of this one before. Videos that this index does not have are kept too: they may
    /// come later. Returns how many decisions are new.
    ///
    /// # Errors
    /// [`Error::Decision`] for what is none, or too many; [`Error::Index`]. Nothing is added then.
    pub fn import_decisions(&self, decisions: &[Decision]) -> Result<usize, Error> {
        if decisions.len() > MOST_DECISIONS {
            return Err(Error::Decision(format!("{} decisions: at most {MOST_DECISIONS} are taken", decisions.len())));
        }
        decisions.iter().try_for_each(Decision::check).map_err(Error::Decision)?;
        let known: HashSet<Vec<u8>> = self.decisions()?.iter().map(Decision::key).collect();
        let new: Vec<Decision> = decisions.iter().filter(|d| !known.contains(&d.key())).cloned().collect();
        self.put_decisions(&new)?;
        let distinct: HashSet<Vec<u8>> = new.iter().map(Decision::key).collect();
        Ok(distinct.len())
    }

    fn decision<S: AsRef<str>>(&self, kind: DecisionKind, ids: &[S]) -> Result<Decision, Error> {
        let mut videos = Vec::with_capacity(ids.len());
        for id in ids.iter().map(AsRef::as_ref) {
            let unknown = || Error::UnknownVideo { id: id.to_owned(), folder: self.folder().to_owned() };
            videos.push(DecidedVideo::of(&self.index.summary(id)?.ok_or_else(unknown)?));
        }
        let distinct: HashSet<&str> = ids.iter().map(AsRef::as_ref).collect();
        if distinct.len() != ids.len() || !(2..=MOST_VIDEOS).contains(&ids.len()) {
            return Err(Error::Decision(format!("give 2 to {MOST_VIDEOS} videos, each once")));
        }
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        Ok(Decision { kind, videos, made })
    }

    fn put_decisions(&self, decisions: &[Decision]) -> Result<(), Error> {
        let entry = |decision: &Decision| Some((decision.key(), serde_json::to_vec(decision).ok()?));
        let entries: Vec<_> = decisions.iter().filter_map(entry).collect();
        Ok(self.index.put_decisions(&entries)?)
    }
}

/// Decisions about the videos of a table.
pub(super) struct Decided {
    different: Vec<[usize; 2]>,
    /// Of each decision the places of each of its videos: several where files have the same content.
    reviewed: Vec<Vec<HashSet<usize>>>,
    /// The decisions in `reviewed` that are about a video.
    about: HashMap<usize, Vec<usize>>,
}

impl Decided {
    /// Finds the videos of decisions in a table.
    pub(super) fn new(decisions: &[Decision], table: &Table, summaries: &HashMap<String, Summary>) -> Self {
        let mut places: HashMap<Mark, Vec<usize>> = HashMap::new();
        if !decisions.is_empty() {
            for (video, id) in table.ids().iter().enumerate() {
                let marks = summaries.get(id).map(DecidedVideo::of);
                for mark in marks.iter().flat_map(DecidedVideo::marks) {
                    places.entry(mark).or_default().push(video);
                }
            }
        }
        let find = |video: &DecidedVideo| -> HashSet<usize> {
            video.marks().filter_map(|mark| places.get(&mark)).flatten().copied().collect()
        };
        let mut decided = Self { different: Vec::new(), reviewed: Vec::new(), about: HashMap::new() };
        for decision in decisions {
            let videos: Vec<HashSet<usize>> = decision.videos.iter().map(find).collect();
            match decision.kind {
                DecisionKind::Different => {
                    for (k, some) in videos.iter().enumerate() {
                        let others = videos[k + 1..].iter().flatten();
                        decided.different.extend(others.flat_map(|&b| some.iter().map(move |&a| [a, b])));
                    }
                }
                DecisionKind::Reviewed => {
                    let all: HashSet<usize> = videos.iter().flatten().copied().collect();
                    for video in all {
                        decided.about.entry(video).or_default().push(decided.reviewed.len());
                    }
                    decided.reviewed.push(videos);
                }
            }
        }
        decided
    }

    /// Returns the pairs that people told apart, the smaller place first, by the videos that stand for them.
    pub(super) fn different(&self, stands_for: impl Fn(usize) -> usize) -> HashSet<[usize; 2]> {
        let of = |[a, b]: &[usize; 2]| [stands_for(*a), stands_for(*b)];
        self.different.iter().map(of).map(|[a, b]| [a.min(b), a.max(b)]).collect()
    }

    /// Returns whether somebody has looked at all of these videos together. A further copy with the same bytes is a new
    /// video.
    pub(super) fn is_reviewed<'a>(&self, table: &Table, ids: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(videos) = ids.into_iter().map(|id| table.position(id)).collect::<Option<Vec<usize>>>() else {
            return false;
        };
        let about = videos.first().and_then(|first| self.about.get(first));
        about.into_iter().flatten().any(|&decision| {
            let mut seen: Vec<&HashSet<usize>> = self.reviewed[decision].iter().collect();
            videos.iter().all(|video| {
                let found = seen.iter().position(|places| places.contains(video));
                found.map(|found| seen.swap_remove(found)).is_some()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vidsieve_index::store::Source;

    use super::*;

    fn summary(id: &str, checksum: u64, content: u8) -> Summary {
        let source = Source { size: 5, hash: Some([content; 32]), ..Source::default() };
        let (added, duration, frames, bytes) = (0, 1.0, 1, 0);
        Summary { id: id.into(), source, added, duration, frames, informative: true, bytes, checksum }
    }

    fn decision(kind: DecisionKind, of: &[Summary]) -> Decision {
        Decision { kind, videos: of.iter().map(DecidedVideo::of).collect(), made: 1 }
    }

    fn decided(decisions: &[Decision], of: &[Summary]) -> (Decided, Table) {
        let mut table = Table::new(1);
        for summary in of {
            table.put(&summary.id, &[1.0], 0.0, true).unwrap();
        }
        let summaries = of.iter().map(|summary| (summary.id.clone(), summary.clone())).collect();
        (Decided::new(decisions, &table, &summaries), table)
    }

    #[test]
    fn pairs_are_told_apart_after_a_move_and_for_copies() {
        let told = decision(DecisionKind::Different, &[summary("a", 1, 1), summary("b", 2, 2)]);
        // `a` was moved, `b` was encoded again; there is a copy of it with the same bytes.
        let now = [summary("c", 9, 9), summary("moved", 1, 1), summary("b", 7, 2), summary("b2", 7, 2)];
        let (decided, _) = decided(&[told], &now);
        assert_eq!(decided.different(|video| video), HashSet::from([[1, 2], [1, 3]]));
        assert_eq!(decided.different(|video| if video == 3 { 2 } else { video }), HashSet::from([[1, 2]]));
    }

    #[test]
    fn groups_are_new_with_a_new_member() {
        let seen = decision(DecisionKind::Reviewed, &[summary("a", 1, 1), summary("b", 2, 2), summary("c", 3, 3)]);
        let now =
            [summary("x/a", 1, 1), summary("b", 2, 2), summary("again", 2, 2), summary("c", 3, 3), summary("d", 4, 4)];
        let (decided, table) = decided(&[seen], &now);
        let is_reviewed = |ids: &[&str]| decided.is_reviewed(&table, ids.iter().copied());
        assert!(is_reviewed(&["x/a", "b"]) && is_reviewed(&["c", "b", "x/a"]) && is_reviewed(&["x/a", "again"]));
        assert!(!is_reviewed(&["x/a", "d"]) && !is_reviewed(&["x/a", "b", "again"]) && !is_reviewed(&["x/a", "none"]));
    }

    #[test]
    fn foreign_decisions_are_checked() {
        let mut decision = decision(DecisionKind::Reviewed, &[summary("a", 1, 1), summary("b", 2, 2)]);
        let text = serde_json::to_string(&decision).unwrap();
        assert!(text.contains("\"reviewed\"") && text.contains("\"0000000000000001\""), "{text}");
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
        assert!(decision.check().is_ok());
        decision.videos[0].record = "x".into();
        assert!(decision.check().unwrap_err().contains("\"a\""));
        decision.videos.pop();
        assert!(decision.check().unwrap_err().contains("2 to"));
    }
}
