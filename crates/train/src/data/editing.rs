//! Video files with known relations: drawn clips, and edited copies of given clips with their true time alignment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use vidsieve_edits::clip::{FrameClip, ProceduralClip, ShotConfig, StillClip};
use vidsieve_edits::{Clip, Edit, Edited, Image, Kind, SourceFacts, generator};
use vidsieve_video::{Codec, Rate, Writer, WriterOptions};

use crate::TrainError;
use crate::checkpoint::write_atomically;
use crate::data::clips::{ClipLimits, load_clip, takes};
use crate::data::material::{digest_of_files, digest_of_images};
use crate::monitor::{Monitor, Progress};
use crate::stage::{StageKey, TrainingStage};

/// Drawn clips as files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenderOptions {
    /// Clips.
    pub count: u64,
    /// Seconds of a clip, at least and at most.
    pub seconds: [f64; 2],
    /// Width and height.
    pub size: [u32; 2],
    /// Frames a second.
    pub fps: u32,
    /// Seed.
    pub seed: u64,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { count: 12, seconds: [5.0, 12.0], size: [320, 180], fps: 15, seed: 1 }
    }
}

/// Edited copies as files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EditOptions {
    /// Kinds of edits, by name; every source gets each of them. Empty: all kinds.
    pub kinds: Vec<String>,
    /// Chains of this many edits that every source gets besides.
    pub chains: Vec<usize>,
    /// Strength of the edits, 0 to 1, at least and at most.
    pub strength: [f32; 2],
    /// Seconds of a source that are used, at most.
    pub seconds: f64,
    /// Longer side of the copies in pixels, at most.
    pub side: u32,
    /// Frames a second of the copies.
    pub fps: u32,
    /// Whether the rest of a longer clip is written as a distractor: the same scene, another take.
    pub takes: bool,
    /// Seed.
    pub seed: u64,
}

impl Default for EditOptions {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            chains: vec![2, 3, 4],
            strength: [0.3, 1.0],
            seconds: 12.0,
            side: 426,
            fps: 15,
            takes: true,
            seed: 1,
        }
    }
}

/// One edited copy of a source that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct EditPlan {
    /// Kind of the edit.
    pub name: String,
    /// The edit.
    pub edit: Edit,
    /// Number of the source that the copy is set in, or that is set in it.
    pub host: Option<usize>,
}

impl EditOptions {
    /// The kinds asked for.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a name that is none.
    pub fn kinds(&self) -> Result<Vec<Kind>, TrainError> {
        if self.kinds.is_empty() {
            return Ok(Kind::ALL.to_vec());
        }
        let known = || Kind::ALL.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ");
        self.kinds
            .iter()
            .map(|name| {
                Kind::from_name(name)
                    .ok_or_else(|| TrainError::Data(format!("there is no edit `{name}`; known are {}", known())))
            })
            .collect()
    }

    /// The part of a clip that is used, and another take of its scene where one is wanted and the clip is long enough.
    ///
    /// # Errors
    /// As [`takes`].
    pub fn takes(&self, whole: &FrameClip) -> Result<(FrameClip, Option<FrameClip>), TrainError> {
        takes(whole, self.seconds, self.takes)
    }

    /// All copies of source `source` of `sources`: one of each kind, then the chains.
    #[must_use]
    pub fn plans(&self, kinds: &[Kind], source: usize, sources: usize, facts: &SourceFacts) -> Vec<EditPlan> {
        (0..kinds.len() + self.chains.len())
            .map(|k| {
                let mut rng = generator(&[self.seed, source as u64, k as u64]);
                let [low, high] = self.strength;
                let strength = if low < high { rng.random_range(low..=high) } else { low };
                let (name, edit) = match kinds.get(k) {
                    Some(kind) => (kind.name().to_owned(), Edit::sample(&mut rng, *kind, strength, facts)),
                    None => {
                        let length = self.chains[k - kinds.len()];
                        (format!("chain{length}"), Edit::sample_chain(&mut rng, length, strength, facts))
                    }
                };
                let host = (edit.hosts() > 0).then(|| {
                    let other = rng.random_range(0..sources - 1);
                    if other >= source { other + 1 } else { other }
                });
                EditPlan { name, edit, host }
            })
            .collect()
    }
}

/// What is written about one edited copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditedCopy {
    /// File of the copy, relative to the folder.
    pub file: String,
    /// File of the source, relative to the folder.
    pub source: String,
    /// Kind of the edit.
    pub kind: String,
    /// File of the clip that the copy is set in, or that is set in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The edit with its parameters.
    pub edit: Edit,
    /// Where the source is seen: `[start, end]` in seconds in the source and in the copy.
    pub segments: Vec<vidsieve_edits::Segment>,
}

