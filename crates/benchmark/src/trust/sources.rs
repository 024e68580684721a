//! The given clips: what is known of them before videos are made of them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use vidsieve::{Control, Progress, Unit};
use vidsieve_edits::Image;
use vidsieve_edits::clip::FrameClip;
use vidsieve_files::FindOptions;
use vidsieve_video::{Frames, Options, Rate, Sampling, probe};

use super::TrustError;
use super::groups::{Groups, series_by_name};
use super::likeness::Thumbnails;
use super::recipe::ClipRecipe;

/// Frames a second that are looked at.
pub(super) const LOOKED: f64 = 4.0;
/// Seconds of a clip that are used, at most.
const SECONDS: f64 = 32.0;
/// Clips that are kept decoded.
const KEPT: usize = 6;
/// Frames a second of a clip that its videos keep.
const KEPT_RATE: f64 = 15.0;
/// Frames a second of videos of faster clips, at most.
const RATE: f64 = 12.5;
/// Digits of a file's SHA-256 in recipes.
const DIGITS: usize = 12;

/// A given clip.
#[derive(Debug, Clone)]
pub struct TrustSource {
    /// The file.
    pub path: PathBuf,
    /// Its name, which no other clip has.
    pub name: String,
    /// The first digits of its SHA-256.
    pub digest: String,
    /// Clips of one group look alike and are different recordings.
    pub group: Option<String>,
    /// Clips of one series may show the same footage.
    pub series: String,
    /// Frames a second that videos of it have.
    pub rate: Rate,
    /// Width and height that videos of it have.
    pub size: (u32, u32),
    /// The stretch without the blank frames at its ends.
    pub usable: [f64; 2],
    /// Whether it changes in most seconds.
    pub moves: bool,
    /// Whether it shows the same again, as loops and still scenes do.
    pub repeats: bool,
    pub(crate) thumbnails: Thumbnails,
}

impl TrustSource {
    /// Seconds of the usable stretch.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.usable[1] - self.usable[0]
    }

    /// A part of the usable stretch, from and to in seconds from its start.
    #[must_use]
    pub fn part(&self, from: f64, to: f64) -> ClipRecipe {
        let frame = |time: f64| (time * self.rate.value()).round() / self.rate.value();
        let from = frame(self.usable[0] + from.max(0.0));
        let to = frame(self.usable[0] + to).min(self.usable[1]).max(from + 1.0 / self.rate.value());
        ClipRecipe::Given { file: self.name.clone(), digest: self.digest.clone(), from, to }
    }
}

/// What is known of a clip's pixels.
struct Look {
    digest: String,
    rate: Rate,
    size: (u32, u32),
    thumbnails: Thumbnails,
}

