//! Fitting the direct path of a fine network ([`vidsieve_model::direct`]): few weights, one smooth problem.
//!
//! For every copy in the pools the weights are to put it above all distractors of its anchor: the loss of a list is
//! `log(1 + sum over distractors of exp(s(distractor) - s(copy)))`, s the logarithm of the sum of exponentials of what each hypothesis
//! makes of the evidence. There is a hypothesis for every channel, and it starts from that channel. Weights are not negative: more
//! similarity is never evidence against a copy. With weights of both signs, or one hypothesis for all, the kinds of edits that one
//! channel alone sees are bought with those that it does not see.
//!
//! How well the videos are aligned is weighed last, by one weight for all hypotheses, with what they look like fitted alone before: made
//! clips move more than footage does, and fitted together alignment takes the place of likeness. Other takes of a scene differ from
//! copies in alignment alone: they have no part in the weights of likeness, which would give up what they cannot distinguish.
//! Nothing is drawn but the noise on descriptors that all students are trained with.

use std::ops::Range;

use half::f16;
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_kernels::Isa;
use vidsieve_model::direct::log_sum_exp;
use vidsieve_model::fine::{Fine, Workspace};
use vidsieve_model::footage::Footage;

use crate::TrainError;
use crate::data::features::{FeatureSet, TAKE};
use crate::data::pools::{PoolOptions, Pools};

/// How a direct path is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectOptions {
    /// Distractors of an anchor.
    pub pools: PoolOptions,
    /// Weight of the sum of squared weights, of evidence scaled to unit variance, positive.
    pub regulariser: f64,
    /// Largest noise on region vectors, drawn for each video ([`FeatureSet::noisy_frames`]).
    pub noise: f32,
}

impl Default for DirectOptions {
    fn default() -> Self {
        Self { pools: PoolOptions { hard: 24, random: 8, seed: 5 }, regulariser: 0.001, noise: 0.4 }
    }
}

/// The tensors of a direct path with H hypotheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Weights of the evidence, `[H][5 + C]`.
    pub weights: Vec<f32>,
    /// A bias of each hypothesis.
    pub bias: Vec<f32>,
    /// Factor and offset of the answer before tanh.
    pub scale: [f32; 2],
}

/// A copy and the distractors of its anchor, as evidence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// Of the copy.
    pub copy: Vec<f64>,
    /// Of each distractor.
    pub others: Vec<Vec<f64>>,
    /// Of other takes of the anchor's scene, and of scenes like it.
    pub takes: Vec<Vec<f64>>,
}

impl List {
    /// The copy, the distractors, the takes.
    fn rows(&self) -> impl Iterator<Item = &Vec<f64>> {
        std::iter::once(&self.copy).chain(&self.others).chain(&self.takes)
    }
}

