//! Figures, log and headers of every answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use vidsieve_api::trace::{REQUEST_ID, TRACEPARENT};
use vidsieve_api::{Admitted, Problem, Route, TraceContext};

use crate::body::drained;
use crate::held::Held;
use crate::metrics::{RequestLabels, ResponseLabels};
use crate::state::State;

/// The status that is counted for a request whose client went away before there was an answer.
const GONE: u16 = 499;
/// What may load into a page that this server sends: itself alone.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; \
                   img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; font-src 'self'; \
                   manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Marks a request of a connection that has no place: the server only tells of its health.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare;

/// A request under way: counted when its answer begins, timed and logged when this is dropped, also when the client went
/// away before there was an answer.
struct UnderWay {
    state: Arc<State>,
    start: Instant,
    labels: RequestLabels,
    status: Option<u16>,
    token: Option<String>,
    trace: TraceContext,
    client: Option<IpAddr>,
    bytes: u64,
    whole: bool,
}

impl UnderWay {
    /// Counts the request, whose answer begins or who has gone.
    fn count(&self) {
        let RequestLabels { route, method } = self.labels;
        let status = self.status.unwrap_or(GONE);
        self.state.metrics.requests.get_or_create(&ResponseLabels { route, method, status }).inc();
        let seconds = self.start.elapsed().as_secs_f64();
        self.state.metrics.seconds.get_or_create(&self.labels).observe(seconds);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.count();
        }
        let metrics = &self.state.metrics;
        metrics.in_flight.dec();
        let seconds = self.start.elapsed().as_secs_f64();
        metrics.answer_seconds.get_or_create(&self.labels).observe(seconds);
        metrics.sent.inc_by(self.bytes);
        if !self.whole {
            metrics.cut.inc();
        }
        let RequestLabels { route, method } = self.labels;
        let (status, token) = (self.status.unwrap_or(GONE), self.token.as_deref().unwrap_or("-"));
        let (bytes, whole, ms) = (self.bytes, self.whole, seconds * 1000.0);
        let (trace, span) = (self.trace.id(), self.trace.span());
        match self.client {
            Some(client) => {
                tracing::info!(method, route, status, ms, bytes, whole, token, trace, span, %client, "request");
            }
            None => tracing::info!(method, route, status, ms, bytes, whole, token, trace, span, "request"),
        }
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

fn trace_of(request: &Request) -> TraceContext {
    let told = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    TraceContext::of(told, fastrand::u128(..), fastrand::u64(..))
}

/// Counts, times and logs a request; adds the headers that every answer has.
pub(crate) async fn observe(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let in_page = matched.is_none() && state.config.www.is_some();
    let route = matched.and_then(Route::of_template);
    let labels = RequestLabels { route: route.map_or("other", Route::template), method: method_of(request.method()) };
    let client = state.gate.client(&request).filter(|_| state.config.log_addresses);
    state.metrics.in_flight.inc();
    let trace = trace_of(&request);
    let start = Instant::now();
    let mut under_way =
        UnderWay { state, start, labels, status: None, token: None, trace, client, bytes: 0, whole: false };
    let spare = request.extensions().get::<Spare>().is_some() && !route.is_some_and(Route::is_health);
    let is_head = request.method() == Method::HEAD;
    let mut response = if spare {
        drained(request).await;
        Problem::busy().into_response()
    } else {
        next.run(request).await
    };
    under_way.status = Some(response.status().as_u16());
    under_way.token = response.extensions_mut().remove::<Admitted>().and_then(|admitted| admitted.token);
    under_way.count();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(id) = HeaderValue::from_str(&trace.id()) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
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
    response.map(|body| {
        Held::body(body, move |bytes, whole| {
            under_way.bytes = bytes;
            under_way.whole = whole || is_head;
            drop(under_way);
        })
    })
}
