//! Ablations on a working folder's corpora: one thing is changed, everything else stays, every run is as short as the others. Each run
//! is a checkpoint of its own (`ablation-<name>`), so that an interrupted study continues.

use serde::{Deserialize, Serialize};

use vidsieve_model::config::{CoarseConfig, NetVladConfig};
use vidsieve_model::fine::Fine;

use crate::TrainError;
use crate::coarse::CoarseOptions;
use crate::features::FeatureSet;
use crate::fine::Objective;
use crate::init;
use crate::monitor::Monitor;
use crate::pipeline::{FinePlan, Workshop};
use crate::pools::{PoolOptions, Pools};
use crate::recipe::Recipe;
use crate::run::{Schedule, Trained};
use crate::selector::SelectorOptions;
use crate::validation::Validation;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Study {
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
pub struct Row {
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

impl Row {
    fn of(name: &str, trained: &Trained) -> Self {
        let at = |p: &crate::run::Point| p.values.get("validation_score").copied();
        Self {
            name: name.to_owned(),
            score: Some(trained.best),
            start: trained.history.first().and_then(at),
            seconds: trained.history.last().map_or(0.0, |p| p.seconds),
        }
    }
}

/// Both corpora and what is trained on them.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Files, devices, sizes; the networks that are not varied come from its given bundle.
    pub shop: &'a Workshop,
    /// Settings of everything that is not varied.
    pub recipe: &'a Recipe,
    /// Updates of each run.
    pub steps: u64,
    /// Training videos.
    pub train: &'a FeatureSet,
    /// Validation videos.
    pub validation: &'a Validation<'a>,
}

impl Bench<'_> {
    fn short(&self, schedule: &Schedule) -> Schedule {
        Schedule { steps: self.steps, validate_every: self.steps.div_ceil(2).max(1), ..schedule.clone() }
    }

    fn pools(&self, name: &str, teacher: Option<&Fine>) -> Result<Pools, TrainError> {
        self.shop.pools(&format!("ablation-{name}"), self.train, &self.recipe.pools, &[], teacher)
    }

    /// The rows of a study.
    ///
    /// # Errors
    /// [`TrainError`]; after [`TrainError::Cancelled`] the same call continues.
    pub fn run(&self, study: Study, teacher: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        match study {
            Study::Coarse => self.coarse(teacher, monitor),
            Study::Sizes => self.sizes(teacher, monitor),
            Study::Supervision => self.supervision(teacher, monitor),
            Study::Iterations => self.iterations(teacher, monitor),
            Study::Threshold => self.thresholds(teacher, monitor),
        }
    }

    fn one_coarse(
        &self,
        name: &str,
        config: &CoarseConfig,
        options: &CoarseOptions,
        pools: &Pools,
        monitor: &mut dyn Monitor,
    ) -> Result<Row, TrainError> {
        let schedule = self.short(&self.recipe.coarse_schedule);
        let file = format!("ablation-coarse-{}", name.replace([' ', ','], "-"));
        let trained =
            self.shop.coarse(&file, config, options, &schedule, self.train, pools, self.validation, monitor)?;
        Ok(Row::of(&format!("S^c, {name}"), &trained))
    }

    fn coarse(&self, teacher: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        let pools = self.pools("teacher", Some(teacher))?;
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
    fn sizes(&self, teacher: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        let pools = self.pools("teacher", Some(teacher))?;
        let whole = self.shop.sizes.coarse();
        let mut rows = Vec::new();
        for (clusters, output) in [(16, 128), (16, 256), (16, 512), (8, 256), (32, 256)] {
            let config = CoarseConfig { netvlad: Some(NetVladConfig { clusters, output }), ..whole };
            let name = format!("{clusters} clusters, {output} values");
            let weights = init::coarse(&config, 1).count();
            let row = self.one_coarse(&name, &config, &self.recipe.coarse, &pools, monitor)?;
            rows.push(Row { name: format!("{}, {} k weights", row.name, weights.div_ceil(1000)), ..row });
        }
        Ok(rows)
    }

    fn one_fine(
        &self,
        name: &str,
        objective: Objective,
        pools: &Pools,
        monitor: &mut dyn Monitor,
    ) -> Result<Trained, TrainError> {
        let config = vidsieve_model::config::FineConfig { direct: false, ..self.shop.sizes.fine_attention() };
        let plan = match objective {
            Objective::Distill => &self.recipe.fine_attention,
            Objective::Triplet { .. } => &self.recipe.teacher,
        };
        let mut options = plan.options.clone();
        options.objective = objective;
        let plan = FinePlan { options, schedule: self.short(&plan.schedule) };
        let start = init::fine(&config, None, plan.schedule.seed);
        let file = format!("ablation-fine-{name}");
        self.shop.fine(&file, &config, start, &plan, self.train, pools, self.validation, monitor)
    }

    fn supervision(&self, teacher: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        let labels = self.pools("labels", None)?;
        let taught = self.pools("teacher", Some(teacher))?;
        let margin = match self.recipe.teacher.options.objective {
            Objective::Triplet { margin } => margin,
            Objective::Distill => 0.1,
        };
        let direct = self.one_fine("labels", Objective::Triplet { margin }, &labels, monitor)?;
        let distilled = self.one_fine("distilled", Objective::Distill, &taught, monitor)?;
        let mut rows = vec![Row::of("S^f_A, labels (triplets)", &direct), Row::of("S^f_A, distilled", &distilled)];
        let config = self.shop.sizes.coarse();
        for (name, distillation, contrast) in
            [("distilled alone", 1.0, 0.0), ("labels alone (InfoNCE)", 0.0, 1.0), ("both", 1.0, 1.0)]
        {
            let options = CoarseOptions { distillation, contrast, ..self.recipe.coarse.clone() };
            rows.push(self.one_coarse(name, &config, &options, &taught, monitor)?);
        }
        Ok(rows)
    }

    fn iterations(&self, teacher: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        let figures = self.validation.fine(teacher)?;
        let score = figures.get("score").copied();
        let mut rows = vec![Row { name: "teacher".into(), score, start: score, seconds: 0.0 }];
        let config = vidsieve_model::config::FineConfig { direct: false, ..self.shop.sizes.fine_attention() };
        let mut last: Option<Fine> = None;
        for iteration in 0..3 {
            let name = format!("iteration-{iteration}");
            let pools = self.pools(&name, Some(last.as_ref().unwrap_or(teacher)))?;
            let trained = self.one_fine(&name, Objective::Distill, &pools, monitor)?;
            let from = if iteration == 0 { "the teacher".to_owned() } else { format!("iteration {}", iteration - 1) };
            rows.push(Row::of(&format!("S^f_A, iteration {iteration}, from {from}"), &trained));
            last = Some(self.shop.build_fine(&config, &trained.parameters)?);
        }
        Ok(rows)
    }

    /// SN at t = 0.1 to 0.6 for the given S^f_B and S^c.
    fn thresholds(&self, fine: &Fine, monitor: &mut dyn Monitor) -> Result<Vec<Row>, TrainError> {
        use vidsieve_model::bundle::Network;
        let parameters = self.shop.given(Network::Coarse)?;
        let parameters = parameters.ok_or_else(|| TrainError::Network("thresholds need a bundle with S^c".into()))?;
        let coarse = self.shop.build_coarse(&self.shop.sizes.coarse(), &parameters)?;
        let options: &PoolOptions = &self.recipe.selector_pools;
        let pools = Pools::mine(self.shop.isa, self.train, options);
        let pairs = self.shop.scored_pairs(self.train, &pools, fine, &coarse)?;
        let schedule = self.short(&self.recipe.selector_schedule);
        let base = self.recipe.selector.of(fine.config().direct, self.train, &pairs);
        let mut rows = Vec::new();
        for tenth in 1..=6u8 {
            let options = SelectorOptions { threshold: f32::from(tenth) / 10.0, ..base.clone() };
            let wrong = pairs.iter().filter(|p| options.is_wrong(p)).count();
            let name = format!("SN, t = 0.{tenth}, {wrong} of {} pairs wrong", pairs.len());
            if wrong < options.pairs || wrong + options.pairs > pairs.len() {
                rows.push(Row { name, score: None, start: None, seconds: 0.0 });
                continue;
            }
            let file = threshold_name(tenth);
            let trained = self.shop.selector(&file, &options, &schedule, self.train, &pairs, monitor)?;
            rows.push(Row::of(&name, &trained));
        }
        Ok(rows)
    }
}

/// The checkpoint of the selector at t = `tenth` / 10.
#[must_use]
pub fn threshold_name(tenth: u8) -> String {
    format!("ablation-selector-{tenth}")
}
