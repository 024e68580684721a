//! The default bundle of Vidsieve as a constant, so that programs need to find no file. `README.md` is its model card.
//!
//! This crate is internal to Vidsieve and may change with any version; programs use the crate `vidsieve`.
#![no_std]

/// The bundle: a safetensors file with the networks, as `docs/bundle.md` describes.
pub static BUNDLE: &[u8] = include_bytes!("../default.safetensors");
