//! The bindings of a page, of Node and of a Worker: what JavaScript calls, and nothing that
//! computes. Networks are in `vidsieve-model`, searching in `vidsieve-search`, the record in
//! `vidsieve-record`.
//!
//! Errors are `Error` objects of JavaScript with a stable `code` ([`error::EngineErrorCode`]). The
//! module is built with `panic = "abort"`: a panic is reported on the console and ends the
//! instance, which its host then replaces.

#[cfg(feature = "bench")]
mod bench;
mod copies;
#[cfg(feature = "encoder")]
mod encoder;
mod engine;
pub mod error;
mod search;
mod table;
#[cfg(feature = "threads")]
mod threads;
#[cfg(all(test, feature = "typescript"))]
mod typescript;

#[cfg(feature = "bench")]
pub use bench::Backbone;
pub use copies::Duplicates;
#[cfg(feature = "encoder")]
pub use encoder::{Encoder, Session};
pub use engine::{Engine, Model, inspect};
pub use search::Search;
pub use table::Table;
#[cfg(feature = "threads")]
pub use threads::{init_thread_pool, meet};

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Runs when the module is instantiated: what a panic says goes to the console.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| console_error(&format!("vidsieve: {info}"))));
}

/// Whether a text can be the id of a video.
#[wasm_bindgen(js_name = isId)]
#[must_use]
pub fn is_id(text: &str) -> bool {
    vidsieve_record::id::is_id(text)
}

/// The instruction set of this build: `simd128` or `relaxed-simd`.
#[wasm_bindgen(js_name = instructionSet)]
#[must_use]
pub fn instruction_set() -> String {
    vidsieve_kernels::Isa::best().to_string()
}
