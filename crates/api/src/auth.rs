//! Bearer tokens with scopes.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Fewest characters of a token.
pub const MIN_TOKEN: usize = 16;

/// The namespace of tokens that name none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Most characters of a namespace.
const MAX_NAMESPACE: usize = 32;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Searching, reading records, encoding, comparing again.
    Search,
    /// Adding and removing videos.
    Write,
}

impl Scope {
    /// As it is written in a token file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Write => "write",
        }
    }
}

/// A line that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "token line {line}: {reason}; write NAME:SCOPES:TOKEN or NAME:SCOPES:sha256=HEX, scopes `search`, `write` or `search,write`, \
     and `,until=2027-01-31` behind them for a token that expires"
)]
pub struct TokenError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong. The token is not told.
    pub reason: &'static str,
}

#[derive(Clone)]
struct Token {
    name: String,
    digest: [u8; 32],
    search: bool,
    write: bool,
    /// Seconds from 1970 from which on it is refused.
    until: Option<u64>,
}

/// What a known token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// What is asked for.
    Allowed,
    /// Something else.
    OtherScope,
    /// Nothing any more.
    Expired,
}

/// Known tokens; only their digests are kept.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Token>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|t| &t.name)).finish()
    }
}

impl Tokens {
    /// Reads lines of `name:scopes:token`; empty ones and those that start with `#` are passed over.
    ///
    /// # Errors
    /// [`TokenError`], which does not repeat the token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens: Vec<Token> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |reason| TokenError { line: i + 1, reason };
            let mut parts = line.splitn(3, ':');
            let (Some(name), Some(scopes), Some(token)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(fail("it has not three parts"));
            };
            let mut known =
                Token { name: name.trim().to_owned(), digest: [0; 32], search: false, write: false, until: None };
            if known.name.split_once('/').is_some_and(|(space, name)| !is_namespace(space) || name.is_empty()) {
                return Err(fail("its namespace is not of a to z, 0 to 9 and -"));
            }
            if known.name.is_empty() || tokens.iter().any(|t| t.name == known.name) {
                return Err(fail("its name is empty or comes twice"));
            }
            for scope in scopes.split(',') {
                match scope.trim() {
                    "search" => known.search = true,
                    "write" => known.write = true,
                    other => {
                        let day =
                            other.strip_prefix("until=").ok_or_else(|| fail("it has a scope that is not known"))?;
                        let end = seconds_of_day(day).ok_or_else(|| fail("its end is no day such as 2027-01-31"))?;
                        known.until = Some(end);
                    }
                }
            }
            if !known.search && !known.write {
                return Err(fail("it has no scope"));
            }
            let token = token.trim();
            known.digest = match token.strip_prefix("sha256=") {
                Some(hex) => digest_of_hex(hex).ok_or_else(|| fail("its digest is not 64 hexadecimal digits"))?,
                None if token.len() < MIN_TOKEN => return Err(fail("the token has fewer than 16 characters")),
                None if !token.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                    return Err(fail("the token has characters that a header cannot carry: use printable ASCII"));
                }
                None => Sha256::digest(token.as_bytes()).into(),
            };
            tokens.push(known);
        }
        Ok(Self(tokens))
    }

    /// Whether some of them are of a namespace of their own.
    #[must_use]
    pub fn have_namespaces(&self) -> bool {
        self.0.iter().any(|t| t.name.contains('/'))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of a token and what it may do at a time in seconds from 1970; `None` for one that is not known. The time
    /// taken tells nothing of the known tokens: digests are compared, all of them, each in full.
    #[must_use]
    pub fn check(&self, token: &str, scope: Scope, now: u64) -> Option<(&str, Grant)> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = u32::MAX;
        for (i, known) in (0u32..).zip(&self.0) {
            let same: Choice = known.digest.ct_eq(&digest);
            found.conditional_assign(&i, same);
        }
        let known = self.0.get(usize::try_from(found).ok()?)?;
        let allowed = match scope {
            Scope::Search => known.search,
            Scope::Write => known.write,
        };
        let grant = match allowed {
            _ if known.until.is_some_and(|until| now >= until) => Grant::Expired,
            true => Grant::Allowed,
            false => Grant::OtherScope,
        };
        Some((&known.name, grant))
    }
}

