//! Endpoints of the HTTP API: searching them and publishing an index to them. `docs/http.md` describes the API.

use std::future::Future;
use std::io;

pub use vidsieve_client::*;

/// Runs a future of this module to its end on this thread, for programs without an asynchronous runtime.
///
/// # Errors
/// The system's error if the runtime cannot be started.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