/// The rate of a video of a clip: the clip's own, or a whole part of it that is at most [`RATE`].
fn reduced(rate: Rate) -> Rate {
    if rate.value() <= KEPT_RATE {
        return rate;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let part = (rate.value() / RATE - 1e-3).ceil().max(1.0) as u32;
    rate.den.checked_mul(part).map_or(Rate { num: 10, den: 1 }, |den| Rate { num: rate.num, den })
}

/// The size with a shorter side of at most `side`; sides are even.
fn fitted((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let scale = (f64::from(side) / f64::from(width.min(height).max(1))).min(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let even = |length: u32| (((f64::from(length) * scale / 2.0).round() as u32) * 2).max(16);
    (even(width), even(height))
}

fn look(path: &Path, side: u32) -> Result<Look, TrustError> {
    let failed = |e: vidsieve_video::Error| TrustError::file(path, e);
    let bytes = std::fs::read(path).map_err(|e| TrustError::file(path, e))?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).take(DIGITS / 2).collect();
    let info = probe(path).map_err(failed)?;
    let rate = info.average_rate.filter(|rate| (0.5..=240.0).contains(&rate.value()));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let options = Options {
        sampling: Sampling::Fps(LOOKED),
        max_side: Some(96),
        max_frames: Some((SECONDS * LOOKED) as u64),
        threads: Some(1),
        ..Options::default()
    };
    let mut thumbnails = Thumbnails::default();
    for frame in Frames::open(path, options).map_err(failed)? {
        let frame = frame.map_err(failed)?;
        thumbnails.push(&Image::new(frame.width(), frame.height(), frame.data().to_vec())?);
    }
    Ok(Look {
        digest,
        rate: reduced(rate.unwrap_or(Rate { num: 10, den: 1 })),
        size: fitted((info.display_width, info.display_height), side),
        thumbnails,
    })
}

/// Looks at the clips below folders. The second value names those that are left out, with the
/// reason: files that cannot be read, and clips that show nothing.
///
/// # Errors
/// [`TrustError::File`] for a folder that cannot be read; [`TrustError::Data`] for two clips of one
/// name;
/// [`TrustError::Cancelled`].
pub fn load_sources<P: AsRef<Path>>(
    folders: &[P],
    groups: &Groups,
    side: u32,
    control: &Control<'_>,
) -> Result<(Vec<TrustSource>, Vec<String>), TrustError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders.iter().map(AsRef::as_ref) {
        let found =
            vidsieve_files::find_videos(&[folder], &FindOptions::new()).map_err(|e| TrustError::file(folder, e))?;
        files.extend(found.files.into_iter().map(|file| file.path));
    }
    let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    files.sort_by_key(|path| (name(path), path.clone()));
    files.dedup();
    if let Some(pair) = files.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
        let (one, other) = (pair[0].display(), pair[1].display());
        return Err(TrustError::Data(format!("{one} and {other} have one name: rename one of them")));
    }
    let done = std::sync::atomic::AtomicUsize::new(0);
    #[allow(clippy::cast_precision_loss)]
    let looks: Vec<Option<Result<Look, TrustError>>> = files
        .par_iter()
        .map(|path| {
            if control.is_cancelled() {
                return None;
            }
            let look = look(path, side);
            let count = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            control.report(&Progress::new("looking", count as f64, Some(files.len() as f64), Unit::Videos));
            Some(look)
        })
        .collect();
    let (mut sources, mut left_out) = (Vec::new(), Vec::new());
    for (path, look) in files.into_iter().zip(looks) {
        let look = match look {
            None => return Err(TrustError::Cancelled),
            Some(Err(reason)) => {
                left_out.push(reason.to_string());
                continue;
            }
            Some(Ok(look)) => look,
        };
        let Some(usable) = look.thumbnails.usable() else {
            left_out.push(format!("{}: it shows nothing", path.display()));
            continue;
        };
        let (row, name) = (groups.of(&path), name(&path));
        let thumbnails = look.thumbnails.between(usable);
        sources.push(TrustSource {
            group: row.and_then(|row| row.group.clone()),
            series: row.and_then(|row| row.series.clone()).unwrap_or_else(|| series_by_name(&name)),
            path,
            name,
            digest: look.digest,
            rate: look.rate,
            size: look.size,
            usable,
            moves: thumbnails.moves(),
            repeats: thumbnails.repeats(),
            thumbnails,
        });
    }
    Ok((sources, left_out))
}

/// The given clips in memory, as they are needed.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    sources: &'a [TrustSource],
    kept: Mutex<VecDeque<(usize, FrameClip)>>,
}

impl<'a> Decoded<'a> {
    pub(super) fn new(sources: &'a [TrustSource]) -> Self {
        Self { sources, kept: Mutex::default() }
    }

    /// The clip of this name, from its start, at the rate and in the size of videos of it.
    pub(super) fn clip(&self, name: &str) -> Result<FrameClip, TrustError> {
        let at = self.sources.iter().position(|source| source.name == name);
        let at = at.ok_or_else(|| TrustError::Data(format!("there is no clip {name}")))?;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, clip)) = kept().iter().find(|(i, _)| *i == at) {
            return Ok(clip.clone());
        }
        let clip = decode(&self.sources[at])?;
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((at, clip.clone()));
        Ok(clip)
    }
}

fn decode(source: &TrustSource) -> Result<FrameClip, TrustError> {
    let failed = |e: vidsieve_video::Error| TrustError::file(&source.path, e);
    let (fps, (width, height)) = (source.rate.value(), source.size);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let options = Options {
        sampling: Sampling::Fps(fps),
        max_side: Some(width.max(height)),
        max_frames: Some((SECONDS * fps).ceil() as u64),
        threads: Some(1),
        ..Options::default()
    };
    let mut frames = Vec::new();
    for frame in Frames::open(&source.path, options).map_err(failed)? {
        let frame = frame.map_err(failed)?;
        let image = Image::new(frame.width(), frame.height(), frame.data().to_vec())?;
        let same = (image.width, image.height) == source.size;
        frames.push(if same { image } else { image.resize(width, height) });
    }
    Ok(FrameClip::new(frames, fps)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_keep_the_rate_of_their_clip_or_a_part_of_it() {
        for (num, den, value) in [(10, 1, 10.0), (15, 1, 15.0), (30, 1, 10.0), (30_000, 1001, 9.99), (25, 1, 12.5)] {
            let rate = reduced(Rate { num, den }).value();
            assert!((rate - value).abs() < 1e-3, "{num}/{den}: {rate}");
        }
        assert_eq!((fitted((1920, 1080), 240), fitted((100, 75), 240)), ((426, 240), (100, 76)));
    }
}
