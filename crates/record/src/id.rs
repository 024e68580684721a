//! Names of videos.

use sha2::{Digest, Sha256};

/// Most bytes of an id.
pub const MAX_ID: usize = 512;

/// Whether an id can be used: 1 to [`MAX_ID`] bytes without control characters.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// The id in 32 hexadecimal digits, the start of its SHA-256: what stands for it in keys of stores, which any id fits.
#[must_use]
pub fn digits(id: &str) -> String {
    Sha256::digest(id.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect()
}
