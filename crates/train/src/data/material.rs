//! Stills and clips that training data is made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vidsieve_edits::{Image, generator};

use crate::TrainError;
use crate::checkpoint::read;
use crate::data::clips::{ClipLimits, NamedClip, files, load_clips};

/// What everything is trained on.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// Stills to train the backbone on, frames of the clips among them.
    pub stills: Vec<Arc<Image>>,
    /// Stills that clips are made of; none shows what a clip or another still shows.
    pub scenes: Vec<Arc<Image>>,
    /// Stills for validation.
    pub held_out: Vec<Arc<Image>>,
    /// Clips to train on.
    pub clips: Vec<NamedClip>,
    /// Clips for validation.
    pub held_out_clips: Vec<NamedClip>,
    /// Labelled copies among the clips to train on, by their names: the teacher learns from them
    /// besides the edited copies.
    pub labels: Vec<[String; 2]>,
}

impl Material {
    /// Adds `count` drawn stills, one in 16 held out.
    pub fn draw(&mut self, count: usize) {
        let drawn: Vec<Arc<Image>> = (0..count as u64)
            .into_par_iter()
            .map(|i| Arc::new(vidsieve_edits::procedural::still(&mut generator(&[0xD2A3, i]), 192, 144)))
            .collect();
        for (i, still) in drawn.into_iter().enumerate() {
            if i % 16 == 7 {
                self.held_out.push(still);
            } else {
                self.stills.push(Arc::clone(&still));
                self.scenes.push(still);
            }
        }
    }
}

/// SHA-256 of the pixels of images in their order, as hexadecimal digits: it identifies what a
/// stage is made from.
#[must_use]
pub fn digest_of_images(images: &[Arc<Image>]) -> String {
    joined(images.par_iter().map(|image| digest_of_image(image)).collect())
}

/// SHA-256 of the names and pixels of clips in their order, as hexadecimal digits.
#[must_use]
pub fn digest_of_clips(clips: &[NamedClip]) -> String {
    let of_clip = |clip: &NamedClip| {
        let mut hash = Sha256::new();
        hash.update((clip.name.len() as u64).to_le_bytes());
        hash.update(clip.name.as_bytes());
        hash.update(clip.clip.fps().to_le_bytes());
        clip.clip.frames().iter().for_each(|frame| hash.update(digest_of_image(frame)));
        hash.finalize().into()
    };
    joined(clips.par_iter().map(of_clip).collect())
}

/// SHA-256 of the names and contents of files in their order, as hexadecimal digits.
///
/// # Errors
/// [`TrainError::File`] for a file that cannot be read.
pub fn digest_of_files(paths: &[PathBuf]) -> Result<String, TrainError> {
    let of_file = |path: &PathBuf| {
        let mut hash = Sha256::new();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(read(path)?);
        Ok(hash.finalize().into())
    };
    Ok(joined(paths.par_iter().map(of_file).collect::<Result<_, TrainError>>()?))
}

fn digest_of_image(image: &Image) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(image.width.to_le_bytes());
    hash.update(image.height.to_le_bytes());
    hash.update(&image.pixels);
    hash.finalize().into()
}

fn joined(digests: Vec<[u8; 32]>) -> String {
    crate::stage::hex(&Sha256::digest(digests.concat()))
}

/// Still images, decoded.
#[derive(Debug, Clone, Default)]
pub struct Stills {
    /// File names below the folder given, in order.
    pub names: Vec<String>,
    /// The images.
    pub images: Vec<Image>,
}

impl Stills {
    /// Decodes all JPEG and PNG images of the folders, in parallel. Images that cannot be decoded
    /// are left out; the second value says why.
    ///
    /// # Errors
    /// [`TrainError::File`] for a folder that cannot be read.
    pub fn load(folders: &[PathBuf]) -> Result<(Self, Vec<TrainError>), TrainError> {
        let mut paths = Vec::new();
        for folder in folders {
            paths.extend(files(folder, &["jpg", "jpeg", "png"])?);
        }
        let decoded: Vec<(String, Result<Image, TrainError>)> = paths
            .into_par_iter()
            .map(|path| {
                let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                let image = read(&path).and_then(|bytes| Image::decode(&bytes).map_err(|e| TrainError::file(&path, e)));
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
) -> Result<(Material, Vec<TrainError>), TrainError> {
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
        let image = Arc::new(image);
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
        material.stills.extend(frames.map(Arc::new));
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
    let truth: Truth = serde_json::from_slice(&read(path)?).map_err(|e| TrainError::file(path, e))?;
    let name = |file: String| file.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(truth
        .queries
        .into_iter()
        .flat_map(|(q, r)| std::iter::once(q).chain(r))
        .chain(truth.database)
        .map(name)
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use vidsieve_edits::clip::FrameClip;

    use super::*;

    #[test]
    fn digests_tell_material_apart() {
        let image = |value: u8| Image::new(2, 1, vec![value; 6]).unwrap();
        let images = |values: &[u8]| digest_of_images(&values.iter().map(|v| Arc::new(image(*v))).collect::<Vec<_>>());
        assert_eq!(images(&[1, 2]), images(&[1, 2]));
        for other in [&[2, 1][..], &[1], &[1, 2, 2], &[]] {
            assert_ne!(images(&[1, 2]), images(other), "{other:?}");
        }
        let tall = digest_of_images(&[Arc::new(Image::new(1, 2, vec![1; 6]).unwrap())]);
        assert_ne!(tall, images(&[1]), "the same bytes, another shape");
        let clip = |name: &str, fps: f64, values: &[u8]| NamedClip {
            name: name.into(),
            clip: FrameClip::new(values.iter().map(|v| image(*v)).collect(), fps).unwrap(),
        };
        let first = digest_of_clips(&[clip("a", 1.0, &[1, 2])]);
        for other in [clip("b", 1.0, &[1, 2]), clip("a", 2.0, &[1, 2]), clip("a", 1.0, &[1, 3])] {
            assert_ne!(first, digest_of_clips(&[other]));
        }
    }
}
