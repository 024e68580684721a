//! Fine-grained networks (§2-§3 of the project's mathematics): teacher ViSiL, S^f_A, S^f_B and the student without either.
//!
//! A video tensor is indexed once ([`Fine::index`]); a pair is then compared in three steps: region Chamfer similarity
//! to a frame-to-frame matrix a channel, the comparator CNN, Hardtanh and Chamfer similarity to one number in [-1, 1]. The
//! steps run over bands of query frames, so that memory grows with the videos' lengths and not with their product.
//!
//! The paper's networks have one channel, over all regions of both videos. A bundle that sees frames at several scales may
//! have more ([`Channel`]): a channel compares some regions of the query's frames with some of the target's, whole frames
//! at a small scale with windows at a large one, say.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use vidsieve_kernels::{
    Isa, chamfer,
    comparator::{self, Comparator, Pool, Scratch},
    gemm::{self, Packed},
    hamming,
};

use crate::attention::RegionAttention;
use crate::config::{Channel, ComparatorConfig, FineConfig, PaddingMode, comparator_prefix};
use crate::direct::{Direct, Gathered};
use crate::math::normalise_rows;
use crate::weights::{StateDict, WeightsError};

/// Videos of fewer frames are repeated until they have this many before they are scored (upstream's loader rule).
pub const MIN_FRAMES: usize = 4;

/// Why a video tensor does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No frames or no regions.
    #[error("a video tensor needs at least one frame and one region, this one is {frames} x {regions}")]
    Empty {
        /// Frames of the tensor.
        frames: usize,
        /// Regions of the tensor.
        regions: usize,
    },
    /// Region vectors of another size.
    #[error("region vectors have {found} values, the network needs {expected}")]
    Dims {
        /// Values the network needs.
        expected: usize,
        /// Values there are.
        found: usize,
    },
    /// Frames of fewer regions than the network asks for.
    #[error(
        "a frame has {found} regions, the network asks for regions up to {needed}: encode with the bundle's scales"
    )]
    Regions {
        /// Regions that a frame must have at least.
        needed: usize,
        /// Regions there are.
        found: usize,
    },
    /// Another number of frame-to-frame maps than the comparator takes.
    #[error("the comparator takes {expected} channels, {found} are given")]
    Channels {
        /// Channels of the comparator's input.
        expected: usize,
        /// Channels given.
        found: usize,
    },
    /// Two indexes that cannot be compared: other regions, bits or kind.
    #[error("the two videos were indexed differently: {query} against {target}")]
    Mismatch {
        /// Layout of the query.
        query: String,
        /// Layout of the target.
        target: String,
    },
    /// The layout of the codes is not one that the kernels take.
    #[error(transparent)]
    Codes(#[from] hamming::ShapeError),
}

/// The regions that a network looks at among `regions` of a frame; `None` is all.
pub(crate) fn regions_of(asked: Option<[usize; 2]>, regions: usize) -> Result<Range<usize>, InputError> {
    let [start, end] = asked.unwrap_or([0, regions]);
    if end > regions { Err(InputError::Regions { needed: end, found: regions }) } else { Ok(start..end) }
}

/// What a fine network keeps of a video, [T][R][D] floats or [T][R][L/8] bytes, without padding: frame by frame, the regions of
/// all scales in the extractor's order, the values or bits of a region. Frames can be cut out and joined as they lie; a
/// channel's regions of a frame lie together.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoTensor {
    /// Region vectors.
    Float {
        /// Row-major [frames][regions][dims].
        data: Vec<f32>,
        /// T.
        frames: usize,
        /// R.
        regions: usize,
        /// D.
        dims: usize,
    },
    /// Binary codes; bit k of byte j is dimension 8j+k, set iff the projection is above 0.
    Codes {
        /// Row-major [frames][regions][bits/8].
        data: Vec<u8>,
        /// T.
        frames: usize,
        /// R and L.
        shape: hamming::Shape,
    },
}

impl VideoTensor {
    /// T.
    #[must_use]
    pub const fn frames(&self) -> usize {
        match self {
            Self::Float { frames, .. } | Self::Codes { frames, .. } => *frames,
        }
    }

    /// R: regions of a frame, all scales together.
    #[must_use]
    pub const fn regions(&self) -> usize {
        match self {
            Self::Float { regions, .. } => *regions,
            Self::Codes { shape, .. } => shape.regions(),
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Float { data, .. } => data.len() * 4,
            Self::Codes { data, .. } => data.len(),
        }
    }

