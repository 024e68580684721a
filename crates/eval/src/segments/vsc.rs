//! The micro-averaged precision of the Video Similarity Challenge (Pizzi et al., 2023): of segments,
//! and of pairs of videos.
//!
//! Predictions of all pairs stand in one list by score; those of one score are one step. Precision
//! and recall are square roots of the products of those of both time axes, of lengths: what
//! predictions have in common with labels, over all predictions and over all labels. A label counts
//! as soon as a prediction has an area in common with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::files::{PairSegments, SegmentError};
use super::intervals::Intervals;
use super::{LabelledSegment, Side};

/// The challenge's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VscReport {
    /// Micro-averaged precision of segments: the matching track.
    pub segment_uap: f64,
    /// Micro-averaged precision of pairs of videos, each with its best score: the descriptor track.
    pub pair_uap: f64,
    /// Pairs with labels.
    pub labelled_pairs: usize,
    /// Pairs with predictions.
    pub predicted_pairs: usize,
}

/// What is predicted of one pair so far.
#[derive(Default)]
struct PairState<'a> {
    labels: &'a [LabelledSegment],
    predictions: Vec<LabelledSegment>,
    common: [f64; 2],
    predicted: [f64; 2],
}

impl PairState<'_> {
    /// Adds a prediction; how much the common and the predicted length grow, on both axes.
    fn add(&mut self, prediction: LabelledSegment) -> ([f64; 2], [f64; 2]) {
        self.predictions.push(prediction);
        let touched: Vec<&LabelledSegment> =
            self.labels.iter().filter(|label| self.predictions.iter().any(|p| label.common(p).is_some())).collect();
        let (mut more_common, mut more_predicted) = ([0.0; 2], [0.0; 2]);
        for (axis, side) in Side::BOTH.into_iter().enumerate() {
            let predicted = Intervals::of(self.predictions.iter().map(|p| p.side(side)));
            let labels = Intervals::of(touched.iter().map(|label| label.side(side)));
            let (common, length) = (predicted.common_length(&labels), predicted.length());
            more_common[axis] = common - self.common[axis];
            more_predicted[axis] = length - self.predicted[axis];
            (self.common[axis], self.predicted[axis]) = (common, length);
        }
        (more_common, more_predicted)
    }
}

/// The challenge's figures of predictions against labels. Pairs keep the order in which predictions
/// come where scores are equal.
///
/// # Errors
/// [`SegmentError::Nothing`] without labels.
pub fn vsc(
    labels: &PairSegments,
    predictions: &[(String, String, LabelledSegment)],
) -> Result<VscReport, SegmentError> {
    let labelled: HashSet<&(String, String)> =
        labels.iter().filter(|(_, segments)| !segments.is_empty()).map(|(pair, _)| pair).collect();
    let mut total = [0.0; 2];
    for (axis, side) in Side::BOTH.into_iter().enumerate() {
        total[axis] = labels.values().map(|l| Intervals::of(l.iter().map(|s| s.side(side))).length()).sum();
    }
    if labelled.is_empty() || total.contains(&0.0) {
        return Err(SegmentError::Nothing);
    }
    let mut sorted: Vec<&(String, String, LabelledSegment)> = predictions.iter().collect();
    sorted.sort_by(|a, b| (b.2.score + 0.0).total_cmp(&(a.2.score + 0.0)));
    let mut states: HashMap<(&str, &str), PairState<'_>> = HashMap::new();
    let (mut common, mut predicted) = ([0.0; 2], [0.0; 2]);
    let (mut uap, mut recall) = (0.0, 0.0);
    #[allow(clippy::float_cmp)]
    for step in sorted.chunk_by(|a, b| a.2.score == b.2.score) {
        for (query, reference, segment) in step {
            let state = states.entry((query.as_str(), reference.as_str())).or_insert_with(|| PairState {
                labels: labels.get(&(query.clone(), reference.clone())).map_or(&[][..], Vec::as_slice),
                ..PairState::default()
            });
            let (more_common, more_predicted) = state.add(*segment);
            for axis in 0..2 {
                common[axis] += more_common[axis];
                predicted[axis] += more_predicted[axis];
            }
        }
        let ratio = |whole: [f64; 2]| {
            let of = |axis: usize| if whole[axis] > 0.0 { common[axis] / whole[axis] } else { 0.0 };
            (of(0) * of(1)).max(0.0).sqrt()
        };
        let (now, precision) = (ratio(total), ratio(predicted));
        uap += precision * (now - recall);
        recall = now;
    }
    Ok(VscReport {
        segment_uap: uap,
        pair_uap: pair_uap(&labelled, predictions),
        labelled_pairs: labelled.len(),
        predicted_pairs: states.len(),
    })
}

/// The micro-averaged precision of pairs by their best score, which is 0 at least; of equal scores
/// the pair that was predicted first comes first.
#[allow(clippy::cast_precision_loss)]
fn pair_uap(labelled: &HashSet<&(String, String)>, predictions: &[(String, String, LabelledSegment)]) -> f64 {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut pairs: Vec<(bool, f64)> = Vec::new();
    for (query, reference, segment) in predictions {
        let place = *places.entry((query.as_str(), reference.as_str())).or_insert_with(|| {
            pairs.push((labelled.contains(&(query.clone(), reference.clone())), 0.0));
            pairs.len() - 1
        });
        pairs[place].1 = pairs[place].1.max(segment.score);
    }
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
    crate::metrics::average_precision(pairs.into_iter().map(|(relevant, _)| relevant), labelled.len())
}
