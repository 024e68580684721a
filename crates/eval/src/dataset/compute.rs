//! Scores of all pairs of a data set by a bundle's networks, a database video at a time: only the
//! queries are held.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ndarray::Array3;
use rayon::prelude::*;
use vidsieve_model::bundle::Network;
use vidsieve_model::fine::{InputError, Workspace};

use super::{Dataset, DatasetError};
use crate::retrieval::{Comparers, RetrievalNetworks, VideoOutputs};

/// Why a video has no tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AbsentVideo {
    /// It is not here.
    Missing,
    /// It is here and cannot be used.
    Unreadable(String),
}

/// Where the videos of a data set come from.
pub trait VideoSource: Sync {
    /// The region vectors `[T, R, D]` of a video, with at least one frame.
    ///
    /// # Errors
    /// [`AbsentVideo`] for a video that is missing or cannot be read: it is left out and named.
    fn tensor(&self, id: &str) -> Result<Array3<f32>, AbsentVideo>;
}

/// The scores of a data set's pairs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored {
    /// Numbers of the scored queries in [`Dataset::queries`].
    pub queries: Vec<usize>,
    /// Ids of the scored database videos, in the order that decides ties.
    pub targets: Vec<String>,
    /// A row for each query and a column for each target, by name: S^c's cosines, the similarity in
    /// [-1, 1] of the others. NaN is no score.
    pub scores: BTreeMap<String, Vec<Vec<f64>>>,
    /// The name of the fine network that looks again, and the selector's probability of each pair.
    pub doubt: Option<(String, Vec<Vec<f64>>)>,
    /// Mean bytes that each network keeps of a database video.
    pub bytes_per_video: BTreeMap<String, f64>,
    /// Milliseconds on one thread that a query takes to be compared with the whole database.
    pub ms_per_query: BTreeMap<String, f64>,
    /// Videos that could not be read, with the reason.
    pub unreadable: BTreeMap<String, String>,
}

/// One database video against all queries.
struct Column {
    video: String,
    /// Scores of the queries and nanoseconds, by network.
    scores: BTreeMap<Network, (Vec<f64>, u128)>,
    self_similarity: Option<f32>,
    bytes: BTreeMap<&'static str, usize>,
}

