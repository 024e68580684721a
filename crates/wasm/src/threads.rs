//! The pool of threads of an isolated page.

use std::collections::BTreeSet;
use std::sync::Barrier;

use wasm_bindgen::prelude::wasm_bindgen;
pub use wasm_bindgen_rayon::init_thread_pool;

/// Lets all threads of the pool meet, which they can only while they run at the same time; tells how many different ones they were.
/// Waits for ever if one does not run: called once [`init_thread_pool`] has been waited for, off the page's main thread.
#[wasm_bindgen]
#[must_use]
pub fn meet() -> usize {
    let barrier = Barrier::new(rayon::current_num_threads());
    let met = rayon::broadcast(|_| {
        barrier.wait();
        std::thread::current().id()
    });
    met.into_iter().map(|id| format!("{id:?}")).collect::<BTreeSet<_>>().len()
}
