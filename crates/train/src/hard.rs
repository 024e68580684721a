//! The hard benchmark's videos as tensors: held-out clips, each with every kind of edit and chains, other takes of their scenes, and
//! thousands of distractors. It is what [`crate::editing::edit`] writes as files, without the losses of video codecs: frames are
//! taken from the edited clips as they are, one a second, so that a benchmark takes minutes.

use std::path::{Path, PathBuf};

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_edits::{Clip, EditError, Edited, Kind, SourceFacts, generator};
use vidsieve_model::extractor::Extractor;

use crate::TrainError;
use crate::corpus::{CorpusOptions, NamedClip, TAKE, describe};
use crate::editing::{EditOptions, Plan};
use crate::features::{FeatureSet, Video, VideoInfo};
use crate::monitor::{Monitor, Progress};

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

fn data(error: EditError) -> TrainError {
    TrainError::Data(error.to_string())
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
    let mut videos = vec![tensor(&mut clip.clone(), 0.0, VideoInfo::new(name.clone(), i as u64, "original".into()))?];
    let plans = options.edits.plans(kinds, i, clips.len(), &facts);
    let copies = plans
        .into_par_iter()
        .enumerate()
        .map(|(k, Plan { name: kind, edit, host })| {
            let set_in = host.map(|h| options.edits.takes(&clips[h].clip)).transpose()?;
            let hosts: Vec<Box<dyn Clip>> = (0..edit.hosts())
                .filter_map(|_| set_in.as_ref().map(|(clip, _)| Box::new(clip.clone()) as Box<dyn Clip>))
                .collect();
            let mut edited = Edited::new(Box::new(clip.clone()), hosts, edit).map_err(data)?;
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

fn file(folder: &Path, clip: usize) -> PathBuf {
    folder.join(format!("hard-{clip:04}.safetensors"))
}

/// The clips with their copies and takes, a file of `folder` a clip; files that are there stay.
///
/// # Errors
/// [`TrainError`]; with fewer than two clips none can be set in another.
pub fn edited(
    folder: &Path,
    clips: &[NamedClip],
    options: &HardOptions,
    extractor: &Extractor,
    monitor: &mut dyn Monitor,
) -> Result<FeatureSet, TrainError> {
    if clips.len() < 2 {
        return Err(TrainError::Data("the benchmark needs two clips at least: one is set in the other".into()));
    }
    let kinds = options.edits.kinds()?;
    let mut set = FeatureSet::default();
    for i in 0..clips.len() {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let path = file(folder, i);
        if !path.exists() {
            let videos = videos(clips, i, &kinds, options, extractor)?;
            let regions = extractor.region_ranges().and_then(|r| r.last()).map_or(0, |r| r.end);
            let dims = videos.first().map_or(0, |v| v.data.len() / (v.frames * regions).max(1));
            FeatureSet { regions, dims, videos }.save(&path)?;
        }
        set.load(&path)?;
        let (step, steps) = (i as u64 + 1, clips.len() as u64);
        monitor.report(&Progress { stage: "edited clips".into(), step, steps, ..Progress::default() });
    }
    Ok(set)
}

/// Which videos of a set are searched for, and what is to be found: `{"queries": {id: [ids]}, "database": [ids], "ignore": {id:
/// [ids]}}`, as `eval retrieval` reads it. Queries are the originals, the database everything else; a copy in which another clip
/// is seen too is left out of that clip's ranking.
#[must_use]
pub fn truth(set: &FeatureSet) -> serde_json::Value {
    let infos = || set.videos.iter().map(|v| &v.info);
    let is_query =
        |v: &&VideoInfo| v.kind == "original" && infos().any(|c| c.source == v.source && c.kind != "original");
    let mut queries = serde_json::Map::new();
    let mut ignore = serde_json::Map::new();
    for query in infos().filter(is_query) {
        let copies: Vec<&str> =
            infos().filter(|v| v.source == query.source && v.id != query.id).map(|v| v.id.as_str()).collect();
        let hosted: Vec<&str> = infos().filter(|v| v.host == Some(query.source)).map(|v| v.id.as_str()).collect();
        queries.insert(query.id.clone(), copies.into());
        ignore.insert(query.id.clone(), hosted.into());
    }
    let database: Vec<&str> = infos().map(|v| v.id.as_str()).filter(|id| !queries.contains_key(*id)).collect();
    serde_json::json!({ "queries": queries, "database": database, "ignore": ignore })
}
