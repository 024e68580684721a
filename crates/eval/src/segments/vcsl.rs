//! VCSL's precision, recall and F1 of segments (He et al., CVPR 2022).
//!
//! A pair's precision is the product, over both time axes, of the length of the predicted segments
//! that lies in labelled ones, over their length; its recall the same with both exchanged. Segments
//! count only where they have an area in common. A pair without predictions has precision 1, one
//! without labels recall 1. Lengths of unions are in single precision and denominators have 1e-6
//! more, as in the published program, so that figures agree to the last digit.

use std::collections::BTreeMap;

use serde::Serialize;

use super::files::{PairSegments, SegmentError};
use super::intervals::Intervals;
use super::{LabelledSegment, Side};

const EPSILON: f64 = 1e-6;

/// Precision, recall and F1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// Precision.
    pub precision: f64,
    /// Recall.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are 0.
    pub f1: f64,
}

impl PrecisionRecall {
    fn new(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Self { precision, recall, f1: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
    }
}

/// VCSL's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VcslReport {
    /// Mean over query sets of the mean over their pairs; without groups, over pairs that have the
    /// same query.
    pub macro_average: PrecisionRecall,
    /// Mean over pairs: precision over those with predictions, recall over those with labels.
    pub micro_average: PrecisionRecall,
    /// Share of labelled pairs without a prediction.
    pub false_rejection_rate: f64,
    /// Share of pairs without labels that have a prediction.
    pub false_alarm_rate: f64,
    /// Query sets in the macro average.
    pub query_sets: usize,
    /// Pairs.
    pub pairs: usize,
}

/// The precision and recall of one pair.
pub(super) fn pair(predicted: &[LabelledSegment], labelled: &[LabelledSegment]) -> (f64, f64) {
    match (predicted.is_empty(), labelled.is_empty()) {
        (true, true) => (1.0, 1.0),
        (true, false) => (1.0, 0.0),
        (false, true) => (0.0, 1.0),
        (false, false) => (covered(predicted, labelled), covered(labelled, predicted)),
    }
}

/// The product over both axes of the share of `segments` that lies in `others`.
fn covered(segments: &[LabelledSegment], others: &[LabelledSegment]) -> f64 {
    let common: Vec<Vec<LabelledSegment>> =
        segments.iter().map(|s| others.iter().filter_map(|o| s.common(o)).collect()).collect();
    let share = |side: Side| {
        let found: f64 = common
            .iter()
            .filter(|parts| !parts.is_empty())
            .map(|parts| Intervals::of(parts.iter().map(|part| part.side(side))).length_f32())
            .sum();
        let total: f64 = segments.iter().map(|s| s.side(side)).map(|[start, end]| end - start).sum();
        found / (total + EPSILON)
    };
    share(Side::Query) * share(Side::Reference)
}

/// VCSL's figures of predictions against labels. `pairs` are the pairs that count (all labelled ones
/// and, of the predicted ones, those that are given); `groups` the query sets of the macro average.
///
/// # Errors
/// [`SegmentError::Nothing`] without pairs, [`SegmentError::Group`] for a group that names a pair
/// that does not count.
#[allow(clippy::cast_precision_loss)]
pub fn vcsl(
    labels: &PairSegments,
    predictions: &PairSegments,
    pairs: &[(String, String)],
    groups: Option<&BTreeMap<String, Vec<(String, String)>>>,
) -> Result<VcslReport, SegmentError> {
    if pairs.is_empty() {
        return Err(SegmentError::Nothing);
    }
    let of = |segments: &PairSegments, key: &(String, String)| segments.get(key).cloned().unwrap_or_default();
    let results: BTreeMap<&(String, String), (f64, f64)> =
        pairs.iter().map(|key| (key, pair(&of(predictions, key), &of(labels, key)))).collect();
    let mut by_query: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    if groups.is_none() {
        pairs.iter().for_each(|key| by_query.entry(key.0.clone()).or_default().push(key.clone()));
    }
    let mut sets = Vec::new();
    for (group, members) in groups.unwrap_or(&by_query).iter().filter(|(_, members)| !members.is_empty()) {
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let missing = || SegmentError::Group { group: group.clone(), pair: format!("{}-{}", member.0, member.1) };
            found.push(*results.get(member).ok_or_else(missing)?);
        }
        sets.push((mean(found.iter().map(|r| r.0)), mean(found.iter().map(|r| r.1))));
    }
    let count = |precision: f64, recall: f64| {
        // Exact values: they are assigned, never computed.
        results.values().filter(|r| r.0.to_bits() == precision.to_bits() && r.1.to_bits() == recall.to_bits()).count()
    };
    let labelled = results.keys().filter(|key| labels.get(**key).is_some_and(|l| !l.is_empty())).count();
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    Ok(VcslReport {
        macro_average: PrecisionRecall::new(mean(sets.iter().map(|s| s.0)), mean(sets.iter().map(|s| s.1))),
        micro_average: PrecisionRecall::new(
            mean(results.values().map(|r| r.0).filter(|p| p.to_bits() != 1f64.to_bits())),
            mean(results.values().map(|r| r.1).filter(|r| r.to_bits() != 1f64.to_bits())),
        ),
        false_rejection_rate: share(count(1.0, 0.0), labelled),
        false_alarm_rate: share(count(0.0, 1.0), results.len() - labelled),
        query_sets: sets.len(),
        pairs: results.len(),
    })
}

/// 0 of nothing.
#[allow(clippy::cast_precision_loss)]
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { 0.0 } else { sum / n as f64 }
}
