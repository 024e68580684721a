//! Who may use the API: tokens and scopes, open search, read-only servers, rates, names of this
//! machine.
//!
//! [`Admission`] decides without input or output. Rates are counted by the caller, who knows how (a
//! limiter in memory, a binding of the platform): [`Admission::check`] returns whom a request
//! counts for, and [`AdmissionCheck::admit`] takes what came of counting it.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use http::uri::Authority;

use crate::auth::{DEFAULT_NAMESPACE, Grant, Tokens, namespace_of};
use crate::problem::Problem;
use crate::route::Route;

/// Addresses above which those are forgotten whose time is over.
const MANY: usize = 10_000;

/// What a request counts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A token, by its name.
    Token(String),
    /// An address without a token.
    Address(IpAddr),
    /// An address whose token was refused.
    Refused(IpAddr),
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Refused(address) => write!(f, "refused:{address}"),
        }
    }
}

/// The address that a request counts for: of an IPv6 address its first 64 bits, because a client
/// has a whole network of them.
#[must_use]
pub fn rate_address(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// A request, as far as admission depends on it.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The route.
    pub route: Route,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The address that it counts for, see [`rate_address`].
    pub address: IpAddr,
    /// The time from 1970.
    pub now: Duration,
}

/// A request that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The name of its token.
    pub token: Option<String>,
    /// Where it reads and writes.
    pub namespace: String,
}

impl Admitted {
    /// A request of a token, or of none.
    #[must_use]
    pub fn new(token: Option<String>) -> Self {
        let namespace = token.as_deref().map_or(DEFAULT_NAMESPACE, namespace_of).to_owned();
        Self { token, namespace }
    }
}

/// A request whose token was checked: it is counted, if it has a key, and then
/// [`AdmissionCheck::admit`]ted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionCheck {
    key: Option<RateKey>,
    now: Duration,
    result: Result<Admitted, Problem>,
}

/// The rules of a server, and the addresses whose tokens it does not check for now.
#[derive(Debug, Default)]
pub struct Admission {
    tokens: RwLock<Arc<Tokens>>,
    open_search: bool,
    read_only: bool,
    /// Until when.
    shut_out: Mutex<HashMap<IpAddr, Duration>>,
}

impl Admission {
    /// A server with these tokens. `open_search`: the routes of [`Route::is_open_search`] need
    /// none; `read_only`: nothing is added or removed.
    #[must_use]
    pub fn new(tokens: Tokens, open_search: bool, read_only: bool) -> Self {
        Self { tokens: RwLock::new(Arc::new(tokens)), open_search, read_only, shut_out: Mutex::default() }
    }

    fn tokens(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Knows other tokens from now on. A server without tokens keeps none, and one with tokens some: other rules follow from
    /// that.
    ///
    /// # Errors
    /// The tokens, which are not taken.
    pub fn replace_tokens(&self, tokens: Tokens) -> Result<(), Tokens> {
        let mut known = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() != tokens.is_empty() {
            return Err(tokens);
        }
        *known = Arc::new(tokens);
        Ok(())
    }

    /// Whether the server has no tokens: it is for its own machine alone.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.tokens().is_empty()
    }

    /// Checks the names by which a request calls a server without tokens: a page of another origin
    /// whose name leads to this machine (DNS rebinding) can send requests, but browsers send the
    /// name.
    ///
    /// # Errors
    /// `host`.
    pub fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Problem> {
        if !self.is_public() || names.into_iter().all(is_own_name) { Ok(()) } else { Err(Problem::host()) }
    }

    /// Checks a request's token.
    ///
    /// # Errors
    /// `too-many-requests` for an address whose tokens are not checked for now.
    pub fn check(&self, request: AdmissionRequest<'_>) -> Result<AdmissionCheck, Problem> {
        let AdmissionRequest { method, route, authorization, address, now } = request;
        let checked = |key, result| Ok(AdmissionCheck { key, now, result });
        if route.is_health() {
            return checked(None, Ok(Admitted::new(None)));
        }
        let scope = route.scope(method);
        let mut token = None;
        let tokens = self.tokens();
        if let Some(scope) = scope
            && !tokens.is_empty()
        {
            let bearer = authorization.and_then(bearer);
            // A wrong token is refused even where none is needed.
            if bearer.is_some() || !(self.open_search && route.is_open_search(method)) {
                if let Some(wait) = self.shut_out_for(address, now) {
                    return Err(Problem::too_many(wait));
                }
                let refused = |problem| checked(Some(RateKey::Refused(address)), Err(problem));
                match bearer.and_then(|bearer| tokens.check(bearer, scope, now.as_secs())) {
                    Some((name, Grant::Allowed)) => token = Some(name.to_owned()),
                    Some((_, Grant::OtherScope)) => return refused(Problem::forbidden(scope.name())),
                    Some((_, Grant::Expired)) => return refused(Problem::expired()),
                    None => return refused(Problem::unauthorized()),
                }
            }
        }
        let key = token.clone().map_or(RateKey::Address(address), RateKey::Token);
        let refused = self.read_only && Route::is_change(method);
        let result = if refused { Err(Problem::read_only()) } else { Ok(Admitted::new(token)) };
        checked(Some(key), result)
    }

