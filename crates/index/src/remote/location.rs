//! What a location means.

use std::collections::BTreeMap;
use std::time::Duration;

use opendal::{HttpTransporter, OperationContext, Operator, layers, services};

use super::transport::Transport;
use super::{Remote, RemoteError};
use crate::retry::{Gate, Retry};

/// Where the interface of Cloudflare KV is.
const CLOUDFLARE: &str = "https://api.cloudflare.com/client/v4";

/// A location as it may be shown: without a user and password, which do not belong there, and without options.
fn without_secrets(location: &str) -> String {
    let shown = location.split('?').next().unwrap_or_default();
    match (shown.split_once(':'), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => shown.to_owned(),
    }
}

/// The parts of a location: what stands before and behind the first `/`, and the options.
struct Location<'a> {
    host: &'a str,
    path: &'a str,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Location<'a> {
    fn of(rest: &'a str, known: &[&str]) -> Result<Self, &'static str> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        if host.contains('@') {
            return Err("it holds credentials, which belong in the environment");
        }
        let options: BTreeMap<&str, &str> =
            query.split('&').filter(|o| !o.is_empty()).map(|o| o.split_once('=').unwrap_or((o, ""))).collect();
        if options.keys().any(|k| !known.contains(k)) {
            return Err("it has an option that this store does not know");
        }
        Ok(Self { host, path, options })
    }

    /// Another address of the store's interface, which a token is sent to: over TLS unless it is on this machine.
    fn endpoint(&self) -> Result<Option<&'a str>, &'static str> {
        let Some(endpoint) = self.options.get("endpoint").copied() else { return Ok(None) };
        let own = endpoint.strip_prefix("http://").is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            ["127.0.0.1", "localhost", "[::1]"]
                .iter()
                .any(|h| host.strip_prefix(h).is_some_and(|p| p.is_empty() || p.starts_with(':')))
        });
        match own || endpoint.starts_with("https://") {
            true => Ok(Some(endpoint.trim_end_matches('/'))),
            false => Err("its endpoint is neither https nor of this machine"),
        }
    }

    fn root(&self, prefix: &str) -> String {
        format!("/{}", prefix.trim_matches('/'))
    }
}

fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

impl Remote {
    /// The store of a location. Nothing is connected to yet. Credentials come from the environment: [`CREDENTIALS`](super::CREDENTIALS).
    ///
    /// # Errors
    /// [`RemoteError::Location`]; [`RemoteError::Store`] for options that the store refuses.
    pub fn open(location: &str) -> Result<Self, RemoteError> {
        let refuse = |reason| RemoteError::Location { location: without_secrets(location), reason };
        // What is shown of it later ends before the options.
        let shown = location.split('?').next().unwrap_or_default().to_owned();
        let fail = |source| RemoteError::Store { location: shown.clone(), source: Box::new(source) };
        let (scheme, rest) = location.split_once(':').ok_or_else(|| refuse("it names no kind of store"))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        crate::tls::install_provider();
        // OpenDAL installs its transport by itself only with its own choice of cryptography. Connections
        // are made by the first request.
        opendal_http_transport_reqwest::install_default();
        let gate = Gate::default();
        let mut transport = Transport::new(gate.clone());
        let operator = match scheme {
            "fs" if rest.is_empty() => return Err(refuse("it names no folder")),
            // Written elsewhere and then renamed: a file that is there is whole.
            "fs" => {
                let unfinished = std::path::Path::new(rest).join(".unfinished");
                let service = services::Fs::default().root(rest).atomic_write_dir(&unfinished.to_string_lossy());
                Operator::new(service).map_err(fail)?
            }
            "memory" => Operator::new(services::Memory::default()).map_err(fail)?,
            "redis" | "rediss" => {
                let place = Location::of(rest, &["prefix"]).map_err(refuse)?;
                let database = if place.path.is_empty() { Ok(0) } else { place.path.parse() };
                let database = database.map_err(|_| refuse("the database is no number"))?;
                let port = if place.host.contains(':') { "" } else { ":6379" };
                let mut service = services::Redis::default()
                    .endpoint(&format!("{scheme}://{}{port}", place.host))
                    .db(database)
                    .root(&place.root(place.options.get("prefix").copied().unwrap_or("vidsieve")));
                if let Some(name) = secret("VIDSIEVE_REDIS_USERNAME") {
                    service = service.username(&name);
                }
                if let Some(password) = secret("VIDSIEVE_REDIS_PASSWORD") {
                    service = service.password(&password);
                }
                Operator::new(service).map_err(fail)?
            }
            "s3" => {
                let place = Location::of(rest, &["endpoint", "region"]).map_err(refuse)?;
                if place.host.is_empty() {
                    return Err(refuse("it names no bucket"));
                }
                let mut service = services::S3::default().bucket(place.host).root(&place.root(place.path));
                if let Some(endpoint) = place.options.get("endpoint") {
                    service = service.endpoint(endpoint);
                }
                let region = place.options.get("region").map(|r| (*r).to_owned()).or_else(|| secret("AWS_REGION"));
                service = service.region(region.as_deref().unwrap_or("auto"));
                Operator::new(service).map_err(fail)?
            }
            "cloudflare-kv" => {
                let place = Location::of(rest, &["prefix", "endpoint"]).map_err(refuse)?;
                if place.host.is_empty() || place.path.is_empty() || place.path.contains('/') {
                    return Err(refuse("it names no account and namespace"));
                }
                let keys = format!("/accounts/{}/storage/kv/namespaces/{}/values/", place.host, place.path);
                let endpoint = place.endpoint().map_err(refuse)?.unwrap_or(CLOUDFLARE);
                let token = secret("CLOUDFLARE_API_TOKEN")
                    .ok_or_else(|| refuse("the environment variable CLOUDFLARE_API_TOKEN is not set"))?;
                transport = transport.of_keys(CLOUDFLARE, endpoint, &keys);
                let service = services::CloudflareKv::default()
                    .account_id(place.host)
                    .namespace_id(place.path)
                    .api_token(&token)
                    .root(&place.root(place.options.get("prefix").copied().unwrap_or("")));
                Operator::new(service).map_err(fail)?
            }
            _ => return Err(refuse("there is no such kind of store")),
        };
        opendal::install_default();
        // Redis is near, and its connections wait for it by themselves.
        let tries = if matches!(scheme, "s3" | "cloudflare-kv") { Retry::default().tries } else { 1 };
        let retry = Retry { tries, ..Retry::default() };
        let operator =
            operator.with_context(OperationContext::new().with_http_transport(HttpTransporter::new(transport))).layer(
                layers::TimeoutLayer::new()
                    .with_timeout(Duration::from_secs(30))
                    .with_io_timeout(Duration::from_secs(30)),
            );
        Ok(Self { operator, location: shown, gate, retry })
    }
}
