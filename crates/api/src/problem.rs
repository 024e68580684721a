//! Errors as `application/problem+json` (RFC 9457): a stable code, a sentence, nothing of the
//! inside.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is before the code in a problem's `type`.
const TYPE: &str = "urn:vidsieve:problem:";

/// Code of a problem, stable across versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// Parameters or an id are not understood, or the body is cut off.
    BadRequest,
    /// A token is needed.
    Unauthorized,
    /// The token lacks the scope.
    Forbidden,
    /// The server only reads.
    ReadOnly,
    /// A server without tokens was called by a name that is not its own machine's.
    Host,
    /// There is no such route, video or file.
    NotFound,
    /// The route does not have this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    Timeout,
    /// The record was made by another bundle.
    OtherBundle,
    /// The body is too large.
    TooLarge,
    /// The media type is not supported.
    MediaType,
    /// The body is damaged or does not fit.
    BadBody,
    /// No part of the file is in the range that was asked for.
    Range,
    /// Too many requests.
    TooManyRequests,
    /// The server failed.
    Internal,
    /// The record of the video is damaged or lost; the video can be put again.
    DamagedRecord,
    /// The server is busy, or ends.
    Busy,
    /// The server's disk is full.
    StorageFull,
}

impl ProblemCode {
    /// All codes, by status.
    pub const ALL: [Self; 18] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ReadOnly,
        Self::Host,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::OtherBundle,
        Self::TooLarge,
        Self::MediaType,
        Self::Range,
        Self::BadBody,
        Self::TooManyRequests,
        Self::Internal,
        Self::DamagedRecord,
        Self::Busy,
        Self::StorageFull,
    ];

    /// The code as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.parts().1
    }

    /// The status of an answer with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.parts().0
    }

    /// Short description of the problem.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.parts().2
    }

    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest => (400, "bad-request", "The request is not understood"),
            Self::Unauthorized => (401, "unauthorized", "A token is needed"),
            Self::Forbidden => (403, "forbidden", "The token does not allow this"),
            Self::ReadOnly => (403, "read-only", "This server only reads"),
            Self::Host => (403, "host", "This server has another name"),
            Self::NotFound => (404, "not-found", "Not found"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "Method not allowed"),
            Self::Timeout => (408, "timeout", "The request took too long"),
            Self::OtherBundle => (409, "other-bundle", "The record was made by another bundle"),
            Self::TooLarge => (413, "too-large", "The body is too large"),
            Self::MediaType => (415, "media-type", "The media type is not supported"),
            Self::Range => (416, "range", "The range is not in the file"),
            Self::BadBody => (422, "bad-body", "The body is not what it should be"),
            Self::TooManyRequests => (429, "too-many-requests", "Too many requests"),
            Self::Internal => (500, "internal", "Internal error"),
            Self::DamagedRecord => (500, "damaged-record", "The record is damaged"),
            Self::Busy => (503, "busy", "The server is busy"),
            Self::StorageFull => (507, "storage-full", "The server's disk is full"),
        }
    }
}

/// A problem as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ProblemDetails {
    /// `urn:vidsieve:problem:` and a stable code.
    #[serde(rename = "type")]
    pub uri: String,
    /// Short description of the problem.
    pub title: String,
    /// HTTP status of the response.
    pub status: u16,
    /// Details of this request.
    pub detail: String,
}

impl ProblemDetails {
    /// The code; `None` of a server that has others.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        let name = self.uri.strip_prefix(TYPE)?;
        ProblemCode::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    retry_after: Option<u64>,
    allow: &'static [&'static str],
}