    /// How long the tokens of an address are not checked.
    fn shut_out_for(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = shut_out.get(&address)?.checked_sub(now).filter(|wait| !wait.is_zero());
        if wait.is_none() {
            shut_out.remove(&address);
        }
        wait
    }

    fn shut_out(&self, address: IpAddr, now: Duration, wait: Duration) {
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        if shut_out.len() > MANY {
            shut_out.retain(|_, until| *until > now);
        }
        shut_out.insert(address, now + wait);
    }
}

impl AdmissionCheck {
    /// What the request counts for; `None` if it is not counted.
    #[must_use]
    pub const fn rate_key(&self) -> Option<&RateKey> {
        self.key.as_ref()
    }

    /// Admits the request or refuses it. `counted`: what came of counting it, `Err` with the wait
    /// after too many. An address with too many refused tokens is shut out for that wait.
    ///
    /// # Errors
    /// `unauthorized`, `forbidden`, `read-only`, `too-many-requests`.
    pub fn admit(self, admission: &Admission, counted: Result<(), Duration>) -> Result<Admitted, Problem> {
        if let Err(wait) = counted {
            if let Some(RateKey::Refused(address)) = self.key {
                admission.shut_out(address, self.now, wait);
            }
            return Err(Problem::too_many(wait));
        }
        self.result
    }
}

