//! The direct path of a fine network: what the comparator's pools lose, beside the comparator.
//!
//! The comparator pools twice before Chamfer similarity takes the best column of a row: a match of a few frames, or of one
//! channel alone, is averaged with its surroundings. The direct path takes Chamfer similarities of the maps as they are and
//! weighs them together with the comparator's answer, under several hypotheses of how the query is seen in the target - frame for
//! frame, smaller within a frame, a part of it enlarged - of which one has to hold:
//!
//! ```text
//! similarity = tanh(scale[1] + scale[0] * ln(sum over h of exp(bias[h] + sum over k of weight[h][k] * evidence[k])))
//! evidence   = [comparator, across, highest, channel 0 .. channel C-1, aligned, matched]
//! ```
//!
//! `comparator` is the network's answer without the path; `channel c` the Chamfer similarity of map c, the mean over query
//! frames of the maximum over target frames; `highest` that of the largest over the channels, cell by cell; `across` that of the
//! mean of channel 0 and the largest, A ([`crate::fine::Fine::frame_similarity`]).
//!
//! `aligned` tells whether what changes in the query changes at the same moments in the target, which is what a copy has and another
//! take of the same scene has not. A is centred by rows and columns, `R = A - mean of the row - mean of the column + mean of A`: what
//! all frames share is gone. `aligned = clamp((z - 1) / 4, 0, 1)` with z the largest over all diagonals of n >= 4 cells of `mean of R
//! on the diagonal * sqrt(min(n, 16)) / (root mean square of R + 0.02)`. It is 0 where either video has fewer than 4 frames.
//!
//! `matched` is the share of the query's informative time that the target shows, each stretch counted by its probability
//! ([`crate::alignment::Matched::expected`]).

use std::ops::Range;

use crate::weights::{StateDict, WeightsError};

/// Parts of the evidence before the channels: comparator, across, highest.
const BEFORE: usize = 3;
/// Parts of the evidence after the channels: aligned, matched.
const AFTER: usize = 2;

/// Values of the evidence of a network with `channels` channels.
#[must_use]
pub const fn evidence_len(channels: usize) -> usize {
    BEFORE + channels + AFTER
}

/// Where in the evidence of a network with `channels` channels their Chamfer similarities are.
#[must_use]
pub const fn of_channels(channels: usize) -> Range<usize> {
    BEFORE..BEFORE + channels
}

/// The weights of a direct path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Direct {
    /// `[H][5 + C]`.
    weights: Vec<f32>,
    /// `[H]`.
    bias: Vec<f32>,
    /// Factor and offset of what tanh bounds.
    scale: [f32; 2],
}