    /// The frames of `range`.
    ///
    /// # Panics
    /// If the range reaches beyond the frames.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Float { data, regions, dims, .. } => {
                let n = regions * dims;
                let (regions, dims) = (*regions, *dims);
                Self::Float { data: data[range.start * n..range.end * n].to_vec(), frames: range.len(), regions, dims }
            }
            Self::Codes { data, shape, .. } => {
                let n = shape.frame_bytes();
                Self::Codes { data: data[range.start * n..range.end * n].to_vec(), frames: range.len(), shape: *shape }
            }
        }
    }

    /// The tensor as it is scored: repeated (1 -> 2 -> 4, 3 -> 6) until it has at least [`MIN_FRAMES`] frames.
    #[must_use]
    pub fn scored(&self) -> std::borrow::Cow<'_, Self> {
        if self.frames() == 0 || self.frames() >= MIN_FRAMES {
            return std::borrow::Cow::Borrowed(self);
        }
        let mut tensor = self.clone();
        while tensor.frames() < MIN_FRAMES {
            match &mut tensor {
                Self::Float { data, frames, .. } => {
                    data.extend_from_within(..);
                    *frames *= 2;
                }
                Self::Codes { data, frames, .. } => {
                    data.extend_from_within(..);
                    *frames *= 2;
                }
            }
        }
        std::borrow::Cow::Owned(tensor)
    }

    fn layout(&self) -> String {
        match self {
            Self::Float { regions, dims, .. } => format!("{regions} regions of {dims} floats"),
            Self::Codes { shape, .. } => format!("{} regions of {} bits", shape.regions(), shape.bits()),
        }
    }
}

/// The target's part of one channel, laid out for the kernels.
enum Packing {
    Float(chamfer::Target),
    Codes(hamming::Target),
    /// Codes of a transposed channel: minima are over the query's regions, so that it is the query's frames that are laid
    /// out, band by band.
    Banded,
}

/// Two videos and the channels in which they are compared.
struct Pair<'a> {
    query: &'a VideoTensor,
    target: &'a VideoTensor,
    channels: Cow<'a, [Channel]>,
    packings: Vec<Packing>,
    isa: Isa,
    symmetric: bool,
}

/// Buffers of [`Pair::fill`].
#[derive(Default)]
struct Buffers {
    sums: Vec<u16>,
    values: Vec<f32>,
    band: Option<hamming::Target>,
}

const fn range([start, end]: [usize; 2]) -> Range<usize> {
    start..end
}

impl Pair<'_> {
    /// Frame similarities [C][rows][Tt] of the query's frames `rows` with all target frames.
    fn fill(&self, rows: Range<usize>, buffers: &mut Buffers, out: &mut [f32]) -> Result<(), InputError> {
        let size = rows.len() * self.target.frames();
        if size == 0 {
            return Ok(());
        }
        for ((channel, packing), out) in self.channels.iter().zip(&self.packings).zip(out.chunks_exact_mut(size)) {
            let asked = range(channel.query);
            match (self.query, self.target, packing) {
                (VideoTensor::Float { data, regions, dims, .. }, _, Packing::Float(target)) => {
                    let n = regions * dims;
                    let rows = &data[rows.start * n..rows.end * n];
                    if self.symmetric {
                        chamfer::region_chamfer_symmetric(rows, target, out);
                    } else {
                        let direction =
                            if channel.transposed { chamfer::Direction::Target } else { chamfer::Direction::Query };
                        let part = chamfer::Part::new(rows, *regions, *dims, asked);
                        chamfer::region_chamfer_part(&part, target, direction, out);
                    }
                }
                (VideoTensor::Codes { data, shape, .. }, _, Packing::Codes(target)) => {
                    let n = shape.frame_bytes();
                    let part = hamming::Part::new(*shape, &data[rows.start * n..rows.end * n], asked)?;
                    buffers.sums.resize(size, 0);
                    hamming::region_chamfer_part(&part, target, &mut buffers.sums);
                    hamming::similarity(part.shape(), &buffers.sums, out);
                }
                (VideoTensor::Codes { data, shape, .. }, VideoTensor::Codes { data: other, .. }, Packing::Banded) => {
                    let n = shape.frame_bytes();
                    let band = hamming::Part::new(*shape, &data[rows.start * n..rows.end * n], asked)?;
                    let target = hamming::Part::new(*shape, other, range(channel.target))?;
                    let packed = buffers.band.get_or_insert_with(|| hamming::Target::of_part(self.isa, &band));
                    packed.repack_part(&band);
                    buffers.sums.resize(size, 0);
                    hamming::region_chamfer_part(&target, packed, &mut buffers.sums);
                    buffers.values.resize(size, 0.0);
                    hamming::similarity(target.shape(), &buffers.sums, &mut buffers.values);
                    let (height, width) = (rows.len(), self.target.frames());
                    for (j, column) in buffers.values.chunks_exact(height).enumerate() {
                        out[j..].iter_mut().step_by(width).zip(column).for_each(|(to, from)| *to = *from);
                    }
                }
                _ => unreachable!("packed for this query"),
            }
        }
        Ok(())
    }
}

