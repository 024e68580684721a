//! The backbone's training run: views of stills, prepared while the network learns; validation by finding edited views of
//! stills that training does not see.

use std::thread::{self, JoinHandle};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array4;
use rand::RngExt;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use vidsieve_edits::views::{ViewConfig, ViewMaker};
use vidsieve_edits::{Image, procedural};
use vidsieve_eval::baselines::WINDOWS;
use vidsieve_eval::metrics::ReciprocalRanks;
use vidsieve_kernels::{Isa, gemm};
use vidsieve_model::backbone::{Backbone, BackboneConfig, PlainConfig};
use vidsieve_model::frames::Preprocess;
use vidsieve_model::weights::StateDict;
use vidsieve_model::whitening::Whitening;

use crate::TrainError;
use crate::learners::run::{Learner, Values, rng_of};
use crate::networks::backbone::{LossConfig, PIXEL_DEVIATION, PIXEL_MEAN, Trainer, TrainerConfig};
use crate::networks::instance::{NormStatistics, loss, regions, taps};
use crate::networks::linear::Pca;
use crate::networks::parameters::{Leaves, NamedGradients, Parameters, scalar, values};
use crate::networks::sizes::{FIRST, first_scale};

/// Momentum of running statistics.
const MOMENTUM: f32 = 0.1;
/// Side of validation images.
const VALIDATION_SIDE: u32 = 112;
/// Edited views of every validation image.
const COPIES: usize = 2;
/// Values of a region vector that validation whitens to, where the taps have as many channels.
const WHITENED: usize = 128;
/// Images that are described at once in validation.
const BATCH: usize = 16;
/// Seed of the validation's views, so that all runs are validated on the same ones.
const VALIDATION_SEED: u64 = 0xE7A1;
/// What sets the random numbers of views apart from those of the training step with the same seed.
const VIEWS: u64 = 0x5EED_1111;
/// Side of views where the options name none.
const DEFAULT_SIDE: u32 = 64;
/// Width and height of drawn images.
const DRAWN: [u32; 2] = [160, 120];
/// Further images that a view may be made with.
const OTHERS: usize = 3;

/// Settings of a backbone run beside its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackboneOptions {
    /// Images of a batch; each gives two views.
    pub images: usize,
    /// Side of the views from a given update on: `(update, side)`, the first from 0.
    pub sides: Vec<(u64, u32)>,
    /// Values of a region after the training head.
    pub head: usize,
    /// Share of images that are drawn by the procedural generator instead of taken from the stills.
    pub procedural: f32,
    /// The views' edits.
    pub views: ViewConfig,
}

impl Default for BackboneOptions {
    fn default() -> Self {
        Self { images: 64, sides: vec![(0, 64)], head: 128, procedural: 0.1, views: ViewConfig::default() }
    }
}

/// What the producer of views needs; shared with its thread.
#[derive(Debug)]
struct Source {
    stills: Arc<Vec<Image>>,
    maker: ViewMaker,
    options: BackboneOptions,
    seed: u64,
}

/// Views of one batch.
#[derive(Debug)]
struct Views {
    side: usize,
    /// `[2 B][side][side][3]`.
    data: Vec<u8>,
    /// Number of the image of each pair.
    sources: Vec<u32>,
}

impl Source {
    fn side(&self, step: u64) -> u32 {
        self.options.sides.iter().rev().find(|(from, _)| *from <= step).map_or(DEFAULT_SIDE, |(_, side)| *side)
    }

