//! The stages of training in order, each over files of one working folder: what is there already is used, what was interrupted
//! continues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_edits::views::{Strength, ViewConfig, ViewMaker};
use vidsieve_edits::{Image, generator};
use vidsieve_kernels::Isa;
use vidsieve_model::backbone::BackboneConfig;
use vidsieve_model::bundle::{Bundle, BundleWriter, Network, Storage};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::Config;
use vidsieve_model::direct::{evidence_len, of_channels};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::Fine;
use vidsieve_model::frames::RgbFrame;
use vidsieve_model::math::dot;
use vidsieve_model::weights::{StateDict, WeightsError};

use crate::TrainError;
use crate::backbone::LossConfig;
use crate::checkpoint::{read, write_atomically};
use crate::coarse::{CoarseLearner, CoarseOptions};
use crate::corpus::{Corpus, CorpusOptions, NamedClip};
use crate::defaults::Sizes;
use crate::direct::{self, DirectOptions};
use crate::features::FeatureSet;
use crate::fine::{FineLearner, FineOptions, index_all};
use crate::init;
use crate::linear::{Pca, itq};
use crate::monitor::{Monitor, Progress};
use crate::nets::{CoarseNet, FineNet, SelectorNet};
use crate::parameters::Parameters;
use crate::pools::{PoolOptions, Pools};
use crate::run::{Schedule, Trained, train};
use crate::selector::{ScoredPair, SelectorLearner, SelectorOptions};
use crate::self_supervised::{BackboneLearner, BackboneOptions, export};
use crate::validation::Validation;

/// What everything is trained on.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// Stills to train the backbone on, frames of the clips among them.
    pub stills: Vec<Arc<Image>>,
    /// Stills that clips are made of; none shows what a clip or another still shows.
    pub scenes: Vec<Arc<Image>>,
    /// Stills for validation.
    pub held_out: Vec<Arc<Image>>,
    /// Clips to train on.
    pub clips: Vec<NamedClip>,
    /// Clips for validation.
    pub held_out_clips: Vec<NamedClip>,
    /// Labelled copies among the clips to train on, by their names: the teacher learns from them besides the edited copies.
    pub labels: Vec<[String; 2]>,
}

impl Material {
    /// Adds `count` drawn stills, one in 16 held out.
    pub fn draw(&mut self, count: usize) {
        let drawn: Vec<Arc<Image>> = (0..count as u64)
            .into_par_iter()
            .map(|i| Arc::new(vidsieve_edits::procedural::still(&mut generator(&[0xD2A3, i]), 192, 144)))
            .collect();
        for (i, still) in drawn.into_iter().enumerate() {
            if i % 16 == 7 {
                self.held_out.push(still);
            } else {
                self.stills.push(Arc::clone(&still));
                self.scenes.push(still);
            }
        }
    }
}

/// A working folder and the instructions to work with.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The folder.
    pub folder: PathBuf,
    /// Instructions of everything but burn.
    pub isa: Isa,
    /// Device of burn, with autodiff.
    pub device: Device,
    /// Sizes of the networks.
    pub sizes: Sizes,
    /// A bundle whose networks are taken as they are instead of trained. Its selector and calibration are not: they belong to
    /// everything else.
    pub given: Option<Arc<Bundle>>,
    /// A bundle whose backbone the training of the backbone starts from, instead of from noise.
    pub start: Option<Arc<Bundle>>,
}

/// Cosine of mean region vectors from which two frames count as the same thing when nobody says so.
pub const SAME: f32 = 0.7;

fn weights(error: WeightsError) -> TrainError {
    TrainError::Network(error.to_string())
}

fn network(error: &dyn std::fmt::Display) -> TrainError {
    TrainError::Network(error.to_string())
}

/// How a fine student is trained, beside its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinePlan {
    /// Settings.
    pub options: FineOptions,
    /// Schedule.
    pub schedule: Schedule,
}

impl Workshop {
    /// A file of the working folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The network of the given bundle, where there is one.
    ///
    /// # Errors
    /// [`TrainError::Network`] for damaged weights.
    pub fn given(&self, wanted: Network) -> Result<Option<Parameters>, TrainError> {
        let bundle = self.given.as_ref().filter(|b| b.networks().any(|n| n == wanted));
        let state = bundle.map(|b| b.weights(wanted)).transpose().map_err(|e| network(&e))?;
        Ok(state.map(|s| Parameters::from_state(&s)))
    }

