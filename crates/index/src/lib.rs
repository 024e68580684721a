//! Stores of records: the embedded one on the disk, and remote ones (a folder, Redis, S3 and R2, Cloudflare KV).
//!
//! The record itself, ids and bodies are in `vidsieve-record`.

#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "remote")]
pub mod retry;
#[cfg(feature = "embedded")]
pub mod store;
#[cfg(feature = "remote")]
pub mod tls;

#[cfg(feature = "embedded")]
pub use store::{Index, IndexError};
