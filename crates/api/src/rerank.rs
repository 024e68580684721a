//! The re-rank tier: a query's record and candidates, and what came of comparing them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vidsieve_record::wire;
use vidsieve_search::{Coverage, Engine, Fetched, Outcome, Pair, Query, Relation, Segment, Untold, Verdict};

use crate::problem::Problem;
use crate::videos;

/// Most candidates of a request.
pub const MAX_CANDIDATES: usize = 1000;

/// The JSON part of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// Each once, at most [`MAX_CANDIDATES`].
    pub ids: Vec<String>,
    /// Whether compared pairs have segments: where the videos match.
    #[serde(default)]
    pub segments: bool,
    /// The checksums of the records that are meant, in the order of the ids: other versions are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<Vec<String>>,
    /// Milliseconds after which no further candidate is begun: those that are left are reported as missing. A client that has gone
    /// does not keep a tier busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
}

impl Candidates {
    /// The candidates of a body, and the bytes of the query's record.
    ///
    /// # Errors
    /// `bad-body`, `bad-request`.
    pub fn parse(body: &[u8]) -> Result<(Self, &[u8]), Problem> {
        let (json, record) = wire::split_rerank(body).map_err(|e| Problem::bad_body(e.to_string()))?;
        let candidates: Self =
            serde_json::from_slice(json).map_err(|e| Problem::bad_body(format!("the candidates: {e}")))?;
        let count = candidates.ids.len();
        if count > MAX_CANDIDATES {
            return Err(Problem::bad_request(format!("{count} candidates, at most {MAX_CANDIDATES} are compared")));
        }
        if candidates.ids.iter().collect::<HashSet<_>>().len() < count {
            return Err(Problem::bad_request("a candidate comes twice"));
        }
        if let Some(checksums) = &candidates.checksums
            && (checksums.len() != count || checksums.iter().any(|c| videos::parse_checksum(c).is_none()))
        {
            return Err(Problem::bad_request("checksums are 16 hexadecimal digits, one for each id"));
        }
        Ok((candidates, record))
    }

    /// The body that [`Candidates::parse`] reads.
    #[must_use]
    pub fn body(&self, record: &[u8]) -> Vec<u8> {
        // Texts alone: nothing that cannot be written.
        wire::join_rerank(&serde_json::to_vec(self).unwrap_or_default(), record)
    }

    /// The time that may be taken.
    #[must_use]
    pub fn within(&self) -> Option<Duration> {
        self.within_ms.map(Duration::from_millis)
    }

    /// The checksum of the record that is meant by a candidate.
    #[must_use]
    pub fn checksum(&self, candidate: usize) -> Option<u64> {
        videos::parse_checksum(self.checksums.as_ref()?.get(candidate)?)
    }
}

/// A pair that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The candidate.
    pub id: String,
    /// S^f_B's similarity in [-1, 1].
    pub fine_similarity: f32,
    /// The score in [0, 1].
    pub score: f32,
    /// How the query is related to the candidate.
    pub relation: Relation,
    /// How much of each video the other one shows.
    pub coverage: Coverage,
    /// Why the relation cannot be determined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<Untold>,
    /// Where the videos match, if the request asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
}

impl Compared {
    /// Whether every number is in its range, up to its last digits.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        const ROUNDING: f64 = 1e-4;
        let share = |value: f64| (-ROUNDING..=1.0 + ROUNDING).contains(&value);
        let seconds = |value: f64| value.is_finite() && value >= 0.0;
        let span = |[start, end]: [f64; 2]| seconds(start) && seconds(end) && start <= end;
        let sides = [self.coverage.query, self.coverage.target];
        f64::from(self.fine_similarity).abs() <= 1.0 + ROUNDING
            && share(f64::from(self.score))
            && sides.iter().all(|side| seconds(side.seconds) && share(side.share))
            && self
                .segments
                .iter()
                .flatten()
                .all(|segment| span(segment.query) && span(segment.target) && share(f64::from(segment.score)))
    }

    /// The pair.
    #[must_use]
    pub const fn pair(&self) -> Pair {
        let verdict = Verdict { relation: self.relation, coverage: self.coverage, untold: self.untold };
        Pair { raw: self.fine_similarity, score: self.score, verdict }
    }
}

/// A pair that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The candidate.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The answer: every candidate is in one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reranked {
    /// Those that were compared.
    pub pairs: Vec<Compared>,
    /// Those that were not.
    pub missing: Vec<Absent>,
}

/// Why a record is not there.
pub const ABSENT: &str = "it is not there";
/// Why a record of another version is not compared.
pub const OTHER_VERSION: &str = "another version is there than was asked for";
/// Why an answer about a pair is not used.
pub const UNSOUND: &str = "the re-rank tier's answer is out of its range";
/// Why a record was not looked at.
pub const LATE: &str = "it was not compared in time";

/// Bytes of a tier's answer at most for so many candidates: a pair with all its segments is far below.
#[must_use]
pub fn answer_limit(candidates: usize) -> usize {
    (16 << 10) + candidates.saturating_mul(64 << 10)
}

