//! The record of a video: S^c's vectors, the selector's scalar, S^f_B's codes, and what is known of
//! the sampled frames.
//!
//! Little-endian, every part at a multiple of its size, readable where it lies; `docs/format.md`
//! has the bytes. A record is accepted as a whole or refused with the reason: it ends in nothing,
//! holds no number that is not finite, and a checksum covers all of it.

mod error;
mod shape;
#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::Xxh3Default;

use crate::bundle::BundleId;
use crate::window::{PlacedWindow, WindowVector};

pub use self::error::RecordError;
use self::error::value;
pub use self::shape::Shape;

/// The first bytes of a record.
pub const MAGIC: [u8; 8] = *b"VIDSIEVE";
/// The version that this code writes, and the only one that it reads.
pub const VERSION: u16 = 2;
/// Bytes before the vector.
pub const HEADER: usize = 128;
/// Most frames: eleven days at one a second.
pub const MAX_FRAMES: usize = 1_000_000;
/// Most regions of a frame.
pub const MAX_REGIONS: usize = 4096;
/// Most bits of a region.
pub const MAX_BITS: usize = 4096;
/// Most values of the vector.
pub const MAX_DIMS: usize = 65_536;
/// Most bytes of a record: 1 GiB.
pub const MAX_BYTES: usize = 1 << 30;

/// Where the checksum lies in the header.
pub const CHECKSUM: std::ops::Range<usize> = 80..88;
/// Bytes of the header that are used; the rest is 0.
const USED: usize = 92;
/// Bytes of a window beside its vector.
const WINDOW_HEAD: usize = 12;

/// What a record is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts<'a> {
    /// The bundle that encoded the video.
    pub bundle: BundleId,
    /// Length of the video in seconds, not before its last frame.
    pub duration: f64,
    /// The selector's scalar.
    pub self_similarity: f32,
    /// S^c's vector, of unit length.
    pub global: &'a [f32],
    /// When the frames are shown, in seconds, not decreasing; kept to the millisecond.
    pub times: &'a [f64],
    /// How much each frame shows: 0 of one that says nothing (black, flat, faded out), 255 of one
    /// that is fully informative.
    pub weights: &'a [u8],
    /// S^c's vectors of parts of the video, by their first frame.
    pub windows: &'a [WindowVector],
    /// R.
    pub regions: usize,
    /// L.
    pub bits: usize,
    /// Codes `[T][R][L/8]`; bit k of byte j is dimension 8j+k.
    pub codes: &'a [u8],
}

/// A record that was checked: an owned one, or a view of bytes that lie elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<B: AsRef<[u8]>> {
    bytes: B,
    shape: Shape,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The checksum that belongs into a record: XXH3 of everything but the checksum itself
/// ([`CHECKSUM`]).
///
/// # Panics
/// For fewer bytes than the checksum's end.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&bytes[..CHECKSUM.start]);
    hash.update(&bytes[CHECKSUM.end..]);
    hash.digest()
}

