//! The hard benchmark: held-out clips with every kind of edit among other takes of their scenes and
//! thousands of distractors.

mod sizes;
mod thresholds;
mod videos;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use ndarray::Array3;
use rayon::prelude::*;
use serde::Serialize;

use vidsieve_eval::baselines::{MeanOf, PlainVideos};
use vidsieve_eval::plots::{self, Plot, Series};
use vidsieve_eval::retrieval::{
    EvaluateOptions, KindRow, Matrix, RetrievalNetworks, RetrievalOutput, Scores, Task, VideoOutputs, bytes_per_video,
    evaluate, quality_of, score,
};
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::extractor::Extractor;
use vidsieve_train::data::features::{FeatureSet, TAKE};
use vidsieve_train::learners::calibrate::{Labelled, reliability};
use vidsieve_train::monitor::Monitor;
use vidsieve_train::recipe::Workshop;
use vidsieve_train::stage::Keyed;

use crate::BenchmarkError;

pub use sizes::SizeRow;
pub use thresholds::ThresholdRow;
pub use videos::{HardMaterial, HardOptions, edited, truth};

/// Kind of the made videos that have no copies.
pub const DISTRACTOR: &str = "distractor";
/// What plain Chamfer similarity across scales is called.
const ACROSS_SCALES: &str = "across_scales";
/// Bins of a reliability diagram.
const BINS: usize = 10;
/// Digits of a bundle's id in the name of its folder.
const ID_DIGITS: usize = 12;

/// The points of a network's reliability diagram: mean probability, share of copies, weight.
pub type ReliabilityBins = Vec<[f64; 3]>;

/// Everything that the hard benchmark measures.
#[derive(Debug, Clone, Serialize)]
pub struct HardReport {
    /// Networks and plain uses of the same descriptors, in all and by kind of edit.
    #[serde(flatten)]
    pub output: RetrievalOutput,
    /// Other takes among the videos.
    pub takes: usize,
    /// Distractors among the videos.
    pub distractors: usize,
    /// Plain similarity by size of the descriptors; the first row is the bundle's size in floats.
    pub sizes: Vec<SizeRow>,
    /// The merge with selectors of other thresholds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdRow>,
    /// What the calibrated scores of all pairs are worth, by network.
    pub reliability: BTreeMap<String, ReliabilityBins>,
}

/// The hard benchmark of one bundle.
#[derive(Debug)]
pub struct HardBenchmark {
    shop: Workshop,
    bundle: Arc<Bundle>,
    extractor: Keyed<Extractor>,
}

/// A task, and where its videos are in the set.
struct Search<'a> {
    set: &'a FeatureSet,
    task: Task,
    of: HashMap<&'a str, usize>,
}

impl Search<'_> {
    fn tensor(&self, id: &str) -> Array3<f32> {
        self.set.tensor(self.of[id])
    }
}

impl HardBenchmark {
    /// The benchmark of the bundle that `shop` is given. Its videos are kept in a folder of the
    /// shop's, which is named after the part of the bundle that describes frames.
    ///
    /// # Errors
    /// [`BenchmarkError::NoExtractor`]; [`BenchmarkError::Train`] for sizes other than the
    /// bundle's.
    pub fn new(mut shop: Workshop) -> Result<Self, BenchmarkError> {
        let bundle = shop.given.clone().ok_or(BenchmarkError::NoExtractor)?;
        let described = shop.given_extractor()?.ok_or(BenchmarkError::NoExtractor)?;
        let id = described.key.as_str();
        shop.folder.push(format!("hard-{}", id.get(..ID_DIGITS).unwrap_or(id)));
        let extractor = Keyed { value: Extractor::new(shop.isa, &described.value)?, key: described.key };
        Ok(Self { shop, bundle, extractor })
    }

    /// The benchmark's videos: copies and takes, then the distractors.
    ///
    /// # Errors
    /// [`BenchmarkError::Train`]; after a cancelled run the same call continues.
    pub fn videos(
        &self,
        material: &HardMaterial,
        options: &HardOptions,
        monitor: &mut dyn Monitor,
    ) -> Result<FeatureSet, BenchmarkError> {
        let mut set = edited(&self.shop.folder, &material.clips, options, &self.extractor, monitor)?;
        if options.distractors.sources > 0 {
            let corpus = options.distractors.clone();
            let others = self.shop.features("distractors", &material.stills, &[], corpus, &self.extractor, monitor)?;
            let first = set.videos.iter().map(|v| v.info.source).max().unwrap_or(0) + 1;
            set.videos.extend(others.value.videos.into_iter().map(|mut v| {
                v.info.source += first;
                v.info.kind = DISTRACTOR.into();
                v
            }));
        }
        Ok(set)
    }