impl Reranked {
    /// What a tier's answer says of each candidate that it names: values out of their range, and a candidate that comes
    /// twice, are failures; other ids are left out.
    #[must_use]
    pub fn sifted(self, candidates: &Candidates) -> HashMap<String, Result<Compared, String>> {
        let asked: HashSet<&str> = candidates.ids.iter().map(String::as_str).collect();
        let pairs = self.pairs.into_iter().map(|pair| {
            let id = pair.id.clone();
            (id, if pair.is_sound() { Ok(pair) } else { Err(UNSOUND.to_owned()) })
        });
        let all = pairs.chain(self.missing.into_iter().map(|absent| (absent.id, Err(absent.reason))));
        let mut sifted = HashMap::new();
        for (id, result) in all.filter(|(id, _)| asked.contains(id.as_str())) {
            match sifted.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(result);
                }
                Entry::Occupied(mut entry) => {
                    let _ = entry.insert(Err(UNSOUND.to_owned()));
                }
            }
        }
        sifted
    }

    /// Tells the candidates from `first` on as not compared in time.
    pub fn leave(&mut self, candidates: &Candidates, first: usize) {
        let ids = candidates.ids.get(first..).unwrap_or_default();
        self.missing.extend(ids.iter().map(|id| Absent { id: id.clone(), reason: LATE.to_owned() }));
    }

    /// Compares a batch of the candidates, those from `first` on, whose records are `fetched` in their order.
    pub fn compare<B: AsRef<[u8]> + Sync>(
        &mut self,
        engine: &Engine,
        query: &Query,
        candidates: &Candidates,
        first: usize,
        fetched: Vec<Fetched<B>>,
    ) {
        let (mut records, absent): (Vec<_>, Vec<_>) = fetched
            .into_iter()
            .zip(first..)
            .map(|(found, i)| match found {
                Ok(record) if candidates.checksum(i).is_some_and(|meant| meant != record.checksum()) => {
                    (None, Some(Outcome::Failed(OTHER_VERSION.to_owned())))
                }
                Ok(record) => (Some(record), None),
                Err(outcome) => (None, Some(outcome)),
            })
            .unzip();
        let compared = engine.compare_all(query, &records).into_iter().zip(absent);
        // Why a record is not there is known already.
        let outcomes: Vec<Outcome> = compared.map(|(outcome, absent)| absent.unwrap_or(outcome)).collect();
        for (record, outcome) in records.iter_mut().zip(&outcomes) {
            if !matches!(outcome, Outcome::Compared(_)) {
                *record = None;
            }
        }
        let segments = if candidates.segments {
            // Those that are left were compared, and so can be aligned.
            engine.segments_all(query, &records).unwrap_or_else(|_| vec![Vec::new(); records.len()])
        } else {
            Vec::new()
        };
        let ids = candidates.ids.get(first..).unwrap_or_default();
        for ((id, outcome), segments) in
            ids.iter().zip(outcomes).zip(segments.into_iter().map(Some).chain(std::iter::repeat(None)))
        {
            let id = id.clone();
            match outcome {
                Outcome::Compared(Pair { raw, score, verdict }) => {
                    let Verdict { relation, coverage, untold } = verdict;
                    self.pairs.push(Compared { id, fine_similarity: raw, score, relation, coverage, untold, segments });
                }
                Outcome::Missing => self.missing.push(Absent { id, reason: ABSENT.to_owned() }),
                Outcome::Failed(reason) => self.missing.push(Absent { id, reason }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn sifted(pairs: &Value) -> HashMap<String, Result<Compared, String>> {
        let answer: Reranked = serde_json::from_value(json!({ "pairs": pairs, "missing": [] })).unwrap();
        let ids = ["a", "b"].map(str::to_owned).to_vec();
        answer.sifted(&Candidates { ids, ..Candidates::default() })
    }

    fn pair(id: &str) -> Value {
        let side = json!({ "seconds": 5.0, "share": 1.0 });
        let segment = json!({ "query": [0.0, 5.0], "target": [1.0, 6.0], "at": ["whole", "middle"], "score": 0.5 });
        json!({ "id": id, "fine_similarity": 0.9, "score": 0.8, "relation": "copy",
                "coverage": { "query": side, "target": side }, "segments": [segment] })
    }

    #[test]
    fn values_out_of_their_range_are_failures() {
        assert!(sifted(&json!([pair("a")]))["a"].is_ok());
        for (pointer, values) in [
            ("/score", vec![json!(-0.1), json!(1.1), json!(2)]),
            ("/fine_similarity", vec![json!(-1.5), json!(7)]),
            ("/coverage/query/share", vec![json!(-1), json!(1.5)]),
            ("/coverage/target/seconds", vec![json!(-1)]),
            ("/segments/0/score", vec![json!(-1), json!(3)]),
            ("/segments/0/query", vec![json!([3.0, 1.0]), json!([-1.0, 1.0])]),
            ("/segments/0/target/0", vec![json!(100.0)]),
        ] {
            for value in values {
                let mut wrong = pair("a");
                *wrong.pointer_mut(pointer).unwrap() = value;
                let sifted = sifted(&json!([wrong, pair("b")]));
                assert_eq!(sifted["a"].as_ref().unwrap_err(), UNSOUND, "{wrong}");
                assert!(sifted["b"].is_ok(), "the others count: {wrong}");
            }
        }
        // Too large for its type.
        let huge = pair("a").to_string().replace("0.8", "1e300");
        assert!(!serde_json::from_str::<Compared>(&huge).is_ok_and(|pair| pair.is_sound()));
    }

    #[test]
    fn each_candidate_is_told_of_once() {
        let sifted = sifted(&json!([pair("a"), pair("a"), pair("c")]));
        assert_eq!(sifted.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(sifted["a"].as_ref().unwrap_err(), UNSOUND);
    }
}
