//! Training of the selector SN (§7.3): which pairs the coarse student gets wrong.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand::seq::index;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use vidsieve_eval::metrics::{balanced_accuracy, roc_auc};
use vidsieve_kernels::Isa;
use vidsieve_model::selector::Selector;

use crate::TrainError;
use crate::data::features::FeatureSet;
use crate::learners::coarse::dropout_factors;
use crate::learners::run::{Learner, Values};
use crate::networks::losses;
use crate::networks::nets::{Batch, SelectorNet, update_running};
use crate::networks::parameters::{Leaves, NamedGradients, Parameters, scalar};

/// A pair that both students have scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoredPair {
    /// Position of the query in the feature set.
    pub query: usize,
    /// Position of the target.
    pub target: usize,
    /// Coarse similarity in [-1, 1].
    pub coarse: f32,
    /// Fine similarity in [-1, 1].
    pub fine: f32,
}

impl ScoredPair {
    /// Whether the coarse answer is wrong by more than `t`: `|fine/2 + 0.5 - coarse| > t`, where answers below `floor` count as
    /// `floor`.
    #[must_use]
    pub fn wrong(&self, t: f32, floor: f32) -> bool {
        ((self.fine / 2.0 + 0.5).max(floor) - self.coarse.max(floor)).abs() > t
    }
}

/// Settings of a selector's training run beside its schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelectorOptions {
    /// t: an answer is wrong when it is off by more (0.2 upstream).
    pub threshold: f32,
    /// Answers on the scale of coarse cosines below which none is wrong: both students say that the videos are unrelated. For a fine
    /// student with a direct path, see [`SelectorOptions::of`]; 0 otherwise, as upstream.
    pub floor: f32,
    /// Pairs of a batch, half of each class (64 upstream).
    pub pairs: usize,
    /// Longest video, in frames.
    pub frames: usize,
    /// Dropout of the MLP (0.5 upstream).
    pub dropout: f32,
    /// Momentum of running statistics.
    pub momentum: f32,
}

impl Default for SelectorOptions {
    fn default() -> Self {
        Self { threshold: 0.2, floor: 0.0, pairs: 64, frames: 300, dropout: 0.5, momentum: 0.1 }
    }
}

impl SelectorOptions {
    /// The settings for the pairs of a fine student. One with a direct path puts unrelated pairs
    /// far below where the coarse student has them ([`crate::learners::calibrate::one_scale`]):
    /// without a floor nearly half of all pairs would be wrong in a way that no search notices, and
    /// the selector would learn that instead. The floor is where the highest hundredth of the
    /// unrelated pairs' cosines starts, at which the two scales meet.
    #[must_use]
    pub fn of(&self, direct: bool, set: &FeatureSet, pairs: &[ScoredPair]) -> Self {
        let mut cosines: Vec<f32> = pairs
            .iter()
            .filter(|p| set.videos[p.query].info.unrelated(&set.videos[p.target].info))
            .map(|p| p.coarse)
            .collect();
        cosines.sort_by(f32::total_cmp);
        let floor = cosines.get(cosines.len() * 99 / 100).copied().filter(|_| direct);
        Self { floor: floor.unwrap_or(self.floor), ..self.clone() }
    }

    /// Whether the coarse answer is wrong.
    #[must_use]
    pub fn is_wrong(&self, pair: &ScoredPair) -> bool {
        pair.wrong(self.threshold, self.floor)
    }
}

/// A selector in training.
#[derive(Debug)]
pub struct SelectorLearner<'a> {
    net: SelectorNet,
    options: SelectorOptions,
    set: &'a FeatureSet,
    classes: [Vec<ScoredPair>; 2],
    held_out: Vec<ScoredPair>,
    device: Device,
    isa: Isa,
}

impl<'a> SelectorLearner<'a> {
    /// A learner on `pairs` of `set`; every 32nd pair of each class is held out for validation (3 %).
    ///
    /// # Errors
    /// [`TrainError::Data`] when a class is empty: with that t the coarse student is never, or always, wrong.
    pub fn new(
        net: SelectorNet,
        options: SelectorOptions,
        set: &'a FeatureSet,
        pairs: &[ScoredPair],
        device: Device,
        isa: Isa,
    ) -> Result<Self, TrainError> {
        let mut classes = [Vec::new(), Vec::new()];
        let mut held_out = Vec::new();
        let mut seen = [0usize; 2];
        for pair in pairs {
            let class = usize::from(options.is_wrong(pair));
            if seen[class] % 32 == 31 {
                held_out.push(*pair)
            } else {
                classes[class].push(*pair)
            }
            seen[class] += 1;
        }
        if let Some(empty) = classes.iter().position(Vec::is_empty) {
            let what = if empty == 0 { "right" } else { "wrong" };
            let t = options.threshold;
            return Err(TrainError::Data(format!(
                "selector: the coarse student is {what} on no pair at t = {t} ({} pairs): choose another --threshold",
                pairs.len()
            )));
        }
        Ok(Self { net, options, set, classes, held_out, device, isa })
    }

