//! Which videos are paired in training: pools of positives and distractors of every anchor (§7.2), with a teacher's
//! similarities.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_kernels::{Isa, gemm};
use vidsieve_model::fine::Fine;

use crate::TrainError;
use crate::checkpoint::{read, write_atomically};
use crate::data::features::{FeatureSet, ORIGINAL};

/// A video of a pool with the teacher's similarity to the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Position in the feature set.
    pub video: usize,
    /// Similarity in [-1, 1], anchor as query.
    pub similarity: f32,
}

/// An anchor with its pools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    /// Position in the feature set.
    pub video: usize,
    /// Copies of it.
    pub positives: Vec<Member>,
    /// Distractors: videos that look like it and are no copies, and random ones.
    pub negatives: Vec<Member>,
}

/// Pools of a feature set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pools {
    /// One entry an anchor.
    pub anchors: Vec<Anchor>,
}

/// How pools are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolOptions {
    /// Distractors that look like the anchor most, by mean vector.
    pub hard: usize,
    /// Distractors drawn at random.
    pub random: usize,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { hard: 24, random: 8, seed: 1 }
    }
}

impl Pools {
    /// Pools for every video but distractors: originals have all their copies as positives, copies their original.
    /// Similarities are 1 for positives and -1 for negatives until a teacher gives others ([`Pools::score`]).
    #[must_use]
    pub fn mine(isa: Isa, set: &FeatureSet, options: &PoolOptions) -> Self {
        Self::mine_with(isa, set, options, &BTreeMap::new())
    }

    /// [`Pools::mine`] with labels of the user: videos of `pairs` are copies of each other, and so are those that a chain of pairs
    /// joins. Names are ids of the set; a pair of which one is not there is left out.
    ///
    /// # Errors
    /// [`TrainError::Data`] when no pair names two videos of the set.
    pub fn mine_labelled(
        isa: Isa,
        set: &FeatureSet,
        options: &PoolOptions,
        pairs: &[[String; 2]],
    ) -> Result<Self, TrainError> {
        let position: BTreeMap<&str, usize> =
            set.videos.iter().enumerate().map(|(i, v)| (v.info.id.as_str(), i)).collect();
        let mut groups: Vec<BTreeSet<usize>> = Vec::new();
        for pair in pairs {
            let [Some(&a), Some(&b)] = pair.each_ref().map(|name| position.get(name.as_str())) else { continue };
            let mut joined = BTreeSet::from([a, b]);
            groups.retain(|group| {
                let meets = !group.is_disjoint(&joined);
                if meets {
                    joined.extend(group);
                }
                !meets
            });
            groups.push(joined);
        }
        if groups.is_empty() {
            return Err(TrainError::Data(format!(
                "none of the {} labelled pairs names two videos of the corpus; names are those of the clips' files",
                pairs.len()
            )));
        }
        let labels = groups.iter().flat_map(|g| g.iter().map(move |&v| (v, g))).collect();
        Ok(Self::mine_with(isa, set, options, &labels))
    }

    /// `labels`: for a video the group of its labelled copies, itself among them.
    fn mine_with(
        isa: Isa,
        set: &FeatureSet,
        options: &PoolOptions,
        labels: &BTreeMap<usize, &BTreeSet<usize>>,
    ) -> Self {
        let means = set.mean_vectors();
        let count = set.videos.len();
        let packed = gemm::Packed::from_rows(isa, &means, count, set.dims);
        let mut by_source: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (i, v) in set.videos.iter().enumerate() {
            by_source.entry(v.info.source).or_default().push(i);
        }
        let anchors = (0..count)
            .into_par_iter()
            .filter_map(|video| {
                let info = &set.videos[video].info;
                let original = info.kind == ORIGINAL;
                let labelled = |v: usize| labels.get(&video).is_some_and(|group| group.contains(&v));
                let own = by_source[&info.source]
                    .iter()
                    .copied()
                    .filter(|&v| original || set.videos[v].info.kind == ORIGINAL);
                let others = labels.get(&video).into_iter().flat_map(|group| group.iter().copied());
                let copies: BTreeSet<usize> = own.chain(others).filter(|&v| v != video).collect();
                let positives: Vec<Member> =
                    copies.into_iter().map(|video| Member { video, similarity: 1.0 }).collect();
                if positives.is_empty() {
                    return None;
                }
                let mut scores = vec![0f32; count];
                gemm::matmul(&means[video * set.dims..][..set.dims], 1, &packed, &mut scores);
                let mut others: Vec<usize> =
                    (0..count).filter(|&v| info.unrelated(&set.videos[v].info) && !labelled(v)).collect();
                others.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                let hard = options.hard.min(others.len());
                let mut chosen = others[..hard].to_vec();
                let mut rng = Pcg64::seed_from_u64(options.seed ^ (video as u64) << 20);
                let mut rest = others[hard..].to_vec();
                let (drawn, _) = rest.partial_shuffle(&mut rng, options.random);
                chosen.extend_from_slice(drawn);
                let negatives = chosen.into_iter().map(|video| Member { video, similarity: -1.0 }).collect();
                Some(Anchor { video, positives, negatives })
            })
            .collect();
        Self { anchors }
    }

