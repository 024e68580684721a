//! The pages of an answer, as the HTTP API writes them.

use serde::Serialize;

use crate::hit::Hit;

/// Which page of an answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum PageStage {
    /// By the coarse scores alone.
    Coarse,
    /// After the selected pairs were compared frame by frame.
    Refined,
}

/// Milliseconds of each part of a search.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct SearchTimings {
    /// Comparing the query's vector with all videos.
    pub scan: f64,
    /// Selecting the pairs to compare.
    pub select: f64,
    /// Waiting for records.
    pub fetch: f64,
    /// Comparing frame by frame.
    pub compare: f64,
    /// Finding where videos match, with the records that this needs.
    pub segments: f64,
    /// From the start of the search to this page.
    pub total: f64,
}

/// One page of an answer: the coarse one comes at once, the refined one after pairs were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(concrete(T = SearchTimings)))]
pub struct SearchPage<T = SearchTimings> {
    /// Which page it is.
    pub page: PageStage,
    /// Whether no page follows.
    pub last: bool,
    /// SHA-256 of the bundle, 64 hexadecimal digits.
    pub model: String,
    /// Videos that were searched.
    pub videos: usize,
    /// The budget of the search, as text.
    pub budget: String,
    /// Pairs that the budget pays for.
    pub selected: usize,
    /// Pairs that were compared.
    pub reranked: usize,
    /// Pairs that were to be compared and could not be: their hits keep coarse scores.
    pub missing: usize,
    /// Whether anything is missing.
    pub degraded: bool,
    /// What else the page lacks, in words: a part of a server's index that did not answer, a query that shows nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", ts(as = "Option<Vec<String>>", optional))]
    pub warnings: Vec<String>,
    /// The best videos, best first.
    pub hits: Vec<Hit>,
    /// Milliseconds of each part.
    pub timings_ms: T,
}

impl<T> SearchPage<T> {
    /// The page with other timings.
    #[must_use]
    pub fn with_timings<U>(self, timings_ms: U) -> SearchPage<U> {
        let Self { page, last, model, videos, budget, selected, reranked, missing, degraded, warnings, hits, .. } =
            self;
        SearchPage {
            page,
            last,
            model,
            videos,
            budget,
            selected,
            reranked,
            missing,
            degraded,
            warnings,
            hits,
            timings_ms,
        }
    }
}

impl<T: Serialize> SearchPage<T> {
    /// The page as a line of JSON, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Numbers, texts and lists alone, which can always be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}
