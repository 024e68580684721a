//! Who may use the server: [`Admission`] with rates that are counted in memory.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State as Shared};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use vidsieve_api::admission::rate_address;
use vidsieve_api::{Admission, AdmissionRequest, Admitted, Problem, RateKey, Route};

use crate::Config;
use crate::routes::text;
use crate::state::State;

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

    fn admit(&self, request: &Request) -> Result<Admitted, Problem> {
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

/// Checks tokens and rates before anything of the body is read.
pub(crate) async fn admit(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let admitted = match state.gate.admit(&request) {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    response.extensions_mut().insert(admitted);
    response
}

/// Checks the names by which a request calls this machine. Browsers always send one.
pub(crate) async fn check_names(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().map(|host| host.as_bytes());
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    match state.gate.admission.check_names(hosts.chain(authority)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
