//! What is answered where.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, MatchedPath, Path, Query as QueryString, Request, State as Shared};
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use ndarray::{ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::services::ServeDir;
use vidsieve_index::record::{Record, RecordError, Shape};
use vidsieve_index::store::{Put, Source, is_id};
use vidsieve_index::wire;
use vidsieve_model::encoder::{EncodeError, MAX_FRAMES, Part};
use vidsieve_model::frames::RgbFrame;
use vidsieve_search::segments::Timeline;
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, Engine, Hit, Outcome, Query, SearchError, Segment, Session, Table};

use crate::auth::Scope;
use crate::metrics::{Answer, Route};
use crate::problem::Problem;
use crate::state::{Caller, State, kib};
use crate::{OPENAPI, ServeError};

/// Most hits of a page.
const MAX_TOP: usize = 1000;
/// Most videos of a listing's page.
const MAX_LIST: usize = 1000;
/// Most candidates of a re-ranking request.
const MAX_CANDIDATES: usize = 1000;
/// Records that are in memory while segments are looked for.
const ALIGNED: usize = 32;
/// Frames of a batch of encoding: its memory does not grow with the body.
const FRAMES: usize = 8;
/// Frames of a batch of region vectors.
const REGIONS: usize = 64;
/// Pages of an answer at most: a client that does not read holds no worker.
const PAGES: usize = 2;
/// The status that is counted for a request whose client went away before there was an answer.
const GONE: u16 = 499;
const HEALTH: &str = "/v1/health";
const MEDIA: &str = "/media/{*path}";
/// Where nothing of the API is: also a web application has nothing there.
const UNKNOWN: &str = "/v1/{*rest}";
/// What may load into a page that this server sends: itself alone.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; \
                   img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; font-src 'self'; \
                   manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Answered = Result<Response, Problem>;

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Result<Router, ServeError> {
    let limits = middleware::from_fn_with_state(state.clone(), limit);
    let mut router = Router::new()
        .route("/v1/search", post(search))
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
            let known = o.starts_with("https://") || o.starts_with("http://");
            HeaderValue::from_str(o).ok().filter(|_| known).ok_or_else(|| ServeError::Origin(o.clone()))
        });
        AllowOrigin::list(values.collect::<Result<Vec<_>, _>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::ETAG, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3600)))
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

