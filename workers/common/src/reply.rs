//! Bodies of requests, and answers.

use futures_util::StreamExt as _;
use serde::Serialize;
use vidsieve_api::trace::{REQUEST_ID, TRACEPARENT};
use vidsieve_api::{Problem, TraceContext};
use worker::js_sys::Uint8Array;
use worker::{Headers, Method, Request, RequestInit, RequestRedirect, Response, console_log};

use crate::error::EdgeError;
use crate::time::now;

/// A body of at most so many bytes.
///
/// # Errors
/// `too-large`; `bad-request` for one that is cut off.
pub async fn body_of(request: &mut Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let told = request.headers().get("content-length").ok().flatten().and_then(|l| l.parse::<usize>().ok());
    if told.is_some_and(|told| told > limit) {
        return Err(Problem::too_large(limit));
    }
    // A request without a body has no stream.
    let Ok(mut chunks) = request.stream() else { return Ok(Vec::new()) };
    let mut bytes = Vec::with_capacity(told.unwrap_or_default());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the body is cut off, or its chunks are damaged"))?;
        if chunk.len() > limit - bytes.len() {
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The body of an answer, of at most so many bytes: reading ends where there are more, and where this is dropped.
///
/// # Errors
/// [`EdgeError::Answer`] of `who` for a longer one; [`EdgeError::Runtime`].
pub async fn bytes_of(who: &'static str, response: &mut Response, limit: usize) -> Result<Vec<u8>, EdgeError> {
    let fail = EdgeError::runtime("reading an answer");
    let long = || EdgeError::Answer { who, what: format!("more than {limit} bytes") };
    let told = response.headers().get("content-length").ok().flatten().and_then(|l| l.parse::<usize>().ok());
    if told.is_some_and(|told| told > limit) {
        return Err(long());
    }
    // An answer without a body has no stream.
    let Ok(mut chunks) = response.stream() else { return response.bytes().await.map_err(&fail) };
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(&fail)?;
        if chunk.len() > limit - bytes.len() {
            return Err(long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A request with a body.
///
/// # Errors
/// [`EdgeError::Runtime`].
pub fn with_body(url: &str, method: Method, headers: &[(&str, &str)], body: &[u8]) -> Result<Request, EdgeError> {
    let fail = EdgeError::runtime("making a request");
    let all = Headers::new();
    for (name, value) in headers {
        all.set(name, value).map_err(&fail)?;
    }
    let mut init = RequestInit::new();
    // A token goes nowhere else than to whom it is sent.
    init.with_method(method).with_headers(all).with_redirect(RequestRedirect::Manual);
    if !body.is_empty() {
        init.with_body(Some(Uint8Array::from(body).into()));
    }
    Request::new_with_init(url, &init).map_err(&fail)
}

fn headed(response: Response, headers: &[(&str, String)]) -> worker::Result<Response> {
    let mut response = response;
    for (name, value) in headers {
        response.headers_mut().set(name, value)?;
    }
    Ok(response)
}

/// An answer of bytes.
///
/// # Errors
/// [`EdgeError::Runtime`].
pub fn raw(status: u16, headers: &[(&str, String)], body: Vec<u8>) -> Result<Response, EdgeError> {
    let response = if body.is_empty() { Response::empty() } else { Response::from_bytes(body) };
    response
        .map(|response| response.with_status(status))
        .and_then(|response| headed(response, headers))
        .map_err(EdgeError::runtime("making an answer"))
}

/// An answer of JSON.
///
/// # Errors
/// [`EdgeError::Runtime`].
pub fn json(status: u16, headers: &[(&str, String)], value: &impl Serialize) -> Result<Response, EdgeError> {
    // The API's types can all be written.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let all: Vec<_> =
        std::iter::once(("content-type", "application/json".to_owned())).chain(headers.iter().cloned()).collect();
    raw(status, &all, body)
}

/// An answer that refuses.
///
/// # Errors
/// [`EdgeError::Runtime`].
pub fn problem(problem: &Problem) -> Result<Response, EdgeError> {
    raw(problem.status(), &problem.headers(), problem.to_json().to_string().into_bytes())
}

/// 64 bits that need not be a secret.
fn random() -> u64 {
    // 53 bits are random in [0, 1), 32 of which are used at a time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let half = || (worker::js_sys::Math::random() * 4_294_967_296.0) as u64;
    (half() << 32) | half()
}

/// A request and its answer, as the log has them: never an id, a token or a body.
#[derive(Debug)]
pub struct Exchange {
    start: f64,
    method: Method,
    /// The route's template.
    pub route: &'static str,
    /// The name of a token.
    pub token: Option<String>,
    /// The trace that the request is part of.
    pub trace: TraceContext,
}

impl Exchange {
    /// An exchange that begins.
    #[must_use]
    pub fn begin(request: &Request, route: &'static str) -> Self {
        let told = request.headers().get(TRACEPARENT).ok().flatten();
        let trace = (u128::from(random()) << 64) | u128::from(random());
        let trace = TraceContext::of(told.as_deref(), trace, random());
        Self { start: now(), method: request.method(), route, token: None, trace }
    }

    /// Writes a line to the log; adds the headers that every answer has.
    ///
    /// # Errors
    /// [`EdgeError::Runtime`].
    pub fn end(self, response: Response) -> Result<Response, EdgeError> {
        let line = serde_json::json!({
            "level": "info", "message": "request", "method": self.method.to_string(), "route": self.route,
            "status": response.status_code(), "ms": now() - self.start, "token": self.token.as_deref().unwrap_or("-"),
            "trace": self.trace.id(), "span": self.trace.span(),
        });
        console_log!("{line}");
        let all = [
            ("x-content-type-options", "nosniff".to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
            (REQUEST_ID, self.trace.id()),
        ];
        headed(response, &all).map_err(EdgeError::runtime("making an answer"))
    }
}
