//! Bodies of requests, within the limits of size, time and memory.

use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use vidsieve_api::Problem;

use crate::pace::time_of;
use crate::state::{State, kib};

/// Bytes of memory that a body takes at once: one that comes slowly holds no more than has come of it.
const STEP: usize = 256 << 10;

/// A body that is read, and its share of the memory for bodies.
struct Reading<'a> {
    state: &'a State,
    share: Option<OwnedSemaphorePermit>,
    /// Bytes that the share is for.
    paid: usize,
    bytes: Vec<u8>,
}

impl Reading<'_> {
    /// Appends a chunk, for which memory is waited for.
    async fn push(&mut self, chunk: &[u8], limit: usize) -> Result<(), Problem> {
        let length = self.bytes.len() + chunk.len();
        if length > self.paid {
            let paid = length.max(self.paid.saturating_add(STEP)).min(limit.max(length));
            let more = self.state.bodies.clone().acquire_many_owned(kib(paid - self.paid));
            let Ok(Ok(more)) = tokio::time::timeout(self.state.config.patience, more).await else {
                return Err(Problem::busy());
            };
            match &mut self.share {
                Some(share) => share.merge(more),
                None => self.share = Some(more),
            }
            self.paid = paid;
            self.bytes.reserve_exact(paid - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Reads a body within the limits of size and time. Memory for it is taken as it comes.
pub(crate) async fn body_of(state: &State, request: Request) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let limit = state.config.body_limit;
    let body = request.into_body();
    let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > limit) {
        dropped(body.into_data_stream(), limit).await;
        return Err(Problem::too_large(limit));
    }
    let mut reading = Reading { state, share: None, paid: 0, bytes: Vec::new() };
    whole(&mut reading, body, limit).await?;
    let share = match reading.share {
        Some(share) => share,
        // Of nothing: there always is.
        None => state.bodies.clone().acquire_many_owned(0).await.map_err(|_| Problem::busy())?,
    };
    Ok((Bytes::from(reading.bytes), share))
}

/// Reads a whole body, which must come at [`SLOWEST`](crate::pace::SLOWEST) after the time for its beginning.
async fn whole(reading: &mut Reading<'_>, body: Body, limit: usize) -> Result<(), Problem> {
    let mut chunks = body.into_data_stream();
    // Waiting for memory is not the client's.
    let mut waited = Duration::ZERO;
    loop {
        let left = (reading.state.config.patience + time_of(reading.bytes.len() as u64)).saturating_sub(waited);
        let start = Instant::now();
        let Ok(chunk) = tokio::time::timeout(left, chunks.next()).await else { return Err(Problem::timeout()) };
        waited += start.elapsed();
        let Some(chunk) = chunk else { return Ok(()) };
        let chunk = chunk.map_err(|_| Problem::bad_request("the body is cut off, or its chunks are damaged"))?;
        if chunk.len() > limit - reading.bytes.len() {
            reading.bytes = Vec::new();
            reading.share = None;
            dropped(chunks, limit).await;
            return Err(Problem::too_large(limit));
        }
        reading.push(&chunk, limit).await?;
    }
}

/// Reads what is left of a request's body, some of it and not for long, so that its client reads the answer.
pub(crate) async fn drained(request: Request) {
    /// Bytes of it at most.
    const MOST: usize = 1 << 20;
    dropped(request.into_body().into_data_stream(), MOST).await;
}

/// Reads the rest of a body that is too long, as much again at most and not for long: a client that
/// still writes when its connection ends may never read why.
async fn dropped(mut chunks: BodyDataStream, limit: usize) {
    /// Longest time for it.
    const LINGER: Duration = Duration::from_secs(2);
    let rest = async {
        let mut left = limit;
        while let Some(Ok(chunk)) = chunks.next().await {
            left = match left.checked_sub(chunk.len()) {
                Some(left) => left,
                None => break,
            };
        }
    };
    // Where it takes longer the connection ends.
    let _ = tokio::time::timeout(LINGER, rest).await;
}