    /// The batch of update `step`.
    #[allow(clippy::cast_possible_truncation)]
    fn batch(&self, step: u64) -> Views {
        let side = self.side(step);
        let b = self.options.images;
        let mut rng = rng_of(self.seed ^ VIEWS, step);
        let seeds: Vec<u64> = (0..b).map(|_| rng.random()).collect();
        let size = 3 * (side * side) as usize;
        let mut data = vec![0u8; 2 * b * size];
        let (left, right) = data.split_at_mut(b * size);
        let sources = left
            .par_chunks_exact_mut(size)
            .zip(right.par_chunks_exact_mut(size))
            .zip(&seeds)
            .enumerate()
            .map(|(i, ((a, b), &seed))| {
                let mut rng = rng_of(seed, i as u64);
                let count = self.stills.len();
                let (image, source);
                let drawn;
                if count == 0 || rng.random::<f32>() < self.options.procedural {
                    drawn = procedural::still(&mut rng, DRAWN[0], DRAWN[1]);
                    (image, source) = (&drawn, u32::MAX - i as u32);
                } else {
                    let position = rng.random_range(0..count);
                    (image, source) = (&self.stills[position], position as u32);
                }
                let others: Vec<&Image> =
                    (0..OTHERS).filter(|_| count > 0).map(|_| &self.stills[rng.random_range(0..count)]).collect();
                let pair = self.maker.pair(&mut rng, image, &others, side);
                a.copy_from_slice(&pair[0].image.pixels);
                b.copy_from_slice(&pair[1].image.pixels);
                source
            })
            .collect();
        Views { side: side as usize, data, sources }
    }
}

/// Interleaved bytes to normalised planes.
fn planes(pixels: &[u8], out: &mut [f32]) {
    let n = out.len() / 3;
    for (i, pixel) in pixels.chunks_exact(3).enumerate().take(n) {
        for (channel, value) in pixel.iter().enumerate() {
            out[channel * n + i] = (f32::from(*value) - PIXEL_MEAN) / PIXEL_DEVIATION;
        }
    }
}

/// A backbone in training: on the kernels' engine where burn would compute on the CPU, on burn elsewhere.
#[derive(Debug)]
pub struct BackboneLearner {
    config: PlainConfig,
    weights: LossConfig,
    engine: Option<Trainer>,
    source: Arc<Source>,
    next: Option<(u64, JoinHandle<Views>)>,
    validation: ViewSearch,
    device: Option<Device>,
}

impl BackboneLearner {
    /// A learner on `stills`; `held_out` are for validation. `seed` is the schedule's. `device` is burn's; `None` trains on the
    /// kernels.
    ///
    /// # Errors
    /// [`TrainError::Edit`] for views that contradict themselves, [`TrainError::Data`] for nothing
    /// to train on.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        config: PlainConfig,
        options: BackboneOptions,
        weights: LossConfig,
        stills: Arc<Vec<Image>>,
        held_out: &[Image],
        seed: u64,
        device: Option<Device>,
        isa: Isa,
    ) -> Result<Self, TrainError> {
        if stills.is_empty() && options.procedural <= 0.0 {
            return Err(TrainError::Data("the backbone needs stills, or procedural images".into()));
        }
        let maker = ViewMaker::new(options.views.clone())?;
        let validation = ViewSearch::new(isa, &maker, held_out, VALIDATION_SEED);
        let engine = if device.is_none() {
            let dims = options.head;
            Some(Trainer::new(TrainerConfig {
                network: config.clone(),
                dims,
                loss: weights,
                ..TrainerConfig::tiny(1, seed)
            })?)
        } else {
            None
        };
        let source = Arc::new(Source { stills, maker, options, seed });
        Ok(Self { config, weights, engine, source, next: None, validation, device })
    }

    fn views(&mut self, step: u64) -> Result<Views, TrainError> {
        let views = match self.next.take() {
            Some((ready, handle)) if ready == step => {
                handle.join().map_err(|_| TrainError::Data("the thread that makes views failed".into()))?
            }
            _ => self.source.batch(step),
        };
        let source = Arc::clone(&self.source);
        self.next = Some((step + 1, thread::spawn(move || source.batch(step + 1))));
        Ok(views)
    }
}

