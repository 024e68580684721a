//! Why bytes or parts are refused as a record.

use std::fmt;

use super::VERSION;
use crate::bundle::BundleId;

/// Why bytes are no record, or a record is not the one that is needed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Too short, or of another format.
    #[error("not a Vidsieve record: it does not start as one")]
    NotARecord,
    /// Another version.
    #[error("a record of version {version}; this Vidsieve reads version {VERSION}: {remedy}", version = .0, remedy = remedy(*.0))]
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

/// Returns what to do about a record of another version.
const fn remedy(version: u16) -> &'static str {
    if version < VERSION { "index the video again" } else { "use a newer Vidsieve, or index the video again" }
}

pub(super) fn value(field: &'static str, found: impl fmt::Display, expected: &'static str) -> RecordError {
    RecordError::Value { field, found: found.to_string(), expected }
}
