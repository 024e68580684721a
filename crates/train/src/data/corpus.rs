//! Videos to train students on, made without labels: originals (real clips, pans and zooms over stills, drawn clips) and edited
//! copies of them, as video tensors.

use std::sync::Arc;

use half::f16;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_edits::clip::{ProceduralClip, ShotConfig, StillClip};
use vidsieve_edits::{Clip, Edit, Edited, Image, Kind, Pcg64, SourceFacts, generator};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::frames::RgbFrame;

use crate::TrainError;
use crate::data::clips::{NamedClip, takes};
use crate::data::features::{FeatureSet, ORIGINAL, TAKE, Video, VideoInfo};

/// A clip and its name.
type Named = (Box<dyn Clip>, String);

/// What the corpus is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusOptions {
    /// Sources, real clips included.
    pub sources: u64,
    /// Sources of one shard file.
    pub shard: u64,
    /// Edited copies of a source.
    pub copies: u64,
    /// Edited copies of a source that is a real clip.
    pub real_copies: u64,
    /// Most frames of a video, at one a second.
    pub frames: usize,
    /// Seconds of a made clip, at least and at most.
    pub seconds: [f64; 2],
    /// Share of made clips that are drawn, not made of stills.
    pub procedural: f64,
    /// Share of made clips that are scenes of a fixed camera, each with another take.
    pub scenes: f64,
    /// Whether what follows the first part of a real clip is another take of its scene.
    pub takes: bool,
    /// Strength of the edits, at least and at most, 0 to 1.
    pub strength: [f32; 2],
    /// Seed.
    pub seed: u64,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            sources: 1500,
            shard: 50,
            copies: 4,
            real_copies: 12,
            frames: 16,
            seconds: [4.0, 20.0],
            procedural: 0.2,
            scenes: 0.0,
            takes: false,
            strength: [0.3, 1.0],
            seed: 7,
        }
    }
}

/// Makes the videos of a corpus. Everything about source i follows from the seed and i.
pub struct Corpus<'a> {
    /// What is made.
    pub options: CorpusOptions,
    /// Stills that clips are made of.
    pub stills: &'a [Arc<Image>],
    /// Real clips: the first sources.
    pub clips: &'a [NamedClip],
    /// Frames to video tensors.
    pub extractor: &'a Extractor,
}

