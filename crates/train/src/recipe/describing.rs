//! Stages that describe frames: the backbone, the extractor, video tensors of the corpora, the
//! start of the binary layer.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use vidsieve_edits::views::{Strength, ViewConfig, ViewMaker};
use vidsieve_edits::{Image, generator};
use vidsieve_model::backbone::BackboneConfig;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::frames::RgbFrame;
use vidsieve_model::math::dot;
use vidsieve_model::weights::StateDict;

use super::workshop::{Workshop, bundle, progress, read_bundle};
use crate::TrainError;
use crate::checkpoint::{self, write_atomically};
use crate::data::clips::NamedClip;
use crate::data::corpus::{Corpus, CorpusOptions};
use crate::data::features::FeatureSet;
use crate::data::material::{Material, digest_of_clips, digest_of_images};
use crate::learners::run::{Schedule, Trained, train};
use crate::learners::self_supervised::{BackboneLearner, BackboneOptions, export};
use crate::monitor::Monitor;
use crate::networks::backbone::LossConfig;
use crate::networks::init;
use crate::networks::linear::{Pca, itq};
use crate::networks::parameters::Parameters;
use crate::stage::{Keyed, StageKey, StageRecord, TrainingStage};

/// Versions of the stages' code.
const BACKBONE: u32 = 1;
const EXTRACTOR: u32 = 1;
const FEATURES: u32 = 1;
const ITQ: u32 = 1;

/// Cosine of mean region vectors from which on two originals count as the same thing.
pub const SAME: f32 = 0.7;

/// Side of the views that PCA is fitted on.
const PCA_SIDE: u32 = 224;
/// Views that are described at once.
const PCA_BLOCK: usize = 64;
/// Region vectors of a video that ITQ is fitted on, at most, and the step between them.
const ITQ_OF_VIDEO: usize = 24;
const ITQ_STEP: usize = 17;
/// Iterations of ITQ, and the seed of its first rotation.
pub const ITQ_ITERATIONS: usize = 50;
/// Seed of the first rotation of ITQ.
pub const ITQ_SEED: u64 = 11;