/// The beginning of a day of the Gregorian calendar, `YYYY-MM-DD`, in seconds from 1970; `None` for what is none, or before 1970.
fn seconds_of_day(text: &str) -> Option<u64> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let digits = |text: &str, count: usize| {
        (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok())?
    };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    if year < 1970 || !(1..=*months.get(before)?).contains(&day) {
        return None;
    }
    let days: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    Some((days + months[..before].iter().sum::<u64>() + day - 1) * 86_400)
}

/// The namespace of a token, by its name `NAMESPACE/NAME`: what is stored in one cannot be seen in another.
#[must_use]
pub fn namespace_of(name: &str) -> &str {
    name.split_once('/').map_or(DEFAULT_NAMESPACE, |(space, _)| space)
}

/// Whether a text can be the name of a namespace: 1 to 32 of a to z, 0 to 9 and `-`.
#[must_use]
pub fn is_namespace(text: &str) -> bool {
    (1..=MAX_NAMESPACE).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn digest_of_hex(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines() {
        let digest: String = Sha256::digest(b"another secret token").iter().map(|b| format!("{b:02x}")).collect();
        let text = format!("# tokens\n\nreader:search:a-secret-of-16-chars\nboth : search,write : sha256={digest}\n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.check("a-secret-of-16-chars", Scope::Search, 0), Some(("reader", Grant::Allowed)));
        assert_eq!(tokens.check("a-secret-of-16-chars", Scope::Write, 0), Some(("reader", Grant::OtherScope)));
        assert_eq!(tokens.check("another secret token", Scope::Write, 0), Some(("both", Grant::Allowed)));
        assert_eq!(tokens.check("a-secret-of-16-char", Scope::Search, 0), None);
        assert_eq!(tokens.check("", Scope::Search, 0), None);
        assert_eq!(format!("{tokens:?}"), r#"["reader", "both"]"#);
        for bad in [
            "x",
            "x:search",
            "x:admin:0123456789abcdef",
            "x:search:short",
            ":search:0123456789abcdef",
            "x:search:sha256=12",
            "A/x:search:0123456789abcdef",
            "/x:search:0123456789abcdef",
            "a/:search:0123456789abcdef",
            "x:until=2027-01-31:0123456789abcdef",
            "x:search,until=tomorrow:0123456789abcdef",
            "x:search:0123456789abcdef-ü",
            "x:search:0123456789abcdef\u{7f}",
        ] {
            let error = Tokens::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
        }
        assert!(Tokens::parse("x:search:0123456789abcdef\nx:write:0123456789abcdef").is_err());
        assert!(!tokens.have_namespaces());
        let tokens = Tokens::parse("acme/x:search:0123456789abcdef").unwrap();
        assert!(tokens.have_namespaces());
        let text = "x:search,until=2027-01-31:0123456789abcdef";
        let tokens = Tokens::parse(text).unwrap();
        let at = |now| tokens.check("0123456789abcdef", Scope::Search, now).unwrap().1;
        assert_eq!([at(0), at(1_801_353_599), at(1_801_353_600)], [Grant::Allowed, Grant::Allowed, Grant::Expired]);
        for (day, seconds) in
            [("1970-01-01", Some(0)), ("2000-03-01", Some(951_868_800)), ("2024-02-29", Some(1_709_164_800))]
        {
            assert_eq!(seconds_of_day(day), seconds, "{day}");
        }
        for day in
            ["", "2027", "2027-02-29", "2027-13-01", "2027-00-01", "2027-1-1", "1969-12-31", "+027-01-01", "2027-01-32"]
        {
            assert_eq!(seconds_of_day(day), None, "{day}");
        }
        assert_eq!((namespace_of("acme/x"), namespace_of("x")), ("acme", DEFAULT_NAMESPACE));
    }
}
