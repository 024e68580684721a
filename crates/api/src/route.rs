//! The routes of the API: templates, methods, scopes, and what pages of other origins may do.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::auth::Scope;
use crate::problem::Problem;
use crate::videos;

/// Bytes of an id that are not escaped in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Methods that pages of allowed origins may use.
pub const CORS_METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
/// Request headers that they may send.
pub const CORS_HEADERS: [&str; 4] = ["authorization", "content-type", "if-none-match", "traceparent"];
/// Response headers that they may read.
pub const CORS_EXPOSED: [&str; 3] = ["etag", "retry-after", "x-request-id"];
/// Seconds for which a browser caches a preflight.
pub const CORS_SECONDS: u32 = 3600;

/// A route of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Finds a video.
    Search,
    /// Compares a video with named candidates.
    Rerank,
    /// Makes a record of frames or region vectors.
    Encode,
    /// Lists the videos.
    Videos,
    /// Reads, adds, replaces or removes a video.
    Video,
    /// Finds copies in the index of a native server.
    Dedupe,
    /// Makes a plan of chosen copies.
    DedupePlan,
    /// Keeps a decision about videos.
    Decisions,
    /// Describes the bundle that records must be made with.
    Model,
    /// Downloads that bundle.
    Bundle,
    /// Reports that the server is up.
    Health,
    /// Reports whether it can do its work, and what stands in the way.
    Ready,
    /// Returns the OpenAPI document.
    OpenApi,
    /// Returns figures for Prometheus.
    Metrics,
    /// Serves a media file of a native server; not in the document.
    Media,
}

impl Route {
    /// The routes of the OpenAPI document.
    pub const DOCUMENTED: [Self; 14] = [
        Self::Search,
        Self::Rerank,
        Self::Encode,
        Self::Videos,
        Self::Video,
        Self::Dedupe,
        Self::DedupePlan,
        Self::Decisions,
        Self::Model,
        Self::Bundle,
        Self::Health,
        Self::Ready,
        Self::OpenApi,
        Self::Metrics,
    ];

    /// The path template, with `{id}` for the id of a video.
    #[must_use]
    pub const fn template(self) -> &'static str {
        match self {
            Self::Search => "/v1/search",
            Self::Rerank => "/v1/rerank",
            Self::Encode => "/v1/encode",
            Self::Videos => "/v1/videos",
            Self::Video => "/v1/videos/{id}",
            Self::Dedupe => "/v1/dedupe",
            Self::DedupePlan => "/v1/dedupe/plan",
            Self::Decisions => "/v1/dedupe/decisions",
            Self::Model => "/v1/model",
            Self::Bundle => "/v1/model/bundle",
            Self::Health => "/v1/health",
            Self::Ready => "/v1/ready",
            Self::OpenApi => "/v1/openapi.json",
            Self::Metrics => "/metrics",
            Self::Media => "/media/{*path}",
        }
    }

    /// The route of a template.
    #[must_use]
    pub fn of_template(template: &str) -> Option<Self> {
        Self::DOCUMENTED.into_iter().chain([Self::Media]).find(|route| route.template() == template)
    }

    /// The documented route of a path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        match escaped_id(path) {
            Some(_) => Some(Self::Video),
            None => Self::DOCUMENTED.into_iter().find(|route| route.template() == path && *route != Self::Video),
        }
    }

    /// The route of a request, of those that a server has.
    ///
    /// # Errors
    /// `not-found`, `method-not-allowed`.
    pub fn resolve(routes: &[Self], method: &str, path: &str) -> Result<Self, Problem> {
        let route = Self::of_path(path).filter(|route| routes.contains(route)).ok_or_else(Problem::unknown_route)?;
        route.check_method(method)?;
        Ok(route)
    }

    /// The methods of the route; where there is `GET` there is `HEAD`.
    #[must_use]
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Search | Self::Rerank | Self::Encode | Self::Dedupe | Self::DedupePlan => &["POST"],
            Self::Decisions => &["PUT"],
            Self::Video => &["GET", "HEAD", "PUT", "DELETE"],
            _ => &["GET", "HEAD"],
        }
    }

    /// Checks that the route has a method.
    ///
    /// # Errors
    /// `method-not-allowed`.
    pub fn check_method(self, method: &str) -> Result<(), Problem> {
        if self.methods().contains(&method) { Ok(()) } else { Err(Problem::method(self.methods())) }
    }

    /// The scope that a request needs; `None` where no token is needed.
    #[must_use]
    pub fn scope(self, method: &str) -> Option<Scope> {
        match (self, method) {
            (Self::Health | Self::Ready | Self::OpenApi | Self::Media, _) => None,
            // Both name files with their paths on the server, and take long.
            (Self::Dedupe | Self::DedupePlan, _) => Some(Scope::Write),
            (_, "PUT" | "DELETE") => Some(Scope::Write),
            _ => Some(Scope::Search),
        }
    }

    /// Whether a request changes the index: a server that only reads refuses it.
    #[must_use]
    pub fn is_change(method: &str) -> bool {
        matches!(method, "PUT" | "DELETE")
    }

    /// Whether it tells of the server's health: it has no rate, and is answered where nothing else is.
    #[must_use]
    pub const fn is_health(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }

    /// Whether a server with an open search answers this method without a token.
    #[must_use]
    pub fn is_open_search(self, method: &str) -> bool {
        matches!(self, Self::Search | Self::Encode | Self::Model | Self::Bundle) && self.methods().contains(&method)
    }

    /// The path of a video.
    #[must_use]
    pub fn video_path(id: &str) -> String {
        format!("{}/{}", Self::Videos.template(), utf8_percent_encode(id, SEGMENT))
    }

    /// The id in the path of a video.
    ///
    /// # Errors
    /// `bad-request` for a path without an id that can be used.
    pub fn video_id(path: &str) -> Result<String, Problem> {
        let decoded = |id| percent_decode_str(id).decode_utf8().ok().map(|id| id.into_owned());
        videos::checked(escaped_id(path).and_then(decoded))
    }

    /// The path of a page of the listing, after an id.
    #[must_use]
    pub fn listing_path(after: Option<&str>, limit: usize) -> String {
        let after = after.map(|after| format!("&after={}", utf8_percent_encode(after, NON_ALPHANUMERIC)));
        format!("{}?limit={limit}{}", Self::Videos.template(), after.unwrap_or_default())
    }
}