/// All videos with noise, and the lists of their pools by the network's evidence.
///
/// # Errors
/// [`TrainError::Input`] when the network does not take the set's tensors.
pub fn lists(isa: Isa, fine: &Fine, set: &FeatureSet, options: &DirectOptions) -> Result<Vec<List>, TrainError> {
    let pools = Pools::mine(isa, set, &options.pools);
    let mut noisy = set.clone();
    for (i, video) in noisy.videos.iter_mut().enumerate() {
        let mut rng = Pcg64::seed_from_u64(options.pools.seed ^ (i as u64) << 20);
        let noise = options.noise * rng.random::<f32>();
        let all: Vec<usize> = (0..video.frames).collect();
        video.data = set.noisy_frames(i, &all, noise, &mut rng).into_iter().map(f16::from_f32).collect();
    }
    let tensors: Vec<Footage> = noisy.indexed(fine)?.iter().map(Footage::of_tensor).collect();
    let made = pools
        .anchors
        .par_iter()
        .map_init(Workspace::default, |workspace, anchor| {
            let mut evidence = |video: usize| -> Result<Vec<f64>, TrainError> {
                let examined = fine.examine(&tensors[anchor.video], &tensors[video], workspace)?;
                Ok(examined.evidence.into_iter().map(f64::from).collect())
            };
            let (mut others, mut takes) = (Vec::new(), Vec::new());
            for member in &anchor.negatives {
                let is_take = set.videos[member.video].info.kind == TAKE;
                if is_take { &mut takes } else { &mut others }.push(evidence(member.video)?);
            }
            anchor
                .positives
                .iter()
                .map(|m| Ok(List { copy: evidence(m.video)?, others: others.clone(), takes: takes.clone() }))
                .collect::<Result<Vec<_>, TrainError>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(made.concat())
}

/// Most steps of the solver.
const STEPS: usize = 200;
/// Least of the fall of the loss that is worth another step.
const WORTH: f64 = 1e-8;
/// Weight of a hypothesis' own channel at the start, and of all other evidence.
const START: [f64; 2] = [2.0, 0.1];
/// Most values after the channels: aligned, matched.
const LAST: usize = 2;
/// Standard deviation of the answers before tanh over all pairs.
const SPREAD: f64 = 0.5;

/// The weights that put copies above distractors, and a scale that keeps the answers within the part of tanh that tells them apart.
/// `channels` tells where in the evidence the channels' similarities are: there is a hypothesis for each. Each value that follows them is
/// given one weight for all hypotheses after all before it were fitted, and leaves those as they are: takes count for these weights alone.
///
/// # Errors
/// [`TrainError::Data`] for lists without a distractor, of different lengths, that end before the channels do, or go on for more than
/// two values.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn fit(lists: &[List], channels: &Range<usize>, regulariser: f64) -> Result<Fitted, TrainError> {
    let evidence = lists.first().map_or(0, |l| l.copy.len());
    let all: Vec<&Vec<f64>> = lists.iter().flat_map(List::rows).collect();
    let seen = channels.end;
    let fits = (seen..=seen + LAST).contains(&evidence) && !channels.is_empty();
    if !fits || lists.iter().any(|l| l.others.is_empty()) || all.iter().any(|e| e.len() != evidence) {
        return Err(TrainError::Data("a direct path needs copies with distractors to be fitted on".into()));
    }
    let n = all.len() as f64;
    let mean: Vec<f64> = (0..evidence).map(|k| all.iter().map(|e| e[k]).sum::<f64>() / n).collect();
    let deviation: Vec<f64> = (0..evidence)
        .map(|k| (all.iter().map(|e| (e[k] - mean[k]).powi(2)).sum::<f64>() / n).sqrt().max(1e-9))
        .collect();
    let scaled = |row: &[f64], k: usize| (row[k] - mean[k]) / deviation[k];
    // Rows of evidence at unit variance and a 1 for the bias, the copy first, with the takes or without.
    let rows = |with_takes: bool| -> Vec<DMatrix<f64>> {
        let of_list = |l: &List| {
            let rows: Vec<&Vec<f64>> =
                l.rows().take(1 + l.others.len() + if with_takes { l.takes.len() } else { 0 }).collect();
            DMatrix::from_fn(rows.len(), seen + 1, |i, k| if k == seen { 1.0 } else { scaled(rows[i], k) })
        };
        lists.iter().map(of_list).collect()
    };
    let w = solve(&rows(false), channels, regulariser);
    let mut answers: Vec<Vec<f64>> = rows(true).iter().map(|l| answers(l, &w, channels.len()).0).collect();
    let mut last = Vec::new();
    for (value, spread) in deviation.iter().enumerate().skip(seen) {
        let values: Vec<Vec<f64>> = lists.iter().map(|l| l.rows().map(|row| scaled(row, value)).collect()).collect();
        let weight = solve_last(&answers, &values, regulariser);
        answers.iter_mut().flatten().zip(values.iter().flatten()).for_each(|(a, v)| *a += weight * v);
        last.push(weight / spread);
    }
    let centre = answers.iter().flatten().sum::<f64>() / n;
    let spread = (answers.iter().flatten().map(|a| (a - centre).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
    let factor = SPREAD / spread;
    // Back to evidence as it is.
    let (mut weights, mut bias) = (Vec::new(), Vec::new());
    for row in w.as_slice().chunks_exact(seen + 1) {
        let row_weights: Vec<f64> = (0..seen).map(|k| row[k] / deviation[k]).chain(last.iter().copied()).collect();
        bias.push((row[seen] - row_weights.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>()) as f32);
        weights.extend(row_weights.into_iter().map(|w| w as f32));
    }
    Ok(Fitted { weights, bias, scale: [factor as f32, (-centre * factor) as f32] })
}

/// The weight, not negative, of one more value beside answers that are there, `[list][row]`, the copy first: where the loss is least.
#[allow(clippy::cast_precision_loss)]
fn solve_last(answers: &[Vec<f64>], values: &[Vec<f64>], regulariser: f64) -> f64 {
    // The loss is convex in one weight: its slope rises.
    let slope = |weight: f64| -> f64 {
        let of_list = |(answers, values): (&Vec<f64>, &Vec<f64>)| -> f64 {
            let excess = |i: usize| answers[i] - answers[0] + weight * (values[i] - values[0]);
            let total = log_sum_exp((0..answers.len()).map(excess));
            (1..answers.len()).map(|i| (excess(i) - total).exp() * (values[i] - values[0])).sum()
        };
        answers.iter().zip(values).map(of_list).sum::<f64>() / answers.len().max(1) as f64 + 2.0 * regulariser * weight
    };
    let (mut low, mut high) = (0.0, 1.0);
    while slope(high) < 0.0 && high < 1e6 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    low
}

/// A minimum of the loss, `[H][evidence and bias]`, one hypothesis for each of the evidence's `channels`. The method is
/// Gauss and Newton's, projected to weights that are not negative: what stands at 0 and would fall further stays there.
fn solve(lists: &[DMatrix<f64>], channels: &Range<usize>, regulariser: f64) -> DVector<f64> {
    let hypotheses = channels.len();
    let width = lists.first().map_or(1, DMatrix::ncols);
    let evidence = width - 1;
    let is_bias = |i: usize| i % width == evidence;
    let mut w = DVector::from_fn(hypotheses * width, |i, _| {
        let (hypothesis, k) = (i / width, i % width);
        if k == evidence {
            // What is seen frame for frame is the first thing to look for.
            if hypothesis == 0 { 0.0 } else { -START[0] }
        } else {
            START[usize::from(k != channels.start + hypothesis)]
        }
    });
    let mut now = loss(lists, &w, hypotheses, regulariser);
    for _ in 0..STEPS {
        let free: Vec<usize> = (0..w.len()).filter(|&i| is_bias(i) || w[i] > 0.0 || now.gradient[i] < 0.0).collect();
        let hessian = now.hessian.select_rows(&free).select_columns(&free);
        let Some(part) = hessian.cholesky().map(|c| c.solve(&now.gradient.select_rows(&free))) else { break };
        let mut step = DVector::zeros(w.len());
        free.iter().zip(part.iter()).for_each(|(&i, &s)| step[i] = s);
        let mut rate = 1.0;
        let (moved, next) = loop {
            let moved = DVector::from_fn(w.len(), |i, _| {
                let to = w[i] - rate * step[i];
                if is_bias(i) { to } else { to.max(0.0) }
            });
            let next = loss(lists, &moved, hypotheses, regulariser);
            if next.value < now.value || rate < 1e-6 {
                break (moved, next);
            }
            rate /= 2.0;
        };
        let gain = now.value - next.value;
        if gain.is_nan() || gain <= 0.0 {
            break;
        }
        (w, now) = (moved, next);
        if gain < WORTH {
            break;
        }
    }
    w
}

/// The answer for every row of a list, and the share of each hypothesis in it, `[row][H]`.
fn answers(list: &DMatrix<f64>, w: &DVector<f64>, hypotheses: usize) -> (Vec<f64>, DMatrix<f64>) {
    let z = list * DMatrix::from_column_slice(list.ncols(), hypotheses, w.as_slice());
    let sums: Vec<f64> = z.row_iter().map(|row| log_sum_exp(row.iter().copied())).collect();
    let shares = DMatrix::from_fn(z.nrows(), hypotheses, |i, h| (z[(i, h)] - sums[i]).exp());
    (sums, shares)
}

/// The loss at some weights, with its gradient and the Gauss-Newton part of its second derivative.
struct Loss {
    value: f64,
    gradient: DVector<f64>,
    hessian: DMatrix<f64>,
}

/// What keeps the second derivative regular where a common change of all biases changes nothing.
const DAMPING: f64 = 1e-6;

#[allow(clippy::cast_precision_loss)]
fn loss(lists: &[DMatrix<f64>], w: &DVector<f64>, hypotheses: usize, regulariser: f64) -> Loss {
    let size = w.len();
    let zero = || Loss { value: 0.0, gradient: DVector::zeros(size), hessian: DMatrix::zeros(size, size) };
    let share = 1.0 / lists.len() as f64;
    let width = size / hypotheses.max(1);
    // Blocks of fixed size, added in order: the same bits on any number of threads.
    let blocks: Vec<Loss> = lists
        .par_chunks(256)
        .map(|block| {
            let mut sum = zero();
            for list in block {
                let (answers, shares) = answers(list, w, hypotheses);
                let others = list.nrows() - 1;
                let excess = DVector::from_fn(others, |i, _| answers[i + 1] - answers[0]);
                // d(excess) / d(weights).
                let slope = DMatrix::from_fn(others, size, |i, j| {
                    let (h, k) = (j / width, j % width);
                    shares[(i + 1, h)] * list[(i + 1, k)] - shares[(0, h)] * list[(0, k)]
                });
                let top = excess.max().max(0.0);
                let e = excess.map(|v| (v - top).exp());
                let total = e.sum() + (-top).exp();
                let p = e / total;
                let mean = slope.tr_mul(&p);
                sum.value += share * (top + total.ln());
                sum.gradient += &mean * share;
                let weighted = DMatrix::from_fn(others, size, |i, j| slope[(i, j)] * p[i]);
                sum.hessian += (slope.tr_mul(&weighted) - &mean * mean.transpose()) * share;
            }
            sum
        })
        .collect();
    let mut sum = zero();
    for block in blocks {
        sum.value += block.value;
        sum.gradient += block.gradient;
        sum.hessian += block.hessian;
    }
    for i in 0..size {
        if i % width != width - 1 {
            sum.value += regulariser * w[i] * w[i];
            sum.gradient[i] += 2.0 * regulariser * w[i];
            sum.hessian[(i, i)] += 2.0 * regulariser;
        }
        sum.hessian[(i, i)] += DAMPING;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evidence of a comparator that says nothing and two channels: one copy in two is seen by the first channel alone, the others by
    /// the second alone.
    fn made() -> Vec<List> {
        let mut rng = Pcg64::seed_from_u64(3);
        let mut one = |seen: Option<usize>| {
            let mut evidence: Vec<f64> = (0..3).map(|_| 0.3 * f64::from(rng.random::<f32>())).collect();
            if let Some(channel) = seen {
                evidence[1 + channel] += 0.5;
            }
            evidence
        };
        let list =
            |i: usize| List { copy: one(Some(i % 2)), others: (0..6).map(|_| one(None)).collect(), takes: vec![] };
        (0..200).map(list).collect()
    }

    /// [`made`] with a 1 for the bias, the copy first.
    fn rows() -> Vec<DMatrix<f64>> {
        let row = |l: &List, i: usize| if i == 0 { l.copy.clone() } else { l.others[i - 1].clone() };
        let value = |l: &List, i: usize, k: usize| row(l, i).get(k).copied().unwrap_or(1.0);
        made().iter().map(|l| DMatrix::from_fn(7, 4, |i, k| value(l, i, k))).collect()
    }

    #[test]
    fn the_solver_ends_where_no_allowed_move_lowers_the_loss() {
        let lists = rows();
        for regulariser in [0.1, 0.001] {
            let w = solve(&lists, &(1..3), regulariser);
            let at = loss(&lists, &w, 2, regulariser);
            for (i, (w, slope)) in w.iter().zip(at.gradient.iter()).enumerate() {
                let bound = i % 4 != 3 && *w == 0.0;
                assert!(slope.abs() < 1e-3 || bound && *slope > 0.0, "{regulariser}: {i} at {w}, slope {slope}");
            }
        }
    }

    fn answer(fitted: &Fitted, evidence: &[f64]) -> f64 {
        let rows = fitted.weights.chunks_exact(evidence.len()).zip(&fitted.bias);
        let z = rows.map(|(row, bias)| {
            f64::from(*bias) + row.iter().zip(evidence).map(|(w, e)| f64::from(*w) * e).sum::<f64>()
        });
        f64::from(fitted.scale[1]) + f64::from(fitted.scale[0]) * log_sum_exp(z)
    }

    #[test]
    fn every_hypothesis_finds_its_copies() {
        let lists = made();
        let fitted = fit(&lists, &(1..3), 0.001).unwrap();
        let (first, second) = fitted.weights.split_at(3);
        assert!(fitted.weights.iter().all(|w| *w >= 0.0), "{fitted:?}");
        assert!(first[1] > 3.0 * first[2].max(first[0]) && second[2] > 3.0 * second[1].max(second[0]), "{fitted:?}");
        let found = |l: &&List| l.others.iter().all(|o| answer(&fitted, o) < answer(&fitted, &l.copy));
        assert_eq!(lists.iter().filter(found).count(), 200);
        let all: Vec<f64> =
            lists.iter().flat_map(|l| l.others.iter().chain([&l.copy])).map(|e| answer(&fitted, e)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let spread = (all.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
        assert!(mean.abs() < 1e-4 && (spread - SPREAD).abs() < 1e-4, "{mean} {spread}");
    }

    #[test]
    fn the_last_value_is_weighed_when_all_others_are_fitted() {
        let mut lists = made();
        let before = fit(&lists, &(1..3), 0.001).unwrap();
        let with = |lists: &mut Vec<List>, copy: f64, other: f64| {
            for (i, list) in lists.iter_mut().enumerate() {
                list.copy.push(if i % 4 == 0 { other } else { copy });
                list.others.iter_mut().enumerate().for_each(|(k, o)| o.push(if k == 0 { copy / 2.0 } else { other }));
            }
            fit(lists, &(1..3), 0.001).unwrap()
        };
        let fitted = with(&mut lists, 0.8, 0.1);
        for (row, old) in fitted.weights.chunks_exact(4).zip(before.weights.chunks_exact(3)) {
            assert!(row[..3] == *old && row[3] == fitted.weights[3] && row[3] > 0.0, "{fitted:?} {before:?}");
        }
        let answers: Vec<Vec<f64>> = lists
            .iter()
            .map(|l| [&l.copy].into_iter().chain(&l.others).map(|e| answer(&before, &e[..3])).collect())
            .collect();
        let values: Vec<Vec<f64>> =
            lists.iter().map(|l| [&l.copy].into_iter().chain(&l.others).map(|e| e[3]).collect()).collect();
        let loss = |weight: f64| -> f64 {
            let list = |(a, v): (&Vec<f64>, &Vec<f64>)| {
                log_sum_exp((0..a.len()).map(|i| a[i] - a[0] + weight * (v[i] - v[0])))
            };
            answers.iter().zip(&values).map(list).sum::<f64>() / 200.0 + 0.001 * weight * weight
        };
        let best = solve_last(&answers, &values, 0.001);
        assert!(best > 0.0 && loss(best) < loss(best * 0.99).min(loss(best * 1.01)), "{best}");
        // A take looks as the copy does: the weights of likeness stay, that of alignment does not.
        for list in &mut lists {
            list.takes = vec![list.copy.clone()];
            list.takes[0][3] = 0.0;
        }
        let taken = fit(&lists, &(1..3), 0.001).unwrap();
        let ratio = |f: &Fitted| f.weights[1] / f.weights[0];
        assert!(
            (ratio(&taken) / ratio(&fitted) - 1.0).abs() < 0.2 && taken.weights[3] > 1.2 * fitted.weights[3],
            "{taken:?}"
        );
        // What speaks against copies gets no weight.
        let mut against = made();
        assert!(with(&mut against, 0.1, 0.8).weights.chunks_exact(4).all(|row| row[3] < 1e-6));
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        let lists = &rows()[..40];
        let w = DVector::from_vec(vec![0.3, 1.2, 0.0, 0.1, 0.4, 0.0, 2.0, -0.5]);
        let at = loss(lists, &w, 2, 0.1);
        const STEP: f64 = 1e-6;
        for k in 0..w.len() {
            let moved = |by: f64| {
                let mut w = w.clone();
                w[k] += by;
                loss(lists, &w, 2, 0.1).value
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!((at.gradient[k] - slope).abs() < 1e-6, "{k}: {} {slope}", at.gradient[k]);
        }
        assert!(at.hessian.clone().cholesky().is_some(), "the solver needs a positive definite matrix");
    }

    #[test]
    fn nothing_to_fit_on_is_said() {
        assert!(fit(&[], &(0..1), 0.01).is_err());
        assert!(fit(&[List { copy: vec![0.1], others: vec![], takes: vec![] }], &(0..1), 0.01).is_err());
        assert!(
            fit(&[List { copy: vec![0.1], others: vec![vec![0.2]], takes: vec![] }], &(0..2), 0.01).is_err(),
            "more channels than evidence"
        );
    }
}
