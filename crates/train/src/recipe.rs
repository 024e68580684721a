//! The default bundle from material to file: every stage in order, resumable, with what each one measured.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use vidsieve_model::bundle::{Bundle, BundleWriter, Network, Storage};
use vidsieve_model::calibration::{Calibration, Curve};
use vidsieve_model::config::FineConfig;
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::Fine;

use crate::TrainError;
use crate::calibrate::{Labelled, isotonic, one_scale};
use crate::checkpoint::write_atomically;
use crate::coarse::CoarseOptions;
use crate::corpus::CorpusOptions;
use crate::direct::DirectOptions;
use crate::features::FeatureSet;
use crate::fine::{FineOptions, Objective, index_all};
use crate::init;
use crate::monitor::{Monitor, Progress};
use crate::parameters::Parameters;
use crate::pipeline::{FinePlan, Material, Workshop};
use crate::pools::{PoolOptions, Pools};
use crate::run::{Schedule, Trained, Values};
use crate::selector::{ScoredPair, SelectorOptions};
use crate::self_supervised::BackboneOptions;
use crate::validation::Validation;

/// Everything that decides what the default bundle becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Backbone.
    pub backbone: BackboneOptions,
    /// Its schedule.
    pub backbone_schedule: Schedule,
    /// Views that PCA is fitted on.
    pub pca_views: usize,
    /// What whitening adds to every variance, relative to their mean.
    pub pca_shrink: f32,
    /// Training corpus.
    pub corpus: CorpusOptions,
    /// Validation corpus.
    pub validation: CorpusOptions,
    /// Queries of a validation.
    pub queries: usize,
    /// Videos of a validation that are no copies of a query.
    pub distractors: usize,
    /// Region vectors that ITQ is fitted on.
    pub itq_vectors: usize,
    /// Pools of pairs.
    pub pools: PoolOptions,
    /// Teacher.
    pub teacher: FinePlan,
    /// S^f_A of each iteration: the first learns from the teacher, later ones from the one before.
    pub iterations: usize,
    /// S^f_A.
    pub fine_attention: FinePlan,
    /// S^f_B.
    pub fine_binary: FinePlan,
    /// The direct paths of all fine networks.
    pub direct: DirectOptions,
    /// S^c.
    pub coarse: CoarseOptions,
    /// Its schedule.
    pub coarse_schedule: Schedule,
    /// Pairs for SN.
    pub selector_pools: PoolOptions,
    /// SN.
    pub selector: SelectorOptions,
    /// Its schedule.
    pub selector_schedule: Schedule,
}

impl Default for Recipe {
    fn default() -> Self {
        let schedule =
            |steps, lr, every, seed| Schedule { steps, lr, validate_every: every, seed, ..Schedule::default() };
        let fine = |objective, regulariser, schedule| FinePlan {
            options: FineOptions {
                objective,
                anchors: 16,
                frames: 16,
                noise: 0.4,
                shorten: 0.5,
                regulariser,
                ..FineOptions::default()
            },
            schedule,
        };
        Self {
            backbone: BackboneOptions { sides: vec![(0, 64), (46_000, 112)], ..BackboneOptions::default() },
            backbone_schedule: Schedule { weight_decay: 1e-3, clip: 0.0, ..schedule(50_000, 2e-3, 1000, 11) },
            pca_views: 4000,
            pca_shrink: 0.0,
            corpus: CorpusOptions {
                sources: 1000,
                copies: 5,
                real_copies: 0,
                procedural: 0.3,
                scenes: 0.15,
                takes: true,
                ..CorpusOptions::default()
            },
            validation: CorpusOptions {
                sources: 150,
                copies: 6,
                real_copies: 12,
                scenes: 0.15,
                takes: true,
                seed: 8,
                ..CorpusOptions::default()
            },
            queries: 50,
            distractors: 300,
            itq_vectors: 200_000,
            pools: PoolOptions::default(),
            // Wider margins and faster rates end below the start on new clips.
            teacher: fine(Objective::Triplet { margin: 0.1 }, 0.05, schedule(400, 3e-5, 100, 2)),
            iterations: 1,
            fine_attention: fine(Objective::Distill, 1e-3, schedule(200, 3e-5, 100, 3)),
            fine_binary: fine(Objective::Distill, 1e-3, schedule(400, 1e-4, 100, 4)),
            direct: DirectOptions::default(),
            coarse: CoarseOptions { anchors: 48, frames: 16, contrast: 1.0, noise: 0.4, ..CoarseOptions::default() },
            coarse_schedule: schedule(750, 3e-4, 125, 5),
            selector_pools: PoolOptions { hard: 16, random: 64, seed: 4 },
            selector: SelectorOptions { frames: 16, ..SelectorOptions::default() },
            selector_schedule: schedule(800, 1e-3, 200, 6),
        }
    }
}

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The backbone.
    Backbone,
    /// PCA-whitening.
    Pca,
    /// Video tensors of both corpora.
    Features,
    /// The start of the binary layer.
    Itq,
    /// T.
    Teacher,
    /// S^f_A, all iterations.
    FineAttention,
    /// S^f_B.
    FineBinary,
    /// S^c.
    Coarse,
    /// SN.
    Selector,
    /// Calibration; everything is there for a bundle.
    Calibration,
}

