//! The pages of an answer, as the HTTP API writes them.

use serde::Serialize;

use crate::hit::Hit;

/// Kind of a page.
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
    /// Computing segments, including the records that this needs.
    pub segments: f64,
    /// From the start of the search to this page.
    pub total: f64,
}

/// Page of a search's result: the coarse page comes first, the refined page after re-ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(concrete(T = SearchTimings)))]
pub struct SearchPage<T = SearchTimings> {
    /// Kind of the page.
    pub page: PageStage,
    /// Whether no page follows.
    pub last: bool,
    /// SHA-256 of the bundle, 64 hexadecimal digits.
    pub model: String,
    /// Number of searched videos.
    pub videos: usize,
    /// The budget of the search, as text.
    pub budget: String,
    /// Number of pairs within the budget.
    pub selected: usize,
    /// Number of compared pairs.
    pub reranked: usize,
    /// Number of selected pairs that could not be compared: their hits keep coarse scores.
    pub missing: usize,
    /// Whether the page is incomplete.
    pub degraded: bool,
    /// What else the page lacks, in words, such as a part of a server's index that did not answer, or a query without
    /// informative frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", ts(as = "Option<Vec<String>>", optional))]
    pub warnings: Vec<String>,
    /// Hits, best first.
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
