//! What is answered where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, MatchedPath, Path, Request, State as Shared};
use axum::http::uri::Uri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::services::ServeDir;
use vidsieve_api::access::{self, HEALTH, MEDIA, is_own, media_type};
use vidsieve_api::encode::{self, Kind};
use vidsieve_api::videos::{self, Listed, Listing, etag};
use vidsieve_api::{Candidates, ListOptions, OPENAPI, Problem, Reranked, Scope};
use vidsieve_index::store::{Put, Source};
use vidsieve_record::wire;
use vidsieve_search::Query;
use vidsieve_search::session::BATCH;

use crate::ServeError;
use crate::log;
use crate::metrics::{Answer, Route};
use crate::search;
use crate::state::{Caller, State, kib};

/// The status that is counted for a request whose client went away before there was an answer.
const GONE: u16 = 499;
/// Where nothing of the API is: also a web application has nothing there.
const UNKNOWN: &str = "/v1/{*rest}";
/// What may load into a page that this server sends: itself alone.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; \
                   img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; font-src 'self'; \
                   manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) type Answered = Result<Response, Problem>;

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Result<Router, ServeError> {
    let limits = middleware::from_fn_with_state(state.clone(), limit);
    let mut router = Router::new()
        .route("/v1/search", post(search::answer))
        .route("/v1/rerank", post(rerank))
        .route("/v1/encode", post(encode))
        .route("/v1/videos", get(list))
        .route("/v1/videos/{id}", get(read).put(put).delete(remove))
        .route("/v1/model", get(model))
        .route("/v1/model/bundle", get(bundle))
        .route(HEALTH, get(health))
        .route("/v1/openapi.json", get(openapi))
        .route("/metrics", get(metrics));
    if state.config.media.is_some() {
        router = router.route(MEDIA, get(media));
    }
    router = router
        .layer(limits)
        .method_not_allowed_fallback(|| async { Problem::method() })
        .route("/v1", any(unknown))
        .route("/v1/", any(unknown))
        .route(UNKNOWN, any(unknown));
    router = match &state.config.www {
        Some(www) => router.fallback_service(ServeDir::new(www)),
        None => router.fallback(unknown),
    };
    if !state.config.cors.is_empty() {
        router = router.layer(cors(&state.config.cors)?);
    }
    if state.config.tokens.is_empty() {
        router = router.layer(middleware::from_fn(own_names));
    }
    let observed = middleware::from_fn_with_state(state.clone(), observe);
    Ok(router.layer(observed).with_state(state))
}