/// The id in the path of a video, as it stands there.
fn escaped_id(path: &str) -> Option<&str> {
    let id = path.strip_prefix(Route::Videos.template())?.strip_prefix('/')?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_these_routes_methods_and_scopes() {
        let document: serde_json::Value = serde_json::from_str(crate::OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
        assert_eq!(documented, Route::DOCUMENTED.map(Route::template).into());
        for route in Route::DOCUMENTED {
            let operations = paths[route.template()].as_object().unwrap();
            let methods = operations.keys().filter(|key| *key != "parameters").map(|key| key.to_uppercase());
            let ours = route.methods().iter().filter(|method| **method != "HEAD").map(|method| (*method).to_owned());
            assert_eq!(methods.collect::<BTreeSet<_>>(), ours.collect(), "{route:?}");
            for (method, operation) in operations.iter().filter(|(key, _)| *key != "parameters") {
                // The empty requirement alone: no token.
                let open = operation["security"] == serde_json::json!([{}]);
                assert_eq!(route.scope(&method.to_uppercase()).is_none(), open, "{method} {route:?}");
            }
        }
    }

    #[test]
    fn requests() {
        let resolve = |method: &str, path: &str| Route::resolve(&Route::DOCUMENTED, method, path);
        for route in Route::DOCUMENTED.into_iter().filter(|route| *route != Route::Video) {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                match resolve(method, route.template()) {
                    Ok(found) => assert!(found == route && route.methods().contains(&method)),
                    Err(problem) => {
                        assert!(!route.methods().contains(&method));
                        assert_eq!(problem, Problem::method(route.methods()));
                        assert!(problem.headers().contains(&("allow", route.methods().join(","))));
                    }
                }
            }
        }
        for (path, id) in [("a", "a"), ("a%20b%2F%C3%BC", "a b/ü"), ("%7Bid%7D", "{id}"), ("..", "..")] {
            let path = format!("/v1/videos/{path}");
            assert_eq!(resolve("DELETE", &path), Ok(Route::Video));
            assert_eq!(Route::video_id(&path).as_deref(), Ok(id));
        }
        for id in ["a b/ü?#%2F.mp4", "...", "~-_."] {
            assert_eq!(Route::video_id(&Route::video_path(id)).as_deref(), Ok(id));
        }
        assert_eq!(Route::video_path("a b/ü?#%2F.mp4"), "/v1/videos/a%20b%2F%C3%BC%3F%23%252F.mp4");
        for path in ["/v1/videos/%FF", "/v1/videos/%00", "/v1/videos/", "/v1/videos", "/v1/model"] {
            assert_eq!(Route::video_id(path).unwrap_err().status(), 400, "{path}");
        }
        for path in ["", "/", "/v1", "/v1/", "/v1/search/", "/v1/videos/", "/v1/videos/a/b", "/media/a", "/V1/search"] {
            assert_eq!(resolve("GET", path), Err(Problem::unknown_route()), "{path}");
        }
        assert_eq!(Route::resolve(&[Route::Rerank], "GET", "/v1/model"), Err(Problem::unknown_route()));
        assert_eq!(Route::listing_path(None, 10), "/v1/videos?limit=10");
        assert_eq!(Route::listing_path(Some("a&b"), 10), "/v1/videos?limit=10&after=a%26b");
    }

    #[test]
    fn pages_of_other_origins_may_use_every_method() {
        let all: BTreeSet<&str> = Route::DOCUMENTED.iter().flat_map(|route| route.methods()).copied().collect();
        let simple: BTreeSet<&str> = CORS_METHODS.into_iter().chain(["HEAD"]).collect();
        assert_eq!(all, simple);
    }
}
