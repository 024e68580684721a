//! Bodies of HTTP requests that are no records: frames, region vectors, and what is to be compared again.
//!
//! All are little-endian and read where they lie; each is checked against its own length before anything is allocated.

use crate::record::MAX_FRAMES;

/// The first bytes of a body with frames.
pub const FRAMES_MAGIC: [u8; 8] = *b"VSFRAMES";
/// The first bytes of a body with region vectors.
pub const REGIONS_MAGIC: [u8; 8] = *b"VSREGION";
/// The media type of [`Frames`].
pub const FRAMES_TYPE: &str = "application/vnd.vidsieve.frames";
/// The media type of [`Regions`].
pub const REGIONS_TYPE: &str = "application/vnd.vidsieve.regions";
/// The media type of a record.
pub const RECORD_TYPE: &str = "application/vnd.vidsieve.record";
/// The media type of a re-ranking request.
pub const RERANK_TYPE: &str = "application/vnd.vidsieve.rerank";
/// Largest side of a frame in pixels.
pub const MAX_SIDE: usize = 4096;

/// A body that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It starts otherwise.
    #[error("the body does not start with {0:?}")]
    Magic(&'static str),
    /// Shorter or longer than its header tells.
    #[error("the body has {found} bytes where its header tells {expected}")]
    Length {
        /// Bytes that the header tells.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A size out of range.
    #[error("the body's {field} is {found}, must be {expected}")]
    Size {
        /// What is wrong.
        field: &'static str,
        /// What it is.
        found: u64,
        /// What it must be.
        expected: &'static str,
    },
    /// A number that is none, or time stamps that run backwards.
    #[error("the body's {0} are not finite or not in order")]
    Values(&'static str),
}

/// Decoded frames: magic, u32 count, u32 width, u32 height, u32 0, f64 duration, count x f64 seconds, count x height x width x RGB.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames<'a> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Length of the video in seconds.
    pub duration: f64,
    /// When each frame is shown, in seconds.
    pub times: Vec<f64>,
    /// 8-bit RGB, frame after frame, rows from the top.
    pub pixels: &'a [u8],
}

/// Region vectors: magic, u32 frames, u32 regions, u32 values, u32 0, f64 duration, frames x f64 seconds, f32 values `[T][R][D]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Regions {
    /// T, R and D.
    pub shape: [usize; 3],
    /// Length of the video in seconds.
    pub duration: f64,
    /// When each frame is shown, in seconds.
    pub times: Vec<f64>,
    /// `[T][R][D]`.
    pub values: Vec<f32>,
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, |b| u64::from(u32::from_le_bytes(b)))
}

fn f64s(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
}

/// Magic, three sizes, a duration and time stamps; what follows them.
struct Head<'a> {
    sizes: [usize; 3],
    duration: f64,
    times: Vec<f64>,
    rest: &'a [u8],
}

/// Bytes before the time stamps.
const HEAD: usize = 32;

fn head<'a>(
    bytes: &'a [u8],
    magic: (&[u8; 8], &'static str),
    limits: [(&'static str, u64, &'static str); 3],
    unit: u64,
) -> Result<Head<'a>, WireError> {
    if bytes.len() < HEAD || bytes[..8] != *magic.0 {
        return Err(WireError::Magic(magic.1));
    }
    let sizes = [u32_at(bytes, 8), u32_at(bytes, 12), u32_at(bytes, 16)];
    for (found, (field, most, expected)) in sizes.into_iter().zip(limits) {
        if found == 0 || found > most {
            return Err(WireError::Size { field, found, expected });
        }
    }
    // At most 10^6 * 2^12 * 2^16 * 8: far below 2^64.
    let expected = HEAD as u64 + sizes[0] * 8 + sizes[0] * sizes[1] * sizes[2] * unit;
    let found = bytes.len() as u64;
    if found != expected || u32_at(bytes, 20) != 0 {
        return Err(WireError::Length { expected, found });
    }
    // The lengths agree, so all of it is in memory and fits usize.
    #[allow(clippy::cast_possible_truncation)]
    let sizes = sizes.map(|s| s as usize);
    let (stamps, rest) = bytes[HEAD..].split_at(8 * sizes[0]);
    let (duration, times) = (f64s(&bytes[24..32])[0], f64s(stamps));
    let ordered = times.iter().all(|t| t.is_finite() && *t >= 0.0) && times.is_sorted();
    if !(ordered && duration.is_finite() && times.last().is_some_and(|last| duration >= *last)) {
        return Err(WireError::Values("time stamps"));
    }
    Ok(Head { sizes, duration, times, rest })
}

