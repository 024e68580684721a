//! Rankings and average precision as the data sets define them (§8 of the project's mathematics).
//!
//! A result is a list of (video id, similarity) in database order; equal scores keep that order. `available` are the
//! videos that could be indexed: the others are left out of every ranking.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Similarities of one query to the database, in database order.
pub type Results = Vec<(String, f64)>;

fn ranked(results: &Results) -> Vec<&str> {
    let scores: Vec<f64> = results.iter().map(|(_, s)| *s).collect();
    vidsieve_model::merge::ranking(&scores).into_iter().map(|i| results[i].0.as_str()).collect()
}

/// Average precision of a ranking: hits so far over rank, summed over hits, divided by `positives`. Positives that were
/// not retrieved count 0.
#[allow(clippy::cast_precision_loss)]
fn precision_sum(hits: impl Iterator<Item = bool>, positives: usize) -> f64 {
    let (mut found, mut sum) = (0usize, 0f64);
    for (rank, hit) in hits.enumerate() {
        if hit {
            found += 1;
            sum += found as f64 / (rank + 1) as f64;
        }
    }
    sum / positives as f64
}

/// A mean over queries; queries without any relevant video have no average precision and are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MeanAp {
    /// Mean of the average precisions; 0 when no query was scored.
    pub map: f64,
    /// Queries in the mean.
    pub queries: usize,
    /// Queries with results but without a relevant video.
    pub skipped: usize,
}

impl MeanAp {
    #[allow(clippy::cast_precision_loss)]
    fn of(values: impl Iterator<Item = Option<f64>>) -> Self {
        let mut mean = Self::default();
        for value in values {
            match value {
                Some(ap) => {
                    mean.map += ap;
                    mean.queries += 1;
                }
                None => mean.skipped += 1,
            }
        }
        if mean.queries > 0 {
            mean.map /= mean.queries as f64;
        }
        mean
    }
}

/// FIVR-200K and FIVR-5K: labels of each query's relevant videos.
#[derive(Debug, Clone, Default)]
pub struct Fivr {
    /// Queries of the data set.
    pub queries: Vec<String>,
    /// Query -> label (ND, DS, CS, IS, DA) -> videos.
    pub annotation: HashMap<String, HashMap<String, Vec<String>>>,
}

/// Retrieval tasks of FIVR and the labels that count as relevant.
pub const FIVR_TASKS: [(&str, &[&str]); 4] =
    [("DSVR", &["ND", "DS"]), ("CSVR", &["ND", "DS", "CS"]), ("ISVR", &["ND", "DS", "CS", "IS"]), ("DAVR", &["DA"])];

impl Fivr {
    /// Average precision of one query; the rank skips the query itself. `None` without relevant available videos.
    #[must_use]
    pub fn average_precision(
        &self,
        query: &str,
        results: &Results,
        available: &HashSet<String>,
        labels: &[&str],
    ) -> Option<f64> {
        let sets = self.annotation.get(query)?;
        let relevant: HashSet<&str> = labels
            .iter()
            .filter_map(|l| sets.get(*l))
            .flatten()
            .map(String::as_str)
            .filter(|v| available.contains(*v))
            .collect();
        if relevant.is_empty() {
            return None;
        }
        let hits =
            ranked(results).into_iter().filter(|v| *v != query && available.contains(*v)).map(|v| relevant.contains(v));
        Some(precision_sum(hits, relevant.len()))
    }

    /// mAP over the queries that are in the results.
    #[must_use]
    pub fn mean(&self, results: &BTreeMap<String, Results>, available: &HashSet<String>, labels: &[&str]) -> MeanAp {
        let queries = self.queries.iter().filter_map(|q| results.get_key_value(q));
        MeanAp::of(queries.map(|(q, r)| self.average_precision(q, r, available, labels)))
    }
}

/// CC_WEB_VIDEO: integer labels of each query set.
#[derive(Debug, Clone, Default)]
pub struct CcWebVideo {
    /// One query a set.
    pub queries: Vec<String>,
    /// Video id -> number.
    pub index: HashMap<String, u64>,
    /// A set's labels by number; `E S L M V` are relevant.
    pub ground_truth: Vec<HashMap<u64, String>>,
    /// Numbers that the cleaned annotation leaves out, a set each.
    pub excluded: Vec<HashSet<u64>>,
}

impl CcWebVideo {
    /// mAP; `all_videos` ranks the whole database instead of the set's labelled videos, `clean` ignores `excluded`
    /// videos. Relevant videos count whether they are available or not; the query counts as a hit of its own.
    #[must_use]
    pub fn mean(&self, results: &BTreeMap<String, Results>, all_videos: bool, clean: bool) -> MeanAp {
        let none = HashSet::new();
        let sets = self.queries.iter().zip(&self.ground_truth).enumerate();
        let values = sets.filter_map(|(set, (query, labels))| {
            let results = results.get(query)?;
            let excluded = if clean { self.excluded.get(set).unwrap_or(&none) } else { &none };
            let relevant = |n: &u64| labels.get(n).is_some_and(|l| "ESLMV".contains(l.as_str()));
            let positives = labels.keys().filter(|n| relevant(n) && !excluded.contains(n)).count();
            let hits = ranked(results)
                .into_iter()
                .filter_map(|v| self.index.get(v))
                .filter(|n| (all_videos || labels.contains_key(n)) && !excluded.contains(n))
                .map(relevant);
            Some((positives > 0).then(|| precision_sum(hits, positives)))
        });
        MeanAp::of(values)
    }
}