impl Learner for BackboneLearner {
    fn step(
        &mut self,
        step: u64,
        parameters: &mut Parameters,
        _: &mut Pcg64,
    ) -> Result<(NamedGradients, Values), TrainError> {
        let views = self.views(step)?;
        let b = views.sources.len();
        if let Some(engine) = &mut self.engine {
            let (loss, gradients) = engine.gradients_at(parameters, &views.data, views.side, &views.sources)?;
            let parts = [
                ("loss", loss.total),
                ("region", loss.region),
                ("global", loss.global),
                ("koleo", loss.koleo),
                ("cross", loss.cross),
                ("accuracy", loss.accuracy),
            ];
            return Ok((gradients, parts.map(|(name, value)| (name.to_owned(), value)).into()));
        }
        let Some(device) = self.device.clone() else {
            return Err(TrainError::Network("the backbone has neither an engine nor a device".into()));
        };
        let size = 3 * views.side * views.side;
        let mut data = vec![0f32; views.data.len()];
        data.par_chunks_exact_mut(size).zip(views.data.par_chunks_exact(size)).for_each(|(out, p)| planes(p, out));
        let images = TensorData::new(data, [2 * b, 3, views.side, views.side]);
        let images = Tensor::<4>::from_data(images, &device);
        let same: Vec<f32> =
            (0..b * b).map(|i| f32::from(u8::from(views.sources[i / b] == views.sources[i % b]))).collect();
        let same = Tensor::<2>::from_data(TensorData::new(same, [b, b]), &device);
        let leaves = Leaves::new(parameters, &device, |name| !name.contains("running_"));
        let mut statistics = NormStatistics::new();
        let maps = taps(&leaves, &self.config, images, &mut statistics)?;
        let pixels: Vec<usize> = norm_counts(&self.config, views.side).into_iter().map(|p| p * 2 * b).collect();
        let (total, parts) = loss(&leaves, regions(&maps), same, &self.weights)?;
        let gradients = leaves.gradients(&total.backward())?;
        for ((name, mean, variance), count) in statistics.into_iter().zip(pixels) {
            update(parameters, &name, mean, variance, count)?;
        }
        let mut out = Values::new();
        for (name, part) in parts.into_iter().chain([("loss", total)]) {
            out.insert(name.to_owned(), scalar(part)?);
        }
        Ok((gradients, out))
    }

    fn validate(&mut self, parameters: &Parameters) -> Result<Values, TrainError> {
        self.validation.figures(&BackboneConfig::Plain(self.config.clone()), &export(parameters)?)
    }
}

/// Pixels a map of each batch normalisation has, in the order in which [`taps`] meets them.
fn norm_counts(config: &PlainConfig, side: usize) -> Vec<usize> {
    let mut side = side.div_ceil(2);
    let mut counts = vec![side * side];
    for _ in &config.stages {
        side = side.div_ceil(2);
        counts.extend(std::iter::repeat_n(side * side, 2 + usize::from(config.residual)));
    }
    counts
}

#[allow(clippy::cast_precision_loss)]
fn update(
    parameters: &mut Parameters,
    name: &str,
    mean: Tensor<1>,
    variance: Tensor<1>,
    count: usize,
) -> Result<(), TrainError> {
    let unbiased = count as f32 / (count.max(2) - 1) as f32;
    for (part, batch, factor) in [("running_mean", mean, 1.0), ("running_var", variance, unbiased)] {
        let batch = values(batch)?;
        if let Some(running) = parameters.values_mut(&format!("{name}.{part}")) {
            running.iter_mut().zip(batch).for_each(|(r, b)| *r += MOMENTUM * (b * factor - *r));
        }
    }
    Ok(())
}

/// The backbone's own tensors: the training head is left out.
///
/// # Errors
/// [`TrainError::Weights`] for tensors that contradict their shapes.
pub fn export(parameters: &Parameters) -> Result<StateDict, TrainError> {
    let mut state = StateDict::new("backbone.");
    for (name, t) in parameters.iter().filter(|(name, _)| !name.starts_with("head.")) {
        state.insert(name, t.shape.clone(), t.data.clone())?;
    }
    Ok(state)
}

/// Edited views searched among the images that they were made of, by symmetric region Chamfer of whitened region vectors.
#[derive(Debug)]
struct ViewSearch {
    isa: Isa,
    images: Vec<Image>,
}

