//! Plain uses of the region vectors that networks are trained on: what a trained network has to be
//! better than.
//!
//! Every baseline gives a matrix of similarities, rows of queries and columns of targets, of videos
//! as tensors `[T, R, D]`.

use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;
use vidsieve_kernels::{Isa, chamfer};
use vidsieve_model::config::{Attention, ComparatorConfig, FineConfig};
use vidsieve_model::fine::{Fine, InputError, VideoTensor, Workspace};
use vidsieve_model::footage::Footage;
use vidsieve_model::math::{dot, normalise_rows};
use vidsieve_model::weights::{StateDict, WeightsError};

/// Regions that are compared one by one: the nine windows of the first scale.
pub const WINDOWS: usize = 9;

/// What the mean vectors of frames and videos are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeanOf {
    /// The windows of a frame, whose mean has unit length before the mean over frames is taken.
    Windows,
    /// All regions of a frame; a video's vector is the mean of all its region vectors.
    Regions,
}

/// Rows of similarities, one a query.
pub type SimilarityRows = Vec<Vec<f64>>;

/// Videos that baselines compare, as tensors `[T, R, D]` of one R and D.
#[derive(Debug, Clone, Copy)]
pub struct PlainVideos<'a> {
    /// Queries.
    pub queries: &'a [Array3<f32>],
    /// Videos that are searched.
    pub targets: &'a [Array3<f32>],
}

