//! Evaluation on a folder of videos: every network, the merge of coarse and fine answers, and what the selector is
//! worth.
//!
//! Nothing is decoded here. The caller indexes the videos, [`score`]s them (or fills the [`Matrix`]es itself), and
//! [`evaluate`] makes the numbers.
//!
//! Rules: equal scores keep database order; a query that is itself in the database is left out of its own ranking and
//! of the pairs that are selected; videos that could not be read are left out of rankings and of what is relevant, and
//! are named in the report.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use vidsieve_model::bundle::Network;
use vidsieve_model::fine::{Fine, InputError, VideoTensor, Workspace};
use vidsieve_model::merge::{budget_of_share, fine_to_unit, merge, ranking, selection_order};
use vidsieve_model::selector::Selector;

/// Shares of the database, in percent, that get the fine similarity in the report's `dns`.
pub const SHARES: [u32; 5] = [0, 5, 10, 30, 100];

/// Most pair visits that the interval of the micro-averaged precision may cost; above, it is left out.
const MAX_INTERVAL_COST: usize = 400_000_000;

/// Why an evaluation is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetrievalError {
    /// The ground truth is no JSON of the right form.
    #[error(
        "{file}: {detail}; expected {{\"queries\": {{\"q.mp4\": [\"relevant.mp4\", …]}}, \"database\": [\"…\", …]}}"
    )]
    Truth {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// No query or no database video is left.
    #[error("nothing to evaluate: {queries} queries and {targets} database videos could be read")]
    Nothing {
        /// Readable queries.
        queries: usize,
        /// Readable database videos.
        targets: usize,
    },
    /// Scores that do not belong to the task.
    #[error("scores of {name}: {detail}")]
    Scores {
        /// Network or selector.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A network refused a video.
    #[error("{network} cannot compare {query} with {target}: {source}")]
    Network {
        /// The network.
        network: Network,
        /// The query.
        query: String,
        /// The database video.
        target: String,
        /// Why.
        source: InputError,
    },
}

/// Which database videos are relevant for which query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Truth {
    /// Query -> relevant videos.
    pub queries: BTreeMap<String, Vec<String>>,
    /// The videos that are searched.
    pub database: Vec<String>,
    /// Query -> videos that share material with it but are no copies (it is the host of an inset, say): left out of its
    /// ranking.
    #[serde(default)]
    pub ignore: BTreeMap<String, Vec<String>>,
}

impl Truth {
    /// Reads the JSON of `eval retrieval --truth`. Other fields are ignored.
    ///
    /// # Errors [`RetrievalError::Truth`]: no such JSON, no queries, an empty database, a video twice in the database,
    /// a relevant video that is not in the database.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, RetrievalError> {
        let refuse = |detail: String| RetrievalError::Truth { file: file.to_owned(), detail };
        let truth: Self = serde_json::from_slice(bytes).map_err(|e| refuse(e.to_string()))?;
        if truth.queries.is_empty() {
            return Err(refuse("it has no queries".into()));
        }
        if truth.database.is_empty() {
            return Err(refuse("its database is empty".into()));
        }
        let mut database = HashSet::new();
        if let Some(twice) = truth.database.iter().find(|v| !database.insert(v.as_str())) {
            return Err(refuse(format!("`{twice}` is twice in the database")));
        }
        for (query, relevant) in &truth.queries {
            if let Some(unknown) = relevant.iter().find(|v| !database.contains(v.as_str())) {
                return Err(refuse(format!("`{unknown}`, relevant for `{query}`, is not in the database")));
            }
        }
        Ok(truth)
    }

    /// Every video that has to be indexed, in order of name.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&str> {
        self.queries.keys().chain(&self.database).map(String::as_str).collect()
    }
}

/// What is ranked: readable queries and database videos, and which pairs are relevant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    queries: Vec<String>,
    targets: Vec<String>,
    /// A query: positions of relevant targets, ascending.
    relevant: Vec<Vec<usize>>,
    /// A query: positions that are not ranked - its own and what the truth leaves out, ascending.
    left_out: Vec<Vec<usize>>,
    unreadable: Vec<String>,
}

