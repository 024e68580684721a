//! Variables and secrets.

use std::str::FromStr;

use worker::Env;

use crate::error::EdgeError;

/// A variable or a secret; nothing for one that is not set or is empty.
#[must_use]
pub fn text(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|v| v.to_string()).filter(|v| !v.trim().is_empty())
}

/// A number, or the default for a variable that is not set.
///
/// # Errors
/// [`EdgeError::Config`] for what is no number.
pub fn number<T: FromStr>(env: &Env, name: &'static str, default: T) -> Result<T, EdgeError> {
    match text(env, name) {
        None => Ok(default),
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| EdgeError::Config { name, reason: format!("{text:?} is no number of this kind") }),
    }
}

/// A switch: `true` or `false`, off if it is not set.
///
/// # Errors
/// [`EdgeError::Config`] for anything else.
pub fn flag(env: &Env, name: &'static str) -> Result<bool, EdgeError> {
    match text(env, name).as_deref().map(str::trim) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(EdgeError::Config { name, reason: format!("{other:?} is neither true nor false") }),
    }
}
