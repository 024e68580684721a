//! What is kept of a video.
//!
//! [`record`] is the format that the page, the edge and the native index share: it needs nothing of the networks and builds
//! for WebAssembly.

pub mod id;
pub mod record;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "remote")]
pub mod retry;
#[cfg(feature = "embedded")]
pub mod store;

pub mod shards;
pub mod wire;

pub use record::{BundleId, Record, RecordError};
#[cfg(feature = "embedded")]
pub use store::{Index, IndexError};
