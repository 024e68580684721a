//! Fitting what decides a relation: the weights of stretches, the weight of what is matched, and the weights of
//! scores.
//!
//! All are fitted on pairs of videos with known relations, look-alikes among them
//! ([`vidsieve_model::alignment`], [`vidsieve_model::calibration::EvidenceWeights`]).

use nalgebra::{DMatrix, DVector};
use vidsieve_model::alignment::SEGMENT_WEIGHTS;
use vidsieve_model::calibration::{Curve, EvidenceWeights, PairEvidence};

use super::calibrate::{Weighed, isotonic_weighed};
use crate::TrainError;

/// A stretch with its truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StretchExample {
    /// Its values ([`vidsieve_model::alignment::AlignedFrames::values`]).
    pub values: [f32; SEGMENT_WEIGHTS - 1],
    /// Whether it is the same footage.
    pub same: bool,
}

/// Weight of the sum of squared weights, of values scaled to unit variance.
const REGULARISER: f64 = 0.002;
/// Newton's steps.
const STEPS: usize = 60;

/// A logistic regression with weights of examples: offset, then a weight for each value.
///
/// # Errors
/// [`TrainError::Data`] when a class is empty or the problem has no solution.
#[allow(clippy::cast_precision_loss)]
pub fn logistic(rows: &[Vec<f64>], labels: &[bool], weights: &[f64]) -> Result<Vec<f64>, TrainError> {
    let width = rows.first().map_or(0, Vec::len);
    let both = labels.iter().any(|&l| l) && labels.iter().any(|&l| !l);
    if !both || rows.iter().any(|r| r.len() != width) || rows.len() != labels.len() || rows.len() != weights.len() {
        return Err(TrainError::Data("evidence is fitted on pairs of both kinds".into()));
    }
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..width).map(|k| rows.iter().map(|r| r[k]).sum::<f64>() / n).collect();
    let deviation: Vec<f64> =
        (0..width).map(|k| (rows.iter().map(|r| (r[k] - mean[k]).powi(2)).sum::<f64>() / n).sqrt().max(1e-6)).collect();
    let x = DMatrix::from_fn(rows.len(), width + 1, |i, k| {
        if k == 0 { 1.0 } else { (rows[i][k - 1] - mean[k - 1]) / deviation[k - 1] }
    });
    let total: f64 = weights.iter().sum();
    let mut w = DVector::zeros(width + 1);
    for _ in 0..STEPS {
        let z = &x * &w;
        let p = z.map(|z: f64| 1.0 / (1.0 + (-z).exp()));
        let residual =
            DVector::from_fn(rows.len(), |i, _| weights[i] / total * (p[i] - f64::from(u8::from(labels[i]))));
        let mut gradient = x.tr_mul(&residual);
        let scaled = DMatrix::from_fn(rows.len(), width + 1, |i, k| {
            x[(i, k)] * weights[i] / total * (p[i] * (1.0 - p[i])).max(1e-6)
        });
        let mut hessian = x.tr_mul(&scaled);
        for k in 1..=width {
            gradient[k] += 2.0 * REGULARISER * w[k];
            hessian[(k, k)] += 2.0 * REGULARISER;
        }
        let step = hessian
            .cholesky()
            .map(|c| c.solve(&gradient))
            .ok_or_else(|| TrainError::Data("evidence has no solution: all pairs are alike".into()))?;
        w -= &step;
        if step.norm() < 1e-9 {
            break;
        }
    }
    let mut out = vec![w[0]];
    for k in 0..width {
        let weight = w[k + 1] / deviation[k];
        out[0] -= weight * mean[k];
        out.push(weight);
    }
    Ok(out)
}

/// The weights of stretches: those of a logistic regression in which both classes weigh the same.
///
/// # Errors
/// As [`logistic`].
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn stretches(examples: &[StretchExample]) -> Result<[f32; SEGMENT_WEIGHTS], TrainError> {
    let rows: Vec<Vec<f64>> = examples.iter().map(|e| e.values.iter().map(|&v| f64::from(v)).collect()).collect();
    let labels: Vec<bool> = examples.iter().map(|e| e.same).collect();
    let same = labels.iter().filter(|&&l| l).count().max(1) as f64;
    let other = (labels.len() as f64 - same).max(1.0);
    let weights: Vec<f64> = labels.iter().map(|&l| if l { 0.5 / same } else { 0.5 / other }).collect();
    let fitted = logistic(&rows, &labels, &weights)?;
    let mut out = [0f32; SEGMENT_WEIGHTS];
    out.iter_mut().zip(fitted).for_each(|(o, w)| *o = w as f32);
    Ok(out)
}

