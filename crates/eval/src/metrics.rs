//! Average precision in the forms that the data sets use, and other figures of rankings. What each data set ranks and
//! counts as relevant is in [`crate::dataset`].

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

#[cfg(test)]
mod tests {
    use super::*;

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
