//! Video tensors of a training set, kept on disk in half precision: every later stage trains on them alone.

use std::path::{Path, PathBuf};

use std::collections::{BTreeMap, BTreeSet};

use half::f16;
use rand::RngExt;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use vidsieve_kernels::{Isa, gemm};
use vidsieve_model::fine::{Fine, VideoTensor};
use vidsieve_model::math::normalise_rows;

use crate::TrainError;
use crate::checkpoint::{read, write_atomically};

/// Key of the list of videos in a shard's metadata.
const HEADER: &str = "vidsieve_features";

/// Kind of the videos that copies are made of.
pub const ORIGINAL: &str = "original";
/// Kind of the videos that show another take of a source's scene: hard distractors.
pub const TAKE: &str = "take";

/// What is known of a video of a training set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// Name, unique in the set.
    pub id: String,
    /// Number of the source: videos of one source are copies of each other.
    pub source: u64,
    /// `original`, `distractor`, or the kinds of edits, joined by `+`.
    pub kind: String,
    /// Another source whose material is in the video too (the host of an inset or an excerpt): neither copy nor negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<u64>,
    /// Groups of the source and of the host, once [`FeatureSet::group`] has looked: sources of one group show the same thing,
    /// though neither was made of the other.
    #[serde(skip)]
    pub group: Option<[Option<u64>; 2]>,
}

impl VideoInfo {
    /// A video of a source without a host.
    #[must_use]
    pub fn new(id: String, source: u64, kind: String) -> Self {
        Self { id, source, kind, host: None, group: None }
    }

    /// Whether two videos share no material: their sources and hosts are of different groups.
    #[must_use]
    pub fn unrelated(&self, other: &Self) -> bool {
        let groups = |v: &Self| v.group.unwrap_or([Some(v.source), v.host]);
        let (a, b) = (groups(self), groups(other));
        !a.iter().flatten().any(|g| b.iter().flatten().any(|h| g == h))
    }
}

/// A video with its tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// What is known of it.
    pub info: VideoInfo,
    /// T.
    pub frames: usize,
    /// `[T, R, D]`, row-major.
    pub data: Vec<f16>,
}

/// Videos with tensors of one shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureSet {
    /// R.
    pub regions: usize,
    /// D.
    pub dims: usize,
    /// The videos.
    pub videos: Vec<Video>,
}

impl FeatureSet {
    /// The tensor of frames at `positions` of a video, in single precision.
    #[must_use]
    pub fn frames(&self, video: usize, positions: &[usize]) -> Vec<f32> {
        let size = self.regions * self.dims;
        let data = &self.videos[video].data;
        positions.iter().flat_map(|&p| data[p * size..(p + 1) * size].iter().map(|v| v.to_f32())).collect()
    }