/// The score of one frame-to-frame pass, gathered row by row.
struct VideoChamfer {
    rows: usize,
    row_maxima: f64,
    column_maxima: Option<Vec<f32>>,
}

impl VideoChamfer {
    fn new(columns: usize, symmetric: bool) -> Self {
        let column_maxima = symmetric.then(|| vec![f32::NEG_INFINITY; columns]);
        Self { rows: 0, row_maxima: 0.0, column_maxima }
    }

    fn add(&mut self, row: &[f32]) {
        let clipped = |v: &f32| v.clamp(-1.0, 1.0);
        self.rows += 1;
        self.row_maxima += f64::from(row.iter().map(clipped).fold(f32::NEG_INFINITY, f32::max));
        if let Some(columns) = &mut self.column_maxima {
            columns.iter_mut().zip(row).for_each(|(m, v)| *m = m.max(clipped(v)));
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn finish(self) -> f32 {
        let rows = self.row_maxima / self.rows as f64;
        let both = self.column_maxima.map_or(rows, |columns| {
            (rows + columns.iter().map(|&v| f64::from(v)).sum::<f64>() / columns.len() as f64) / 2.0
        });
        both as f32
    }
}

/// Hardtanh and Chamfer similarity of a raw comparator output (rows are the query): mean over rows of the maximum over
/// columns; the mean of both directions if `symmetric`.
#[must_use]
pub fn video_chamfer(raw: ArrayView2<'_, f32>, symmetric: bool) -> f32 {
    let mut sum = VideoChamfer::new(raw.ncols(), symmetric);
    raw.rows().into_iter().for_each(|row| sum.add(&row.to_vec()));
    sum.finish()
}

/// A fine-grained network with its weights.
#[derive(Debug)]
pub struct Fine {
    config: FineConfig,
    isa: Isa,
    attention: Option<RegionAttention>,
    projection: Option<Packed>,
    comparator: Comparator,
    direct: Option<Direct>,
}

pub(crate) fn build_comparator(
    isa: Isa,
    config: &ComparatorConfig,
    state: &StateDict,
) -> Result<Comparator, WeightsError> {
    let p = comparator_prefix(state);
    let [c0, c1, c2, c3] = config.channels;
    let weights = comparator::Weights {
        channels: config.channels,
        conv1: state.get(&format!("{p}conv1.weight"), &[c1, c0, 3, 3])?,
        bias1: state.get(&format!("{p}conv1.bias"), &[c1])?,
        conv2: state.get(&format!("{p}conv2.weight"), &[c2, c1, 3, 3])?,
        bias2: state.get(&format!("{p}conv2.bias"), &[c2])?,
        conv3: state.get(&format!("{p}conv3.weight"), &[c3, c2, 3, 3])?,
        bias3: state.get(&format!("{p}conv3.bias"), &[c3])?,
        fconv: state.get(&format!("{p}fconv.weight"), &[1, c3, 1, 1])?,
        fbias: state.get(&format!("{p}fconv.bias"), &[1])?[0],
    };
    let padding = match config.padding {
        PaddingMode::Zero => comparator::Padding::Zero,
        PaddingMode::Replicate => comparator::Padding::Replicate,
    };
    Comparator::new(isa, &weights, padding)
        .map_err(|e| WeightsError::Config { network: format!("{}{p}", state.label), reason: e.to_string() })
}

/// Maps [C, h, w] through a comparator, any size that the pooling allows.
pub(crate) fn compare_maps(
    comparator: &Comparator,
    f2f: ArrayView3<'_, f32>,
    pool: Pool,
) -> Result<Array2<f32>, InputError> {
    let (found, h, w) = f2f.dim();
    let expected = comparator.input_channels();
    if found != expected {
        return Err(InputError::Channels { expected, found });
    }
    let shape = Comparator::output_shape(h, w, pool).ok_or(InputError::Empty { frames: h.min(w), regions: 1 })?;
    let map = f2f.as_standard_layout();
    let mut out = Array2::zeros(shape);
    if let (Some(map), Some(out)) = (map.as_slice(), out.as_slice_mut()) {
        comparator.forward(map, h, w, pool, out, &mut Scratch::default());
    }
    Ok(out)
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
        Ok(Self { config, isa, attention, projection, comparator, direct })
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
        self.check_regions(regions)?;
        Ok((frames, regions))
    }

    fn check_regions(&self, found: usize) -> Result<(), InputError> {
        let needed = self.config.regions_needed();
        if found < needed { Err(InputError::Regions { needed, found }) } else { Ok(()) }
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

    fn pair<'a>(&'a self, query: &'a VideoTensor, target: &'a VideoTensor) -> Result<Pair<'a>, InputError> {
        let alike = match (query, target) {
            (VideoTensor::Float { regions: rq, dims: dq, .. }, VideoTensor::Float { regions, dims, .. }) => {
                rq == regions && dq == dims
            }
            (VideoTensor::Codes { shape: a, .. }, VideoTensor::Codes { shape, .. }) => a == shape,
            _ => false,
        };
        if !alike {
            return Err(InputError::Mismatch { query: query.layout(), target: target.layout() });
        }
        let regions = target.regions();
        self.check_regions(regions)?;
        let channels = self.config.channels_of(regions);
        let pack = |channel: &Channel| {
            Ok(match target {
                VideoTensor::Float { dims: 0, .. } => {
                    return Err(InputError::Dims { expected: self.config.dims, found: 0 });
                }
                VideoTensor::Float { data, dims, .. } => {
                    let part = chamfer::Part::new(data, regions, *dims, range(channel.target));
                    Packing::Float(chamfer::Target::of_part(self.isa, &part))
                }
                VideoTensor::Codes { .. } if channel.transposed => Packing::Banded,
                VideoTensor::Codes { data, shape, .. } => {
                    let part = hamming::Part::new(*shape, data, range(channel.target))?;
                    Packing::Codes(hamming::Target::of_part(self.isa, &part))
                }
            })
        };
        let packings = channels.iter().map(pack).collect::<Result<_, _>>()?;
        Ok(Pair { query, target, channels, packings, isa: self.isa, symmetric: self.config.symmetric })
    }

