//! Frames to what an index keeps of a video: S^c's vector, the selector's scalar and S^f_B's codes.
//!
//! Frames are [described](Encoder::describe) in parts, in any order and on any thread; parts joined in order
//! [finish](Encoder::finish) as the whole video. A part keeps, for each frame, its codes and one vector for each of S^c and the
//! selector: 2.1 KB a frame with the default bundle, whatever the frame's size.

use ndarray::ArrayView3;
use vidsieve_kernels::{Isa, hamming};

use vidsieve_record::BundleId;

use crate::bundle::{Bundle, Network};
use crate::coarse::Coarse;
use crate::extractor::{ExtractError, Extractor};
use crate::fine::{Fine, InputError, VideoTensor};
use crate::frames::RgbFrame;
use crate::selector::Selector;

/// Most frames of a video: 27 hours at one a second.
pub const MAX_FRAMES: usize = 100_000;

/// Why a video cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The bundle or a frame does not fit.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// Descriptors that do not fit a network.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Bytes that are no part of a video of this bundle.
    #[error("{found} bytes are no part of a video: {frames} frames take {expected}")]
    Part {
        /// Frames that the bytes promise.
        frames: usize,
        /// Bytes of that many frames.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// No frame at all.
    #[error("a video needs at least one frame")]
    Empty,
    /// More frames than [`MAX_FRAMES`].
    #[error("{frames} frames; at most {MAX_FRAMES} are encoded (sample fewer, or cut the video)")]
    TooLong {
        /// Frames given.
        frames: usize,
    },
}

/// What is kept of some frames of a video until all are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    frames: usize,
    codes: Vec<u8>,
    coarse: Vec<f32>,
    selector: Vec<f32>,
}

impl Part {
    /// Frames in this part.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// Appends the frames that follow.
    pub fn join(&mut self, next: &Self) {
        self.frames += next.frames;
        self.codes.extend_from_slice(&next.codes);
        self.coarse.extend_from_slice(&next.coarse);
        self.selector.extend_from_slice(&next.selector);
    }

    /// The part for another instance of the encoder that shares no memory with this one ([`Encoder::part`]): its frames as a u32, then
    /// codes, S^c's values and the selector's, little-endian.
    ///
    /// # Panics
    /// For more frames than a u32 counts, which take terabytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let frames = u32::try_from(self.frames).unwrap_or_else(|_| panic!("a part of {} frames", self.frames));
        let values = self.coarse.iter().chain(&self.selector).flat_map(|v| v.to_le_bytes());
        frames.to_le_bytes().into_iter().chain(self.codes.iter().copied()).chain(values).collect()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.codes.len() + 4 * (self.coarse.len() + self.selector.len())
    }
}

/// A video as it is indexed and searched with.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// S^c's vector, of unit length.
    pub global: Vec<f32>,
    /// The selector's self-similarity.
    pub self_similarity: f32,
    /// S^f_B's codes, `[T][R][L/8]`.
    pub codes: VideoTensor,
}

/// All networks that look at a video by itself.
#[derive(Debug)]
pub struct Encoder {
    id: BundleId,
    extractor: Extractor,
    fine: Fine,
    coarse: Coarse,
    selector: Selector,
    shape: hamming::Shape,
}

impl Encoder {
    /// The encoder of a bundle with preprocessing, backbone, S^f_B, S^c and SN.
    ///
    /// # Errors
    /// [`ExtractError`] naming what the bundle lacks, or for damaged weights.
    pub fn new(isa: Isa, bundle: &Bundle) -> Result<Self, EncodeError> {
        let extractor = Extractor::new(isa, bundle)?;
        let fine = bundle.fine(isa, Network::FineBinary)?;
        let regions = bundle
            .config()
            .region_count()
            .map_err(ExtractError::from)?
            .ok_or(ExtractError::Incomplete("fixed input size"))?;
        let bits = fine.config().bits.ok_or(ExtractError::Incomplete("binarisation in S^f_B"))?;
        let shape = hamming::Shape::new(regions, bits).map_err(InputError::from)?;
        let (coarse, selector) = (bundle.coarse(isa)?, bundle.selector(isa)?);
        Ok(Self { id: bundle.id(), extractor, fine, coarse, selector, shape })
    }