impl Direct {
    /// Tensors `direct.weight` [H, 5 + C], `direct.bias` [H] and `direct.scale` [2], H at least 1. Rows of 4 + C or 3 + C values give
    /// `matched`, or `aligned` as well, no weight. A `direct.weight` of [3 + C] is one hypothesis, with a scale of [1, 0].
    pub(crate) fn new(channels: usize, state: &StateDict) -> Result<Self, WeightsError> {
        let evidence = evidence_len(channels);
        let filled = |weights: &[f32], columns: usize| -> Vec<f32> {
            let none = std::iter::repeat_n(0.0, evidence - columns);
            weights.chunks_exact(columns).flat_map(|row| row.iter().copied().chain(none.clone())).collect()
        };
        if state.shape("direct.weight")?.len() == 1 {
            let columns = BEFORE + channels;
            let weights = filled(state.get("direct.weight", &[columns])?, columns);
            return Ok(Self { weights, bias: state.get("direct.bias", &[1])?.to_vec(), scale: [1.0, 0.0] });
        }
        let [hypotheses, found] = state.shape_of_rank::<2>("direct.weight")?;
        if hypotheses == 0 {
            let reason = "`direct.weight` has no rows".into();
            return Err(WeightsError::Config { network: state.label.clone(), reason });
        }
        let columns = if (BEFORE + channels..evidence).contains(&found) { found } else { evidence };
        let weights = filled(state.get("direct.weight", &[hypotheses, columns])?, columns);
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

/// Fewest cells of a diagonal that says anything, and fewest frames of a video.
const LEAST: usize = 4;
/// Cells from which on a diagonal does not count for more: a long video is not surer by its length alone.
const MOST: usize = 16;
/// Added to the root mean square of the centred map: changes below it are rounding of codes.
const FLOOR: f64 = 0.02;
/// What the best of many diagonals reaches by chance, and how far above it `aligned` is full.
const CHANCE: [f64; 2] = [1.0, 4.0];

/// The sums of a map that tell `aligned`, row by row.
#[derive(Debug, Default)]
struct Alignment {
    row_means: Vec<f64>,
    columns: Vec<f64>,
    squares: f64,
    /// Cell (i, j) is on diagonal i + width - 1 - j.
    diagonals: Vec<f64>,
}

impl Alignment {
    #[allow(clippy::cast_precision_loss)]
    fn add(&mut self, row: &[f32]) {
        let (i, width) = (self.row_means.len(), row.len());
        self.columns.resize(width, 0.0);
        self.diagonals.resize(i + width, 0.0);
        let mut sum = 0.0;
        let diagonals = self.diagonals[i..].iter_mut().rev();
        for ((&cell, column), diagonal) in row.iter().zip(&mut self.columns).zip(diagonals) {
            let cell = f64::from(cell);
            sum += cell;
            self.squares += cell * cell;
            *column += cell;
            *diagonal += cell;
        }
        self.row_means.push(sum / width.max(1) as f64);
    }

    #[allow(clippy::cast_precision_loss)]
    fn finish(&self) -> f64 {
        let (h, w) = (self.row_means.len(), self.columns.len());
        if h < LEAST || w < LEAST {
            return 0.0;
        }
        let (rows, height) = (&self.row_means, h as f64);
        let columns: Vec<f64> = self.columns.iter().map(|sum| sum / height).collect();
        let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n as f64;
        let all = mean(&mut rows.iter().copied(), h);
        let of_squares = self.squares / (h * w) as f64
            - mean(&mut rows.iter().map(|m| m * m), h)
            - mean(&mut columns.iter().map(|m| m * m), w)
            + all * all;
        let sums = |values: &[f64]| -> Vec<f64> {
            let running = values.iter().scan(0.0, |sum, v| {
                *sum += v;
                Some(*sum)
            });
            std::iter::once(0.0).chain(running).collect()
        };
        let (row_sums, column_sums) = (sums(rows), sums(&columns));
        let best = self.diagonals.iter().enumerate().fold(0f64, |best, (k, diagonal)| {
            let (first, last) = (k.saturating_sub(w - 1), k.min(h - 1));
            let (n, column) = (last + 1 - first, first + w - 1 - k);
            if n < LEAST {
                return best;
            }
            let shared = row_sums[last + 1] - row_sums[first] + column_sums[column + n] - column_sums[column];
            best.max(((diagonal - shared) / n as f64 + all) * (n.min(MOST) as f64).sqrt())
        });
        let z = best / (of_squares.max(0.0).sqrt() + FLOOR);
        ((z - CHANCE[0]) / CHANCE[1]).clamp(0.0, 1.0)
    }
}

/// Chamfer similarities of maps that come in bands of rows, and how well the videos are aligned.
#[derive(Debug)]
pub(crate) struct Gathered {
    rows: usize,
    across: f64,
    highest: f64,
    channels: Vec<f64>,
    cells: Vec<f32>,
    alignment: Option<Alignment>,
}

impl Gathered {
    /// For maps of `channels` channels of two videos of so many frames, before they were repeated.
    pub(crate) fn new(channels: usize, frames: [usize; 2]) -> Self {
        let alignment = frames.iter().all(|&n| n >= LEAST).then(Alignment::default);
        Self { rows: 0, across: 0.0, highest: 0.0, channels: vec![0.0; channels], cells: Vec::new(), alignment }
    }

    /// Adds the rows `rows` of the maps `[C][rows][width]`; the frame similarities A of these rows follow
    /// those in `likeness`.
    pub(crate) fn add(&mut self, rows: &Range<usize>, width: usize, maps: &[f32], likeness: &mut Vec<f32>) {
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
            let mut highest = f32::NEG_INFINITY;
            self.cells.clear();
            for (column, &of_first) in first.iter().enumerate() {
                let cells = maps[size..].iter().skip(row * width + column).step_by(size);
                let best = cells.fold(of_first, |best, v| best.max(*v));
                highest = highest.max(best);
                self.cells.push((of_first + best) / 2.0);
            }
            likeness.extend_from_slice(&self.cells);
            self.across += f64::from(greatest(&self.cells));
            self.highest += f64::from(highest);
            if let Some(alignment) = &mut self.alignment {
                alignment.add(&self.cells);
            }
        }
    }

    /// The evidence with the comparator's answer and the share that is matched.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn finish(self, comparator: f32, matched: f32) -> Vec<f32> {
        let n = self.rows.max(1) as f64;
        let sums = [self.across, self.highest].into_iter().chain(self.channels);
        let aligned = self.alignment.map_or(0.0, |a| a.finish()) as f32;
        std::iter::once(comparator).chain(sums.map(|s| (s / n) as f32)).chain([aligned, matched]).collect()
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
        let mut whole = Gathered::new(2, [3, 2]);
        whole.add(&(0..3), 2, &band(0..3), &mut Vec::new());
        let mut parts = Gathered::new(2, [3, 2]);
        for rows in [0..1, 1..1, 1..3] {
            parts.add(&rows, 2, &band(rows.clone()), &mut Vec::new());
        }
        let evidence = whole.finish(0.25, 0.75);
        assert_eq!(evidence, parts.finish(0.25, 0.75));
        // Rows' best: (0.5, 0.2, -0.2), (0.7, 0.4, 0.6), the larger (0.7, 0.4, 0.6); halfway: max(0.4, 0.5), 0.2, max(0.1, -0.2).
        let expected = [0.25, 0.8 / 3.0, 1.7 / 3.0, 0.5 / 3.0, 1.7 / 3.0, 0.0, 0.75];
        assert_eq!(evidence.len(), evidence_len(2));
        for (found, expected) in evidence.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{evidence:?}");
        }
    }

    /// `aligned` of a map as it is written in the module's text.
    fn aligned(map: &[Vec<f32>]) -> f32 {
        let (h, w) = (map.len(), map[0].len());
        let cell = |i: usize, j: usize| f64::from(map[i][j]);
        let row = |i: usize| (0..w).map(|j| cell(i, j)).sum::<f64>() / w as f64;
        let column = |j: usize| (0..h).map(|i| cell(i, j)).sum::<f64>() / h as f64;
        let all = (0..h).map(row).sum::<f64>() / h as f64;
        let centred = |i: usize, j: usize| cell(i, j) - row(i) - column(j) + all;
        let squares = (0..h).flat_map(|i| (0..w).map(move |j| (i, j))).map(|(i, j)| centred(i, j).powi(2)).sum::<f64>();
        let spread = (squares / (h * w) as f64).sqrt() + 0.02;
        let mut z = 0f64;
        for shift in -(h as i64)..w as i64 {
            let on =
                (0..h).filter_map(|i| usize::try_from(i as i64 + shift).ok().filter(|&j| j < w).map(|j| centred(i, j)));
            let cells: Vec<f64> = on.collect();
            if cells.len() >= 4 {
                let n = cells.len() as f64;
                z = z.max(cells.iter().sum::<f64>() / n * n.min(16.0).sqrt() / spread);
            }
        }
        ((z - 1.0) / 4.0).clamp(0.0, 1.0) as f32
    }

    fn gathered(map: &[Vec<f32>], frames: [usize; 2]) -> f32 {
        let mut gathered = Gathered::new(1, frames);
        gathered.add(&(0..map.len()), map[0].len(), &map.concat(), &mut Vec::new());
        gathered.finish(0.0, 0.0)[4]
    }

    #[test]
    fn moments_that_agree_are_seen_below_what_all_frames_share() {
        // Frames of a fixed camera: much alike, and what moves is seen at one moment of the other video alone, two rows later.
        let map = |h: usize, w: usize, shift: usize, by: f32| -> Vec<Vec<f32>> {
            let noise = |i: usize, j: usize| (((i * 31 + j * 17 + i * j * 7) % 23) as f32 - 11.0) / 400.0;
            let same = |i: usize, j: usize| if i == j + shift { by } else { 0.0 };
            (0..h).map(|i| (0..w).map(|j| 0.8 + noise(i, j) + same(i, j)).collect()).collect()
        };
        let (copy, take) = (gathered(&map(12, 10, 2, 0.1), [12, 10]), gathered(&map(12, 10, 2, 0.0), [12, 10]));
        assert!(copy > 0.5 && take < 0.1, "{copy} {take}");
        for (h, w, shift) in [(4, 4, 0), (4, 9, 0), (9, 4, 3), (20, 30, 1), (3, 30, 0), (40, 40, 5)] {
            for by in [0.0, 0.02, 0.3] {
                let map = map(h, w, shift, by);
                let (found, expected) = (gathered(&map, [h, w]), aligned(&map));
                assert!((found - expected).abs() < 1e-5, "{h}x{w}: {found} {expected}");
            }
        }
        assert_eq!(gathered(&map(4, 12, 0, 0.3), [2, 12]), 0.0, "two frames that were repeated");
        assert_eq!(gathered(&vec![vec![0.7; 12]; 12], [12, 12]), 0.0, "nothing moves");
    }

    #[test]
    fn rows_without_a_weight_for_alignment() {
        let short = Direct::new(1, &state(&[1.0, 2.0, 0.0, -1.0], 1, &[0.5], [2.0, 0.1])).unwrap();
        let long = Direct::new(1, &state(&[1.0, 2.0, 0.0, -1.0, 0.0], 1, &[0.5], [2.0, 0.1])).unwrap();
        assert_eq!(short, long);
        let whole = Direct::new(1, &state(&[1.0, 2.0, 0.0, -1.0, 0.0, 0.0], 1, &[0.5], [2.0, 0.1])).unwrap();
        assert_eq!(short, whole);
        let two =
            Direct::new(1, &state(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], 2, &[0.0, -1.0], [0.5, 0.0])).unwrap();
        assert_eq!(two.weights, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0]);
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
        assert!((direct.similarity(&[0.1, 0.2, 9.0, 0.3, 9.0, 9.0]) - expected).abs() < 1e-6);
        assert_eq!(direct.similarity(&[30.0, 30.0, 0.0, 0.0, 0.0, 0.0]), 1.0);
    }

    #[test]
    fn one_row_without_a_scale() {
        let mut state = StateDict::new("x.");
        state.insert("direct.weight", vec![4], vec![1.0, 2.0, 0.0, -1.0]).unwrap();
        assert!(Direct::new(1, &state).is_err(), "no bias");
        state.insert("direct.bias", vec![1], vec![0.5]).unwrap();
        let direct = Direct::new(1, &state).unwrap();
        assert!((direct.similarity(&[0.1, 0.2, 9.0, 0.3, 9.0, 9.0]) - (0.5f32 + 0.1 + 0.4 - 0.3).tanh()).abs() < 1e-6);
        assert!(Direct::new(2, &state).is_err(), "a weight is missing");
    }

    #[test]
    fn one_hypothesis_is_enough() {
        let both =
            Direct::new(1, &state(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], 2, &[0.0, -1.0], [0.5, 0.0])).unwrap();
        let expected = |e: &[f32; 6]| (0.5 * (e[0].exp() + (5.0 * e[3] - 1.0).exp()).ln()).tanh();
        for evidence in [[0.9, 0.0, 0.0, 0.1, 0.0, 0.0], [0.1, 0.0, 0.0, 0.9, 0.0, 0.0], [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]]
        {
            assert!((both.similarity(&evidence) - expected(&evidence)).abs() < 1e-6);
        }
        // Far beyond what exp holds.
        let far =
            Direct::new(1, &state(&[1e4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e4], 2, &[0.0, 0.0], [1e-4, 0.0])).unwrap();
        assert!((far.similarity(&[1.0, 0.0, 0.0, 0.5, 0.0, 0.0]) - 1f32.tanh()).abs() < 1e-6);
        assert!((far.similarity(&[-1.0, 0.0, 0.0, -0.5, 0.0, 0.0]) + 0.5f32.tanh()).abs() < 1e-6);
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
