//! Work on other threads than those that answer: a limited number at once, stopped when it is of no
//! use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use vidsieve_api::Problem;

use crate::log;
use crate::state::State;

/// Waits for a place among those that compute.
pub(crate) async fn worker(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    let start = Instant::now();
    let waited = worker_in_time(state).await;
    state.metrics.queue_wait.observe(start.elapsed().as_secs_f64());
    waited
}

async fn worker_in_time(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(state.config.patience, state.work.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy()),
    }
}

/// Waits for the place of those that work on all videos of the index.
pub(crate) async fn whole_index(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(state.config.patience, state.whole.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy()),
    }
}

/// Computes or reads the disk away from the threads that answer.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        // What a panic says may hold an id.
        log::internal(&if error.is_panic() { "its work panicked" } else { "its work was cancelled" })
    })
}

/// Cancellation guard: dropping it signals that the client has gone.
#[derive(Default)]
struct ClientGuard(Arc<AtomicBool>);

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Computes for a request as soon as there is a place for it, and gives the share of its body back
/// afterwards. `work` gets a function that returns true when the client has gone or the server
/// ends.
pub(crate) async fn computing<T: Send + 'static>(
    state: &Arc<State>,
    share: OwnedSemaphorePermit,
    work: impl FnOnce(&State, &dyn Fn() -> bool) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = worker(state).await?;
    let guard = ClientGuard::default();
    let (gone, state) = (guard.0.clone(), state.clone());
    blocking(move || {
        let _held = (permit, share);
        work(&state, &|| gone.load(Ordering::Relaxed) || state.ending.load(Ordering::Relaxed))
    })
    .await?
}
