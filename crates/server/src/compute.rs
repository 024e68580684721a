//! `POST /v1/rerank` and `POST /v1/encode`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::IntoResponse as _;
use vidsieve_api::encode::{self, EncodeInput, media_type};
use vidsieve_api::{Candidates, Problem, Reranked};
use vidsieve_record::wire;
use vidsieve_search::Query;
use vidsieve_search::session::BATCH;

use crate::body::body_of;
use crate::request::{Answered, text};
use crate::state::State;
use crate::work::computing;

pub(crate) async fn rerank(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let (body, share) = body_of(&state, request).await?;
    let (candidates, record) = Candidates::parse(&body)?;
    let query = state.model.query(record)?;
    drop(body);
    let end = candidates.within().map(|within| Instant::now() + within);
    let answer = computing(&state, share, move |state, stop| reranked(state, &query, &candidates, end, stop)).await?;
    Ok(Json(answer).into_response())
}

fn reranked(
    state: &State,
    query: &Query,
    candidates: &Candidates,
    end: Option<Instant>,
    stop: &dyn Fn() -> bool,
) -> Result<Reranked, Problem> {
    let mut answer = Reranked::default();
    for (ids, batch) in candidates.ids.chunks(BATCH).zip(0..) {
        if stop() {
            return Err(Problem::busy());
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            answer.leave(candidates, batch * BATCH);
            break;
        }
        answer.compare(&state.engine, query, candidates, batch * BATCH, state.fetch(ids));
    }
    state.count_pairs(answer.pairs.len(), answer.missing.len());
    Ok(answer)
}

pub(crate) async fn encode(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let input = EncodeInput::of(media_type(text(request.headers(), header::CONTENT_TYPE).unwrap_or_default()))?;
    if state.encoder.is_none() {
        return Err(encode::no_encoder());
    }
    let (body, share) = body_of(&state, request).await?;
    let record = computing(&state, share, move |state, stop| {
        encode::encode(state.encoder.as_ref().ok_or_else(encode::no_encoder)?, input, &body, stop)
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, wire::RECORD_TYPE)], record).into_response())
}
