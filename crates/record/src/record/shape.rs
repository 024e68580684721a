//! Sizes of a record, and where its parts lie.

use std::ops::Range;

use super::error::{RecordError, value};
use super::{HEADER, MAX_BITS, MAX_BYTES, MAX_DIMS, MAX_FRAMES, MAX_REGIONS, WINDOW_HEAD};

/// Sizes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// T: sampled frames.
    pub frames: usize,
    /// R: regions of a frame.
    pub regions: usize,
    /// L: bits of a region.
    pub bits: usize,
    /// D: values of S^c's vector, and of each window's.
    pub dims: usize,
    /// W: windows, at most T.
    pub windows: usize,
}

impl Shape {
    pub(super) fn check(self) -> Result<(), RecordError> {
        if !(1..=MAX_FRAMES).contains(&self.frames) {
            return Err(value("number of frames", self.frames, "1 to 1,000,000"));
        }
        if !(1..=MAX_REGIONS).contains(&self.regions) {
            return Err(value("number of regions", self.regions, "1 to 4096"));
        }
        if !(8..=MAX_BITS).contains(&self.bits) || !self.bits.is_multiple_of(8) {
            return Err(value("number of bits", self.bits, "a multiple of 8 up to 4096"));
        }
        if !(1..=MAX_DIMS).contains(&self.dims) {
            return Err(value("vector's length", self.dims, "1 to 65,536"));
        }
        if self.windows > self.frames {
            return Err(value("number of windows", self.windows, "at most the number of frames"));
        }
        if self.total() > MAX_BYTES as u64 {
            return Err(value("size", self.total(), "at most 1 GiB"));
        }
        Ok(())
    }

    /// Where S^c's vector lies in a record, f32.
    #[must_use]
    pub const fn global(self) -> Range<usize> {
        HEADER..HEADER + 4 * self.dims
    }

    /// Where the frames' times lie in a record, u32 milliseconds.
    #[must_use]
    pub const fn times(self) -> Range<usize> {
        let start = self.global().end;
        start..start + 4 * self.frames
    }

    /// First frame, last frame and scale of each window.
    pub(super) const fn heads(self) -> Range<usize> {
        let start = self.times().end;
        start..start + WINDOW_HEAD * self.windows
    }

    /// Where the frames' weights lie in a record, a byte each.
    #[must_use]
    pub const fn weights(self) -> Range<usize> {
        let start = self.heads().end;
        start..start + self.frames
    }

    /// Where the windows' vectors start, a byte a value.
    pub(super) const fn vectors(self) -> usize {
        self.weights().end
    }

    /// Where the windows' vectors end. At most 10^6 * 2^16 past 20 MB, so u64 on machines of 32
    /// bits.
    const fn vectors_end(self) -> u64 {
        self.vectors() as u64 + self.windows as u64 * self.dims as u64
    }

    /// Where the codes start: after the windows' vectors, at a multiple of 16.
    const fn codes_start(self) -> u64 {
        self.vectors_end().next_multiple_of(16)
    }

    /// Bytes of the codes.
    pub(super) const fn codes_len(self) -> u64 {
        self.frames as u64 * self.regions as u64 * (self.bits as u64 / 8)
    }

    /// Bytes of the record.
    pub(super) const fn total(self) -> u64 {
        self.codes_start() + self.codes_len()
    }

    /// The zeros between the windows' vectors and the codes, of a shape that was
    /// [checked](Self::check).
    // At most 1 GiB.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) const fn padding(self) -> Range<usize> {
        self.vectors_end() as usize..self.codes_start() as usize
    }
}