impl PlainVideos<'_> {
    fn dims(&self) -> usize {
        self.queries.iter().chain(self.targets).next().map_or(0, |video| video.dim().2)
    }

    /// Cosines of mean vectors (`mean_vector`), frame Chamfer similarity of whole-frame means
    /// (`frame_chamfer`) and region Chamfer similarity of the windows (`region_chamfer`), the last
    /// two averaged over the query's frames.
    #[must_use]
    pub fn similarities(&self, isa: Isa, mean: MeanOf) -> Vec<(&'static str, SimilarityRows)> {
        let d = self.dims().max(1);
        let frames = |video: ArrayView3<'_, f32>| means(part(video, mean), d);
        let whole = |video: ArrayView3<'_, f32>| {
            let rows = match mean {
                MeanOf::Windows => frames(video),
                MeanOf::Regions => video.iter().copied().collect(),
            };
            let mut sum = vec![0f32; d];
            rows.chunks_exact(d).for_each(|row| sum.iter_mut().zip(row).for_each(|(s, v)| *s += v));
            normalise_rows(&mut sum, d);
            sum
        };
        let windows = |video: ArrayView3<'_, f32>| part(video, MeanOf::Windows).iter().copied().collect::<Vec<f32>>();
        vec![
            ("mean_vector", self.cosines(whole)),
            ("frame_chamfer", self.chamfer(isa, frames)),
            ("region_chamfer", self.chamfer(isa, windows)),
        ]
    }

    fn cosines(&self, vector: impl Fn(ArrayView3<'_, f32>) -> Vec<f32> + Sync) -> SimilarityRows {
        let of = |videos: &[Array3<f32>]| videos.par_iter().map(|v| vector(v.view())).collect::<Vec<_>>();
        let (queries, targets) = (of(self.queries), of(self.targets));
        queries.iter().map(|q| targets.iter().map(|t| f64::from(dot(q, t))).collect()).collect()
    }

    /// Chamfer similarity, averaged over the query's frames, of the vectors that `vectors` makes of
    /// a video, as many of each frame.
    fn chamfer(&self, isa: Isa, vectors: impl Fn(ArrayView3<'_, f32>) -> Vec<f32> + Sync) -> SimilarityRows {
        let d = self.dims().max(1);
        let of = |video: &Array3<f32>| {
            let data = vectors(video.view());
            let frames = video.dim().0;
            let regions = data.len() / (frames * d).max(1);
            (data, frames, regions)
        };
        let targets: Vec<(chamfer::Target, usize)> = self
            .targets
            .par_iter()
            .map(|target| {
                let (data, frames, regions) = of(target);
                (chamfer::Target::new(isa, &data, frames, regions, d), frames)
            })
            .collect();
        let row = |query: &Array3<f32>| {
            let (query, frames, _) = of(query);
            let similarity = |(target, columns): &(chamfer::Target, usize)| {
                let mut map = vec![0f32; frames * columns];
                chamfer::region_chamfer(&query, target, &mut map);
                let best = map.chunks_exact(*columns).map(|row| row.iter().copied().fold(f32::MIN, f32::max));
                #[allow(clippy::cast_precision_loss)]
                let mean = f64::from(best.sum::<f32>()) / frames as f64;
                mean
            };
            targets.iter().map(similarity).collect()
        };
        self.queries.par_iter().map(row).collect()
    }
}

/// The regions of a video that a mean is taken of.
fn part(video: ArrayView3<'_, f32>, mean: MeanOf) -> ArrayView3<'_, f32> {
    let regions = video.dim().1;
    let used = if mean == MeanOf::Windows { regions.min(WINDOWS) } else { regions };
    video.slice_move(s![.., ..used, ..])
}

/// Mean vectors of frames at unit length, `[T][D]`.
fn means(video: ArrayView3<'_, f32>, dims: usize) -> Vec<f32> {
    let mut mean: Vec<f32> = video.mean_axis(Axis(1)).map(|m| m.iter().copied().collect()).unwrap_or_default();
    normalise_rows(&mut mean, dims);
    mean
}

/// The part of a network's evidence that is Chamfer similarity across its channels
/// ([`vidsieve_model::direct`]).
const ACROSS: usize = 1;

/// Chamfer similarity across scales of descriptors as they are, or of the signs of a projection of
/// them.
///
/// It is the evidence `across` of a fine network whose comparator says nothing: the mean, over
/// query frames, of the best target frame by the mean of the first channel and the best channel.
#[derive(Debug)]
pub struct AcrossScales {
    network: Fine,
}

impl AcrossScales {
    /// Compares by the channels of `config`; its attention and direct path are left out.
    /// `projection` holds the number of bits and the matrix `[D, bits]` whose signs are compared
    /// instead of the vectors.
    ///
    /// # Errors
    /// [`WeightsError`] for a configuration that contradicts itself or a projection of another
    /// size.
    pub fn new(isa: Isa, config: &FineConfig, projection: Option<(usize, &[f32])>) -> Result<Self, WeightsError> {
        let bits = projection.map(|p| p.0);
        let config = FineConfig { attention: Attention::None, bits, direct: false, ..config.clone() };
        let mut state = StateDict::new("plain.");
        if let Some((bits, values)) = projection {
            state.insert("binarization.W", vec![config.dims, bits], values.to_vec())?;
        }
        silent_comparator(&mut state, &config.comparator)?;
        Ok(Self { network: Fine::new(isa, config, &state)? })
    }

    /// What is kept of a video `[T, R, D]`.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn index(&self, video: ArrayView3<'_, f32>) -> Result<VideoTensor, InputError> {
        self.network.index(video)
    }

    /// The similarity of a query to a target.
    ///
    /// # Errors
    /// [`InputError`] for a video without frames.
    pub fn similarity(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        workspace: &mut Workspace,
    ) -> Result<f64, InputError> {
        let (query, target) = (Footage::of_tensor(query), Footage::of_tensor(target));
        Ok(f64::from(self.network.examine(&query, &target, workspace)?.evidence[ACROSS]))
    }

    /// The similarities of all pairs, queries in parallel.
    ///
    /// # Errors
    /// As [`AcrossScales::index`] and [`AcrossScales::similarity`].
    pub fn similarities(&self, videos: PlainVideos<'_>) -> Result<SimilarityRows, InputError> {
        let of = |videos: &[Array3<f32>]| {
            videos.par_iter().map(|video| self.index(video.view())).collect::<Result<Vec<_>, _>>()
        };
        let (queries, targets) = (of(videos.queries)?, of(videos.targets)?);
        queries
            .par_iter()
            .map_init(Workspace::default, |workspace, query| {
                targets.iter().map(|target| self.similarity(query, target, workspace)).collect()
            })
            .collect()
    }
}

/// Weights of a comparator whose answer is always the same.
fn silent_comparator(state: &mut StateDict, config: &ComparatorConfig) -> Result<(), WeightsError> {
    let [_, _, _, last] = config.channels;
    for (layer, pair) in config.channels.windows(2).enumerate() {
        let name = format!("visil_head.conv{}", layer + 1);
        state.insert(format!("{name}.weight"), vec![pair[1], pair[0], 3, 3], vec![0.0; pair[0] * pair[1] * 9])?;
        state.insert(format!("{name}.bias"), vec![pair[1]], vec![0.0; pair[1]])?;
    }
    state.insert("visil_head.fconv.weight", vec![1, last, 1, 1], vec![0.0; last])?;
    state.insert("visil_head.fconv.bias", vec![1], vec![0.0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use vidsieve_model::config::{Channel, PaddingMode, PoolEdge};

    use super::*;

    /// Videos of drawn unit vectors: the first target is the query.
    fn videos(regions: usize, dims: usize) -> (Vec<Array3<f32>>, Vec<Array3<f32>>) {
        let video = |name: &str, frames: usize| {
            let mut data = crate::rule::values(name, frames * regions * dims, 1.0, 0.0);
            normalise_rows(&mut data, dims);
            Array3::from_shape_vec((frames, regions, dims), data).unwrap()
        };
        (vec![video("a", 5)], vec![video("a", 5), video("b", 7), video("c", 4)])
    }

    fn best(query: &[f32], target: &[f32], dims: usize) -> f32 {
        target.chunks_exact(dims).map(|t| dot(query, t)).fold(f32::MIN, f32::max)
    }

    fn flat(x: ArrayView3<'_, f32>) -> Vec<f32> {
        x.iter().copied().collect()
    }

    #[test]
    fn a_video_is_nearest_to_itself() {
        let (queries, targets) = videos(9, 16);
        let plain = PlainVideos { queries: &queries, targets: &targets };
        for mean in [MeanOf::Windows, MeanOf::Regions] {
            let all = plain.similarities(Isa::best(), mean);
            assert_eq!(
                all.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
                ["mean_vector", "frame_chamfer", "region_chamfer"]
            );
            for (name, rows) in all {
                let [own, others @ ..] = rows[0].as_slice() else { panic!("{name}") };
                assert!((own - 1.0).abs() < 1e-5 && others.iter().all(|o| *o < 0.9), "{name}: {rows:?}");
            }
        }
    }

    #[test]
    fn region_chamfer_is_that_of_the_windows_alone() {
        let (dims, regions) = (8, 12);
        let (queries, targets) = videos(regions, dims);
        let plain = PlainVideos { queries: &queries, targets: &targets };
        let rows = plain.similarities(Isa::best(), MeanOf::Windows).remove(2).1;
        for (target, got) in targets.iter().zip(&rows[0]) {
            let frames = (0..5).map(|i| {
                let q = flat(queries[0].slice(s![i..=i, ..WINDOWS, ..]));
                let cell = |j: usize| {
                    let t = flat(target.slice(s![j..=j, ..WINDOWS, ..]));
                    q.chunks_exact(dims).map(|a| best(a, &t, dims)).sum::<f32>() / 9.0
                };
                (0..target.dim().0).map(cell).fold(f32::MIN, f32::max)
            });
            let expected = f64::from(frames.sum::<f32>()) / 5.0;
            assert!((expected - got).abs() < 1e-5, "{expected} {got}");
        }
    }

    #[test]
    fn across_scales_takes_the_better_of_windows_and_whole_frame() {
        let (dims, regions) = (8, 14);
        let (queries, targets) = videos(regions, dims);
        let channels = vec![
            Channel { query: [0, 9], target: [0, 9], transposed: false },
            Channel { query: [9, 10], target: [10, 14], transposed: false },
        ];
        let config = FineConfig {
            dims,
            attention: Attention::H,
            bits: None,
            symmetric: false,
            comparator: ComparatorConfig { channels: [2, 4, 4, 4], padding: PaddingMode::Zero, edge: PoolEdge::Keep },
            channels: Some(channels),
            direct: true,
        };
        let across = AcrossScales::new(Isa::best(), &config, None).unwrap();
        let rows = across.similarities(PlainVideos { queries: &queries, targets: &targets }).unwrap();
        for (target, got) in targets.iter().zip(&rows[0]) {
            let frames = (0..5).map(|i| {
                let cell = |j: usize| {
                    let vectors =
                        |x: &Array3<f32>, f: usize, from: usize, to: usize| flat(x.slice(s![f..=f, from..to, ..]));
                    let (q, t) = (vectors(&queries[0], i, 0, 9), vectors(target, j, 0, 9));
                    let windows = q.chunks_exact(dims).map(|a| best(a, &t, dims)).sum::<f32>() / 9.0;
                    let whole = best(&vectors(&queries[0], i, 9, 10), &vectors(target, j, 10, 14), dims);
                    (windows + windows.max(whole)) / 2.0
                };
                (0..target.dim().0).map(cell).fold(f32::MIN, f32::max)
            });
            let expected = f64::from(frames.sum::<f32>()) / 5.0;
            assert!((expected - got).abs() < 1e-5, "{expected} {got}");
        }
        // Signs of the vectors themselves.
        let mut identity = vec![0f32; dims * dims];
        (0..dims).for_each(|i| identity[i * dims + i] = 1.0);
        let signs = AcrossScales::new(Isa::best(), &config, Some((dims, &identity))).unwrap();
        let rows = signs.similarities(PlainVideos { queries: &queries, targets: &targets }).unwrap();
        assert!((rows[0][0] - 1.0).abs() < 1e-6 && rows[0][1] < 1.0, "{rows:?}");
        assert!(AcrossScales::new(Isa::best(), &config, Some((dims, &identity[1..]))).is_err());
    }
}
