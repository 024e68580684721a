//! Rankings and average precision as the data sets define them (`docs/mathematics.md`, §8).
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
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn average_precision(hits: impl Iterator<Item = bool>, positives: usize) -> f64 {
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
        Some(average_precision(hits, relevant.len()))
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
            Some((positives > 0).then(|| average_precision(hits, positives)))
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
pub fn tied_average_precision(pairs: &[(f64, bool)]) -> Option<f64> {
    if !pairs.iter().any(|p| p.1) {
        return None;
    }
    let pair = |&(score, relevant): &(f64, bool)| RankedPair { score: score + 0.0, group: 0, relevant };
    let mut sorted: Vec<RankedPair> = pairs.iter().map(pair).collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    Some(micro_average_precision(&sorted, &[1]))
}

/// One pair in the list of the pairs of all queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedPair {
    /// Score; -0 is another score than 0.
    pub score: f64,
    /// Number of the pair's query.
    pub group: usize,
    /// Whether the video is relevant for the query.
    pub relevant: bool,
}

/// Micro-averaged precision: average precision of all pairs in one list, sorted by score
/// descending, each counted as often as the weight of its query in `weights` says. Equal scores
/// share a rank; 0 without relevant pairs.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::float_cmp)]
pub fn micro_average_precision(pairs: &[RankedPair], weights: &[u32]) -> f64 {
    let (mut found, mut seen, mut sum) = (0u64, 0u64, 0f64);
    for group in pairs.chunk_by(|a, b| a.score == b.score) {
        let before = found;
        for pair in group {
            let weight = u64::from(weights[pair.group]);
            seen += weight;
            found += if pair.relevant { weight } else { 0 };
        }
        if found > before {
            sum += (found - before) as f64 * (found as f64 / seen as f64);
        }
    }
    if found == 0 { 0.0 } else { sum / found as f64 }
}

/// Ranks of single relevant videos, each among videos that are not relevant.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReciprocalRanks {
    sum: f64,
    first: usize,
    count: usize,
}

impl ReciprocalRanks {
    /// Adds a video with `above` others ranked before it.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, above: usize) {
        self.sum += 1.0 / (above + 1) as f64;
        self.first += usize::from(above == 0);
        self.count += 1;
    }

    /// Mean reciprocal rank, which is mAP where every query has one relevant video; NaN of nothing.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Share that was ranked first (recall@1); NaN of nothing.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn first(&self) -> f64 {
        self.first as f64 / self.count as f64
    }

    /// How many videos were added.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }
}

impl Extend<usize> for ReciprocalRanks {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, above: I) {
        above.into_iter().for_each(|above| self.add(above));
    }
}

/// Area under the ROC curve of scores with labels, in any order: the share of pairs of a positive
/// and a negative in which the positive scores higher; equal scores count by their order. 0 where a
/// class is empty.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn roc_auc(scored: &[(f32, bool)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut negatives, mut above) = (0f64, 0f64);
    for (_, label) in &sorted {
        if *label { above += negatives } else { negatives += 1.0 }
    }
    let positives = sorted.len() as f64 - negatives;
    above / (positives.max(1.0) * negatives.max(1.0))
}

/// Accuracy of probabilities at one half, balanced over the classes; an empty class counts 0.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn balanced_accuracy(scored: &[(f32, bool)]) -> f64 {
    let counts = |label: bool| scored.iter().filter(|s| s.1 == label).count().max(1) as f64;
    let right = |label: bool| scored.iter().filter(|s| s.1 == label && (s.0 > 0.5) == label).count() as f64;
    (right(true) / counts(true) + right(false) / counts(false)) / 2.0
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

    #[test]
    fn pairs_count_as_often_as_their_query() {
        let pair = |score, group, relevant| RankedPair { score, group, relevant };
        let pairs = [pair(0.9, 0, true), pair(0.8, 1, false), pair(0.7, 1, true)];
        assert!((micro_average_precision(&pairs, &[1, 1]) - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        // Query 1 three times: hits at 1 and at 4 to 7 in a list of seven.
        assert!((micro_average_precision(&pairs, &[1, 3]) - (1.0 + 3.0 * 4.0 / 7.0) / 4.0).abs() < 1e-12);
        assert_eq!(micro_average_precision(&pairs, &[0, 0]), 0.0);
    }

    #[test]
    fn ranks_of_single_videos() {
        let mut ranks = ReciprocalRanks::default();
        ranks.extend([0, 1, 3]);
        assert!((ranks.mean() - (1.0 + 0.5 + 0.25) / 3.0).abs() < 1e-12);
        assert!((ranks.first() - 1.0 / 3.0).abs() < 1e-12 && ranks.count() == 3);
    }

    #[test]
    fn a_classifier_by_hand() {
        let scored = [(0.9, true), (0.2, false), (0.6, false), (0.4, true)];
        // Of four pairs of a positive and a negative three are in order.
        assert!((roc_auc(&scored) - 0.75).abs() < 1e-12);
        assert!((balanced_accuracy(&scored) - 0.5).abs() < 1e-12);
        assert_eq!((roc_auc(&scored[..1]), roc_auc(&[])), (0.0, 0.0));
    }
}
