//! A stand-in for the interface of Cloudflare KV, by its documentation: what `push` uses of it, its limits, its refusals. The real
//! service was not asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "kv-token";
const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 25 << 20;
const MAX_METADATA: usize = 1024;
/// Every so many requests one is refused for its rate.
const RATE: u32 = 25;

#[derive(Default)]
pub(crate) struct Namespace {
    values: Mutex<HashMap<String, Vec<u8>>>,
    requests: AtomicU32,
    /// Requests that were refused for their rate.
    pub(crate) refused: AtomicU32,
}

fn done(result: Value) -> Response {
    Json(json!({ "success": true, "errors": [], "messages": [], "result": result })).into_response()
}

fn failed(status: StatusCode, code: u32, message: &str) -> Response {
    let errors = json!([{ "code": code, "message": message }]);
    (status, Json(json!({ "success": false, "errors": errors, "messages": [], "result": null }))).into_response()
}

/// The parts of a multipart body by name.
fn parts(headers: &HeaderMap, body: &[u8]) -> Option<HashMap<String, Vec<u8>>> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let boundary = format!("--{}", kind.strip_prefix("multipart/form-data; boundary=")?.trim_matches('"'));
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    let mut rest = body;
    let mut parts = HashMap::new();
    loop {
        rest = &rest[find(rest, boundary.as_bytes())? + boundary.len()..];
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        let end = find(rest, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let name = head.split("name=\"").nth(1)?.split('"').next()?.to_owned();
        rest = &rest[end + 4..];
        let length = find(rest, format!("\r\n{boundary}").as_bytes())?;
        parts.insert(name, rest[..length].to_vec());
    }
}

type Shared = State<Arc<Namespace>>;

async fn read(State(store): Shared, Path((_, _, key)): Path<(String, String, String)>) -> Response {
    match store.values.lock().unwrap().get(&key) {
        Some(value) => value.clone().into_response(),
        None => failed(StatusCode::NOT_FOUND, 10009, "get: 'key not found'"),
    }
}

async fn write(
    State(store): Shared,
    Path((_, _, key)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(mut parts) = parts(&headers, &body) else {
        return failed(StatusCode::BAD_REQUEST, 10001, "the body is no form");
    };
    let Some(value) = parts.remove("value") else {
        return failed(StatusCode::BAD_REQUEST, 10001, "there is no value");
    };
    let metadata = parts.remove("metadata").unwrap_or_default();
    if key.len() > MAX_KEY || value.len() > MAX_VALUE || metadata.len() > MAX_METADATA {
        return failed(StatusCode::PAYLOAD_TOO_LARGE, 10033, "too large");
    }
    store.values.lock().unwrap().insert(key, value);
    done(json!({}))
}

async fn delete(State(store): Shared, Json(keys): Json<Vec<String>>) -> Response {
    let mut values = store.values.lock().unwrap();
    keys.iter().for_each(|key| drop(values.remove(key)));
    done(json!({ "successful_key_count": keys.len(), "unsuccessful_keys": [] }))
}

async fn admitted(State(store): Shared, request: Request, next: Next) -> Response {
    let bearer = request.headers().get(header::AUTHORIZATION).map(|v| v.as_bytes().to_vec());
    if bearer.as_deref() != Some(format!("Bearer {TOKEN}").as_bytes()) {
        return failed(StatusCode::FORBIDDEN, 10000, "Authentication error");
    }
    if store.requests.fetch_add(1, Ordering::SeqCst) % RATE == RATE - 1 {
        store.refused.fetch_add(1, Ordering::SeqCst);
        let refusal =
            failed(StatusCode::TOO_MANY_REQUESTS, 971, "Please wait and consider throttling your request speed");
        return ([(header::RETRY_AFTER, "0")], refusal).into_response();
    }
    next.run(request).await
}

/// Starts it; the namespace and the address of the interface. Keys are one segment of an address.
pub(crate) async fn start() -> (Arc<Namespace>, String) {
    let store = Arc::new(Namespace::default());
    let namespace = "/client/v4/accounts/{account}/storage/kv/namespaces/{namespace}";
    let router = Router::new()
        .route(&format!("{namespace}/values/{{key}}"), get(read).put(write))
        .route(&format!("{namespace}/bulk/delete"), post(delete))
        .layer(DefaultBodyLimit::max(2 * MAX_VALUE))
        .layer(middleware::from_fn_with_state(store.clone(), admitted))
        .with_state(store.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (store, format!("http://{address}/client/v4"))
}
