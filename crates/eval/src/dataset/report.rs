//! The report of a data set.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;
use vidsieve_model::bundle::Network;
use vidsieve_model::merge::{budget_of_share, fine_to_unit, merge, selection_order};

use super::Dataset;
use super::compute::Scored;
use super::judge::{Judge, TaskRow};

/// Videos that an annotation lists, and those of them that were evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Listed by the annotation.
    pub listed: usize,
    /// Evaluated.
    pub available: usize,
    /// The others: missing or unreadable.
    pub missing: Vec<String>,
}

/// The merge of coarse and fine scores at growing shares of the database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MergeCurve {
    /// The fine network that looks again.
    pub fine: String,
    /// Shares of the available database videos, in percent, that get the fine similarity.
    pub shares: Vec<u32>,
    /// mAP at each share, by task.
    pub map: BTreeMap<String, Vec<f64>>,
    /// Bytes a video takes: of the coarse vector, the fine tensor and the selector's scalar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_video: Option<f64>,
    /// Milliseconds a query at each share, put together from the measured parts on one thread: the
    /// scan, the selector, and the share of the comparisons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ms_per_query: Vec<f64>,
}

/// All figures of a data set, as `eval dataset` prints them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Name of the data set.
    pub dataset: String,
    /// Queries.
    pub queries: Counts,
    /// Database videos.
    pub database: Counts,
    /// Videos that are here and could not be read, with the reason.
    pub unreadable: BTreeMap<String, String>,
    /// Figures by name of the scores (`coarse`, `fine_binary`, …) and of the task.
    pub results: BTreeMap<String, BTreeMap<String, TaskRow>>,
    /// The merge of coarse and fine scores, where there is a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<MergeCurve>,
    /// Mean bytes a database video, by network.
    pub bytes_per_video: BTreeMap<String, f64>,
    /// Milliseconds a query to be compared with the whole database on one thread, by network.
    pub ms_per_query: BTreeMap<String, f64>,
}

/// Evaluates scores by the rules of the data set. `available` says which videos there are: the
/// others are ranked nowhere.
#[must_use]
pub fn evaluate(dataset: &Dataset, scored: &Scored, available: &(dyn Fn(&str) -> bool + Sync)) -> DatasetReport {
    let judge = Judge::new(dataset, &scored.queries, &scored.targets, available);
    let results = scored.scores.iter().map(|(name, scores)| (name.clone(), judge.rows(scores, true))).collect();
    let targets: std::collections::HashSet<&str> = scored.targets.iter().map(String::as_str).collect();
    let here = |id: &str| targets.contains(id) && available(id);
    let queries: Vec<&String> = scored.queries.iter().map(|&q| &dataset.queries[q]).collect();
    DatasetReport {
        dataset: dataset.name.name().to_owned(),
        queries: counts(&dataset.queries, |id| queries.iter().any(|q| *q == id)),
        database: counts(&dataset.database, here),
        unreadable: scored.unreadable.clone(),
        results,
        dns: curve(scored, &judge, &here),
        bytes_per_video: scored.bytes_per_video.clone(),
        ms_per_query: scored.ms_per_query.clone(),
    }
}

fn counts(listed: &[String], here: impl Fn(&str) -> bool) -> Counts {
    let missing: Vec<String> = listed.iter().filter(|id| !here(id)).cloned().collect();
    Counts { listed: listed.len(), available: listed.len() - missing.len(), missing }
}

/// Merges coarse and fine scores at every twentieth of the database (`docs/mathematics.md`, §5).
fn curve(scored: &Scored, judge: &Judge<'_>, here: &(dyn Fn(&str) -> bool + Sync)) -> Option<MergeCurve> {
    let (fine_name, doubt) = scored.doubt.as_ref()?;
    let (coarse, fine) = (scored.scores.get(Network::Coarse.name())?, scored.scores.get(fine_name)?);
    let columns: Vec<usize> = (0..scored.targets.len()).filter(|&i| here(&scored.targets[i])).collect();
    let orders: Vec<Vec<usize>> = doubt
        .par_iter()
        .map(|row| {
            #[allow(clippy::cast_possible_truncation)]
            let doubt: Vec<f32> = columns.iter().map(|&c| row[c] as f32).collect();
            selection_order(&doubt)
        })
        .collect();
    let shares: Vec<u32> = (0..=100).step_by(5).collect();
    let mut map: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for &share in &shares {
        let budget = budget_of_share(f64::from(share) / 100.0, columns.len());
        let row = |q: usize| {
            let some: Vec<f64> = columns.iter().map(|&c| coarse[q][c]).collect();
            let merged = merge(&some, &orders[q], budget, |i| fine_to_unit(fine[q][columns[i]]));
            let mut row = coarse[q].clone();
            columns.iter().zip(merged).for_each(|(&c, value)| row[c] = value);
            row
        };
        let rows: Vec<Vec<f64>> = (0..coarse.len()).into_par_iter().map(row).collect();
        for (task, figures) in judge.rows(&rows, false) {
            map.entry(task).or_default().push(figures.map);
        }
    }
    let (selector, coarse) = (Network::Selector.name(), Network::Coarse.name());
    let sum = |of: &BTreeMap<String, f64>| Some(of.get(coarse)? + of.get(fine_name)? + of.get(selector)?);
    let time = |name: &str| scored.ms_per_query.get(name).copied();
    let ms_per_query = match (time(coarse), time(fine_name), time(selector)) {
        (Some(scan), Some(compare), Some(select)) => {
            shares.iter().map(|&share| scan + select + compare * f64::from(share) / 100.0).collect()
        }
        _ => Vec::new(),
    };
    Some(MergeCurve {
        fine: fine_name.clone(),
        shares,
        map,
        bytes_per_video: sum(&scored.bytes_per_video),
        ms_per_query,
    })
}
