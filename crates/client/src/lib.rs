//! An endpoint that answers the HTTP API (`docs/http.md`): the edge Workers, or `vidsieve serve` on another machine.
//!
//! Requests that may succeed later are made again, with pauses; when the server asks one of them to wait, all wait.

pub mod costs;
mod error;
mod load;
mod push;

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use vidsieve_api::videos::{Listed, Listing};
use vidsieve_api::{ProblemCode, ProblemDetails, Route};
use vidsieve_index::retry::{Gate, is_transient, told};
use vidsieve_record::BundleId;
use vidsieve_record::wire::RECORD_TYPE;

pub use error::EndpointError;
pub use load::{LoadCell, LoadError, LoadOptions, LoadReport, LoadSecond, LoadSpread, LoadWriting, run_load};
pub use push::Pushed;
pub use vidsieve_index::retry::Retry;

/// The environment variable that holds the token.
pub const TOKEN: &str = "VIDSIEVE_TOKEN";
/// Requests that are under way at the same time, unless told otherwise.
pub const JOBS: usize = 8;

/// Videos of a page of the listing.
const PAGE: usize = 1000;
/// Most bytes of an answer.
const MAX_ANSWER: usize = 256 << 20;
/// Tries of the first request: a wrong address is reported soon.
const FIRST_TRIES: u32 = 3;
/// Time for a request, and the least bytes of its body that go in a second.
const TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 50_000;
/// A connection that lay idle for so long is not used again: servers close theirs, some after five seconds.
const IDLE: Duration = Duration::from_secs(4);

/// How an endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests that are under way at the same time, at least 1.
    pub jobs: usize,
    /// When requests are made again.
    pub retry: Retry,
}

impl Default for Settings {
    fn default() -> Self {
        Self { jobs: JOBS, retry: Retry::default() }
    }
}

/// The lines of an answer to a search, and when the first of them was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Pages {
    /// The lines.
    pub lines: Vec<serde_json::Value>,
    /// From the request to the end of the first line.
    pub first: Duration,
    /// From the request to the end.
    pub total: Duration,
}

/// An endpoint.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    /// For requests that are made again, each on a connection of its own: a server that was busy for long may have closed all that lay idle.
    fresh: Client,
    address: String,
    token: Option<HeaderValue>,
    settings: Settings,
    gate: Gate,
    repeated: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The innermost reason of an error: what the system said.
