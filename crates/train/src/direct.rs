//! Fitting the direct path of a fine network ([`vidsieve_model::direct`]): few weights, one convex problem.
//!
//! For every copy in the pools the weights are to put it above all distractors of its anchor: the loss of a list is
//! `log(1 + sum over distractors of exp(z(distractor) - z(copy)))`, z the weighted evidence. Newton's method finds the one minimum;
//! nothing is drawn but the noise on descriptors that all students are trained with.

use half::f16;
use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_kernels::Isa;
use vidsieve_model::fine::{Fine, Workspace};

use crate::TrainError;
use crate::features::FeatureSet;
use crate::fine::index_all;
use crate::pools::{PoolOptions, Pools};

/// How a direct path is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectOptions {
    /// Distractors of an anchor.
    pub pools: PoolOptions,
    /// Weight of the sum of squared weights, of evidence scaled to unit variance.
    pub regulariser: f64,
    /// Largest noise on region vectors, drawn for each video ([`FeatureSet::noisy_frames`]).
    pub noise: f32,
}

impl Default for DirectOptions {
    fn default() -> Self {
        Self { pools: PoolOptions { hard: 24, random: 8, seed: 5 }, regulariser: 0.01, noise: 0.4 }
    }
}

/// Weights of the evidence and a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// As long as the evidence.
    pub weights: Vec<f32>,
    /// Bias.
    pub bias: f32,
}

/// A copy and the distractors of its anchor, as evidence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// Of the copy.
    pub copy: Vec<f64>,
    /// Of each distractor.
    pub others: Vec<Vec<f64>>,
}

