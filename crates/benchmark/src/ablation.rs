//! Ablations on a working folder's corpora: one thing is changed, everything else stays, every run is as short as the others. Each run
//! is a checkpoint of its own (`ablation-<name>`), so that an interrupted study continues.

use serde::{Deserialize, Serialize};

use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::config::{CoarseConfig, NetVladConfig};
use vidsieve_model::fine::Fine;
use vidsieve_train::TrainError;
use vidsieve_train::data::features::FeatureSet;
use vidsieve_train::data::pools::Pools;
use vidsieve_train::learners::coarse::CoarseOptions;
use vidsieve_train::learners::fine::Objective;
use vidsieve_train::learners::run::{Point, Schedule, Trained};
use vidsieve_train::learners::selector::SelectorOptions;
use vidsieve_train::monitor::Monitor;
use vidsieve_train::networks::init;
use vidsieve_train::recipe::{FinePlan, FineStart, Recipe, ScoredPairs, TrainingSets, Workshop, without_direct};
use vidsieve_train::stage::Keyed;

use crate::BenchmarkError;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AblationStudy {
    /// The modules of S^c.
    Coarse,
    /// The sizes of S^c: clusters and values of its vector.
    Sizes,
    /// What S^f_A and S^c learn from: a teacher, labels, both.
    Supervision,
    /// S^f_A that learn from the teacher, from that student, and from the next.
    Iterations,
    /// SN at several thresholds t.
    Threshold,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AblationRow {
    /// What was varied, and how.
    pub name: String,
    /// The figure of the best checkpoint: mAP on the validation corpus, or for SN the area under the ROC curve. None where there was too
    /// little to train on.
    pub score: Option<f64>,
    /// The figure before training.
    pub start: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
}

impl AblationRow {
    fn of(name: &str, trained: &Trained) -> Self {
        let at = |p: &Point| p.values.get("validation_score").copied();
        Self {
            name: name.to_owned(),
            score: Some(trained.best),
            start: trained.history.first().and_then(at),
            seconds: trained.history.last().map_or(0.0, |p| p.seconds),
        }
    }
}

impl AblationStudy {
    /// The network of the bundle that the study's runs learn from, or whose selector is studied.
    #[must_use]
    pub const fn network(self) -> Network {
        match self {
            Self::Coarse | Self::Sizes => Network::FineAttention,
            Self::Supervision | Self::Iterations => Network::Teacher,
            Self::Threshold => Network::FineBinary,
        }
    }
}

/// Both corpora of a working folder, as `train features` made them.
#[derive(Debug)]
pub struct AblationCorpora {
    train: Keyed<FeatureSet>,
    held_out: Keyed<FeatureSet>,
}

impl AblationCorpora {
    /// Reads the corpora of the shop's folder.
    ///
    /// # Errors
    /// [`BenchmarkError::Train`] where they are missing or incomplete.
    pub fn load(shop: &Workshop) -> Result<Self, BenchmarkError> {
        Ok(Self { train: shop.made_features("train")?, held_out: shop.made_features("validation")? })
    }

    /// How many videos runs are trained on.
    #[must_use]
    pub fn training_videos(&self) -> usize {
        self.train.value.videos.len()
    }
}

/// Studies on the corpora of a working folder.
#[derive(Debug)]
pub struct Ablation<'a> {
    shop: &'a Workshop,
    recipe: &'a Recipe,
    steps: u64,
    sets: TrainingSets<'a>,
}

impl<'a> Ablation<'a> {
    /// Studies with the files, devices and sizes of `shop`, whose given bundle has the networks
    /// that are not varied; `recipe` has the settings that are not varied, `steps` are the updates
    /// of each run.
    #[must_use]
    pub fn new(shop: &'a Workshop, recipe: &'a Recipe, corpora: &'a AblationCorpora, steps: u64) -> Self {
        let sets = TrainingSets::new(&corpora.train, &corpora.held_out, recipe.queries, recipe.distractors);
        Self { shop, recipe, steps, sets }
    }

    fn short(&self, schedule: &Schedule) -> Schedule {
        Schedule { steps: self.steps, validate_every: self.steps.div_ceil(2).max(1), ..schedule.clone() }
    }

