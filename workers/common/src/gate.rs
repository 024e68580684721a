//! Who may come in: tokens with scopes, rates, names of this machine, pages of other origins.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use vidsieve_api::access::{self, HEALTH};
use vidsieve_api::auth::{DEFAULT_NAMESPACE, namespace_of};
use vidsieve_api::{Problem, Scope, Tokens};
use worker::{Env, Request, Response};

use crate::config::{flag, number, text};
use crate::error::EdgeError;
use crate::time::now;

/// The name under which the Workers call each other: no name leads from outside to it.
pub const INTERNAL_HOST: &str = "vidsieve.internal";
/// Addresses above which those are forgotten that may come in again.
const MANY: usize = 10_000;

/// Who may come in, as the variables say.
#[derive(Debug, Clone)]
pub struct Gate {
    tokens: Tokens,
    open_search: bool,
    read_only: bool,
    origins: Vec<String>,
    period: Duration,
}

/// A request that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The name of its token.
    pub token: Option<String>,
    /// Where it reads and writes.
    pub namespace: String,
}

thread_local! {
    static GATE: RefCell<Option<Gate>> = const { RefCell::new(None) };
    /// Addresses whose tokens are not looked at, until when.
    static SHUT_OUT: RefCell<HashMap<String, f64>> = RefCell::new(HashMap::new());
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// The address that a request counts for. Whoever has an IPv6 address has a whole network of them.
fn address_of(request: &Request) -> String {
    use std::net::{IpAddr, Ipv6Addr};
    match header(request, "cf-connecting-ip").and_then(|a| a.parse::<IpAddr>().ok()).map(|a| a.to_canonical()) {
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).to_string(),
        Some(address) => address.to_string(),
        None => "-".to_owned(),
    }
}

impl Gate {
    /// The gate of an isolate: `TOKENS`, `OPEN_SEARCH`, `READ_ONLY`, `CORS`, `LIMITS_PERIOD`.
    ///
    /// # Errors
    /// [`EdgeError::Config`].
    pub fn of(env: &Env) -> Result<Self, EdgeError> {
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
        if let Some(wrong) = origins.iter().find(|o| *o != "*" && !access::is_origin(o)) {
            return Err(bad("CORS")(format!("{wrong:?} is no origin: write https://example.org, or * for all")));
        }
        if tokens.is_empty() && origins.iter().any(|o| o == "*") {
            return Err(bad("CORS")("* needs tokens".to_owned()));
        }
        let gate = Self {
            tokens,
            open_search: flag(env, "OPEN_SEARCH")?,
            read_only: flag(env, "READ_ONLY")?,
            origins,
            period: Duration::from_secs(number(env, "LIMITS_PERIOD", 10)?),
        };
        GATE.set(Some(gate.clone()));
        Ok(gate)
    }

    /// Whether what is answered may be kept by caches that others share.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether a request may go on by its name, its token, and by how many there were. `inside`: whether this Worker is called by
    /// the other one, which has looked at the token.
    ///
    /// # Errors
    /// `host`, `unauthorized`, `forbidden`, `read-only`, `too-many-requests`.
    pub async fn admit(
        &self,
        env: &Env,
        request: &Request,
        method: &str,
        route: &str,
        inside: bool,
    ) -> Result<Admitted, Problem> {
        let url = request.url().map_err(EdgeError::runtime("reading the URL"))?;
        let host = url.host_str().unwrap_or_default();
        if inside && host == INTERNAL_HOST {
            let namespace = header(request, "x-vidsieve-namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
            return Ok(Admitted { token: None, namespace });
        }
        if self.tokens.is_empty() && !access::is_own(host.as_bytes()) {
            return Err(Problem::host());
        }
        let mut admitted = Admitted { token: None, namespace: DEFAULT_NAMESPACE.to_owned() };
        if route == HEALTH {
            return Ok(admitted);
        }
        let (address, scope) = (address_of(request), access::scope_of(method, route));
        if let Some(scope) = scope
            && !self.tokens.is_empty()
        {
            let authorization = header(request, "authorization").unwrap_or_default();
            let bearer = access::bearer(&authorization);
            let open = self.open_search && access::is_opened(method, route);
            // A wrong token is told even where none is needed.
            if bearer.is_some() || !open {
                let name = self.checked(env, bearer, scope, &address).await?;
                namespace_of(&name).clone_into(&mut admitted.namespace);
                admitted.token = Some(name);
            }
        }
        let caller = admitted.token.as_ref().map_or(format!("address:{address}"), |name| format!("token:{name}"));
        self.count(env, caller).await?;
        if self.read_only && scope == Some(Scope::Write) {
            return Err(Problem::read_only());
        }
        Ok(admitted)
    }

    /// The name of a token that has the scope. An address with too many that have not is shut out for a while.
    async fn checked(&self, env: &Env, bearer: Option<&str>, scope: Scope, address: &str) -> Result<String, Problem> {
        if let Some(until) = SHUT_OUT.with_borrow(|all| all.get(address).copied()) {
            if until > now() {
                return Err(Problem::too_many(self.period));
            }
            SHUT_OUT.with_borrow_mut(|all| all.remove(address));
        }
        let refused = match bearer.and_then(|token| self.tokens.check(token, scope)) {
            Some((name, true)) => return Ok(name.to_owned()),
            Some(_) => Problem::forbidden(scope.name()),
            None => Problem::unauthorized(),
        };
        if let Err(problem) = self.count(env, format!("refused:{address}")).await {
            SHUT_OUT.with_borrow_mut(|all| {
                let now = now();
                if all.len() > MANY {
                    all.retain(|_, until| *until > now);
                }
                all.insert(address.to_owned(), now + self.period.as_secs_f64() * 1000.0);
            });
            return Err(problem);
        }
        Err(refused)
    }

    /// Counts a request by the binding `LIMITS`; without it there is no rate.
    async fn count(&self, env: &Env, caller: String) -> Result<(), Problem> {
        let Ok(limits) = env.rate_limiter("LIMITS") else { return Ok(()) };
        match limits.limit(caller).await {
            Ok(outcome) if outcome.success => Ok(()),
            Ok(_) => Err(Problem::too_many(self.period.saturating_sub(Duration::from_secs(1)))),
            Err(error) => Err(EdgeError::runtime("the binding LIMITS")(error).into()),
        }
    }

    /// Whether pages of elsewhere may call at all.
    #[must_use]
    pub fn has_origins(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Adds what a page of another origin needs to be allowed to see an answer; `preflight`: and to ask at all.
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
        headers.push(("access-control-expose-headers", access::CORS_EXPOSED.join(",")));
        if preflight {
            headers.push(("access-control-allow-methods", access::CORS_METHODS.join(",")));
            headers.push(("access-control-allow-headers", access::CORS_HEADERS.join(",")));
            headers.push(("access-control-max-age", access::CORS_SECONDS.to_string()));
        }
        for (name, value) in headers {
            response.headers_mut().set(name, &value).map_err(EdgeError::runtime("making an answer"))?;
        }
        Ok(response)
    }
}
