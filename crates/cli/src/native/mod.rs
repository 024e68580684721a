//! What the commands and the server share: bundles, and files to encoded videos.

#[cfg(feature = "remote")]
pub(crate) mod costs;
pub(crate) mod encode;
pub(crate) mod heatmap;
pub(crate) mod interrupt;
#[cfg(all(feature = "eval", feature = "remote"))]
pub(crate) mod load;
pub(crate) mod store;
#[cfg(feature = "eval")]
pub(crate) mod synthetic;
pub(crate) mod terminal;

use std::path::Path;

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;

use crate::output::{Failure, read};

/// The bundle that this project trains; it is part of the program, so that nobody has to look for weights.
static DEFAULT_BUNDLE: &[u8] = include_bytes!("../../../../models/default.safetensors");

/// The bundle of a file, or without one the built-in bundle.
pub(crate) fn bundle(path: Option<&Path>) -> Result<Bundle, Failure> {
    let (name, bytes) = match path {
        Some(path) => (path.display().to_string(), read(path)?),
        None => ("the built-in bundle".to_owned(), DEFAULT_BUNDLE.to_vec()),
    };
    Ok(Bundle::from_bytes(&name, bytes)?)
}

/// The instruction set to compute with: the best, or what `VIDSIEVE_ISA` names.
pub(crate) fn isa() -> Result<Isa, Failure> {
    match std::env::var("VIDSIEVE_ISA") {
        Ok(name) => Isa::by_name(&name)
            .ok_or_else(|| Failure::new(format_args!("VIDSIEVE_ISA: this machine has no instruction set {name:?}"))),
        Err(_) => Ok(Isa::best()),
    }
}
