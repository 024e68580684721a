//! Fine-grained networks (§2-§3 of the project's mathematics): teacher ViSiL, S^f_A, S^f_B and the student without either.
//!
//! A video tensor is indexed once ([`Fine::index`]); a pair is then compared in three steps: region Chamfer similarity
//! to a frame-to-frame matrix, the comparator CNN, Hardtanh and Chamfer similarity to one number in [-1, 1]. The steps run
//! over bands of query frames, so that memory grows with the videos' lengths and not with their product.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayView3};
use vidsieve_kernels::{
    Isa, chamfer,
    comparator::{self, Comparator, Pool, Scratch},
    gemm::{self, Packed},
    hamming,
};

use crate::attention::RegionAttention;
use crate::config::{ComparatorConfig, FineConfig, PaddingMode, comparator_prefix};
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

/// What a fine network keeps of a video, [T][R][D] floats or [T][R][L/8] bytes.
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

/// A target video, laid out for the kernels.
enum Packing {
    Float(chamfer::Target),
    Codes(hamming::Target),
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

/// One map through a comparator, any size that the pooling allows.
pub(crate) fn compare_map(
    comparator: &Comparator,
    f2f: ArrayView2<'_, f32>,
    pool: Pool,
) -> Result<Array2<f32>, InputError> {
    let (h, w) = f2f.dim();
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
    /// Missing, misshapen or damaged tensors; attention together with binarisation, which no network of the paper has.
    pub fn new(isa: Isa, config: FineConfig, state: &StateDict) -> Result<Self, WeightsError> {
        let refuse = |reason: String| WeightsError::Config { network: state.label.clone(), reason };
        if config.dims == 0 {
            return Err(refuse("dims must be at least 1".into()));
        }
        let projection = match config.bits {
            None => None,
            Some(bits) => {
                if config.attention != crate::config::Attention::None {
                    return Err(refuse("attention and binarisation exclude each other: leave one out".into()));
                }
                if config.symmetric {
                    return Err(refuse("the symmetric variant is defined for float tensors only".into()));
                }
                if bits == 0 || bits % 8 != 0 {
                    return Err(refuse(format!("bits must be a positive multiple of 8, not {bits}")));
                }
                let w = state.get("binarization.W", &[config.dims, bits])?;
                Some(Packed::from_columns(isa, w, config.dims, bits))
            }
        };
        let attention = RegionAttention::new(isa, config.attention, config.dims, state)?;
        let comparator = build_comparator(isa, &config.comparator, state)?;
        Ok(Self { config, isa, attention, projection, comparator })
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
        Ok((frames, regions))
    }

    /// What is kept of a video tensor [T, R, D]: weighted region vectors, or codes.
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

    fn pack(&self, query: &VideoTensor, target: &VideoTensor) -> Result<Packing, InputError> {
        match (query, target) {
            (VideoTensor::Float { regions: rq, dims: dq, .. }, VideoTensor::Float { data, frames, regions, dims })
                if rq == regions && dq == dims =>
            {
                Ok(Packing::Float(chamfer::Target::new(self.isa, data, *frames, *regions, *dims)))
            }
            (VideoTensor::Codes { shape: a, .. }, VideoTensor::Codes { shape, data, .. }) if a == shape => {
                Ok(Packing::Codes(hamming::Target::new(self.isa, *shape, data)?))
            }
            _ => Err(InputError::Mismatch { query: query.layout(), target: target.layout() }),
        }
    }

    /// Frame similarities of the query's frames `rows` against all target frames, row-major.
    fn fill(&self, query: &VideoTensor, packing: &Packing, rows: Range<usize>, sums: &mut Vec<u16>, out: &mut [f32]) {
        match (query, packing) {
            (VideoTensor::Float { data, regions, dims, .. }, Packing::Float(target)) => {
                let n = regions * dims;
                let rows = &data[rows.start * n..rows.end * n];
                if self.config.symmetric {
                    chamfer::region_chamfer_symmetric(rows, target, out);
                } else {
                    chamfer::region_chamfer(rows, target, out);
                }
            }
            (VideoTensor::Codes { data, shape, .. }, Packing::Codes(target)) => {
                let n = shape.frame_bytes();
                sums.resize(out.len(), 0);
                hamming::region_chamfer(&data[rows.start * n..rows.end * n], target, sums);
                hamming::similarity(*shape, sums, out);
            }
            _ => unreachable!("packed for this query"),
        }
    }

    /// The frame-to-frame matrix [Tq, Tt] of two indexed videos, each value in [-1, 1]. Frames are taken as they are.
    ///
    /// # Errors
    /// [`InputError`] for videos that were indexed differently.
    pub fn frame_similarity(&self, query: &VideoTensor, target: &VideoTensor) -> Result<Array2<f32>, InputError> {
        let packing = self.pack(query, target)?;
        let mut f2f = Array2::zeros((query.frames(), target.frames()));
        if let Some(out) = f2f.as_slice_mut() {
            self.fill(query, &packing, 0..query.frames(), &mut Vec::new(), out);
        }
        Ok(f2f)
    }

    /// The comparator's raw output (before Hardtanh) for a frame-to-frame matrix: [h/4, w/4], rounded down twice with
    /// [`Pool::Floor`], up with [`Pool::Ceil`]. Ceil is what upstream's masked evaluation does on the valid area.
    ///
    /// # Errors
    /// [`InputError::Empty`] for a matrix of fewer than 4 (Ceil: 1) rows or columns.
    pub fn compare(&self, f2f: ArrayView2<'_, f32>, pool: Pool) -> Result<Array2<f32>, InputError> {
        compare_map(&self.comparator, f2f, pool)
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
        let (query, target) = (query.scored(), target.scored());
        if query.frames() == 0 || target.frames() == 0 {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        let packing = self.pack(&query, &target)?;
        let (h, w) = (query.frames(), target.frames());
        let (_, columns) =
            Comparator::output_shape(h, w, Pool::Floor).ok_or(InputError::Empty { frames: h.min(w), regions: 1 })?;
        let mut score = VideoChamfer::new(columns, self.config.symmetric);
        let Workspace { scratch, sums } = workspace;
        self.comparator.forward_banded(
            h,
            w,
            Pool::Floor,
            |rows, out| self.fill(&query, &packing, rows, sums, out),
            |_, row| score.add(row),
            scratch,
        );
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
    sums: Vec<u16>,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").field("bytes", &(self.scratch.bytes() + self.sums.capacity() * 2)).finish()
    }
}
