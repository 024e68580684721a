//! All measures of a task in one report.

use std::collections::BTreeMap;

use serde::Serialize;
use vidsieve_model::bundle::Network;

use super::RetrievalError;
use super::matrix::Matrix;
use super::options::EvaluateOptions;
use super::quality::{Quality, quality};
use super::score::Scores;
use super::selection::{ByShare, Merger, SelectionCurve, by_doubt, curves};
use super::truth::Task;
use crate::metrics::ReciprocalRanks;

/// Shares of the database, in percent, that get the fine similarity in the report's `dns`.
pub const SHARES: [u32; 5] = [0, 5, 10, 30, 100];

/// All measures of a task, as `eval retrieval` prints them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalReport {
    /// S^c.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Quality>,
    /// S^f_A.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_attention: Option<Quality>,
    /// S^f_B.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_binary: Option<Quality>,
    /// S^f without attention and binarisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_plain: Option<Quality>,
    /// T.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Quality>,
    /// Coarse answers of which the share in percent that the selector doubts most was replaced by
    /// fine ones; at [`SHARES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<ByShare>,
    /// Name of the fine network in `dns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_fine: Option<String>,
    /// Bytes that a video takes, by network; the caller's.
    pub bytes_per_video: BTreeMap<String, f64>,
    /// Milliseconds that a query takes, by network; the caller's.
    pub ms_per_query: BTreeMap<String, f64>,
    /// Queries that were ranked.
    pub queries: usize,
    /// Database videos that were ranked.
    pub database: usize,
    /// Queries without a relevant video that could be read: part of `uap` only.
    pub queries_without_relevant: usize,
    /// Relevant pairs.
    pub relevant_pairs: usize,
    /// Videos that could not be read and were left out.
    pub unreadable: Vec<String>,
    /// Orders of selection compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<SelectionCurve>,
}

/// All measures. `bytes_per_video` and `ms_per_query` are left empty for the caller.
///
/// # Errors
/// [`RetrievalError::Scores`] for matrices of another shape than the task, or selectors without
/// coarse or fine scores.
pub fn evaluate(task: &Task, scores: &Scores, options: &EvaluateOptions) -> Result<RetrievalReport, RetrievalError> {
    let (queries, targets) = (task.queries().len(), task.targets().len());
    for (network, matrix) in &scores.networks {
        matrix.check(network.name(), queries, targets)?;
    }
    let coarse = scores.networks.get(&Network::Coarse);
    let mut selectors = Vec::new();
    for selector in &scores.selectors {
        selector.doubt.check(&selector.name, queries, targets)?;
        let missing = |network: Network| RetrievalError::Scores {
            name: selector.name.clone(),
            detail: format!("it needs the scores of {network}, which are missing"),
        };
        let fine = scores.networks.get(&selector.fine).ok_or_else(|| missing(selector.fine))?;
        let coarse = coarse.ok_or_else(|| missing(Network::Coarse))?;
        selectors.push((selector, Merger { task, coarse, fine }));
    }
    let quality = |network: Network| {
        let matrix = scores.networks.get(&network)?;
        Some(quality(task, options, |q, columns| matrix.pick(q, columns)))
    };
    let dns = selectors.first().map(|(selector, merger)| {
        let orders = merger.orders(|q, columns| by_doubt(selector, q, columns));
        let at = |share: u32| self::quality(task, options, |q, columns| merger.merged(q, columns, &orders[q], share));
        ByShare(SHARES.iter().map(|&share| (share, at(share))).collect())
    });
    Ok(RetrievalReport {
        coarse: quality(Network::Coarse),
        fine_attention: quality(Network::FineAttention),
        fine_binary: quality(Network::FineBinary),
        fine_plain: quality(Network::FinePlain),
        teacher: quality(Network::Teacher),
        dns,
        dns_fine: selectors.first().map(|(s, _)| s.fine.name().to_owned()),
        bytes_per_video: BTreeMap::new(),
        ms_per_query: BTreeMap::new(),
        queries: task.queries().len(),
        database: task.targets().len(),
        queries_without_relevant: task.queries_without_relevant(),
        relevant_pairs: task.relevant_pairs(),
        unreadable: task.unreadable().to_vec(),
        selection: if options.curve.is_empty() { Vec::new() } else { curves(task, options, &selectors) },
    })
}

/// How well copies of one kind are found among the videos that are no copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindRow {
    /// Mean reciprocal rank of the copies.
    pub reciprocal_rank: f64,
    /// Share of the copies that are found before every video that is no copy.
    pub first: f64,
    /// How many copies there are.
    pub copies: usize,
}

impl KindRow {
    /// The rows of [`Task::by_label`] for a matrix of scores.
    pub fn all(task: &Task, scores: &Matrix, kind: impl Fn(&str) -> Option<String>) -> BTreeMap<String, Self> {
        let row = |ranks: ReciprocalRanks| Self {
            reciprocal_rank: ranks.mean(),
            first: ranks.first(),
            copies: ranks.count(),
        };
        task.by_label(scores, kind).into_iter().map(|(kind, ranks)| (kind, row(ranks))).collect()
    }
}

/// The JSON of `eval retrieval`: the report, plain uses of the same descriptors, and rows by kind
/// of edit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalOutput {
    /// The networks' report.
    #[serde(flatten)]
    pub report: RetrievalReport,
    /// Plain uses of the same descriptors ([`crate::baselines`]), by name.
    pub plain: BTreeMap<String, Quality>,
    /// Each network's rows by kind of edit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, BTreeMap<String, KindRow>>,
}