/// What one stage took and measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Seconds in this run; 0 where the stage was done already.
    pub seconds: f64,
    /// Seconds of training in all runs, where the stage trains.
    pub trained_seconds: f64,
    /// Largest resident memory of the process so far, bytes; 0 where the system does not tell.
    pub peak_bytes: u64,
    /// Figures at the end.
    pub values: Values,
}

/// What the whole recipe measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Every stage.
    pub stages: BTreeMap<String, StageReport>,
    /// Plain uses of the same descriptors on the validation corpus: mean vector, frame and region Chamfer.
    pub plain: BTreeMap<String, Values>,
}

/// Peak resident memory of this process.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// A fine network as it is trained: direct paths are fitted afterwards.
fn without_direct(config: FineConfig) -> FineConfig {
    FineConfig { direct: false, ..config }
}

/// All trained networks.
#[derive(Debug)]
pub struct Networks {
    /// Backbone and whitening.
    pub extractor: Bundle,
    /// T.
    pub teacher: Parameters,
    /// S^f_A of the last iteration.
    pub fine_attention: Parameters,
    /// S^f_B.
    pub fine_binary: Parameters,
    /// S^c.
    pub coarse: Parameters,
    /// SN.
    pub selector: Parameters,
    /// Raw similarities to probabilities.
    pub calibration: Calibration,
}

struct Clock<'a> {
    report: &'a mut Report,
    began: Instant,
}

impl Clock<'_> {
    fn done(&mut self, stage: &str, trained: Option<&Trained>, values: Values) {
        let mut values = values;
        if let Some(t) = trained {
            let best = t.history.iter().max_by(|a, b| {
                let score = |p: &crate::run::Point| p.values.get("validation_score").copied().unwrap_or(f64::MIN);
                score(a).total_cmp(&score(b))
            });
            values.extend(best.map(|p| p.values.clone()).unwrap_or_default());
        }
        let entry = StageReport {
            seconds: self.began.elapsed().as_secs_f64(),
            trained_seconds: trained.and_then(|t| t.history.last()).map_or(0.0, |p| p.seconds),
            peak_bytes: peak_bytes(),
            values,
        };
        self.report.stages.insert(stage.to_owned(), entry);
        self.began = Instant::now();
    }
}