/// All videos with noise, and the lists of their pools by the network's evidence.
///
/// # Errors
/// [`TrainError::Network`] when the network does not take the set's tensors.
pub fn lists(isa: Isa, fine: &Fine, set: &FeatureSet, options: &DirectOptions) -> Result<Vec<List>, TrainError> {
    let pools = Pools::mine(isa, set, &options.pools);
    let mut noisy = set.clone();
    for (i, video) in noisy.videos.iter_mut().enumerate() {
        let mut rng = Pcg64::seed_from_u64(options.pools.seed ^ (i as u64) << 20);
        let noise = options.noise * rng.random::<f32>();
        let all: Vec<usize> = (0..video.frames).collect();
        video.data = set.noisy_frames(i, &all, noise, &mut rng).into_iter().map(f16::from_f32).collect();
    }
    let tensors = index_all(fine, &noisy)?;
    let made = pools
        .anchors
        .par_iter()
        .map_init(Workspace::default, |workspace, anchor| {
            let mut evidence = |video: usize| -> Result<Vec<f64>, TrainError> {
                let values = fine
                    .evidence(&tensors[anchor.video], &tensors[video], workspace)
                    .map_err(|e| TrainError::Network(e.to_string()))?;
                Ok(values.into_iter().map(f64::from).collect())
            };
            let others = anchor.negatives.iter().map(|m| evidence(m.video)).collect::<Result<Vec<_>, _>>()?;
            anchor
                .positives
                .iter()
                .map(|m| Ok(List { copy: evidence(m.video)?, others: others.clone() }))
                .collect::<Result<Vec<_>, TrainError>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(made.concat())
}

/// Most steps of Newton's method; it takes about ten.
const STEPS: usize = 60;

/// The weights that put copies above distractors, and a scale and bias that keep the weighted sums within the part of tanh that
/// tells them apart.
///
/// # Errors
/// [`TrainError::Data`] for lists without a distractor or of different lengths.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn fit(lists: &[List], regulariser: f64) -> Result<Fitted, TrainError> {
    let width = lists.first().map_or(0, |l| l.copy.len());
    let all: Vec<&Vec<f64>> = lists.iter().flat_map(|l| l.others.iter().chain([&l.copy])).collect();
    if width == 0 || lists.iter().any(|l| l.others.is_empty()) || all.iter().any(|e| e.len() != width) {
        return Err(TrainError::Data("a direct path needs copies with distractors to be fitted on".into()));
    }
    let n = all.len() as f64;
    let mean: Vec<f64> = (0..width).map(|k| all.iter().map(|e| e[k]).sum::<f64>() / n).collect();
    let deviation: Vec<f64> =
        (0..width).map(|k| (all.iter().map(|e| (e[k] - mean[k]).powi(2)).sum::<f64>() / n).sqrt().max(1e-9)).collect();
    // What a distractor exceeds the copy by, in deviations.
    let excesses: Vec<DMatrix<f64>> = lists
        .iter()
        .map(|l| DMatrix::from_fn(l.others.len(), width, |i, k| (l.others[i][k] - l.copy[k]) / deviation[k]))
        .collect();
    let mut w = DVector::from_element(width, 1.0);
    let mut now = loss(&excesses, &w, regulariser);
    for _ in 0..STEPS {
        let Some(step) = now.hessian.clone().cholesky().map(|c| c.solve(&now.gradient)) else { break };
        let mut rate = 1.0;
        let next = loop {
            let next = loss(&excesses, &(&w - &step * rate), regulariser);
            if next.value < now.value || rate < 1e-6 {
                break next;
            }
            rate /= 2.0;
        };
        let gain = now.value - next.value;
        if gain.is_nan() || gain <= 0.0 {
            break;
        }
        w -= step * rate;
        now = next;
        if gain < 1e-10 {
            break;
        }
    }
    let weights: Vec<f64> = w.iter().zip(&deviation).map(|(w, d)| w / d).collect();
    let sum = |e: &[f64]| weights.iter().zip(e).map(|(w, v)| w * v).sum::<f64>();
    let centre = sum(&mean);
    let spread = (all.iter().map(|e| (sum(e) - centre).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
    let scale = SPREAD / spread;
    Ok(Fitted { weights: weights.iter().map(|w| (w * scale) as f32).collect(), bias: (-centre * scale) as f32 })
}

/// Standard deviation of the weighted sums over all pairs.
const SPREAD: f64 = 0.5;

/// The loss at some weights, with its first two derivatives.
struct Loss {
    value: f64,
    gradient: DVector<f64>,
    hessian: DMatrix<f64>,
}

#[allow(clippy::cast_precision_loss)]
fn loss(excesses: &[DMatrix<f64>], w: &DVector<f64>, regulariser: f64) -> Loss {
    let width = w.len();
    let zero = || Loss { value: 0.0, gradient: DVector::zeros(width), hessian: DMatrix::zeros(width, width) };
    let share = 1.0 / excesses.len() as f64;
    // Blocks of fixed size, added in order: the same bits on any number of threads.
    let blocks: Vec<Loss> = excesses
        .par_chunks(256)
        .map(|block| {
            let mut sum = zero();
            for excess in block {
                let z = excess * w;
                let top = z.max().max(0.0);
                let e = z.map(|v| (v - top).exp());
                let total = e.sum() + (-top).exp();
                let p = e / total;
                let mean = excess.tr_mul(&p);
                sum.value += share * (top + total.ln());
                sum.gradient += &mean * share;
                let weighted = DMatrix::from_fn(excess.nrows(), width, |i, k| excess[(i, k)] * p[i]);
                sum.hessian += (excess.tr_mul(&weighted) - &mean * mean.transpose()) * share;
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
    sum.value += regulariser * w.norm_squared();
    sum.gradient += w * (2.0 * regulariser);
    sum.hessian += DMatrix::identity(width, width) * (2.0 * regulariser);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies differ from distractors in the second value, the first is noise for all, the third says the opposite.
    fn made() -> Vec<List> {
        let mut rng = Pcg64::seed_from_u64(3);
        let mut one = |copy: f64| {
            let noise = |rng: &mut Pcg64| f64::from(rng.random::<f32>()) - 0.5;
            vec![noise(&mut rng), copy + 0.3 * noise(&mut rng), -copy + 0.5 * noise(&mut rng)]
        };
        (0..200).map(|_| List { copy: one(0.4), others: (0..6).map(|_| one(0.0)).collect() }).collect()
    }

    #[test]
    fn weights_follow_what_tells_copies_apart() {
        let lists = made();
        let Fitted { weights, bias } = fit(&lists, 0.01).unwrap();
        assert!(weights[1] > 0.5 && weights[2] < -0.2 && weights[0].abs() < 0.3 * weights[1], "{weights:?}");
        let z = |e: &[f64]| f64::from(bias) + e.iter().zip(&weights).map(|(e, w)| e * f64::from(*w)).sum::<f64>();
        let first = lists.iter().filter(|l| l.others.iter().all(|o| z(o) < z(&l.copy))).count();
        assert!(first > 195, "{first} of 200");
        let sums: Vec<f64> = lists.iter().flat_map(|l| l.others.iter().chain([&l.copy])).map(|e| z(e)).collect();
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        let spread = (sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / sums.len() as f64).sqrt();
        assert!(mean.abs() < 1e-4 && (spread - SPREAD).abs() < 1e-4, "{mean} {spread}");
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        let excesses: Vec<DMatrix<f64>> =
            made()[..9].iter().map(|l| DMatrix::from_fn(6, 3, |i, k| l.others[i][k] - l.copy[k])).collect();
        let w = DVector::from_vec(vec![0.3, -1.2, 2.0]);
        let at = loss(&excesses, &w, 0.1);
        const STEP: f64 = 1e-5;
        for k in 0..3 {
            let moved = |by: f64| {
                let mut w = w.clone();
                w[k] += by;
                loss(&excesses, &w, 0.1)
            };
            let (up, down) = (moved(STEP), moved(-STEP));
            assert!((at.gradient[k] - (up.value - down.value) / (2.0 * STEP)).abs() < 1e-7);
            let column = (up.gradient - down.gradient) / (2.0 * STEP);
            assert!((at.hessian.column(k) - column).norm() < 1e-6);
        }
    }

    #[test]
    fn nothing_to_fit_on_is_said() {
        assert!(fit(&[], 0.01).is_err());
        assert!(fit(&[List { copy: vec![0.1], others: vec![] }], 0.01).is_err());
    }
}
