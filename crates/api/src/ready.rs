//! Whether a server can do its work: the answer of `/v1/ready`.

use serde::{Deserialize, Serialize};

/// One thing that a server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What: `index`, `writes`, `store`, `shards`.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// Why it does not; no ids, no paths of videos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether nothing can be answered without it.
    #[serde(skip)]
    needed: bool,
}

impl Check {
    /// A check that failed for a reason, or did not. `needed`: nothing is answered without it.
    #[must_use]
    pub fn new(name: &str, needed: bool, failure: Option<String>) -> Self {
        Self { name: name.to_owned(), ok: failure.is_none(), detail: failure, needed }
    }
}

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyStatus {
    /// All works.
    Ready,
    /// Searches are answered, something else is not.
    Degraded,
    /// Nothing is answered.
    Unready,
}

/// The answer of `/v1/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// How the server is.
    pub status: ReadyStatus,
    /// What was looked at.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// What follows from some checks.
    #[must_use]
    pub fn new(checks: Vec<Check>) -> Self {
        let status = match checks.iter().filter(|check| !check.ok).map(|check| check.needed).max() {
            None => ReadyStatus::Ready,
            Some(false) => ReadyStatus::Degraded,
            Some(true) => ReadyStatus::Unready,
        };
        Self { status, checks }
    }

    /// Whether all works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == ReadyStatus::Ready
    }

    /// The status of the answer: 200, or 503.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if self.is_ready() { 200 } else { 503 }
    }

    /// The `status` of `/v1/health`, which is answered with 200 in any case.
    #[must_use]
    pub fn health(&self) -> &'static str {
        if self.is_ready() { "ok" } else { "degraded" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_counts() {
        let failed = |needed| Check::new("x", needed, Some("why".to_owned()));
        let of = |checks| Readiness::new(checks);
        assert!(of(vec![Check::new("a", true, None)]).is_ready());
        assert_eq!(of(vec![failed(false), Check::new("a", true, None)]).status, ReadyStatus::Degraded);
        assert_eq!(of(vec![failed(false), failed(true)]).status, ReadyStatus::Unready);
        assert_eq!((of(vec![failed(false)]).http_status(), of(Vec::new()).http_status()), (503, 200));
    }
}
