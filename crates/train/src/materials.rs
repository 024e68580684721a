//! Stills and clips that training data is made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use vidsieve_edits::Image;
use vidsieve_edits::clip::FrameClip;

use crate::TrainError;
use crate::checkpoint::read;
use crate::corpus::NamedClip;
use crate::pipeline::Material;

/// Still images, decoded.
#[derive(Debug, Clone, Default)]
pub struct Stills {
    /// File names below the folder given, in order.
    pub names: Vec<String>,
    /// The images.
    pub images: Vec<Image>,
}

/// Files below `folder` with one of the extensions, sorted by their path.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, TrainError> {
    let failed = |path: &Path, e: &std::io::Error| TrainError::File { path: path.to_owned(), reason: e.to_string() };
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| failed(&folder, &e))? {
            let entry = entry.map_err(|e| failed(&folder, &e))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|e| failed(&path, &e))?;
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            if kind.is_dir() {
                folders.push(path);
            } else if extensions.contains(&extension.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Stills {
    /// Decodes all JPEG and PNG images of the folders, in parallel. Images that cannot be decoded are named in the second
    /// value and left out.
    ///
    /// # Errors
    /// [`TrainError::File`] for a folder that cannot be read.
    pub fn load(folders: &[PathBuf]) -> Result<(Self, Vec<String>), TrainError> {
        let mut paths = Vec::new();
        for folder in folders {
            paths.extend(files(folder, &["jpg", "jpeg", "png"])?);
        }
        let decoded: Vec<(String, Result<Image, String>)> = paths
            .into_par_iter()
            .map(|path| {
                let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                let image = read(&path)
                    .map_err(|e| e.to_string())
                    .and_then(|bytes| Image::decode(&bytes).map_err(|e| format!("{}: {e}", path.display())));
                (name, image)
            })
            .collect();
        let mut stills = Self::default();
        let mut refused = Vec::new();
        for (name, image) in decoded {
            match image {
                Ok(image) => {
                    stills.names.push(name);
                    stills.images.push(image);
                }
                Err(reason) => refused.push(reason),
            }
        }
        Ok((stills, refused))
    }
}

/// One in so many stills is held out for validation.
const HELD_OUT_STILLS: usize = 16;
/// One in so many clips is held out for validation.
const HELD_OUT_CLIPS: usize = 6;
/// Seconds between the frames of clips that are used as stills.
const FRAME_EVERY: f64 = 2.0;

/// Fewest images that students' clips are made of.
const SCENES: usize = 500;

/// Material of folders of stills and of clips: at most `per_owner` stills (about) of one owner, who is named before the last `-` of
/// a file name, so that no collection dominates the backbone; one in 16 stills and one in 6 clips held out; frames of the
/// training clips, one in two seconds, join the stills. What the backbone does not see of the large collections is what the
/// students' clips are made of: its descriptions of images that it was trained on are more consistent than of others, and
/// students would learn to count on that. Where too little is left, they share the backbone's stills. The second value names files that were left out, with the reason.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn gather(
    stills: &[PathBuf],
    clips: &[PathBuf],
    excluded: &BTreeSet<String>,
    per_owner: usize,
) -> Result<(Material, Vec<String>), TrainError> {
    let (loaded, mut refused) = Stills::load(stills)?;
    let owner = |name: &str| name.rsplit_once('-').map_or_else(|| name.to_owned(), |(owner, _)| owner.to_owned());
    let mut counts: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for name in &loaded.names {
        *counts.entry(owner(name)).or_default() += 1;
    }
    let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut material = Material::default();
    let mut unseen = Vec::new();
    for (i, (name, image)) in loaded.names.iter().zip(loaded.images).enumerate() {
        let owner = owner(name);
        let every = counts[&owner].div_ceil(per_owner.max(1));
        let number = seen.entry(owner).or_default();
        *number += 1;
        if excluded.contains(name) {
            continue;
        }
        let image = std::sync::Arc::new(image);
        if !number.is_multiple_of(every) {
            unseen.push(image);
            continue;
        }
        if i % HELD_OUT_STILLS == 7 { material.held_out.push(image) } else { material.stills.push(image) }
    }
    for folder in clips {
        let (loaded, unread) = load_clips(folder, excluded, ClipLimits::default())?;
        refused.extend(unread);
        for (i, clip) in loaded.into_iter().enumerate() {
            if i % HELD_OUT_CLIPS == 3 { material.held_out_clips.push(clip) } else { material.clips.push(clip) }
        }
    }
    material.scenes = if unseen.len() < SCENES { material.stills.clone() } else { unseen };
    for clip in &material.clips {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let step = ((FRAME_EVERY * clip.clip.fps()) as usize).max(1);
        let frames = clip.clip.frames().iter().step_by(step).cloned();
        material.stills.extend(frames.map(std::sync::Arc::new));
    }
    Ok((material, refused))
}