fn cors(origins: &[String]) -> Result<CorsLayer, ServeError> {
    let allowed = if origins.iter().any(|o| o == "*") {
        AllowOrigin::any()
    } else {
        let values = origins.iter().map(|o| {
            HeaderValue::from_str(o).ok().filter(|_| access::is_origin(o)).ok_or_else(|| ServeError::Origin(o.clone()))
        });
        AllowOrigin::list(values.collect::<Result<Vec<_>, _>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(access::CORS_METHODS.iter().filter_map(|m| m.parse::<Method>().ok()).collect::<Vec<_>>())
        .allow_headers(access::CORS_HEADERS.map(HeaderName::from_static))
        .expose_headers(access::CORS_EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(access::CORS_SECONDS.into())))
}

/// Who asks: the name of a token; nothing for none.
#[derive(Debug, Clone)]
struct Who(Option<String>);

/// A request under way: counted and logged when this goes, also when the client went away before there was an answer.
struct UnderWay {
    state: Arc<State>,
    start: Instant,
    labels: Route,
    status: u16,
    who: Option<String>,
}

impl UnderWay {
    fn new(state: Arc<State>, labels: Route) -> Self {
        state.metrics.in_flight.inc();
        Self { state, start: Instant::now(), labels, status: GONE, who: None }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let metrics = &self.state.metrics;
        metrics.in_flight.dec();
        let seconds = self.start.elapsed().as_secs_f64();
        metrics.seconds.get_or_create(&self.labels).observe(seconds);
        let (route, method, status) = (self.labels.route.clone(), self.labels.method, self.status);
        metrics.requests.get_or_create(&Answer { route, method, status }).inc();
        let (route, token) = (self.labels.route.as_str(), self.who.as_deref().unwrap_or("-"));
        tracing::info!(method, route, status, ms = seconds * 1000.0, token, "request");
    }
}

/// The method as it is counted.
fn method_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Counts, times and logs a request; adds the headers that every answer has.
async fn observe(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let in_page = matched.is_none() && state.config.www.is_some();
    let route = matched.filter(|path| !matches!(*path, "/v1" | "/v1/" | UNKNOWN)).unwrap_or("other").to_owned();
    let labels = Route { route, method: method_of(request.method()) };
    let mut under_way = UnderWay::new(state, labels);
    let mut response = next.run(request).await;
    under_way.status = response.status().as_u16();
    under_way.who = response.extensions_mut().remove::<Who>().and_then(|w| w.0);
    drop(under_way);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if in_page {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    response
}

/// Whether a request names no other machine than this. Only what is no browser names none.
fn names_own(request: &Request) -> bool {
    request.headers().get_all(header::HOST).iter().all(|host| is_own(host.as_bytes()))
        && request.uri().authority().is_none_or(|authority| is_own(authority.as_str().as_bytes()))
}

/// Without tokens whoever can send a request may do anything. A page of elsewhere whose name leads here (DNS rebinding) can
/// send one, but browsers tell the name.
async fn own_names(request: Request, next: Next) -> Response {
    if names_own(&request) { next.run(request).await } else { Problem::host().into_response() }
}

/// The address that a request counts for. Whoever has an IPv6 address has a whole network of them.
fn address_of(request: &Request) -> IpAddr {
    match request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// The value of a header that is text.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a request may go on by its token and by how many there were: the name of its token.
fn admitted(state: &State, request: &Request) -> Result<Option<String>, Problem> {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if route == HEALTH {
        return Ok(None);
    }
    let method = request.method().as_str();
    let (address, scope) = (address_of(request), access::scope_of(method, route));
    let mut who = None;
    if let Some(scope) = scope
        && !state.config.tokens.is_empty()
    {
        let bearer = text(request.headers(), header::AUTHORIZATION).and_then(access::bearer);
        let open = state.config.open_search && access::is_opened(method, route);
        // A wrong token is told even where none is needed.
        if bearer.is_some() || !open {
            if let Some(wait) = state.shut_out(address) {
                return Err(Problem::too_many(wait));
            }
            match bearer.and_then(|token| state.config.tokens.check(token, scope)) {
                Some((name, true)) => who = Some(name.to_owned()),
                refused => {
                    state.count_refusal(address).map_err(Problem::too_many)?;
                    return Err(match refused {
                        Some(_) => Problem::forbidden(scope.name()),
                        None => Problem::unauthorized(),
                    });
                }
            }
        }
    }
    let caller = who.clone().map_or(Caller::Address(address), Caller::Token);
    state.count(&caller).map_err(Problem::too_many)?;
    if state.config.read_only && scope == Some(Scope::Write) {
        return Err(Problem::read_only());
    }
    Ok(who)
}

/// Tokens and rates, before anything of the body is read.
async fn limit(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let who = match admitted(&state, &request) {
        Ok(who) => who,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Who(who));
    response
}

/// A body within the limits of size and time, and its share of the memory for bodies, which is taken before it is read.
pub(crate) async fn body_of(state: &State, request: Request) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let (limit, patience) = (state.config.body_limit, state.config.patience);
    let body = request.into_body();
    let told = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if told.is_some_and(|told| told > limit) {
        dropped(body.into_data_stream(), limit).await;
        return Err(Problem::too_large(limit));
    }
    let share = state.bodies.clone().acquire_many_owned(kib(told.unwrap_or(limit)));
    let Ok(Ok(share)) = tokio::time::timeout(patience, share).await else { return Err(Problem::busy()) };
    match tokio::time::timeout(patience, whole(body, told.unwrap_or_default(), limit)).await {
        Ok(bytes) => Ok((bytes?, share)),
        Err(_) => Err(Problem::timeout()),
    }
}

/// All of a body, of which so many bytes are told.
async fn whole(body: Body, told: usize, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes: Vec<u8> = Vec::with_capacity(told);
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

/// Takes what is left of a body that is too long, as much again at most and not for long: a client that still writes when its connection
/// ends may never read why.
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

/// A place among those that compute.
pub(crate) async fn worker(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(state.config.patience, state.work.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy()),
    }
}

/// Runs what computes or reads the disk away from the threads that answer.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        // What a panic says may hold an id.
        log::internal(&if error.is_panic() { "its work panicked" } else { "its work was cancelled" })
    })
}