impl ViewSearch {
    fn new(isa: Isa, maker: &ViewMaker, stills: &[Image], seed: u64) -> Self {
        let refs: Vec<&Image> = stills.iter().collect();
        let mut images: Vec<Image> = stills.par_iter().map(|i| i.resize(VALIDATION_SIDE, VALIDATION_SIDE)).collect();
        let copies: Vec<Image> = (0..stills.len() * COPIES)
            .into_par_iter()
            .map(|i| {
                let mut rng = rng_of(seed, i as u64);
                let still = i / COPIES;
                let others: Vec<&Image> = (0..OTHERS).map(|_| refs[rng.random_range(0..refs.len())]).collect();
                maker
                    .make(&mut rng, refs[still], &others, VALIDATION_SIDE, vidsieve_edits::views::Strength::Edited)
                    .image
            })
            .collect();
        images.extend(copies);
        Self { isa, images }
    }

    fn figures(&self, config: &BackboneConfig, state: &StateDict) -> Result<Values, TrainError> {
        let originals = self.images.len() / (1 + COPIES);
        let channels: usize = config.tap_channels()?.into_iter().sum();
        // Whitening needs more vectors than dimensions: with few images held out there is no validation.
        if originals * FIRST <= channels {
            return Ok(Values::new());
        }
        let backbone = Backbone::new(config, state)?;
        let side = VALIDATION_SIDE as usize;
        let pooling = first_scale();
        debug_assert_eq!(Preprocess::square(VALIDATION_SIDE).mean, [PIXEL_MEAN; 3]);
        let described = self
            .images
            .par_chunks(BATCH)
            .map(|images| {
                let mut batch = vec![0f32; images.len() * 3 * side * side];
                batch.chunks_exact_mut(3 * side * side).zip(images).for_each(|(out, image)| planes(&image.pixels, out));
                let batch = Array4::from_shape_vec((images.len(), 3, side, side), batch)?;
                let maps = backbone.run(batch.view())?;
                let views: Vec<_> = maps.iter().map(|m| m.view()).collect();
                Ok(pooling.pool(&views)?)
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let raw: Vec<f32> = described.iter().flat_map(|d| d.iter().copied()).collect();
        let pca = Pca::fit(self.isa, &raw[..originals * FIRST * channels], channels)?;
        let dims = WHITENED.min(channels);
        let whitening = Whitening::new(self.isa, pca.mean.clone(), &pca.whitening(dims, 0.0)?, dims)?;
        let x = whitening.apply(&raw)?;
        // The windows of every image; the whole frame is not used here.
        let windows: Vec<f32> =
            x.chunks_exact(FIRST * dims).flat_map(|image| &image[..WINDOWS * dims]).copied().collect();
        let of_originals = &windows[..originals * WINDOWS * dims];
        let database = gemm::Packed::from_rows(self.isa, of_originals, originals * WINDOWS, dims);
        let above: Vec<usize> = windows[originals * WINDOWS * dims..]
            .par_chunks_exact(WINDOWS * dims)
            .enumerate()
            .map(|(copy, query)| {
                let mut products = vec![0f32; WINDOWS * originals * WINDOWS];
                gemm::matmul(query, WINDOWS, &database, &mut products);
                let score = |o: usize| {
                    let at = |q: usize, t: usize| products[q * originals * WINDOWS + o * WINDOWS + t];
                    let best = |f: &dyn Fn(usize, usize) -> f32| -> f32 {
                        (0..WINDOWS).map(|a| (0..WINDOWS).map(|b| f(a, b)).fold(f32::MIN, f32::max)).sum()
                    };
                    best(&|q, t| at(q, t)) + best(&|t, q| at(q, t))
                };
                let own = score(copy / COPIES);
                (0..originals).filter(|&o| o != copy / COPIES && score(o) >= own).count()
            })
            .collect();
        // Every copy has one original: mean reciprocal rank is mAP.
        let mut ranks = ReciprocalRanks::default();
        ranks.extend(above);
        let (map, recall1) = (ranks.mean(), ranks.first());
        Ok([("map", map), ("recall1", recall1), ("score", map)].map(|(n, v)| (n.to_owned(), v)).into())
    }
}
