//! The hard benchmark's videos as tensors, and what is to be found among them.
//!
//! Held-out clips, each with every kind of edit and chains, other takes of their scenes, and
//! thousands of distractors: what [`vidsieve_train::data::editing::edit`] writes as files, without
//! the losses of video codecs: frames are taken from the edited clips as they are, one a second, so
//! that a benchmark takes minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_edits::{Clip, Edited, Image, Kind, SourceFacts, generator};
use vidsieve_eval::retrieval::Truth;
use vidsieve_model::extractor::Extractor;
use vidsieve_train::TrainError;
use vidsieve_train::data::clips::{ClipLimits, NamedClip, load_clip, videos as videos_below};
use vidsieve_train::data::corpus::{CorpusOptions, describe};
use vidsieve_train::data::editing::{EditOptions, EditPlan};
use vidsieve_train::data::features::{FeatureSet, ORIGINAL, TAKE, Video, VideoInfo};
use vidsieve_train::data::material::{Stills, digest_of_clips};
use vidsieve_train::monitor::{Monitor, Progress};
use vidsieve_train::stage::{Keyed, StageKey, TrainingStage};

/// Version of the stage that describes the edited clips.
const EDITED: u32 = 1;

/// What the benchmark is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HardOptions {
    /// Edits of every clip, and other takes.
    pub edits: EditOptions,
    /// Most frames of a video, at one a second.
    pub frames: usize,
    /// Distractors: made clips without copies.
    pub distractors: CorpusOptions,
}

impl Default for HardOptions {
    fn default() -> Self {
        Self {
            edits: EditOptions { seed: 31, ..EditOptions::default() },
            frames: 12,
            distractors: CorpusOptions {
                sources: 3000,
                shard: 250,
                copies: 0,
                real_copies: 0,
                frames: 6,
                seconds: [3.0, 6.0],
                procedural: 0.4,
                seed: 41,
                ..CorpusOptions::default()
            },
        }
    }
}

/// What the benchmark's videos are made of.
#[derive(Debug, Clone, Default)]
pub struct HardMaterial {
    /// Clips that are searched for, once edited.
    pub clips: Vec<NamedClip>,
    /// Stills that distractors are made of; without them all are drawn.
    pub stills: Vec<Arc<Image>>,
}

impl HardMaterial {
    /// The clips below a folder, only those that are `named` if names are given, and the stills of
    /// folders. The second value says which stills were left out, and why; a clip that cannot be
    /// read is an error, since the truth would be wrong without it.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn load(
        clips: &Path,
        named: Option<&BTreeSet<String>>,
        stills: &[PathBuf],
        options: &HardOptions,
    ) -> Result<(Self, Vec<TrainError>), TrainError> {
        let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let limits = ClipLimits { seconds: 2.0 * options.edits.seconds, ..ClipLimits::default() };
        let clips = videos_below(clips)?
            .into_par_iter()
            .filter(|path| named.is_none_or(|n| n.contains(&name(path))))
            .map(|path| Ok(NamedClip { clip: load_clip(&path, limits)?, name: name(&path) }))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let (stills, refused) = Stills::load(stills)?;
        let stills = stills.images.into_iter().map(Arc::new).collect();
        Ok((Self { clips, stills }, refused))
    }
}