impl Task {
    /// The task over the videos that could be read. Queries in order of name, targets in database order.
    ///
    /// # Errors
    /// [`RetrievalError::Nothing`] without queries or targets.
    pub fn new(truth: &Truth, readable: impl Fn(&str) -> bool) -> Result<Self, RetrievalError> {
        let targets: Vec<String> = truth.database.iter().filter(|v| readable(v)).cloned().collect();
        let queries: Vec<String> = truth.queries.keys().filter(|v| readable(v)).cloned().collect();
        if queries.is_empty() || targets.is_empty() {
            return Err(RetrievalError::Nothing { queries: queries.len(), targets: targets.len() });
        }
        let position: HashMap<&str, usize> = targets.iter().enumerate().map(|(i, v)| (v.as_str(), i)).collect();
        let left_out = queries
            .iter()
            .map(|q| {
                let ignored = truth.ignore.get(q).into_iter().flatten().map(String::as_str);
                let set: BTreeSet<usize> =
                    ignored.chain([q.as_str()]).filter_map(|v| position.get(v).copied()).collect();
                set.into_iter().collect()
            })
            .collect();
        let relevant = queries
            .iter()
            .map(|q| {
                let videos = truth.queries.get(q).into_iter().flatten().filter(|v| *v != q);
                let set: BTreeSet<usize> = videos.filter_map(|v| position.get(v.as_str()).copied()).collect();
                set.into_iter().collect()
            })
            .collect();
        let unreadable = truth.files().into_iter().filter(|v| !readable(v)).map(str::to_owned).collect();
        Ok(Self { queries, targets, relevant, left_out, unreadable })
    }

    /// Names of the queries, in the order of matrix rows.
    #[must_use]
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Names of the database videos, in the order of matrix columns.
    #[must_use]
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// Columns that are ranked for a query: all but the query itself and what the truth leaves out.
    fn candidates(&self, query: usize) -> Vec<usize> {
        (0..self.targets.len()).filter(|t| self.left_out[query].binary_search(t).is_err()).collect()
    }

    /// The mean reciprocal rank of each relevant video among the videos that are not relevant, and how many there are, by a
    /// label of the video (its kind of edit, say): how well each kind is found whatever else is found.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn by_label(
        &self,
        scores: &Matrix,
        label: impl Fn(&str) -> Option<String>,
    ) -> BTreeMap<String, (f64, f64, usize)> {
        let mut rows: BTreeMap<String, (f64, f64, usize)> = BTreeMap::new();
        for query in 0..self.queries.len() {
            let row = scores.row(query);
            let others: Vec<f64> =
                self.candidates(query).into_iter().filter(|t| !self.is_relevant(query, *t)).map(|t| row[t]).collect();
            for &target in self.relevant[query].iter().filter(|t| self.left_out[query].binary_search(t).is_err()) {
                let Some(label) = label(&self.targets[target]) else { continue };
                // Ties count against the copy.
                let above = others.iter().filter(|&&o| o >= row[target]).count();
                let entry = rows.entry(label).or_default();
                entry.0 += 1.0 / (above + 1) as f64;
                entry.1 += f64::from(u8::from(above == 0));
                entry.2 += 1;
            }
        }
        rows.into_iter().map(|(k, (sum, first, n))| (k, (sum / n as f64, first / n as f64, n))).collect()
    }

    /// The scores of all pairs that are ranked, and whether the video is relevant.
    pub fn labelled<'a>(&'a self, scores: &'a Matrix) -> impl Iterator<Item = (f64, bool)> + 'a {
        (0..self.queries.len())
            .flat_map(move |q| self.candidates(q).into_iter().map(move |t| (scores.row(q)[t], self.is_relevant(q, t))))
    }

    fn is_relevant(&self, query: usize, target: usize) -> bool {
        self.relevant[query].binary_search(&target).is_ok()
    }
}

/// A value for each pair of query (row) and database video (column). All are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    targets: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Rows of equal length.
    ///
    /// # Errors
    /// [`RetrievalError::Scores`] for rows of several lengths or a value that is not finite; `name` says of what.
    pub fn new(name: &str, rows: Vec<Vec<f64>>) -> Result<Self, RetrievalError> {
        let refuse = |detail: String| RetrievalError::Scores { name: name.to_owned(), detail };
        let targets = rows.first().map_or(0, Vec::len);
        for (q, row) in rows.iter().enumerate() {
            if row.len() != targets {
                return Err(refuse(format!("query {q} has {} values, query 0 has {targets}", row.len())));
            }
            if let Some(t) = row.iter().position(|v| !v.is_finite()) {
                return Err(refuse(format!("query {q}, video {t}: {}", row[t])));
            }
        }
        Ok(Self { targets, values: rows.into_iter().flatten().collect() })
    }

    /// The row of a query.
    #[must_use]
    pub fn row(&self, query: usize) -> &[f64] {
        &self.values[query * self.targets..][..self.targets]
    }

    fn pick(&self, query: usize, columns: &[usize]) -> Vec<f64> {
        let row = self.row(query);
        columns.iter().map(|&c| row[c]).collect()
    }

    fn check(&self, name: &str, task: &Task) -> Result<(), RetrievalError> {
        let (queries, targets) = (task.queries.len(), task.targets.len());
        if self.targets == targets && self.values.len() == queries * targets {
            return Ok(());
        }
        let detail = format!("{} values of {} videos, expected {queries} x {targets}", self.values.len(), self.targets);
        Err(RetrievalError::Scores { name: name.to_owned(), detail })
    }
}

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

