//! The record of a video: S^c's vector, the selector's scalar and S^f_B's codes, with the times of the sampled frames.
//!
//! Little-endian, every part at a multiple of its size, readable where it lies; `docs/format.md` has the bytes. A record is
//! accepted as a whole or refused with the reason: it ends in nothing, holds no number that is not finite, and a checksum
//! covers all of it.

use std::fmt;

use xxhash_rust::xxh3::Xxh3Default;

use crate::bundle::BundleId;

/// The first bytes of a record.
pub const MAGIC: [u8; 8] = *b"VIDSIEVE";
/// The version that this code writes, and the only one that it reads.
pub const VERSION: u16 = 1;
/// Bytes before the vector.
pub const HEADER: usize = 96;
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

/// Why bytes are no record, or a record is not the one that is needed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Too short, or of another format.
    #[error("not a Vidsieve record: it does not start as one")]
    NotARecord,
    /// Another version.
    #[error("a record of version {0}; this Vidsieve reads version {VERSION}")]
    Version(u16),
    /// The bytes are fewer or more than the header tells.
    #[error(
        "the record is {found} bytes where its header tells {expected}: it is cut short or has something behind it"
    )]
    Length {
        /// Bytes that the header tells.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("the record is damaged: its checksum does not match")]
    Checksum,
    /// A value out of its range.
    #[error("the record's {field} is {found}, must be {expected}")]
    Value {
        /// What is wrong.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Made by another bundle.
    #[error(
        "the record was made by bundle {}, here it is {}: encode the video again, or use that bundle",
        found.short(),
        expected.short()
    )]
    Bundle {
        /// The bundle in use.
        expected: BundleId,
        /// The record's.
        found: BundleId,
    },
}

fn value(field: &'static str, found: impl fmt::Display, expected: &'static str) -> RecordError {
    RecordError::Value { field, found: found.to_string(), expected }
}

/// Sizes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// T: sampled frames.
    pub frames: usize,
    /// R: regions of a frame.
    pub regions: usize,
    /// L: bits of a region.
    pub bits: usize,
    /// Values of S^c's vector.
    pub dims: usize,
}

impl Shape {
    fn check(self) -> Result<(), RecordError> {
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
        if self.total() > MAX_BYTES as u64 {
            return Err(value("size", self.total(), "at most 1 GiB"));
        }
        Ok(())
    }

    fn times(self) -> usize {
        HEADER + 4 * self.dims
    }

    /// Where the codes start: after the time stamps, at a multiple of 16.
    fn codes(self) -> usize {
        (self.times() + 4 * self.frames).next_multiple_of(16)
    }

    fn total(self) -> u64 {
        self.codes() as u64 + self.frames as u64 * self.regions as u64 * (self.bits as u64 / 8)
    }
}

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

