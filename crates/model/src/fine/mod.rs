//! Fine-grained networks (`docs/mathematics.md`, §2-§3): teacher ViSiL, S^f_A, S^f_B and the student without either.
//!
//! A video tensor is indexed once ([`Fine::index`]); a pair is then compared in three steps: region Chamfer similarity
//! to a frame-to-frame matrix a channel, the comparator CNN, Hardtanh and Chamfer similarity to one number in [-1, 1]. The
//! steps run over bands of query frames, so that memory grows with the videos' lengths and not with their product.
//!
//! The paper's networks have one channel, over all regions of both videos. A bundle that sees frames at several scales may
//! have more ([`crate::config::Channel`]): a channel compares some regions of the query's frames with some of the target's, whole frames
//! at a small scale with windows at a large one, say.

mod comparator;
mod pair;
mod tensor;

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use vidsieve_kernels::comparator::{Comparator, Pool, Scratch};
use vidsieve_kernels::gemm::{self, Packed};
use vidsieve_kernels::{Isa, hamming};

use self::comparator::VideoChamfer;
pub use self::comparator::video_chamfer;
pub(crate) use self::comparator::{build_comparator, compare_maps};
use self::pair::{Buffers, Pair, check_regions};
pub(crate) use self::tensor::regions_of;
pub use self::tensor::{InputError, MIN_FRAMES, VideoTensor};
use crate::alignment::{Aligned, AlignmentWeights, CELL_WEIGHTS, Maps, SEGMENT_WEIGHTS};
use crate::attention::RegionAttention;
use crate::change::Change;
use crate::config::FineConfig;
use crate::direct::{Direct, Gathered};
use crate::footage::Footage;
use crate::math::normalise_rows;
use crate::weights::{StateDict, WeightsError};

/// A fine-grained network with its weights.
#[derive(Debug)]
pub struct Fine {
    config: FineConfig,
    isa: Isa,
    attention: Option<RegionAttention>,
    projection: Option<Packed>,
    comparator: Comparator,
    direct: Option<Direct>,
    alignment: AlignmentWeights,
}

/// What a fine network tells of a pair of videos.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// The similarity in [-1, 1]; -1 where a video has no frame that says something.
    pub similarity: f32,
    /// What a direct path weighs ([`crate::direct`]), 5 + C values; empty where a video has no frame that says something.
    pub evidence: Vec<f32>,
    /// Where the videos show the same footage.
    pub aligned: Aligned,
}

/// The weights of the alignment, `alignment.cell` [4] and `alignment.segment` [10]; without them the
/// default ones.
fn alignment_weights(state: &StateDict) -> Result<AlignmentWeights, WeightsError> {
    let mut weights = AlignmentWeights::default();
    if state.contains("alignment.cell") || state.contains("alignment.segment") {
        weights.cell.copy_from_slice(state.get("alignment.cell", &[CELL_WEIGHTS])?);
        weights.segment.copy_from_slice(state.get("alignment.segment", &[SEGMENT_WEIGHTS])?);
    }
    weights.check().map_err(|reason| WeightsError::Config { network: state.label.clone(), reason })?;
    Ok(weights)
}

impl Fine {
    /// Builds the network from its weights.
    ///
    /// # Errors
    /// Missing, misshapen or damaged tensors; attention together with binarisation, which no network of the paper has; channels
    /// that the comparator does not take.
    pub fn new(isa: Isa, config: FineConfig, state: &StateDict) -> Result<Self, WeightsError> {
        let refuse = |reason: String| WeightsError::Config { network: state.label.clone(), reason };
        config.validate().map_err(refuse)?;
        let projection = match config.bits {
            None => None,
            Some(bits) => {
                let w = state.get("binarization.W", &[config.dims, bits])?;
                Some(Packed::from_columns(isa, w, config.dims, bits))
            }
        };
        let attention = RegionAttention::new(isa, config.attention, config.dims, state)?;
        let comparator = build_comparator(isa, &config.comparator, state)?;
        let direct = config.direct.then(|| Direct::new(config.channel_count(), state)).transpose()?;
        let alignment = alignment_weights(state)?;
        Ok(Self { config, isa, attention, projection, comparator, direct, alignment })
    }

    /// Sizes of the network.
    #[must_use]
    pub const fn config(&self) -> &FineConfig {
        &self.config
    }

