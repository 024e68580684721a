//! Which pairs a fine network looks at again: the merge of DnS at growing shares, by a selector and
//! by other orders.

use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use vidsieve_model::bundle::Network;
use vidsieve_model::merge::{budget_of_share, fine_to_unit, merge, ranking, selection_order};

use super::matrix::Matrix;
use super::options::EvaluateOptions;
use super::quality::{Quality, ranked};
use super::score::Doubt;
use super::truth::Task;

/// Quality by share in percent, in the order given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ByShare(pub Vec<(u32, Quality)>);

impl ByShare {
    /// The quality at a share in percent.
    #[must_use]
    pub fn get(&self, share: u32) -> Option<&Quality> {
        self.0.iter().find(|(s, _)| *s == share).map(|(_, q)| q)
    }
}

impl Serialize for ByShare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (share, quality) in &self.0 {
            map.serialize_entry(&share.to_string(), quality)?;
        }
        map.end()
    }
}

/// mAP of one order of selection at growing shares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelectionCurve {
    /// The selector's name, `random` (mean of several orders), `similarity` (highest coarse cosine
    /// first), `threshold` (coarse cosine closest to the threshold first) or `oracle`, which knows
    /// what is relevant (largest fine - coarse first for relevant videos, coarse - fine for others,
    /// both in [0, 1] as they are merged).
    pub order: String,
    /// The fine network that looks again.
    pub fine: String,
    /// Shares of the database in percent.
    pub shares: Vec<u32>,
    /// mAP at each share.
    pub map: Vec<f64>,
    /// Standard deviation of mAP over random orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Vec<f64>>,
}

/// A selector's order of a query's columns; the merge rule takes f32, as the selector gives it.
pub(super) fn by_doubt(selector: &Doubt, query: usize, columns: &[usize]) -> Vec<usize> {
    #[allow(clippy::cast_possible_truncation)]
    let doubt: Vec<f32> = selector.doubt.pick(query, columns).into_iter().map(|v| v as f32).collect();
    selection_order(&doubt)
}

/// Merges coarse and fine scores by the rule of DnS.
#[derive(Clone, Copy)]
pub(super) struct Merger<'a> {
    pub(super) task: &'a Task,
    pub(super) coarse: &'a Matrix,
    pub(super) fine: &'a Matrix,
}

impl Merger<'_> {
    pub(super) fn orders(&self, mut order: impl FnMut(usize, &[usize]) -> Vec<usize>) -> Vec<Vec<usize>> {
        (0..self.task.queries().len()).map(|q| order(q, &self.task.candidates(q))).collect()
    }

    pub(super) fn merged(&self, query: usize, columns: &[usize], order: &[usize], share: u32) -> Vec<f64> {
        let budget = budget_of_share(f64::from(share) / 100.0, columns.len());
        let fine = self.fine.row(query);
        merge(&self.coarse.pick(query, columns), order, budget, |i| fine_to_unit(fine[columns[i]]))
    }

    /// Where the highest hundredth of the cosines of videos that are not relevant starts.
    pub(super) fn floor(&self) -> f64 {
        let task = self.task;
        let unrelated = |q: usize| {
            let columns = task.candidates(q).into_iter().filter(move |&c| !task.is_relevant(q, c));
            columns.map(move |c| self.coarse.row(q)[c])
        };
        let mut cosines: Vec<f64> = (0..task.queries().len()).flat_map(unrelated).collect();
        cosines.sort_by(f64::total_cmp);
        cosines.get(cosines.len() * 99 / 100).copied().unwrap_or_default()
    }

    fn map(&self, orders: &[Vec<usize>], share: u32) -> f64 {
        let task = self.task;
        mean((0..task.queries().len()).filter_map(|q| {
            let columns = task.candidates(q);
            ranked(task, q, &columns, &self.merged(q, &columns, &orders[q], share)).map(|(ap, _)| ap)
        }))
    }
}

pub(super) fn curves(
    task: &Task,
    options: &EvaluateOptions,
    selectors: &[(&Doubt, Merger<'_>)],
) -> Vec<SelectionCurve> {
    let mut curves = Vec::new();
    let mut seen = Vec::new();
    for (selector, merger) in selectors {
        let mut add = |name: &str, orders: Vec<Vec<usize>>| {
            let map = options.curve.iter().map(|&share| merger.map(&orders, share)).collect();
            let (order, fine) = (name.to_owned(), selector.fine.name().to_owned());
            curves.push(SelectionCurve { order, fine, shares: options.curve.clone(), map, deviation: None });
        };
        add(&selector.name, merger.orders(|q, columns| by_doubt(selector, q, columns)));
        // The others depend on the fine network only.
        if seen.contains(&selector.fine) {
            continue;
        }
        seen.push(selector.fine);
        let by = |key: &dyn Fn(f64, f64, bool) -> f64| {
            merger.orders(|q, columns| {
                let (coarse, fine) = (merger.coarse.row(q), merger.fine.row(q));
                let key = |&c: &usize| key(coarse[c], fine_to_unit(fine[c]), task.is_relevant(q, c));
                ranking(&columns.iter().map(key).collect::<Vec<f64>>())
            })
        };
        add("similarity", by(&|coarse, _, _| coarse));
        add("threshold", by(&|coarse, _, _| -(coarse - options.threshold).abs()));
        let floor = if options.floor { merger.floor() } else { 0.0 };
        let gain = |coarse: f64, fine: f64, relevant: bool| {
            let gain = fine.max(floor) - coarse.max(floor);
            if relevant { gain } else { -gain }
        };
        add("oracle", by(&gain));
        if options.random_orders > 0 {
            curves.push(random_curve(task, options, merger, selector.fine));
        }
    }
    curves
}

fn random_curve(task: &Task, options: &EvaluateOptions, merger: &Merger<'_>, fine: Network) -> SelectionCurve {
    let runs: Vec<Vec<f64>> = (0..options.random_orders as u64)
        .map(|run| {
            let mut random = Pcg64::seed_from_u64(options.seed.wrapping_mul(0x9E37_79B9).wrapping_add(run));
            let orders: Vec<Vec<usize>> = (0..task.queries().len())
                .map(|q| {
                    let mut order: Vec<usize> = (0..task.candidates(q).len()).collect();
                    order.shuffle(&mut random);
                    order
                })
                .collect();
            options.curve.iter().map(|&share| merger.map(&orders, share)).collect()
        })
        .collect();
    let column = |i: usize| runs.iter().map(move |r| r[i]);
    let map: Vec<f64> = (0..options.curve.len()).map(|i| mean(column(i))).collect();
    let deviation = (0..map.len()).map(|i| mean(column(i).map(|v| (v - map[i]).powi(2))).sqrt()).collect();
    SelectionCurve {
        order: "random".into(),
        fine: fine.name().to_owned(),
        shares: options.curve.clone(),
        map,
        deviation: Some(deviation),
    }
}

/// 0 of nothing.
#[allow(clippy::cast_precision_loss)]
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    if n == 0 { 0.0 } else { sum / n as f64 }
}