/// Whether an authority names this machine for itself.
fn is_own(authority: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(authority) else { return false };
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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

/// What a route needs.
fn scope_of(method: &Method, route: &str) -> Option<Scope> {
    match (method.as_str(), route) {
        (_, HEALTH | "/v1/openapi.json" | MEDIA) => None,
        ("PUT" | "DELETE", _) => Some(Scope::Write),
        _ => Some(Scope::Search),
    }
}

/// Whether an open search opens a route.
fn is_opened(method: &Method, route: &str) -> bool {
    matches!(
        (method.as_str(), route),
        ("POST", "/v1/search" | "/v1/encode") | ("GET" | "HEAD", "/v1/model" | "/v1/model/bundle")
    )
}

/// The address that a request counts for. Whoever has an IPv6 address has a whole network of them.
fn address_of(request: &Request) -> IpAddr {
    match request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a request may go on by its token and by how many there were: the name of its token.
fn admitted(state: &State, request: &Request) -> Result<Option<String>, Problem> {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if route == HEALTH {
        return Ok(None);
    }
    let (address, scope) = (address_of(request), scope_of(request.method(), route));
    let mut who = None;
    if let Some(scope) = scope
        && !state.config.tokens.is_empty()
    {
        let bearer = bearer(request.headers());
        let open = state.config.open_search && is_opened(request.method(), route);
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
async fn body_of(state: &State, request: Request) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let (limit, patience) = (state.config.body_limit, state.config.patience);
    let body = request.into_body();
    let told = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if told.is_some_and(|told| told > limit) {
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
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(bytes))
}

/// A place among those that compute.
async fn worker(state: &State) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(state.config.patience, state.work.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy()),
    }
}

/// Runs what computes or reads the disk away from the threads that answer.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        // What a panic says may hold an id.
        Problem::internal(&if error.is_panic() { "its work panicked" } else { "its work was cancelled" })
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

fn record_problem(error: &RecordError) -> Problem {
    match error {
        RecordError::Bundle { .. } => Problem::other_bundle(error.to_string()),
        _ => Problem::bad_body(error.to_string()),
    }
}

/// A record of this index's bundle and shape.
fn own_record(state: &State, body: Bytes) -> Result<Record<Bytes>, Problem> {
    let record = Record::parse(body).map_err(|e| record_problem(&e))?;
    record.expect(&state.index.bundle()).map_err(|e| record_problem(&e))?;
    let Shape { regions, bits, dims, .. } = record.shape();
    if state.shape.is_some_and(|shape| shape != (regions, bits)) || state.dims.is_some_and(|d| d != dims) {
        let detail = format!("{regions} regions of {bits} bits and {dims} values do not fit the bundle");
        return Err(Problem::bad_body(detail));
    }
    Ok(record)
}

/// The video that a body's record describes.
fn query_of(state: &State, body: Bytes) -> Result<Query, Problem> {
    let record = own_record(state, body)?;
    Query::from_record(&record).map_err(|e| Problem::bad_body(e.to_string()))
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn query_string<T: for<'a> Deserialize<'a>>(request: &Request) -> Result<T, Problem> {
    QueryString::<T>::try_from_uri(request.uri()).map(|q| q.0).map_err(|e| Problem::bad_request(e.body_text()))
}

/// `?top=&budget=&explain=&segments=&min_score=`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchOptions {
    #[serde(default = "ten")]
    top: usize,
    #[serde(default)]
    budget: Option<String>,
    #[serde(default)]
    explain: bool,
    #[serde(default = "yes")]
    segments: bool,
    #[serde(default)]
    min_score: f32,
}

fn ten() -> usize {
    10
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Timings {
    scan: f64,
    select: f64,
    fetch: f64,
    compare: f64,
    segments: f64,
    total: f64,
}

/// One line of the answer to a search.
#[derive(Debug, Serialize)]
struct Page {
    page: &'static str,
    /// Whether no page follows.
    last: bool,
    model: String,
    videos: usize,
    budget: String,
    selected: usize,
    reranked: usize,
    /// Pairs that were to be compared and were not: their hits are coarse.
    missing: usize,
    /// Whether anything is missing.
    degraded: bool,
    hits: Vec<Hit>,
    timings_ms: Timings,
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

async fn search(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let options: SearchOptions = query_string(&request)?;
    if options.top == 0 || options.top > MAX_TOP {
        return Err(Problem::bad_request(format!("top is {}, must be 1 to {MAX_TOP}", options.top)));
    }
    let budget: Budget = match &options.budget {
        Some(text) => {
            text.parse().map_err(|e: vidsieve_search::budget::BudgetError| Problem::bad_request(e.to_string()))?
        }
        None => Budget::default(),
    };
    let (body, share) = body_of(&state, request).await?;
    let query = query_of(&state, body)?;
    let permit = worker(&state).await?;
    let (sender, receiver) = mpsc::channel::<Result<Page, Problem>>(PAGES);
    tokio::task::spawn_blocking(move || {
        let _held = (permit, share);
        let asked = Asked { state: &state, query: &query, budget, options: &options, sender: &sender };
        if let Err(error) = asked.answer() {
            // Whoever asked has gone if nobody takes it.
            let _ = sender.blocking_send(Err(Problem::internal(&error)));
        }
    });
    let lines = futures::stream::unfold(receiver, |mut receiver| async {
        let line = match receiver.recv().await? {
            Ok(page) => serde_json::to_string(&page).unwrap_or_default(),
            Err(problem) => json!({ "page": "error", "last": true, "problem": problem.to_json() }).to_string(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(line + "\n")), receiver))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// A search under way.
struct Asked<'a> {
    state: &'a State,
    query: &'a Query,
    budget: Budget,
    options: &'a SearchOptions,
    sender: &'a mpsc::Sender<Result<Page, Problem>>,
}

impl Asked<'_> {
    fn page(
        &self,
        kind: &'static str,
        table: &Table,
        session: &mut Session<&Engine, &Query>,
    ) -> Result<Page, SearchError> {
        let SearchOptions { top, min_score, explain, .. } = *self.options;
        let hits = session.page(table, top, min_score, explain)?;
        let missing = session.missing().len();
        Ok(Page {
            page: kind,
            last: false,
            model: self.state.engine.bundle().to_string(),
            videos: table.len(),
            budget: self.budget.to_string(),
            selected: session.selected(),
            reranked: session.compared(),
            missing,
            degraded: missing > 0,
            hits,
            timings_ms: Timings::default(),
        })
    }

    /// Whether the answer has no use any more: nobody listens, or the server ends.
    fn is_over(&self) -> bool {
        self.sender.is_closed() || self.state.ending.load(Ordering::Relaxed)
    }

    /// Compares what was selected, most doubtful first, until all is done, the time is up or nobody listens. Memory does not
    /// grow with what is selected.
    fn compare(&self, session: &mut Session<&Engine, &Query>, timings: &mut Timings) {
        let start = Instant::now();
        while !session.wanted().is_empty() && !self.is_over() {
            if self.budget.time().is_some_and(|time| start.elapsed() >= time) {
                break;
            }
            let fetching = Instant::now();
            let records = self.state.fetch(session.wanted());
            timings.fetch += ms(fetching);
            let comparing = Instant::now();
            session.compare(records);
            timings.compare += ms(comparing);
        }
        self.state.count_pairs(session.compared(), session.missing().len());
    }

    /// Finds where the hits match: those that were compared, and those that are likely anyway. Memory does not grow with
    /// their number.
    fn segments(&self, hits: &mut [Hit]) {
        let (engine, query) = (&self.state.engine, self.query);
        let mut wanted: Vec<&mut Hit> = hits.iter_mut().filter(|hit| hit.wants_segments()).collect();
        for some in wanted.chunks_mut(ALIGNED) {
            if self.is_over() {
                return;
            }
            let ids: Vec<String> = some.iter().map(|hit| hit.id.clone()).collect();
            let records = self.state.fetch(&ids);
            some.par_iter_mut().zip(&records).for_each(|(hit, record)| {
                if let Ok(record) = record
                    && let Ok(segments) = engine.segments(query, record)
                {
                    hit.segments = segments;
                }
            });
        }
    }

    /// Answers: a coarse page at once, then a refined one. Ends early when nobody listens any more.
    fn answer(&self) -> Result<(), SearchError> {
        let start = Instant::now();
        let mut timings = Timings::default();
        let (mut session, mut coarse) = {
            let table = self.state.table();
            let scan = table.scan(self.state.engine.isa(), &self.query.global)?;
            timings.scan = ms(start);
            let selecting = Instant::now();
            let mut session = Session::new(&self.state.engine, self.query, &table, scan, self.budget)?;
            timings.select = ms(selecting);
            let page = self.page("coarse", &table, &mut session)?;
            (session, page)
        };
        let last = session.selected() == 0 && !self.options.segments;
        coarse.last = last;
        coarse.timings_ms = Timings { total: ms(start), ..timings };
        if self.sender.blocking_send(Ok(coarse)).is_err() || last {
            return Ok(());
        }
        self.compare(&mut session, &mut timings);
        let mut refined = self.page("refined", &self.state.table(), &mut session)?;
        refined.last = true;
        if self.options.segments {
            let begin = Instant::now();
            self.segments(&mut refined.hits);
            timings.segments = ms(begin);
        }
        if self.is_over() {
            return Ok(());
        }
        timings.total = ms(start);
        refined.timings_ms = timings;
        // Whoever asked has gone if nobody takes it.
        let _ = self.sender.blocking_send(Ok(refined));
        Ok(())
    }
}

/// The JSON part of a re-ranking request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Candidates {
    ids: Vec<String>,
    #[serde(default)]
    segments: bool,
}

/// The candidates and the query of a re-ranking request.
fn asked_again(state: &State, body: &Bytes) -> Result<(Candidates, Query), Problem> {
    let (candidates, record) = wire::split_rerank(body).map_err(|e| Problem::bad_body(e.to_string()))?;
    let candidates: Candidates =
        serde_json::from_slice(candidates).map_err(|e| Problem::bad_body(format!("the candidates: {e}")))?;
    if candidates.ids.len() > MAX_CANDIDATES {
        let detail = format!("{} candidates, at most {MAX_CANDIDATES} are compared", candidates.ids.len());
        return Err(Problem::bad_request(detail));
    }
    if candidates.ids.iter().collect::<HashSet<_>>().len() < candidates.ids.len() {
        return Err(Problem::bad_request("a candidate comes twice"));
    }
    Ok((candidates, query_of(state, body.slice_ref(record))?))
}

async fn rerank(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let (body, share) = body_of(&state, request).await?;
    let (candidates, query) = asked_again(&state, &body)?;
    drop(body);
    let answer = computing(&state, share, move |state, stop| reranked(state, &query, &candidates, stop)).await?;
    Ok(Json(answer).into_response())
}

fn reranked(
    state: &State,
    query: &Query,
    candidates: &Candidates,
    stop: &dyn Fn() -> bool,
) -> Result<serde_json::Value, Problem> {
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    for ids in candidates.ids.chunks(BATCH) {
        if stop() {
            return Err(Problem::busy());
        }
        let (records, absent): (Vec<_>, Vec<_>) = state
            .fetch(ids)
            .into_iter()
            .map(|found| found.map_or_else(|o| (None, Some(o)), |r| (Some(r), None)))
            .unzip();
        let outcomes = state.engine.compare_all(query, &records).into_iter().zip(absent);
        // Why a record is not there is known already.
        let outcomes = outcomes.map(|(outcome, absent)| absent.unwrap_or(outcome));
        let segments: Vec<Option<Vec<Segment>>> = if candidates.segments {
            records.par_iter().map(|record| state.engine.segments(query, record.as_ref()?).ok()).collect()
        } else {
            vec![None; ids.len()]
        };
        for ((id, outcome), segments) in ids.iter().zip(outcomes).zip(segments) {
            match outcome {
                Outcome::Compared(pair) => {
                    let mut value = json!({ "id": id, "fine_similarity": pair.raw, "score": pair.score });
                    if let Some(segments) = segments {
                        value["segments"] = json!(segments);
                    }
                    pairs.push(value);
                }
                Outcome::Missing => missing.push(json!({ "id": id, "reason": "it is not there" })),
                Outcome::Failed(reason) => missing.push(json!({ "id": id, "reason": reason })),
            }
        }
    }
    state.count_pairs(pairs.len(), missing.len());
    Ok(json!({ "pairs": pairs, "missing": missing }))
}

async fn encode(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let kind = media_type(request.headers()).to_owned();
    if ![wire::FRAMES_TYPE, wire::REGIONS_TYPE].contains(&kind.as_str()) {
        return Err(Problem::media_type(&format!("{} or {}", wire::FRAMES_TYPE, wire::REGIONS_TYPE)));
    }
    if state.encoder.is_none() {
        return Err(Problem::not_found("the index's bundle cannot encode"));
    }
    let (body, share) = body_of(&state, request).await?;
    let record = computing(&state, share, move |state, stop| encoded(state, &kind, &body, stop)).await?;
    Ok(([(header::CONTENT_TYPE, wire::RECORD_TYPE)], record).into_response())
}

fn encoded(state: &State, kind: &str, body: &[u8], stop: &dyn Fn() -> bool) -> Result<Vec<u8>, Problem> {
    let bad = |e: &dyn std::fmt::Display| Problem::bad_body(e.to_string());
    let encoder = state.encoder.as_ref().ok_or_else(|| Problem::not_found("the index's bundle cannot encode"))?;
    let go_on = || if stop() { Err(Problem::busy()) } else { Ok(()) };
    // Before anything is computed.
    let fits = |frames: usize| match frames {
        0..=MAX_FRAMES => Ok(()),
        _ => Err(bad(&EncodeError::TooLong { frames })),
    };
    let mut all = Part::default();
    let (times, duration) = if kind == wire::FRAMES_TYPE {
        let frames = wire::Frames::parse(body).map_err(|e| bad(&e))?;
        fits(frames.times.len())?;
        #[allow(clippy::cast_possible_truncation)]
        let (width, height) = (frames.width as u32, frames.height as u32);
        for batch in frames.pixels.chunks(FRAMES * frames.width * frames.height * 3) {
            go_on()?;
            let views = batch
                .chunks(frames.width * frames.height * 3)
                .map(|pixels| RgbFrame::new(width, height, pixels))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| bad(&e))?;
            all.join(&encoder.describe(&views).map_err(|e| bad(&e))?);
        }
        (frames.times, frames.duration)
    } else {
        let regions = wire::Regions::parse(body).map_err(|e| bad(&e))?;
        let [t, r, d] = regions.shape;
        fits(t)?;
        let video = ArrayView3::from_shape((t, r, d), &regions.values).map_err(|e| bad(&e))?;
        for batch in video.axis_chunks_iter(Axis(0), REGIONS) {
            go_on()?;
            all.join(&encoder.describe_regions(batch).map_err(|e| bad(&e))?);
        }
        (regions.times, regions.duration)
    };
    let encoded = encoder.finish(all).map_err(|e| bad(&e))?;
    let query = Query::new(state.index.bundle(), encoded, Timeline::new(times, duration));
    Ok(query.record().map_err(|e| bad(&e))?.into_bytes())
}

/// `?after=&limit=`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListOptions {
    after: Option<String>,
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

async fn list(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let options: ListOptions = query_string(&request)?;
    if options.limit == 0 || options.limit > MAX_LIST {
        return Err(Problem::bad_request(format!("limit is {}, must be 1 to {MAX_LIST}", options.limit)));
    }
    let limit = options.limit;
    let page = blocking(move || state.index.page(options.after.as_deref(), options.limit)).await?;
    let page = page.map_err(|e| Problem::index(&e))?;
    let next = (page.len() == limit).then(|| page.last().map(|s| s.id.clone())).flatten();
    let videos: Vec<_> = page
        .iter()
        .map(|s| json!({ "id": s.id, "duration": s.duration, "frames": s.frames, "bytes": s.bytes, "added": s.added }))
        .collect();
    Ok(Json(json!({ "videos": videos, "next": next })).into_response())
}

fn etag(checksum: u64) -> String {
    format!("\"{checksum:016x}\"")
}

fn id_of(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    match path {
        Ok(Path(id)) if is_id(&id) => Ok(id),
        _ => Err(Problem::bad_request("an id is 1 to 512 bytes of UTF-8 without control characters")),
    }
}

async fn read(
    Shared(state): Shared<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Answered {
    let id = id_of(path)?;
    let entry = blocking(move || state.index.get(&id)).await?.map_err(|e| Problem::index(&e))?;
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
    let record = own_record(&state, body)?;
    let etag = etag(record.checksum());
    let put = blocking(move || -> Result<Put, Problem> {
        let _held = share;
        let vector: Vec<f32> = record.global().collect();
        // The table is locked while the index is written, so that both see writes of one id in the same order.
        let mut table = state.table_mut();
        let put = state.index.put(&id, &record, &Source::default()).map_err(|e| Problem::index(&e))?;
        table.put(&id, &vector, record.self_similarity()).map_err(|e| Problem::internal(&e))?;
        state.counted(&table);
        Ok(put)
    })
    .await??;
    let status = if put == Put::Added { StatusCode::CREATED } else { StatusCode::OK };
    let what = match put {
        Put::Added => "added",
        Put::Replaced => "replaced",
        Put::Unchanged => "unchanged",
    };
    Ok((status, [(header::ETAG, etag)], Json(json!({ "result": what }))).into_response())
}

async fn remove(path: Result<Path<String>, PathRejection>, Shared(state): Shared<Arc<State>>) -> Answered {
    let id = id_of(path)?;
    let there = blocking(move || -> Result<bool, Problem> {
        let mut table = state.table_mut();
        let there = state.index.remove(&id).map_err(|e| Problem::index(&e))?;
        table.remove(&id);
        state.counted(&table);
        Ok(there)
    })
    .await??;
    if there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::not_found("no video has this id")) }
}

async fn model(Shared(state): Shared<Arc<State>>) -> Response {
    Json(json!({
        "bundle": state.index.bundle().to_string(),
        "regions": state.shape.map(|s| s.0),
        "bits": state.shape.map(|s| s.1),
        "dims": state.dims,
        "networks": state.networks,
        "bytes": state.bundle_bytes.len(),
    }))
    .into_response()
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
    let mut response = answer.map_err(|e| Problem::internal(&e.kind()))?.into_response();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for own in ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8787"] {
            assert!(is_own(own.as_bytes()), "{own}");
        }
        for other in ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "[::2]", "a b"] {
            assert!(!is_own(other.as_bytes()), "{other}");
        }
    }
}
