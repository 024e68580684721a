//! Who may use a Worker: [`Admission`] with rates that a binding counts, and pages of other
//! origins.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use vidsieve_api::admission::{is_origin, rate_address};
use vidsieve_api::auth::DEFAULT_NAMESPACE;
use vidsieve_api::route::{CORS_EXPOSED, CORS_HEADERS, CORS_METHODS, CORS_SECONDS};
use vidsieve_api::{Admission, AdmissionRequest, Admitted, Problem, RateKey, Route, Tokens};
use worker::{Env, Request, Response};

use crate::config::{flag, number, text};
use crate::error::EdgeError;
use crate::time::now;

/// The name under which the Workers call each other: no name leads from outside to it.
pub const INTERNAL_HOST: &str = "vidsieve.internal";

/// Admission by the variables of a Worker.
#[derive(Debug)]
pub struct Gate {
    admission: Admission,
    origins: Vec<String>,
    period: Duration,
}

thread_local! {
    static GATE: RefCell<Option<Rc<Gate>>> = const { RefCell::new(None) };
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

impl Gate {
    /// The gate of an isolate: `TOKENS`, `OPEN_SEARCH`, `READ_ONLY`, `CORS`, `LIMITS_PERIOD`.
    ///
    /// # Errors
    /// [`EdgeError::Config`].
    pub fn of(env: &Env) -> Result<Rc<Self>, EdgeError> {
        if let Some(gate) = GATE.with_borrow(Clone::clone) {
            return Ok(gate);
        }
        let bad = |name| move |reason: String| EdgeError::Config { name, reason };
        let lines = text(env, "TOKENS").unwrap_or_default();
        let tokens = Tokens::parse(&lines).map_err(|e| bad("TOKENS")(e.to_string()))?;
        let origins: Vec<String> = text(env, "CORS")
            .unwrap_or_default()
            .split(',')
            .map(|origin| origin.trim().to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        if let Some(wrong) = origins.iter().find(|o| *o != "*" && !is_origin(o)) {
            return Err(bad("CORS")(format!("{wrong:?} is no origin: write https://example.org, or * for all")));
        }
        if tokens.is_empty() && origins.iter().any(|o| o == "*") {
            return Err(bad("CORS")("* needs tokens".to_owned()));
        }
        let gate = Rc::new(Self {
            admission: Admission::new(tokens, flag(env, "OPEN_SEARCH")?, flag(env, "READ_ONLY")?),
            origins,
            period: Duration::from_secs(number(env, "LIMITS_PERIOD", 10)?),
        });
        GATE.set(Some(gate.clone()));
        Ok(gate)
    }

    /// Whether answers may be kept by shared caches.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.admission.is_public()
    }

    /// Admits a request of a route or refuses it. `inside`: whether this Worker is called by the
    /// other one, which has admitted the request.
    ///
    /// # Errors
    /// `host`, `unauthorized`, `forbidden`, `read-only`, `too-many-requests`.
    pub async fn admit(&self, env: &Env, request: &Request, route: Route, inside: bool) -> Result<Admitted, Problem> {
        let url = request.url().map_err(EdgeError::runtime("reading the URL"))?;
        let host = url.host_str().unwrap_or_default();
        if inside && host == INTERNAL_HOST {
            let namespace = header(request, "x-vidsieve-namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
            return Ok(Admitted { token: None, namespace });
        }
        self.admission.check_names([host.as_bytes()])?;
        let address = header(request, "cf-connecting-ip").and_then(|address| address.parse().ok());
        let check = self.admission.check(AdmissionRequest {
            method: request.method().as_ref(),
            route,
            authorization: header(request, "authorization").as_deref(),
            address: rate_address(address),
            now: Duration::from_secs_f64(now() / 1000.0),
        })?;
        let counted = match check.rate_key() {
            Some(key) => self.count(env, key).await?,
            None => Ok(()),
        };
        check.admit(&self.admission, counted)
    }

    /// Counts a request by the binding `LIMITS`, without which there is no rate; the wait if there
    /// were too many.
    async fn count(&self, env: &Env, key: &RateKey) -> Result<Result<(), Duration>, EdgeError> {
        let Ok(limits) = env.rate_limiter("LIMITS") else { return Ok(Ok(())) };
        let outcome = limits.limit(key.to_string()).await.map_err(EdgeError::runtime("the binding LIMITS"))?;
        Ok(if outcome.success { Ok(()) } else { Err(self.period.saturating_sub(Duration::from_secs(1))) })
    }

    /// Whether pages of other origins may call at all.
    #[must_use]
    pub fn has_origins(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Adds what a page of another origin needs to be allowed to see an answer; `preflight`: and to
    /// ask at all.
    ///
    /// # Errors
    /// [`EdgeError::Runtime`].
    pub fn let_in(
        &self,
        request_origin: Option<&str>,
        response: Response,
        preflight: bool,
    ) -> Result<Response, EdgeError> {
        if self.origins.is_empty() {
            return Ok(response);
        }
        let mut response = response;
        let any = self.origins.iter().any(|o| o == "*");
        let allowed =
            if any { Some("*") } else { request_origin.filter(|o| self.origins.iter().any(|known| known == o)) };
        let mut headers = vec![("vary", "origin".to_owned())];
        if let Some(origin) = allowed {
            headers.push(("access-control-allow-origin", origin.to_owned()));
        }
        headers.push(("access-control-expose-headers", CORS_EXPOSED.join(",")));
        if preflight {
            headers.push(("access-control-allow-methods", CORS_METHODS.join(",")));
            headers.push(("access-control-allow-headers", CORS_HEADERS.join(",")));
            headers.push(("access-control-max-age", CORS_SECONDS.to_string()));
        }
        for (name, value) in headers {
            response.headers_mut().set(name, &value).map_err(EdgeError::runtime("making an answer"))?;
        }
        Ok(response)
    }
}