    /// Measures everything on the benchmark's videos. `selectors` is a working folder in which the
    /// study [`Threshold`](crate::ablation::AblationStudy::Threshold) left selectors.
    ///
    /// # Errors
    /// [`BenchmarkError`].
    pub fn measure(&self, set: &FeatureSet, selectors: Option<&Path>) -> Result<HardReport, BenchmarkError> {
        let isa = self.shop.isa;
        let networks = RetrievalNetworks::new(isa, &self.bundle)?;
        let outputs: HashMap<String, VideoOutputs> = (0..set.videos.len())
            .into_par_iter()
            .map(|i| {
                let id = set.videos[i].info.id.clone();
                match networks.outputs(set.tensor(i).view()) {
                    Ok(outputs) => Ok((id, outputs)),
                    Err(source) => Err(BenchmarkError::Video { video: id, source }),
                }
            })
            .collect::<Result<_, _>>()?;
        let truth = truth(set);
        truth.check("the benchmark")?;
        let of = set.videos.iter().enumerate().map(|(i, v)| (v.info.id.as_str(), i)).collect();
        let search = Search { set, task: Task::new(&truth, |_| true)?, of };
        let (scores, times) = score(&search.task, &outputs, &networks.comparers())?;
        let mut report = evaluate(&search.task, &scores, &EvaluateOptions::of(&self.bundle))?;
        report.ms_per_query = times;
        report.bytes_per_video = bytes_per_video(&outputs);

        let mut output = RetrievalOutput { report, plain: BTreeMap::new(), kinds: BTreeMap::new() };
        let floats = sizes::floats(isa, &self.shop.sizes, &search)?;
        let mut plain = self.plain(&search)?;
        plain.push((ACROSS_SCALES, floats.matrix));
        let kind = |id: &str| search.of.get(id).map(|&i| set.videos[i].info.kind.clone());
        for (name, matrix) in &plain {
            let quality = quality_of(name, &search.task, matrix, &EvaluateOptions::default())?;
            output.plain.insert((*name).to_owned(), quality);
        }
        let networks = scores.networks.iter().map(|(network, matrix)| (network.name(), matrix));
        for (name, matrix) in plain.iter().map(|(name, matrix)| (*name, matrix)).chain(networks) {
            output.kinds.insert(name.to_owned(), KindRow::all(&search.task, matrix, kind));
        }
        let mut sizes = vec![floats.row];
        sizes.extend(sizes::by_size(isa, &self.shop.sizes, &search)?);
        let thresholds = match selectors {
            Some(folder) => thresholds::by_threshold(&self.shop, folder, &search, &scores)?,
            None => Vec::new(),
        };
        let count = |kind: &str| set.videos.iter().filter(|v| v.info.kind == kind).count();
        Ok(HardReport {
            output,
            takes: count(TAKE),
            distractors: count(DISTRACTOR),
            sizes,
            thresholds,
            reliability: reliabilities(&self.bundle, &search.task, &scores),
        })
    }

    fn plain(&self, search: &Search<'_>) -> Result<Vec<(&'static str, Matrix)>, BenchmarkError> {
        let tensors = |ids: &[String]| ids.iter().map(|id| search.tensor(id)).collect::<Vec<_>>();
        let (queries, targets) = (tensors(search.task.queries()), tensors(search.task.targets()));
        let videos = PlainVideos { queries: &queries, targets: &targets };
        let rows = videos.similarities(self.shop.isa, MeanOf::Windows);
        rows.into_iter().map(|(name, rows)| Ok((name, Matrix::new(name, rows)?))).collect()
    }
}

/// What the calibrated scores of all pairs are worth.
fn reliabilities(bundle: &Bundle, task: &Task, scores: &Scores) -> BTreeMap<String, ReliabilityBins> {
    let Some(calibration) = bundle.config().calibration.as_ref() else { return BTreeMap::new() };
    scores
        .networks
        .iter()
        .filter_map(|(network, matrix)| {
            let curve = calibration.curve(*network)?;
            #[allow(clippy::cast_possible_truncation)]
            let pairs: Vec<Labelled> =
                task.labelled(matrix).map(|(raw, copy)| Labelled { raw: raw as f32, copy }).collect();
            Some((network.name().to_owned(), reliability(curve, &pairs, BINS)))
        })
        .collect()
}

impl HardReport {
    /// The report as plots, each with the name of its file.
    #[must_use]
    pub fn plots(&self) -> Vec<(&'static str, Plot)> {
        let mut all = vec![("selection.svg", plots::selection(&self.output.report))];
        let of_all = |r: &&SizeRow| self.sizes.first().is_some_and(|all| r.regions == all.regions);
        #[allow(clippy::cast_precision_loss)]
        let points: Vec<(f64, f64)> =
            self.sizes.iter().filter(of_all).filter_map(|r| Some((r.bits? as f64, r.map))).collect();
        let mut series = vec![Series::new("signs, before training", points.clone())];
        if let (Some(floats), [first, .., last]) = (self.sizes.first(), points.as_slice()) {
            series.push(Series::new("floats", vec![(first.0, floats.map), (last.0, floats.map)]).reference());
        }
        all.push(("bits.svg", plots::bits(series)));
        if !self.thresholds.is_empty() {
            let at = |share: u32| {
                let point = |row: &ThresholdRow| Some((row.t, row.dns.get(share)?.map));
                Series::new(format!("{share} % re-ranked"), self.thresholds.iter().filter_map(point).collect())
            };
            let series = [5, 10, 30].map(at).into();
            all.push(("thresholds.svg", plots::training("Selectors of other thresholds", "t", "mAP", series)));
        }
        let shown: BTreeSet<&str> =
            [Network::Coarse, Network::FineBinary, Network::FineAttention].map(|n| n.name()).into();
        let series = self
            .reliability
            .iter()
            .filter(|(name, _)| shown.contains(name.as_str()))
            .map(|(name, bins)| Series::new(name.replace('_', " "), bins.iter().map(|b| (b[0], b[1])).collect()));
        all.push(("reliability.svg", plots::reliability("What scores are worth", series.collect())));
        all
    }
}