impl Record<Vec<u8>> {
    /// The record of a video.
    ///
    /// # Errors
    /// [`RecordError::Value`] for parts that contradict one another or are out of range.
    pub fn new(parts: &Parts<'_>) -> Result<Self, RecordError> {
        let Parts { bundle, duration, self_similarity, global, times, weights, windows, regions, bits, codes } = *parts;
        let shape = Shape { frames: times.len(), regions, bits, dims: global.len(), windows: windows.len() };
        shape.check()?;
        if codes.len() as u64 != shape.codes_len() {
            return Err(value("codes' length", codes.len(), "frames x regions x bits / 8"));
        }
        if weights.len() != times.len() {
            return Err(value("number of weights", weights.len(), "the number of frames"));
        }
        if let Some(window) = windows.iter().find(|w| w.values.len() != global.len()) {
            return Err(value("window's vector's length", window.values.len(), "that of the video's vector"));
        }
        let size = usize::try_from(shape.total()).map_err(|_| value("size", shape.total(), "at most 1 GiB"))?;
        let mut bytes = Vec::with_capacity(size);
        // All of these were checked to fit.
        #[allow(clippy::cast_possible_truncation)]
        {
            bytes.extend(MAGIC);
            bytes.extend(VERSION.to_le_bytes());
            bytes.extend((HEADER as u16).to_le_bytes());
            bytes.extend((shape.frames as u32).to_le_bytes());
            bytes.extend(bundle.0);
            bytes.extend((regions as u32).to_le_bytes());
            bytes.extend((bits as u32).to_le_bytes());
            bytes.extend((shape.dims as u32).to_le_bytes());
            bytes.extend(self_similarity.to_le_bytes());
            bytes.extend(duration.to_le_bytes());
            bytes.extend(shape.total().to_le_bytes());
            bytes.resize(CHECKSUM.end, 0);
            bytes.extend((shape.windows as u32).to_le_bytes());
            bytes.resize(HEADER, 0);
        }
        global.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        for &time in times {
            let ms = (time * 1000.0).round();
            if !(0.0..=f64::from(u32::MAX)).contains(&ms) {
                return Err(value("time stamp", time, "0 s or more"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            bytes.extend((ms as u32).to_le_bytes());
        }
        for window in windows {
            bytes.extend(window.first.to_le_bytes());
            bytes.extend(window.last.to_le_bytes());
            bytes.extend(window.scale.to_le_bytes());
        }
        bytes.extend_from_slice(weights);
        bytes.extend(windows.iter().flat_map(|w| &w.values).flat_map(|v| v.to_le_bytes()));
        bytes.resize(shape.padding().end, 0);
        bytes.extend_from_slice(codes);
        let sum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        let record = Self { bytes, shape };
        record.check_values()?;
        Ok(record)
    }
}

impl<B: AsRef<[u8]>> Record<B> {
    /// Checks bytes and takes them for a record.
    ///
    /// # Errors
    /// [`RecordError`] with what is wrong.
    pub fn parse(bytes: B) -> Result<Self, RecordError> {
        let b = bytes.as_ref();
        // Records of all versions start with these.
        if b.len() < 12 || b[..8] != MAGIC {
            return Err(RecordError::NotARecord);
        }
        if u16_at(b, 8) != VERSION {
            return Err(RecordError::Version(u16_at(b, 8)));
        }
        if b.len() < HEADER {
            return Err(RecordError::Length { expected: HEADER as u64, found: b.len() as u64 });
        }
        if usize::from(u16_at(b, 10)) != HEADER {
            return Err(value("header's length", u16_at(b, 10), "128"));
        }
        let size = |at| u32_at(b, at) as usize;
        let shape =
            Shape { frames: size(12), regions: size(48), bits: size(52), dims: size(56), windows: size(CHECKSUM.end) };
        shape.check()?;
        let found = b.len() as u64;
        if u64_at(b, 72) != shape.total() || found != shape.total() {
            return Err(RecordError::Length { expected: shape.total(), found });
        }
        if u64_at(b, CHECKSUM.start) != checksum(b) {
            return Err(RecordError::Checksum);
        }
        let record = Self { bytes, shape };
        record.check_values()?;
        Ok(record)
    }

    /// What holds in a record whatever its checksum.
    fn check_values(&self) -> Result<(), RecordError> {
        let b = self.bytes.as_ref();
        if b[USED..HEADER].iter().chain(&b[self.shape.padding()]).any(|v| *v != 0) {
            return Err(value("reserved part", "not empty", "zeros"));
        }
        if !self.self_similarity().is_finite() {
            return Err(value("self-similarity", self.self_similarity(), "finite"));
        }
        let length = self.global().map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if length.is_nan() || (length - 1.0).abs() > 1e-3 {
            return Err(value("vector's norm", length, "1"));
        }
        let mut last = 0.0;
        for time in self.times() {
            if time < last {
                return Err(value("time stamp", time, "not before the one in front of it"));
            }
            last = time;
        }
        // Time stamps are rounded to the millisecond.
        if !(self.duration().is_finite() && self.duration() >= last - 0.001) {
            return Err(value("duration", self.duration(), "not before its last frame"));
        }
        self.check_windows()
    }

    fn check_windows(&self) -> Result<(), RecordError> {
        let mut before = (0, 0);
        for window in self.windows() {
            let (first, last) = (window.first, window.last);
            if first > last || last as usize >= self.shape.frames {
                let found = format!("{first} to {last}");
                return Err(value("window", found, "from a frame to the same or a later one of the video"));
            }
            if first < before.0 || last < before.1 {
                return Err(value("window", format!("{first} to {last}"), "not before the one in front of it"));
            }
            before = (first, last);
            let length = window.norm();
            if length.is_nan() || (length - 1.0).abs() > 1e-3 {
                return Err(value("window's vector's norm", length, "1"));
            }
        }
        Ok(())
    }

    /// The bundle that made it.
    #[must_use]
    pub fn bundle(&self) -> BundleId {
        let mut id = [0; 32];
        id.copy_from_slice(&self.bytes.as_ref()[16..48]);
        BundleId(id)
    }

    /// Sizes of the record: frames, regions, bits, dimensions.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Length of the video in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        f64::from_bits(u64_at(self.bytes.as_ref(), 64))
    }

    /// The selector's scalar.
    #[must_use]
    pub fn self_similarity(&self) -> f32 {
        f32::from_bits(u32_at(self.bytes.as_ref(), 60))
    }

    /// The checksum: XXH3 of all other bytes.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        u64_at(self.bytes.as_ref(), CHECKSUM.start)
    }

    /// S^c's vector.
    pub fn global(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        let bytes = &self.bytes.as_ref()[self.shape.global()];
        bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
    }

    /// When the frames are shown, in seconds.
    pub fn times(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let bytes = &self.bytes.as_ref()[self.shape.times()];
        bytes.as_chunks::<4>().0.iter().map(|b| f64::from(u32::from_le_bytes(*b)) / 1000.0)
    }

    /// How much each frame shows: 0 of one that says nothing, 255 of one that is fully informative;
    /// T bytes.
    #[must_use]
    pub fn weights(&self) -> &[u8] {
        &self.bytes.as_ref()[self.shape.weights()]
    }

    /// Whether any frame says anything: a video of which this is false has no answer and is none.
    #[must_use]
    pub fn is_informative(&self) -> bool {
        self.weights().iter().any(|w| *w > 0)
    }

    /// S^c's vectors of parts of the video, by their first frame. A video of at most 16 informative
    /// frames has none: its one window is the video.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = WindowVector> + '_ {
        let b = self.bytes.as_ref();
        let (heads, dims) = (self.shape.heads().start, self.shape.dims);
        (0..self.shape.windows).map(move |w| {
            let (head, vector) = (heads + WINDOW_HEAD * w, self.shape.vectors() + dims * w);
            WindowVector {
                first: u32_at(b, head),
                last: u32_at(b, head + 4),
                scale: f32::from_bits(u32_at(b, head + 8)),
                values: b[vector..vector + dims].iter().map(|v| i8::from_le_bytes([*v])).collect(),
            }
        })
    }