/// Compares all pairs on one thread. The second result is the time in milliseconds that a query took to score the whole
/// database, by name of the network.
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
        let targets = task.targets.iter().map(vector).collect::<Result<Vec<_>, _>>()?;
        let queries = task.queries.iter().map(vector).collect::<Result<Vec<_>, _>>()?;
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
        let mut rows = Vec::with_capacity(task.queries.len());
        for query in &task.queries {
            let q = tensor(query)?;
            let row = task.targets.iter().map(|target| {
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
        let targets = task.targets.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::with_capacity(task.queries.len());
        for (q, query) in task.queries.iter().enumerate() {
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

/// How [`evaluate`] works.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// Seed of the bootstrap and of random selection.
    pub seed: u64,
    /// Bootstrap resamples of the queries; 0: no intervals.
    pub resamples: usize,
    /// Shares in percent at which selection orders are compared; empty: they are not.
    pub curve: Vec<u32>,
    /// Random orders that are averaged.
    pub random_orders: usize,
    /// The coarse cosine that the order `threshold` takes for undecided.
    pub threshold: f64,
    /// Whether the order `oracle` takes answers below the highest hundredth of the unrelated videos' cosines for that cosine. A fine
    /// network with a direct path puts unrelated videos far below where the coarse one has them, which no search notices.
    pub floor: bool,
}

impl Default for EvaluateOptions {
    /// 1000 resamples, shares in steps of 5 %, ten random orders, threshold 0.5, no floor.
    fn default() -> Self {
        let curve = (0..=100).step_by(5).collect();
        Self { seed: 1, resamples: 1000, curve, random_orders: 10, threshold: 0.5, floor: false }
    }
}

/// A 95 % interval: the 2.5th and 97.5th percentile over resamples of the queries.
pub type Interval = [f64; 2];

/// How good a ranking is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Mean average precision over the queries that have relevant videos.
    pub map: f64,
    /// Share of these queries whose best-ranked video is relevant.
    pub recall1: f64,
    /// Average precision over all pairs of query and database video in one list (micro-AP); equal scores share a rank.
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
pub struct Curve {
    /// The selector's name, `random` (mean of several orders), `similarity` (highest coarse cosine first), `threshold`
    /// (coarse cosine closest to the threshold first) or `oracle`, which knows what is relevant (largest fine - coarse first
    /// for relevant videos, coarse - fine for others, both in [0, 1] as they are merged).
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

/// The JSON of `eval retrieval`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
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
    /// Coarse answers of which the share in percent that the selector doubts most was replaced by fine ones; at
    /// [`SHARES`].
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
    pub selection: Vec<Curve>,
}

/// All measures. `bytes_per_video` and `ms_per_query` are left empty for the caller.
///
/// # Errors
/// [`RetrievalError::Scores`] for matrices of another shape than the task, or selectors without coarse or fine scores.
pub fn evaluate(task: &Task, scores: &Scores, options: &EvaluateOptions) -> Result<Report, RetrievalError> {
    for (network, matrix) in &scores.networks {
        matrix.check(network.name(), task)?;
    }
    let coarse = scores.networks.get(&Network::Coarse);
    let mut selectors = Vec::new();
    for selector in &scores.selectors {
        selector.doubt.check(&selector.name, task)?;
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
    Ok(Report {
        coarse: quality(Network::Coarse),
        fine_attention: quality(Network::FineAttention),
        fine_binary: quality(Network::FineBinary),
        fine_plain: quality(Network::FinePlain),
        teacher: quality(Network::Teacher),
        dns,
        dns_fine: selectors.first().map(|(s, _)| s.fine.name().to_owned()),
        bytes_per_video: BTreeMap::new(),
        ms_per_query: BTreeMap::new(),
        queries: task.queries.len(),
        database: task.targets.len(),
        queries_without_relevant: task.relevant.iter().filter(|r| r.is_empty()).count(),
        relevant_pairs: task.relevant.iter().map(Vec::len).sum(),
        unreadable: task.unreadable.clone(),
        selection: if options.curve.is_empty() { Vec::new() } else { curves(task, options, &selectors) },
    })
}

/// A selector's order of a query's columns; the merge rule takes f32, as the selector gives it.
fn by_doubt(selector: &Doubt, query: usize, columns: &[usize]) -> Vec<usize> {
    #[allow(clippy::cast_possible_truncation)]
    let doubt: Vec<f32> = selector.doubt.pick(query, columns).into_iter().map(|v| v as f32).collect();
    selection_order(&doubt)
}

/// Merges coarse and fine scores by the rule of DnS.
#[derive(Clone, Copy)]
struct Merger<'a> {
    task: &'a Task,
    coarse: &'a Matrix,
    fine: &'a Matrix,
}

impl Merger<'_> {
    fn orders(&self, mut order: impl FnMut(usize, &[usize]) -> Vec<usize>) -> Vec<Vec<usize>> {
        (0..self.task.queries.len()).map(|q| order(q, &self.task.candidates(q))).collect()
    }

    fn merged(&self, query: usize, columns: &[usize], order: &[usize], share: u32) -> Vec<f64> {
        let budget = budget_of_share(f64::from(share) / 100.0, columns.len());
        let fine = self.fine.row(query);
        merge(&self.coarse.pick(query, columns), order, budget, |i| fine_to_unit(fine[columns[i]]))
    }

    /// Where the highest hundredth of the cosines of videos that are not relevant starts.
    fn floor(&self) -> f64 {
        let task = self.task;
        let unrelated = |q: usize| {
            let columns = task.candidates(q).into_iter().filter(move |&c| !task.is_relevant(q, c));
            columns.map(move |c| self.coarse.row(q)[c])
        };
        let mut cosines: Vec<f64> = (0..task.queries.len()).flat_map(unrelated).collect();
        cosines.sort_by(f64::total_cmp);
        cosines.get(cosines.len() * 99 / 100).copied().unwrap_or_default()
    }

    fn map(&self, orders: &[Vec<usize>], share: u32) -> f64 {
        let task = self.task;
        mean((0..task.queries.len()).filter_map(|q| {
            let columns = task.candidates(q);
            ranked(task, q, &columns, &self.merged(q, &columns, &orders[q], share)).map(|(ap, _)| ap)
        }))
    }
}

fn curves(task: &Task, options: &EvaluateOptions, selectors: &[(&Doubt, Merger<'_>)]) -> Vec<Curve> {
    let mut curves = Vec::new();
    let mut seen = Vec::new();
    for (selector, merger) in selectors {
        let mut add = |name: &str, orders: Vec<Vec<usize>>| {
            let map = options.curve.iter().map(|&share| merger.map(&orders, share)).collect();
            let (order, fine) = (name.to_owned(), selector.fine.name().to_owned());
            curves.push(Curve { order, fine, shares: options.curve.clone(), map, deviation: None });
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

fn random_curve(task: &Task, options: &EvaluateOptions, merger: &Merger<'_>, fine: Network) -> Curve {
    let runs: Vec<Vec<f64>> = (0..options.random_orders as u64)
        .map(|run| {
            let mut random = Pcg64::seed_from_u64(options.seed.wrapping_mul(0x9E37_79B9).wrapping_add(run));
            let orders: Vec<Vec<usize>> = (0..task.queries.len())
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
    Curve {
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

/// Average precision, and whether the first one is relevant; `None` without relevant videos.
#[allow(clippy::cast_precision_loss)]
fn ranked(task: &Task, query: usize, columns: &[usize], scores: &[f64]) -> Option<(f64, bool)> {
    let relevant = task.relevant[query].len();
    if relevant == 0 {
        return None;
    }
    let (mut found, mut sum, mut first) = (0usize, 0f64, false);
    for (rank, i) in ranking(scores).into_iter().enumerate() {
        if task.is_relevant(query, columns[i]) {
            found += 1;
            sum += found as f64 / (rank + 1) as f64;
            first |= rank == 0;
        }
    }
    Some((sum / relevant as f64, first))
}

/// One pair in the list of all.
#[derive(Clone, Copy)]
struct Pair {
    score: f64,
    query: usize,
    relevant: bool,
}

/// Micro-AP of pairs sorted by score descending, each counted as often as its query's weight. Equal scores share a
/// rank.
#[allow(clippy::cast_precision_loss, clippy::float_cmp)]
fn micro_ap(pairs: &[Pair], weights: &[u32]) -> f64 {
    let (mut found, mut seen, mut sum) = (0u64, 0u64, 0f64);
    for group in pairs.chunk_by(|a, b| a.score == b.score) {
        let before = found;
        for pair in group {
            let weight = u64::from(weights[pair.query]);
            seen += weight;
            found += if pair.relevant { weight } else { 0 };
        }
        if found > before {
            sum += (found - before) as f64 * (found as f64 / seen as f64);
        }
    }
    if found == 0 { 0.0 } else { sum / found as f64 }
}

fn quality(task: &Task, options: &EvaluateOptions, scores: impl Fn(usize, &[usize]) -> Vec<f64>) -> Quality {
    let queries = task.queries.len();
    let mut results = Vec::with_capacity(queries);
    let mut pairs = Vec::new();
    for q in 0..queries {
        let columns = task.candidates(q);
        let row = scores(q, &columns);
        results.push(ranked(task, q, &columns, &row));
        pairs.extend(columns.iter().zip(&row).map(|(&c, &score)| Pair {
            // One zero, so that equal scores are equal in every order.
            score: score + 0.0,
            query: q,
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
            samples[2].push(micro_ap(&pairs, &weights));
        }
    }
    let [map_interval, recall1_interval, uap_interval] = samples.map(percentiles);
    Quality {
        map: value(ap, &once),
        recall1: value(hit, &once),
        uap: micro_ap(&pairs, &once),
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

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"queries": {"b": ["c", "b", "e"], "a": ["d"], "z": []},
        "database": ["c", "b", "d", "x", "e"], "note": 1}"#;

    fn truth() -> Truth {
        Truth::parse("truth.json", TRUTH.as_bytes()).unwrap()
    }

    fn task() -> Task {
        Task::new(&truth(), |_| true).unwrap()
    }

    fn matrix(rows: &[&[f64]]) -> Matrix {
        Matrix::new("test", rows.iter().map(|r| r.to_vec()).collect()).unwrap()
    }

    /// Rows a, b, z; columns c, b, d, x, e.
    fn coarse() -> Matrix {
        matrix(&[&[0.9, 0.1, 0.5, 0.5, 0.2], &[0.3, 1.0, 0.8, 0.1, 0.9], &[0.0, 0.0, 0.0, 0.0, 0.95]])
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn by_hand() {
        let scores = Scores { networks: BTreeMap::from([(Network::Coarse, coarse())]), selectors: vec![] };
        let report = evaluate(&task(), &scores, &EvaluateOptions::default()).unwrap();
        let quality = report.coarse.unwrap();
        // a: c d x e b, so d is second. b without itself: e d c x, so hits at 1 and 3.
        near(quality.map, (1.0 / 2.0 + (1.0 + 2.0 / 3.0) / 2.0) / 2.0);
        near(quality.recall1, 0.5);
        // All pairs: ze .95, ac .9, be+ .9, bd .8, ad+ .5, ax .5, bc+ .3, ...: .9 and .5 are shared.
        near(quality.uap, (1.0 / 3.0 + 2.0 / 6.0 + 3.0 / 7.0) / 3.0);
        assert_eq!((report.queries, report.database, report.relevant_pairs), (3, 5, 3));
        assert_eq!(report.queries_without_relevant, 1);
        assert!(report.dns.is_none() && report.teacher.is_none() && report.selection.is_empty());
        for ([low, high], value) in
            [(quality.map_interval, quality.map), (quality.recall1_interval, 0.5), (quality.uap_interval, quality.uap)]
                .map(|(i, v)| (i.unwrap(), v))
        {
            assert!(low <= value && value <= high && (0.0..=1.0).contains(&low) && high <= 1.0, "{low} {value} {high}");
        }
        assert_eq!(quality.recall1_interval, Some([0.0, 1.0]));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let task = Task::new(&truth(), |v| v != "e" && v != "z").unwrap();
        assert_eq!(
            (task.queries(), task.targets()),
            (&["a", "b"].map(String::from)[..], &["c", "b", "d", "x"].map(String::from)[..])
        );
        let matrix = matrix(&[&[0.9, 0.1, 0.5, 0.5], &[0.3, 1.0, 0.8, 0.1]]);
        let scores = Scores { networks: BTreeMap::from([(Network::Teacher, matrix)]), selectors: vec![] };
        let report = evaluate(&task, &scores, &EvaluateOptions { resamples: 0, ..Default::default() }).unwrap();
        let quality = report.teacher.unwrap();
        near(quality.map, 0.5);
        assert_eq!(quality.map_interval, None);
        assert_eq!(report.unreadable, ["e", "z"]);
        assert!(matches!(Task::new(&truth(), |_| false), Err(RetrievalError::Nothing { .. })));
    }

    #[test]
    fn measures_agree_with_those_of_the_data_sets() {
        use crate::metrics::{Fivr, tied_average_precision};
        let task = task();
        let matrix = coarse();
        let names = |q: usize| task.targets.iter().cloned().zip(matrix.row(q).iter().copied()).collect();
        let results: BTreeMap<String, Vec<(String, f64)>> =
            task.queries.iter().enumerate().map(|(q, name)| (name.clone(), names(q))).collect();
        let annotation = truth().queries.into_iter().map(|(q, r)| {
            let labels: Vec<String> = r.into_iter().filter(|v| *v != q).collect();
            (q, HashMap::from([("ND".to_owned(), labels)]))
        });
        let fivr = Fivr { queries: task.queries.clone(), annotation: annotation.collect() };
        let available = task.targets.iter().cloned().collect();
        let expected = fivr.mean(&results, &available, &["ND"]);
        let quality = quality(&task, &EvaluateOptions::default(), |q, columns| matrix.pick(q, columns));
        near(quality.map, expected.map);
        let pairs: Vec<(f64, bool)> = (0..3)
            .flat_map(|q| task.candidates(q).into_iter().map(move |c| (q, c)))
            .map(|(q, c)| (matrix.row(q)[c], task.is_relevant(q, c)))
            .collect();
        near(quality.uap, tied_average_precision(&pairs).unwrap());
    }

    fn with_selector() -> Scores {
        // Fine similarities in [-1, 1]: right about everything.
        let fine = matrix(&[&[-1.0, -1.0, 1.0, -1.0, -1.0], &[0.8, 1.0, -1.0, -1.0, 1.0], &[-1.0; 5]]);
        let doubt = matrix(&[&[0.1, 0.2, 0.9, 0.3, 0.8], &[0.9, 1.0, 0.8, 0.0, 0.0], &[0.0; 5]]);
        let networks = BTreeMap::from([(Network::Coarse, coarse()), (Network::FineBinary, fine)]);
        let selectors = vec![Doubt { name: "selector".into(), fine: Network::FineBinary, doubt }];
        Scores { networks, selectors }
    }

    #[test]
    fn the_floor_is_the_highest_unrelated_cosine_of_a_few() {
        let (task, coarse) = (task(), coarse());
        let unrelated = |q: usize| {
            let columns = task.candidates(q);
            columns.into_iter().filter(|&c| !task.is_relevant(q, c)).map(|c| coarse.row(q)[c]).collect::<Vec<_>>()
        };
        let highest = (0..task.queries.len()).flat_map(unrelated).fold(f64::NEG_INFINITY, f64::max);
        near(Merger { task: &task, coarse: &coarse, fine: &coarse }.floor(), highest);
    }

    #[test]
    fn shares_replace_the_doubted() {
        let options = EvaluateOptions { curve: vec![0, 30, 100], ..EvaluateOptions::default() };
        let report = evaluate(&task(), &with_selector(), &options).unwrap();
        let dns = report.dns.unwrap();
        let coarse = report.coarse.unwrap();
        assert_eq!(dns.get(0), Some(&coarse));
        // 5 % and 10 % of 5 or 4 videos are none.
        assert_eq!(dns.get(10), Some(&coarse));
        // 30 % is one of each: a looks again at d (now 1.0, first), b at c (now 0.9, which ties with e and comes
        // before).
        near(dns.get(30).unwrap().map, 1.0);
        near(dns.get(100).unwrap().map, 1.0);
        assert_eq!(dns.get(100).unwrap().recall1, 1.0);
        let curve = |name: &str| report.selection.iter().find(|c| c.order == name).unwrap();
        for name in ["selector", "similarity", "threshold", "oracle", "random"] {
            near(curve(name).map[0], coarse.map);
            near(curve(name).map[2], 1.0);
        }
        near(curve("selector").map[1], 1.0);
        // The oracle takes c for a (0.9 becomes 0: d is first among equals of 0.5), and d for b (0.8 becomes 0).
        near(curve("oracle").map[1], 1.0);
        // By similarity c for a as well, but e for b (0.9 becomes 1.0).
        near(curve("similarity").map[1], (1.0 + 5.0 / 6.0) / 2.0);
        // Closest to 0.5: d for a; c for b (0.3), which becomes 0.9.
        near(curve("threshold").map[1], 1.0);
        let random = curve("random");
        assert!(random.map[1] > coarse.map && random.map[1] < 1.0);
        let deviation = random.deviation.as_ref().unwrap();
        assert!(deviation[0] < 1e-12 && deviation[1] > 0.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let run = |seed| {
            let options = EvaluateOptions { seed, ..EvaluateOptions::default() };
            serde_json::to_string(&evaluate(&task(), &with_selector(), &options).unwrap()).unwrap()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    #[test]
    fn json_has_the_promised_fields() {
        let mut report = evaluate(&task(), &with_selector(), &EvaluateOptions::default()).unwrap();
        report.bytes_per_video.insert("coarse".into(), 2048.0);
        let json = serde_json::to_value(&report).unwrap();
        for share in ["0", "5", "10", "30", "100"] {
            assert!(json["dns"][share]["map"].is_number(), "{json}");
        }
        for field in ["map", "recall1", "uap"] {
            assert!(json["coarse"][field].is_number() && json["fine_binary"][field].is_number());
        }
        assert_eq!(json["bytes_per_video"]["coarse"], 2048.0);
        assert_eq!((&json["queries"], &json["database"]), (&3.into(), &5.into()));
        assert!(json.get("teacher").is_none() && json.get("fine_attention").is_none());
        assert_eq!(json["dns_fine"], "fine_binary");
    }

    #[test]
    fn unfit_input_is_refused() {
        for (text, reason) in [
            ("[]", "invalid"),
            (r#"{"queries": {}, "database": ["a"]}"#, "no queries"),
            (r#"{"queries": {"a": []}, "database": []}"#, "empty"),
            (r#"{"queries": {"a": []}, "database": ["b", "b"]}"#, "twice"),
            (r#"{"queries": {"a": ["c"]}, "database": ["b"]}"#, "not in the database"),
            (r#"{"queries": {"a": ["c"]}}"#, "database"),
        ] {
            let error = Truth::parse("t.json", text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("t.json: ") && error.contains(reason), "{error}");
        }
        assert!(Matrix::new("x", vec![vec![0.0], vec![0.0, 1.0]]).is_err());
        assert!(Matrix::new("x", vec![vec![f64::NAN]]).unwrap_err().to_string().contains("query 0, video 0"));
        let options = EvaluateOptions::default();
        let small = Scores { networks: BTreeMap::from([(Network::Coarse, matrix(&[&[0.0]]))]), selectors: vec![] };
        assert!(matches!(evaluate(&task(), &small, &options), Err(RetrievalError::Scores { .. })));
        let mut without = with_selector();
        without.networks.remove(&Network::FineBinary);
        assert!(evaluate(&task(), &without, &options).unwrap_err().to_string().contains("fine_binary"));
    }

    #[test]
    fn coarse_vectors_are_compared() {
        let task = Task::new(&truth(), |v| v != "z").unwrap();
        let output = |x: f32| VideoOutputs { coarse: Some(vec![x, 1.0]), ..VideoOutputs::default() };
        let mut outputs: HashMap<String, VideoOutputs> = ["a", "b", "c", "d", "e", "x"]
            .into_iter()
            .zip(0u8..)
            .map(|(v, x)| (v.into(), output(f32::from(x))))
            .collect();
        let (scores, times) = score(&task, &outputs, &Comparers::default()).unwrap();
        assert_eq!(scores.networks[&Network::Coarse].row(1), [3.0, 2.0, 4.0, 6.0, 5.0]);
        assert!(times["coarse"] >= 0.0 && scores.selectors.is_empty());
        outputs.remove("d");
        let error = score(&task, &outputs, &Comparers::default()).unwrap_err().to_string();
        assert!(error.contains("`d`"), "{error}");
    }
}