    fn check(&self, video: &ArrayView3<'_, f32>) -> Result<(usize, usize), InputError> {
        let (frames, regions, dims) = video.dim();
        if frames == 0 || regions == 0 {
            return Err(InputError::Empty { frames, regions });
        }
        if dims != self.config.dims {
            return Err(InputError::Dims { expected: self.config.dims, found: dims });
        }
        check_regions(&self.config, regions)?;
        Ok((frames, regions))
    }

    /// What is kept of a video tensor [T, R, D]: weighted region vectors, or codes, of all R regions.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn index(&self, video: ArrayView3<'_, f32>) -> Result<VideoTensor, InputError> {
        let (frames, regions) = self.check(&video)?;
        let dims = self.config.dims;
        let Some(bits) = self.config.bits else {
            let mut data = video.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
            if let Some(attention) = &self.attention {
                attention.apply(&mut data);
            }
            return Ok(VideoTensor::Float { data, frames, regions, dims });
        };
        let shape = hamming::Shape::new(regions, bits)?;
        let mut data = vec![0u8; frames * shape.frame_bytes()];
        for (frame, codes) in video.outer_iter().zip(data.chunks_exact_mut(shape.frame_bytes())) {
            let z = self.project(frame);
            for (byte, values) in codes.iter_mut().zip(z.as_chunks::<8>().0) {
                *byte = values.iter().enumerate().fold(0, |b, (k, &v)| b | (u8::from(v > 0.0) << k));
            }
        }
        Ok(VideoTensor::Codes { data, frames, shape })
    }

    /// `z = nrm(x) W` of the regions of one frame, [R][L].
    fn project(&self, frame: ArrayView2<'_, f32>) -> Vec<f32> {
        let mut x = frame.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        normalise_rows(&mut x, self.config.dims);
        let mut z = vec![0f32; frame.nrows() * self.config.bits.unwrap_or(0)];
        if let Some(projection) = &self.projection {
            gemm::matmul(&x, frame.nrows(), projection, &mut z);
        }
        z
    }

    /// The projections whose signs are the codes, [T, R, L]; `None` for a network without binarisation.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn projections(&self, video: ArrayView3<'_, f32>) -> Result<Option<ndarray::Array3<f32>>, InputError> {
        let (frames, regions) = self.check(&video)?;
        let Some(bits) = self.config.bits else { return Ok(None) };
        let z: Vec<f32> = video.outer_iter().flat_map(|frame| self.project(frame)).collect();
        Ok(ndarray::Array3::from_shape_vec((frames, regions, bits), z).ok())
    }

    /// Attention weights of the regions, [T, R]; `None` for a network without attention.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn attention_weights(&self, video: ArrayView3<'_, f32>) -> Result<Option<Array2<f32>>, InputError> {
        let shape = self.check(&video)?;
        let x = video.as_standard_layout();
        let weights = self.attention.as_ref().zip(x.as_slice()).map(|(a, x)| a.weights(x));
        Ok(weights.and_then(|w| Array2::from_shape_vec(shape, w).ok()))
    }

    /// The frame-to-frame maps [C, Tq, Tt] of two indexed videos, one a channel of the configuration, each value in [-1, 1].
    /// Frames are taken as they are.
    ///
    /// # Errors
    /// [`InputError`] for videos that were indexed differently or have too few regions.
    pub fn channel_similarity(&self, query: &VideoTensor, target: &VideoTensor) -> Result<Array3<f32>, InputError> {
        let pair = Pair::new(self.isa, &self.config, query, target)?;
        let mut maps = Array3::zeros((self.config.channel_count(), query.frames(), target.frames()));
        if let Some(out) = maps.as_slice_mut() {
            pair.fill(0..query.frames(), &mut Buffers::default(), out)?;
        }
        Ok(maps)
    }

    /// One frame-to-frame matrix [Tq, Tt] of two indexed videos, each value in [-1, 1], to look at and to cut segments
    /// from: the mean of the first channel and of the largest over the channels. Of a network with one channel it is that
    /// channel, the comparator's input. Frames are taken as they are.
    ///
    /// # Errors
    /// As [`Fine::channel_similarity`].
    pub fn frame_similarity(&self, query: &VideoTensor, target: &VideoTensor) -> Result<Array2<f32>, InputError> {
        let maps = self.channel_similarity(query, target)?;
        let mut best = maps.index_axis(Axis(0), 0).to_owned();
        if maps.dim().0 > 1 {
            for map in maps.outer_iter().skip(1) {
                best.zip_mut_with(&map, |best, v| *best = best.max(*v));
            }
            best.zip_mut_with(&maps.index_axis(Axis(0), 0), |best, v| *best = (*best + v) / 2.0);
        }
        Ok(best)
    }

    /// The comparator's raw output (before Hardtanh) for the frame-to-frame matrix of a network with one channel: [h/4, w/4],
    /// rounded down twice with [`Pool::Floor`], up with [`Pool::Ceil`]. Ceil is what upstream's masked evaluation does on
    /// the valid area.
    ///
    /// # Errors
    /// [`InputError::Empty`] for a matrix of fewer than 4 (Ceil: 1) rows or columns, [`InputError::Channels`] for a network
    /// of several channels.
    pub fn compare(&self, f2f: ArrayView2<'_, f32>, pool: Pool) -> Result<Array2<f32>, InputError> {
        self.compare_channels(f2f.insert_axis(Axis(0)), pool)
    }

    /// The comparator's raw output for the maps [C, h, w] of all channels, as [`Fine::compare`].
    ///
    /// # Errors
    /// [`InputError::Empty`] for maps of fewer than 4 (Ceil: 1) rows or columns, [`InputError::Channels`] for another
    /// number of maps.
    pub fn compare_channels(&self, maps: ArrayView3<'_, f32>, pool: Pool) -> Result<Array2<f32>, InputError> {
        compare_maps(&self.comparator, maps, pool)
    }

    /// Similarity of two indexed videos in [-1, 1]; not symmetric in its arguments unless the network is. Videos of
    /// fewer than 4 frames are repeated first.
    ///
    /// # Errors
    /// [`InputError`] for videos that were indexed differently.
    pub fn similarity(&self, query: &VideoTensor, target: &VideoTensor) -> Result<f32, InputError> {
        self.similarity_with(query, target, &mut Workspace::default())
    }

    /// [`Fine::similarity`] with buffers that are kept from pair to pair.
    ///
    /// # Errors
    /// As [`Fine::similarity`].
    pub fn similarity_with(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        workspace: &mut Workspace,
    ) -> Result<f32, InputError> {
        if self.direct.is_none() {
            return self.compared(query, target, workspace, |_, _, _| Ok(()));
        }
        let (query, target) = (Footage::of_tensor(query), Footage::of_tensor(target));
        Ok(self.examine(&query, &target, workspace)?.similarity)
    }

    /// The similarity of two videos in [-1, 1] from the maps of all channels, `[C][Tq][Tt]` in [-1, 1] as
    /// [`Fine::channel_similarity`] gives them: what follows the maps in [`Fine::examine`], for maps that were computed in another way.
    /// `frames` are those of the videos before they were repeated, `matched` the share of the query that the target shows.
    ///
    /// # Errors
    /// [`InputError::Channels`] for another number of maps than the network has, [`InputError::Empty`] for maps without cells.
    pub fn similarity_of_maps(
        &self,
        maps: ArrayView3<'_, f32>,
        frames: [usize; 2],
        matched: f32,
        pool: Pool,
    ) -> Result<f32, InputError> {
        let comparator = video_chamfer(self.compare_channels(maps, pool)?.view(), self.config.symmetric);
        let Some(direct) = &self.direct else { return Ok(comparator) };
        let (channels, rows, columns) = maps.dim();
        let mut gathered = Gathered::new(channels, frames);
        let maps = maps.as_standard_layout();
        gathered.add(&(0..rows), columns, maps.as_slice().unwrap_or_default(), &mut Vec::new());
        Ok(direct.similarity(&gathered.finish(comparator, matched)))
    }

    /// Compares two videos: their similarity, what it is made of, and where they show the same footage.
    ///
    /// # Errors
    /// [`InputError`] for videos that were indexed differently.
    pub fn examine(
        &self,
        query: &Footage,
        target: &Footage,
        workspace: &mut Workspace,
    ) -> Result<Examined, InputError> {
        let mut maps = Maps::new(query, target);
        if query.is_empty() || target.is_empty() {
            let aligned = maps.finish(&[Vec::new(), Vec::new()], &[Vec::new(), Vec::new()], &self.alignment);
            return Ok(Examined { similarity: -1.0, evidence: Vec::new(), aligned });
        }
        let channels = self.config.channels_of(target.tensor().regions());
        let first = channels.first().ok_or(InputError::Channels { expected: 1, found: 0 })?;
        check_regions(&self.config, target.tensor().regions().min(query.tensor().regions()))?;
        let mut gathered = Gathered::new(self.config.channel_count(), [query.len(), target.len()]);
        let (height, width) = (query.len(), target.len());
        // Of maps that are not kept cell by cell the change is needed at once.
        let at_once = if maps.is_whole() { None } else { Some(Change::new(self.isa, first, query, target)?) };
        let (mut changes, mut likeness) = (Vec::new(), Vec::new());
        let answer = self.compared(query.tensor(), target.tensor(), workspace, |rows, columns, out| {
            // Frames that were repeated for the comparator are seen once.
            let own = rows.start..rows.end.min(height);
            likeness.clear();
            gathered.add(rows, columns, out, &mut likeness);
            let alike = likeness.chunks_exact(columns).take(own.len()).map(|row| &row[..width]);
            let Some(change) = &at_once else {
                alike.for_each(|row| maps.add_likeness(row));
                return Ok(());
            };
            changes.resize(own.len() * width, 0.0);
            change.fill(&own, &mut changes)?;
            alike.zip(changes.chunks_exact(width)).for_each(|(alike, changes)| maps.add(alike, changes));
            Ok(())
        })?;
        let change = match at_once {
            Some(change) => Some(change),
            None if maps.is_worth() => Some(Change::new(self.isa, first, query, target)?),
            None => None,
        };
        if let Some(change) = change.as_ref().filter(|_| maps.is_whole()) {
            changes.resize(width, 0.0);
            for row in 0..height {
                change.fill(&(row..row + 1), &mut changes)?;
                maps.add_change(&changes);
            }
        }
        let nothing = [Vec::new(), Vec::new()];
        let (energies, novelties) = change.as_ref().map_or((&nothing, &nothing), |c| (c.energies(), c.novelties()));
        let aligned = maps.finish(energies, novelties, &self.alignment);
        #[allow(clippy::cast_possible_truncation)]
        let evidence = gathered.finish(answer, aligned.matched.expected as f32);
        let similarity = self.direct.as_ref().map_or(answer, |direct| direct.similarity(&evidence));
        Ok(Examined { similarity, evidence, aligned })
    }

    /// The comparator's answer; `see` is shown the rows of the maps, `[C][rows][width]`, band by band.
    fn compared(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        workspace: &mut Workspace,
        mut see: impl FnMut(&Range<usize>, usize, &[f32]) -> Result<(), InputError>,
    ) -> Result<f32, InputError> {
        let (query, target) = (query.scored(), target.scored());
        if query.frames() == 0 || target.frames() == 0 {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        let pair = Pair::new(self.isa, &self.config, &query, &target)?;
        let (h, w) = (query.frames(), target.frames());
        let edge = Pool::from(self.config.comparator.edge);
        let (_, columns) =
            Comparator::output_shape(h, w, edge).ok_or(InputError::Empty { frames: h.min(w), regions: 1 })?;
        let mut score = VideoChamfer::new(columns, self.config.symmetric);
        let Workspace { scratch, buffers } = workspace;
        let mut failed = None;
        self.comparator.forward_banded(
            h,
            w,
            edge,
            |rows, out| {
                if let Err(error) = pair.fill(rows.clone(), buffers, out).and_then(|()| see(&rows, w, out)) {
                    out.fill(0.0);
                    failed = Some(error);
                }
            },
            |_, row| score.add(row),
            scratch,
        );
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(score.finish())
    }

    /// Upstream's evaluation of long targets: target frames in chunks of `chunk`, chunks of fewer than 4 frames dropped,
    /// the mean over chunks.
    ///
    /// # Errors
    /// As [`Fine::similarity`]; [`InputError::Empty`] when no chunk is left.
    pub fn similarity_chunked(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        chunk: usize,
    ) -> Result<f32, InputError> {
        let target = target.scored();
        let mut sum = 0.0;
        let mut chunks = 0u16;
        let mut start = 0;
        while start < target.frames() {
            let end = target.frames().min(start.saturating_add(chunk.max(1)));
            if end - start >= MIN_FRAMES {
                sum += self.similarity(query, &target.slice(start..end))?;
                chunks += 1;
            }
            start = end;
        }
        if chunks == 0 {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        Ok(sum / f32::from(chunks))
    }
}

/// Buffers of [`Fine::similarity_with`].
#[derive(Default)]
pub struct Workspace {
    scratch: Scratch,
    buffers: Buffers,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Buffers { sums, values, .. } = &self.buffers;
        let bytes = self.scratch.bytes() + sums.capacity() * 2 + values.capacity() * 4;
        f.debug_struct("Workspace").field("bytes", &bytes).finish()
    }
}
