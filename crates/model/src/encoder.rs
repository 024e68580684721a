//! Frames to what an index keeps of a video: S^c's vectors, the selector's scalar, S^f_B's codes
//! and the frames' weights.
//!
//! Frames are [described](Encoder::describe) in parts, in any order and on any thread; parts joined
//! in order [finish](Encoder::finish) as the whole video. A part keeps, for each frame, its weight,
//! its codes and one vector for each of S^c and the selector: 2.1 KB a frame with the default
//! bundle, whatever the frame's size.
//!
//! S^c and the selector see only [informative](frames::weight) frames, or all if no frame is
//! informative.

use std::ops::Range;

use ndarray::ArrayView3;
use vidsieve_kernels::{Isa, hamming};

use vidsieve_record::{BundleId, WindowVector};

use crate::bundle::{Bundle, Network};
use crate::coarse::Coarse;
use crate::extractor::{ExtractError, Extractor};
use crate::fine::{Fine, InputError, VideoTensor};
use crate::frames::{self, RgbFrame};
use crate::selector::Selector;

/// Most frames of a video: 27 hours at one a second.
pub const MAX_FRAMES: usize = 100_000;
/// Informative frames of a window of S^c.
pub const WINDOW: usize = 16;
/// Informative frames from one window's first to the next one's.
pub const WINDOW_STEP: usize = 8;
/// The cosine from which neighbouring windows become one.
const ALIKE: f32 = 0.97;

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
    /// Another number of weights than frames.
    #[error("{weights} weights for {frames} frames")]
    Weights {
        /// Frames given.
        frames: usize,
        /// Weights given.
        weights: usize,
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
    weights: Vec<u8>,
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
        self.weights.extend_from_slice(&next.weights);
        self.codes.extend_from_slice(&next.codes);
        self.coarse.extend_from_slice(&next.coarse);
        self.selector.extend_from_slice(&next.selector);
    }

    /// The part for another instance of the encoder that shares no memory with this one
    /// ([`Encoder::part`]): its frames as a u32, then weights, codes, S^c's values and the
    /// selector's, little-endian.
    ///
    /// # Panics
    /// For more frames than a u32 counts, which take terabytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let frames = u32::try_from(self.frames).unwrap_or_else(|_| panic!("a part of {} frames", self.frames));
        let values = self.coarse.iter().chain(&self.selector).flat_map(|v| v.to_le_bytes());
        let bytes = self.weights.iter().chain(&self.codes).copied();
        frames.to_le_bytes().into_iter().chain(bytes).chain(values).collect()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.len() + self.codes.len() + 4 * (self.coarse.len() + self.selector.len())
    }
}