impl Workshop {
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
    ) -> Result<Keyed<Trained>, TrainError> {
        let config = self.sizes.plain();
        let mut stage = TrainingStage::new(&self.folder, "backbone", BACKBONE)
            .setting("network", &config)?
            .setting("options", &options)?
            .setting("schedule", &schedule)?
            .input("stills", &StageKey::of(digest_of_images(&material.stills)))
            .input("held_out", &StageKey::of(digest_of_images(&material.held_out)));
        let mut start = init::backbone(&config, options.head, schedule.seed);
        if let Some(bundle) = &self.start {
            start_from(&mut start, bundle)?;
            stage = stage.input("start", &StageKey::of(bundle.id()));
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
        train(&stage, schedule, start, &mut learner, monitor)
    }

    /// The extractor's bundle: the trained backbone and PCA-whitening fitted on views of the
    /// stills, plain and edited.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn extractor(
        &self,
        material: &Material,
        backbone: &Keyed<Trained>,
        views: usize,
        shrink: f32,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Bundle>, TrainError> {
        let mut config = self.sizes.extractor();
        let stage = TrainingStage::new(&self.folder, "extractor", EXTRACTOR)
            .setting("network", &config)?
            .setting("dims", &self.sizes.dims)?
            .setting("views", &views)?
            .setting("shrink", &shrink)?
            .input("backbone", &backbone.key)
            .input("stills", &StageKey::of(digest_of_images(&material.stills)));
        stage.run(monitor, read_bundle, |path, monitor| {
            let state = export(&backbone.value.parameters)?;
            let bare = bundle(config.clone(), &[(Network::Backbone, &state)])?;
            let raw = Extractor::new(self.isa, &bare)?;
            let vectors = view_vectors(material, &raw, views, monitor)?;
            let taps = config.backbone.as_ref().map(BackboneConfig::tap_channels).transpose()?;
            let input = taps.map_or(0, |taps| taps.iter().sum());
            let pca = Pca::fit(self.isa, &vectors, input)?;
            let mut whitening = StateDict::new("pca.");
            whitening.insert("mean", vec![input], pca.mean.clone())?;
            whitening.insert("DVt", vec![input, self.sizes.dims], pca.whitening(self.sizes.dims, shrink)?)?;
            config.whitening = Some(self.sizes.whitening(input));
            let done = bundle(config, &[(Network::Backbone, &state), (Network::Pca, &whitening)])?;
            write_atomically(path, done.as_bytes())?;
            Ok(done)
        })
    }

    /// Video tensors of a corpus, shard by shard; `extractor` describes the frames, and its key
    /// stands for it.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn features(
        &self,
        prefix: &str,
        stills: &[Arc<Image>],
        clips: &[NamedClip],
        options: CorpusOptions,
        extractor: &Keyed<Extractor>,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<FeatureSet>, TrainError> {
        let corpus = Corpus { options, stills, clips, extractor: &extractor.value };
        let count = corpus.shards();
        let stage = TrainingStage::new(&self.features_folder(), prefix, FEATURES)
            .setting("corpus", &corpus.options)?
            .input("extractor", &extractor.key)
            .input("stills", &StageKey::of(digest_of_images(stills)))
            .input("clips", &StageKey::of(digest_of_clips(clips)))
            .shards(prefix, count);
        stage.begin(monitor)?;
        for (shard, path) in (0..).zip(stage.paths()) {
            if monitor.cancelled() {
                return Err(TrainError::Cancelled);
            }
            if !path.exists() {
                corpus.shard(shard)?.save(&path)?;
            }
            monitor.report(&progress(&format!("features {prefix}"), shard + 1, count));
        }
        self.grouped(prefix, stage.paths(), stage.key().clone())
    }

    /// Video tensors of a corpus that an earlier run made in the working folder, whatever its
    /// settings were.
    ///
    /// # Errors
    /// [`TrainError::File`] where they are missing or incomplete.
    pub fn made_features(&self, prefix: &str) -> Result<Keyed<FeatureSet>, TrainError> {
        let folder = self.features_folder();
        let record = StageRecord::complete(&folder, prefix)?;
        self.grouped(prefix, record.paths(&folder).collect(), record.key)
    }

    fn features_folder(&self) -> std::path::PathBuf {
        self.path("features")
    }

    fn grouped(
        &self,
        prefix: &str,
        paths: Vec<std::path::PathBuf>,
        key: StageKey,
    ) -> Result<Keyed<FeatureSet>, TrainError> {
        let mut value = FeatureSet::load_all(paths)?;
        if value.videos.is_empty() {
            return Err(TrainError::Data(format!("the corpus `{prefix}` has no videos: give it sources")));
        }
        value.group(self.isa, SAME);
        Ok(Keyed { value, key })
    }

    /// The start of the binary layer, `[D, L]`, fitted on region vectors of a set.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn itq(
        &self,
        set: &Keyed<FeatureSet>,
        vectors: usize,
        monitor: &mut dyn Monitor,
    ) -> Result<Keyed<Vec<f32>>, TrainError> {
        let stage = TrainingStage::new(&self.folder, "itq", ITQ)
            .setting("vectors", &vectors)?
            .setting("bits", &self.sizes.bits)?
            .input("features", &set.key);
        let load = |path: &std::path::Path| {
            let (_, tensors): ((), Parameters) = checkpoint::load(path)?;
            let found = tensors.values("proj").map(<[f32]>::to_vec);
            found.ok_or_else(|| TrainError::file(path, "it holds no `proj`: remove it to make it anew"))
        };
        stage.run(monitor, load, |path, _| {
            let set = &set.value;
            let d = set.dims;
            let mut order: Vec<usize> = (0..set.videos.len()).collect();
            order.shuffle(&mut generator(&[0x174]));
            let mut x = Vec::with_capacity(vectors * d);
            // A few regions of a few frames of every video.
            for v in order {
                let rows = set.videos[v].data.chunks_exact(d).step_by(ITQ_STEP).take(ITQ_OF_VIDEO);
                x.extend(rows.flat_map(|row| row.iter().map(|v| v.to_f32())));
                if x.len() >= vectors * d {
                    break;
                }
            }
            let projection = itq(self.isa, &x, d, self.sizes.bits, ITQ_ITERATIONS, ITQ_SEED)?;
            let mut tensors = Parameters::new();
            tensors.insert("proj", &[d, self.sizes.bits], projection.clone());
            checkpoint::save(path, &(), &tensors)?;
            Ok(projection)
        })
    }
}

/// Region vectors of all scales of views of random stills, every other one edited.
fn view_vectors(
    material: &Material,
    extractor: &Extractor,
    views: usize,
    monitor: &mut dyn Monitor,
) -> Result<Vec<f32>, TrainError> {
    let maker = ViewMaker::new(ViewConfig::default())?;
    let stills = &material.stills;
    if stills.is_empty() {
        return Err(TrainError::Data("PCA needs stills".into()));
    }
    let mut all = Vec::new();
    for start in (0..views).step_by(PCA_BLOCK) {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let part = (start..(start + PCA_BLOCK).min(views))
            .into_par_iter()
            .map(|i| {
                let mut rng = generator(&[0x9CA, i as u64]);
                // Primes: neighbours in a folder, which often look alike, are spread over the
                // views.
                let image = &stills[(i * 7919) % stills.len()];
                let others: Vec<&Image> =
                    (1..4).map(|k| stills[(i * 104_729 + k * 31) % stills.len()].as_ref()).collect();
                let strength = if i % 2 == 0 { Strength::Plain } else { Strength::Edited };
                let view = maker.make(&mut rng, image, &others, PCA_SIDE, strength).image;
                let frame = RgbFrame::new(view.width, view.height, &view.pixels)
                    .map_err(vidsieve_model::extractor::ExtractError::from)?;
                Ok(extractor.video(&[frame])?.iter().copied().collect::<Vec<f32>>())
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        all.extend(part.concat());
        monitor.report(&progress("pca", start as u64, views as u64));
    }
    Ok(all)
}

/// Puts a bundle's backbone in the place of `start`'s, and its whitening, where it gives as many
/// values, in that of the training head.
fn start_from(start: &mut Parameters, bundle: &Bundle) -> Result<(), TrainError> {
    let backbone = Parameters::from_state(&bundle.weights(Network::Backbone)?);
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