/// Held by whoever waits for work: what it shares tells the work when nobody does any more.
#[derive(Default)]
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs what computes for a request as soon as there is a place for it, and gives the share of its body back after it. It is
/// told when it may stop, because whoever asked has gone or the server ends.
async fn computing<T: Send + 'static>(
    state: &Arc<State>,
    share: OwnedSemaphorePermit,
    work: impl FnOnce(&State, &dyn Fn() -> bool) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = worker(state).await?;
    let waiting = Waiting::default();
    let (gone, state) = (waiting.0.clone(), state.clone());
    blocking(move || {
        let _held = (permit, share);
        work(&state, &|| gone.load(Ordering::Relaxed) || state.ending.load(Ordering::Relaxed))
    })
    .await?
}

/// What stands behind the `?`.
pub(crate) fn parameters(request: &Request) -> &str {
    request.uri().query().unwrap_or_default()
}

async fn rerank(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
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

async fn encode(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let kind = Kind::of(media_type(text(request.headers(), header::CONTENT_TYPE).unwrap_or_default()))?;
    if state.encoder.is_none() {
        return Err(encode::no_encoder());
    }
    let (body, share) = body_of(&state, request).await?;
    let record = computing(&state, share, move |state, stop| {
        encode::encode(state.encoder.as_ref().ok_or_else(encode::no_encoder)?, kind, &body, stop)
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, wire::RECORD_TYPE)], record).into_response())
}

async fn list(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
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

async fn read(
    Shared(state): Shared<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Answered {
    let id = id_of(path)?;
    let entry = blocking(move || state.index.get(&id)).await?.map_err(|e| log::index(&e))?;
    let entry = entry.ok_or_else(|| Problem::not_found("no video has this id"))?;
    let etag = etag(entry.record.checksum());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [(header::CONTENT_TYPE, wire::RECORD_TYPE.to_owned()), (header::ETAG, etag)];
    Ok((headers, entry.record.into_bytes()).into_response())
}

async fn put(
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
        let vector: Vec<f32> = record.global().collect();
        // The table is locked while the index is written, so that both see writes of one id in the same order.
        let mut table = state.table_mut();
        let put = state.index.put(&id, &record, &Source::default()).map_err(|e| log::index(&e))?;
        table.put(&id, &vector, record.self_similarity()).map_err(|e| log::internal(&e))?;
        state.counted(&table);
        Ok(put)
    })
    .await??;
    let put = match put {
        Put::Added => videos::Put::Added,
        Put::Replaced => videos::Put::Replaced,
        Put::Unchanged => videos::Put::Unchanged,
    };
    let status = StatusCode::from_u16(put.status()).unwrap_or_default();
    Ok((status, [(header::ETAG, etag)], Json(put.to_json())).into_response())
}

async fn remove(path: Result<Path<String>, PathRejection>, Shared(state): Shared<Arc<State>>) -> Answered {
    let id = id_of(path)?;
    let there = blocking(move || -> Result<bool, Problem> {
        let mut table = state.table_mut();
        let there = state.index.remove(&id).map_err(|e| log::index(&e))?;
        table.remove(&id);
        state.counted(&table);
        Ok(there)
    })
    .await??;
    if there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::not_found("no video has this id")) }
}

async fn model(Shared(state): Shared<Arc<State>>) -> Response {
    Json(&state.model).into_response()
}

async fn bundle(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let etag = format!("\"{}\"", state.index.bundle());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    // What needs a token is not kept for others.
    let shared = if state.config.tokens.is_empty() { "public" } else { "private" };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, format!("{shared}, max-age=3600")),
    ];
    (headers, state.bundle_bytes.clone()).into_response()
}

async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let videos = state.metrics.videos.get();
    Json(json!({ "status": "ok", "videos": videos, "version": env!("CARGO_PKG_VERSION") })).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.text()).into_response()
}

/// A file of the media folder; of hidden ones nothing is told.
async fn media(
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
    // What is no media runs no scripts in this server's name.
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    Ok(response)
}

async fn unknown() -> Problem {
    Problem::not_found("see /v1/openapi.json for what is here")
}