    /// [`FeatureSet::frames`] with normal noise added to every region vector, which keeps its unit length: `noise` times the
    /// vector's norm. A vector and itself with noise n have a cosine of about `1 / sqrt(1 + n^2)`. Descriptors of images
    /// that the backbone was trained on agree better than those of new images; noise closes the gap.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn noisy_frames(&self, video: usize, positions: &[usize], noise: f32, rng: &mut Pcg64) -> Vec<f32> {
        let mut data = self.frames(video, positions);
        if noise > 0.0 {
            let deviation = noise / (self.dims as f32).sqrt();
            // Sum of four uniform values: close enough to normal, and cheap.
            let scale = deviation * (12.0f32 / 4.0).sqrt();
            for v in &mut data {
                let sum: f32 = (0..4).map(|_| rng.random::<f32>() - 0.5).sum();
                *v += sum * scale;
            }
            normalise_rows(&mut data, self.dims);
        }
        data
    }

    /// The whole tensor of a video, in single precision.
    #[must_use]
    pub fn tensor(&self, video: usize) -> ndarray::Array3<f32> {
        let v = &self.videos[video];
        let data = v.data.iter().map(|v| v.to_f32()).collect();
        ndarray::Array3::from_shape_vec((v.frames, self.regions, self.dims), data).unwrap_or_default()
    }

    /// The set with the first `regions` region vectors of a frame alone, and of each the first `dims` values at unit length: as after
    /// whitening to so many dimensions.
    #[must_use]
    pub fn keep(&self, regions: usize, dims: usize) -> Self {
        let (regions, dims) = (regions.min(self.regions), dims.min(self.dims));
        let videos = self.videos.par_iter().map(|video| {
            let frames = video.data.chunks_exact(self.regions * self.dims);
            let rows = frames.flat_map(|frame| frame.chunks_exact(self.dims).take(regions));
            let mut data: Vec<f32> = rows.flat_map(|row| row[..dims].iter().map(|v| v.to_f32())).collect();
            normalise_rows(&mut data, dims);
            let data = data.into_iter().map(f16::from_f32).collect();
            Video { info: video.info.clone(), frames: video.frames, data }
        });
        Self { regions, dims, videos: videos.collect() }
    }

    /// Finds sources whose originals show the same thing - the same clip twice in a folder, a preview and the full version -
    /// and puts them into one group, so that their copies are never taken for distractors of each other. Frames are compared by
    /// the cosine of their mean region vectors; `threshold` is the least of the same thing.
    #[allow(clippy::cast_possible_truncation)]
    pub fn group(&mut self, isa: Isa, threshold: f32) {
        let (r, d) = (self.regions, self.dims);
        let mut owners: Vec<u64> = Vec::new();
        let mut frames: Vec<f32> = Vec::new();
        for video in self.videos.iter().filter(|v| v.info.kind == ORIGINAL) {
            for frame in video.data.chunks_exact(r * d) {
                let mut mean = vec![0f32; d];
                for region in frame.chunks_exact(d).take(9) {
                    mean.iter_mut().zip(region).for_each(|(m, v)| *m += v.to_f32());
                }
                frames.extend(mean);
                owners.push(video.info.source);
            }
        }
        normalise_rows(&mut frames, d.max(1));
        let packed = gemm::Packed::from_rows(isa, &frames, owners.len(), d);
        const BLOCK: usize = 64;
        let pairs: Vec<(u64, u64)> = frames
            .par_chunks(BLOCK * d.max(1))
            .enumerate()
            .flat_map_iter(|(block, rows)| {
                let n = rows.len() / d;
                let mut products = vec![0f32; n * owners.len()];
                gemm::matmul(rows, n, &packed, &mut products);
                let owners = &owners;
                let found: BTreeSet<(u64, u64)> = products
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| **s >= threshold)
                    .map(|(at, _)| (owners[block * BLOCK + at / owners.len()], owners[at % owners.len()]))
                    .filter(|(a, b)| a < b)
                    .collect();
                found
            })
            .collect();
        let mut parent: BTreeMap<u64, u64> = owners.iter().map(|&o| (o, o)).collect();
        fn root(parent: &BTreeMap<u64, u64>, mut at: u64) -> u64 {
            while let Some(&up) = parent.get(&at).filter(|&&up| up != at) {
                at = up;
            }
            at
        }
        for (a, b) in pairs {
            let (a, b) = (root(&parent, a), root(&parent, b));
            parent.insert(a.max(b), a.min(b));
        }
        for video in &mut self.videos {
            let group = |source: u64| root(&parent, source);
            video.info.group = Some([Some(group(video.info.source)), video.info.host.map(group)]);
        }
    }

    /// Writes the set as one shard.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let failed = |e: safetensors::SafeTensorError| TrainError::file(path, e);
        let infos: Vec<&VideoInfo> = self.videos.iter().map(|v| &v.info).collect();
        let header = serde_json::to_string(&infos).map_err(|e| TrainError::file(path, e))?;
        let bytes: Vec<Vec<u8>> =
            self.videos.iter().map(|v| v.data.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
        let views = self
            .videos
            .iter()
            .zip(&bytes)
            .enumerate()
            .map(|(i, (v, b))| {
                Ok((format!("{i:06}"), TensorView::new(Dtype::F16, vec![v.frames, self.regions, self.dims], b)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(failed)?;
        let metadata = std::collections::HashMap::from([(HEADER.to_owned(), header)]);
        write_atomically(path, &safetensors::serialize(views, Some(metadata)).map_err(failed)?)
    }

    /// Adds the videos of a shard.
    ///
    /// # Errors
    /// [`TrainError::File`] for a file that is no shard, or tensors of another shape than the set's.
    pub fn load(&mut self, path: &Path) -> Result<(), TrainError> {
        let failed = |e: safetensors::SafeTensorError| TrainError::file(path, e);
        let wrong = |reason: String| TrainError::file(path, reason);
        let bytes = read(path)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(failed)?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(HEADER));
        let header = header.ok_or_else(|| wrong("it holds no video tensors of a training set".into()))?;
        let infos: Vec<VideoInfo> = serde_json::from_str(header).map_err(|e| TrainError::file(path, e))?;
        let file = SafeTensors::deserialize(&bytes).map_err(failed)?;
        for (i, info) in infos.into_iter().enumerate() {
            let view = file.tensor(&format!("{i:06}")).map_err(failed)?;
            let &[frames, regions, dims] = view.shape() else {
                return Err(wrong(format!("video {i} has shape {:?}, not [T, R, D]", view.shape())));
            };
            if self.videos.is_empty() {
                (self.regions, self.dims) = (regions, dims);
            }
            if view.dtype() != Dtype::F16 || [regions, dims] != [self.regions, self.dims] || frames == 0 {
                return Err(wrong(format!("video {i} is {:?} {:?}", view.dtype(), view.shape())));
            }
            let data = view.data().as_chunks().0.iter().map(|b| f16::from_le_bytes(*b)).collect();
            self.videos.push(Video { info, frames, data });
        }
        Ok(())
    }

    /// All videos of some shards, in their order.
    ///
    /// # Errors
    /// [`TrainError::File`] as [`FeatureSet::load`].
    pub fn load_all(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, TrainError> {
        let mut set = Self::default();
        for path in paths {
            set.load(&path)?;
        }
        Ok(set)
    }

    /// All videos as a fine network keeps them.
    ///
    /// # Errors
    /// [`TrainError::Input`] when the network does not take the set's tensors.
    pub fn indexed(&self, fine: &Fine) -> Result<Vec<VideoTensor>, TrainError> {
        (0..self.videos.len()).into_par_iter().map(|v| Ok(fine.index(self.tensor(v).view())?)).collect()
    }

    /// Mean region vectors of all videos at unit length, `[videos][D]`.
    #[must_use]
    pub fn mean_vectors(&self) -> Vec<f32> {
        let d = self.dims;
        let mut means = vec![0f32; self.videos.len() * d];
        means.par_chunks_exact_mut(d).zip(&self.videos).for_each(|(mean, video)| {
            for row in video.data.chunks_exact(d) {
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += v.to_f32());
            }
        });
        normalise_rows(&mut means, d);
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_regions_and_dimensions() {
        // Two frames of three regions of four values.
        let data: Vec<f16> = (1..=24u8).map(|v| f16::from_f32(f32::from(v))).collect();
        let info = VideoInfo::new("a".into(), 0, ORIGINAL.to_owned());
        let set = FeatureSet { regions: 3, dims: 4, videos: vec![Video { info, frames: 2, data }] };
        let kept = set.keep(2, 2);
        assert_eq!((kept.regions, kept.dims), (2, 2));
        let found = kept.tensor(0);
        assert_eq!(found.dim(), (2, 2, 2));
        for (frame, region, [a, b]) in
            [(0, 0, [1.0f32, 2.0]), (0, 1, [5.0, 6.0]), (1, 0, [13.0, 14.0]), (1, 1, [17.0, 18.0])]
        {
            let norm = a.hypot(b);
            assert!(
                (found[[frame, region, 0]] - a / norm).abs() < 1e-3
                    && (found[[frame, region, 1]] - b / norm).abs() < 1e-3
            );
        }
        assert_eq!(set.keep(9, 9).tensor(0).dim(), (2, 3, 4));
    }
}
