//! Score calibration: raw similarities to the probability that a pair is a copy, by isotonic regression.

use vidsieve_model::calibration::Curve;

use crate::TrainError;

/// Steps of the fitted curve that are kept, at most.
const STEPS: usize = 24;

/// A labelled raw similarity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled {
    /// Raw similarity of a network.
    pub raw: f32,
    /// Whether the pair is a copy.
    pub copy: bool,
}

/// How many of the pairs that users look at are copies: an index is searched for few videos among many. A curve fitted as if
/// half of them were calls one unrelated video in fifty a sure copy.
const PRIOR: f64 = 0.02;

/// A labelled raw similarity with what it weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// Raw similarity of a network.
    pub raw: f32,
    /// Whether the pair is a copy.
    pub copy: bool,
    /// Its share of all pairs, above 0.
    pub weight: f64,
}

/// Fits a monotone piecewise-linear curve by pool-adjacent-violators. Copies weigh `PRIOR` in all, unrelated pairs the rest,
/// whatever their numbers. Half an unrelated pair is added to every step, so that no step claims certainty that its number
/// of pairs does not carry.
///
/// # Errors
/// [`TrainError::Data`] when a class is empty.
#[allow(clippy::cast_precision_loss)]
pub fn isotonic(pairs: &[Labelled]) -> Result<Curve, TrainError> {
    let finite = || pairs.iter().filter(|p| p.raw.is_finite());
    let copies = finite().filter(|p| p.copy).count();
    let others = finite().count() - copies;
    if copies == 0 || others == 0 {
        return Err(TrainError::Data(format!("calibration needs copies and others, got {copies} and {others}")));
    }
    let weight = [(1.0 - PRIOR) / others as f64, PRIOR / copies as f64];
    let weighed = finite().map(|p| Weighed { raw: p.raw, copy: p.copy, weight: weight[usize::from(p.copy)] });
    isotonic_weighed(&weighed.collect::<Vec<_>>())
}

/// [`isotonic`] with weights that are given: the curve of one kind of pairs among others. Half of the least weight of
/// another pair is added to every step. A kind of which one class is empty has a curve near 0 or 1, as far as its number
/// of pairs bears that out.
///
/// # Errors
/// [`TrainError::Data`] without pairs.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn isotonic_weighed(pairs: &[Weighed]) -> Result<Curve, TrainError> {
    let mut sorted: Vec<Weighed> = pairs.iter().copied().filter(|p| p.raw.is_finite() && p.weight > 0.0).collect();
    if sorted.is_empty() {
        return Err(TrainError::Data("calibration needs pairs".into()));
    }
    sorted.sort_by(|a, b| a.raw.total_cmp(&b.raw));
    let total = |copy: bool| sorted.iter().filter(|p| p.copy == copy).map(|p| p.weight).sum::<f64>();
    let (copies, others) = (total(true), total(false));
    let least = |copy: bool| sorted.iter().filter(|p| p.copy == copy).map(|p| p.weight).fold(f64::INFINITY, f64::min);
    let doubt = 0.5 * if others > 0.0 { least(false) } else { least(true) };
    // Weights that both classes share evenly: how much is known at a step, whatever the prior.
    let even = |p: &Weighed| 0.5 * p.weight / if p.copy { copies } else { others };
    // A block: weight of copies, weight of all, sum of raw similarities by even weights, even weight.
    let mut blocks: Vec<[f64; 4]> = Vec::new();
    let mut i = 0;
    while i < sorted.len() {
        let mut block = [0f64; 4];
        let raw = sorted[i].raw;
        while i < sorted.len() && sorted[i].raw <= raw {
            let pair = &sorted[i];
            block[0] += if pair.copy { pair.weight } else { 0.0 };
            block[1] += pair.weight;
            block[2] += even(pair) * f64::from(raw);
            block[3] += even(pair);
            i += 1;
        }
        blocks.push(block);
        merge(&mut blocks);
    }
    // Thin the steps: the lightest joins its lighter neighbour until few are left.
    while blocks.len() > STEPS {
        let lightest = (0..blocks.len()).min_by(|&a, &b| blocks[a][3].total_cmp(&blocks[b][3])).unwrap_or(0);
        let right = lightest == 0 || (lightest + 1 < blocks.len() && blocks[lightest + 1][3] < blocks[lightest - 1][3]);
        let into = if right { lightest + 1 } else { lightest - 1 };
        let block = blocks[lightest];
        blocks[into].iter_mut().zip(block).for_each(|(a, b)| *a += b);
        blocks.remove(lightest);
    }
    let mut knots: Vec<[f32; 2]> = Vec::with_capacity(blocks.len());
    for [copy, all, raw, even] in &blocks {
        let p = (copy / (all + doubt)).clamp(0.0, 1.0);
        let (x, y) = ((raw / even) as f32, p as f32);
        match knots.last() {
            Some([last, _]) if x <= *last => {}
            Some([_, before]) => knots.push([x, y.max(*before)]),
            None => knots.push([x, y]),
        }
    }
    Ok(Curve::PiecewiseLinear { knots })
}

