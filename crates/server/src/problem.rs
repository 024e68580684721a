//! Errors as `application/problem+json` (RFC 9457): a stable code, a sentence, nothing of the inside.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use vidsieve_index::store::IndexError;

/// What went wrong, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), retry_after: None }
    }

    /// A request that cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not understood", detail)
    }

    /// A body that is no record, or no frames.
    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-body", "The body is not what it should be", detail)
    }

    /// A record that another bundle made.
    pub fn other_bundle(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "other-bundle", "The record was made by another bundle", detail)
    }

    /// No token, or one that is not known.
    pub fn unauthorized() -> Self {
        let detail = "send a known token as `Authorization: Bearer ...`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A token is needed", detail)
    }

    /// A token without the scope.
    pub fn forbidden(scope: &str) -> Self {
        let detail = format!("this token has not the scope `{scope}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token does not allow this", detail)
    }

    /// A server that only reads.
    pub fn read_only() -> Self {
        let detail = "videos are added and removed elsewhere";
        Self::new(StatusCode::FORBIDDEN, "read-only", "This server only reads", detail)
    }

    /// A name that is not this machine's, at a server for this machine alone.
    pub fn host() -> Self {
        let detail = "without tokens this server answers to localhost and to loopback addresses alone";
        Self::new(StatusCode::FORBIDDEN, "host", "This server has another name", detail)
    }

    /// Nothing there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here", detail)
    }

    /// A method that this place does not know.
    pub fn method() -> Self {
        let detail = "see /v1/openapi.json for what can be done here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method", detail)
    }

    /// A body above the limit.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("at most {limit} bytes are taken");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// A media type that is not known here.
    pub fn media_type(known: &str) -> Self {
        let detail = format!("send {known}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "This media type is not known here", detail)
    }

    /// Too many requests; after the wait there may be another.
    pub fn too_many(wait: Duration) -> Self {
        let retry_after = wait.as_secs() + 1;
        let detail = format!("try again in {retry_after} s");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The server is busy, or ends.
    pub fn busy() -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server is busy", "try again in 1 s");
        Self { retry_after: Some(1), ..problem }
    }

    /// The body did not come in time.
    pub fn timeout() -> Self {
        let detail = "the request did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
    }

    /// What the client cannot mend. The reason goes to the log, not to the client; it tells no id.
    pub fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed");
        let detail = "the server's log has the reason";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed", detail)
    }

    /// [`Problem::internal`] of the index.
    pub fn index(error: &IndexError) -> Self {
        Self::internal(&without_ids(error))
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "type": format!("urn:vidsieve:problem:{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        })
    }
}

/// What the log may tell of the index: ids are names of files, which are not its business.
pub(crate) fn without_ids(error: &IndexError) -> String {
    match error {
        IndexError::Record { source, .. } => format!("a record of the index: {source}"),
        IndexError::Damaged { path, .. } => {
            format!("{}: the index is damaged: `vidsieve verify` tells more", path.display())
        }
        IndexError::Id(_) => "an id that cannot be used".to_owned(),
        // The others are about the folder.
        error => error.to_string(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use vidsieve_index::record::RecordError;

    use super::*;

    #[test]
    fn no_id_reaches_the_log() {
        let id = "holiday.mp4".to_owned();
        let damaged = IndexError::Damaged { path: "index".into(), detail: format!("the row of {id}") };
        let record = IndexError::Record { id: id.clone(), source: RecordError::Checksum };
        for error in [damaged, record, IndexError::Id(id)] {
            let told = without_ids(&error);
            assert!(error.to_string().contains("holiday") && !told.contains("holiday") && told.len() > 20, "{told}");
        }
    }
}
