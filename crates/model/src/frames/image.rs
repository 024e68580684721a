//! Decoded frames and RGB images.

/// Largest width or height of a frame or of a resized frame. Keeps every sum of the filters in its integer type.
pub const MAX_SIDE: u32 = 32_768;

/// Why frames or a [`super::Preprocess`] are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A side of a frame is 0 or larger than [`MAX_SIDE`].
    #[error("a frame of {width}x{height} pixels: each side must be 1 to {MAX_SIDE}")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The bytes do not fit the dimensions.
    #[error("a frame of {width}x{height} pixels with {channels} bytes each needs {expected} bytes, got {found}")]
    Length {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes of a pixel.
        channels: usize,
        /// `width * height * channels`.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A frame so elongated that resizing by its short side makes the other one too large.
    #[error(
        "a frame of {width}x{height} pixels is too elongated: its long side would be resized beyond {MAX_SIDE} pixels"
    )]
    Elongated {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Frames of one batch end up with different sizes.
    #[error("frame {index} of the batch becomes {found:?} pixels (width, height), the first one {first:?}")]
    Mixed {
        /// Position in the batch.
        index: usize,
        /// Width and height of the first frame after preprocessing.
        first: (u32, u32),
        /// Width and height of this frame after preprocessing.
        found: (u32, u32),
    },
    /// The preprocessing contradicts itself.
    #[error("preprocessing: {0}")]
    Config(String),
}

/// One decoded frame, borrowed: rows from the top, pixels from the left, 8 bits a channel, no padding between rows as it is given.
#[derive(Debug, Clone, Copy)]
pub struct RgbFrame<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: usize,
    /// Bytes from one row to the next one.
    stride: usize,
    data: &'a [u8],
}

impl<'a> RgbFrame<'a> {
    /// A frame of `width * height` RGB pixels.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Length`].
    pub fn new(width: u32, height: u32, data: &'a [u8]) -> Result<Self, FrameError> {
        Self::with_channels(width, height, 3, data)
    }

    /// A frame of `width * height` RGBA pixels, as browsers hand them out; alpha is ignored.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Length`].
    pub fn from_rgba(width: u32, height: u32, data: &'a [u8]) -> Result<Self, FrameError> {
        Self::with_channels(width, height, 4, data)
    }

    fn with_channels(width: u32, height: u32, channels: usize, data: &'a [u8]) -> Result<Self, FrameError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FrameError::Size { width, height });
        }
        let expected = (width as usize).saturating_mul(height as usize).saturating_mul(channels);
        if data.len() != expected {
            return Err(FrameError::Length { width, height, channels, expected, found: data.len() });
        }
        Ok(Self { width, height, channels, stride: width as usize * channels, data })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    pub(super) fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.width as usize * self.channels]
    }

    /// The part of `width * height` pixels, neither of them 0, whose first one is at (x, y).
    pub(super) fn part(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let first = y as usize * self.stride + x as usize * self.channels;
        Self { width, height, data: &self.data[first..], ..*self }
    }
}

/// An RGB image: `height * width * 3` bytes, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixels.
    pub data: Vec<u8>,
}
