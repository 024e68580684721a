//! Query parameters.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use vidsieve_search::budget::BudgetError;
use vidsieve_search::{Budget, SearchParameters};

use crate::problem::Problem;

/// Most hits of a page.
pub const MAX_TOP: usize = 1000;
/// Most videos of a listing's page.
pub const MAX_LIST: usize = 1000;

/// `?top=&budget=&explain=&segments=&min_score=`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchOptions {
    /// Most hits of a page, 1 to [`MAX_TOP`]; 10.
    pub top: usize,
    /// What may be compared frame by frame; `auto`.
    pub budget: Option<String>,
    /// Whether hits have the numbers behind their scores.
    pub explain: bool,
    /// Whether to compute the segments of hits. Default: true.
    pub segments: bool,
    /// Hits below this score, 0 to 1, are left out; 0.
    pub min_score: f32,
}

impl Default for SearchOptions {
    fn default() -> Self {
        let SearchParameters { top, min_score, explain, segments, .. } = SearchParameters::default();
        Self { top, budget: None, explain, segments, min_score }
    }
}

pub(crate) fn parsed<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_urlencoded::from_str(query).map_err(|e| Problem::bad_request(format!("the query parameters: {e}")))
}

impl SearchOptions {
    /// Reads the query string of a search.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn parse(query: &str) -> Result<SearchParameters, Problem> {
        let Self { top, budget, explain, segments, min_score } = parsed(query)?;
        if top == 0 || top > MAX_TOP {
            return Err(Problem::bad_request(format!("top is {top}, must be 1 to {MAX_TOP}")));
        }
        // Also what is no number.
        if !(0.0..=1.0).contains(&min_score) {
            return Err(Problem::bad_request(format!("min_score is {min_score}, must be 0 to 1")));
        }
        let budget = match budget {
            Some(text) => text.parse().map_err(|e: BudgetError| Problem::bad_request(e.to_string()))?,
            None => Budget::default(),
        };
        Ok(SearchParameters { top, min_score, budget, explain, segments, coarse_page: true })
    }
}

/// `?after=&limit=`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListOptions {
    /// The last id of the page before.
    pub after: Option<String>,
    /// Most videos, 1 to [`MAX_LIST`].
    #[serde(default = "hundred")]
    pub limit: usize,
}

fn hundred() -> usize {
    100
}

impl ListOptions {
    /// Reads what stands behind the `?` of a listing.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let options: Self = parsed(query)?;
        if options.limit == 0 || options.limit > MAX_LIST {
            return Err(Problem::bad_request(format!("limit is {}, must be 1 to {MAX_LIST}", options.limit)));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scores_are_in_their_range() {
        for score in ["0", "1", "0.5", "1e-3"] {
            assert!(SearchOptions::parse(&format!("min_score={score}")).is_ok(), "{score}");
        }
        for score in ["-0.1", "1.01", "NaN", "inf", "-inf", "1e39", "x", ""] {
            let problem = SearchOptions::parse(&format!("min_score={score}")).unwrap_err();
            assert_eq!(problem.status(), 400, "{score}");
        }
    }
}
