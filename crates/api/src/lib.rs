//! The HTTP API without its servers: tokens and what they open, problems, query parameters, bodies.
//! `docs/http.md` and `openapi.json` describe what clients see. Nothing here reads a socket, a
//! clock or a disk: the native server and the edge Workers do.

pub mod admission;
pub mod auth;
pub mod dedupe;
pub mod encode;
pub mod model;
pub mod options;
pub mod problem;
pub mod ready;
pub mod rerank;
pub mod route;
pub mod trace;
pub mod videos;

pub use admission::{Admission, AdmissionCheck, AdmissionRequest, Admitted, RateKey};
pub use auth::{MIN_TOKEN, Scope, TokenError, Tokens};
pub use dedupe::{DecisionRequest, DecisionResult, DedupeLine, DedupeParameters, PlanRequest, ProgressLine};
pub use model::ServerModel;
pub use options::{ListOptions, SearchOptions};
pub use problem::{Problem, ProblemCode, ProblemDetails};
pub use rerank::{Candidates, Reranked};
pub use route::Route;
pub use trace::TraceContext;
pub use videos::PutResult;

/// The OpenAPI document, also served at `/v1/openapi.json`.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// The media type of pages, a line of JSON each.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of problems.
pub const PROBLEM: &str = "application/problem+json";
