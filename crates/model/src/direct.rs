//! The direct path of a fine network: what the comparator's pools lose, beside the comparator.
//!
//! The comparator pools twice before Chamfer similarity takes the best column of a row: a match of a few frames, or of one
//! channel alone, is averaged with its surroundings. The direct path takes Chamfer similarities of the maps as they are and
//! weighs them together with the comparator's answer, under several hypotheses of how the query is seen in the target - frame for
//! frame, smaller within a frame, a part of it enlarged - of which one has to hold:
//!
//! ```text
//! similarity = tanh(scale[1] + scale[0] * ln(sum over h of exp(bias[h] + sum over k of weight[h][k] * evidence[k])))
//! evidence   = [comparator, across, highest, channel 0 .. channel C-1]
//! ```
//!
//! `comparator` is the network's answer without the path; `channel c` the Chamfer similarity of map c, the mean over query
//! frames of the maximum over target frames; `highest` that of the largest over the channels, cell by cell; `across` that of the
//! mean of channel 0 and the largest ([`crate::fine::Fine::frame_similarity`]).

use std::ops::Range;

use crate::weights::{StateDict, WeightsError};

/// Parts of the evidence before the channels: comparator, across, highest.
const BEFORE: usize = 3;

/// Values of the evidence of a network with `channels` channels.
#[must_use]
pub const fn evidence_len(channels: usize) -> usize {
    BEFORE + channels
}

/// The weights of a direct path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Direct {
    /// `[H][3 + C]`.
    weights: Vec<f32>,
    /// `[H]`.
    bias: Vec<f32>,
    /// Factor and offset of what tanh bounds.
    scale: [f32; 2],
}

impl Direct {
    /// Tensors `direct.weight` [H, 3 + C], `direct.bias` [H] and `direct.scale` [2], H at least 1. A `direct.weight` of [3 + C] is one
    /// hypothesis, with a scale of [1, 0].
    pub(crate) fn new(channels: usize, state: &StateDict) -> Result<Self, WeightsError> {
        let evidence = evidence_len(channels);
        if state.shape("direct.weight")?.len() == 1 {
            let weights = state.get("direct.weight", &[evidence])?.to_vec();
            return Ok(Self { weights, bias: state.get("direct.bias", &[1])?.to_vec(), scale: [1.0, 0.0] });
        }
        let [hypotheses, _] = state.shape_of_rank::<2>("direct.weight")?;
        if hypotheses == 0 {
            let reason = "`direct.weight` has no rows".into();
            return Err(WeightsError::Config { network: state.label.clone(), reason });
        }
        let weights = state.get("direct.weight", &[hypotheses, evidence])?.to_vec();
        let bias = state.get("direct.bias", &[hypotheses])?.to_vec();
        let scale = state.get("direct.scale", &[2])?;
        Ok(Self { weights, bias, scale: [scale[0], scale[1]] })
    }

    /// The similarity in [-1, 1] for the evidence of a pair.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn similarity(&self, evidence: &[f32]) -> f32 {
        let sums = self.weights.chunks_exact(evidence.len()).zip(&self.bias).map(|(weights, bias)| {
            let weighed: f64 = weights.iter().zip(evidence).map(|(w, e)| f64::from(*w) * f64::from(*e)).sum();
            weighed + f64::from(*bias)
        });
        let [factor, offset] = self.scale.map(f64::from);
        (offset + factor * log_sum_exp(sums)).tanh() as f32
    }
}

/// `ln(sum of exp(z))` without overflow; of no values, negative infinity.
#[must_use]
pub fn log_sum_exp(z: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = z.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + z.map(|z| (z - top).exp()).sum::<f64>().ln() } else { top }
}

/// Chamfer similarities of maps that come in bands of rows.
#[derive(Debug)]
pub(crate) struct Gathered {
    rows: usize,
    across: f64,
    highest: f64,
    channels: Vec<f64>,
}

impl Gathered {
    pub(crate) fn new(channels: usize) -> Self {
        Self { rows: 0, across: 0.0, highest: 0.0, channels: vec![0.0; channels] }
    }

    /// Adds the rows `rows` of the maps `[C][rows][width]`.
    pub(crate) fn add(&mut self, rows: &Range<usize>, width: usize, maps: &[f32]) {
        self.rows += rows.len();
        let size = rows.len() * width;
        if size == 0 {
            return;
        }
        for (sum, map) in self.channels.iter_mut().zip(maps.chunks_exact(size)) {
            *sum += map.chunks_exact(width).map(|row| f64::from(greatest(row))).sum::<f64>();
        }
        for row in 0..rows.len() {
            let first = &maps[row * width..][..width];
            let (mut across, mut highest) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
            for (column, &of_first) in first.iter().enumerate() {
                let cells = maps[size..].iter().skip(row * width + column).step_by(size);
                let best = cells.fold(of_first, |best, v| best.max(*v));
                highest = highest.max(best);
                across = across.max((of_first + best) / 2.0);
            }
            self.across += f64::from(across);
            self.highest += f64::from(highest);
        }
    }

