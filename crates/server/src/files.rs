//! Files of a folder: media, and a web application.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path as UrlPath, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;
use vidsieve_api::{Problem, Route};

use crate::log;
use crate::request::Answered;
use crate::state::State;
use crate::work::blocking;

fn nothing() -> Problem {
    Problem::not_found("there is no such file")
}

/// Whether a path below a folder leads to a regular file of it: no hidden name, no link that leads out, nothing that would be
/// waited for. A folder stands for its `index.html`.
fn is_served(folder: &Path, below: &Path) -> io::Result<bool> {
    let hidden = |path: &Path| {
        path.components().any(|part| match part {
            Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
            Component::CurDir => false,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => true,
        })
    };
    if hidden(below) {
        return Ok(false);
    }
    let folder = folder.canonicalize()?;
    let mut path = folder.join(below).canonicalize()?;
    if path.is_dir() {
        path = path.join("index.html").canonicalize()?;
    }
    let inside = path.strip_prefix(&folder).is_ok_and(|inside| !hidden(inside));
    Ok(inside && path.metadata()?.is_file())
}

/// The path below a folder that an address names.
fn below(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
    // On every system, as some take it for a separator.
    (!decoded.contains(['\\', '\0'])).then(|| PathBuf::from(decoded.as_ref()))
}

/// Takes out of a request what is to be ignored: ranges in other units than bytes, several at once, damaged ones; conditions
/// for changing a file.
fn ignore(headers: &mut HeaderMap) {
    let known = |value: &HeaderValue| {
        let (unit, range) = value.to_str().ok()?.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let one = unit.trim().eq_ignore_ascii_case("bytes") && number(first) && number(last);
        let ordered = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) => first <= last,
            (Err(_), Err(_)) => false,
            _ => true,
        };
        (one && ordered).then(|| HeaderValue::from_str(&format!("bytes={first}-{last}")).ok())?
    };
    match headers.get(header::RANGE).and_then(known) {
        Some(range) => drop(headers.insert(header::RANGE, range)),
        None => drop(headers.remove(header::RANGE)),
    }
    headers.remove(header::IF_UNMODIFIED_SINCE);
}

/// A file of a folder, or the problem of what is none.
async fn file(folder: &Path, mut request: Request, with_pages: bool) -> Answered {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(Problem::method(Route::Media.methods()));
    }
    let path = below(request.uri().path()).ok_or_else(nothing)?;
    let at = folder.to_owned();
    if !blocking(move || is_served(&at, &path).unwrap_or(false)).await? {
        return Err(nothing());
    }
    ignore(request.headers_mut());
    let served = ServeDir::new(folder).append_index_html_on_directories(with_pages).try_call(request).await;
    // It was there just before.
    let response = served.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidFilename | io::ErrorKind::NotFound => nothing(),
        kind => log::internal(&kind),
    })?;
    match response.status() {
        StatusCode::NOT_FOUND => Err(nothing()),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let range = response.headers().get(header::CONTENT_RANGE).cloned();
            let text = range.as_ref().and_then(|range| range.to_str().ok()).unwrap_or_default().to_owned();
            let mut problem = Problem::range(&text).into_response();
            range.map(|range| problem.headers_mut().insert(header::CONTENT_RANGE, range));
            Ok(problem)
        }
        status if status.is_client_error() || status.is_server_error() => Err(log::internal(&status)),
        _ => Ok(response.into_response()),
    }
}

/// Serves a file of the media folder.
pub(crate) async fn media(
    Shared(state): Shared<Arc<State>>,
    path: Result<UrlPath<String>, PathRejection>,
    mut request: Request,
) -> Answered {
    let inside = request.uri().path().strip_prefix("/media").and_then(|rest| rest.parse::<Uri>().ok());
    let (Ok(_), Some(folder), Some(inside)) = (path, &state.config.media, inside) else { return Err(nothing()) };
    *request.uri_mut() = inside;
    let mut response = file(folder, request, false).await?;
    // A file that is no media runs no scripts with this server's origin.
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    Ok(response)
}

/// Serves a file of the web application.
pub(crate) async fn page(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Problem> {
    let folder = state.config.www.as_deref().ok_or_else(Problem::unknown_route)?;
    file(folder, request, true).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranges_that_are_understood() {
        let left = |range: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
            ignore(&mut headers);
            headers.get(header::RANGE).map(|value| value.to_str().unwrap().to_owned())
        };
        for (range, expected) in [("bytes=0-5", "bytes=0-5"), ("Bytes = 7-", "bytes=7-"), ("bytes=-3", "bytes=-3")] {
            assert_eq!(left(range).as_deref(), Some(expected), "{range}");
        }
        for range in
            ["frames=0-5", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "bytes=a-b", "bytes=+1-2"]
        {
            assert_eq!(left(range), None, "{range}");
        }
    }
}
