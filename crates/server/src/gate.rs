//! The state of admission: [`Admission`] with rates that are counted in memory.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::header;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
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
    start: Instant,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(config.rate)).allow_burst(at_least_one(config.burst));
        Self {
            admission: Admission::new(config.tokens.clone(), config.open_search, config.read_only),
            limiter: RateLimiter::keyed(quota),
            start: Instant::now(),
        }
    }

    /// Counts a request; the wait if there were too many.
    fn count(&self, key: &RateKey) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Checks the token of a request and counts it.
    pub(crate) fn admit(&self, request: &Request) -> Result<Admitted, Problem> {
        let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let check = self.admission.check(AdmissionRequest {
            method: request.method().as_str(),
            route: Route::of_template(template).ok_or_else(Problem::unknown_route)?,
            authorization: text(request.headers(), header::AUTHORIZATION),
            address: rate_address(peer),
            now: self.start.elapsed(),
        })?;
        let counted = check.rate_key().map_or(Ok(()), |key| self.count(key));
        check.admit(&self.admission, counted)
    }
}
