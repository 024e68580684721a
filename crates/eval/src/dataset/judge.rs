//! From scores to the figures of every task.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use serde::Serialize;
use vidsieve_model::merge::ranking;

use super::Dataset;
use super::rules::{Mean, Measure, Present, QueryTruth, Task};
use crate::metrics::{RankedPair, average_precision, micro_average_precision, tied_average_precision, trapezoidal_ap};

/// The figures of one task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TaskRow {
    /// Mean average precision, as the public evaluation of the data set computes it.
    pub map: f64,
    /// Micro-averaged precision over the pairs of all queries, where public evaluations have it;
    /// equal scores share a rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uap: Option<f64>,
    /// Queries (for `avg-mAP`: events) in the mean.
    pub queries: usize,
    /// Scored queries without a relevant video: left out of the mean (FIVR, `CC_WEB_VIDEO`, VCDB)
    /// or 0 in it (EVVE, SVD).
    pub without_relevant: usize,
    /// Relevant pairs: the sum of the denominators.
    pub relevant: usize,
}

/// The ground truth of the scored queries over a list of targets.
#[derive(Debug)]
pub struct Judge<'a> {
    tasks: &'static [Task],
    queries: Vec<&'a str>,
    truths: Vec<QueryTruth>,
    /// Groups of positions in `queries`, with the number of available queries of the group.
    groups: Vec<(Vec<usize>, usize)>,
}

impl<'a> Judge<'a> {
    /// The truth for the queries whose numbers in [`Dataset::queries`] are given, over `targets`,
    /// whose order decides ties. `available` says which videos there are.
    #[must_use]
    pub fn new(
        dataset: &'a Dataset,
        queries: &[usize],
        targets: &[String],
        available: &(dyn Fn(&str) -> bool + Sync),
    ) -> Self {
        let present = Present { database: dataset.database.iter().map(String::as_str).collect(), available };
        let truth = |&q: &usize| dataset.rules.truth(q, &dataset.queries[q], targets, &present);
        let names: Vec<&str> = queries.iter().map(|&q| dataset.queries[q].as_str()).collect();
        let scored: HashSet<&str> = names.iter().copied().collect();
        let groups = dataset.rules.groups().into_iter().map(|group| {
            let members = (0..names.len()).filter(|&i| group.contains(names[i])).collect();
            // A query that is available counts in its group, scored or not.
            let count = group.iter().filter(|q| scored.contains(q.as_str()) || available(q)).count();
            (members, count)
        });
        Self {
            tasks: dataset.rules.tasks(),
            truths: queries.par_iter().map(truth).collect(),
            groups: groups.collect(),
            queries: names,
        }
    }

    /// The average precisions of each scored query, a task each; `None` where the task leaves the
    /// query out. `scores` has a row for each query and a column for each target; NaN is no score.
    #[must_use]
    pub fn per_query(&self, scores: &[Vec<f64>]) -> Vec<(&'a str, Vec<Option<f64>>)> {
        let of = |(q, row): (usize, &Vec<f64>)| {
            let truth = &self.truths[q];
            let order = ranked_targets(row);
            let values = self.tasks.iter().enumerate().map(|(t, task)| value(*task, t, truth, row, &order));
            (self.queries[q], values.collect())
        };
        scores.par_iter().enumerate().map(of).collect()
    }

    /// The figures of each task by its name; `micro` asks for the micro-averaged precision as well.
    #[must_use]
    pub fn rows(&self, scores: &[Vec<f64>], micro: bool) -> BTreeMap<String, TaskRow> {
        let values = self.per_query(scores);
        let row = |(t, task): (usize, &Task)| {
            let of = |q: usize| values[q].1[t];
            let (map, queries) = match task.mean {
                Mean::Queries => mean((0..values.len()).filter_map(of)),
                Mean::Groups => {
                    #[allow(clippy::cast_precision_loss)]
                    let group = |(members, count): &(Vec<usize>, usize)| {
                        let sum: f64 = members.iter().filter_map(|&q| of(q)).sum();
                        (*count > 0).then(|| sum / *count as f64)
                    };
                    mean(self.groups.iter().filter_map(group))
                }
            };
            let positives = self.truths.iter().map(|truth| truth.positives[t]);
            let row = TaskRow {
                map,
                uap: (micro && task.micro).then(|| self.micro(t, scores)).flatten(),
                queries,
                without_relevant: positives.clone().filter(|p| *p == 0).count(),
                relevant: positives.sum(),
            };
            (task.name.to_owned(), row)
        };
        self.tasks.iter().enumerate().map(row).collect()
    }

    /// The micro-averaged precision of a task; relevant videos without a score count as not found.
    #[allow(clippy::cast_precision_loss)]
    fn micro(&self, task: usize, scores: &[Vec<f64>]) -> Option<f64> {
        let bit = 1u8 << task;
        let mut pairs = Vec::new();
        for (truth, row) in self.truths.iter().zip(scores) {
            let targets = row.iter().enumerate().filter(|(i, s)| truth.ranked[*i] & bit != 0 && !s.is_nan());
            pairs.extend(targets.map(|(i, score)| RankedPair {
                score: score + 0.0,
                group: 0,
                relevant: truth.relevant[i] & bit != 0,
            }));
        }
        let found = pairs.iter().filter(|pair| pair.relevant).count();
        let positives: usize = self.truths.iter().map(|truth| truth.positives[task]).sum();
        pairs.par_sort_by(|a, b| b.score.total_cmp(&a.score));
        (positives > 0).then(|| micro_average_precision(&pairs, &[1]) * found as f64 / positives as f64)
    }
}

/// Targets that have a score, best first; equal scores keep their order.
fn ranked_targets(row: &[f64]) -> Vec<usize> {
    let scored: Vec<usize> = (0..row.len()).filter(|&i| !row[i].is_nan()).collect();
    let scores: Vec<f64> = scored.iter().map(|&i| row[i]).collect();
    ranking(&scores).into_iter().map(|i| scored[i]).collect()
}

/// The average precision of one query in task `t`.
fn value(task: Task, t: usize, truth: &QueryTruth, row: &[f64], order: &[usize]) -> Option<f64> {
    let bit = 1u8 << t;
    let positives = truth.positives[t];
    let ranked = order.iter().filter(|&&i| truth.ranked[i] & bit != 0);
    let relevant = |i: usize| truth.relevant[i] & bit != 0;
    match task.measure {
        _ if positives == 0 => task.empty_is_zero.then_some(0.0),
        Measure::Precision => Some(average_precision(ranked.map(|&i| relevant(i)), positives)),
        Measure::Trapezoid => {
            let ranks: Vec<usize> = ranked.enumerate().filter(|(_, i)| relevant(**i)).map(|(rank, _)| rank).collect();
            Some(trapezoidal_ap(&ranks, positives))
        }
        Measure::Tied => {
            let pairs: Vec<(f64, bool)> = ranked.map(|&i| (row[i], relevant(i))).collect();
            Some(tied_average_precision(&pairs).unwrap_or_default())
        }
    }
}

/// The mean and the number of values; 0 of nothing.
#[allow(clippy::cast_precision_loss)]
fn mean(values: impl Iterator<Item = f64>) -> (f64, usize) {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    (if n == 0 { 0.0 } else { sum / n as f64 }, n)
}