/// File names that a truth file (`{"queries": {file: [files]}, "database": [files]}`) names: they stay out of training.
///
/// # Errors
/// [`TrainError::File`] for a file that is no such thing.
pub fn named_in_truth(path: &Path) -> Result<BTreeSet<String>, TrainError> {
    #[derive(serde::Deserialize)]
    struct Truth {
        queries: std::collections::BTreeMap<String, Vec<String>>,
        database: Vec<String>,
    }
    let truth: Truth = serde_json::from_slice(&read(path)?)
        .map_err(|e| TrainError::File { path: path.to_owned(), reason: e.to_string() })?;
    let name = |file: String| file.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(truth
        .queries
        .into_iter()
        .flat_map(|(q, r)| std::iter::once(q).chain(r))
        .chain(truth.database)
        .map(name)
        .collect())
}

/// How clips are read into memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipLimits {
    /// Frames a second that are kept.
    pub fps: f64,
    /// Longer side in pixels, at most.
    pub side: u32,
    /// Seconds, at most.
    pub seconds: f64,
}

impl Default for ClipLimits {
    fn default() -> Self {
        Self { fps: 4.0, side: 360, seconds: 30.0 }
    }
}

/// Extensions of files that are taken for videos when a folder is read.
pub const VIDEOS: &[&str] =
    &["mp4", "m4v", "mov", "mkv", "webm", "avi", "gif", "mpg", "mpeg", "ts", "ogv", "wmv", "flv"];

/// Decodes a clip.
///
/// # Errors
/// [`TrainError::File`] for a file that FFmpeg cannot read.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn load_clip(path: &Path, limits: ClipLimits) -> Result<FrameClip, TrainError> {
    let failed = |reason: String| TrainError::File { path: path.to_owned(), reason };
    let options = vidsieve_video::Options {
        sampling: vidsieve_video::Sampling::Fps(limits.fps),
        max_side: Some(limits.side),
        max_frames: Some((limits.seconds * limits.fps).ceil().max(1.0) as u64),
        threads: Some(1),
        ..vidsieve_video::Options::default()
    };
    let mut frames = Vec::new();
    for frame in vidsieve_video::Frames::open(path, options).map_err(|e| failed(e.to_string()))? {
        let frame = frame.map_err(|e| failed(e.to_string()))?;
        let image = Image::new(frame.width(), frame.height(), frame.data().to_vec());
        frames.push(image.map_err(|e| failed(e.to_string()))?);
    }
    FrameClip::new(frames, limits.fps).map_err(|e| failed(e.to_string()))
}

/// Decodes all clips below a folder whose names are not in `excluded`, in parallel. Files that cannot be read are named in
/// the second value and left out.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn load_clips(
    folder: &Path,
    excluded: &BTreeSet<String>,
    limits: ClipLimits,
) -> Result<(Vec<NamedClip>, Vec<String>), TrainError> {
    let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let decoded: Vec<Result<NamedClip, String>> = files(folder, VIDEOS)?
        .into_par_iter()
        .filter(|path| !excluded.contains(&name(path)))
        .map(|path| {
            let clip = load_clip(&path, limits).map_err(|e| e.to_string())?;
            Ok(NamedClip { name: name(&path), clip })
        })
        .collect();
    let (mut clips, mut refused) = (Vec::new(), Vec::new());
    for clip in decoded {
        match clip {
            Ok(clip) => clips.push(clip),
            Err(reason) => refused.push(reason),
        }
    }
    Ok((clips, refused))
}
