//! Clips from files: which files of a folder are videos, how they are read into memory, and how
//! they are cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use vidsieve_edits::clip::FrameClip;
use vidsieve_edits::{Clip, EditError, Image};
use vidsieve_files::{FindError, files_with_extensions, is_video, video_extensions};

use crate::TrainError;

/// A real clip in memory.
#[derive(Debug, Clone)]
pub struct NamedClip {
    /// Its file's name.
    pub name: String,
    /// Its frames.
    pub clip: FrameClip,
}

/// Finds the files below `folder` that have one of the extensions, sorted by their path.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, TrainError> {
    files_with_extensions(folder, extensions).map_err(|error| match error {
        FindError::Io { path, source } => TrainError::file(&path, source),
        error => TrainError::file(folder, std::io::Error::other(error)),
    })
}

/// Finds the videos below `folder`, sorted by their path.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn videos(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut found = files(folder, video_extensions())?;
    found.retain(|path| is_video(path));
    Ok(found)
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

/// Decodes a clip.
///
/// # Errors
/// [`TrainError::File`] for a file that FFmpeg cannot read.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn load_clip(path: &Path, limits: ClipLimits) -> Result<FrameClip, TrainError> {
    let video = |e: vidsieve_video::Error| TrainError::file(path, e);
    let picture = |e: EditError| TrainError::file(path, e);
    let options = vidsieve_video::Options {
        sampling: vidsieve_video::Sampling::Fps(limits.fps),
        max_side: Some(limits.side),
        max_frames: Some((limits.seconds * limits.fps).ceil().max(1.0) as u64),
        threads: Some(1),
        ..vidsieve_video::Options::default()
    };
    let mut frames = Vec::new();
    for frame in vidsieve_video::Frames::open(path, options).map_err(video)? {
        let frame = frame.map_err(video)?;
        let image = Image::new(frame.width(), frame.height(), frame.data().to_vec());
        frames.push(image.map_err(picture)?);
    }
    FrameClip::new(frames, limits.fps).map_err(picture)
}

/// Decodes all clips below a folder whose names are not in `excluded`, in parallel. Files that
/// cannot be read are left out; the second value says why.
///
/// # Errors
/// [`TrainError::File`] for a folder that cannot be read.
pub fn load_clips(
    folder: &Path,
    excluded: &BTreeSet<String>,
    limits: ClipLimits,
) -> Result<(Vec<NamedClip>, Vec<TrainError>), TrainError> {
    let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let decoded: Vec<Result<NamedClip, TrainError>> = videos(folder)?
        .into_par_iter()
        .filter(|path| !excluded.contains(&name(path)))
        .map(|path| {
            let clip = load_clip(&path, limits)?;
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

/// At most the first `seconds` of a clip, and what follows as another take of its scene, where that
/// is asked for and the clip is long enough.
///
/// # Errors
/// [`TrainError::Edit`]; not for a whole clip.
pub fn takes(whole: &FrameClip, seconds: f64, another: bool) -> Result<(FrameClip, Option<FrameClip>), TrainError> {
    let used = whole.duration().min(seconds);
    let used = if another && whole.duration() >= 8.0 { used.min(whole.duration() * 0.6) } else { used };
    let (clip, rest) = split(whole, used)?;
    Ok((clip, rest.filter(|_| another)))
}

/// The first `seconds` of a clip, and the rest if it is a second or longer.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn split(clip: &FrameClip, seconds: f64) -> Result<(FrameClip, Option<FrameClip>), TrainError> {
    let frames = clip.frames();
    let at = ((seconds * clip.fps()).round() as usize).clamp(1, frames.len());
    let first = FrameClip::new(frames[..at].to_vec(), clip.fps())?;
    #[allow(clippy::cast_precision_loss)]
    let rest = ((frames.len() - at) as f64 >= clip.fps())
        .then(|| FrameClip::new(frames[at..].to_vec(), clip.fps()))
        .transpose()?;
    Ok((first, rest))
}