fn reason(error: &reqwest::Error) -> String {
    let mut source = error.source();
    let mut text = if error.is_timeout() { "it took too long".to_owned() } else { error.to_string() };
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// What a problem says, or the beginning of a body that is none.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { title, detail }) => [title, detail].into_iter().flatten().collect::<Vec<_>>().join(": "),
        Err(_) => {
            String::from_utf8_lossy(&body[..body.len().min(120)]).split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

/// Whether a body is a problem that lasts, whatever its status: the record of a video is damaged.
fn is_lasting(body: &[u8]) -> bool {
    let problem: Option<ProblemDetails> = serde_json::from_slice(body).ok();
    problem.and_then(|problem| problem.code()) == Some(ProblemCode::DamagedRecord)
}

impl Endpoint {
    /// Whether a location names an endpoint rather than a store.
    #[must_use]
    pub fn is_address(location: &str) -> bool {
        location.starts_with("https://") || location.starts_with("http://")
    }

    /// The endpoint at an address, which may have a path that all requests begin with. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`EndpointError::Address`]; [`EndpointError::Plain`] for a token to another machine without TLS.
    pub fn open(address: &str, token: Option<&str>, settings: Settings) -> Result<Self, EndpointError> {
        let shown = address.split(['?', '#']).next().unwrap_or_default();
        let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
            _ => shown.trim_end_matches('/').to_owned(),
        };
        let refuse = |reason| EndpointError::Address { address: shown.clone(), reason };
        let url = Url::parse(address).map_err(|_| refuse("it cannot be read"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("it is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it holds credentials, which belong in the environment or a file"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has options"));
        }
        let own = match url.host_str() {
            Some("localhost") => true,
            Some(host) => {
                let literal = host.trim_start_matches('[').trim_end_matches(']');
                literal.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
            }
            None => return Err(refuse("it names no host")),
        };
        if token.is_some() && url.scheme() == "http" && !own {
            return Err(EndpointError::Plain(shown));
        }
        let token = token
            .map(|token| {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.ok().filter(|_| !token.is_empty()).ok_or(EndpointError::TokenText)?;
                value.set_sensitive(true);
                Ok::<_, EndpointError>(value)
            })
            .transpose()?;
        vidsieve_index::tls::install_provider();
        // A token goes nowhere else: redirections are not followed.
        let client = |idle: usize| {
            Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("vidsieve/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| EndpointError::Unreachable { address: shown.clone(), tries: 0, reason: reason(&e) })
        };
        let (client, fresh) = (client(usize::MAX)?, client(0)?);
        let settings = Settings {
            jobs: settings.jobs.max(1),
            retry: Retry { tries: settings.retry.tries.max(1), ..settings.retry },
        };
        let repeated = std::sync::Arc::default();
        Ok(Self { client, fresh, address: shown, token, settings, gate: Gate::default(), repeated })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Requests so far that were made again.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn refused(&self, status: u16, body: &[u8]) -> EndpointError {
        let (address, detail) = (self.address.clone(), detail(body));
        match status {
            401 | 403 => EndpointError::Token { address, status, detail },
            507 => EndpointError::Full { address, detail },
            _ => EndpointError::Refused { status, detail },
        }
    }

    /// A request, made again while that may help. Its body; statuses from 300 on are errors.
    async fn ask(&self, request: Request<'_>, tries: u32) -> Result<Vec<u8>, EndpointError> {
        let retry = Retry { tries, ..self.settings.retry };
        let mut failed = 0;
        loop {
            self.gate.pass().await;
            let (told, error) = match self.once(&request, failed > 0).await {
                Ok((status, _, body)) if status < 300 => return Ok(body),
                Ok((status, _, body)) if !is_transient(status) || is_lasting(&body) => {
                    return Err(self.refused(status, &body));
                }
                Ok((status, told, body)) => {
                    let error = EndpointError::Busy {
                        address: self.address.clone(),
                        status,
                        tries: failed + 1,
                        detail: detail(&body),
                    };
                    (told, error)
                }
                Err(reason) => {
                    let error = EndpointError::Unreachable { address: self.address.clone(), tries: failed + 1, reason };
                    (None, error)
                }
            };
            failed += 1;
            let Some(pause) = retry.pause(failed, told) else { return Err(error) };
            self.repeated.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if told.is_some() {
                self.gate.close(pause);
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn build(&self, request: &Request<'_>, again: bool) -> reqwest::RequestBuilder {
        let Request { method, path, body } = request;
        let client = if again { &self.fresh } else { &self.client };
        let mut builder = client.request(method.clone(), format!("{}{path}", self.address));
        let bytes = body.map_or(0, |b| b.len() as u64);
        builder = builder.timeout(TIMEOUT + Duration::from_secs(bytes / SLOWEST));
        if let Some(token) = &self.token {
            builder = builder.header(AUTHORIZATION, token);
        }
        match body {
            Some(body) => builder.header(CONTENT_TYPE, RECORD_TYPE).body(body.to_vec()),
            None => builder,
        }
    }

    /// One try: status, the pause that the server asks for, body.
    async fn once(&self, request: &Request<'_>, again: bool) -> Result<(u16, Option<Duration>, Vec<u8>), String> {
        let mut response = self.build(request, again).send().await.map_err(|e| reason(&e))?;
        let pause = response.headers().get(RETRY_AFTER).and_then(|v| told(v.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| reason(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), pause, body))
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, what: &'static str, body: &[u8]) -> Result<T, EndpointError> {
        serde_json::from_slice(body).map_err(|e| EndpointError::Answer {
            address: self.address.clone(),
            what,
            detail: format!("{e} in {:?}", detail(body)),
        })
    }

    /// The bundle that its records must be made with. Asked first, so that a wrong address or token is reported soon.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn bundle(&self) -> Result<BundleId, EndpointError> {
        #[derive(Deserialize)]
        struct Model {
            bundle: String,
        }
        let what = "its model";
        let tries = self.settings.retry.tries.min(FIRST_TRIES);
        let answer = match self.ask(Request::get(Route::Model.template()), tries).await {
            Err(EndpointError::Refused { status, detail }) => {
                let detail = format!("status {status}: {detail}");
                return Err(EndpointError::Answer { address: self.address.clone(), what, detail });
            }
            other => other?,
        };
        let model: Model = self.json(what, &answer)?;
        let detail = |e: &dyn fmt::Display| e.to_string();
        model.bundle.parse().map_err(|e| EndpointError::Answer {
            address: self.address.clone(),
            what,
            detail: detail(&e),
        })
    }

    /// Videos there.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn videos(&self) -> Result<u64, EndpointError> {
        #[derive(Deserialize)]
        struct Health {
            videos: u64,
        }
        let answer = self.ask(Request::get(Route::Health.template()), self.settings.retry.tries).await?;
        Ok(self.json::<Health>("its health", &answer)?.videos)
    }

    /// Memory in bytes, where its metrics tell it: of the server's process, or of the isolate at the edge that answers.
    ///
    /// # Errors
    /// [`EndpointError`]; also where there are no metrics.
    pub async fn memory(&self) -> Result<Option<u64>, EndpointError> {
        let answer = self.ask(Request::get(Route::Metrics.template()), 1).await?;
        let text = String::from_utf8_lossy(&answer);
        let names = ["process_resident_memory_bytes ", "vidsieve_wasm_memory_bytes "];
        let value = text.lines().find_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
        Ok(value.and_then(|value| value.trim().parse().ok()))
    }

    /// A page of the videos there, and the id that the next page comes after; `None` for the last.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn page(&self, after: Option<&str>) -> Result<(Vec<Listed>, Option<String>), EndpointError> {
        let path = Route::listing_path(after, PAGE);
        let answer = self.ask(Request::get(&path), self.settings.retry.tries).await?;
        let page: Listing = self.json("its list of videos", &answer)?;
        // A list that does not go on would be read for ever.
        let next = page.next.filter(|next| Some(next.as_str()) != after && !page.videos.is_empty());
        Ok((page.videos, next))
    }

    fn path(id: &str) -> Result<String, EndpointError> {
        match id {
            // They name other places, also when they are escaped.
            "." | ".." => Err(EndpointError::Id(id.to_owned())),
            _ => Ok(Route::video_path(id)),
        }
    }

    /// The bytes of a video's record; `None` if it is not there.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>, EndpointError> {
        match self.ask(Request::get(&Self::path(id)?), self.settings.retry.tries).await {
            Ok(record) => Ok(Some(record)),
            Err(EndpointError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a video or replaces it.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn put(&self, id: &str, record: &[u8]) -> Result<(), EndpointError> {
        let path = Self::path(id)?;
        let request = Request { method: Method::PUT, path: &path, body: Some(record) };
        self.ask(request, self.settings.retry.tries).await.map(|_| ())
    }

    /// Removes a video; one that is not there is none.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub async fn remove(&self, id: &str) -> Result<(), EndpointError> {
        let path = Self::path(id)?;
        let request = Request { method: Method::DELETE, path: &path, body: None };
        match self.ask(request, self.settings.retry.tries).await {
            Ok(_) | Err(EndpointError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Searches for a record. A search that is refused is an error and is not retried. `options` are those of the query string.
    ///
    /// # Errors
    /// [`EndpointError`]; [`EndpointError::Busy`] for a status that a later try may not have.
    pub async fn search(&self, record: &[u8], options: &str) -> Result<Pages, EndpointError> {
        let path = format!("{}?{options}", Route::Search.template());
        let request = Request { method: Method::POST, path: &path, body: Some(record) };
        let lost = |tries| {
            move |e: reqwest::Error| EndpointError::Unreachable {
                address: self.address.clone(),
                tries,
                reason: reason(&e),
            }
        };
        let start = Instant::now();
        // A server may close a connection that lies idle at the moment in which it is used again.
        let mut response = match self.build(&request, false).send().await {
            Err(error) if error.is_request() && !error.is_timeout() => {
                self.repeated.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.build(&request, true).send().await.map_err(lost(2))?
            }
            other => other.map_err(lost(1))?,
        };
        let status = response.status().as_u16();
        let (mut body, mut first) = (Vec::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(lost(1))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(EndpointError::Answer {
                    address: self.address.clone(),
                    what: "its answer",
                    detail: format!("it is longer than {MAX_ANSWER} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
            if first.is_none() && chunk.contains(&b'\n') {
                first = Some(start.elapsed());
            }
        }
        let total = start.elapsed();
        if is_transient(status) {
            return Err(EndpointError::Busy { address: self.address.clone(), status, tries: 1, detail: detail(&body) });
        }
        if status != 200 {
            return Err(self.refused(status, &body));
        }
        let lines = body.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| self.json("its answer", line)).collect::<Result<_, _>>()?;
        Ok(Pages { lines, first: first.unwrap_or(total), total })
    }
}

/// What is asked for.
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses() {
        let open = |address: &str, token| Endpoint::open(address, token, Settings::default());
        for (address, shown) in [
            ("https://videos.example.org/", "https://videos.example.org"),
            ("https://example.org/archive", "https://example.org/archive"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("http://[::1]:8787", "http://[::1]:8787"),
        ] {
            assert_eq!(open(address, Some("secret")).unwrap().address(), shown);
        }
        assert!(matches!(open("http://example.org", Some("secret")), Err(EndpointError::Plain(_))));
        assert!(open("http://example.org", None).is_ok(), "without a token there is nothing to read");
        for address in ["", "https://", "https://a:secret@b", "https://a?token=secret", "ftp://a", "https://a#secret"] {
            let error = open(address, None).unwrap_err().to_string();
            assert!(error.contains("no endpoint") && !error.contains("secret"), "{address}: {error}");
        }
        for token in ["", "two\nlines"] {
            assert!(matches!(open("https://a", Some(token)), Err(EndpointError::TokenText)));
        }
        let endpoint = open("https://a", Some("secret")).unwrap();
        assert!(!format!("{endpoint:?}").contains("secret"));
    }

    #[test]
    fn paths() {
        let path = |id| Endpoint::path(id).unwrap();
        assert_eq!(path("a b/ü?#%2F.mp4"), "/v1/videos/a%20b%2F%C3%BC%3F%23%252F.mp4");
        assert_eq!(path("..."), "/v1/videos/...");
        assert!(Endpoint::path("..").is_err() && Endpoint::path(".").is_err());
    }

    #[test]
    fn problems() {
        assert_eq!(detail(br#"{"title":"A","detail":"b"}"#), "A: b");
        assert_eq!(detail(b"<html>\n  no</html>"), "<html> no</html>");
    }
}