    /// The frame-to-frame maps [C, Tq, Tt] of two indexed videos, one a channel of the configuration, each value in [-1, 1].
    /// Frames are taken as they are.
    ///
    /// # Errors
    /// [`InputError`] for videos that were indexed differently or have too few regions.
    pub fn channel_similarity(&self, query: &VideoTensor, target: &VideoTensor) -> Result<Array3<f32>, InputError> {
        let pair = self.pair(query, target)?;
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

    /// As [`Fine::compare`] for the maps [C, h, w] of all channels.
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
        let Some(direct) = &self.direct else { return self.compared(query, target, workspace, |_, _, _| {}) };
        let evidence = self.evidence(query, target, workspace)?;
        Ok(direct.similarity(&evidence))
    }

    /// The similarity of two videos in [-1, 1] from the maps of all channels, [C][Tq][Tt] in [-1, 1] as [`Fine::channel_similarity`]
    /// gives them: what follows the maps in [`Fine::similarity`], for maps that were computed in another way. `frames` are those of the
    /// videos before they were repeated.
    ///
    /// # Errors
    /// [`InputError::Channels`] for another number of maps than the network has, [`InputError::Empty`] for maps without cells.
    pub fn similarity_of_maps(
        &self,
        maps: ArrayView3<'_, f32>,
        frames: [usize; 2],
        pool: Pool,
    ) -> Result<f32, InputError> {
        let comparator = video_chamfer(self.compare_channels(maps, pool)?.view(), self.config.symmetric);
        let Some(direct) = &self.direct else { return Ok(comparator) };
        let (channels, rows, columns) = maps.dim();
        let mut gathered = Gathered::new(channels, frames);
        let maps = maps.as_standard_layout();
        gathered.add(&(0..rows), columns, maps.as_slice().unwrap_or_default());
        Ok(direct.similarity(&gathered.finish(comparator)))
    }

    /// What a direct path weighs ([`crate::direct`]), whether or not the network has one: the comparator's answer and the Chamfer
    /// similarities of the unpooled maps, and how well the videos are aligned; 4 + C values in [-1, 1].
    ///
    /// # Errors
    /// As [`Fine::similarity`].
    pub fn evidence(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        workspace: &mut Workspace,
    ) -> Result<Vec<f32>, InputError> {
        let mut gathered = Gathered::new(self.config.channel_count(), [query.frames(), target.frames()]);
        let answer = self.compared(query, target, workspace, |rows, width, maps| gathered.add(rows, width, maps))?;
        Ok(gathered.finish(answer))
    }

    /// The comparator's answer; `see` is shown the rows of the maps, `[C][rows][width]`, band by band.
    fn compared(
        &self,
        query: &VideoTensor,
        target: &VideoTensor,
        workspace: &mut Workspace,
        mut see: impl FnMut(&Range<usize>, usize, &[f32]),
    ) -> Result<f32, InputError> {
        let (query, target) = (query.scored(), target.scored());
        if query.frames() == 0 || target.frames() == 0 {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        let pair = self.pair(&query, &target)?;
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
                if let Err(error) = pair.fill(rows.clone(), buffers, out) {
                    out.fill(0.0);
                    failed = Some(error);
                }
                see(&rows, w, out);
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
