//! What the edge Workers share: configuration, admission, the bundle, records in KV, answers. `docs/edge.md` has the bindings and
//! variables. Nothing that computes is here: networks and searches are those of the native command.

#![cfg(target_arch = "wasm32")]

mod bundle;
mod config;
mod error;
mod gate;
mod records;
mod reply;
mod time;

pub use bundle::{Networks, networks};
pub use config::{flag, number, text};
pub use error::EdgeError;
pub use gate::{Gate, INTERNAL_HOST};
pub use records::{Records, key};
pub use reply::{Exchange, body_of, bytes_of, json, problem, raw, with_body};
pub use time::{now, within};

/// Bytes of this instance's memory: of WebAssembly it is what the isolate holds beside JavaScript's heap, and it never shrinks.
#[must_use]
pub fn memory() -> usize {
    core::arch::wasm32::memory_size(0) << 16
}
