//! Figures, log and headers of every answer.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use vidsieve_api::{Admitted, Route};

use crate::metrics::{RequestLabels, ResponseLabels};
use crate::state::State;

/// The status that is counted for a request whose client went away before there was an answer.
const GONE: u16 = 499;
/// What may load into a page that this server sends: itself alone.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; \
                   img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; font-src 'self'; \
                   manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request under way: counted and logged when this is dropped, also when the client went away
/// before there was an answer.
struct UnderWay {
    state: Arc<State>,
    start: Instant,
    labels: RequestLabels,
    status: u16,
    token: Option<String>,
}

impl UnderWay {
    fn new(state: Arc<State>, labels: RequestLabels) -> Self {
        state.metrics.in_flight.inc();
        Self { state, start: Instant::now(), labels, status: GONE, token: None }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let metrics = &self.state.metrics;
        metrics.in_flight.dec();
        let seconds = self.start.elapsed().as_secs_f64();
        metrics.seconds.get_or_create(&self.labels).observe(seconds);
        let RequestLabels { route, method } = self.labels;
        let (status, token) = (self.status, self.token.as_deref().unwrap_or("-"));
        metrics.requests.get_or_create(&ResponseLabels { route, method, status }).inc();
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
pub(crate) async fn observe(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let in_page = matched.is_none() && state.config.www.is_some();
    let route = matched.and_then(Route::of_template).map_or("other", Route::template);
    let labels = RequestLabels { route, method: method_of(request.method()) };
    let mut under_way = UnderWay::new(state, labels);
    let mut response = next.run(request).await;
    under_way.status = response.status().as_u16();
    under_way.token = response.extensions_mut().remove::<Admitted>().and_then(|admitted| admitted.token);
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