    /// The bundle's identity; videos of different bundles cannot be compared.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.id
    }

    /// How frames are prepared and pooled.
    #[must_use]
    pub const fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// R and L of the codes.
    #[must_use]
    pub const fn shape(&self) -> hamming::Shape {
        self.shape
    }

    /// Values of the video vector.
    #[must_use]
    pub fn global_dims(&self) -> usize {
        self.coarse.config().output()
    }

    /// The longer side in pixels to which frames may be reduced (by area) before they are described: below it, detail that
    /// the networks see would be lost.
    #[must_use]
    pub fn frame_side(&self) -> u32 {
        let sides = self.extractor.scales().iter().filter_map(|s| s.preprocess.fixed_size()).map(|(h, w)| h.max(w));
        2 * sides.max().unwrap_or(256)
    }

    /// What is kept of frames that follow one another.
    ///
    /// # Errors
    /// [`EncodeError::Extract`] for frames that cannot be prepared.
    pub fn describe(&self, frames: &[RgbFrame<'_>]) -> Result<Part, EncodeError> {
        if frames.is_empty() {
            return Ok(Part::default());
        }
        self.describe_regions(self.extractor.video(frames)?.view())
    }

    /// Each frame by itself, in order, and the number of the thread that described it: on all threads of the pool where the crate is
    /// built with `parallel`, else on this one, 0. Joined, the parts are what [`Encoder::describe`] makes of all frames.
    ///
    /// # Errors
    /// As [`Encoder::describe`].
    pub fn describe_each(&self, frames: &[RgbFrame<'_>]) -> Result<Vec<(Part, usize)>, EncodeError> {
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            let one =
                |frame| Ok((self.describe(std::slice::from_ref(frame))?, rayon::current_thread_index().unwrap_or(0)));
            // One frame a task: with few frames none of the threads is to stay idle.
            frames.par_iter().with_max_len(1).map(one).collect()
        }
        #[cfg(not(feature = "parallel"))]
        frames.iter().map(|frame| Ok((self.describe(std::slice::from_ref(frame))?, 0))).collect()
    }

    /// The part of [`Part::to_bytes`].
    ///
    /// # Errors
    /// [`EncodeError::Part`] for bytes of another length than their frames take.
    pub fn part(&self, bytes: &[u8]) -> Result<Part, EncodeError> {
        let (frames, rest) =
            bytes.split_first_chunk().map_or((0, bytes), |(n, rest)| (u32::from_le_bytes(*n) as usize, rest));
        let of_frame = [self.shape.frame_bytes(), 4 * self.coarse.config().dims, 4 * self.selector.config().dims];
        let expected = of_frame.iter().sum::<usize>().saturating_mul(frames);
        if rest.len() != expected || bytes.len() < 4 {
            return Err(EncodeError::Part { frames, expected: expected.saturating_add(4), found: bytes.len() });
        }
        let (codes, rest) = rest.split_at(frames * of_frame[0]);
        let (coarse, selector) = rest.split_at(frames * of_frame[1]);
        let values = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Part { frames, codes: codes.to_vec(), coarse: values(coarse), selector: values(selector) })
    }

    /// As [`Encoder::describe`], from region vectors [T, R, D] of the same bundle.
    ///
    /// # Errors
    /// [`EncodeError::Input`] for a tensor of another shape.
    pub fn describe_regions(&self, video: ArrayView3<'_, f32>) -> Result<Part, EncodeError> {
        let (frames, regions, _) = video.dim();
        if regions != self.shape.regions() {
            return Err(InputError::Regions { needed: self.shape.regions(), found: regions }.into());
        }
        let codes = match self.fine.index(video)? {
            VideoTensor::Codes { data, .. } => data,
            VideoTensor::Float { .. } => return Err(ExtractError::Incomplete("binarisation in S^f_B").into()),
        };
        Ok(Part { frames, codes, coarse: self.coarse.pool(video)?, selector: self.selector.pool(video)? })
    }

    /// The video of all its frames.
    ///
    /// # Errors
    /// [`EncodeError::Empty`] without frames, [`EncodeError::TooLong`] above [`MAX_FRAMES`].
    pub fn finish(&self, all: Part) -> Result<Encoded, EncodeError> {
        let Part { frames, codes, coarse, selector } = all;
        if frames == 0 {
            return Err(EncodeError::Empty);
        }
        if frames > MAX_FRAMES {
            return Err(EncodeError::TooLong { frames });
        }
        Ok(Encoded {
            global: self.coarse.of_pooled(coarse)?,
            self_similarity: self.selector.of_pooled(selector)?,
            codes: VideoTensor::Codes { data: codes, frames, shape: self.shape },
        })
    }
}