/// Carries the recipe out in the workshop's folder, up to the stage `until`; networks are given when all of it is done.
///
/// # Errors
/// [`TrainError`]; after [`TrainError::Cancelled`] the same call continues.
pub fn carry_out(
    shop: &Workshop,
    recipe: &Recipe,
    material: &Material,
    until: Stage,
    monitor: &mut dyn Monitor,
) -> Result<(Option<Networks>, Report), TrainError> {
    let mut report = Report::default();
    let mut clock = Clock { report: &mut report, began: Instant::now() };
    let extractor_bundle = if let Some(given) = shop.given_extractor()? {
        given
    } else {
        let backbone = shop.backbone(material, recipe.backbone.clone(), &recipe.backbone_schedule, monitor)?;
        clock.done("backbone", Some(&backbone), Values::new());
        if until == Stage::Backbone {
            return Ok((None, report));
        }
        shop.extractor(material, &backbone.parameters, recipe.pca_views, recipe.pca_shrink, monitor)?
    };
    let extractor = Extractor::new(shop.isa, &extractor_bundle).map_err(|e| TrainError::Network(e.to_string()))?;
    clock.done("pca", None, Values::new());
    if until == Stage::Pca {
        return Ok((None, report));
    }
    let train_set =
        shop.features("train", &material.scenes, &material.clips, recipe.corpus.clone(), &extractor, monitor)?;
    clock.done("features_train", None, count(&train_set));
    let held_out = shop.features(
        "validation",
        &material.held_out,
        &material.held_out_clips,
        recipe.validation.clone(),
        &extractor,
        monitor,
    )?;
    clock.done("features_validation", None, count(&held_out));
    let validation = Validation::new(&held_out, recipe.queries, recipe.distractors);
    clock.report.plain = validation.plain(shop.isa);
    for (name, values) in clock.report.plain.clone() {
        monitor.report(&Progress { stage: format!("plain {name}"), step: 1, steps: 1, values, seconds: 0.0 });
    }
    if until == Stage::Features {
        return Ok((None, report));
    }
    let given_binary = shop.given(Network::FineBinary)?;
    // The start of the binary layer is needed only where one is trained.
    let projection = given_binary.is_none().then(|| shop.itq(&train_set, recipe.itq_vectors)).transpose()?;
    clock.done("itq", None, Values::new());
    if until == Stage::Itq {
        return Ok((None, report));
    }

    let config = without_direct(shop.sizes.teacher());
    let teacher = if let Some(given) = shop.given(Network::Teacher)? {
        given
    } else {
        let labels = shop.pools("labels", &train_set, &recipe.pools, &material.labels, None)?;
        let start = init::fine(&config, None, recipe.teacher.schedule.seed);
        let trained =
            shop.fine("teacher", &config, start, &recipe.teacher, &train_set, &labels, &validation, monitor)?;
        clock.done("teacher", Some(&trained), Values::new());
        trained.parameters
    };
    if until == Stage::Teacher {
        return Ok((None, report));
    }

    let attention_config = without_direct(shop.sizes.fine_attention());
    let fine_attention = if let Some(given) = shop.given(Network::FineAttention)? {
        given
    } else {
        let mut master = shop.build_fine(&config, &teacher)?;
        let mut last = None;
        for iteration in 1..=recipe.iterations.max(1) {
            let name = format!("fine_attention_{iteration}");
            let pools = shop.pools(&name, &train_set, &recipe.pools, &[], Some(&master))?;
            let start = init::fine(&attention_config, None, recipe.fine_attention.schedule.seed + iteration as u64);
            let plan = &recipe.fine_attention;
            let student = shop.fine(&name, &attention_config, start, plan, &train_set, &pools, &validation, monitor)?;
            clock.done(&name, Some(&student), Values::new());
            master = shop.build_fine(&attention_config, &student.parameters)?;
            last = Some(student.parameters);
        }
        last.unwrap_or_default()
    };
    if until == Stage::FineAttention {
        return Ok((None, report));
    }

    let master = shop.build_fine(&attention_config, &fine_attention)?;
    let students = || shop.pools("students", &train_set, &recipe.pools, &[], Some(&master));
    let binary_config = without_direct(shop.sizes.fine_binary());
    let fine_binary = if let Some(given) = given_binary {
        given
    } else {
        let start = init::fine(&binary_config, projection.as_deref(), recipe.fine_binary.schedule.seed);
        let plan = &recipe.fine_binary;
        let student =
            shop.fine("fine_binary", &binary_config, start, plan, &train_set, &students()?, &validation, monitor)?;
        clock.done("fine_binary", Some(&student), Values::new());
        student.parameters
    };
    if until == Stage::FineBinary {
        return Ok((None, report));
    }

    let coarse_config = shop.sizes.coarse();
    let coarse = if let Some(given) = shop.given(Network::Coarse)? {
        given
    } else {
        let (options, schedule) = (&recipe.coarse, &recipe.coarse_schedule);
        let student =
            shop.coarse("coarse", &coarse_config, options, schedule, &train_set, &students()?, &validation, monitor)?;
        clock.done("coarse", Some(&student), Values::new());
        student.parameters
    };
    if until == Stage::Coarse {
        return Ok((None, report));
    }

    // Every fine network's direct path, then its output on the scale of the coarse cosines; the latter on held-out pairs, where
    // neither is better than it is.
    let s_c = shop.build_coarse(&coarse_config, &coarse)?;
    let held_pools = Pools::mine(shop.isa, &held_out, &PoolOptions { hard: 100, random: 200, seed: 3 });
    let scaled = |name: &str, config: &FineConfig, bare: &Parameters| -> Result<(Parameters, Fine), TrainError> {
        let mut parameters = bare.clone();
        if config.direct {
            shop.direct(name, config, &mut parameters, &recipe.direct, &train_set)?;
        }
        let pairs = shop.scored_pairs(&held_out, &held_pools, &shop.build_fine(config, &parameters)?, &s_c)?;
        let both: Vec<(f32, f32, bool)> = pairs
            .iter()
            .filter_map(|p| {
                let (a, b) = (&held_out.videos[p.query].info, &held_out.videos[p.target].info);
                let copy = a.source == b.source;
                (copy || a.unrelated(b)).then_some((p.coarse, p.fine, copy))
            })
            .collect();
        let (factor, offset) = one_scale(&both, config.direct)?;
        init::rescale(&mut parameters, factor, offset);
        let network = shop.build_fine(config, &parameters)?;
        Ok((parameters, network))
    };
    let (teacher, teacher_net) = scaled("teacher", &shop.sizes.teacher(), &teacher)?;
    let (fine_attention, attention_net) = scaled("fine_attention", &shop.sizes.fine_attention(), &fine_attention)?;
    let (fine_binary, fine) = scaled("fine_binary", &shop.sizes.fine_binary(), &fine_binary)?;
    for (name, network) in [("teacher", &teacher_net), ("fine_attention", &attention_net), ("fine_binary", &fine)] {
        let values = validation.fine(network)?;
        monitor.report(&Progress {
            stage: format!("direct {name}"),
            step: 1,
            steps: 1,
            values: values.clone(),
            seconds: 0.0,
        });
        clock.done(&format!("direct_{name}"), None, values);
    }

    // The selector learns where the coarse student's answers differ from S^f_B's: on pairs as an index has them, most of them
    // unrelated.
    let selector_pools = Pools::mine(shop.isa, &train_set, &recipe.selector_pools);
    let pairs = shop.scored_pairs(&train_set, &selector_pools, &fine, &s_c)?;
    let options = recipe.selector.of(shop.sizes.fine_binary().direct, &train_set, &pairs);
    let wrong = pairs.iter().filter(|p| options.is_wrong(p)).count();
    let selector = shop.selector("selector", &options, &recipe.selector_schedule, &train_set, &pairs, monitor)?;
    #[allow(clippy::cast_precision_loss)]
    let shares = [("pairs".to_owned(), pairs.len() as f64), ("wrong".to_owned(), wrong as f64)];
    clock.done("selector", Some(&selector), shares.into());
    if until == Stage::Selector {
        return Ok((None, report));
    }

    let held_pairs = shop.scored_pairs(&held_out, &held_pools, &fine, &s_c)?;
    let attention_pairs = shop.scored_pairs(&held_out, &held_pools, &attention_net, &s_c)?;
    let teacher_pairs = shop.scored_pairs(&held_out, &held_pools, &teacher_net, &s_c)?;
    // Every fourth video with itself: a copy beyond doubt, and the upper end of every curve.
    let identical = |network: &Fine| -> Result<Vec<f32>, TrainError> {
        let tensors = index_all(network, &held_out)?;
        tensors
            .iter()
            .step_by(4)
            .map(|t| network.similarity(t, t).map_err(|e| TrainError::Network(e.to_string())))
            .collect()
    };
    let curve =
        |pairs: &[ScoredPair], raw: &dyn Fn(&ScoredPair) -> f32, identical: Vec<f32>| -> Result<Curve, TrainError> {
            let mut all = labelled(&held_out, pairs, raw);
            all.extend(identical.into_iter().map(|raw| Labelled { raw, copy: true }));
            isotonic(&all)
        };
    let calibration = Calibration {
        coarse: Some(curve(&held_pairs, &|p| p.coarse, vec![1.0; held_out.videos.len().div_ceil(4)])?),
        fine_attention: Some(curve(&attention_pairs, &|p| p.fine, identical(&attention_net)?)?),
        fine_binary: Some(curve(&held_pairs, &|p| p.fine, identical(&fine)?)?),
        teacher: Some(curve(&teacher_pairs, &|p| p.fine, identical(&teacher_net)?)?),
        ..Calibration::default()
    };
    clock.done("calibration", None, Values::new());
    let networks = Networks {
        extractor: extractor_bundle,
        teacher,
        fine_attention,
        fine_binary,
        coarse,
        selector: selector.parameters,
        calibration,
    };
    Ok((Some(networks), report))
}