    /// The extractor of the given bundle, where there is one with backbone and whitening.
    ///
    /// # Errors
    /// [`TrainError::Network`] for damaged weights, and for sizes other than the workshop's.
    pub fn given_extractor(&self) -> Result<Option<Bundle>, TrainError> {
        let Some(given) =
            self.given.as_ref().filter(|b| b.config().backbone.is_some() && b.config().whitening.is_some())
        else {
            return Ok(None);
        };
        let theirs = given.config();
        let mut config = self.sizes.extractor();
        config.whitening = theirs.whitening.filter(|w| w.dims == self.sizes.dims);
        let same = config.backbone == theirs.backbone
            && config.whitening == theirs.whitening
            && config.scales() == theirs.scales();
        if !same {
            return Err(TrainError::Network("the given bundle sees frames otherwise: give its --sizes".into()));
        }
        let state = |n: Network| given.weights(n).map_err(|e| network(&e));
        let (backbone, pca) = (state(Network::Backbone)?, state(Network::Pca)?);
        bundle(config, &[(Network::Backbone, &backbone), (Network::Pca, &pca)]).map(Some)
    }

    /// Trains the backbone, or reads it where it is trained.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn backbone(
        &self,
        material: &Material,
        options: BackboneOptions,
        schedule: &Schedule,
        monitor: &mut dyn Monitor,
    ) -> Result<Trained, TrainError> {
        let config = self.sizes.plain();
        let mut start = init::backbone(&config, options.head, schedule.seed);
        let mut settings = format!("{config:?} {options:?} {} stills", material.stills.len());
        if let Some(bundle) = &self.start {
            start_from(&mut start, bundle)?;
            settings = format!("{settings} from {}", bundle.id());
        }
        let stills = Arc::new(material.stills.iter().map(|i| i.as_ref().clone()).collect());
        let held_out: Vec<Image> = material.held_out.iter().map(|i| i.as_ref().clone()).collect();
        let mut learner = BackboneLearner::new(
            config,
            options,
            LossConfig::default(),
            stills,
            &held_out,
            schedule.seed,
            cfg!(feature = "gpu").then(|| self.device.clone()),
            self.isa,
        )?;
        let path = self.path("backbone.safetensors");
        train("backbone", &path, &settings, schedule, start, &mut learner, monitor)
    }

    /// The extractor's bundle: the trained backbone and PCA-whitening fitted on views of the stills, plain and edited.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn extractor(
        &self,
        material: &Material,
        backbone: &Parameters,
        views: usize,
        shrink: f32,
        monitor: &mut dyn Monitor,
    ) -> Result<Bundle, TrainError> {
        let path = self.path("extractor.safetensors");
        if path.exists() {
            return read_bundle(&path);
        }
        let mut config = self.sizes.extractor();
        let state = export(backbone)?;
        let bare = bundle(config.clone(), &[(Network::Backbone, &state)])?;
        let raw = Extractor::new(self.isa, &bare).map_err(|e| network(&e))?;
        let vectors = self.view_vectors(material, &raw, views, monitor)?;
        let input = config
            .backbone
            .as_ref()
            .map(BackboneConfig::tap_channels)
            .transpose()
            .map_err(|e| network(&e))?
            .map_or(0, |taps| taps.iter().sum());
        let pca = Pca::fit(self.isa, &vectors, input)?;
        let mut whitening = StateDict::new("pca.");
        whitening.insert("mean", vec![input], pca.mean.clone()).map_err(weights)?;
        let projection = pca.whitening(self.sizes.dims, shrink)?;
        whitening.insert("DVt", vec![input, self.sizes.dims], projection).map_err(weights)?;
        config.whitening = Some(self.sizes.whitening(input));
        let done = bundle(config, &[(Network::Backbone, &state), (Network::Pca, &whitening)])?;
        write_atomically(&path, done.as_bytes())?;
        Ok(done)
    }

    /// Region vectors of all scales of views of random stills, every other one edited.
    fn view_vectors(
        &self,
        material: &Material,
        extractor: &Extractor,
        views: usize,
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<f32>, TrainError> {
        let maker = ViewMaker::new(ViewConfig::default()).map_err(|e| TrainError::Data(e.to_string()))?;
        let stills = &material.stills;
        if stills.is_empty() {
            return Err(TrainError::Data("PCA needs stills".into()));
        }
        let mut all = Vec::new();
        const BLOCK: usize = 64;
        for start in (0..views).step_by(BLOCK) {
            if monitor.cancelled() {
                return Err(TrainError::Cancelled);
            }
            let part = (start..(start + BLOCK).min(views))
                .into_par_iter()
                .map(|i| {
                    let mut rng = generator(&[0x9CA, i as u64]);
                    let image = &stills[(i * 7919) % stills.len()];
                    let others: Vec<&Image> =
                        (1..4).map(|k| stills[(i * 104_729 + k * 31) % stills.len()].as_ref()).collect();
                    let strength = if i % 2 == 0 { Strength::Plain } else { Strength::Edited };
                    let view = maker.make(&mut rng, image, &others, 224, strength).image;
                    let frame = RgbFrame::new(view.width, view.height, &view.pixels).map_err(|e| network(&e))?;
                    let tensor = extractor.video(&[frame]).map_err(|e| network(&e))?;
                    Ok(tensor.iter().copied().collect::<Vec<f32>>())
                })
                .collect::<Result<Vec<_>, TrainError>>()?;
            all.extend(part.concat());
            monitor.report(&progress("pca", start as u64, views as u64));
        }
        Ok(all)
    }

    /// Video tensors of a corpus, shard by shard.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn features(
        &self,
        prefix: &str,
        stills: &[Arc<Image>],
        clips: &[NamedClip],
        options: CorpusOptions,
        extractor: &Extractor,
        monitor: &mut dyn Monitor,
    ) -> Result<FeatureSet, TrainError> {
        let corpus = Corpus { options, stills, clips, extractor };
        let folder = self.path("features");
        let count = corpus.shards();
        for shard in 0..count {
            if monitor.cancelled() {
                return Err(TrainError::Cancelled);
            }
            let path = folder.join(format!("{prefix}-{shard:04}.safetensors"));
            if !path.exists() {
                corpus.shard(shard)?.save(&path)?;
            }
            monitor.report(&progress(&format!("features {prefix}"), shard + 1, count));
        }
        let mut set = FeatureSet::load_all(&folder, prefix)?;
        set.group(self.isa, SAME);
        Ok(set)
    }

    /// The start of the binary layer, `[D, L]`, fitted on region vectors of a set.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn itq(&self, set: &FeatureSet, vectors: usize) -> Result<Vec<f32>, TrainError> {
        let path = self.path("itq.safetensors");
        if path.exists() {
            let (_, tensors): ((), Parameters) = crate::checkpoint::load(&path)?;
            return tensors
                .values("proj")
                .map(<[f32]>::to_vec)
                .ok_or_else(|| TrainError::File { path, reason: "it holds no `proj`".into() });
        }
        let d = set.dims;
        let mut order: Vec<usize> = (0..set.videos.len()).collect();
        order.shuffle(&mut generator(&[0x174]));
        let mut x = Vec::with_capacity(vectors * d);
        // A few regions of a few frames of every video.
        for v in order {
            let rows = set.videos[v].data.chunks_exact(d);
            x.extend(rows.step_by(17).take(24).flat_map(|row| row.iter().map(|v| v.to_f32())));
            if x.len() >= vectors * d {
                break;
            }
        }
        let projection = itq(self.isa, &x, d, self.sizes.bits, 50, 11)?;
        let mut tensors = Parameters::new();
        tensors.insert("proj", &[d, self.sizes.bits], projection.clone());
        crate::checkpoint::save(&path, &(), &tensors)?;
        Ok(projection)
    }

    /// Pools of a set with the similarities of `teacher`, or labels without one; `labels` are copies that the user knows
    /// ([`Pools::mine_labelled`]).
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn pools(
        &self,
        name: &str,
        set: &FeatureSet,
        options: &PoolOptions,
        labels: &[[String; 2]],
        teacher: Option<&Fine>,
    ) -> Result<Pools, TrainError> {
        let path = self.path(&format!("pools-{name}.json"));
        if path.exists() {
            return Pools::load(&path, set.videos.len());
        }
        let mut pools = if labels.is_empty() {
            Pools::mine(self.isa, set, options)
        } else {
            Pools::mine_labelled(self.isa, set, options, labels)?
        };
        if pools.anchors.is_empty() {
            return Err(TrainError::Data("no video of the set has a copy: nothing to train on".into()));
        }
        if let Some(teacher) = teacher {
            pools.score(teacher, set)?;
        }
        pools.save(&path)?;
        Ok(pools)
    }

    /// Trains a fine network under the name `name` (of its checkpoint).
    ///
    /// # Errors
    /// [`TrainError`].
    #[allow(clippy::too_many_arguments)]
    pub fn fine(
        &self,
        name: &str,
        config: &vidsieve_model::config::FineConfig,
        start: Parameters,
        plan: &FinePlan,
        set: &FeatureSet,
        pools: &Pools,
        validation: &Validation<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<Trained, TrainError> {
        let mut net = FineNet::new(config.clone());
        net.erf_denominator = plan.options.erf_denominator;
        let mut learner = FineLearner {
            net,
            options: plan.options.clone(),
            set,
            pools,
            validation,
            device: self.device.clone(),
            isa: self.isa,
        };
        let settings = format!("{config:?} {:?} {} videos", plan.options, set.videos.len());
        let path = self.path(&format!("{name}.safetensors"));
        train(name, &path, &settings, &plan.schedule, start, &mut learner, monitor)
    }

    /// Fits the direct path of a fine network on the pairs of a set and adds it to the network's parameters. It is kept in a file
    /// under the name `direct_<name>`.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn direct(
        &self,
        name: &str,
        config: &vidsieve_model::config::FineConfig,
        parameters: &mut Parameters,
        options: &DirectOptions,
        set: &FeatureSet,
    ) -> Result<(), TrainError> {
        let path = self.path(&format!("direct_{name}.safetensors"));
        let evidence = evidence_len(config.channel_count());
        let settings = format!("{config:?} {options:?} {evidence} kinds of evidence, {} videos", set.videos.len());
        if !path.exists() {
            let bare = vidsieve_model::config::FineConfig { direct: false, ..config.clone() };
            let lists = direct::lists(self.isa, &self.build_fine(&bare, parameters)?, set, options)?;
            let fitted = direct::fit(&lists, &of_channels(config.channel_count()), options.regulariser)?;
            let mut tensors = Parameters::new();
            let hypotheses = fitted.bias.len();
            tensors.insert("direct.weight", &[hypotheses, evidence], fitted.weights);
            tensors.insert("direct.bias", &[hypotheses], fitted.bias);
            tensors.insert("direct.scale", &[2], fitted.scale.to_vec());
            crate::checkpoint::save(&path, &settings, &tensors)?;
        }
        let (found, tensors): (String, Parameters) = crate::checkpoint::load(&path)?;
        if found != settings {
            let reason = "a direct path of other settings: remove it to fit anew".into();
            return Err(TrainError::File { path, reason });
        }
        tensors.iter().for_each(|(name, t)| parameters.insert(name, &t.shape, t.data.clone()));
        Ok(())
    }

    /// Trains the coarse student under the name `name`.
    ///
    /// # Errors
    /// [`TrainError`].
    #[allow(clippy::too_many_arguments)]
    pub fn coarse(
        &self,
        name: &str,
        config: &vidsieve_model::config::CoarseConfig,
        options: &CoarseOptions,
        schedule: &Schedule,
        set: &FeatureSet,
        pools: &Pools,
        validation: &Validation<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<Trained, TrainError> {
        let start = init::coarse(config, schedule.seed);
        let mut learner = CoarseLearner {
            net: CoarseNet { config: *config },
            options: options.clone(),
            set,
            pools,
            validation,
            device: self.device.clone(),
            isa: self.isa,
        };
        let settings = format!("{config:?} {options:?} {} videos", set.videos.len());
        let path = self.path(&format!("{name}.safetensors"));
        train(name, &path, &settings, schedule, start, &mut learner, monitor)
    }

    /// Scores of both students for pairs of a set: every anchor of the pools with all its members.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn scored_pairs(
        &self,
        set: &FeatureSet,
        pools: &Pools,
        fine: &Fine,
        coarse: &Coarse,
    ) -> Result<Vec<ScoredPair>, TrainError> {
        let tensors = index_all(fine, set)?;
        let vectors = (0..set.videos.len())
            .into_par_iter()
            .map(|v| coarse.index(set.tensor(v).view()).map_err(|e| network(&e)))
            .collect::<Result<Vec<_>, _>>()?;
        let pairs = pools
            .anchors
            .par_iter()
            .map(|anchor| {
                anchor
                    .positives
                    .iter()
                    .chain(&anchor.negatives)
                    .map(|m| {
                        let similarity =
                            fine.similarity(&tensors[anchor.video], &tensors[m.video]).map_err(|e| network(&e))?;
                        Ok(ScoredPair {
                            query: anchor.video,
                            target: m.video,
                            coarse: dot(&vectors[anchor.video], &vectors[m.video]),
                            fine: similarity,
                        })
                    })
                    .collect::<Result<Vec<_>, TrainError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(pairs.concat())
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
        set: &FeatureSet,
        pairs: &[ScoredPair],
        monitor: &mut dyn Monitor,
    ) -> Result<Trained, TrainError> {
        let config = self.sizes.selector();
        let start = init::selector(&config, schedule.seed);
        let net = SelectorNet { config };
        let settings = format!("{config:?} {options:?} {} pairs", pairs.len());
        let mut learner = SelectorLearner::new(net, options.clone(), set, pairs, self.device.clone(), self.isa)?;
        let path = self.path(&format!("{name}.safetensors"));
        train(name, &path, &settings, schedule, start, &mut learner, monitor)
    }

    /// A fine network of trained parameters.
    ///
    /// # Errors
    /// [`TrainError::Network`].
    pub fn build_fine(
        &self,
        config: &vidsieve_model::config::FineConfig,
        parameters: &Parameters,
    ) -> Result<Fine, TrainError> {
        Fine::new(self.isa, config.clone(), &parameters.to_state("trained.").map_err(weights)?).map_err(weights)
    }

    /// A coarse student of trained parameters.
    ///
    /// # Errors
    /// [`TrainError::Network`].
    pub fn build_coarse(
        &self,
        config: &vidsieve_model::config::CoarseConfig,
        parameters: &Parameters,
    ) -> Result<Coarse, TrainError> {
        Coarse::new(self.isa, *config, &parameters.to_state("trained.").map_err(weights)?).map_err(weights)
    }
}

/// Puts a bundle's backbone in the place of `start`'s, and its whitening, where it gives as many values, in that of the training
/// head.
fn start_from(start: &mut Parameters, bundle: &Bundle) -> Result<(), TrainError> {
    let backbone = Parameters::from_state(&bundle.weights(Network::Backbone).map_err(|e| network(&e))?);
    let wanted: Vec<(String, Vec<usize>)> = start.iter().map(|(n, t)| (n.to_owned(), t.shape.clone())).collect();
    for (name, shape) in wanted.iter().filter(|(name, _)| !name.starts_with("head.")) {
        let Some((_, given)) = backbone.iter().find(|(n, t)| n == name && t.shape == *shape) else {
            let reason = format!("the backbone to start from has no `{name}` of shape {shape:?}: give its --sizes");
            return Err(TrainError::Network(reason));
        };
        start.insert(name, shape, given.data.clone());
    }
    let head = wanted.iter().find(|(name, _)| name == "head.weight").map(|(_, shape)| shape.as_slice());
    let (Ok(pca), Some(&[dims, taps])) = (bundle.weights(Network::Pca), head) else { return Ok(()) };
    if let (Ok(mean), Ok(projection)) = (pca.get("mean", &[taps]), pca.get("DVt", &[taps, dims])) {
        let weight: Vec<f32> = (0..dims).flat_map(|d| (0..taps).map(move |t| projection[t * dims + d])).collect();
        let bias = weight.chunks_exact(taps).map(|row| -dot(row, mean)).collect();
        start.insert("head.weight", &[dims, taps], weight);
        start.insert("head.bias", &[dims], bias);
    }
    Ok(())
}

fn progress(stage: &str, step: u64, steps: u64) -> Progress {
    Progress { stage: stage.to_owned(), step, steps, ..Progress::default() }
}

/// A bundle of these networks in single precision.
///
/// # Errors
/// [`TrainError::Network`].
pub fn bundle(config: Config, networks: &[(Network, &StateDict)]) -> Result<Bundle, TrainError> {
    let mut writer = BundleWriter::new(config, "", std::collections::BTreeMap::new());
    for (network, state) in networks {
        writer.add(*network, state, Storage::F32).map_err(weights)?;
    }
    writer.finish().map_err(|e| network(&e))
}

/// A bundle from a file.
///
/// # Errors
/// [`TrainError::File`].
pub fn read_bundle(path: &Path) -> Result<Bundle, TrainError> {
    Bundle::from_bytes(&path.display().to_string(), read(path)?)
        .map_err(|e| TrainError::File { path: path.to_owned(), reason: e.to_string() })
}