/// The token of an `Authorization` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether an authority is a name of the machine itself: `localhost` or a loopback address.
#[must_use]
pub fn is_own_name(authority: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const READER: &str = "Bearer reader-token-0123456789";
    const WRITER: &str = "bearer  writer-token-0123456789 ";
    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn tokens() -> Tokens {
        let lines = "reader:search:reader-token-0123456789\nacme/writer:search,write:writer-token-0123456789";
        Tokens::parse(lines).unwrap()
    }

    fn request<'a>(
        method: &'a str,
        route: Route,
        authorization: Option<&'a str>,
        seconds: u64,
    ) -> AdmissionRequest<'a> {
        AdmissionRequest { method, route, authorization, address: ADDRESS, now: Duration::from_secs(seconds) }
    }

    #[test]
    fn tokens_and_scopes() {
        let none: Option<&str> = None;
        let guess = Some("Bearer a-guess-of-16-chars");
        let basic = Some("Basic cmVhZGVyLXRva2Vu");
        let (closed, open) = (Admission::new(tokens(), false, false), Admission::new(tokens(), true, false));
        let (public, reading) = (Admission::default(), Admission::new(tokens(), false, true));
        let (token, address) = (|name: &str| format!("token:{name}"), "address:192.0.2.1".to_owned());
        let refused = "refused:192.0.2.1".to_owned();
        type Row<'a> = (&'a Admission, &'a str, Route, Option<&'a str>, String, Result<&'a str, u16>);
        let rows: &[Row<'_>] = &[
            (&closed, "POST", Route::Search, Some(READER), token("reader"), Ok("default")),
            (&closed, "POST", Route::Search, Some(WRITER), token("acme/writer"), Ok("acme")),
            (&closed, "POST", Route::Search, none, refused.clone(), Err(401)),
            (&closed, "POST", Route::Search, guess, refused.clone(), Err(401)),
            (&closed, "POST", Route::Search, basic, refused.clone(), Err(401)),
            (&closed, "PUT", Route::Video, Some(WRITER), token("acme/writer"), Ok("acme")),
            (&closed, "PUT", Route::Video, Some(READER), refused.clone(), Err(403)),
            (&closed, "DELETE", Route::Video, none, refused.clone(), Err(401)),
            (&closed, "GET", Route::Metrics, none, refused.clone(), Err(401)),
            (&closed, "GET", Route::OpenApi, none, address.clone(), Ok("default")),
            (&closed, "GET", Route::OpenApi, guess, address.clone(), Ok("default")),
            (&closed, "GET", Route::Media, none, address.clone(), Ok("default")),
            (&open, "POST", Route::Search, none, address.clone(), Ok("default")),
            (&open, "POST", Route::Encode, none, address.clone(), Ok("default")),
            (&open, "HEAD", Route::Bundle, none, address.clone(), Ok("default")),
            (&open, "GET", Route::Model, none, address.clone(), Ok("default")),
            (&open, "POST", Route::Search, guess, refused.clone(), Err(401)),
            (&open, "POST", Route::Search, Some(READER), token("reader"), Ok("default")),
            (&open, "POST", Route::Rerank, none, refused.clone(), Err(401)),
            (&open, "GET", Route::Videos, none, refused.clone(), Err(401)),
            (&open, "GET", Route::Video, none, refused.clone(), Err(401)),
            (&open, "GET", Route::Metrics, none, refused.clone(), Err(401)),
            (&public, "PUT", Route::Video, none, address.clone(), Ok("default")),
            (&public, "POST", Route::Search, guess, address.clone(), Ok("default")),
            (&reading, "PUT", Route::Video, Some(WRITER), token("acme/writer"), Err(403)),
            (&reading, "PUT", Route::Video, none, refused.clone(), Err(401)),
            (&reading, "GET", Route::Video, Some(READER), token("reader"), Ok("default")),
        ];
        for (admission, method, route, authorization, key, expected) in rows {
            let check = admission.check(request(method, *route, *authorization, 0)).unwrap();
            let row = format!("{method} {route:?} {authorization:?}");
            assert_eq!(check.rate_key().map(RateKey::to_string).as_ref(), Some(key), "{row}");
            let result = check.clone().admit(admission, Ok(()));
            let found = result.as_ref().map(|a| a.namespace.as_str()).map_err(Problem::status);
            assert_eq!(found, *expected, "{row}");
            if !key.starts_with("refused") {
                let many = check.admit(admission, Err(Duration::from_secs(3)));
                assert_eq!(many, Err(Problem::too_many(Duration::from_secs(3))), "{row}");
            }
        }
        for admission in [&closed, &open, &public, &reading] {
            let check = admission.check(request("GET", Route::Health, guess, 0)).unwrap();
            assert_eq!(check.rate_key(), None);
            assert_eq!(check.admit(admission, Ok(())), Ok(Admitted::new(None)));
        }
    }

    #[test]
    fn addresses_with_too_many_refused_tokens_are_shut_out() {
        let admission = Admission::new(tokens(), true, false);
        let check = |authorization, seconds| admission.check(request("POST", Route::Search, authorization, seconds));
        let guess = check(None, 10).unwrap().admit(&admission, Ok(()));
        assert!(guess.is_ok(), "an open search needs no token");
        let guess = check(Some("Bearer guess"), 10).unwrap();
        assert_eq!(
            guess.admit(&admission, Err(Duration::from_secs(5))),
            Err(Problem::too_many(Duration::from_secs(5)))
        );
        // Not even the right one is checked.
        assert_eq!(check(Some(READER), 12), Err(Problem::too_many(Duration::from_secs(3))));
        assert!(check(None, 12).is_ok(), "who sends no token is not concerned");
        let other =
            AdmissionRequest { address: [192, 0, 2, 2].into(), ..request("POST", Route::Search, Some(READER), 12) };
        assert!(admission.check(other).is_ok());
        assert!(check(Some(READER), 15).is_ok());
        // Too many requests of a token shut nothing out.
        let many = check(Some(READER), 20).unwrap().admit(&admission, Err(Duration::from_secs(9)));
        assert!(many.is_err() && check(Some(READER), 21).is_ok());
    }

    #[test]
    fn shut_outs_that_are_over_are_forgotten() {
        let admission = Admission::new(tokens(), false, false);
        let address = |i: u32| IpAddr::V4(Ipv4Addr::from_bits(i));
        for i in 0..=u32::try_from(MANY).unwrap() {
            admission.shut_out(address(i), Duration::ZERO, Duration::from_secs(1));
        }
        admission.shut_out(ADDRESS, Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(admission.shut_out.lock().unwrap().len(), 1);
    }

    #[test]
    fn tokens_are_replaced_and_expire() {
        let admission =
            Admission::new(Tokens::parse("a:search,until=1970-01-02:reader-token-0123456789").unwrap(), false, false);
        let found = |seconds| {
            let check = admission.check(request("POST", Route::Search, Some(READER), seconds)).unwrap();
            check.admit(&admission, Ok(())).map(|admitted| admitted.token.unwrap())
        };
        assert_eq!((found(86_399), found(86_400)), (Ok("a".to_owned()), Err(Problem::expired())));
        admission.replace_tokens(Tokens::parse("b:search:reader-token-0123456789").unwrap()).unwrap();
        assert_eq!(found(86_400), Ok("b".to_owned()));
        assert!(admission.replace_tokens(Tokens::default()).is_err() && found(86_400).is_ok(), "an end of all tokens");
        assert!(Admission::default().replace_tokens(tokens()).is_err());
    }

    #[test]
    fn names_of_this_machine() {
        let (public, closed) = (Admission::default(), Admission::new(tokens(), false, false));
        for own in ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8787"] {
            assert_eq!(public.check_names([own.as_bytes()]), Ok(()), "{own}");
        }
        for other in ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "[::2]", "a b"] {
            assert_eq!(
                public.check_names([b"localhost".as_slice(), other.as_bytes()]),
                Err(Problem::host()),
                "{other}"
            );
            assert_eq!(closed.check_names([other.as_bytes()]), Ok(()));
        }
    }

    #[test]
    fn networks_count_as_one_address() {
        let of = |text: &str| rate_address(text.parse().ok()).to_string();
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("none", "0.0.0.0"),
        ] {
            assert_eq!(of(address), counted);
        }
    }

    #[test]
    fn tokens_of_headers() {
        assert_eq!(bearer("Bearer  abc "), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert!(bearer("Basic abc").is_none() && bearer("abc").is_none());
    }
}
