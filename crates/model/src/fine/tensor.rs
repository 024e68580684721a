//! What a fine network keeps of a video, and why a video does not fit a network.

use std::borrow::Cow;
use std::ops::Range;

use vidsieve_kernels::hamming;

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

/// What a fine network keeps of a video, `[T][R][D]` floats or `[T][R][L/8]` bytes, without padding: frame by frame, the regions of
/// all scales in the extractor's order, the values or bits of a region. Frames can be cut out and joined as they lie; a
/// channel's regions of a frame lie together.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoTensor {
    /// Region vectors.
    Float {
        /// Row-major `[frames][regions][dims]`.
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
        /// Row-major `[frames][regions][bits/8]`.
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

    /// The given frames, in their order.
    ///
    /// # Panics
    /// If one of them is beyond the last frame.
    #[must_use]
    pub fn select(&self, chosen: &[usize]) -> Self {
        match self {
            Self::Float { data, regions, dims, .. } => {
                let (n, regions, dims) = (regions * dims, *regions, *dims);
                let data = chosen.iter().flat_map(|&i| &data[i * n..(i + 1) * n]).copied().collect();
                Self::Float { data, frames: chosen.len(), regions, dims }
            }
            Self::Codes { data, shape, .. } => {
                let n = shape.frame_bytes();
                let data = chosen.iter().flat_map(|&i| &data[i * n..(i + 1) * n]).copied().collect();
                Self::Codes { data, frames: chosen.len(), shape: *shape }
            }
        }
    }

    /// The tensor as it is scored: repeated (1 -> 2 -> 4, 3 -> 6) until it has at least [`MIN_FRAMES`] frames.
    #[must_use]
    pub fn scored(&self) -> Cow<'_, Self> {
        if self.frames() == 0 || self.frames() >= MIN_FRAMES {
            return Cow::Borrowed(self);
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
        Cow::Owned(tensor)
    }

    pub(crate) fn layout(&self) -> String {
        match self {
            Self::Float { regions, dims, .. } => format!("{regions} regions of {dims} floats"),
            Self::Codes { shape, .. } => format!("{} regions of {} bits", shape.regions(), shape.bits()),
        }
    }
}
