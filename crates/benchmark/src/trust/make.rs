//! Makes the files of a set.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use vidsieve::{Control, Progress, Unit};
use vidsieve_video::{Codec, Writer, WriterOptions};

use super::kinds::{PairPlan, TrustKind, VideoPlan, tells};
use super::recipe::{ClipRecipe, Stretches, shared, union};
use super::sources::{Decoded, TrustSource};
use super::{SET_FILE, TrueSeconds, TrustError, TrustPair, TrustSet, TrustVideo, VERSION};

/// Folder of the videos within a set's folder.
const VIDEOS: &str = "videos";
/// Digits of a recipe's SHA-256 in the name of its file.
const DIGITS: usize = 12;

/// How a set is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustOptions {
    /// Pairs of each kind; some kinds have several times as many.
    pub pairs: usize,
    /// Everything that is drawn by lot follows from it.
    pub seed: u64,
    /// The kinds that are made, by name; empty: all.
    pub kinds: Vec<String>,
}

impl Default for TrustOptions {
    fn default() -> Self {
        Self { pairs: 40, seed: 1, kinds: Vec::new() }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustMade {
    /// The set.
    #[serde(skip)]
    pub set: TrustSet,
    /// Clips that it could be made of.
    pub clips: usize,
    /// Clips whose parts can be told apart: excerpts and shared parts are made of them.
    pub telling: usize,
    /// Pairs in it.
    pub pairs: usize,
    /// Videos in it.
    pub videos: usize,
    /// Videos that were there already.
    pub kept: usize,
    /// Kinds with fewer pairs than asked for, since the given clips do not make more: how many
    /// there are.
    pub few: BTreeMap<String, usize>,
}

/// Makes the pairs of `options` from `sources` into `folder`: `videos/`, and [`SET_FILE`] once all
/// are there. A file is named after its recipe, so that an interrupted run continues, and a file is
/// made anew only if its recipe has changed.
///
/// # Errors
/// [`TrustError`]; [`TrustError::Cancelled`] where it was stopped.
pub fn make(
    folder: &Path,
    sources: &[TrustSource],
    options: &TrustOptions,
    control: &Control<'_>,
) -> Result<TrustMade, TrustError> {
    let kinds = chosen(&options.kinds)?;
    let mut plans: Vec<(TrustKind, PairPlan)> = Vec::new();
    let mut few = BTreeMap::new();
    for kind in kinds {
        let mut there = HashSet::new();
        let asked = options.pairs * kind.times;
        for number in 0..asked {
            let mut taken = |pair: &PairPlan| !there.insert([file(&pair.query), file(&pair.target)]);
            if let Some(pair) = kind.pair(sources, options.seed, number, &mut taken) {
                plans.push((kind, pair));
            }
        }
        let count = plans.iter().filter(|(of, _)| of.name == kind.name).count();
        if count < asked {
            few.insert(kind.name.to_owned(), count);
        }
    }
    if plans.is_empty() {
        return Err(TrustError::Data(
            "the clips make no pair of these kinds: give more clips, of 3 s and longer".into(),
        ));
    }
    let videos: BTreeMap<String, &VideoPlan> =
        plans.iter().flat_map(|(_, pair)| [&pair.query, &pair.target]).map(|video| (file(video), video)).collect();
    let into = folder.join(VIDEOS);
    std::fs::create_dir_all(&into).map_err(|e| TrustError::file(&into, e))?;
    let kept = write_all(folder, sources, &videos, control)?;

    let pairs: Vec<TrustPair> = plans.iter().map(|(kind, pair)| described(kind, pair)).collect();
    let described = |plan: &VideoPlan| TrustVideo {
        seconds: round(plan.recipe.duration()),
        informative: rounded(union(plan.recipe.footage().iter().map(|footage| footage.segment.edited).collect())),
        sources: plan.recipe.sources().into_iter().map(str::to_owned).collect(),
        recipe: plan.recipe.clone(),
    };
    let videos: BTreeMap<String, TrustVideo> = videos.into_iter().map(|(file, plan)| (file, described(plan))).collect();
    let set = TrustSet { version: VERSION, seed: options.seed, pairs, videos };
    let path = folder.join(SET_FILE);
    let bytes = serde_json::to_vec_pretty(&set).map_err(|e| TrustError::file(&path, e))?;
    vidsieve_files::write_atomically(&path, &bytes).map_err(|e| TrustError::file(&path, e))?;
    let telling = sources.iter().filter(|source| tells(source, 0.0)).count();
    Ok(TrustMade { clips: sources.len(), telling, pairs: set.pairs.len(), videos: set.videos.len(), set, kept, few })
}

/// The kinds of these names; all without.
fn chosen(names: &[String]) -> Result<Vec<TrustKind>, TrustError> {
    let known: Vec<TrustKind> = TrustKind::all().collect();
    if let Some(name) = names.iter().find(|name| known.iter().all(|kind| kind.name != name.as_str())) {
        let all = known.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        return Err(TrustError::Data(format!("there is no kind `{name}`: give some of {all}")));
    }
    let asked: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    Ok(known.into_iter().filter(|kind| asked.is_empty() || asked.contains(kind.name)).collect())
}

/// To tenths of a millisecond, so that files show short numbers.
pub(crate) fn round(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

fn rounded(stretches: Stretches) -> Stretches {
    stretches.into_iter().map(|stretch| stretch.map(round)).collect()
}

/// The pair with its truth.
fn described(kind: &TrustKind, pair: &PairPlan) -> TrustPair {
    let [query, target] = shared(&pair.query.recipe.footage(), &pair.target.recipe.footage()).map(rounded);
    TrustPair {
        kind: kind.name.into(),
        class: kind.class,
        query: file(&pair.query),
        target: file(&pair.target),
        relation: kind.accept[0],
        accept: kind.accept.to_vec(),
        seconds: TrueSeconds { query, target },
    }
}

/// The file of a video, below the set's folder.
fn file(video: &VideoPlan) -> String {
    file_in(VIDEOS, video)
}

/// The file of a video in a folder of a set, by how it is made.
pub(crate) fn file_in(folder: &str, video: &VideoPlan) -> String {
    let VideoPlan { label, recipe, rate, crf } = video;
    // A recipe is plain values, which always serialise.
    let text = serde_json::json!([recipe, rate.num, rate.den, crf]).to_string();
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).take(DIGITS / 2).collect();
    format!("{folder}/{label}-{digest}.mp4")
}

/// Writes the videos that are not there; returns how many were. Their folders must be there.
///
/// # Errors
/// [`TrustError`]; [`TrustError::Cancelled`] where it was stopped.
pub(crate) fn write_all(
    folder: &Path,
    sources: &[TrustSource],
    videos: &BTreeMap<String, &VideoPlan>,
    control: &Control<'_>,
) -> Result<usize, TrustError> {
    let mut missing: Vec<(&String, &&VideoPlan)> =
        videos.iter().filter(|(file, _)| !folder.join(file).exists()).collect();
    let kept = videos.len() - missing.len();
    // Videos of one clip follow each other, so that it is decoded once.
    missing.sort_by_key(|(file, plan)| (plan.recipe.sources().first().map(|name| (*name).to_owned()), (*file).clone()));
    let given = Decoded::new(sources);
    let done = AtomicUsize::new(kept);
    missing.par_iter().with_max_len(1).try_for_each(|(file, plan)| {
        if control.is_cancelled() {
            return Err(TrustError::Cancelled);
        }
        write_video(&folder.join(file), plan, &given)?;
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        #[allow(clippy::cast_precision_loss)]
        control.report(&Progress::new("making", count as f64, Some(videos.len() as f64), Unit::Videos).of(file));
        Ok(())
    })?;
    Ok(kept)
}

/// Writes a video. Of clips that follow each other one is in memory at a time.
fn write_video(path: &Path, plan: &VideoPlan, given: &Decoded<'_>) -> Result<(), TrustError> {
    let failed = |e: vidsieve_video::Error| TrustError::file(path, e);
    let pieces: Vec<ClipRecipe> = match &plan.recipe {
        ClipRecipe::Joined { of, size: Some(size) } => {
            of.iter().map(|part| ClipRecipe::Joined { of: vec![part.clone()], size: Some(*size) }).collect()
        }
        whole => vec![whole.clone()],
    };
    let rate = plan.rate.value();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count_until = |seconds: f64| (seconds * rate).round() as u32;
    let (mut writer, mut number, mut passed) = (None, 0u32, 0.0);
    for (at, piece) in pieces.iter().enumerate() {
        let mut clip = piece.build(given)?;
        let (width, height) = clip.size();
        let (width, height) = ((width & !1).max(2), (height & !1).max(2));
        let writer = match &mut writer {
            Some(writer) => writer,
            none => {
                let codec = Codec::H264 { crf: plan.crf, preset: "veryfast" };
                let options = WriterOptions { codec, ..WriterOptions::h264(width, height, plan.rate) };
                none.insert(Writer::create(path, &options).map_err(failed)?)
            }
        };
        let end = passed + clip.duration();
        let until = if at + 1 == pieces.len() { count_until(end).max(1) } else { count_until(end) };
        while number < until {
            let frame = clip.frame((f64::from(number) / rate - passed).max(0.0))?;
            let same = (frame.width, frame.height) == (width, height);
            let frame = if same { frame } else { frame.crop(0, 0, width, height) };
            writer.write(&frame.pixels).map_err(failed)?;
            number += 1;
        }
        passed = end;
    }
    let writer = writer.ok_or_else(|| TrustError::file(path, "there are no clips to join"))?;
    writer.finish().map_err(failed)
}