/// A video as it is indexed and searched with.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// S^c's vector of the informative frames, of unit length.
    pub global: Vec<f32>,
    /// S^c's vectors of parts of the video, by their first frame; none for a video of at most
    /// [`WINDOW`] informative frames.
    pub windows: Vec<WindowVector>,
    /// The selector's self-similarity of the informative frames.
    pub self_similarity: f32,
    /// How much each frame shows, T values ([`frames::weight`]).
    pub weights: Vec<u8>,
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

    /// The longer side in pixels to which frames may be reduced (by area) before they are
    /// described: below it, detail that the networks see would be lost.
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
        let weights: Vec<u8> = frames.iter().map(frames::weight).collect();
        self.describe_regions(self.extractor.video(frames)?.view(), &weights)
    }

    /// Each frame by itself, in order, and the number of the thread that described it: on all
    /// threads of the pool where the crate is built with `parallel`, else on this one, 0. Joined,
    /// the parts are what [`Encoder::describe`] makes of all frames.
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
        let of_frame = [1, self.shape.frame_bytes(), 4 * self.coarse.config().dims, 4 * self.selector.config().dims];
        let expected = of_frame.iter().sum::<usize>().saturating_mul(frames);
        if rest.len() != expected || bytes.len() < 4 {
            return Err(EncodeError::Part { frames, expected: expected.saturating_add(4), found: bytes.len() });
        }
        let (weights, rest) = rest.split_at(frames * of_frame[0]);
        let (codes, rest) = rest.split_at(frames * of_frame[1]);
        let (coarse, selector) = rest.split_at(frames * of_frame[2]);
        let values = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let (weights, codes) = (weights.to_vec(), codes.to_vec());
        Ok(Part { frames, weights, codes, coarse: values(coarse), selector: values(selector) })
    }

    /// Describes frames as [`Encoder::describe`] does, from region vectors `[T, R, D]` of the same bundle and T weights.
    /// Vectors do not show whether their frame was informative: where its pixels are not at hand,
    /// 255 makes it count fully.
    ///
    /// # Errors
    /// [`EncodeError::Input`] for a tensor of another shape, [`EncodeError::Weights`] for another
    /// number of weights.
    pub fn describe_regions(&self, video: ArrayView3<'_, f32>, weights: &[u8]) -> Result<Part, EncodeError> {
        let (frames, regions, _) = video.dim();
        if weights.len() != frames {
            return Err(EncodeError::Weights { frames, weights: weights.len() });
        }
        if regions != self.shape.regions() {
            return Err(InputError::Regions { needed: self.shape.regions(), found: regions }.into());
        }
        let codes = match self.fine.index(video)? {
            VideoTensor::Codes { data, .. } => data,
            VideoTensor::Float { .. } => return Err(ExtractError::Incomplete("binarisation in S^f_B").into()),
        };
        let (coarse, selector) = (self.coarse.pool(video)?, self.selector.pool(video)?);
        Ok(Part { frames, weights: weights.to_vec(), codes, coarse, selector })
    }

    /// The video of all its frames.
    ///
    /// # Errors
    /// [`EncodeError::Empty`] without frames, [`EncodeError::TooLong`] above [`MAX_FRAMES`].
    pub fn finish(&self, all: Part) -> Result<Encoded, EncodeError> {
        let Part { frames, weights, codes, coarse, selector } = all;
        if frames == 0 {
            return Err(EncodeError::Empty);
        }
        if frames > MAX_FRAMES {
            return Err(EncodeError::TooLong { frames });
        }
        let informative: Vec<usize> = (0..frames).filter(|&t| weights[t] > 0).collect();
        let (coarse, selector) = if informative.is_empty() {
            (coarse, selector)
        } else {
            (rows(coarse, frames, &informative), rows(selector, frames, &informative))
        };
        let windows = self.windows(&coarse, &informative)?;
        Ok(Encoded {
            global: self.coarse.of_pooled(coarse)?,
            windows,
            self_similarity: self.selector.of_pooled(selector)?,
            weights,
            codes: VideoTensor::Codes { data: codes, frames, shape: self.shape },
        })
    }

    /// S^c over windows of informative frames; `coarse` has a row for each of them. A window whose
    /// vector has a cosine of [`ALIKE`] or more with the mean of the one before it becomes part of
    /// it.
    fn windows(&self, coarse: &[f32], informative: &[usize]) -> Result<Vec<WindowVector>, InputError> {
        let mut merged: Vec<Merging> = Vec::new();
        for range in window_ranges(informative.len()) {
            // At most 100,000 frames.
            #[allow(clippy::cast_possible_truncation)]
            let [first, last] = [range.start, range.end - 1].map(|i| informative[i] as u32);
            let dims = self.coarse.config().dims;
            let vector = self.coarse.of_pooled(coarse[range.start * dims..range.end * dims].to_vec())?;
            match merged.last_mut() {
                Some(window) if window.cosine(&vector) >= ALIKE => {
                    window.sum.iter_mut().zip(&vector).for_each(|(sum, v)| *sum += v);
                    window.last = last;
                }
                _ => merged.push(Merging { first, last, sum: vector }),
            }
        }
        Ok(merged.iter().map(|w| WindowVector::quantise(w.first, w.last, &w.sum)).collect())
    }
}

/// Windows that become one: the sum of their vectors.
struct Merging {
    first: u32,
    last: u32,
    sum: Vec<f32>,
}

impl Merging {
    /// Returns the cosine of the mean with a vector of unit length.
    fn cosine(&self, vector: &[f32]) -> f32 {
        let dot: f32 = self.sum.iter().zip(vector).map(|(a, b)| a * b).sum();
        dot / self.sum.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
    }
}

/// Returns how many windows a video of so many informative frames has before those that are alike
/// become one.
#[must_use]
pub const fn window_count(frames: usize) -> usize {
    if frames <= WINDOW { 0 } else { (frames - WINDOW).div_ceil(WINDOW_STEP) + 1 }
}

/// Returns the windows of informative frames: [`WINDOW`] frames every [`WINDOW_STEP`], the last one
/// up to the end; none where one would be all.
fn window_ranges(frames: usize) -> impl Iterator<Item = Range<usize>> {
    (0..window_count(frames)).map(move |i| {
        let start = (i * WINDOW_STEP).min(frames - WINDOW);
        start..start + WINDOW
    })
}

/// Returns some of `count` rows.
fn rows(values: Vec<f32>, count: usize, wanted: &[usize]) -> Vec<f32> {
    if wanted.len() == count {
        return values;
    }
    let width = values.len() / count;
    wanted.iter().flat_map(|&t| &values[t * width..(t + 1) * width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_frames() {
        let of = |frames| window_ranges(frames).collect::<Vec<_>>();
        assert!((0..=16).all(|frames| of(frames).is_empty()));
        assert_eq!(of(17), [0..16, 1..17]);
        assert_eq!(of(32), [0..16, 8..24, 16..32]);
        assert_eq!(of(33), [0..16, 8..24, 16..32, 17..33]);
        assert_eq!(of(3600).len(), 449);
    }
}