/// A pair with its truth, as scores are fitted on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairExample {
    /// What its comparison tells.
    pub evidence: PairEvidence,
    /// The cosine of S^c's vectors.
    pub coarse: f32,
    /// Whether the query's informative footage is in the target.
    pub contained: bool,
    /// How many pairs of an index it stands for, as a share of all pairs.
    pub weight: f64,
}

/// The weights of scores, and the curve of the coarse cosines.
///
/// # Errors
/// [`TrainError::Data`] without pairs of either class.
#[allow(clippy::cast_possible_truncation)]
pub fn scores(pairs: &[PairExample]) -> Result<(EvidenceWeights, Curve), TrainError> {
    let rows: Vec<Vec<f64>> = pairs.iter().map(|p| p.evidence.values().map(f64::from).to_vec()).collect();
    let labels: Vec<bool> = pairs.iter().map(|p| p.contained).collect();
    let weights: Vec<f64> = pairs.iter().map(|p| p.weight).collect();
    let fitted = logistic(&rows, &labels, &weights)?;
    let of = |k: usize| fitted.get(k).copied().unwrap_or(0.0) as f32;
    let evidence = EvidenceWeights { offset: of(0), share: of(1), surest: of(2), similarity: of(3), likeness: of(4) };
    let coarse: Vec<Weighed> =
        pairs.iter().map(|p| Weighed { raw: p.coarse, copy: p.contained, weight: p.weight }).collect();
    Ok((evidence, isotonic_weighed(&coarse)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn logistic_regression_finds_the_odds() {
        // Labels by ln(odds) = 1 + 2 x: counted out at five places.
        let (mut rows, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for k in -2..=2 {
            let x = f64::from(k);
            let p = 1.0 / (1.0 + (-(1.0 + 2.0 * x)).exp());
            for (label, weight) in [(true, p), (false, 1.0 - p)] {
                rows.push(vec![x]);
                labels.push(label);
                weights.push(weight);
            }
        }
        let found = logistic(&rows, &labels, &weights).unwrap();
        assert!((found[0] - 1.0).abs() < 0.1 && (found[1] - 2.0).abs() < 0.2, "{found:?}");
        assert!(logistic(&rows, &[true; 10], &weights).is_err());
    }

    #[test]
    fn weights_tell_stretches_apart() {
        let example = |k: usize, same: bool| {
            #[allow(clippy::cast_precision_loss)]
            let v = (k % 100) as f32 / 100.0 + if same { 0.5 } else { 0.0 };
            StretchExample { values: [v, v * 0.5, 0.3, 0.1, 0.2, 0.0, 1.0, v, 0.5], same }
        };
        let all: Vec<StretchExample> = (0..100).flat_map(|k| [example(k, true), example(k, false)]).collect();
        let weights = stretches(&all).unwrap();
        let sure =
            |e: &StretchExample| weights[0] + e.values.iter().zip(&weights[1..]).map(|(v, w)| v * w).sum::<f32>() > 0.0;
        let of = |same: bool| all.iter().filter(|e| e.same == same && sure(e)).count();
        assert!(of(false) <= 30 && of(true) >= 70, "{} {}", of(false), of(true));
    }

    #[test]
    fn a_score_is_the_share_of_pairs_that_are_so() {
        let pair = |share: f32, likeness: f32, contained, weight| {
            let evidence = PairEvidence { share, surest: share.clamp(0.01, 0.99), similarity: likeness, likeness };
            PairExample { evidence, coarse: likeness, contained, weight }
        };
        let mut pairs = Vec::new();
        for k in 0..40u8 {
            let v = f32::from(k) / 40.0;
            pairs.push(pair(0.6 + 0.4 * v, 0.5 + 0.5 * v, true, 0.1 / 40.0));
            pairs.push(pair(0.1 * v, 0.5 + 0.5 * v, false, 0.02 / 40.0));
            pairs.push(pair(0.0, 0.4 * v, false, 0.88 / 40.0));
        }
        let (weights, coarse) = scores(&pairs).unwrap();
        let score = |share, likeness| weights.probability(&pair(share, likeness, true, 0.0).evidence);
        assert!(score(1.0, 0.9) > 0.9 && score(0.0, 0.95) < 0.5 && score(0.0, 0.2) < 0.05, "{weights:?}");
        assert!(coarse.apply(0.95) > coarse.apply(0.3) && coarse.apply(0.2) < 0.05);
    }
}
