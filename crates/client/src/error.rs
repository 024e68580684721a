//! Why an endpoint cannot be used.

use vidsieve_index::store::IndexError;
use vidsieve_record::BundleId;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A text that names no endpoint.
    #[error("{address:?} is no endpoint: {reason}; write https://videos.example.org")]
    Address {
        /// The text, without a password.
        address: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A token that cannot be sent.
    #[error("the token is empty or has characters that a header cannot carry")]
    TokenText,
    /// A token would travel readable.
    #[error("{0}: a token is sent to other machines over https alone")]
    Plain(String),
    /// No answer.
    #[error("{address}: no answer ({tries} tries): {reason}")]
    Unreachable {
        /// The endpoint.
        address: String,
        /// Requests that were made.
        tries: u32,
        /// What the system says.
        reason: String,
    },
    /// It is busy or fails, again and again.
    #[error("{address}: status {status} after {tries} tries: {detail}")]
    Busy {
        /// The endpoint.
        address: String,
        /// The last status.
        status: u16,
        /// Requests that were made.
        tries: u32,
        /// What it says.
        detail: String,
    },
    /// The token is not known there, lacks a scope, or there is none.
    #[error("{address}: the token is refused ({status}): {detail}; publishing needs the scopes search and write")]
    Token {
        /// The endpoint.
        address: String,
        /// 401 or 403.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// It answers something else than Vidsieve does.
    #[error("{address}: {what}: {detail}; is this a Vidsieve endpoint?")]
    Answer {
        /// The endpoint.
        address: String,
        /// What was asked for.
        what: &'static str,
        /// What came.
        detail: String,
    },
    /// It refuses one video, or one request.
    #[error("status {status}: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// Its disk is full: no video can be added.
    #[error("{address}: the disk there is full: {detail}")]
    Full {
        /// The endpoint.
        address: String,
        /// What it says.
        detail: String,
    },
    /// It has the records of another bundle.
    #[error(
        "{address}: answers for bundle {}, not {}: deploy the index's bundle there, or index the videos with the other one",
        found.short(),
        expected.short()
    )]
    Bundle {
        /// The endpoint.
        address: String,
        /// The index's.
        expected: BundleId,
        /// The endpoint's.
        found: BundleId,
    },
    /// An id that no address can hold.
    #[error("{0:?} cannot be named in an address; rename the video")]
    Id(String),
    /// The index that is published cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Stopped.
    #[error("stopped; the same command continues where it was")]
    Cancelled,
}