    /// [`Record::windows`] with the seconds that they show: from the first frame to the one after the last.
    pub fn placed_windows(&self) -> impl ExactSizeIterator<Item = PlacedWindow> + '_ {
        let times: Vec<f64> = self.times().collect();
        self.windows().map(move |window| {
            let at = |frame: u32| usize::try_from(frame).ok().and_then(|frame| times.get(frame)).copied();
            let start = at(window.first).unwrap_or(0.0);
            let end = at(window.last.saturating_add(1)).unwrap_or_else(|| self.duration()).max(start);
            // Seconds of a video are far below what f32 counts.
            #[allow(clippy::cast_possible_truncation)]
            let seconds = [start as f32, end as f32];
            PlacedWindow::new(window, seconds)
        })
    }

    /// Codes `[T][R][L/8]`.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.bytes.as_ref()[self.shape.padding().end..]
    }

    /// Refuses a record of another bundle.
    ///
    /// # Errors
    /// [`RecordError::Bundle`], which names both.
    pub fn expect(&self, bundle: &BundleId) -> Result<(), RecordError> {
        let found = self.bundle();
        if found == *bundle { Ok(()) } else { Err(RecordError::Bundle { expected: *bundle, found }) }
    }

    /// The record's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// Borrows the record.
    #[must_use]
    pub fn view(&self) -> Record<&[u8]> {
        Record { bytes: self.bytes.as_ref(), shape: self.shape }
    }
}