/// The factor and offset for what a fine network bounds to [-1, 1] that put its answers on the scale of the coarse ones, as `s/2 + 0.5`:
/// the upper quarter of copies starts at the same value, and unrelated pairs have the same mean or, with a direct path, the highest
/// hundredth of them starts at the same value. The merge of DnS compares the two as they are, and the selector learns from their
/// difference: both need one scale. `pairs` are `(coarse, fine, copy)`; `direct` tells that the network has a direct path, which bounds
/// by tanh: that is undone first. Its answers for unrelated pairs lie far below those for copies, further than coarse ones do, so that
/// equal means would leave what is doubtful, where merged answers meet, on two scales. Where that hundredth is not below the copies'
/// value, as of a few pairs of a network that tells little, the means are put together all the same.
///
/// # Errors
/// [`TrainError::Data`] when a class is empty or copies do not score above unrelated pairs.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn one_scale(pairs: &[(f32, f32, bool)], direct: bool) -> Result<(f32, f32), TrainError> {
    /// Beyond this, tanh tells nothing apart in single precision.
    const MOST: f64 = 1.0 - 1e-7;
    let unbound = |s: f64| if direct { s.clamp(-MOST, MOST).atanh() } else { s };
    let coarse = |p: &(f32, f32, bool)| f64::from(p.0);
    let fine = |p: &(f32, f32, bool)| unbound(f64::from(p.1));
    let unrelated: Vec<_> = pairs.iter().filter(|p| !p.2).collect();
    let mean = |of: &dyn Fn(&(f32, f32, bool)) -> f64| {
        unrelated.iter().map(|p| of(p)).sum::<f64>() / unrelated.len().max(1) as f64
    };
    let part = |copy: bool, share: [usize; 2], of: &dyn Fn(&(f32, f32, bool)) -> f64| -> Option<f64> {
        let mut values: Vec<f64> = pairs.iter().filter(|p| p.2 == copy).map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() * share[0] / share[1]).copied()
    };
    let (Some(coarse_high), Some(fine_high)) = (part(true, [3, 4], &coarse), part(true, [3, 4], &fine)) else {
        return Err(TrainError::Data("no copies to put coarse and fine answers on one scale".into()));
    };
    let highest = |of: &dyn Fn(&(f32, f32, bool)) -> f64| part(false, [99, 100], of).unwrap_or(f64::NAN);
    let through = |coarse_low: f64, fine_low: f64| {
        let [low, high] = [coarse_low, coarse_high].map(|cosine| unbound(2.0 * cosine - 1.0));
        let factor = (high - low) / (fine_high - fine_low);
        (factor.is_finite() && factor > 0.0).then_some((factor as f32, (low - factor * fine_low) as f32))
    };
    let of_highest = if direct { through(highest(&coarse), highest(&fine)) } else { None };
    of_highest
        .or_else(|| through(mean(&coarse), mean(&fine)))
        .filter(|_| !unrelated.is_empty())
        .ok_or_else(|| TrainError::Data("copies do not score above unrelated pairs".into()))
}

