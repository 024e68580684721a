//! The errors of this crate.

/// Why an image, a clip or an edit was refused.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The bytes are no JPEG or PNG image, or a damaged one.
    #[error("the image cannot be decoded ({reason}): give a whole JPEG or PNG file")]
    Decode {
        /// What the decoder said.
        reason: String,
    },
    /// An image could not be written.
    #[error("the image cannot be encoded: {reason}")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
    /// A size of zero, or above the limits [`crate::MAX_SIDE`] and [`crate::MAX_PIXELS`].
    #[error("an image of {width}x{height} pixels is outside the limits (sides of 1 to {max}): resize it first",
            max = crate::MAX_SIDE)]
    Size {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// The pixel buffer does not fit the size.
    #[error("{found} bytes of pixels given where {width}x{height} RGB pixels take {expected}")]
    Pixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that the size asks for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A clip cannot be made from what was given.
    #[error("the clip cannot be made: {reason}")]
    Clip {
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// A parameter of an edit is outside its range.
    #[error("edit {edit}: {reason}")]
    Parameter {
        /// The edit's name.
        edit: &'static str,
        /// What is wrong and the range allowed.
        reason: String,
    },
    /// A clip that was brought along could not give a frame.
    #[error("no frame at {time:.3} s: {source}")]
    Frame {
        /// The time asked for, in seconds.
        time: f64,
        /// The clip's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
