//! The state of admission: [`Admission`] with rates that are counted in memory.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, header};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use vidsieve_api::admission::rate_address;
use vidsieve_api::{Admission, AdmissionRequest, Admitted, Problem, RateKey, Route};

use crate::config::Config;
use crate::request::text;

/// Keys above which those are forgotten that have not been counted for a while.
const MANY: usize = 10_000;

/// Admission with its rates.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) admission: Admission,
    limiter: DefaultKeyedRateLimiter<RateKey>,
    proxies: Vec<IpNet>,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(config.rate)).allow_burst(at_least_one(config.burst));
        Self {
            admission: Admission::new(config.tokens.clone(), config.open_search, config.read_only),
            limiter: RateLimiter::keyed(quota),
            proxies: config.trusted_proxies.clone(),
        }
    }

    /// Counts a request; the wait if there were too many.
    fn count(&self, key: &RateKey) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Whether an address is one of a trusted proxy.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// The client of a request: the peer, or what a trusted proxy says of it. Of several hops the last one that is no trusted
    /// proxy: those before it are what a client claims.
    pub(crate) fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())?;
        let mut client = peer;
        for hop in hops(request.headers()) {
            if !self.is_proxy(client) {
                break;
            }
            let Some(address) = hop else { break };
            client = address;
        }
        Some(client)
    }

    /// Checks the token of a request and counts it.
    pub(crate) fn admit(&self, request: &Request) -> Result<Admitted, Problem> {
        let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let check = self.admission.check(AdmissionRequest {
            method: request.method().as_str(),
            route: Route::of_template(template).ok_or_else(Problem::unknown_route)?,
            authorization: text(request.headers(), header::AUTHORIZATION),
            address: rate_address(self.client(request)),
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        })?;
        let counted = check.rate_key().map_or(Ok(()), |key| self.count(key));
        check.admit(&self.admission, counted)
    }
}

/// The hops of `X-Forwarded-For`, the last one first; `None` for one that is no address.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    let address = |text: &str| {
        let text = text.trim();
        text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()
    };
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    lines.flat_map(move |line| line.to_str().unwrap_or_default().rsplit(',').map(address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_trusted_proxies_name_clients() {
        let trusted_proxies = ["10.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap()).to_vec();
        let gate = Gate::new(&Config { trusted_proxies, ..Config::default() });
        let client = |peer: &str, lines: &[&str]| {
            let mut request = Request::new(axum::body::Body::empty());
            let peer: IpAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
            for line in lines {
                request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
            }
            gate.client(&request).unwrap().to_string()
        };
        for (peer, lines, expected) in [
            ("192.0.2.9", &["198.51.100.1"][..], "192.0.2.9"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            // What a client claims stands before what the proxy adds.
            ("10.1.2.3", &["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["203.0.113.5", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("10.1.2.3", &["198.51.100.1:55"], "198.51.100.1"),
            ("10.1.2.3", &["unknown"], "10.1.2.3"),
            ("10.1.2.3", &["198.51.100.1, nonsense"], "10.1.2.3"),
        ] {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }
}