/// Joins the last blocks while they violate the order.
fn merge(blocks: &mut Vec<[f64; 4]>) {
    while let [.., a, b] = blocks.as_slice() {
        if a[0] / a[1] < b[0] / b[1] {
            break;
        }
        let joined = [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]];
        blocks.truncate(blocks.len() - 2);
        blocks.push(joined);
    }
}

/// Mean probability and share of copies (classes weighing as in [`isotonic`]) in `bins` equal intervals of probability,
/// and the weight of each: the points of a reliability diagram.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn reliability(curve: &Curve, pairs: &[Labelled], bins: usize) -> Vec<[f64; 3]> {
    let copies = pairs.iter().filter(|p| p.copy).count().max(1) as f64;
    let others = pairs.iter().filter(|p| !p.copy).count().max(1) as f64;
    let mut sums = vec![[0f64; 3]; bins];
    for pair in pairs {
        let p = f64::from(curve.apply(pair.raw));
        let w = if pair.copy { PRIOR / copies } else { (1.0 - PRIOR) / others };
        let bin = ((p * bins as f64) as usize).min(bins - 1);
        sums[bin][0] += w * p;
        sums[bin][1] += if pair.copy { w } else { 0.0 };
        sums[bin][2] += w;
    }
    sums.into_iter().filter(|s| s[2] > 0.0).map(|[p, c, w]| [p / w, c / w, w]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn one_scale_for_both() {
        let pairs: Vec<(f32, f32, bool)> = (0..100u8)
            .map(|i| {
                let noise = f32::from(i % 10) / 100.0;
                if i % 2 == 0 { (0.1 + noise, -0.5 + noise, false) } else { (0.8 + noise, 0.4 + noise, true) }
            })
            .collect();
        let (factor, offset) = one_scale(&pairs, false).unwrap();
        let unit = |s: f32| (factor * s + offset) / 2.0 + 0.5;
        let unrelated = pairs.iter().filter(|p| !p.2);
        let difference = unrelated.map(|p| unit(p.1) - p.0).sum::<f32>() / 50.0;
        assert!(difference.abs() < 1e-4, "{difference}");
        assert!((unit(0.47) - 0.87).abs() < 1e-4, "{}", unit(0.47));
        // A network that bounds by tanh: the sum before it is what is moved.
        let bound: Vec<_> = pairs.iter().map(|&(c, f, copy)| (c, (0.3 * f).tanh(), copy)).collect();
        let (factor, offset) = one_scale(&bound, true).unwrap();
        let unit = |s: f32| (factor * 0.3 * s + offset).tanh() / 2.0 + 0.5;
        assert!((unit(0.47) - 0.87).abs() < 1e-3, "{}", unit(0.47));
        // The highest hundredth of unrelated pairs: coarse 0.18, fine -0.42.
        assert!((unit(-0.42) - 0.18).abs() < 1e-3, "{}", unit(-0.42));
        assert!(one_scale(&pairs[..1], false).is_err());
        assert!(one_scale(&[(0.5, 0.9, false), (0.9, 0.1, true)], true).is_err());
    }

    #[test]
    fn the_curve_says_how_often_pairs_are_copies() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(2);
        let mut draw = |n: usize| -> Vec<Labelled> {
            (0..n)
                .map(|_| {
                    let raw: f32 = rng.random_range(-1.0..1.0);
                    Labelled { raw, copy: rng.random::<f32>() < ((raw + 1.0) / 2.0).powi(2) * 1.5 }
                })
                .collect()
        };
        let (fitted, fresh) = (draw(20_000), draw(20_000));
        let curve = isotonic(&fitted).unwrap();
        for [p, share, weight] in reliability(&curve, &fresh, 10) {
            assert!(weight < 0.02 || (p - share).abs() < 0.05, "{p} {share} {weight}");
        }
        assert!(curve.apply(-0.9) < 0.05 && curve.apply(0.9) > 0.9);
        let mut last = 0.0;
        for i in -100..=100 {
            let p = curve.apply(i as f32 / 100.0);
            assert!(p >= last);
            last = p;
        }
        assert!(isotonic(&[Labelled { raw: 0.0, copy: true }]).is_err());
    }
}
