//! All stages of a recipe in their order.

use std::time::Instant;

use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::calibration::{Calibration, Curve};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::FineConfig;
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::Fine;

use super::output::{Networks, RecipeReport, StageReport, peak_bytes};
use super::settings::{Recipe, RecipeStage};
use super::students::{FinePlan, FineStart, ScoredPairs, TrainingSets, scored_pairs, without_direct};
use super::workshop::Workshop;
use crate::TrainError;
use crate::data::features::FeatureSet;
use crate::data::material::Material;
use crate::data::pools::{PoolOptions, Pools};
use crate::learners::calibrate::{Labelled, isotonic, one_scale};
use crate::learners::run::{Point, Trained, Values};
use crate::learners::selector::ScoredPair;
use crate::monitor::{Monitor, Progress};
use crate::networks::init;
use crate::networks::parameters::Parameters;
use crate::stage::{Keyed, StageKey};

/// Pairs that answers are put on one scale by, and that curves are fitted to, from the validation
/// corpus.
const HELD_POOLS: PoolOptions = PoolOptions { hard: 100, random: 200, seed: 3 };
/// One in so many validation videos is compared with itself: a copy beyond doubt.
const IDENTICAL: usize = 4;

/// Why a run ends before its last stage.
enum Halt {
    /// The stage that was asked for is done.
    Done,
    /// A stage failed.
    Failed(Box<TrainError>),
}

impl<E: Into<TrainError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// Carries the recipe out in the workshop's folder, up to the stage `until`; networks are given
/// when all of it is done.
///
/// # Errors
/// [`TrainError`]; after [`TrainError::Cancelled`] the same call continues.
pub fn carry_out(
    shop: &Workshop,
    recipe: &Recipe,
    material: &Material,
    until: RecipeStage,
    monitor: &mut dyn Monitor,
) -> Result<(Option<Networks>, RecipeReport), TrainError> {
    let clock = Clock { report: RecipeReport::default(), began: Instant::now() };
    let mut run = Run { shop, recipe, material, until, monitor, clock };
    match run.all() {
        Ok(networks) => Ok((Some(networks), run.clock.report)),
        Err(Halt::Done) => Ok((None, run.clock.report)),
        Err(Halt::Failed(error)) => Err(*error),
    }
}

struct Clock {
    report: RecipeReport,
    began: Instant,
}

