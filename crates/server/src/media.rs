//! Files of the media folder.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use tower_http::services::ServeDir;
use vidsieve_api::Problem;

use crate::log;
use crate::request::Answered;
use crate::state::State;

/// Serves a file of the media folder; hidden ones are not found.
pub(crate) async fn serve(
    Shared(state): Shared<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    mut request: Request,
) -> Answered {
    let nothing = || Problem::not_found("there is no such file");
    let Ok(Path(path)) = path else { return Err(nothing()) };
    let inside = request.uri().path().strip_prefix("/media").and_then(|rest| rest.parse::<Uri>().ok());
    let (Some(folder), Some(inside)) = (&state.config.media, inside) else { return Err(nothing()) };
    if path.split(['/', '\\']).any(|part| part.starts_with('.')) {
        return Err(nothing());
    }
    *request.uri_mut() = inside;
    let answer = ServeDir::new(folder).append_index_html_on_directories(false).try_call(request).await;
    let mut response = answer.map_err(|e| log::internal(&e.kind()))?.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        return Err(nothing());
    }
    // A file that is no media runs no scripts with this server's origin.
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    Ok(response)
}