/// Writes a clip at `fps`; sides are made even.
///
/// # Errors
/// [`TrainError::File`].
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn write_clip(path: &Path, clip: &mut dyn Clip, fps: u32, codec: Codec) -> Result<(), TrainError> {
    let failed = |e: vidsieve_video::Error| TrainError::file(path, e);
    let (width, height) = clip.size();
    let (width, height) = ((width & !1).max(2), (height & !1).max(2));
    let options = WriterOptions { codec, ..WriterOptions::h264(width, height, Rate { num: fps, den: 1 }) };
    let count = ((clip.duration() * f64::from(fps)).round() as u64).max(1);
    let mut writer = Writer::create(path, &options).map_err(failed)?;
    for i in 0..count {
        let frame = clip.frame(i as f64 / f64::from(fps))?;
        let frame =
            if (frame.width, frame.height) == (width, height) { frame } else { frame.crop(0, 0, width, height) };
        writer.write(&frame.pixels).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

/// Versions of what is written.
const RENDER: u32 = 1;
const EDIT: u32 = 1;

/// The first clip that [`render`] writes.
const FIRST_CLIP: &str = "clip-0000.mp4";
/// Folder of the copies that [`edit`] writes.
const COPIES: &str = "copies";

/// Renders drawn clips, over `stills` where there are some, into `folder`: `clip-<number>.mp4`.
/// Files of the same options and stills are kept.
///
/// # Errors
/// [`TrainError`]; [`TrainError::File`] for a folder with clips of other options or stills.
pub fn render(
    folder: &Path,
    stills: &[Arc<Image>],
    options: &RenderOptions,
    monitor: &mut dyn Monitor,
) -> Result<Vec<PathBuf>, TrainError> {
    create(folder)?;
    // Clip i depends on the seed and on i: more of them may be added.
    let of_any_count = RenderOptions { count: 0, ..options.clone() };
    TrainingStage::new(folder, "render", RENDER)
        .setting("options", &of_any_count)?
        .input("stills", &StageKey::of(digest_of_images(stills)))
        .file(FIRST_CLIP)
        .claim()?;
    let mut written = Vec::new();
    for i in 0..options.count {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let path = folder.join(format!("clip-{i:04}.mp4"));
        if !path.exists() {
            let mut rng = generator(&[options.seed, i]);
            let [low, high] = options.seconds;
            let [width, height] = options.size;
            let duration = if low < high { rng.random_range(low..=high) } else { low };
            let config = ShotConfig { width, height, duration, ..ShotConfig::default() };
            let seed = rng.random();
            let mut clip: Box<dyn Clip> = if stills.is_empty() {
                Box::new(ProceduralClip::new(seed, config)?)
            } else {
                let chosen: Vec<Arc<Image>> =
                    (0..4).map(|_| Arc::clone(&stills[rng.random_range(0..stills.len())])).collect();
                Box::new(StillClip::new(&chosen, seed, config)?)
            };
            write_clip(&path, clip.as_mut(), options.fps, Codec::H264 { crf: 20, preset: "veryfast" })?;
        }
        written.push(path);
        monitor.report(&step("render", i + 1, options.count));
    }
    Ok(written)
}

fn create(folder: &Path) -> Result<(), TrainError> {
    std::fs::create_dir_all(folder).map_err(|e| TrainError::file(folder, e))
}

fn step(stage: &str, step: u64, steps: u64) -> Progress {
    Progress { stage: stage.to_owned(), step, steps, ..Progress::default() }
}

/// Edits the videos `sources` into `folder`: `sources/`, `copies/`, `takes/`, and `truth.json`,
/// `segments.json`, `edits.json` about them, in the form that `eval retrieval` reads. Hosts of
/// insets and excerpts are other sources; they are neither copies nor distractors of the clip set
/// in them: `ignore` of the truth leaves those copies out of the host's ranking. Files of the same
/// options and sources are kept.
///
/// # Errors
/// [`TrainError`]; [`TrainError::File`] for a folder with copies of other options or sources; a
/// source that cannot be read is an error, since the truth would be wrong without it.
pub fn edit(
    folder: &Path,
    sources: &[PathBuf],
    options: &EditOptions,
    monitor: &mut dyn Monitor,
) -> Result<Vec<EditedCopy>, TrainError> {
    if sources.len() < 2 {
        return Err(TrainError::Data("editing needs two videos at least: one is set in the other".into()));
    }
    let kinds = options.kinds()?;
    TrainingStage::new(folder, "edit", EDIT)
        .setting("options", options)?
        .input("sources", &StageKey::of(digest_of_files(sources)?))
        .file(COPIES)
        .claim()?;
    for part in ["sources", COPIES, "takes"] {
        create(&folder.join(part))?;
    }
    let stem = |i: usize| {
        let name = sources[i].file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        format!("{i:03}-{safe}")
    };
    let limits = ClipLimits { fps: f64::from(options.fps), side: options.side, seconds: options.seconds };
    let mut copies = Vec::new();
    let mut takes = Vec::new();
    for i in 0..sources.len() {
        if monitor.cancelled() {
            return Err(TrainError::Cancelled);
        }
        // The original, cut to the part that is used; what comes after is another take of the
        // scene.
        let whole = load_clip(&sources[i], ClipLimits { seconds: 2.0 * options.seconds, ..limits })?;
        let (clip, rest) = options.takes(&whole)?;
        let source_file = format!("sources/{}.mp4", stem(i));
        let good = Codec::H264 { crf: 18, preset: "veryfast" };
        keep(&folder.join(&source_file), &mut clip.clone(), options.fps, good)?;
        if let Some(mut rest) = rest {
            let file = format!("takes/{}.mp4", stem(i));
            keep(&folder.join(&file), &mut rest, options.fps, good)?;
            takes.push(file);
        }
        let (width, height) = clip.size();
        let facts = SourceFacts { width, height, duration: clip.duration() };
        let plans = options.plans(&kinds, i, sources.len(), &facts);
        let made = plans
            .into_par_iter()
            .enumerate()
            .map(|(k, EditPlan { name, edit, host })| {
                let vp9 = k % 4 == 3;
                let file = format!("copies/{}-{name}.{}", stem(i), if vp9 { "webm" } else { "mp4" });
                let host_clip = host.map(|h| load_clip(&sources[h], limits)).transpose()?;
                let hosts: Vec<Box<dyn Clip>> =
                    (0..edit.hosts()).filter_map(|_| host_clip.clone()).map(|c| Box::new(c) as Box<dyn Clip>).collect();
                let crf = edit.crf().unwrap_or(26);
                let mut edited = Edited::new(Box::new(clip.clone()), hosts, edit.clone())?;
                let codec =
                    if vp9 { Codec::Vp9 { crf: (crf + 8).min(56) } } else { Codec::H264 { crf, preset: "veryfast" } };
                let segments = edited.segments().to_vec();
                keep(&folder.join(&file), &mut edited, options.fps, codec)?;
                let host = host.map(|h| format!("sources/{}.mp4", stem(h)));
                Ok(EditedCopy { file, source: source_file.clone(), kind: name, host, edit, segments })
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        copies.extend(made);
        monitor.report(&step("edit", i as u64 + 1, sources.len() as u64));
    }
    describe(folder, &copies, &takes)?;
    Ok(copies)
}

fn keep(path: &Path, clip: &mut dyn Clip, fps: u32, codec: Codec) -> Result<(), TrainError> {
    if path.exists() { Ok(()) } else { write_clip(path, clip, fps, codec) }
}

/// `truth.json`, `segments.json` and `edits.json`.
fn describe(folder: &Path, copies: &[EditedCopy], takes: &[String]) -> Result<(), TrainError> {
    let mut queries: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut segments = Vec::new();
    for copy in copies {
        queries.entry(&copy.source).or_default().push(&copy.file);
        if let Some(host) = &copy.host {
            hosts.entry(host).or_default().push(&copy.file);
        }
        for s in &copy.segments {
            segments.push(serde_json::json!({
                "query": copy.source, "target": copy.file, "query_segment": s.source, "target_segment": s.edited,
                "reversed": s.reversed,
            }));
        }
    }
    let database: Vec<&str> = copies.iter().map(|c| c.file.as_str()).chain(takes.iter().map(String::as_str)).collect();
    let write = |name: &str, value: serde_json::Value| -> Result<(), TrainError> {
        let path = folder.join(name);
        let bytes = serde_json::to_vec_pretty(&value).map_err(|e| TrainError::file(&path, e))?;
        write_atomically(&path, &bytes)
    };
    write("truth.json", serde_json::json!({ "queries": queries, "database": database, "ignore": hosts }))?;
    write("segments.json", serde_json::json!(segments))?;
    write("edits.json", serde_json::json!(copies))
}
