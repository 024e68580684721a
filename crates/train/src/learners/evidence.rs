//! Fitting what decides a relation: the weights of stretches, the weight of what is matched, and curves of
//! scores by evidence.
//!
//! All are fitted on pairs of videos with known relations, look-alikes among them
//! ([`vidsieve_model::alignment`], [`vidsieve_model::calibration::EvidenceCurves`]).

use nalgebra::{DMatrix, DVector};
use vidsieve_model::alignment::SEGMENT_WEIGHTS;
use vidsieve_model::calibration::{Curve, Evidence, EvidenceCurves};

use super::calibrate::{Weighed, isotonic_weighed};
use crate::TrainError;

/// A stretch with its truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StretchExample {
    /// Its values ([`vidsieve_model::alignment::AlignedFrames::values`]).
    pub values: [f32; SEGMENT_WEIGHTS - 1],
    /// Whether it is the same footage.
    pub same: bool,
    /// The pair that it belongs to.
    pub pair: usize,
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

/// The weights of stretches: those of a logistic regression in which both classes weigh the same, with an offset
/// at which `false_pairs` of the pairs that share nothing have a stretch that counts as the same footage.
///
/// # Errors
/// As [`logistic`].
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn stretches(examples: &[StretchExample], false_pairs: f64) -> Result<[f32; SEGMENT_WEIGHTS], TrainError> {
    let rows: Vec<Vec<f64>> = examples.iter().map(|e| e.values.iter().map(|&v| f64::from(v)).collect()).collect();
    let labels: Vec<bool> = examples.iter().map(|e| e.same).collect();
    let same = labels.iter().filter(|&&l| l).count().max(1) as f64;
    let other = (labels.len() as f64 - same).max(1.0);
    let weights: Vec<f64> = labels.iter().map(|&l| if l { 0.5 / same } else { 0.5 / other }).collect();
    let mut fitted = logistic(&rows, &labels, &weights)?;
    let value = |row: &[f64]| fitted[0] + row.iter().zip(&fitted[1..]).map(|(v, w)| v * w).sum::<f64>();
    let mut highest = std::collections::BTreeMap::<usize, f64>::new();
    let mut shares = std::collections::BTreeSet::new();
    for (example, row) in examples.iter().zip(&rows) {
        if example.same {
            shares.insert(example.pair);
        } else {
            let z = value(row);
            highest.entry(example.pair).and_modify(|h| *h = h.max(z)).or_insert(z);
        }
    }
    let mut highest: Vec<f64> =
        highest.into_iter().filter(|(pair, _)| !shares.contains(pair)).map(|(_, z)| z).collect();
    highest.sort_by(f64::total_cmp);
    let at = ((1.0 - false_pairs) * highest.len() as f64) as usize;
    if let Some(limit) = highest.get(at.min(highest.len().saturating_sub(1))) {
        fitted[0] -= limit.max(0.0);
    }
    let mut out = [0f32; SEGMENT_WEIGHTS];
    out.iter_mut().zip(fitted).for_each(|(o, w)| *o = w as f32);
    Ok(out)
}

/// A pair with its truth, as curves are fitted on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairExample {
    /// What the alignment found.
    pub evidence: Evidence,
    /// S^f_B's raw similarity.
    pub raw: f32,
    /// The cosine of S^c's vectors.
    pub coarse: f32,
    /// Whether the query's informative footage is in the target.
    pub contained: bool,
    /// How many pairs of an index it stands for, as a share of all pairs.
    pub weight: f64,
}

/// Curves by evidence, and the curve of the coarse cosines.
///
/// # Errors
/// [`TrainError::Data`] without pairs of either class.
pub fn curves(pairs: &[PairExample]) -> Result<(EvidenceCurves, Curve), TrainError> {
    let of = |kind: Evidence| -> Result<Curve, TrainError> {
        let some: Vec<Weighed> = pairs
            .iter()
            .filter(|p| p.evidence == kind)
            .map(|p| Weighed { raw: p.raw, copy: p.contained, weight: p.weight })
            .collect();
        isotonic_weighed(&some)
    };
    let coarse: Vec<Weighed> =
        pairs.iter().map(|p| Weighed { raw: p.coarse, copy: p.contained, weight: p.weight }).collect();
    let curves = EvidenceCurves {
        found: of(Evidence::Found)?,
        part: of(Evidence::Part)?,
        alike: of(Evidence::Alike)?,
        nothing: of(Evidence::Nothing)?,
    };
    Ok((curves, isotonic_weighed(&coarse)?))
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
    fn the_offset_keeps_false_stretches_rare() {
        let example = |k: usize, same: bool| {
            #[allow(clippy::cast_precision_loss)]
            let v = (k % 100) as f32 / 100.0 + if same { 0.5 } else { 0.0 };
            StretchExample { values: [v, v * 0.5, 0.3, 0.1, 0.2, 0.0, 1.0], same, pair: k + usize::from(same) * 1000 }
        };
        let all: Vec<StretchExample> = (0..100).flat_map(|k| [example(k, true), example(k, false)]).collect();
        let weights = stretches(&all, 0.05).unwrap();
        let sure =
            |e: &StretchExample| weights[0] + e.values.iter().zip(&weights[1..]).map(|(v, w)| v * w).sum::<f32>() > 0.0;
        let of = |same: bool| all.iter().filter(|e| e.same == same && sure(e)).count();
        assert!(of(false) <= 6 && of(true) >= 50, "{} {}", of(false), of(true));
    }

    #[test]
    fn a_score_depends_on_what_was_found() {
        let pair = |evidence, raw, contained, weight| PairExample { evidence, raw, coarse: raw, contained, weight };
        let mut pairs = Vec::new();
        for k in 0..40u8 {
            let raw = f32::from(k) / 40.0;
            pairs.push(pair(Evidence::Found, raw, true, 0.02 / 50.0));
            pairs.push(pair(Evidence::Alike, raw, k % 20 == 0, 0.02 / 50.0));
            pairs.push(pair(Evidence::Nothing, raw - 0.5, false, 0.96 / 40.0));
            pairs.push(pair(Evidence::Part, raw, false, 0.02 / 50.0));
        }
        let (curves, coarse) = curves(&pairs).unwrap();
        assert!(curves.found.apply(0.9) > 0.9, "{curves:?}");
        assert!(curves.alike.apply(0.9) < 0.3 && curves.part.apply(0.9) < 0.3 && curves.nothing.apply(0.3) < 0.05);
        assert!(coarse.apply(0.95) < 0.7 && coarse.apply(-0.4) < 0.05);
    }
}