    /// The evidence with the comparator's answer.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn finish(self, comparator: f32) -> Vec<f32> {
        let n = self.rows.max(1) as f64;
        let sums = [self.across, self.highest].into_iter().chain(self.channels);
        std::iter::once(comparator).chain(sums.map(|s| (s / n) as f32)).collect()
    }
}

fn greatest(row: &[f32]) -> f32 {
    row.iter().fold(f32::NEG_INFINITY, |best, v| best.max(*v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_by_hand_whatever_the_bands() {
        // Two channels of 3 x 2.
        let first = [[0.1, 0.5], [0.2, 0.0], [-0.4, -0.2]];
        let second = [[0.7, 0.3], [-1.0, 0.4], [0.6, -0.6]];
        let band = |rows: Range<usize>| -> Vec<f32> {
            [first, second].iter().flat_map(|map| map[rows.clone()].concat()).collect()
        };
        let mut whole = Gathered::new(2);
        whole.add(&(0..3), 2, &band(0..3));
        let mut parts = Gathered::new(2);
        for rows in [0..1, 1..1, 1..3] {
            parts.add(&rows, 2, &band(rows.clone()));
        }
        let evidence = whole.finish(0.25);
        assert_eq!(evidence, parts.finish(0.25));
        // Rows' best: (0.5, 0.2, -0.2), (0.7, 0.4, 0.6), the larger (0.7, 0.4, 0.6); halfway: max(0.4, 0.5), 0.2, max(0.1, -0.2).
        let expected = [0.25, 0.8 / 3.0, 1.7 / 3.0, 0.5 / 3.0, 1.7 / 3.0];
        assert_eq!(evidence.len(), evidence_len(2));
        for (found, expected) in evidence.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{evidence:?}");
        }
    }

    fn state(weight: &[f32], hypotheses: usize, bias: &[f32], scale: [f32; 2]) -> StateDict {
        let mut state = StateDict::new("x.");
        let shape = vec![hypotheses, weight.len().checked_div(hypotheses).unwrap_or(4)];
        state.insert("direct.weight", shape, weight.to_vec()).unwrap();
        state.insert("direct.bias", vec![bias.len()], bias.to_vec()).unwrap();
        state.insert("direct.scale", vec![2], scale.to_vec()).unwrap();
        state
    }

    #[test]
    fn the_weighted_sum_is_bounded_and_rises() {
        let direct = Direct::new(1, &state(&[1.0, 2.0, 0.0, -1.0], 1, &[0.5], [2.0, 0.1])).unwrap();
        let expected = (0.1 + 2.0 * (0.5f32 + 0.1 + 0.4 - 0.3)).tanh();
        assert!((direct.similarity(&[0.1, 0.2, 9.0, 0.3]) - expected).abs() < 1e-6);
        assert_eq!(direct.similarity(&[30.0, 30.0, 0.0, 0.0]), 1.0);
    }

    #[test]
    fn one_row_without_a_scale() {
        let mut state = StateDict::new("x.");
        state.insert("direct.weight", vec![4], vec![1.0, 2.0, 0.0, -1.0]).unwrap();
        assert!(Direct::new(1, &state).is_err(), "no bias");
        state.insert("direct.bias", vec![1], vec![0.5]).unwrap();
        let direct = Direct::new(1, &state).unwrap();
        assert!((direct.similarity(&[0.1, 0.2, 9.0, 0.3]) - (0.5f32 + 0.1 + 0.4 - 0.3).tanh()).abs() < 1e-6);
        assert!(Direct::new(2, &state).is_err(), "a weight is missing");
    }

    #[test]
    fn one_hypothesis_is_enough() {
        let both =
            Direct::new(1, &state(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], 2, &[0.0, -1.0], [0.5, 0.0])).unwrap();
        let expected = |e: &[f32; 4]| (0.5 * (e[0].exp() + (5.0 * e[3] - 1.0).exp()).ln()).tanh();
        for evidence in [[0.9, 0.0, 0.0, 0.1], [0.1, 0.0, 0.0, 0.9], [0.1, 0.0, 0.0, 0.1]] {
            assert!((both.similarity(&evidence) - expected(&evidence)).abs() < 1e-6);
        }
        // Far beyond what exp holds.
        let far =
            Direct::new(1, &state(&[1e4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e4], 2, &[0.0, 0.0], [1e-4, 0.0])).unwrap();
        assert!((far.similarity(&[1.0, 0.0, 0.0, 0.5]) - 1f32.tanh()).abs() < 1e-6);
        assert!((far.similarity(&[-1.0, 0.0, 0.0, -0.5]) + 0.5f32.tanh()).abs() < 1e-6);
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        assert!(Direct::new(2, &state(&[1.0; 4], 1, &[0.5], [1.0, 0.0])).is_err(), "a weight is missing");
        assert!(Direct::new(1, &state(&[1.0; 8], 2, &[0.5], [1.0, 0.0])).is_err(), "a bias is missing");
        assert!(Direct::new(1, &state(&[], 0, &[], [1.0, 0.0])).is_err(), "no hypothesis");
        assert!(Direct::new(1, &StateDict::new("x.")).is_err(), "nothing at all");
    }
}