    fn pools(
        &self,
        name: &str,
        teacher: Option<&Keyed<Fine>>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Pools>, TrainError> {
        let name = format!("ablation-{name}");
        self.shop.pools(&name, self.sets.train, &self.recipe.pools, &[], teacher, monitor)
    }

    /// The rows of a study with the networks of `bundle`, which is the shop's.
    ///
    /// # Errors
    /// [`BenchmarkError`]; after a cancelled run the same call continues.
    pub fn run(
        &self,
        study: AblationStudy,
        bundle: &Bundle,
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<AblationRow>, BenchmarkError> {
        let network = study.network();
        let fine = bundle.fine(self.shop.isa, network)?;
        let key = vidsieve_train::recipe::given_key(bundle, network);
        let teacher = Keyed { value: fine, key };
        Ok(match study {
            AblationStudy::Coarse => self.coarse(&teacher, monitor),
            AblationStudy::Sizes => self.sizes(&teacher, monitor),
            AblationStudy::Supervision => self.supervision(&teacher, monitor),
            AblationStudy::Iterations => self.iterations(&teacher, monitor),
            AblationStudy::Threshold => self.thresholds(&teacher, monitor),
        }?)
    }

    fn one_coarse(
        &self,
        name: &str,
        config: &CoarseConfig,
        options: &CoarseOptions,
        pools: &Keyed<Pools>,
        monitor: &mut dyn Monitor,
    ) -> Result<AblationRow, TrainError> {
        let schedule = self.short(&self.recipe.coarse_schedule);
        let file = format!("ablation-coarse-{}", name.replace([' ', ','], "-"));
        let trained = self.shop.coarse(&file, config, options, &schedule, &self.sets, pools, monitor)?;
        Ok(AblationRow::of(&format!("S^c, {name}"), &trained.value))
    }

    fn coarse(&self, teacher: &Keyed<Fine>, monitor: &mut dyn Monitor) -> Result<Vec<AblationRow>, TrainError> {
        let pools = self.pools("teacher", Some(teacher), monitor)?;
        let whole = self.shop.sizes.coarse();
        let parts = [
            ("attention, transformer, NetVLAD", whole),
            ("no attention", CoarseConfig { attention: false, ..whole }),
            ("no transformer", CoarseConfig { transformer: None, ..whole }),
            ("no NetVLAD", CoarseConfig { netvlad: None, ..whole }),
            ("attention alone", CoarseConfig { transformer: None, netvlad: None, ..whole }),
        ];
        parts.iter().map(|(name, config)| self.one_coarse(name, config, &self.recipe.coarse, &pools, monitor)).collect()
    }

    /// S^c of other sizes; the rows say how many weights each has.
    fn sizes(&self, teacher: &Keyed<Fine>, monitor: &mut dyn Monitor) -> Result<Vec<AblationRow>, TrainError> {
        let pools = self.pools("teacher", Some(teacher), monitor)?;
        let whole = self.shop.sizes.coarse();
        let mut rows = Vec::new();
        for (clusters, output) in [(16, 128), (16, 256), (16, 512), (8, 256), (32, 256)] {
            let config = CoarseConfig { netvlad: Some(NetVladConfig { clusters, output }), ..whole };
            let name = format!("{clusters} clusters, {output} values");
            let weights = init::coarse(&config, 1).count();
            let row = self.one_coarse(&name, &config, &self.recipe.coarse, &pools, monitor)?;
            rows.push(AblationRow { name: format!("{}, {} k weights", row.name, weights.div_ceil(1000)), ..row });
        }
        Ok(rows)
    }

    fn one_fine(
        &self,
        name: &str,
        objective: Objective,
        pools: &Keyed<Pools>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Trained>, TrainError> {
        let config = without_direct(&self.shop.sizes.fine_attention());
        let plan = match objective {
            Objective::Distill => &self.recipe.fine_attention,
            Objective::Triplet { .. } => &self.recipe.teacher,
        };
        let mut options = plan.options.clone();
        options.objective = objective;
        let plan = FinePlan { options, schedule: self.short(&plan.schedule) };
        let start = FineStart { seed: plan.schedule.seed, projection: None };
        self.shop.fine(&format!("ablation-fine-{name}"), &config, start, &plan, &self.sets, pools, monitor)
    }

    fn supervision(&self, teacher: &Keyed<Fine>, monitor: &mut dyn Monitor) -> Result<Vec<AblationRow>, TrainError> {
        let labels = self.pools("labels", None, monitor)?;
        let taught = self.pools("teacher", Some(teacher), monitor)?;
        let margin = match self.recipe.teacher.options.objective {
            Objective::Triplet { margin } => margin,
            Objective::Distill => 0.1,
        };
        let direct = self.one_fine("labels", Objective::Triplet { margin }, &labels, monitor)?;
        let distilled = self.one_fine("distilled", Objective::Distill, &taught, monitor)?;
        let mut rows = vec![
            AblationRow::of("S^f_A, labels (triplets)", &direct.value),
            AblationRow::of("S^f_A, distilled", &distilled.value),
        ];
        let config = self.shop.sizes.coarse();
        for (name, distillation, contrast) in
            [("distilled alone", 1.0, 0.0), ("labels alone (InfoNCE)", 0.0, 1.0), ("both", 1.0, 1.0)]
        {
            let options = CoarseOptions { distillation, contrast, ..self.recipe.coarse.clone() };
            rows.push(self.one_coarse(name, &config, &options, &taught, monitor)?);
        }
        Ok(rows)
    }

    fn iterations(&self, teacher: &Keyed<Fine>, monitor: &mut dyn Monitor) -> Result<Vec<AblationRow>, TrainError> {
        let figures = self.sets.validation.value.fine(&teacher.value)?;
        let score = figures.get("score").copied();
        let mut rows = vec![AblationRow { name: "teacher".into(), score, start: score, seconds: 0.0 }];
        let config = without_direct(&self.shop.sizes.fine_attention());
        let mut last: Option<Keyed<Fine>> = None;
        for iteration in 0..3 {
            let name = format!("iteration-{iteration}");
            let pools = self.pools(&name, Some(last.as_ref().unwrap_or(teacher)), monitor)?;
            let trained = self.one_fine(&name, Objective::Distill, &pools, monitor)?;
            let from = if iteration == 0 { "the teacher".to_owned() } else { format!("iteration {}", iteration - 1) };
            rows.push(AblationRow::of(&format!("S^f_A, iteration {iteration}, from {from}"), &trained.value));
            let value = self.shop.build_fine(&config, &trained.value.parameters)?;
            last = Some(Keyed { value, key: trained.key });
        }
        Ok(rows)
    }

    /// SN at t = 0.1 to 0.6 for the given S^f_B and S^c.
    fn thresholds(&self, fine: &Keyed<Fine>, monitor: &mut dyn Monitor) -> Result<Vec<AblationRow>, TrainError> {
        let given = self.shop.given(Network::Coarse)?;
        let given = given.ok_or_else(|| TrainError::Network("thresholds need a bundle with S^c".into()))?;
        let value = self.shop.build_coarse(&self.shop.sizes.coarse(), &given.value)?;
        let coarse = Keyed { value, key: given.key };
        let train = self.sets.train;
        let scored = ScoredPairs::new(self.shop, train, &self.recipe.selector_pools, fine, &coarse)?;
        let pairs = &scored.pairs;
        let schedule = self.short(&self.recipe.selector_schedule);
        let base = self.recipe.selector.of(fine.value.config().direct, &train.value, pairs);
        let mut rows = Vec::new();
        for tenth in 1..=6u8 {
            let options = SelectorOptions { threshold: f32::from(tenth) / 10.0, ..base.clone() };
            let wrong = pairs.iter().filter(|p| options.is_wrong(p)).count();
            let name = format!("SN, t = 0.{tenth}, {wrong} of {} pairs wrong", pairs.len());
            if wrong < options.pairs || wrong + options.pairs > pairs.len() {
                rows.push(AblationRow { name, score: None, start: None, seconds: 0.0 });
                continue;
            }
            let trained = self.shop.selector(&threshold_name(tenth), &options, &schedule, train, &scored, monitor)?;
            rows.push(AblationRow::of(&name, &trained.value));
        }
        Ok(rows)
    }
}

/// The checkpoint of the selector at t = `tenth` / 10.
#[must_use]
pub fn threshold_name(tenth: u8) -> String {
    format!("ablation-selector-{tenth}")
}
