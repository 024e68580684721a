//! `/v1/videos`: listing, reading, adding, replacing and removing.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use vidsieve_api::videos::{self, Listed, Listing, etag, matches};
use vidsieve_api::{ListOptions, Problem, PutResult};
use vidsieve_index::store::{Put, Source};
use vidsieve_record::wire;

use crate::body::body_of;
use crate::log;
use crate::request::{Answered, parameters, text};
use crate::state::State;
use crate::work::blocking;

pub(crate) async fn list(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let ListOptions { after, limit } = ListOptions::parse(parameters(&request))?;
    let page = blocking(move || state.index.page(after.as_deref(), limit)).await?.map_err(|e| log::index(&e))?;
    let videos = page.into_iter().map(|s| Listed {
        id: s.id,
        duration: s.duration,
        frames: s.frames,
        bytes: s.bytes,
        added: s.added,
        checksum: videos::checksum(s.checksum),
    });
    Ok(Json(Listing::new(videos.collect(), limit)).into_response())
}

fn id_of(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    videos::checked(path.ok().map(|Path(id)| id))
}

pub(crate) async fn read(
    Shared(state): Shared<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Answered {
    let id = id_of(path)?;
    let entry = blocking(move || state.index.get(&id)).await?.map_err(|e| log::index(&e))?;
    let entry = entry.ok_or_else(|| Problem::not_found("no video has this id"))?;
    let etag = etag(entry.record.checksum());
    if text(&headers, header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [(header::CONTENT_TYPE, wire::RECORD_TYPE.to_owned()), (header::ETAG, etag)];
    Ok((headers, entry.record.into_bytes()).into_response())
}

pub(crate) async fn put(
    Shared(state): Shared<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answered {
    let id = id_of(path)?;
    let (body, share) = body_of(&state, request).await?;
    let record = state.model.record(body)?;
    let etag = etag(record.checksum());
    let put = blocking(move || -> Result<Put, Problem> {
        let _held = share;
        // Searches go on while the index is written.
        let _order = state.writing();
        let put = state.index.put(&id, &record, &Source::default());
        state.faults.wrote(record.as_bytes().len() as u64, &put);
        let put = put.map_err(|e| log::index(&e))?;
        let mut table = state.table_mut();
        table.put_record(&id, &record).map_err(|e| log::internal(&e))?;
        state.counted(&table);
        Ok(put)
    })
    .await??;
    let put = match put {
        Put::Added => PutResult::Added,
        Put::Replaced => PutResult::Replaced,
        Put::Unchanged => PutResult::Unchanged,
    };
    let status = StatusCode::from_u16(put.status()).unwrap_or_default();
    Ok((status, [(header::ETAG, etag)], Json(put.to_json())).into_response())
}

pub(crate) async fn remove(path: Result<Path<String>, PathRejection>, Shared(state): Shared<Arc<State>>) -> Answered {
    let id = id_of(path)?;
    let there = blocking(move || -> Result<bool, Problem> {
        let _order = state.writing();
        let there = state.index.remove(&id);
        state.faults.wrote(0, &there);
        let there = there.map_err(|e| log::index(&e))?;
        let mut table = state.table_mut();
        table.remove(&id);
        state.counted(&table);
        Ok(there)
    })
    .await??;
    if there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::not_found("no video has this id")) }
}