/// The checksum that belongs into a record: XXH3 of everything but the checksum itself ([`CHECKSUM`]).
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
        let Parts { bundle, duration, self_similarity, global, times, regions, bits, codes } = *parts;
        let shape = Shape { frames: times.len(), regions, bits, dims: global.len() };
        shape.check()?;
        if codes.len() as u64 != shape.total() - shape.codes() as u64 {
            return Err(value("codes' length", codes.len(), "frames x regions x bits / 8"));
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
        bytes.resize(shape.codes(), 0);
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
        if b.len() < HEADER || b[..8] != MAGIC {
            return Err(RecordError::NotARecord);
        }
        if u16_at(b, 8) != VERSION {
            return Err(RecordError::Version(u16_at(b, 8)));
        }
        if usize::from(u16_at(b, 10)) != HEADER {
            return Err(value("header's length", u16_at(b, 10), "96"));
        }
        let size = |at| u32_at(b, at) as usize;
        let shape = Shape { frames: size(12), regions: size(48), bits: size(52), dims: size(56) };
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
        let padding = &b[self.shape.times() + 4 * self.shape.frames..self.shape.codes()];
        if b[CHECKSUM.end..HEADER].iter().chain(padding).any(|v| *v != 0) {
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
        Ok(())
    }

    /// The bundle that made it.
    #[must_use]
    pub fn bundle(&self) -> BundleId {
        let mut id = [0; 32];
        id.copy_from_slice(&self.bytes.as_ref()[16..48]);
        BundleId(id)
    }

    /// Its sizes.
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
        let bytes = &self.bytes.as_ref()[HEADER..self.shape.times()];
        bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
    }

    /// When the frames are shown, in seconds.
    pub fn times(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let start = self.shape.times();
        let bytes = &self.bytes.as_ref()[start..start + 4 * self.shape.frames];
        bytes.as_chunks::<4>().0.iter().map(|b| f64::from(u32::from_le_bytes(*b)) / 1000.0)
    }

    /// Codes `[T][R][L/8]`.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.bytes.as_ref()[self.shape.codes()..]
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

    /// The same record where it lies.
    #[must_use]
    pub fn view(&self) -> Record<&[u8]> {
        Record { bytes: self.bytes.as_ref(), shape: self.shape }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The record that `docs/format.md` shows.
    const EXAMPLE: &str = include_str!("../tests/record.hex");

    fn example() -> Record<Vec<u8>> {
        let mut bundle = [0; 32];
        bundle.iter_mut().zip(0..).for_each(|(b, i)| *b = i);
        Record::new(&Parts {
            bundle: BundleId(bundle),
            duration: 2.5,
            self_similarity: 0.75,
            global: &[0.6, -0.8],
            times: &[0.0, 1.0, 2.0],
            regions: 2,
            bits: 16,
            codes: &[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c],
        })
        .unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        let lines = bytes.chunks(16).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    #[test]
    fn the_documented_bytes() {
        assert_eq!(hex(example().as_bytes()), EXAMPLE);
        let bytes: Vec<u8> = EXAMPLE.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
        let record = Record::parse(bytes.as_slice()).unwrap();
        assert_eq!(record.shape(), Shape { frames: 3, regions: 2, bits: 16, dims: 2 });
        assert_eq!(record.global().collect::<Vec<_>>(), [0.6, -0.8]);
        assert_eq!(record.times().collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        assert_eq!((record.duration(), record.self_similarity()), (2.5, 0.75));
        assert_eq!(record.codes(), (1..=12).collect::<Vec<u8>>());
        assert_eq!(record.codes().as_ptr() as usize % 16, record.as_bytes().as_ptr() as usize % 16);
        assert_eq!(record.bundle().short(), "000102030405");
        assert_eq!(record.bundle().to_string().parse::<BundleId>().unwrap(), record.bundle());
        assert!(record.expect(&record.bundle()).is_ok());
        let error = record.expect(&BundleId([9; 32])).unwrap_err().to_string();
        assert!(error.contains("000102030405") && error.contains("090909090909"), "{error}");
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = example().into_bytes();
        for length in 0..good.len() {
            assert!(Record::parse(&good[..length]).is_err(), "cut to {length}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(matches!(Record::parse(longer), Err(RecordError::Length { .. })));
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::parse(bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn versions_to_come_are_refused_by_name() {
        let mut bytes = example().into_bytes();
        bytes[8] = 2;
        assert_eq!(Record::parse(bytes).unwrap_err(), RecordError::Version(2));
        assert_eq!(Record::parse(vec![0; 200]).unwrap_err(), RecordError::NotARecord);
    }

    /// What a checksum cannot tell: a record with a right one and wrong values.
    #[test]
    fn values_are_checked() {
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = example().into_bytes();
            change(&mut bytes);
            let sum = checksum(&bytes);
            bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
            Record::parse(bytes).map(|_| ()).map_err(|e| e.to_string())
        };
        assert!(with(&|_| ()).is_ok());
        let nan = f32::NAN.to_le_bytes();
        for (change, word) in [
            (&(|b: &mut Vec<u8>| b[60..64].copy_from_slice(&nan)) as &dyn Fn(&mut Vec<u8>), "self-similarity"),
            (&|b| b[96..100].copy_from_slice(&nan), "norm"),
            (&|b| b[96..100].copy_from_slice(&5f32.to_le_bytes()), "norm"),
            (&|b| b[104..108].copy_from_slice(&9000u32.to_le_bytes()), "time stamp"),
            (&|b| b[64..72].copy_from_slice(&f64::INFINITY.to_le_bytes()), "duration"),
            (&|b| b[64..72].copy_from_slice(&1f64.to_le_bytes()), "duration"),
            (&|b| b[90] = 1, "reserved"),
            (&|b| b[116] = 1, "reserved"),
            (&|b| b[12..16].copy_from_slice(&0u32.to_le_bytes()), "frames"),
            (&|b| b[48..52].copy_from_slice(&u32::MAX.to_le_bytes()), "regions"),
            (&|b| b[52..56].copy_from_slice(&12u32.to_le_bytes()), "bits"),
            (&|b| b[56..60].copy_from_slice(&u32::MAX.to_le_bytes()), "vector"),
        ] {
            let error = with(change).unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn parts_are_checked() {
        let good = example();
        let (global, times): (Vec<f32>, Vec<f64>) = (good.global().collect(), good.times().collect());
        let parts = Parts {
            bundle: good.bundle(),
            duration: 2.5,
            self_similarity: 0.75,
            global: &global,
            times: &times,
            regions: 2,
            bits: 16,
            codes: good.codes(),
        };
        assert!(Record::new(&parts).is_ok());
        assert!(Record::new(&Parts { codes: &[0; 11], ..parts }).is_err());
        assert!(Record::new(&Parts { times: &[0.0, 2.0, 1.0], ..parts }).is_err());
        assert!(Record::new(&Parts { times: &[0.0, 1.0, -2.0], ..parts }).is_err());
        assert!(Record::new(&Parts { times: &[0.0, 1.0, f64::NAN], ..parts }).is_err());
        assert!(Record::new(&Parts { global: &[0.6, -0.9], ..parts }).is_err());
        assert!(Record::new(&Parts { global: &[], ..parts }).is_err());
        assert!(Record::new(&Parts { duration: 1.0, ..parts }).is_err());
        assert!(Record::new(&Parts { times: &[], codes: &[], ..parts }).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(
            angles in proptest::collection::vec(-3.0f32..3.0, 1..20),
            gaps in proptest::collection::vec(0u32..5000, 1..40),
            regions in 1usize..12,
            bytes in 1usize..9,
            seed in any::<u64>(),
        ) {
            let norm = angles.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-3);
            prop_assume!(norm > 1e-2);
            let global: Vec<f32> = angles.iter().map(|v| v / norm).collect();
            let times: Vec<f64> = gaps.iter().scan(0u32, |t, g| { *t += g; Some(f64::from(*t) / 1000.0) }).collect();
            let n = times.len() * regions * bytes;
            let codes: Vec<u8> = (0..n as u64).map(|i| (i.wrapping_mul(seed | 1) >> 32) as u8).collect();
            let last = times[times.len() - 1];
            let parts = Parts {
                bundle: BundleId([5; 32]),
                duration: last + 0.25,
                self_similarity: -1.5,
                global: &global,
                times: &times,
                regions,
                bits: 8 * bytes,
                codes: &codes,
            };
            let record = Record::new(&parts).unwrap();
            let read = Record::parse(record.as_bytes()).unwrap();
            prop_assert_eq!(read.global().collect::<Vec<_>>(), global);
            prop_assert_eq!(read.times().collect::<Vec<_>>(), times);
            prop_assert_eq!(read.codes(), codes);
            prop_assert_eq!(read.duration(), last + 0.25);
            prop_assert_eq!(&record.view(), &read);
        }

        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), marked in any::<bool>()) {
            if marked && bytes.len() >= HEADER {
                bytes[..8].copy_from_slice(&MAGIC);
                bytes[8..12].copy_from_slice(&[1, 0, 96, 0]);
            }
            prop_assert!(Record::parse(bytes).is_err());
        }
    }
}
