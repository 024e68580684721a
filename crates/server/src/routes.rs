//! What is answered where.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Path, Query as QueryString, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use governor::clock::{Clock, DefaultClock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::services::ServeDir;
use vidsieve_index::record::{Record, RecordError, Shape};
use vidsieve_index::store::{Put, Source, is_id};
use vidsieve_index::wire;
use vidsieve_model::encoder::Part;
use vidsieve_model::frames::RgbFrame;
use vidsieve_search::segments::{LIKELY, Timeline};
use vidsieve_search::{Budget, Hit, Outcome, Plan, Query, SearchError, Table};

use crate::auth::Scope;
use crate::metrics::{Answer, Route};
use crate::problem::Problem;
use crate::state::State;
use crate::{OPENAPI, ServeError};

/// Most hits of a page.
const MAX_TOP: usize = 1000;
/// Most videos of a listing's page.
const MAX_LIST: usize = 1000;
/// Most candidates of a re-ranking request.
const MAX_CANDIDATES: usize = 1000;
/// Pairs that are compared between two looks at the clock.
const BATCH: usize = 64;
/// Pages of an answer at most: a client that does not read holds no worker.
const PAGES: usize = 2;
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
        .route("/v1/health", get(health))
        .route("/v1/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .layer(limits)
        .method_not_allowed_fallback(|| async { Problem::method() });
    if let Some(media) = &state.config.media {
        router = router.nest_service("/media", ServeDir::new(media));
    }
    router = match &state.config.www {
        Some(www) => router.fallback_service(ServeDir::new(www)),
        None => router.fallback(|| async { Problem::not_found("see /v1/openapi.json for what is here") }),
    };
    if !state.config.cors.is_empty() {
        router = router.layer(cors(&state.config.cors)?);
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

/// Counts, times and logs a request; adds the headers that every answer has.
async fn observe(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let in_page = route == "other";
    state.metrics.in_flight.inc();
    let mut response = next.run(request).await;
    state.metrics.in_flight.dec();
    let status = response.status().as_u16();
    let seconds = start.elapsed().as_secs_f64();
    let labels = Route { route: route.clone(), method: method.clone() };
    state.metrics.seconds.get_or_create(&labels).observe(seconds);
    state.metrics.requests.get_or_create(&Answer { route: route.clone(), method: method.clone(), status }).inc();
    let who = response.extensions_mut().remove::<Who>().and_then(|w| w.0);
    tracing::info!(method, route, status, ms = seconds * 1000.0, token = who.as_deref().unwrap_or("-"), "request");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if in_page && state.config.www.is_some() {
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

/// What a route needs.
fn scope_of(method: &Method, route: &str) -> Option<Scope> {
    match (method.as_str(), route) {
        (_, "/v1/health" | "/v1/openapi.json") => None,
        ("PUT" | "DELETE", _) => Some(Scope::Write),
        _ => Some(Scope::Search),
    }
}

/// Tokens and rates, before anything of the body is read.
async fn limit(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let mut who = None;
    if let Some(scope) = scope_of(request.method(), route)
        && !state.config.tokens.is_empty()
    {
        let open = scope == Scope::Search && state.config.open_search;
        match bearer.map(|token| state.config.tokens.check(token, scope)) {
            Some(Some((name, true))) => who = Some(name.to_owned()),
            Some(Some((_, false))) => return Problem::forbidden(scope.name()).into_response(),
            // A wrong token is told even where none is needed.
            Some(None) => return Problem::unauthorized().into_response(),
            None if open => {}
            None => return Problem::unauthorized().into_response(),
        }
    }
    if state.config.read_only && scope_of(request.method(), route) == Some(Scope::Write) {
        return Problem::read_only().into_response();
    }
    let key = match (&who, request.extensions().get::<ConnectInfo<SocketAddr>>()) {
        (Some(name), _) => format!("token {name}"),
        (None, Some(ConnectInfo(address))) => address.ip().to_string(),
        (None, None) => String::new(),
    };
    if let Err(wait) = state.limiter.check_key(&key) {
        let seconds = wait.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        return Problem::too_many(seconds).into_response();
    }
    // Addresses that have not been seen for a while are forgotten.
    if state.limiter.len() > 10_000 {
        state.limiter.retain_recent();
    }
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Who(who));
    response
}

/// A body within the limits of size and time.
async fn body_of(state: &State, request: Request) -> Result<Bytes, Problem> {
    let limit = state.config.body_limit;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    let reading = axum::body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(state.config.patience, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Either it is too long, or the client went away and does not read this.
        Ok(Err(_)) => Err(Problem::too_large(limit)),
        Err(_) => Err(Problem::timeout()),
    }
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
    tokio::task::spawn_blocking(work).await.map_err(|e| Problem::internal(&e))
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
    let body = body_of(&state, request).await?;
    let record = own_record(&state, body)?;
    let query = Query::from_record(&record).map_err(|e| Problem::bad_body(e.to_string()))?;
    let permit = worker(&state).await?;
    let (sender, receiver) = mpsc::channel::<Result<Page, Problem>>(PAGES);
    let shared = state.clone();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let asked = Asked { state: &shared, query: &query, budget, options: &options };
        if let Err(error) = asked.answer(&sender) {
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
}

impl Asked<'_> {
    /// A page of the plan. Outcomes are by id, because the table may have changed since the pairs were chosen.
    fn page(&self, kind: &'static str, table: &Table, plan: &Plan, outcomes: &HashMap<String, Outcome>) -> Page {
        let placed: HashMap<usize, Outcome> =
            outcomes.iter().filter_map(|(id, outcome)| Some((table.position(id)?, outcome.clone()))).collect();
        let mut hits = plan.page(&self.state.engine, table, &placed, self.options.top, self.options.explain);
        hits.retain(|hit| hit.score >= self.options.min_score);
        let reranked = outcomes.values().filter(|o| matches!(o, Outcome::Compared(_))).count();
        Page {
            page: kind,
            last: false,
            model: self.state.engine.bundle().to_string(),
            videos: table.len(),
            budget: self.budget.to_string(),
            selected: plan.selected().len(),
            reranked,
            missing: outcomes.len() - reranked,
            degraded: outcomes.len() > reranked,
            hits,
            timings_ms: Timings::default(),
        }
    }

    /// Compares what was selected, most doubtful first, until all is done, the time is up or nobody listens. Records of likely
    /// copies are kept for their segments.
    fn compare(
        &self,
        selected: &[String],
        start: Instant,
        listens: &dyn Fn() -> bool,
        timings: &mut Timings,
    ) -> (HashMap<String, Outcome>, HashMap<String, Record<Vec<u8>>>) {
        let (mut outcomes, mut kept) = (HashMap::new(), HashMap::new());
        for ids in selected.chunks(BATCH) {
            if !listens() || self.budget.time().is_some_and(|t| start.elapsed() >= t) {
                break;
            }
            let fetching = Instant::now();
            let records = self.state.fetch(ids);
            timings.fetch += ms(fetching);
            let comparing = Instant::now();
            let (found, problems): (Vec<_>, Vec<_>) =
                records.into_iter().map(|r| r.map_or_else(|e| (None, Some(e)), |r| (Some(r), None))).unzip();
            let compared = self.state.engine.compare_all(self.query, &found);
            timings.compare += ms(comparing);
            for (((id, outcome), problem), record) in ids.iter().zip(compared).zip(problems).zip(found) {
                let outcome = match problem {
                    None => outcome,
                    Some(None) => Outcome::Missing,
                    Some(Some(reason)) => Outcome::Failed(reason),
                };
                if let (Outcome::Compared(pair), Some(record)) = (&outcome, record)
                    && pair.score >= LIKELY
                    && kept.len() < MAX_TOP
                {
                    kept.insert(id.clone(), record);
                }
                outcomes.insert(id.clone(), outcome);
            }
        }
        (outcomes, kept)
    }

    /// Finds where the likely hits match.
    fn segments(&self, hits: &mut [Hit], mut records: HashMap<String, Record<Vec<u8>>>) {
        let likely = |hit: &Hit| hit.score >= LIKELY && hit.unavailable.is_none();
        let others: Vec<String> =
            hits.iter().filter(|h| likely(h) && !records.contains_key(&h.id)).map(|h| h.id.clone()).collect();
        let fetched = self.state.fetch(&others);
        records.extend(others.into_iter().zip(fetched).filter_map(|(id, record)| Some((id, record.ok()?))));
        for hit in hits.iter_mut().filter(|h| likely(h)) {
            if let Some(segments) = records.get(&hit.id).and_then(|r| self.state.engine.segments(self.query, r).ok()) {
                hit.segments = segments;
            }
        }
    }

    /// Answers: a coarse page at once, then a refined one. Ends early when nobody listens any more.
    fn answer(&self, sender: &mpsc::Sender<Result<Page, Problem>>) -> Result<(), SearchError> {
        let start = Instant::now();
        let mut timings = Timings::default();
        let (selected, changes, mut plan, mut coarse) = {
            let table = self.state.table();
            let scan = table.scan(self.state.engine.isa(), &self.query.global)?;
            timings.scan = ms(start);
            let selecting = Instant::now();
            let plan = self.state.engine.plan_scanned(self.query, &table, scan, self.budget)?;
            timings.select = ms(selecting);
            let selected: Vec<String> = plan.selected().iter().map(|&i| table.id(i).to_owned()).collect();
            let page = self.page("coarse", &table, &plan, &HashMap::new());
            (selected, table.changes(), plan, page)
        };
        coarse.last = selected.is_empty() && !self.options.segments;
        coarse.timings_ms = Timings { total: ms(start), ..timings };
        let last = coarse.last;
        if sender.blocking_send(Ok(coarse)).is_err() || last {
            return Ok(());
        }
        let (outcomes, kept) = self.compare(&selected, start, &|| !sender.is_closed(), &mut timings);
        let compared = outcomes.values().filter(|o| matches!(o, Outcome::Compared(_))).count();
        self.state.metrics.compared.inc_by(compared as u64);
        self.state.metrics.missing.inc_by((outcomes.len() - compared) as u64);
        let mut refined = {
            let table = self.state.table();
            if table.changes() != changes {
                // Numbers mean other videos now: the coarse answer is made again, of the videos that are there now.
                plan = self.state.engine.plan(self.query, &table, self.budget)?;
            }
            self.page("refined", &table, &plan, &outcomes)
        };
        refined.last = true;
        refined.selected = selected.len();
        if self.options.segments && !sender.is_closed() {
            let begin = Instant::now();
            self.segments(&mut refined.hits, kept);
            timings.segments = ms(begin);
        }
        timings.total = ms(start);
        refined.timings_ms = timings;
        // Whoever asked has gone if nobody takes it.
        let _ = sender.blocking_send(Ok(refined));
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

async fn rerank(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let body = body_of(&state, request).await?;
    let (candidates, record) = wire::split_rerank(&body).map_err(|e| Problem::bad_body(e.to_string()))?;
    let candidates: Candidates =
        serde_json::from_slice(candidates).map_err(|e| Problem::bad_body(format!("the candidates: {e}")))?;
    if candidates.ids.len() > MAX_CANDIDATES {
        let detail = format!("{} candidates, at most {MAX_CANDIDATES} are compared", candidates.ids.len());
        return Err(Problem::bad_request(detail));
    }
    let record = own_record(&state, body.slice_ref(record))?;
    let query = Query::from_record(&record).map_err(|e| Problem::bad_body(e.to_string()))?;
    let permit = worker(&state).await?;
    let answer = blocking(move || {
        let _permit = permit;
        let records = state.fetch(&candidates.ids);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (id, record) in candidates.ids.iter().zip(records) {
            match record {
                Ok(record) => found.push((id, Some(record))),
                Err(reason) => {
                    missing.push(json!({ "id": id, "reason": reason.unwrap_or_else(|| "it is not there".into()) }))
                }
            }
        }
        let (ids, records): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let mut pairs = Vec::new();
        for ((id, record), outcome) in ids.iter().zip(&records).zip(state.engine.compare_all(&query, &records)) {
            match (outcome, record) {
                (Outcome::Compared(pair), Some(record)) => {
                    let segments = if candidates.segments { state.engine.segments(&query, record).ok() } else { None };
                    let mut value = json!({ "id": id, "fine_similarity": pair.raw, "score": pair.score });
                    if let Some(segments) = segments {
                        value["segments"] = json!(segments);
                    }
                    pairs.push(value);
                }
                (Outcome::Failed(reason), _) => missing.push(json!({ "id": id, "reason": reason })),
                _ => missing.push(json!({ "id": id, "reason": "it is not there" })),
            }
        }
        state.metrics.compared.inc_by(pairs.len() as u64);
        state.metrics.missing.inc_by(missing.len() as u64);
        json!({ "pairs": pairs, "missing": missing })
    })
    .await?;
    Ok(Json(answer).into_response())
}

async fn encode(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let kind = media_type(request.headers()).to_owned();
    if ![wire::FRAMES_TYPE, wire::REGIONS_TYPE].contains(&kind.as_str()) {
        return Err(Problem::media_type(&format!("{} or {}", wire::FRAMES_TYPE, wire::REGIONS_TYPE)));
    }
    if state.encoder.is_none() {
        return Err(Problem::not_found("the index's bundle cannot encode"));
    }
    let body = body_of(&state, request).await?;
    let permit = worker(&state).await?;
    let record = blocking(move || {
        let _permit = permit;
        encoded(&state, &kind, &body)
    })
    .await??;
    Ok(([(header::CONTENT_TYPE, wire::RECORD_TYPE)], record).into_response())
}

/// Frames of a batch: memory of encoding does not grow with the body.
const FRAMES: usize = 8;

fn encoded(state: &State, kind: &str, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let bad = |e: &dyn std::fmt::Display| Problem::bad_body(e.to_string());
    let encoder = state.encoder.as_ref().ok_or_else(|| Problem::not_found("the index's bundle cannot encode"))?;
    let mut all = Part::default();
    let (times, duration) = if kind == wire::FRAMES_TYPE {
        let frames = wire::Frames::parse(body).map_err(|e| bad(&e))?;
        #[allow(clippy::cast_possible_truncation)]
        let (width, height) = (frames.width as u32, frames.height as u32);
        for batch in frames.pixels.chunks(FRAMES * frames.width * frames.height * 3) {
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
        let video = ndarray::ArrayView3::from_shape((t, r, d), &regions.values).map_err(|e| bad(&e))?;
        all = encoder.describe_regions(video).map_err(|e| bad(&e))?;
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
    let page = page.map_err(|e| Problem::internal(&e))?;
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

fn checked_id(id: String) -> Result<String, Problem> {
    if is_id(&id) { Ok(id) } else { Err(Problem::bad_request("an id is 1 to 512 bytes without control characters")) }
}

async fn read(Shared(state): Shared<Arc<State>>, Path(id): Path<String>, headers: HeaderMap) -> Answered {
    let id = checked_id(id)?;
    let entry = blocking(move || state.index.get(&id)).await?.map_err(|e| Problem::internal(&e))?;
    let entry = entry.ok_or_else(|| Problem::not_found("no video has this id"))?;
    let etag = etag(entry.record.checksum());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [(header::CONTENT_TYPE, wire::RECORD_TYPE.to_owned()), (header::ETAG, etag)];
    Ok((headers, entry.record.into_bytes()).into_response())
}

async fn put(Shared(state): Shared<Arc<State>>, Path(id): Path<String>, request: Request) -> Answered {
    let id = checked_id(id)?;
    let body = body_of(&state, request).await?;
    let record = own_record(&state, body)?;
    let etag = etag(record.checksum());
    let put = blocking(move || -> Result<Put, Problem> {
        let vector: Vec<f32> = record.global().collect();
        // The table is locked while the index is written, so that both see writes of one id in the same order.
        let mut table = state.table_mut();
        let put = state.index.put(&id, &record, &Source::default()).map_err(|e| Problem::internal(&e))?;
        table.put(&id, &vector, record.self_similarity()).map_err(|e| Problem::internal(&e))?;
        state.metrics.videos.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
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

async fn remove(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answered {
    let id = checked_id(id)?;
    let there = blocking(move || {
        let mut table = state.table_mut();
        let there = state.index.remove(&id);
        table.remove(&id);
        state.metrics.videos.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
        there
    })
    .await?
    .map_err(|e| Problem::internal(&e))?;
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
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, "public, max-age=3600".to_owned()),
    ];
    (headers, state.bundle_bytes.clone()).into_response()
}

async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let videos = state.table().len();
    Json(json!({ "status": "ok", "videos": videos, "version": env!("CARGO_PKG_VERSION") })).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.text()).into_response()
}
