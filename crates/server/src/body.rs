//! Bodies of requests, within the limits of size, time and memory.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use vidsieve_api::Problem;

use crate::state::{State, kib};

/// Reads a body within the limits of size and time. Its share of the memory for bodies is taken
/// first.
pub(crate) async fn body_of(state: &State, request: Request) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let (limit, patience) = (state.config.body_limit, state.config.patience);
    let body = request.into_body();
    let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > limit) {
        dropped(body.into_data_stream(), limit).await;
        return Err(Problem::too_large(limit));
    }
    let share = state.bodies.clone().acquire_many_owned(kib(announced.unwrap_or(limit)));
    let Ok(Ok(share)) = tokio::time::timeout(patience, share).await else { return Err(Problem::busy()) };
    match tokio::time::timeout(patience, whole(body, announced.unwrap_or_default(), limit)).await {
        Ok(bytes) => Ok((bytes?, share)),
        Err(_) => Err(Problem::timeout()),
    }
}

/// Reads a whole body; `announced`: its bytes by `Content-Length`.
async fn whole(body: Body, announced: usize, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes: Vec<u8> = Vec::with_capacity(announced);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the body is cut off, or its chunks are damaged"))?;
        if chunk.len() > limit - bytes.len() {
            drop(bytes);
            dropped(chunks, limit).await;
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(bytes))
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