/// Compares every query with every database video by all networks of a bundle. Videos are read and
/// encoded in parallel and dropped once they are compared. `progress` is called with the number of
/// videos that are done and of all.
///
/// # Errors
/// [`DatasetError::Nothing`] without queries or database videos, [`DatasetError::Network`] for a
/// video that a network refuses: features that were not made for the bundle.
pub fn compute(
    dataset: &Dataset,
    source: &dyn VideoSource,
    networks: &RetrievalNetworks,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Scored, DatasetError> {
    let total = dataset.queries.len() + dataset.database.len();
    let done = AtomicUsize::new(0);
    let outputs = |id: &str| -> Result<Result<VideoOutputs, AbsentVideo>, DatasetError> {
        let outputs = match source.tensor(id) {
            Ok(tensor) => networks
                .outputs(tensor.view())
                .map(Ok)
                .map_err(|source| DatasetError::Network { video: id.to_owned(), source }),
            Err(absent) => Ok(Err(absent)),
        };
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        outputs
    };
    let described = dataset.queries.par_iter().map(|id| outputs(id)).collect::<Result<Vec<_>, _>>()?;
    let mut scored = Scored::default();
    let mut note = |id: &String, absent: AbsentVideo| {
        if let AbsentVideo::Unreadable(reason) = absent {
            scored.unreadable.insert(id.clone(), reason);
        }
    };
    let mut queries = Vec::new();
    for (number, output) in described.into_iter().enumerate() {
        match output {
            Ok(output) => queries.push((number, output)),
            Err(absent) => note(&dataset.queries[number], absent),
        }
    }
    let comparers = networks.comparers();
    let column = |workspace: &mut Workspace, id: &String| match outputs(id)? {
        Ok(target) => compare(dataset, &comparers, &queries, id, &target, workspace).map(Ok),
        Err(absent) => Ok(Err((id.clone(), absent))),
    };
    let columns: Vec<Result<Column, (String, AbsentVideo)>> =
        dataset.database.par_iter().map_init(Workspace::default, column).collect::<Result<_, DatasetError>>()?;
    let mut here = Vec::new();
    for column in columns {
        match column {
            Ok(column) => here.push(column),
            Err((id, absent)) => note(&id, absent),
        }
    }
    gather(dataset, &comparers, queries, here, scored)
}

fn compare(
    dataset: &Dataset,
    comparers: &Comparers<'_>,
    queries: &[(usize, VideoOutputs)],
    id: &str,
    target: &VideoOutputs,
    workspace: &mut Workspace,
) -> Result<Column, DatasetError> {
    let refuse = |query: usize, source: InputError| DatasetError::Network {
        video: format!("{} against {id}", dataset.queries[query]),
        source,
    };
    let mut scores = BTreeMap::new();
    let mut bytes = BTreeMap::new();
    if let Some(vector) = &target.coarse {
        let start = Instant::now();
        let dot = |q: &[f32]| q.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let row = queries.iter().map(|(_, query)| query.coarse.as_deref().map_or(f64::NAN, dot)).collect();
        scores.insert(Network::Coarse, (row, start.elapsed().as_nanos()));
        bytes.insert(Network::Coarse.name(), 4 * vector.len());
    }
    if target.self_similarity.is_some() {
        bytes.insert(Network::Selector.name(), 4);
    }
    for &(network, fine) in &comparers.fine {
        let Some(tensor) = target.tensors.get(&network) else { continue };
        bytes.insert(network.name(), tensor.bytes());
        let start = Instant::now();
        let row = queries.iter().map(|(number, query)| match query.tensors.get(&network) {
            Some(query) => {
                fine.similarity_with(query, tensor, workspace).map(f64::from).map_err(|e| refuse(*number, e))
            }
            None => Ok(f64::NAN),
        });
        let row = row.collect::<Result<Vec<f64>, DatasetError>>()?;
        scores.insert(network, (row, start.elapsed().as_nanos()));
    }
    Ok(Column { video: id.to_owned(), scores, self_similarity: target.self_similarity, bytes })
}

/// Columns to rows, and the selector's probabilities.
#[allow(clippy::cast_precision_loss)]
fn gather(
    dataset: &Dataset,
    comparers: &Comparers<'_>,
    queries: Vec<(usize, VideoOutputs)>,
    columns: Vec<Column>,
    mut scored: Scored,
) -> Result<Scored, DatasetError> {
    let count = columns.len() as f64;
    let mut times: HashMap<Network, u128> = HashMap::new();
    for column in &columns {
        for (name, bytes) in &column.bytes {
            *scored.bytes_per_video.entry((*name).to_owned()).or_default() += *bytes as f64 / count;
        }
        column.scores.iter().for_each(|(network, (_, time))| *times.entry(*network).or_default() += time);
    }
    for (network, nanoseconds) in times {
        let rows = (0..queries.len()).map(|q| {
            columns.iter().map(|c| c.scores.get(&network).map_or(f64::NAN, |(scores, _)| scores[q])).collect()
        });
        scored.scores.insert(network.name().to_owned(), rows.collect());
        let ms = nanoseconds as f64 / 1e6 / queries.len() as f64;
        scored.ms_per_query.insert(network.name().to_owned(), ms);
    }
    if let Some((selector, fine)) = comparers.selector
        && let Some(coarse) = scored.scores.get(Network::Coarse.name())
    {
        let targets: Vec<f32> = columns.iter().map(|c| c.self_similarity.unwrap_or_default()).collect();
        let start = Instant::now();
        let row = |((_, query), coarse): (&(usize, VideoOutputs), &Vec<f64>)| {
            #[allow(clippy::cast_possible_truncation)]
            let coarse: Vec<f32> = coarse.iter().map(|&value| value as f32).collect();
            let mut doubt = vec![0f32; targets.len()];
            selector.mlp().predict(query.self_similarity.unwrap_or_default(), &targets, &coarse, &mut doubt);
            doubt.into_iter().map(f64::from).collect()
        };
        let rows: Vec<Vec<f64>> = queries.iter().zip(coarse).map(row).collect();
        let ms = start.elapsed().as_secs_f64() * 1e3 / queries.len().max(1) as f64;
        scored.ms_per_query.insert(Network::Selector.name().to_owned(), ms);
        scored.doubt = Some((fine.name().to_owned(), rows));
    }
    scored.targets = columns.into_iter().map(|column| column.video).collect();
    scored.queries = queries.into_iter().map(|(number, _)| number).collect();
    scored.check(dataset)?;
    Ok(scored)
}

impl Scored {
    /// That something is left to evaluate.
    pub(super) fn check(&self, dataset: &Dataset) -> Result<(), DatasetError> {
        if !self.queries.is_empty() && !self.targets.is_empty() {
            return Ok(());
        }
        let example = if self.queries.is_empty() { dataset.queries.first() } else { dataset.database.first() };
        Err(DatasetError::Nothing {
            dataset: dataset.name,
            queries: self.queries.len(),
            queries_listed: dataset.queries.len(),
            targets: self.targets.len(),
            targets_listed: dataset.database.len(),
            example: example.cloned().unwrap_or_default(),
        })
    }
}
