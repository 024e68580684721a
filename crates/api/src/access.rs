//! Who may ask what: scopes of routes, bearer tokens of requests, names of this machine, and what pages of elsewhere may send.

use std::net::IpAddr;

use http::uri::Authority;

use crate::auth::Scope;

/// Where it is asked whether a server is there.
pub const HEALTH: &str = "/v1/health";
/// The contract.
pub const OPENAPI: &str = "/v1/openapi.json";
/// Files of a server that has some.
pub const MEDIA: &str = "/media/{*path}";

/// What pages of other origins may do where they are let in.
pub const CORS_METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
/// The headers that they may send.
pub const CORS_HEADERS: [&str; 2] = ["authorization", "content-type"];
/// The headers that they may read.
pub const CORS_EXPOSED: [&str; 2] = ["etag", "retry-after"];
/// Seconds for which a browser keeps that.
pub const CORS_SECONDS: u32 = 3600;

/// What a route needs; a route is its template, as in the document.
#[must_use]
pub fn scope_of(method: &str, route: &str) -> Option<Scope> {
    match (method, route) {
        (_, HEALTH | OPENAPI | MEDIA) => None,
        ("PUT" | "DELETE", _) => Some(Scope::Write),
        _ => Some(Scope::Search),
    }
}

/// Whether an open search opens a route.
#[must_use]
pub fn is_opened(method: &str, route: &str) -> bool {
    matches!(
        (method, route),
        ("POST", "/v1/search" | "/v1/encode") | ("GET" | "HEAD", "/v1/model" | "/v1/model/bundle")
    )
}

/// The token of an `Authorization` header.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether an authority names this machine for itself.
#[must_use]
pub fn is_own(authority: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(authority) else { return false };
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a text can be an origin of pages.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The media type of a `Content-Type` header, without its parameters.
#[must_use]
pub fn media_type(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
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

    #[test]
    fn tokens_of_headers() {
        assert_eq!(bearer("Bearer  abc "), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert!(bearer("Basic abc").is_none() && bearer("abc").is_none());
    }
}