/// One event of EVVE.
#[derive(Debug, Clone, Default)]
pub struct EvveEvent {
    /// Queries of the event.
    pub queries: Vec<String>,
    /// Relevant videos.
    pub positives: Vec<String>,
}

/// Trapezoidal average precision from the 0-based ranks of the hits among `positives` relevant videos.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn trapezoidal_ap(ranks: &[usize], positives: usize) -> f64 {
    let mut ap = 0.0;
    for (found, &rank) in ranks.iter().enumerate() {
        let before = if rank == 0 { 1.0 } else { found as f64 / rank as f64 };
        let after = (found + 1) as f64 / (rank + 1) as f64;
        ap += (before + after) / 2.0 / positives as f64;
    }
    ap
}

/// EVVE: mean over queries (not events) of the trapezoidal average precision.
#[must_use]
pub fn evve_mean(events: &[EvveEvent], results: &BTreeMap<String, Results>, available: &HashSet<String>) -> MeanAp {
    let queries = events.iter().flat_map(|e| e.queries.iter().map(move |q| (e, q)));
    MeanAp::of(queries.filter_map(|(event, query)| {
        let results = results.get(query)?;
        let relevant: HashSet<&str> =
            event.positives.iter().map(String::as_str).filter(|v| available.contains(*v)).collect();
        let ranks: Vec<usize> = ranked(results)
            .into_iter()
            .filter(|v| *v != query.as_str() && available.contains(*v))
            .enumerate()
            .filter(|(_, v)| relevant.contains(v))
            .map(|(rank, _)| rank)
            .collect();
        Some((!relevant.is_empty()).then(|| trapezoidal_ap(&ranks, relevant.len())))
    }))
}

/// Average precision over (score, relevant) pairs in which equal scores share one threshold (scikit-learn's
/// `average_precision_score`, the measure of SVD). `None` without relevant pairs.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn tied_average_precision(pairs: &[(f64, bool)]) -> Option<f64> {
    let positives = pairs.iter().filter(|p| p.1).count();
    if positives == 0 {
        return None;
    }
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)));
    let (mut found, mut seen, mut ap) = (0usize, 0usize, 0f64);
    #[allow(clippy::float_cmp)]
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let hits = group.iter().filter(|p| p.1).count();
        found += hits;
        seen += group.len();
        ap += hits as f64 / positives as f64 * (found as f64 / seen as f64);
    }
    Some(ap)
}

/// SVD: labelled targets of each query, and unlabelled videos that are distractors of all.
#[derive(Debug, Clone, Default)]
pub struct Svd {
    /// Query -> target -> relevant.
    pub ground_truth: BTreeMap<String, HashMap<String, bool>>,
    /// Distractors.
    pub unlabeled: HashSet<String>,
}

impl Svd {
    /// mAP over the queries that are in the results.
    #[must_use]
    pub fn mean(&self, results: &BTreeMap<String, Results>, available: &HashSet<String>) -> MeanAp {
        MeanAp::of(self.ground_truth.iter().filter_map(|(query, labels)| {
            let pairs: Vec<(f64, bool)> = results
                .get(query)?
                .iter()
                .filter(|(v, _)| available.contains(v))
                .filter_map(|(v, s)| match labels.get(v) {
                    Some(relevant) => Some((*s, *relevant)),
                    None => self.unlabeled.contains(v).then_some((*s, false)),
                })
                .collect();
            Some(tied_average_precision(&pairs))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(scores: &[(&str, f64)]) -> Results {
        scores.iter().map(|(v, s)| ((*v).to_owned(), *s)).collect()
    }

    fn set(videos: &[&str]) -> HashSet<String> {
        videos.iter().map(|v| (*v).to_owned()).collect()
    }

    #[test]
    fn fivr_skips_the_query_and_what_is_unavailable() {
        let labels = HashMap::from([("ND".to_owned(), vec!["b".to_owned(), "x".to_owned(), "d".to_owned()])]);
        let fivr = Fivr { queries: vec!["q".into()], annotation: HashMap::from([("q".to_owned(), labels)]) };
        let r = results(&[("q", 1.0), ("a", 0.9), ("x", 0.8), ("b", 0.7), ("c", 0.7), ("d", 0.1)]);
        let available = set(&["q", "a", "b", "c", "d"]);
        // Ranks of b and d among a, b, c, d: 2 and 4.
        let ap = fivr.average_precision("q", &r, &available, &["ND"]).unwrap();
        assert!((ap - (0.5 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(fivr.average_precision("q", &r, &available, &["DA"]), None);
        let mean = fivr.mean(&BTreeMap::from([("q".to_owned(), r)]), &available, &["DA"]);
        assert_eq!((mean.queries, mean.skipped), (0, 1));
    }

    #[test]
    fn ties_share_a_threshold_in_svd_only() {
        let ap = tied_average_precision(&[(0.5, false), (0.5, true), (0.1, false)]).unwrap();
        assert!((ap - 0.5).abs() < 1e-12);
        assert!((trapezoidal_ap(&[0, 1], 2) - 1.0).abs() < 1e-12);
        assert_eq!(trapezoidal_ap(&[], 2), 0.0);
    }
}
