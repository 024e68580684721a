//! Training of the fine-grained networks: the teacher by triplets (§7.1), the students by distillation (§7.2).

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use vidsieve_kernels::Isa;
use vidsieve_model::fine::Fine;

use crate::TrainError;
use crate::data::features::FeatureSet;
use crate::data::pools::Pools;
use crate::data::temporal::{augment, crop};
use crate::learners::run::{Learner, Values};
use crate::learners::validation::Validation;
use crate::networks::losses;
use crate::networks::nets::{Batch, FineNet};
use crate::networks::parameters::{Leaves, NamedGradients, Parameters, scalar};

/// What a fine-grained network learns from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Labels: positives above negatives by a margin. The teacher; for a student, direct supervision.
    Triplet {
        /// The margin gamma, similarities in [-1, 1].
        margin: f32,
    },
    /// The similarities of a teacher, L1.
    Distill,
}

/// Settings of a fine-grained training run beside its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FineOptions {
    /// What is learnt from.
    pub objective: Objective,
    /// Anchors of a batch; each brings a positive and a negative.
    pub anchors: usize,
    /// Longest video, in frames; longer ones are cut at random.
    pub frames: usize,
    /// Weight r of the regulariser: for [`Objective::Distill`] it is a sum over all raw outputs (r = 1e-3 upstream), for
    /// triplets a mean over pairs.
    pub regulariser: f32,
    /// Whether positives and negatives are augmented in time.
    pub augment: bool,
    /// `sqrt(2 sigma)` of the erf in training of a binary student (upstream: sqrt(2e-6)).
    pub erf_denominator: f32,
    /// Largest noise on region vectors, drawn for each video (0 upstream; [`FeatureSet::noisy_frames`]).
    pub noise: f32,
    /// Share of videos that are cut to a random part of at least half their length, four frames or more (0 upstream): copies
    /// made from whole videos would otherwise be told by their equal lengths.
    pub shorten: f32,
    /// Share of anchors that are targets instead of queries (triplets only; a teacher's similarities have a direction).
    pub swap: f32,
}

impl Default for FineOptions {
    fn default() -> Self {
        Self {
            objective: Objective::Distill,
            anchors: 32,
            frames: 300,
            regulariser: 1e-3,
            augment: true,
            erf_denominator: 2e-6f32.sqrt(),
            noise: 0.0,
            shorten: 0.0,
            swap: 0.0,
        }
    }
}

/// A fine-grained network in training on a feature set.
#[derive(Debug)]
pub struct FineLearner<'a> {
    /// The network.
    pub net: FineNet,
    /// Settings.
    pub options: FineOptions,
    /// Training videos.
    pub set: &'a FeatureSet,
    /// Pairs of them.
    pub pools: &'a Pools,
    /// Validation videos.
    pub validation: &'a Validation<'a>,
    /// Device with autodiff.
    pub device: Device,
    /// Instructions for validation.
    pub isa: Isa,
}

impl FineLearner<'_> {
    fn frames(&self, video: usize, augmented: bool, rng: &mut Pcg64) -> Vec<f32> {
        let count = self.set.videos[video].frames;
        let mut positions = if augmented { augment(count, rng) } else { (0..count).collect() };
        if rng.random::<f32>() < self.options.shorten {
            let least = positions.len().div_ceil(2).max(4).min(positions.len());
            let length = rng.random_range(least..=positions.len());
            positions = crop(positions, length, rng);
        }
        let noise = self.options.noise * rng.random::<f32>();
        self.set.noisy_frames(video, &crop(positions, self.options.frames, rng), noise, rng)
    }
}

impl Learner for FineLearner<'_> {
    fn step(
        &mut self,
        _: u64,
        parameters: &mut Parameters,
        rng: &mut Pcg64,
    ) -> Result<(NamedGradients, Values), TrainError> {
        let anchors = self.options.anchors;
        let mut videos: Vec<Vec<f32>> = Vec::with_capacity(3 * anchors);
        let (mut queries, mut targets, mut teacher) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..anchors {
            let (anchor, positive, negative) = self.pools.draw(rng);
            let swapped = rng.random::<f32>() < self.options.swap;
            videos.push(self.frames(anchor, false, rng));
            for (k, member) in [positive, negative].into_iter().enumerate() {
                videos.push(self.frames(member.video, self.options.augment, rng));
                let (q, t) = (3 * i, 3 * i + 1 + k);
                queries.push(if swapped { t } else { q });
                targets.push(if swapped { q } else { t });
                teacher.push(member.similarity);
            }
        }
        let leaves = Leaves::new(parameters, &self.device, |_| true);
        let views: Vec<&[f32]> = videos.iter().map(Vec::as_slice).collect();
        let batch = Batch::new(&views, self.set.regions, self.set.dims, &self.device)?;
        let index = self.net.index(&leaves, &batch)?;
        let scores = self.net.similarity(&leaves, &index.select(&queries), &index.select(&targets))?;
        let (main, regulariser) = match self.options.objective {
            Objective::Triplet { margin } => {
                let pairs = scores.similarity.clone().reshape([anchors, 2]);
                let column = |k: usize| pairs.clone().narrow(1, k, 1).reshape([anchors]);
                (losses::triplet(column(0), column(1), margin), scores.excess.mean())
            }
            Objective::Distill => {
                let count = teacher.len();
                let teacher = Tensor::<1>::from_data(TensorData::new(teacher, [count]), &self.device);
                (losses::l1(scores.similarity.clone(), teacher), scores.excess.sum())
            }
        };
        let loss = main.clone() + regulariser.clone() * self.options.regulariser;
        let gradients = leaves.gradients(&loss.backward())?;
        let values = [("loss", loss), ("main", main), ("regulariser", regulariser)]
            .into_iter()
            .map(|(name, t)| Ok((name.to_owned(), scalar(t)?)))
            .collect::<Result<Values, TrainError>>()?;
        Ok((gradients, values))
    }

    fn validate(&mut self, parameters: &Parameters) -> Result<Values, TrainError> {
        let fine = Fine::new(self.isa, self.net.config.clone(), &parameters.to_state("trained.")?)?;
        self.validation.fine(&fine)
    }
}
