//! Stages that compare videos: pools of pairs, teacher, students, direct paths, selector.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::{CoarseConfig, FineConfig};
use vidsieve_model::direct::{evidence_len, of_channels};
use vidsieve_model::fine::Fine;
use vidsieve_model::math::dot;

use super::workshop::Workshop;
use crate::TrainError;
use crate::checkpoint;
use crate::data::features::FeatureSet;
use crate::data::pools::{PoolOptions, Pools};
use crate::learners::coarse::{CoarseLearner, CoarseOptions};
use crate::learners::direct::{self, DirectOptions};
use crate::learners::fine::{FineLearner, FineOptions};
use crate::learners::run::{Schedule, Trained, train};
use crate::learners::selector::{ScoredPair, SelectorLearner, SelectorOptions};
use crate::learners::validation::Validation;
use crate::monitor::Monitor;
use crate::networks::init;
use crate::networks::nets::{CoarseNet, FineNet, SelectorNet};
use crate::networks::parameters::Parameters;
use crate::stage::{Keyed, StageKey, TrainingStage};

/// Versions of the stages' code.
const POOLS: u32 = 1;
const FINE: u32 = 1;
const DIRECT: u32 = 2;
const COARSE: u32 = 1;
const SELECTOR: u32 = 1;

/// How a fine student is trained, beside its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinePlan {
    /// Settings.
    pub options: FineOptions,
    /// Schedule.
    pub schedule: Schedule,
}

/// Where the training of a fine network starts.
#[derive(Debug, Clone, Copy)]
pub struct FineStart<'a> {
    /// Seed of the weights.
    pub seed: u64,
    /// The start of the binary layer.
    pub projection: Option<&'a Keyed<Vec<f32>>>,
}

/// What students are trained and validated on.
#[derive(Debug)]
pub struct TrainingSets<'a> {
    /// Training videos.
    pub train: &'a Keyed<FeatureSet>,
    /// Validation videos.
    pub validation: Keyed<Validation<'a>>,
}

impl<'a> TrainingSets<'a> {
    /// A training set, and a validation of so many queries and other videos ([`Validation::new`]).
    #[must_use]
    pub fn new(
        train: &'a Keyed<FeatureSet>,
        held_out: &'a Keyed<FeatureSet>,
        queries: usize,
        distractors: usize,
    ) -> Self {
        let value = Validation::new(&held_out.value, queries, distractors);
        let key = StageKey::joined([held_out.key.as_str(), &queries.to_string(), &distractors.to_string()]);
        Self { train, validation: Keyed { value, key } }
    }
}

/// Pairs that a selector learns from, scored by both students, and what they were scored with.
#[derive(Debug, Clone)]
pub struct ScoredPairs {
    /// The pairs.
    pub pairs: Vec<ScoredPair>,
    pools: PoolOptions,
    fine: StageKey,
    coarse: StageKey,
}

impl ScoredPairs {
    /// Scores the pairs of a set's pools.
    ///
    /// # Errors
    /// [`TrainError::Input`] when a network does not take the set's tensors.
    pub fn new(
        shop: &Workshop,
        set: &Keyed<FeatureSet>,
        pools: &PoolOptions,
        fine: &Keyed<Fine>,
        coarse: &Keyed<Coarse>,
    ) -> Result<Self, TrainError> {
        let mined = Pools::mine(shop.isa, &set.value, pools);
        Ok(Self {
            pairs: scored_pairs(&set.value, &mined, &fine.value, &coarse.value)?,
            pools: pools.clone(),
            fine: fine.key.clone(),
            coarse: coarse.key.clone(),
        })
    }
}