impl Corpus<'_> {
    /// Shards of the corpus.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.options.sources.div_ceil(self.options.shard.max(1))
    }

    /// The clip of a source, and its name; of another take, where it has one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn clip(&self, source: u64, another: bool) -> Result<Option<Named>, TrainError> {
        if let Some(real) = self.clips.get(source as usize) {
            let (clip, rest) = if self.options.takes {
                takes(&real.clip, self.options.frames as f64, true)?
            } else {
                (real.clip.clone(), None)
            };
            let clip = if another { rest } else { Some(clip) };
            return Ok(clip.map(|clip| (Box::new(clip) as Box<dyn Clip>, real.name.clone())));
        }
        let mut rng = generator(&[self.options.seed, source, 1]);
        let [low, high] = self.options.seconds;
        let (width, height) = [(320, 240), (320, 180), (240, 320), (288, 288)][rng.random_range(0..4usize)];
        let config = ShotConfig { width, height, duration: rng.random_range(low..=high), ..ShotConfig::default() };
        let seed = rng.random();
        let fixed = self.options.scenes > 0.0 && rng.random::<f64>() < self.options.scenes;
        if another && !fixed {
            return Ok(None);
        }
        let shot = if fixed { [config.duration.max(0.2); 2] } else { config.shot };
        let config = ShotConfig { fixed, shot, take: u64::from(another), ..config };
        if self.stills.is_empty() || rng.random::<f64>() < self.options.procedural {
            let clip = ProceduralClip::new(seed, config)?;
            return Ok(Some((Box::new(clip), format!("procedural-{source}"))));
        }
        // Every source has stills of its own: no two sources show the same.
        let made = self.options.sources - self.clips.len() as u64;
        let order = source - self.clips.len() as u64;
        let share = (self.stills.len() as u64 / made.max(1)).clamp(1, 5);
        let count = rng.random_range(1..=share);
        let stills: Vec<Arc<Image>> = (0..count)
            .map(|k| {
                // 7919 is prime: neighbours in a folder, which often look alike, are spread over the sources.
                let number = (order * share + k) * 7919 % self.stills.len() as u64;
                Arc::clone(&self.stills[number as usize])
            })
            .collect();
        Ok(Some((Box::new(StillClip::new(&stills, seed, config)?), format!("stills-{source}"))))
    }

    /// The clip of a source, and its name.
    fn source(&self, source: u64) -> Result<Named, TrainError> {
        self.clip(source, false)?.ok_or_else(|| TrainError::Data(format!("source {source} has no clip")))
    }

    /// A random edit: picture in picture, chains and excerpts more often than others.
    fn edit(&self, rng: &mut Pcg64, facts: &SourceFacts) -> Edit {
        let [low, high] = self.options.strength;
        let strength = rng.random_range(low..=high);
        let u: f64 = rng.random();
        if u < 0.18 {
            Edit::sample(rng, Kind::PictureInPicture, strength, facts)
        } else if u < 0.4 {
            let count = rng.random_range(2..=4);
            Edit::sample_chain(rng, count, strength, facts)
        } else if u < 0.48 {
            Edit::sample(rng, Kind::Excerpt, strength, facts)
        } else {
            let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
            Edit::sample(rng, kind, strength, facts)
        }
    }

    /// The videos of source `source`: the original first, then its copies, then another take of its scene, where it has one.
    ///
    /// # Errors
    /// [`TrainError`] where a clip cannot be made or described.
    pub fn videos(&self, source: u64) -> Result<Vec<Video>, TrainError> {
        let (mut original, name) = self.source(source)?;
        let info = VideoInfo::new(name.clone(), source, ORIGINAL.into());
        let mut videos = vec![describe(self.extractor, original.as_mut(), 0.0, self.options.frames, info)?];
        #[allow(clippy::cast_possible_truncation)]
        let real = (source as usize) < self.clips.len();
        let copies = if real { self.options.real_copies } else { self.options.copies };
        for copy in 0..copies {
            let mut rng = generator(&[self.options.seed, source, 2, copy]);
            let (clip, _) = self.source(source)?;
            let (width, height) = clip.size();
            let edit = self.edit(&mut rng, &SourceFacts { width, height, duration: clip.duration() });
            let mut host = None;
            let mut hosts: Vec<Box<dyn Clip>> = Vec::new();
            for _ in 0..edit.hosts() {
                // All hosts of a copy are one source: pairs name one host.
                let number = *host.get_or_insert_with(|| {
                    let other = rng.random_range(0..self.options.sources.max(2) - 1);
                    if other >= source { other + 1 } else { other }
                });
                hosts.push(self.source(number)?.0);
            }
            let kind = edit.name().to_owned();
            let mut edited = Edited::new(clip, hosts, edit)?;
            let phase = rng.random_range(0.0..0.6);
            let info = VideoInfo { host, ..VideoInfo::new(format!("{name}~{copy}"), source, kind) };
            videos.push(describe(self.extractor, &mut edited, phase, self.options.frames, info)?);
        }
        // No copy, though it shows the same scene: a source of its own.
        if let Some((mut take, name)) = self.clip(source, true)? {
            let info = VideoInfo::new(format!("{name}~{TAKE}"), self.options.sources + source, TAKE.into());
            videos.push(describe(self.extractor, take.as_mut(), 0.0, self.options.frames, info)?);
        }
        Ok(videos)
    }

    /// All videos of a shard.
    ///
    /// # Errors
    /// [`TrainError`] where a clip cannot be made or described.
    pub fn shard(&self, shard: u64) -> Result<FeatureSet, TrainError> {
        let first = shard * self.options.shard;
        let last = (first + self.options.shard).min(self.options.sources);
        let videos = (first..last).into_par_iter().map(|s| self.videos(s)).collect::<Result<Vec<_>, _>>()?.concat();
        let (regions, dims) = videos.first().map_or((0, 0), |v| {
            let regions = self.extractor.region_ranges().and_then(|r| r.last()).map_or(0, |r| r.end);
            (regions, v.data.len() / (v.frames * regions).max(1))
        });
        Ok(FeatureSet { regions, dims, videos })
    }
}

/// The tensor of a clip at one frame a second, from `phase` seconds on, at most `frames` of them.
///
/// # Errors
/// [`TrainError::Edit`] for a clip that gives no frame, [`TrainError::Describe`] as [`tensor`].
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn describe(
    extractor: &Extractor,
    clip: &mut dyn Clip,
    phase: f64,
    frames: usize,
    info: VideoInfo,
) -> Result<Video, TrainError> {
    let count = ((clip.duration() - phase).ceil().max(1.0) as usize).min(frames);
    let images = (0..count)
        .map(|i| clip.frame(phase.min(clip.duration() / 2.0) + i as f64))
        .collect::<Result<Vec<Image>, _>>()?;
    tensor(extractor, &images, info)
}

/// The tensor of a video of these frames.
///
/// # Errors
/// [`TrainError::Describe`] for frames that the extractor does not take.
pub fn tensor(extractor: &Extractor, images: &[Image], info: VideoInfo) -> Result<Video, TrainError> {
    let describe = || {
        let frames =
            images.iter().map(|i| RgbFrame::new(i.width, i.height, &i.pixels)).collect::<Result<Vec<_>, _>>()?;
        extractor.video(&frames)
    };
    let tensor =
        describe().map_err(|source| TrainError::Describe { video: info.id.clone(), source: Box::new(source) })?;
    let data = tensor.iter().map(|v| f16::from_f32(*v)).collect();
    Ok(Video { info, frames: images.len(), data })
}
