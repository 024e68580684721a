//! Videos: listings, results of putting them, checksums, ids.

use serde::{Deserialize, Serialize};
use vidsieve_record::id::is_id;

use crate::problem::Problem;

/// One video of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Length in seconds.
    pub duration: f64,
    /// Sampled frames.
    pub frames: u32,
    /// Size of the record in bytes.
    pub bytes: u64,
    /// Time at which the video was added, in seconds since 1970.
    pub added: u64,
    /// Checksum of the record, 16 hexadecimal digits.
    pub checksum: String,
}

/// A page of the listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Listing {
    /// Videos, sorted by id.
    pub videos: Vec<Listed>,
    /// Cursor of the next page; absent if this may be the last.
    pub next: Option<String>,
}

impl Listing {
    /// The page of videos that were asked for with a limit.
    #[must_use]
    pub fn new(videos: Vec<Listed>, limit: usize) -> Self {
        let next = (videos.len() == limit).then(|| videos.last().map(|v| v.id.clone())).flatten();
        Self { videos, next }
    }
}

/// Result of a PUT of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum PutResult {
    /// The id was new.
    Added,
    /// The id had another record.
    Replaced,
    /// The id had this record already.
    Unchanged,
}

impl PutResult {
    /// HTTP status of the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Added => 201,
            Self::Replaced | Self::Unchanged => 200,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        serde_json::json!({ "result": self })
    }
}

/// A checksum as it is written.
#[must_use]
pub fn checksum(value: u64) -> String {
    format!("{value:016x}")
}

/// Reads what [`checksum`] writes.
#[must_use]
pub fn parse_checksum(text: &str) -> Option<u64> {
    (text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| u64::from_str_radix(text, 16).ok())?
}

/// The tag of a record of this checksum.
#[must_use]
pub fn etag(value: u64) -> String {
    format!("\"{}\"", checksum(value))
}

/// Whether an `If-None-Match` header names a tag, or every one.
#[must_use]
pub fn matches(header: &str, tag: &str) -> bool {
    // Tags of this API hold no commas. A weak comparison, as RFC 9110 wants it here.
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// An id that can be used.
///
/// # Errors
/// `bad-request`.
pub fn checked(id: Option<String>) -> Result<String, Problem> {
    id.filter(|id| is_id(id))
        .ok_or_else(|| Problem::bad_request("an id is 1 to 512 bytes of UTF-8 without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tag = etag(7);
        for header in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            assert!(matches(&header, &tag), "{header}");
        }
        for header in ["", "\"x\"", "0000000000000007"] {
            assert!(!matches(header, &tag), "{header}");
        }
    }

    #[test]
    fn checksums() {
        for value in [0, 1, u64::MAX] {
            assert_eq!(parse_checksum(&checksum(value)), Some(value));
        }
        for text in ["", "1", "00000000000000000", "+000000000000001", "zzzzzzzzzzzzzzzz"] {
            assert_eq!(parse_checksum(text), None, "{text}");
        }
    }
}
