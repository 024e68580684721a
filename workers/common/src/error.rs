//! Internal errors: clients get the fact, the log gets the reason.

use vidsieve_api::Problem;
use worker::{KvError, console_error};

/// Why a Worker cannot do its part. No message holds an id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// The runtime.
    #[error("{doing}: {source}")]
    Runtime {
        /// What was being done.
        doing: &'static str,
        /// What the runtime says.
        source: Box<worker::Error>,
    },
    /// KV.
    #[error("{doing}: {source}")]
    Kv {
        /// What was being done.
        doing: &'static str,
        /// What KV says.
        source: KvError,
    },
    /// A binding or a variable that cannot be used.
    #[error("{name}: {reason}")]
    Config {
        /// The binding or variable.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The bundle is not the one that is configured, or cannot be used.
    #[error("the bundle: {0}")]
    Bundle(String),
    /// Another Worker or a shard answered what it should not.
    #[error("{who} answered {what}")]
    Answer {
        /// Who.
        who: &'static str,
        /// What.
        what: String,
    },
    /// Nothing came in time.
    #[error("{0} did not answer in time")]
    Late(&'static str),
}

impl EdgeError {
    /// For `map_err`: the runtime failed in this.
    pub fn runtime(doing: &'static str) -> impl Fn(worker::Error) -> Self {
        move |source| Self::Runtime { doing, source: Box::new(source) }
    }

    /// For `map_err`: KV failed in this.
    pub fn kv(doing: &'static str) -> impl Fn(KvError) -> Self {
        move |source| Self::Kv { doing, source }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let line = serde_json::json!({ "level": "error", "message": "a request failed", "error": self.to_string() });
        console_error!("{line}");
    }
}

impl From<EdgeError> for Problem {
    fn from(error: EdgeError) -> Self {
        error.log();
        Self::internal()
    }
}
