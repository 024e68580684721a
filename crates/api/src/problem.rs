//! Errors as `application/problem+json` (RFC 9457): a stable code, a sentence, nothing of the inside.

use std::time::Duration;

use serde_json::json;

/// What went wrong, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    code: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: u16, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), retry_after: None }
    }

    /// A request that cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", "The request is not understood", detail)
    }

    /// A body that is no record, or no frames.
    #[must_use]
    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(422, "bad-body", "The body is not what it should be", detail)
    }

    /// A record that another bundle made.
    #[must_use]
    pub fn other_bundle(detail: impl Into<String>) -> Self {
        Self::new(409, "other-bundle", "The record was made by another bundle", detail)
    }

    /// No token, or one that is not known.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "send a known token as `Authorization: Bearer ...`";
        Self::new(401, "unauthorized", "A token is needed", detail)
    }

    /// A token without the scope.
    #[must_use]
    pub fn forbidden(scope: &str) -> Self {
        let detail = format!("this token has not the scope `{scope}`");
        Self::new(403, "forbidden", "The token does not allow this", detail)
    }

    /// A server that only reads.
    #[must_use]
    pub fn read_only() -> Self {
        let detail = "videos are added and removed elsewhere";
        Self::new(403, "read-only", "This server only reads", detail)
    }

    /// A name that is not this machine's, at a server for this machine alone.
    #[must_use]
    pub fn host() -> Self {
        let detail = "without tokens this server answers to localhost and to loopback addresses alone";
        Self::new(403, "host", "This server has another name", detail)
    }

    /// Nothing there.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not-found", "There is nothing here", detail)
    }

    /// A method that this place does not know.
    #[must_use]
    pub fn method() -> Self {
        let detail = "see /v1/openapi.json for what can be done here";
        Self::new(405, "method-not-allowed", "Not with this method", detail)
    }

    /// A body above the limit.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("at most {limit} bytes are taken");
        Self::new(413, "too-large", "The body is too large", detail)
    }

    /// A media type that is not known here.
    #[must_use]
    pub fn media_type(known: &str) -> Self {
        let detail = format!("send {known}");
        Self::new(415, "media-type", "This media type is not known here", detail)
    }

    /// Too many requests; after the wait there may be another.
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        let retry_after = wait.as_secs() + 1;
        let detail = format!("try again in {retry_after} s");
        let problem = Self::new(429, "too-many-requests", "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The server is busy, or ends.
    #[must_use]
    pub fn busy() -> Self {
        let problem = Self::new(503, "busy", "The server is busy", "try again in 1 s");
        Self { retry_after: Some(1), ..problem }
    }

    /// The body did not come in time.
    #[must_use]
    pub fn timeout() -> Self {
        let detail = "the request did not arrive in time";
        Self::new(408, "timeout", "The request took too long", detail)
    }

    /// What the client cannot mend. The reason belongs into the log, not here.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "the server's log has the reason";
        Self::new(500, "internal", "The server failed", detail)
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", crate::PROBLEM.to_owned())];
        headers.extend(self.retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        if self.status == 401 {
            headers.push(("www-authenticate", "Bearer".to_owned()));
        }
        headers
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The problem as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "type": format!("urn:vidsieve:problem:{}", self.code),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        })
    }

    /// The last line of an answer to a search that failed after its first page.
    #[must_use]
    pub fn line(&self) -> String {
        json!({ "page": "error", "last": true, "problem": self.to_json() }).to_string() + "\n"
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        use axum::http::{HeaderName, HeaderValue, StatusCode};
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json().to_string()).into_response();
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