impl Problem {
    fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, allow: &[] }
    }

    /// A request that is not understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::BadRequest, detail)
    }

    /// A body that is no record, or no frames.
    #[must_use]
    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::BadBody, detail)
    }

    /// A record that another bundle made.
    #[must_use]
    pub fn other_bundle(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::OtherBundle, detail)
    }

    /// No token, or an unknown one.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(ProblemCode::Unauthorized, "send a known token as `Authorization: Bearer ...`")
    }

    /// A token whose time is over.
    #[must_use]
    pub fn expired() -> Self {
        Self::new(ProblemCode::Unauthorized, "this token has expired")
    }

    /// A token that lacks the scope.
    #[must_use]
    pub fn forbidden(scope: &str) -> Self {
        Self::new(ProblemCode::Forbidden, format!("this token lacks the scope `{scope}`"))
    }

    /// A server that only reads.
    #[must_use]
    pub fn read_only() -> Self {
        Self::new(ProblemCode::ReadOnly, "videos are added and removed elsewhere")
    }

    /// A name that is not this machine's, at a server for this machine alone.
    #[must_use]
    pub fn host() -> Self {
        let detail = "without tokens this server answers to localhost and to loopback addresses alone";
        Self::new(ProblemCode::Host, detail)
    }

    /// A video, file or network that is missing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::NotFound, detail)
    }

    /// A route that the edge does not answer.
    #[must_use]
    pub fn native_only() -> Self {
        Self::not_found("the edge has records and no files: `vidsieve serve` answers this")
    }

    /// A path that is no route.
    #[must_use]
    pub fn unknown_route() -> Self {
        Self::not_found("see /v1/openapi.json for the routes")
    }

    /// A method that a route does not have; `allow`: those that it has.
    #[must_use]
    pub fn method(allow: &'static [&'static str]) -> Self {
        let detail = "see /v1/openapi.json for the methods of each route";
        Self { allow, ..Self::new(ProblemCode::MethodNotAllowed, detail) }
    }

    /// A body above the limit.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(ProblemCode::TooLarge, format!("at most {limit} bytes are taken"))
    }

    /// A media type that is not supported; `known`: those that are.
    #[must_use]
    pub fn media_type(known: &str) -> Self {
        Self::new(ProblemCode::MediaType, format!("send {known}"))
    }

    /// A range that is not in a file of so many bytes.
    #[must_use]
    pub fn range(bytes: &str) -> Self {
        Self::new(ProblemCode::Range, format!("the file has the range {bytes}"))
    }

    /// A record that is damaged or lost where it is kept. The reason belongs into the log.
    #[must_use]
    pub fn damaged_record() -> Self {
        let detail = "the record of this video is damaged or lost: put the video again (`vidsieve push --check` does)";
        Self::new(ProblemCode::DamagedRecord, detail)
    }

    /// A disk without room for the video: writes succeed again when there is room.
    #[must_use]
    pub fn storage_full() -> Self {
        let detail = "there is no room for this video; writes go on by themselves when there is";
        Self { retry_after: Some(30), ..Self::new(ProblemCode::StorageFull, detail) }
    }

    /// Too many requests; after the wait there may be another.
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let problem = Self::new(ProblemCode::TooManyRequests, format!("try again in {seconds} s"));
        Self { retry_after: Some(seconds), ..problem }
    }

    /// The server is busy, or ends.
    #[must_use]
    pub fn busy() -> Self {
        Self { retry_after: Some(1), ..Self::new(ProblemCode::Busy, "try again in 1 s") }
    }

    /// The body did not come in time.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(ProblemCode::Timeout, "the request did not arrive in time")
    }

    /// A failure that the client cannot mend. The reason belongs into the log, not here.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ProblemCode::Internal, "the server's log has the reason")
    }

    /// HTTP status of the response.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", crate::PROBLEM.to_owned())];
        headers.extend(self.retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        if self.code == ProblemCode::Unauthorized {
            headers.push(("www-authenticate", "Bearer".to_owned()));
        }
        if !self.allow.is_empty() {
            headers.push(("allow", self.allow.join(",")));
        }
        headers
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ProblemCode {
        self.code
    }

    /// The body of the answer.
    #[must_use]
    pub fn details(&self) -> ProblemDetails {
        ProblemDetails {
            uri: format!("{TYPE}{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.status(),
            detail: self.detail.clone(),
        }
    }

    /// The problem as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!(self.details())
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
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json().to_string()).into_response();
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_those_of_the_documentation() {
        let names: BTreeSet<&str> = ProblemCode::ALL.map(ProblemCode::name).into();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert_eq!(json!(code), json!(code.name()));
        }
        let page = include_str!("../../../docs/http.md");
        let table = page.split("\n## ").find(|section| section.starts_with("Errors\n")).unwrap();
        for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
            let mut cells = row.split('|').skip(1);
            let statuses: BTreeSet<u16> = cells.next().unwrap().split(',').map(|s| s.trim().parse().unwrap()).collect();
            let row_codes: Vec<&str> = cells.next().unwrap().split(',').map(|c| c.trim().trim_matches('`')).collect();
            let of = |name: &str| ProblemCode::ALL.into_iter().find(|code| code.name() == name).unwrap();
            assert_eq!(row_codes.iter().map(|name| of(name).status()).collect::<BTreeSet<_>>(), statuses, "{row}");
        }
        for name in names {
            assert!(table.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_problem_is_read_as_it_is_written() {
        let problem = Problem::too_many(Duration::from_millis(2500));
        let text = problem.to_json().to_string();
        assert_eq!(
            text,
            r#"{"detail":"try again in 3 s","status":429,"title":"Too many requests","type":"urn:vidsieve:problem:too-many-requests"}"#
        );
        let details: ProblemDetails = serde_json::from_str(&text).unwrap();
        assert_eq!((details.code(), details), (Some(ProblemCode::TooManyRequests), problem.details()));
        assert!(problem.headers().contains(&("retry-after", "3".to_owned())));
        let other = ProblemDetails { uri: "about:blank".to_owned(), ..problem.details() };
        assert_eq!(other.code(), None);
    }
}
