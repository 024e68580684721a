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
    "token line {line}: {reason}; write NAME:SCOPES:TOKEN or NAME:SCOPES:sha256=HEX, scopes `search`, `write` or `search,write`"
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
            let mut known = Token { name: name.trim().to_owned(), digest: [0; 32], search: false, write: false };
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
                    _ => return Err(fail("it has a scope that is not known")),
                }
            }
            let token = token.trim();
            known.digest = match token.strip_prefix("sha256=") {
                Some(hex) => digest_of_hex(hex).ok_or_else(|| fail("its digest is not 64 hexadecimal digits"))?,
                None if token.len() < MIN_TOKEN => return Err(fail("the token has fewer than 16 characters")),
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

    /// The name of a token and whether it has the scope; `None` for one that is not known. The time taken tells nothing of the
    /// known tokens: digests are compared, all of them, each in full.
    #[must_use]
    pub fn check(&self, token: &str, scope: Scope) -> Option<(&str, bool)> {
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
        Some((&known.name, allowed))
    }
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
        assert_eq!(tokens.check("a-secret-of-16-chars", Scope::Search), Some(("reader", true)));
        assert_eq!(tokens.check("a-secret-of-16-chars", Scope::Write), Some(("reader", false)));
        assert_eq!(tokens.check("another secret token", Scope::Write), Some(("both", true)));
        assert_eq!(tokens.check("a-secret-of-16-char", Scope::Search), None);
        assert_eq!(tokens.check("", Scope::Search), None);
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
        ] {
            let error = Tokens::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
        }
        assert!(Tokens::parse("x:search:0123456789abcdef\nx:write:0123456789abcdef").is_err());
        assert!(!tokens.have_namespaces());
        let tokens = Tokens::parse("acme/x:search:0123456789abcdef").unwrap();
        assert!(tokens.have_namespaces());
        assert_eq!((namespace_of("acme/x"), namespace_of("x")), ("acme", DEFAULT_NAMESPACE));
    }
}
