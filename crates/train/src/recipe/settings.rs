//! Everything that decides what the default bundle becomes.

use serde::{Deserialize, Serialize};

use crate::data::corpus::CorpusOptions;
use crate::data::pools::PoolOptions;
use crate::learners::coarse::CoarseOptions;
use crate::learners::direct::DirectOptions;
use crate::learners::fine::{FineOptions, Objective};
use crate::learners::run::Schedule;
use crate::learners::selector::SelectorOptions;
use crate::learners::self_supervised::BackboneOptions;

use super::students::FinePlan;

/// Everything that decides what the default bundle becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Backbone.
    pub backbone: BackboneOptions,
    /// Its schedule.
    pub backbone_schedule: Schedule,
    /// Views that PCA is fitted on.
    pub pca_views: usize,
    /// What whitening adds to every variance, relative to their mean.
    pub pca_shrink: f32,
    /// Training corpus.
    pub corpus: CorpusOptions,
    /// Validation corpus.
    pub validation: CorpusOptions,
    /// Queries of a validation.
    pub queries: usize,
    /// Videos of a validation that are no copies of a query.
    pub distractors: usize,
    /// Region vectors that ITQ is fitted on.
    pub itq_vectors: usize,
    /// Pools of pairs.
    pub pools: PoolOptions,
    /// Teacher.
    pub teacher: FinePlan,
    /// S^f_A of each iteration: the first learns from the teacher, later ones from the one before.
    pub iterations: usize,
    /// S^f_A.
    pub fine_attention: FinePlan,
    /// S^f_B.
    pub fine_binary: FinePlan,
    /// The direct paths of all fine networks.
    pub direct: DirectOptions,
    /// S^c.
    pub coarse: CoarseOptions,
    /// Its schedule.
    pub coarse_schedule: Schedule,
    /// Pairs for SN.
    pub selector_pools: PoolOptions,
    /// SN.
    pub selector: SelectorOptions,
    /// Its schedule.
    pub selector_schedule: Schedule,
}

impl Default for Recipe {
    fn default() -> Self {
        let schedule =
            |steps, lr, every, seed| Schedule { steps, lr, validate_every: every, seed, ..Schedule::default() };
        let fine = |objective, regulariser, schedule| FinePlan {
            options: FineOptions {
                objective,
                anchors: 16,
                frames: 16,
                noise: 0.4,
                shorten: 0.5,
                regulariser,
                ..FineOptions::default()
            },
            schedule,
        };
        Self {
            backbone: BackboneOptions { sides: vec![(0, 64), (46_000, 112)], ..BackboneOptions::default() },
            backbone_schedule: Schedule { weight_decay: 1e-3, clip: 0.0, ..schedule(50_000, 2e-3, 1000, 11) },
            pca_views: 4000,
            pca_shrink: 0.0,
            corpus: CorpusOptions {
                sources: 1000,
                copies: 5,
                real_copies: 0,
                procedural: 0.3,
                scenes: 0.15,
                takes: true,
                ..CorpusOptions::default()
            },
            validation: CorpusOptions {
                sources: 150,
                copies: 6,
                real_copies: 12,
                scenes: 0.15,
                takes: true,
                seed: 8,
                ..CorpusOptions::default()
            },
            queries: 50,
            distractors: 300,
            itq_vectors: 200_000,
            pools: PoolOptions::default(),
            // Wider margins and faster rates end below the start on new clips.
            teacher: fine(Objective::Triplet { margin: 0.1 }, 0.05, schedule(400, 3e-5, 100, 2)),
            iterations: 1,
            fine_attention: fine(Objective::Distill, 1e-3, schedule(200, 3e-5, 100, 3)),
            fine_binary: fine(Objective::Distill, 1e-3, schedule(400, 1e-4, 100, 4)),
            direct: DirectOptions::default(),
            coarse: CoarseOptions { anchors: 48, frames: 16, contrast: 1.0, noise: 0.4, ..CoarseOptions::default() },
            coarse_schedule: schedule(750, 3e-4, 125, 5),
            selector_pools: PoolOptions { hard: 16, random: 64, seed: 4 },
            selector: SelectorOptions { frames: 16, ..SelectorOptions::default() },
            selector_schedule: schedule(800, 1e-3, 200, 6),
        }
    }
}

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipeStage {
    /// The backbone.
    Backbone,
    /// PCA-whitening.
    Pca,
    /// Video tensors of both corpora.
    Features,
    /// The start of the binary layer.
    Itq,
    /// T.
    Teacher,
    /// S^f_A, all iterations.
    FineAttention,
    /// S^f_B.
    FineBinary,
    /// S^c.
    Coarse,
    /// SN.
    Selector,
    /// Calibration, the last part of a bundle.
    Calibration,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Recipe;

    /// What `models/recipe.json` says of the default bundle is what the default recipe does:
    /// `train-default` makes that bundle.
    #[test]
    fn the_default_bundle_is_made_by_the_default_recipe() {
        let shipped: Recipe = serde_json::from_str(include_str!("../../../../models/recipe.json")).unwrap();
        assert_eq!(shipped, Recipe::default());
    }
}
