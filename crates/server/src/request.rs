//! Parts of a request, and the type of what handlers answer.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use vidsieve_api::Problem;

/// What a handler answers.
pub(crate) type Answered = Result<Response, Problem>;

/// The query string.
pub(crate) fn parameters(request: &Request) -> &str {
    request.uri().query().unwrap_or_default()
}

/// The value of a header that is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