    /// Pairs that are right and wrong, held-out ones left out.
    #[must_use]
    pub fn class_sizes(&self) -> [usize; 2] {
        [self.classes[0].len(), self.classes[1].len()]
    }
}

impl Learner for SelectorLearner<'_> {
    #[allow(clippy::cast_precision_loss)]
    fn step(
        &mut self,
        _: u64,
        parameters: &mut Parameters,
        rng: &mut Pcg64,
    ) -> Result<(NamedGradients, Values), TrainError> {
        let half = self.options.pairs / 2;
        let mut pairs = Vec::with_capacity(2 * half);
        let mut labels = Vec::with_capacity(2 * half);
        for (label, class) in self.classes.iter().enumerate() {
            if class.len() >= half {
                pairs.extend(index::sample(rng, class.len(), half).into_iter().map(|i| class[i]));
            } else {
                pairs.extend((0..half).map(|_| class[rng.random_range(0..class.len())]));
            }
            labels.resize(pairs.len(), label as f32);
        }
        let mut unique: Vec<usize> = pairs.iter().flat_map(|p| [p.query, p.target]).collect();
        unique.sort_unstable();
        unique.dedup();
        let videos: Vec<Vec<f32>> = unique
            .iter()
            .map(|&v| {
                let all: Vec<usize> = (0..self.set.videos[v].frames.min(self.options.frames)).collect();
                self.set.frames(v, &all)
            })
            .collect();
        let place = |v: usize| unique.binary_search(&v).unwrap_or_default();
        let leaves = Leaves::new(parameters, &self.device, |name| !name.contains("running_"));
        let views: Vec<&[f32]> = videos.iter().map(Vec::as_slice).collect();
        let batch = Batch::new(&views, self.set.regions, self.set.dims, &self.device)?;
        let own = self.net.self_similarity(&leaves, &batch)?;
        let count = pairs.len();
        let pick = |positions: Vec<usize>| {
            #[allow(clippy::cast_possible_wrap)]
            let positions: Vec<i64> = positions.into_iter().map(|p| p as i64).collect();
            let positions =
                Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(positions, [count]), &self.device);
            own.clone().select(0, positions).reshape([count, 1])
        };
        let coarse: Vec<f32> = pairs.iter().map(|p| p.coarse).collect();
        let coarse = Tensor::<2>::from_data(TensorData::new(coarse, [count, 1]), &self.device);
        let queries = pick(pairs.iter().map(|p| place(p.query)).collect());
        let targets = pick(pairs.iter().map(|p| place(p.target)).collect());
        let rows = Tensor::cat(vec![queries, targets, coarse], 1);
        let p = self.options.dropout;
        let (logits, statistics) = self.net.logits(&leaves, rows, &mut |shape| dropout_factors(shape, p, rng))?;
        let labels = Tensor::<1>::from_data(TensorData::new(labels, [count]), &self.device);
        let loss = losses::binary_cross_entropy(logits, labels);
        let gradients = leaves.gradients(&loss.backward())?;
        update_running(parameters, statistics, self.options.momentum)?;
        Ok((gradients, [("loss".to_owned(), scalar(loss)?)].into()))
    }

    /// Accuracy balanced over the classes and area under the ROC curve, on held-out pairs.
    fn validate(&mut self, parameters: &Parameters) -> Result<Values, TrainError> {
        let selector = Selector::new(self.isa, self.net.config, &parameters.to_state("trained.")?)?;
        let mut own = std::collections::BTreeMap::new();
        for v in self.held_out.iter().flat_map(|p| [p.query, p.target]) {
            if let std::collections::btree_map::Entry::Vacant(entry) = own.entry(v) {
                entry.insert(selector.self_similarity(self.set.tensor(v).view())?);
            }
        }
        let rows: Vec<[f32; 3]> = self.held_out.iter().map(|p| [own[&p.query], own[&p.target], p.coarse]).collect();
        let mut probabilities = vec![0f32; self.held_out.len()];
        selector.mlp().predict_pairs(&rows, &mut probabilities);
        let scored: Vec<(f32, bool)> =
            probabilities.into_iter().zip(&self.held_out).map(|(p, pair)| (p, self.options.is_wrong(pair))).collect();
        let (balanced, auc) = (balanced_accuracy(&scored), roc_auc(&scored));
        Ok([("accuracy", balanced), ("auc", auc), ("score", auc)].map(|(n, v)| (n.to_owned(), v)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unrelated_pairs_are_not_wrong_below_the_floor() {
        let pair = |coarse, fine| ScoredPair { query: 0, target: 1, coarse, fine };
        // Both say unrelated, on scales of their own.
        assert!(pair(0.3, -0.98).wrong(0.2, 0.0));
        assert!(!pair(0.3, -0.98).wrong(0.2, 0.35));
        // A copy that the coarse student misses, and an unrelated pair that it takes for one.
        assert!(pair(0.3, 0.6).wrong(0.2, 0.35));
        assert!(pair(0.6, -0.98).wrong(0.2, 0.35));
        assert!(!pair(0.5, -0.98).wrong(0.2, 0.35));
    }
}
