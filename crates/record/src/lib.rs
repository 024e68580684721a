//! The data that the page, the edge and the native programs exchange about a video.
//!
//! | module | holds |
//! |---|---|
//! | the root | [`Record`]: vectors, scalar, frames and codes of one video; [`BundleId`]: which bundle made it |
//! | [`id`] | which texts can name a video |
//! | [`wire`] | the bodies of requests that are not records |
//! | `DrawnRecords` | records of random codes, for benchmarks (feature `drawn`) |
//! | [`shards`] | the names of an index's shards, and which shard holds a video |
//!
//! The crate does no input or output and builds for `wasm32-unknown-unknown`. It is internal to
//! Vidsieve: the promised surface is the crate `vidsieve`.

mod bundle;
#[cfg(feature = "drawn")]
mod drawn;
pub mod id;
mod record;
pub mod shards;
mod window;
pub mod wire;

pub use bundle::{BundleId, BundleIdError};
#[cfg(feature = "drawn")]
pub use drawn::DrawnRecords;
pub use record::{
    CHECKSUM, HEADER, MAGIC, MAX_BITS, MAX_BYTES, MAX_DIMS, MAX_FRAMES, MAX_REGIONS, Parts, Record, RecordError, Shape,
    VERSION, checksum,
};
pub use window::{PlacedWindow, WindowVector};