#[allow(clippy::cast_precision_loss)]
fn count(set: &FeatureSet) -> Values {
    let frames: usize = set.videos.iter().map(|v| v.frames).sum();
    [("videos".to_owned(), set.videos.len() as f64), ("frames".to_owned(), frames as f64)].into()
}

/// Pairs of a set with their labels; pairs that share a host are neither.
#[must_use]
pub fn labelled(set: &FeatureSet, pairs: &[ScoredPair], raw: &dyn Fn(&ScoredPair) -> f32) -> Vec<Labelled> {
    pairs
        .iter()
        .filter_map(|p| {
            let (a, b) = (&set.videos[p.query].info, &set.videos[p.target].info);
            let copy = a.source == b.source;
            (copy || a.unrelated(b)).then(|| Labelled { raw: raw(p), copy })
        })
        .collect()
}

/// The two files of the default bundle: what a browser loads (backbone, whitening, S^f_B, S^c, SN), and everything.
///
/// # Errors
/// [`TrainError::Network`].
pub fn bundles(
    shop: &Workshop,
    networks: &Networks,
    storage: Storage,
    licence: &str,
    provenance: &BTreeMap<String, String>,
) -> Result<[Bundle; 2], TrainError> {
    let wrong = |e: vidsieve_model::weights::WeightsError| TrainError::Network(e.to_string());
    let make = |whole: bool| -> Result<Bundle, TrainError> {
        let mut config = networks.extractor.config().clone();
        config.fine_binary = Some(shop.sizes.fine_binary());
        config.coarse = Some(shop.sizes.coarse());
        config.selector = Some(shop.sizes.selector());
        let mut calibration = networks.calibration.clone();
        if whole {
            config.fine_attention = Some(shop.sizes.fine_attention());
            config.teacher = Some(shop.sizes.teacher());
        } else {
            (calibration.fine_attention, calibration.teacher) = (None, None);
        }
        config.calibration = Some(calibration);
        let mut writer = BundleWriter::new(config, licence, provenance.clone());
        let absent = |e: vidsieve_model::bundle::BundleError| TrainError::Network(e.to_string());
        for network in [Network::Backbone, Network::Pca] {
            writer.add(network, &networks.extractor.weights(network).map_err(absent)?, storage).map_err(wrong)?;
        }
        let mut parts = vec![
            (Network::FineBinary, &networks.fine_binary),
            (Network::Coarse, &networks.coarse),
            (Network::Selector, &networks.selector),
        ];
        if whole {
            parts.extend([(Network::FineAttention, &networks.fine_attention), (Network::Teacher, &networks.teacher)]);
        }
        for (network, parameters) in parts {
            writer.add(network, &parameters.to_state("trained.").map_err(wrong)?, storage).map_err(wrong)?;
        }
        writer.finish().map_err(|e| TrainError::Network(e.to_string()))
    };
    Ok([make(false)?, make(true)?])
}

/// Writes the report of a recipe.
///
/// # Errors
/// [`TrainError::File`].
pub fn save_report(shop: &Workshop, recipe: &Recipe, report: &Report) -> Result<(), TrainError> {
    let path = shop.path("report.json");
    let text =
        serde_json::to_vec_pretty(&serde_json::json!({ "recipe": recipe, "sizes": shop.sizes, "report": report }))
            .map_err(|e| TrainError::File { path: path.clone(), reason: e.to_string() })?;
    write_atomically(&path, &text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Recipe;

    /// What `models/recipe.json` says of the default bundle is what the default recipe does: `train-default` makes that bundle.
    #[test]
    fn the_default_bundle_is_made_by_the_default_recipe() {
        let shipped: Recipe = serde_json::from_str(include_str!("../../../models/recipe.json")).unwrap();
        assert_eq!(shipped, Recipe::default());
    }
}
