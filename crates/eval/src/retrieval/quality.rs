//! How good a ranking is: mAP, recall and micro-AP, with bootstrap intervals over queries.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::Serialize;
use vidsieve_model::merge::ranking;

use super::RetrievalError;
use super::matrix::Matrix;
use super::options::EvaluateOptions;
use super::truth::Task;
use crate::metrics::{RankedPair, average_precision, micro_average_precision};

/// Most pair visits that the interval of the micro-averaged precision may cost; above, it is left
/// out.
const MAX_INTERVAL_COST: usize = 400_000_000;

/// A 95 % interval: the 2.5th and 97.5th percentile over resamples of the queries.
pub type Interval = [f64; 2];

/// How good a ranking is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Mean average precision over the queries that have relevant videos.
    pub map: f64,
    /// Share of these queries whose best-ranked video is relevant.
    pub recall1: f64,
    /// Average precision over all pairs of query and database video in one list (micro-AP); equal
    /// scores share a rank.
    pub uap: f64,
    /// Of `map`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_interval: Option<Interval>,
    /// Of `recall1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall1_interval: Option<Interval>,
    /// Of `uap`; left out where it would take too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uap_interval: Option<Interval>,
}

/// Average precision, and whether the first one is relevant; `None` without relevant videos.
pub(super) fn ranked(task: &Task, query: usize, columns: &[usize], scores: &[f64]) -> Option<(f64, bool)> {
    let relevant = task.relevant_count(query);
    if relevant == 0 {
        return None;
    }
    let hits: Vec<bool> = ranking(scores).into_iter().map(|i| task.is_relevant(query, columns[i])).collect();
    let first = hits.first().copied().unwrap_or_default();
    Some((average_precision(hits.into_iter(), relevant), first))
}

/// The quality of one matrix of scores, whatever made them.
///
/// # Errors
/// [`RetrievalError::Scores`] for a matrix of another shape than the task; `name` says of what.
pub fn quality_of(
    name: &str,
    task: &Task,
    matrix: &Matrix,
    options: &EvaluateOptions,
) -> Result<Quality, RetrievalError> {
    matrix.check(name, task.queries().len(), task.targets().len())?;
    Ok(quality(task, options, |q, columns| matrix.pick(q, columns)))
}

pub(super) fn quality(task: &Task, options: &EvaluateOptions, scores: impl Fn(usize, &[usize]) -> Vec<f64>) -> Quality {
    let queries = task.queries().len();
    let mut results = Vec::with_capacity(queries);
    let mut pairs = Vec::new();
    for q in 0..queries {
        let columns = task.candidates(q);
        let row = scores(q, &columns);
        results.push(ranked(task, q, &columns, &row));
        pairs.extend(columns.iter().zip(&row).map(|(&c, &score)| RankedPair {
            // One zero, so that equal scores are equal in every order.
            score: score + 0.0,
            group: q,
            relevant: task.is_relevant(q, c),
        }));
    }
    pairs.sort_by(|a, b| b.score.total_cmp(&a.score));
    let value = |of: fn(&(f64, bool)) -> f64, weights: &[u32]| {
        let (mut sum, mut n) = (0.0, 0.0);
        for (result, &weight) in results.iter().zip(weights) {
            if let Some(result) = result {
                sum += f64::from(weight) * of(result);
                n += f64::from(weight);
            }
        }
        if n == 0.0 { 0.0 } else { sum / n }
    };
    let ap: fn(&(f64, bool)) -> f64 = |r| r.0;
    let hit: fn(&(f64, bool)) -> f64 = |r| f64::from(u8::from(r.1));
    let once = vec![1u32; queries];
    let mut samples: [Vec<f64>; 3] = Default::default();
    let with_uap = pairs.len().saturating_mul(options.resamples) <= MAX_INTERVAL_COST;
    // The same resamples for every network, so that intervals can be compared.
    let mut random = Pcg64::seed_from_u64(options.seed);
    let mut weights = vec![0u32; queries];
    for _ in 0..options.resamples {
        weights.fill(0);
        for _ in 0..queries {
            weights[random.random_range(0..queries as u64) as usize] += 1;
        }
        samples[0].push(value(ap, &weights));
        samples[1].push(value(hit, &weights));
        if with_uap {
            samples[2].push(micro_average_precision(&pairs, &weights));
        }
    }
    let [map_interval, recall1_interval, uap_interval] = samples.map(percentiles);
    Quality {
        map: value(ap, &once),
        recall1: value(hit, &once),
        uap: micro_average_precision(&pairs, &once),
        map_interval,
        recall1_interval,
        uap_interval,
    }
}

/// The 2.5th and 97.5th percentile, linear between values; `None` of nothing.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentiles(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| {
        let place = share * last as f64;
        let low = place.floor() as usize;
        let (a, b) = (values[low], values[(low + 1).min(last)]);
        a + (b - a) * (place - low as f64)
    };
    Some([at(0.025), at(0.975)])
}