impl<'a> Frames<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let side = MAX_SIDE as u64;
        let limits = [
            ("number of frames", MAX_FRAMES as u64, "1 to 1,000,000"),
            ("width", side, "1 to 4096"),
            ("height", side, "1 to 4096"),
        ];
        let Head { sizes: [_, width, height], duration, times, rest } =
            head(bytes, (&FRAMES_MAGIC, "VSFRAMES"), limits, 3)?;
        Ok(Self { width, height, duration, times, pixels: rest })
    }
}

impl Regions {
    /// Reads a body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let limits = [
            ("number of frames", MAX_FRAMES as u64, "1 to 1,000,000"),
            ("number of regions", 4096, "1 to 4096"),
            ("number of values", 65_536, "1 to 65,536"),
        ];
        let Head { sizes, duration, times, rest } = head(bytes, (&REGIONS_MAGIC, "VSREGION"), limits, 4)?;
        let values: Vec<f32> = rest.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(WireError::Values("region vectors"));
        }
        Ok(Self { shape: sizes, duration, times, values })
    }
}

/// A re-ranking request: u32 bytes of JSON, the JSON, the query's record. Gives the JSON and the record's bytes.
///
/// # Errors
/// [`WireError::Length`] for a body that is shorter than it tells.
pub fn split_rerank(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let found = bytes.len() as u64;
    let length = if bytes.len() < 4 { u64::MAX } else { u32_at(bytes, 0) };
    let expected = length.saturating_add(4);
    if expected > found {
        return Err(WireError::Length { expected, found });
    }
    // It is no longer than the body.
    #[allow(clippy::cast_possible_truncation)]
    Ok(bytes[4..].split_at(length as usize))
}

/// The body that [`split_rerank`] reads.
#[must_use]
pub fn join_rerank(json: &[u8], record: &[u8]) -> Vec<u8> {
    // JSON of a thousand ids is far below 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    let length = (json.len() as u32).to_le_bytes();
    [&length, json, record].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn body(magic: &[u8; 8], sizes: [u32; 3], duration: f64, times: &[f64], rest: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_vec();
        sizes.iter().for_each(|s| bytes.extend(s.to_le_bytes()));
        bytes.extend([0; 4]);
        bytes.extend(duration.to_le_bytes());
        times.iter().for_each(|t| bytes.extend(t.to_le_bytes()));
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn frames() {
        let good = body(&FRAMES_MAGIC, [2, 3, 1], 1.5, &[0.0, 1.0], &[7; 18]);
        let frames = Frames::parse(&good).unwrap();
        assert_eq!((frames.width, frames.height, frames.duration), (3, 1, 1.5));
        assert_eq!((frames.times, frames.pixels), (vec![0.0, 1.0], &[7u8; 18][..]));
        for length in 0..good.len() {
            assert!(Frames::parse(&good[..length]).is_err());
        }
        for (sizes, times, duration) in [
            ([0, 3, 1], vec![], 1.5),
            ([2, 5000, 1], vec![0.0, 1.0], 1.5),
            ([2, 3, 1], vec![1.0, 0.0], 1.5),
            ([2, 3, 1], vec![0.0, f64::NAN], 1.5),
            ([2, 3, 1], vec![0.0, 1.0], 0.5),
            ([2, 3, 1], vec![-1.0, 1.0], 1.5),
        ] {
            let bad = body(&FRAMES_MAGIC, sizes, duration, &times, &[7; 18]);
            assert!(Frames::parse(&bad).is_err(), "{sizes:?} {times:?} {duration}");
        }
        assert_eq!(Regions::parse(&good), Err(WireError::Magic("VSREGION")));
    }

    #[test]
    fn regions() {
        let values: Vec<u8> = [0.5f32, -1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let good = body(&REGIONS_MAGIC, [1, 2, 1], 0.0, &[0.0], &values);
        assert_eq!(Regions::parse(&good).unwrap().values, [0.5, -1.0]);
        let nan: Vec<u8> = [0.5f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(
            Regions::parse(&body(&REGIONS_MAGIC, [1, 2, 1], 0.0, &[0.0], &nan)),
            Err(WireError::Values("region vectors"))
        );
    }

    #[test]
    fn rerank() {
        let joined = join_rerank(b"{}", b"record");
        assert_eq!(split_rerank(&joined).unwrap(), (&b"{}"[..], &b"record"[..]));
        assert!(split_rerank(&joined[..3]).is_err());
        assert!(split_rerank(&[255; 8]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..3) {
            if bytes.len() >= 8 && kind > 0 {
                bytes[..8].copy_from_slice(if kind == 1 { &FRAMES_MAGIC } else { &REGIONS_MAGIC });
            }
            let _ = Frames::parse(&bytes);
            let _ = Regions::parse(&bytes);
            let _ = split_rerank(&bytes);
        }
    }
}
