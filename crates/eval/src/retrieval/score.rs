//! Scores of all pairs of a task: what networks keep of videos, and what they say when two are
//! compared.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use ndarray::ArrayView3;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::fine::{Fine, InputError, VideoTensor, Workspace};
use vidsieve_model::selector::Selector;

use super::RetrievalError;
use super::matrix::Matrix;
use super::truth::Task;

/// A selector's probabilities that the coarse answer is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// Name in the curves.
    pub name: String,
    /// The fine network that looks again.
    pub fine: Network,
    /// Probability of each pair.
    pub doubt: Matrix,
}

/// Everything that networks say about the pairs of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Raw similarities: the coarse student's cosine, the others' similarity in [-1, 1].
    pub networks: BTreeMap<Network, Matrix>,
    /// Selectors; the first one makes the report's `dns`.
    pub selectors: Vec<Doubt>,
}

/// What the networks keep of one video.
#[derive(Debug, Clone, Default)]
pub struct VideoOutputs {
    /// The coarse student's vector.
    pub coarse: Option<Vec<f32>>,
    /// The selector's scalar.
    pub self_similarity: Option<f32>,
    /// The tensors of fine networks and teacher.
    pub tensors: BTreeMap<Network, VideoTensor>,
}

/// Networks that compare indexed videos.
#[derive(Debug, Clone, Default)]
pub struct Comparers<'a> {
    /// Fine networks and teacher.
    pub fine: Vec<(Network, &'a Fine)>,
    /// A selector, and the fine network that it was trained for.
    pub selector: Option<(&'a Selector, Network)>,
}

/// Compares all pairs on one thread. The second result is the time in milliseconds that a query
/// took to score the whole database, by name of the network.
///
/// # Errors
/// [`RetrievalError::Scores`] for a video without the output of a network that other videos have,
/// [`RetrievalError::Network`] where a network refuses a pair.
pub fn score(
    task: &Task,
    outputs: &HashMap<String, VideoOutputs>,
    comparers: &Comparers<'_>,
) -> Result<(Scores, BTreeMap<String, f64>), RetrievalError> {
    let missing = |name: Network, video: &str| RetrievalError::Scores {
        name: name.name().into(),
        detail: format!("`{video}` was not indexed by it"),
    };
    let mut scores = Scores::default();
    let mut times = BTreeMap::new();
    let mut add = |network: Network, rows: Vec<Vec<f64>>, start: Instant| {
        #[allow(clippy::cast_precision_loss)]
        times.insert(network.name().to_owned(), start.elapsed().as_secs_f64() * 1e3 / rows.len() as f64);
        scores.networks.insert(network, Matrix::new(network.name(), rows)?);
        Ok::<(), RetrievalError>(())
    };
    let any_coarse = outputs.values().any(|o| o.coarse.is_some());
    if any_coarse {
        let vector = |video: &String| {
            outputs.get(video).and_then(|o| o.coarse.as_deref()).ok_or_else(|| missing(Network::Coarse, video))
        };
        let targets = task.targets().iter().map(vector).collect::<Result<Vec<_>, _>>()?;
        let queries = task.queries().iter().map(vector).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        add(Network::Coarse, queries.iter().map(|q| targets.iter().map(|t| dot(q, t)).collect()).collect(), start)?;
    }
    let mut workspace = Workspace::default();
    for &(network, fine) in &comparers.fine {
        let tensor = |video: &String| {
            outputs.get(video).and_then(|o| o.tensors.get(&network)).ok_or_else(|| missing(network, video))
        };
        let start = Instant::now();
        let mut rows = Vec::with_capacity(task.queries().len());
        for query in task.queries() {
            let q = tensor(query)?;
            let row = task.targets().iter().map(|target| {
                let similarity = fine.similarity_with(q, tensor(target)?, &mut workspace).map_err(|source| {
                    RetrievalError::Network { network, query: query.clone(), target: target.clone(), source }
                })?;
                Ok(f64::from(similarity))
            });
            rows.push(row.collect::<Result<Vec<f64>, RetrievalError>>()?);
        }
        add(network, rows, start)?;
    }
    if let Some((selector, fine)) = comparers.selector
        && let Some(coarse) = scores.networks.get(&Network::Coarse)
    {
        let scalar = |video: &String| {
            outputs.get(video).and_then(|o| o.self_similarity).ok_or_else(|| missing(Network::Selector, video))
        };
        let start = Instant::now();
        let targets = task.targets().iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::with_capacity(task.queries().len());
        for (q, query) in task.queries().iter().enumerate() {
            #[allow(clippy::cast_possible_truncation)]
            let similarities: Vec<f32> = coarse.row(q).iter().map(|&v| v as f32).collect();
            let mut p = vec![0f32; targets.len()];
            selector.mlp().predict(scalar(query)?, &targets, &similarities, &mut p);
            rows.push(p.into_iter().map(f64::from).collect());
        }
        #[allow(clippy::cast_precision_loss)]
        times.insert(Network::Selector.name().into(), start.elapsed().as_secs_f64() * 1e3 / rows.len() as f64);
        let doubt = Matrix::new(Network::Selector.name(), rows)?;
        scores.selectors.push(Doubt { name: "selector".into(), fine, doubt });
    }
    Ok((scores, times))
}

/// The networks of a bundle that describe and compare videos.
#[derive(Debug)]
pub struct RetrievalNetworks {
    coarse: Option<Coarse>,
    selector: Option<Selector>,
    fine: Vec<(Network, Fine)>,
}

impl RetrievalNetworks {
    /// All of them that a bundle has.
    ///
    /// # Errors
    /// [`ExtractError`] for weights that do not fit the bundle's configuration.
    pub fn new(isa: Isa, bundle: &Bundle) -> Result<Self, ExtractError> {
        let has = |network: Network| bundle.networks().any(|n| n == network);
        let fine = [Network::FineAttention, Network::FineBinary, Network::FinePlain, Network::Teacher]
            .into_iter()
            .filter(|n| has(*n))
            .map(|n| Ok((n, bundle.fine(isa, n)?)))
            .collect::<Result<Vec<_>, ExtractError>>()?;
        Ok(Self {
            coarse: has(Network::Coarse).then(|| bundle.coarse(isa)).transpose()?,
            selector: has(Network::Selector).then(|| bundle.selector(isa)).transpose()?,
            fine,
        })
    }

    /// What they keep of a video tensor `[T, R, D]`.
    ///
    /// # Errors
    /// [`InputError`] where a network refuses it.
    pub fn outputs(&self, tensor: ArrayView3<'_, f32>) -> Result<VideoOutputs, InputError> {
        let mut tensors = BTreeMap::new();
        for (network, fine) in &self.fine {
            tensors.insert(*network, fine.index(tensor)?);
        }
        Ok(VideoOutputs {
            coarse: self.coarse.as_ref().map(|c| c.index(tensor)).transpose()?,
            self_similarity: self.selector.as_ref().map(|s| s.self_similarity(tensor)).transpose()?,
            tensors,
        })
    }

    /// Those that compare; the selector belongs to S^f_B, or without it to the first fine network.
    #[must_use]
    pub fn comparers(&self) -> Comparers<'_> {
        let binary = self.fine.iter().find(|(n, _)| *n == Network::FineBinary).or_else(|| self.fine.first());
        Comparers {
            fine: self.fine.iter().map(|(n, f)| (*n, f)).collect(),
            selector: self.selector.as_ref().zip(binary.map(|(n, _)| *n)).filter(|_| self.coarse.is_some()),
        }
    }
}

/// Mean bytes that each network keeps of a video, by its name.
#[must_use]
pub fn bytes_per_video(outputs: &HashMap<String, VideoOutputs>) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, usize> = BTreeMap::new();
    for output in outputs.values() {
        let mut add = |name: &str, bytes: usize| *sums.entry(name.to_owned()).or_default() += bytes;
        if let Some(vector) = &output.coarse {
            add(Network::Coarse.name(), 4 * vector.len());
        }
        if output.self_similarity.is_some() {
            add(Network::Selector.name(), 4);
        }
        for (network, tensor) in &output.tensors {
            add(network.name(), tensor.bytes());
        }
    }
    #[allow(clippy::cast_precision_loss)]
    sums.into_iter().map(|(name, sum)| (name, sum as f64 / outputs.len().max(1) as f64)).collect()
}
