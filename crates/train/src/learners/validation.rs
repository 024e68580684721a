//! Retrieval on held-out videos while a network is trained: every original is searched among all
//! copies and distractors.

use std::collections::BTreeMap;

use ndarray::Array3;
use rayon::prelude::*;

use vidsieve_eval::baselines::{AcrossScales, MeanOf, PlainVideos, WINDOWS};
use vidsieve_eval::retrieval::{EvaluateOptions, Matrix, Task, quality_of};
use vidsieve_kernels::Isa;
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::{Attention, Channel, ComparatorConfig, FineConfig, PaddingMode, PoolEdge};
use vidsieve_model::fine::Fine;
use vidsieve_model::math::dot;

use crate::TrainError;
use crate::data::features::{FeatureSet, ORIGINAL};
use crate::learners::run::Values;
use crate::networks::sizes::FIRST;

/// What scores are called in errors.
const NAME: &str = "the validation";

/// Queries and database over a feature set.
#[derive(Debug)]
pub struct Validation<'a> {
    /// The videos.
    pub set: &'a FeatureSet,
    /// Positions of the queries.
    pub queries: Vec<usize>,
    /// Positions of the database.
    pub database: Vec<usize>,
    task: Task,
}

impl<'a> Validation<'a> {
    /// The first `queries` originals as queries, everything else that is no original as database,
    /// with at most `limit` videos that are no copies of a query. Videos with material of a query
    /// that are no copies of it (hosts) are left out of its ranking.
    #[must_use]
    pub fn new(set: &'a FeatureSet, queries: usize, limit: usize) -> Self {
        let info = |i: usize| &set.videos[i].info;
        let originals: Vec<usize> = (0..set.videos.len()).filter(|&i| info(i).kind == ORIGINAL).collect();
        let queries = originals[..queries.min(originals.len())].to_vec();
        let asked: std::collections::BTreeSet<u64> = queries.iter().map(|&q| info(q).source).collect();
        let mut others = 0;
        let database: Vec<usize> = (0..set.videos.len())
            .filter(|i| !queries.contains(i))
            .filter(|&i| {
                let copy = asked.contains(&info(i).source);
                others += usize::from(!copy);
                copy || others <= limit
            })
            .collect();
        let copy = |q: usize, t: usize| info(queries[q]).source == info(database[t]).source;
        let unrelated = |q: usize, t: usize| info(queries[q]).unrelated(info(database[t]));
        let names = |videos: &[usize]| videos.iter().map(|&v| info(v).id.clone()).collect();
        let task = Task::of_pairs(names(&queries), names(&database), copy, |q, t| copy(q, t) || unrelated(q, t));
        Self { set, queries, database, task }
    }

    /// mAP and the share of first hits that are copies, of scores `[queries][database]`, and the
    /// mean reciprocal rank of copies among the videos that are no copies, by kind of edit
    /// (`kind_<name>`).
    ///
    /// # Errors
    /// [`TrainError::Evaluation`] for scores that are not finite.
    pub fn figures(&self, scores: Vec<Vec<f64>>) -> Result<Values, TrainError> {
        if self.queries.is_empty() {
            return Ok(["map", "recall1", "score"].map(|name| (name.to_owned(), 0.0)).into());
        }
        let scores = Matrix::new(NAME, scores)?;
        let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
        let quality = quality_of(NAME, &self.task, &scores, &options)?;
        let figures = [("map", quality.map), ("recall1", quality.recall1), ("score", quality.map)];
        let mut values: Values = figures.map(|(name, value)| (name.to_owned(), value)).into();
        let kinds: BTreeMap<&str, &str> =
            self.set.videos.iter().map(|v| (v.info.id.as_str(), v.info.kind.as_str())).collect();
        for (kind, ranks) in self.task.by_label(&scores, |id| kinds.get(id).map(|kind| (*kind).to_owned())) {
            values.insert(format!("kind_{kind}"), ranks.mean());
        }
        Ok(values)
    }

    /// Figures of a fine network.
    ///
    /// # Errors
    /// [`TrainError::Input`] when it does not take the set's tensors.
    pub fn fine(&self, fine: &Fine) -> Result<Values, TrainError> {
        let tensors = self.set.indexed(fine)?;
        let scores = self
            .queries
            .par_iter()
            .map(|&q| {
                self.database
                    .iter()
                    .map(|&t| Ok(f64::from(fine.similarity(&tensors[q], &tensors[t])?)))
                    .collect::<Result<Vec<_>, TrainError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.figures(scores)
    }

    /// Figures of a coarse student.
    ///
    /// # Errors
    /// [`TrainError::Input`] when it does not take the set's tensors.
    pub fn coarse(&self, coarse: &Coarse) -> Result<Values, TrainError> {
        let vectors = (0..self.set.videos.len())
            .into_par_iter()
            .map(|v| Ok(coarse.index(self.set.tensor(v).view())?))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let scores = self
            .queries
            .iter()
            .map(|&q| self.database.iter().map(|&t| f64::from(dot(&vectors[q], &vectors[t]))).collect())
            .collect();
        self.figures(scores)
    }

    /// Figures of plain uses of the same descriptors ([`vidsieve_eval::baselines`]): `mean_vector`,
    /// `frame_chamfer`, `region_chamfer`, and `across_scales` where there are two scales: the whole
    /// frame is also matched among the windows of the second one.
    ///
    /// # Errors
    /// [`TrainError::Evaluation`] for descriptors that are not finite.
    pub fn plain(&self, isa: Isa) -> Result<BTreeMap<String, Values>, TrainError> {
        let tensors = |videos: &[usize]| videos.iter().map(|&v| self.set.tensor(v)).collect::<Vec<Array3<f32>>>();
        let (queries, targets) = (tensors(&self.queries), tensors(&self.database));
        let videos = PlainVideos { queries: &queries, targets: &targets };
        let mut rows = videos.similarities(isa, MeanOf::Regions);
        if self.set.regions > FIRST {
            rows.push((
                "across_scales",
                AcrossScales::new(isa, &self.whole_among_windows(), None)?.similarities(videos)?,
            ));
        }
        rows.into_iter().map(|(name, scores)| Ok((name.to_owned(), self.figures(scores)?))).collect()
    }

    /// Windows against windows, and the query's whole frame against the windows of the second
    /// scale.
    fn whole_among_windows(&self) -> FineConfig {
        let windows = Channel { query: [0, WINDOWS], target: [0, WINDOWS], transposed: false };
        let whole = Channel { query: [WINDOWS, FIRST], target: [FIRST, self.set.regions], transposed: false };
        // The comparator has no part in it: the smallest one.
        let comparator = ComparatorConfig { channels: [2, 4, 4, 4], padding: PaddingMode::Zero, edge: PoolEdge::Keep };
        FineConfig {
            dims: self.set.dims,
            attention: Attention::None,
            bits: None,
            symmetric: false,
            comparator,
            channels: Some(vec![windows, whole]),
            direct: false,
        }
    }
}