impl Workshop {
    /// Pools of a set with the similarities of `teacher`, or labels without one; `labels` are
    /// copies that the user knows ([`Pools::mine_labelled`]).
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn pools(
        &self,
        name: &str,
        set: &Keyed<FeatureSet>,
        options: &PoolOptions,
        labels: &[[String; 2]],
        teacher: Option<&Keyed<Fine>>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Pools>, TrainError> {
        let name = format!("pools-{name}");
        let mut stage = TrainingStage::new(&self.folder, &name, POOLS)
            .setting("options", &options)?
            .setting("labels", &labels)?
            .input("features", &set.key)
            .file(&format!("{name}.json"));
        if let Some(teacher) = teacher {
            stage = stage.input("teacher", &teacher.key);
        }
        let set = &set.value;
        stage.run(
            monitor,
            |path| Pools::load(path, set.videos.len()),
            |path, _| {
                let mut pools = if labels.is_empty() {
                    Pools::mine(self.isa, set, options)
                } else {
                    Pools::mine_labelled(self.isa, set, options, labels)?
                };
                if pools.anchors.is_empty() {
                    return Err(TrainError::Data("no video of the set has a copy: nothing to train on".into()));
                }
                if let Some(teacher) = teacher {
                    pools.score(&teacher.value, set)?;
                }
                pools.save(path)?;
                Ok(pools)
            },
        )
    }

    /// Trains a fine network under the name `name` (of its checkpoint).
    ///
    /// # Errors
    /// [`TrainError`].
    #[allow(clippy::too_many_arguments)]
    pub fn fine(
        &self,
        name: &str,
        config: &FineConfig,
        start: FineStart<'_>,
        plan: &FinePlan,
        sets: &TrainingSets<'_>,
        pools: &Keyed<Pools>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Trained>, TrainError> {
        let mut stage = TrainingStage::new(&self.folder, name, FINE)
            .setting("network", &config)?
            .setting("seed", &start.seed)?
            .setting("plan", &plan)?
            .input("features", &sets.train.key)
            .input("pools", &pools.key)
            .input("validation", &sets.validation.key);
        if let Some(projection) = start.projection {
            stage = stage.input("itq", &projection.key);
        }
        let mut net = FineNet::new(config.clone());
        net.erf_denominator = plan.options.erf_denominator;
        let mut learner = FineLearner {
            net,
            options: plan.options.clone(),
            set: &sets.train.value,
            pools: &pools.value,
            validation: &sets.validation.value,
            device: self.device.clone(),
            isa: self.isa,
        };
        let start = init::fine(config, start.projection.map(|p| p.value.as_slice()), start.seed);
        train(&stage, &plan.schedule, start, &mut learner, monitor)
    }

    /// The parameters of a fine network with the direct path that is fitted on the pairs of a set,
    /// kept in a file under the name `direct_<name>`.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn direct(
        &self,
        name: &str,
        config: &FineConfig,
        bare: &Keyed<Parameters>,
        options: &DirectOptions,
        set: &Keyed<FeatureSet>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Parameters>, TrainError> {
        let channels = config.channel_count();
        let stage = TrainingStage::new(&self.folder, &format!("direct_{name}"), DIRECT)
            .setting("network", &config)?
            .setting("options", &options)?
            .setting("evidence", &evidence_len(channels))?
            .input("network", &bare.key)
            .input("features", &set.key);
        let load = |path: &std::path::Path| Ok(checkpoint::load::<()>(path)?.1);
        let path = stage.run(monitor, load, |path, _| {
            let network = self.build_fine(&without_direct(config), &bare.value)?;
            let lists = direct::lists(self.isa, &network, &set.value, options)?;
            let fitted = direct::fit(&lists, &of_channels(channels), options.regulariser)?;
            let mut tensors = Parameters::new();
            let hypotheses = fitted.bias.len();
            tensors.insert("direct.weight", &[hypotheses, evidence_len(channels)], fitted.weights);
            tensors.insert("direct.bias", &[hypotheses], fitted.bias);
            tensors.insert("direct.scale", &[2], fitted.scale.to_vec());
            checkpoint::save(path, &(), &tensors)?;
            Ok(tensors)
        })?;
        let mut value = bare.value.clone();
        path.value.iter().for_each(|(name, t)| value.insert(name, &t.shape, t.data.clone()));
        Ok(Keyed { value, key: path.key })
    }

    /// Trains the coarse student under the name `name`.
    ///
    /// # Errors
    /// [`TrainError`].
    #[allow(clippy::too_many_arguments)]
    pub fn coarse(
        &self,
        name: &str,
        config: &CoarseConfig,
        options: &CoarseOptions,
        schedule: &Schedule,
        sets: &TrainingSets<'_>,
        pools: &Keyed<Pools>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Trained>, TrainError> {
        let stage = TrainingStage::new(&self.folder, name, COARSE)
            .setting("network", &config)?
            .setting("options", &options)?
            .setting("schedule", &schedule)?
            .input("features", &sets.train.key)
            .input("pools", &pools.key)
            .input("validation", &sets.validation.key);
        let mut learner = CoarseLearner {
            net: CoarseNet { config: *config },
            options: options.clone(),
            set: &sets.train.value,
            pools: &pools.value,
            validation: &sets.validation.value,
            device: self.device.clone(),
            isa: self.isa,
        };
        train(&stage, schedule, init::coarse(config, schedule.seed), &mut learner, monitor)
    }

    /// Trains the selector under the name `name`.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn selector(
        &self,
        name: &str,
        options: &SelectorOptions,
        schedule: &Schedule,
        set: &Keyed<FeatureSet>,
        pairs: &ScoredPairs,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Trained>, TrainError> {
        let config = self.sizes.selector();
        let stage = TrainingStage::new(&self.folder, name, SELECTOR)
            .setting("network", &config)?
            .setting("options", &options)?
            .setting("schedule", &schedule)?
            .setting("pools", &pairs.pools)?
            .input("features", &set.key)
            .input("fine", &pairs.fine)
            .input("coarse", &pairs.coarse);
        let start = init::selector(&config, schedule.seed);
        let net = SelectorNet { config };
        let (device, isa) = (self.device.clone(), self.isa);
        let mut learner = SelectorLearner::new(net, options.clone(), &set.value, &pairs.pairs, device, isa)?;
        train(&stage, schedule, start, &mut learner, monitor)
    }
}

/// A fine network as it is trained: direct paths are fitted afterwards.
#[must_use]
pub fn without_direct(config: &FineConfig) -> FineConfig {
    FineConfig { direct: false, ..config.clone() }
}

/// Scores of both students for pairs of a set: every anchor of the pools with all its members.
///
/// # Errors
/// [`TrainError`].
pub(super) fn scored_pairs(
    set: &FeatureSet,
    pools: &Pools,
    fine: &Fine,
    coarse: &Coarse,
) -> Result<Vec<ScoredPair>, TrainError> {
    let tensors = set.indexed(fine)?;
    let vectors = (0..set.videos.len())
        .into_par_iter()
        .map(|v| Ok(coarse.index(set.tensor(v).view())?))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let pairs = pools
        .anchors
        .par_iter()
        .map(|anchor| {
            let members = anchor.positives.iter().chain(&anchor.negatives);
            let scored = members.map(|m| {
                let fine = fine.similarity(&tensors[anchor.video], &tensors[m.video])?;
                let coarse = dot(&vectors[anchor.video], &vectors[m.video]);
                Ok(ScoredPair { query: anchor.video, target: m.video, coarse, fine })
            });
            scored.collect::<Result<Vec<_>, TrainError>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(pairs.concat())
}