    /// Replaces all similarities by a teacher's, anchor as query.
    ///
    /// # Errors
    /// [`TrainError::Input`] when the teacher does not take the set's tensors.
    pub fn score(&mut self, teacher: &Fine, set: &FeatureSet) -> Result<(), TrainError> {
        let tensors = set.indexed(teacher)?;
        self.anchors.par_iter_mut().try_for_each(|anchor| {
            let query = &tensors[anchor.video];
            for member in anchor.positives.iter_mut().chain(&mut anchor.negatives) {
                member.similarity = teacher.similarity(query, &tensors[member.video])?;
            }
            Ok(())
        })
    }

    /// Writes the pools.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let bytes = serde_json::to_vec(self).map_err(|e| TrainError::file(path, e))?;
        write_atomically(path, &bytes)
    }

    /// Reads pools.
    ///
    /// # Errors
    /// [`TrainError::File`] for a file that is damaged or names videos beyond `videos`.
    pub fn load(path: &Path, videos: usize) -> Result<Self, TrainError> {
        let pools: Self = serde_json::from_slice(&read(path)?).map_err(|e| TrainError::file(path, e))?;
        let fits = |m: &Member| m.video < videos && m.similarity.is_finite();
        let ok = |a: &Anchor| a.video < videos && a.positives.iter().all(fits) && a.negatives.iter().all(fits);
        if pools.anchors.is_empty() || !pools.anchors.iter().all(ok) {
            return Err(TrainError::file(path, "it belongs to another set of videos"));
        }
        Ok(pools)
    }

    /// One positive and one distractor of a random anchor, drawn uniformly.
    ///
    /// # Panics
    /// When there is no anchor.
    #[must_use]
    pub fn draw(&self, rng: &mut Pcg64) -> (usize, Member, Member) {
        let anchor = &self.anchors[rng.random_range(0..self.anchors.len())];
        let pick = |rng: &mut Pcg64, pool: &[Member]| {
            if pool.is_empty() {
                Member { video: anchor.video, similarity: 1.0 }
            } else {
                pool[rng.random_range(0..pool.len())]
            }
        };
        let positive = pick(rng, &anchor.positives);
        (anchor.video, positive, pick(rng, &anchor.negatives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::features::{Video, VideoInfo};
    use half::f16;

    /// Six clips without copies; 0 and 1 look alike.
    fn set() -> FeatureSet {
        let video = |i: u64| {
            let mut data = vec![f16::ZERO; 8];
            data[if i == 1 { 0 } else { i as usize }] = f16::ONE;
            Video { info: VideoInfo::new(format!("{i}.mp4"), i, "original".into()), frames: 1, data }
        };
        FeatureSet { regions: 1, dims: 8, videos: (0..6).map(video).collect() }
    }

    #[test]
    fn labelled_pairs_are_copies_and_no_distractors() {
        let (set, options) = (set(), PoolOptions { hard: 2, random: 9, seed: 1 });
        assert!(Pools::mine(Isa::best(), &set, &options).anchors.is_empty());
        let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let labels =
            [pair("0.mp4", "2.mp4"), pair("4.mp4", "3.mp4"), pair("3.mp4", "2.mp4"), pair("5.mp4", "away.mp4")];
        let pools = Pools::mine_labelled(Isa::best(), &set, &options, &labels).unwrap();
        let anchors: Vec<usize> = pools.anchors.iter().map(|a| a.video).collect();
        assert_eq!(anchors, [0, 2, 3, 4], "a chain of pairs is one group; 1 and 5 have no copy");
        let videos = |members: &[Member]| members.iter().map(|m| m.video).collect::<BTreeSet<_>>();
        let first = &pools.anchors[0];
        assert_eq!(videos(&first.positives), [2, 3, 4].into());
        assert_eq!(videos(&first.negatives), [1, 5].into());
        assert_eq!(first.negatives[0].video, 1, "what looks alike comes first");
        let message = Pools::mine_labelled(Isa::best(), &set, &options, &labels[3..]).unwrap_err().to_string();
        assert!(message.contains("none of the 1 labelled pairs"), "{message}");
    }
}
