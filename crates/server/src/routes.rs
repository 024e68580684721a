//! The router: which handler answers a route, and the layers around them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post, put};
use axum::{Json, Router};
use serde_json::json;
use tower_http::cors::{AllowOrigin, CorsLayer};
use vidsieve_api::admission::is_origin;
use vidsieve_api::route::{CORS_EXPOSED, CORS_HEADERS, CORS_METHODS, CORS_SECONDS};
use vidsieve_api::videos::matches;
use vidsieve_api::{OPENAPI, Problem, Route};

use crate::config::ServeError;
use crate::metrics::Readings;
use crate::ready::readiness;
use crate::request::text;
use crate::state::State;
use crate::{admission, compute, dedupe, files, observe, search, videos};

/// Paths of the API that are no routes: a web application has none of them.
const UNKNOWN: [&str; 3] = ["/v1", "/v1/", "/v1/{*rest}"];

/// The handlers of a route.
fn handlers(route: Route) -> MethodRouter<Arc<State>> {
    match route {
        Route::Search => post(search::answer),
        Route::Rerank => post(compute::rerank),
        Route::Encode => post(compute::encode),
        Route::Videos => get(videos::list),
        Route::Video => get(videos::read).put(videos::put).delete(videos::remove),
        Route::Dedupe => post(dedupe::find),
        Route::DedupePlan => post(dedupe::plan),
        Route::Decisions => put(dedupe::decide),
        Route::Model => get(model),
        Route::Bundle => get(bundle),
        Route::Health => get(health),
        Route::Ready => get(ready),
        Route::OpenApi => get(openapi),
        Route::Metrics => get(metrics),
        Route::Media => get(files::media),
    }
}

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Result<Router, ServeError> {
    let mut router = Router::new();
    let media = state.config.media.is_some().then_some(Route::Media);
    for route in Route::DOCUMENTED.into_iter().chain(media) {
        router = router.route(route.template(), handlers(route));
    }
    router = router
        .layer(middleware::from_fn_with_state(state.clone(), admission::admit))
        .method_not_allowed_fallback(method_not_allowed);
    for path in UNKNOWN {
        router = router.route(path, any(unknown));
    }
    router = match state.config.www.is_some() {
        true => router.fallback(files::page),
        false => router.fallback(unknown),
    };
    if !state.config.cors.is_empty() {
        router = router.layer(cors(&state.config.cors)?);
    }
    router = router.layer(middleware::from_fn_with_state(state.clone(), admission::check_names));
    let observed = middleware::from_fn_with_state(state.clone(), observe::observe);
    Ok(router.layer(observed).with_state(state))
}

fn cors(origins: &[String]) -> Result<CorsLayer, ServeError> {
    let allowed = if origins.iter().any(|o| o == "*") {
        AllowOrigin::any()
    } else {
        let values = origins.iter().map(|o| {
            HeaderValue::from_str(o).ok().filter(|_| is_origin(o)).ok_or_else(|| ServeError::Origin(o.clone()))
        });
        AllowOrigin::list(values.collect::<Result<Vec<_>, _>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(CORS_METHODS.iter().filter_map(|m| m.parse::<Method>().ok()).collect::<Vec<_>>())
        .allow_headers(CORS_HEADERS.map(HeaderName::from_static))
        .expose_headers(CORS_EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(CORS_SECONDS.into())))
}

async fn method_not_allowed(path: Option<MatchedPath>) -> Problem {
    let route = path.as_ref().and_then(|path| Route::of_template(path.as_str()));
    route.map_or_else(Problem::unknown_route, |route| Problem::method(route.methods()))
}

async fn model(Shared(state): Shared<Arc<State>>) -> Response {
    Json(&state.model).into_response()
}

async fn bundle(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let etag = format!("\"{}\"", state.index.bundle());
    if text(&headers, header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    // What needs a token is not kept for others.
    let shared = if state.gate.admission.is_public() { "public" } else { "private" };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, format!("{shared}, max-age=3600")),
    ];
    (headers, state.bundle_bytes.clone()).into_response()
}

/// That the server answers, in any case and soon; whether it can do its work tells `status`, and [`ready`] more.
async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    /// Longest look at what works.
    const LOOK: Duration = Duration::from_millis(500);
    let looked = tokio::time::timeout(LOOK, readiness(&state)).await;
    let status = looked.map_or("degraded", |readiness| readiness.health());
    let videos = state.metrics.videos.get();
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({ "status": status, "videos": videos, "version": version, "dedupe": true })).into_response()
}

async fn ready(Shared(state): Shared<Arc<State>>) -> Response {
    let readiness = readiness(&state).await;
    let status = StatusCode::from_u16(readiness.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, Json(readiness)).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (connections, spare) = state.places.counts();
    let ready = readiness(&state).await.is_ready();
    let (index_bytes, room) = (state.index.file_bytes().ok(), state.index.room());
    let readings = Readings { connections, spare, index_bytes, room, ready };
    ([(header::CONTENT_TYPE, kind)], state.metrics.text(readings)).into_response()
}

async fn unknown() -> Problem {
    Problem::unknown_route()
}