/// The videos of clip `i`: the original first, its copies, and another take where the clip is long enough.
fn videos(
    clips: &[NamedClip],
    i: usize,
    kinds: &[Kind],
    options: &HardOptions,
    extractor: &Extractor,
) -> Result<Vec<Video>, TrainError> {
    let name = &clips[i].name;
    let (clip, rest) = options.edits.takes(&clips[i].clip)?;
    let (width, height) = clip.size();
    let facts = SourceFacts { width, height, duration: clip.duration() };
    let tensor =
        |clip: &mut dyn Clip, phase: f64, info: VideoInfo| describe(extractor, clip, phase, options.frames, info);
    let mut videos = vec![tensor(&mut clip.clone(), 0.0, VideoInfo::new(name.clone(), i as u64, ORIGINAL.into()))?];
    let plans = options.edits.plans(kinds, i, clips.len(), &facts);
    let copies = plans
        .into_par_iter()
        .enumerate()
        .map(|(k, EditPlan { name: kind, edit, host })| {
            let set_in = host.map(|h| options.edits.takes(&clips[h].clip)).transpose()?;
            let hosts: Vec<Box<dyn Clip>> = (0..edit.hosts())
                .filter_map(|_| set_in.as_ref().map(|(clip, _)| Box::new(clip.clone()) as Box<dyn Clip>))
                .collect();
            let mut edited = Edited::new(Box::new(clip.clone()), hosts, edit)?;
            let phase = generator(&[options.edits.seed, i as u64, k as u64, 1]).random_range(0.0..0.6);
            let info =
                VideoInfo { host: host.map(|h| h as u64), ..VideoInfo::new(format!("{name}~{kind}"), i as u64, kind) };
            tensor(&mut edited, phase, info)
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    videos.extend(copies);
    if let Some(mut rest) = rest {
        let source = (clips.len() + i) as u64;
        videos.push(tensor(&mut rest, 0.0, VideoInfo::new(format!("{name}~{TAKE}"), source, TAKE.into()))?);
    }
    Ok(videos)
}

/// The clips with their copies and takes, a file of `folder` a clip; files that were made of the
/// same clips with the same options are read.
///
/// # Errors
/// [`TrainError`]; with fewer than two clips none can be set in another.
pub fn edited(
    folder: &Path,
    clips: &[NamedClip],
    options: &HardOptions,
    extractor: &Keyed<Extractor>,
    monitor: &mut dyn Monitor,
) -> Result<FeatureSet, TrainError> {
    if clips.len() < 2 {
        return Err(TrainError::Data("the benchmark needs two clips at least: one is set in the other".into()));
    }
    let kinds = options.edits.kinds()?;
    let stage = TrainingStage::new(folder, "hard", EDITED)
        .setting("edits", &options.edits)?
        .setting("frames", &options.frames)?
        .input("extractor", &extractor.key)
        .input("clips", &StageKey::of(digest_of_clips(clips)))
        .shards("hard", clips.len() as u64);
    stage.begin(monitor)?;
    let mut set = FeatureSet::default();
    for (i, path) in stage.paths().iter().enumerate() {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        if !path.exists() {
            let videos = videos(clips, i, &kinds, options, &extractor.value)?;
            let regions = extractor.value.region_ranges().and_then(|r| r.last()).map_or(0, |r| r.end);
            let dims = videos.first().map_or(0, |v| v.data.len() / (v.frames * regions).max(1));
            FeatureSet { regions, dims, videos }.save(path)?;
        }
        set.load(path)?;
        let (step, steps) = (i as u64 + 1, clips.len() as u64);
        monitor.report(&Progress { stage: "edited clips".into(), step, steps, ..Progress::default() });
    }
    Ok(set)
}

/// Which videos of a set are searched for, and what is to be found. Queries are the originals that
/// have copies, the database is everything else; a copy in which another clip is seen too is left
/// out of that clip's ranking.
#[must_use]
pub fn truth(set: &FeatureSet) -> Truth {
    let infos = || set.videos.iter().map(|v| &v.info);
    let is_query = |v: &&VideoInfo| v.kind == ORIGINAL && infos().any(|c| c.source == v.source && c.kind != ORIGINAL);
    let ids = |videos: &mut dyn Iterator<Item = &VideoInfo>| videos.map(|v| v.id.clone()).collect::<Vec<_>>();
    let (mut queries, mut ignore) = (BTreeMap::new(), BTreeMap::new());
    for query in infos().filter(is_query) {
        let copies = ids(&mut infos().filter(|v| v.source == query.source && v.id != query.id));
        let hosted = ids(&mut infos().filter(|v| v.host == Some(query.source)));
        queries.insert(query.id.clone(), copies);
        ignore.insert(query.id.clone(), hosted);
    }
    let database = infos().map(|v| v.id.clone()).filter(|id| !queries.contains_key(id)).collect();
    Truth { queries, database, ignore }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn originals_with_copies_are_searched_for() {
        let video = |id: &str, source: u64, kind: &str, host: Option<u64>| {
            let info = VideoInfo { host, ..VideoInfo::new(id.into(), source, kind.into()) };
            Video { info, frames: 1, data: Vec::new() }
        };
        let videos = vec![
            video("a", 0, ORIGINAL, None),
            video("a~crop", 0, "crop", None),
            video("b", 1, ORIGINAL, None),
            video("b~inset", 1, "inset", Some(0)),
            video("lonely", 2, ORIGINAL, None),
            video("a~take", 3, TAKE, None),
        ];
        let truth = truth(&FeatureSet { regions: 0, dims: 0, videos });
        truth.check("the benchmark").unwrap();
        let names = |videos: &[&str]| videos.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        assert_eq!(truth.queries, [("a".to_owned(), names(&["a~crop"])), ("b".to_owned(), names(&["b~inset"]))].into());
        assert_eq!(truth.database, names(&["a~crop", "b~inset", "lonely", "a~take"]));
        assert_eq!(truth.ignore, [("a".to_owned(), names(&["b~inset"])), ("b".to_owned(), names(&[]))].into());
    }
}
