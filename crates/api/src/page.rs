//! The answer to a search: a line of JSON for each page.

use serde::Serialize;
use serde_json::json;
use vidsieve_search::{Budget, Hit, SearchError, Session, Table};

use crate::problem::Problem;

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// By S^c alone.
    Coarse,
    /// With the pairs that were compared frame by frame.
    Refined,
}

/// Milliseconds of each part.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Timings {
    /// Comparing the vectors of all videos.
    pub scan: f64,
    /// Choosing what to compare.
    pub select: f64,
    /// Fetching records.
    pub fetch: f64,
    /// Comparing frame by frame.
    pub compare: f64,
    /// Finding where videos match.
    pub segments: f64,
    /// All of it.
    pub total: f64,
}

/// One page of an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T = Timings> {
    /// Which page.
    pub page: Stage,
    /// Whether no page follows.
    pub last: bool,
    /// The bundle, as 64 hexadecimal digits.
    pub model: String,
    /// Videos that were searched.
    pub videos: usize,
    /// What may be spent on comparing.
    pub budget: String,
    /// Pairs that the budget pays for.
    pub selected: usize,
    /// Pairs that were compared.
    pub reranked: usize,
    /// Pairs that were to be compared and were not: their hits are coarse.
    pub missing: usize,
    /// Whether anything is missing.
    pub degraded: bool,
    /// What else is missing, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The best videos.
    pub hits: Vec<Hit>,
    /// Where the time went.
    pub timings_ms: T,
}

/// What is shown of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// Most hits.
    pub top: usize,
    /// Hits below it are left out.
    pub min_score: f32,
    /// Whether hits tell the numbers behind their scores.
    pub explain: bool,
}

impl<T: Default + Serialize> Page<T> {
    /// The page of a session at this time.
    ///
    /// # Errors
    /// As [`Session::page`].
    pub fn of(
        page: Stage,
        model: String,
        budget: Budget,
        table: &Table,
        session: &mut Session<'_>,
        shown: Shown,
    ) -> Result<Self, SearchError> {
        let hits = session.page(table, shown.top, shown.min_score, shown.explain)?;
        let missing = session.missing().len();
        Ok(Self {
            page,
            last: false,
            model,
            videos: table.len(),
            budget: budget.to_string(),
            selected: session.selected(),
            reranked: session.compared(),
            missing,
            degraded: missing > 0,
            warnings: Vec::new(),
            hits,
            timings_ms: T::default(),
        })
    }

    /// The page as a line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Numbers, texts and lists alone: nothing that cannot be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// The last line of an answer that failed after its first page.
#[must_use]
pub fn failed(problem: &Problem) -> String {
    json!({ "page": "error", "last": true, "problem": problem.to_json() }).to_string() + "\n"
}
