//! Training of the coarse student S^c (§7.2): distillation of a fine teacher into one vector a video.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use vidsieve_kernels::Isa;
use vidsieve_model::coarse::Coarse;

use crate::TrainError;
use crate::data::features::FeatureSet;
use crate::data::pools::Pools;
use crate::data::temporal::{augment, crop};
use crate::learners::run::{Learner, Values};
use crate::learners::validation::Validation;
use crate::networks::losses;
use crate::networks::nets::{Batch, CoarseNet};
use crate::networks::parameters::{Leaves, NamedGradients, Parameters, scalar};

/// Settings of a coarse training run beside its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoarseOptions {
    /// Anchors of a batch; each brings a positive and a negative.
    pub anchors: usize,
    /// Longest video, in frames.
    pub frames: usize,
    /// Weight of the L1 distance to the teacher (`s/2 + 0.5`, as upstream).
    pub distillation: f32,
    /// Weight of InfoNCE over the batch: anchors against all positives and negatives that share no material with them. 0
    /// upstream; labels come from the pools.
    pub contrast: f32,
    /// Temperature of InfoNCE.
    pub temperature: f32,
    /// Dropout in the transformer (0.1 upstream).
    pub dropout: f32,
    /// Whether positives and negatives are augmented in time.
    pub augment: bool,
    /// Largest noise on region vectors, drawn for each video (0 upstream; [`FeatureSet::noisy_frames`]).
    pub noise: f32,
}

impl Default for CoarseOptions {
    fn default() -> Self {
        Self {
            anchors: 32,
            frames: 300,
            distillation: 1.0,
            contrast: 0.0,
            temperature: 0.07,
            dropout: 0.1,
            augment: true,
            noise: 0.0,
        }
    }
}

/// A coarse student in training on a feature set.
#[derive(Debug)]
pub struct CoarseLearner<'a> {
    /// The network.
    pub net: CoarseNet,
    /// Settings.
    pub options: CoarseOptions,
    /// Training videos.
    pub set: &'a FeatureSet,
    /// Pairs of them, with the teacher's similarities.
    pub pools: &'a Pools,
    /// Validation videos.
    pub validation: &'a Validation<'a>,
    /// Device with autodiff.
    pub device: Device,
    /// Instructions for validation.
    pub isa: Isa,
}

/// Factors of a dropout layer: 0 with probability `p`, else `1 / (1 - p)`.
pub(crate) fn dropout_factors(shape: &[usize], p: f32, rng: &mut Pcg64) -> Option<Vec<f32>> {
    (p > 0.0).then(|| {
        let keep = 1.0 / (1.0 - p);
        (0..shape.iter().product()).map(|_| if rng.random::<f32>() < p { 0.0 } else { keep }).collect()
    })
}

impl Learner for CoarseLearner<'_> {
    fn step(
        &mut self,
        _: u64,
        parameters: &mut Parameters,
        rng: &mut Pcg64,
    ) -> Result<(NamedGradients, Values), TrainError> {
        let b = self.options.anchors;
        let (mut anchors, mut positives, mut negatives) = (Vec::new(), Vec::new(), Vec::new());
        let mut teacher = vec![0f32; 2 * b];
        for i in 0..b {
            let (anchor, positive, negative) = self.pools.draw(rng);
            anchors.push(anchor);
            positives.push(positive.video);
            negatives.push(negative.video);
            teacher[i] = positive.similarity / 2.0 + 0.5;
            teacher[b + i] = negative.similarity / 2.0 + 0.5;
        }
        let order: Vec<usize> = anchors.iter().chain(&positives).chain(&negatives).copied().collect();
        let videos: Vec<Vec<f32>> = order
            .iter()
            .enumerate()
            .map(|(i, &v)| {
                let count = self.set.videos[v].frames;
                let positions = if i >= b && self.options.augment { augment(count, rng) } else { (0..count).collect() };
                let noise = self.options.noise * rng.random::<f32>();
                self.set.noisy_frames(v, &crop(positions, self.options.frames, rng), noise, rng)
            })
            .collect();
        let leaves = Leaves::new(parameters, &self.device, |_| true);
        let views: Vec<&[f32]> = videos.iter().map(Vec::as_slice).collect();
        let batch = Batch::new(&views, self.set.regions, self.set.dims, &self.device)?;
        let p = self.options.dropout;
        let vectors = self.net.embed(&leaves, &batch, &mut |shape| dropout_factors(shape, p, rng))?;
        let anchor = vectors.clone().narrow(0, 0, b);
        let others = vectors.narrow(0, b, 2 * b);
        let matrix = anchor.clone().matmul(others.clone().transpose());
        let doubled = Tensor::cat(vec![anchor.clone(), anchor], 0);
        let similarity = (doubled * others).sum_dim(1).reshape([2 * b]);
        let teacher = Tensor::<1>::from_data(TensorData::new(teacher, [2 * b]), &self.device);
        let l1 = losses::l1(similarity, teacher);
        let mut loss = l1.clone() * self.options.distillation;
        let mut parts = vec![("l1", l1)];
        if self.options.contrast > 0.0 {
            let mut excluded = vec![0f32; 2 * b * b];
            for i in 0..b {
                let own = &self.set.videos[anchors[i]].info;
                for (j, &other) in order[b..].iter().enumerate() {
                    if j != i && !own.unrelated(&self.set.videos[other].info) {
                        excluded[i * 2 * b + j] = 1.0;
                    }
                }
            }
            let excluded = Tensor::<2>::from_data(TensorData::new(excluded, [b, 2 * b]), &self.device);
            let contrast = losses::info_nce(matrix, Some(excluded), self.options.temperature);
            loss = loss + contrast.clone() * self.options.contrast;
            parts.push(("contrast", contrast));
        }
        let gradients = leaves.gradients(&loss.backward())?;
        parts.push(("loss", loss));
        let values = parts
            .into_iter()
            .map(|(name, t)| Ok((name.to_owned(), scalar(t)?)))
            .collect::<Result<Values, TrainError>>()?;
        Ok((gradients, values))
    }

    fn validate(&mut self, parameters: &Parameters) -> Result<Values, TrainError> {
        let coarse = Coarse::new(self.isa, self.net.config, &parameters.to_state("trained.")?)?;
        self.validation.coarse(&coarse)
    }
}