impl Clock {
    fn done(&mut self, stage: &str, trained: Option<&Trained>, values: Values) {
        let mut values = values;
        if let Some(t) = trained {
            let best = t.history.iter().max_by(|a, b| {
                let score = |p: &Point| p.values.get("validation_score").copied().unwrap_or(f64::MIN);
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

/// A recipe that is carried out.
struct Run<'a> {
    shop: &'a Workshop,
    recipe: &'a Recipe,
    material: &'a Material,
    until: RecipeStage,
    monitor: &'a mut dyn Monitor,
    clock: Clock,
}

/// A fine network with its direct path, its answers on the scale of the coarse cosines.
struct Scaled {
    parameters: Parameters,
    network: Keyed<Fine>,
}

/// The fine networks before their direct paths are fitted.
struct Bare {
    teacher: Keyed<Parameters>,
    fine_attention: Keyed<Parameters>,
    fine_binary: Keyed<Parameters>,
}

/// The parameters of a trained network, and their key.
fn parameters(trained: Keyed<Trained>) -> Keyed<Parameters> {
    Keyed { value: trained.value.parameters, key: trained.key }
}

impl Run<'_> {
    /// Ends the run after the stage that was asked for.
    fn reached(&self, stage: RecipeStage) -> Result<(), Halt> {
        if self.until == stage { Err(Halt::Done) } else { Ok(()) }
    }

    fn all(&mut self) -> Result<Networks, Halt> {
        let (shop, recipe) = (self.shop, self.recipe);
        let extractor = self.extractor()?;
        let (train, held_out) = self.corpora(&extractor)?;
        let sets = TrainingSets::new(&train, &held_out, recipe.queries, recipe.distractors);
        self.plain(&sets)?;
        self.reached(RecipeStage::Features)?;

        let projection = self.projection(&train)?;
        let teacher = self.teacher(&sets)?;
        let fine_attention = self.fine_attention(&sets, &teacher)?;
        let master = Keyed {
            value: shop.build_fine(&without_direct(&shop.sizes.fine_attention()), &fine_attention.value)?,
            key: fine_attention.key.clone(),
        };
        let fine_binary = self.fine_binary(&sets, &master, projection.as_ref())?;
        let coarse = self.coarse(&sets, &master)?;
        let bare = Bare { teacher, fine_attention, fine_binary };

        let s_c = Keyed { value: shop.build_coarse(&shop.sizes.coarse(), &coarse.value)?, key: coarse.key.clone() };
        let held_pools = Pools::mine(shop.isa, &held_out.value, &HELD_POOLS);
        let held = HeldOut { set: &held_out, pools: &held_pools, coarse: &s_c };
        let [teacher, fine_attention, fine_binary] = self.scaled(&sets, &held, &bare)?;
        let selector = self.selector(&sets, &held, &fine_binary)?;
        let calibration = self.calibration(&held, [&teacher, &fine_attention, &fine_binary])?;
        Ok(Networks {
            extractor: extractor.value,
            teacher: teacher.parameters,
            fine_attention: fine_attention.parameters,
            fine_binary: fine_binary.parameters,
            coarse: coarse.value,
            selector: selector.parameters,
            calibration,
        })
    }

    /// The given bundle's extractor, or a trained one.
    fn extractor(&mut self) -> Result<Keyed<Bundle>, Halt> {
        let (shop, recipe) = (self.shop, self.recipe);
        let extractor = if let Some(given) = shop.given_extractor()? {
            given
        } else {
            let (options, schedule) = (recipe.backbone.clone(), &recipe.backbone_schedule);
            let backbone = shop.backbone(self.material, options, schedule, self.monitor)?;
            self.clock.done("backbone", Some(&backbone.value), Values::new());
            self.reached(RecipeStage::Backbone)?;
            shop.extractor(self.material, &backbone, recipe.pca_views, recipe.pca_shrink, self.monitor)?
        };
        self.clock.done("pca", None, Values::new());
        self.reached(RecipeStage::Pca)?;
        Ok(extractor)
    }

    /// Video tensors of the training and the validation corpus.
    fn corpora(&mut self, bundle: &Keyed<Bundle>) -> Result<(Keyed<FeatureSet>, Keyed<FeatureSet>), Halt> {
        let (shop, material) = (self.shop, self.material);
        let extractor = Keyed { value: Extractor::new(shop.isa, &bundle.value)?, key: bundle.key.clone() };
        let mut features = |prefix: &str, stills, clips, options, monitor: &mut dyn Monitor| {
            let set = shop.features(prefix, stills, clips, options, &extractor, monitor)?;
            self.clock.done(&format!("features_{prefix}"), None, count(&set.value));
            Ok::<_, TrainError>(set)
        };
        let corpus = self.recipe.corpus.clone();
        let train = features("train", &material.scenes[..], &material.clips[..], corpus, self.monitor)?;
        let corpus = self.recipe.validation.clone();
        let held_out =
            features("validation", &material.held_out[..], &material.held_out_clips[..], corpus, self.monitor)?;
        Ok((train, held_out))
    }

    /// Figures of plain uses of the descriptors.
    fn plain(&mut self, sets: &TrainingSets<'_>) -> Result<(), Halt> {
        let plain = sets.validation.value.plain(self.shop.isa)?;
        for (name, values) in &plain {
            self.report(&format!("plain {name}"), values.clone());
        }
        self.clock.report.plain = plain;
        Ok(())
    }

    fn report(&mut self, stage: &str, values: Values) {
        self.monitor.report(&Progress { stage: stage.to_owned(), step: 1, steps: 1, values, seconds: 0.0 });
    }

    /// The start of the binary layer, which is needed only where one is trained.
    fn projection(&mut self, train: &Keyed<FeatureSet>) -> Result<Option<Keyed<Vec<f32>>>, Halt> {
        let needed = self.shop.given(Network::FineBinary)?.is_none();
        let projection = needed.then(|| self.shop.itq(train, self.recipe.itq_vectors, self.monitor)).transpose()?;
        self.clock.done("itq", None, Values::new());
        self.reached(RecipeStage::Itq)?;
        Ok(projection)
    }

    /// Trains a fine network without its direct path.
    #[allow(clippy::too_many_arguments)]
    fn fine(
        &mut self,
        name: &str,
        config: &FineConfig,
        start: FineStart<'_>,
        plan: &FinePlan,
        sets: &TrainingSets<'_>,
        pools: &Keyed<Pools>,
    ) -> Result<Keyed<Parameters>, Halt> {
        let trained = self.shop.fine(name, config, start, plan, sets, pools, self.monitor)?;
        self.clock.done(name, Some(&trained.value), Values::new());
        Ok(parameters(trained))
    }

    fn pools(
        &mut self,
        name: &str,
        sets: &TrainingSets<'_>,
        labels: &[[String; 2]],
        teacher: Option<&Keyed<Fine>>,
    ) -> Result<Keyed<Pools>, Halt> {
        Ok(self.shop.pools(name, sets.train, &self.recipe.pools, labels, teacher, self.monitor)?)
    }

    fn teacher(&mut self, sets: &TrainingSets<'_>) -> Result<Keyed<Parameters>, Halt> {
        let teacher = if let Some(given) = self.shop.given(Network::Teacher)? {
            given
        } else {
            let (config, plan) = (without_direct(&self.shop.sizes.teacher()), &self.recipe.teacher);
            let labels = self.pools("labels", sets, &self.material.labels, None)?;
            let start = FineStart { seed: plan.schedule.seed, projection: None };
            self.fine("teacher", &config, start, plan, sets, &labels)?
        };
        self.reached(RecipeStage::Teacher)?;
        Ok(teacher)
    }

    /// S^f_A of the last iteration: the first learns from the teacher, later ones from the one
    /// before.
    fn fine_attention(
        &mut self,
        sets: &TrainingSets<'_>,
        teacher: &Keyed<Parameters>,
    ) -> Result<Keyed<Parameters>, Halt> {
        let config = without_direct(&self.shop.sizes.fine_attention());
        let student = if let Some(given) = self.shop.given(Network::FineAttention)? {
            given
        } else {
            let plan = &self.recipe.fine_attention;
            let mut of_master = without_direct(&self.shop.sizes.teacher());
            let mut student = teacher.clone();
            for iteration in 1..=self.recipe.iterations.max(1) {
                let name = format!("fine_attention_{iteration}");
                let value = self.shop.build_fine(&of_master, &student.value)?;
                let master = Keyed { value, key: student.key.clone() };
                let pools = self.pools(&name, sets, &[], Some(&master))?;
                let start = FineStart { seed: plan.schedule.seed + iteration as u64, projection: None };
                student = self.fine(&name, &config, start, plan, sets, &pools)?;
                of_master.clone_from(&config);
            }
            student
        };
        self.reached(RecipeStage::FineAttention)?;
        Ok(student)
    }

    fn fine_binary(
        &mut self,
        sets: &TrainingSets<'_>,
        master: &Keyed<Fine>,
        projection: Option<&Keyed<Vec<f32>>>,
    ) -> Result<Keyed<Parameters>, Halt> {
        let student = if let Some(given) = self.shop.given(Network::FineBinary)? {
            given
        } else {
            let (config, plan) = (without_direct(&self.shop.sizes.fine_binary()), &self.recipe.fine_binary);
            let pools = self.pools("students", sets, &[], Some(master))?;
            let start = FineStart { seed: plan.schedule.seed, projection };
            self.fine("fine_binary", &config, start, plan, sets, &pools)?
        };
        self.reached(RecipeStage::FineBinary)?;
        Ok(student)
    }

    fn coarse(&mut self, sets: &TrainingSets<'_>, master: &Keyed<Fine>) -> Result<Keyed<Parameters>, Halt> {
        let student = if let Some(given) = self.shop.given(Network::Coarse)? {
            given
        } else {
            let (config, recipe) = (self.shop.sizes.coarse(), self.recipe);
            let pools = self.pools("students", sets, &[], Some(master))?;
            let (options, schedule) = (&recipe.coarse, &recipe.coarse_schedule);
            let student = self.shop.coarse("coarse", &config, options, schedule, sets, &pools, self.monitor)?;
            self.clock.done("coarse", Some(&student.value), Values::new());
            parameters(student)
        };
        self.reached(RecipeStage::Coarse)?;
        Ok(student)
    }

    /// Every fine network with its direct path, then with its output on the scale of the coarse
    /// cosines; the latter on held-out pairs, where neither is better than it is. Teacher, S^f_A,
    /// S^f_B.
    fn scaled(&mut self, sets: &TrainingSets<'_>, held: &HeldOut<'_>, bare: &Bare) -> Result<[Scaled; 3], Halt> {
        let sizes = &self.shop.sizes;
        let all = [
            ("teacher", sizes.teacher(), &bare.teacher),
            ("fine_attention", sizes.fine_attention(), &bare.fine_attention),
            ("fine_binary", sizes.fine_binary(), &bare.fine_binary),
        ];
        let mut scaled = Vec::new();
        for (name, config, bare) in &all {
            scaled.push(self.one_scaled(name, config, bare, sets, held)?);
        }
        for ((name, ..), scaled) in all.iter().zip(&scaled) {
            let values = sets.validation.value.fine(&scaled.network.value)?;
            self.report(&format!("direct {name}"), values.clone());
            self.clock.done(&format!("direct_{name}"), None, values);
        }
        let scaled: Result<[Scaled; 3], _> = scaled.try_into();
        scaled.map_err(|_| TrainError::Network("there are three fine networks".into()).into())
    }

    fn one_scaled(
        &mut self,
        name: &str,
        config: &FineConfig,
        bare: &Keyed<Parameters>,
        sets: &TrainingSets<'_>,
        held: &HeldOut<'_>,
    ) -> Result<Scaled, Halt> {
        let (shop, set) = (self.shop, &held.set.value);
        let mut all = if config.direct {
            shop.direct(name, config, bare, &self.recipe.direct, sets.train, self.monitor)?
        } else {
            bare.clone()
        };
        let pairs = scored_pairs(set, held.pools, &shop.build_fine(config, &all.value)?, &held.coarse.value)?;
        let both: Vec<(f32, f32, bool)> = pairs
            .iter()
            .filter_map(|p| {
                let (a, b) = (&set.videos[p.query].info, &set.videos[p.target].info);
                let copy = a.source == b.source;
                (copy || a.unrelated(b)).then_some((p.coarse, p.fine, copy))
            })
            .collect();
        let (factor, offset) = one_scale(&both, config.direct)?;
        init::rescale(&mut all.value, factor, offset);
        // The scale follows from the coarse student and the held-out corpus.
        all.key = StageKey::joined([all.key.as_str(), held.coarse.key.as_str(), held.set.key.as_str()]);
        let network = Keyed { value: shop.build_fine(config, &all.value)?, key: all.key };
        Ok(Scaled { parameters: all.value, network })
    }

    /// The selector learns where the coarse student's answers differ from S^f_B's: on pairs as an
    /// index has them, most of them unrelated.
    fn selector(&mut self, sets: &TrainingSets<'_>, held: &HeldOut<'_>, fine: &Scaled) -> Result<Trained, Halt> {
        let (shop, recipe, train) = (self.shop, self.recipe, sets.train);
        let pairs = ScoredPairs::new(shop, train, &recipe.selector_pools, &fine.network, held.coarse)?;
        let options = recipe.selector.of(shop.sizes.fine_binary().direct, &train.value, &pairs.pairs);
        let wrong = pairs.pairs.iter().filter(|p| options.is_wrong(p)).count();
        let schedule = &recipe.selector_schedule;
        let selector = shop.selector("selector", &options, schedule, train, &pairs, self.monitor)?.value;
        #[allow(clippy::cast_precision_loss)]
        let shares = [("pairs".to_owned(), pairs.pairs.len() as f64), ("wrong".to_owned(), wrong as f64)];
        self.clock.done("selector", Some(&selector), shares.into());
        self.reached(RecipeStage::Selector)?;
        Ok(selector)
    }

    /// Curves of all networks on held-out pairs; the fine ones are teacher, S^f_A, S^f_B.
    fn calibration(&mut self, held: &HeldOut<'_>, fine: [&Scaled; 3]) -> Result<Calibration, Halt> {
        let set = &held.set.value;
        let [teacher, fine_attention, fine_binary] = fine.map(|scaled| &scaled.network.value);
        let pairs = |network: &Fine| scored_pairs(set, held.pools, network, &held.coarse.value);
        let curve = |pairs: &[ScoredPair], raw: &dyn Fn(&ScoredPair) -> f32, identical: Vec<f32>| {
            let mut all = labelled(set, pairs, raw);
            all.extend(identical.into_iter().map(|raw| Labelled { raw, copy: true }));
            isotonic(&all)
        };
        let of_fine = |network: &Fine, pairs: &[ScoredPair]| -> Result<Curve, TrainError> {
            // The upper end of the curve: videos with themselves.
            let tensors = set.indexed(network)?;
            let own = tensors.iter().step_by(IDENTICAL).map(|t| network.similarity(t, t));
            curve(pairs, &|p| p.fine, own.collect::<Result<_, _>>()?)
        };
        let binary_pairs = pairs(fine_binary)?;
        let certain = vec![1.0; set.videos.len().div_ceil(IDENTICAL)];
        let calibration = Calibration {
            coarse: Some(curve(&binary_pairs, &|p| p.coarse, certain)?),
            fine_attention: Some(of_fine(fine_attention, &pairs(fine_attention)?)?),
            fine_binary: Some(of_fine(fine_binary, &binary_pairs)?),
            teacher: Some(of_fine(teacher, &pairs(teacher)?)?),
            ..Calibration::default()
        };
        self.clock.done("calibration", None, Values::new());
        Ok(calibration)
    }
}

/// The validation corpus with its pairs, and the coarse student that compares them.
struct HeldOut<'a> {
    set: &'a Keyed<FeatureSet>,
    pools: &'a Pools,
    coarse: &'a Keyed<Coarse>,
}

#[allow(clippy::cast_precision_loss)]
fn count(set: &FeatureSet) -> Values {
    let frames: usize = set.videos.iter().map(|v| v.frames).sum();
    [("videos".to_owned(), set.videos.len() as f64), ("frames".to_owned(), frames as f64)].into()
}

/// Pairs of a set with their labels; pairs that share a host are neither.
fn labelled(set: &FeatureSet, pairs: &[ScoredPair], raw: &dyn Fn(&ScoredPair) -> f32) -> Vec<Labelled> {
    pairs
        .iter()
        .filter_map(|p| {
            let (a, b) = (&set.videos[p.query].info, &set.videos[p.target].info);
            let copy = a.source == b.source;
            (copy || a.unrelated(b)).then(|| Labelled { raw: raw(p), copy })
        })
        .collect()
}
