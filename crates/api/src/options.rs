//! Query parameters.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use vidsieve_search::Budget;
use vidsieve_search::budget::BudgetError;

use crate::problem::Problem;

/// Most hits of a page.
pub const MAX_TOP: usize = 1000;
/// Most videos of a listing's page.
pub const MAX_LIST: usize = 1000;

/// `?top=&budget=&explain=&segments=&min_score=`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchOptions {
    /// Most hits of a page, 1 to [`MAX_TOP`].
    #[serde(default = "ten")]
    pub top: usize,
    #[serde(default)]
    budget: Option<String>,
    /// Whether hits tell the numbers behind their scores.
    #[serde(default)]
    pub explain: bool,
    /// Whether it is told where hits match.
    #[serde(default = "yes")]
    pub segments: bool,
    /// Hits below it are left out.
    #[serde(default)]
    pub min_score: f32,
}

fn ten() -> usize {
    10
}

fn yes() -> bool {
    true
}

fn parsed<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_urlencoded::from_str(query).map_err(|e| Problem::bad_request(format!("the query parameters: {e}")))
}

impl SearchOptions {
    /// Reads what stands behind the `?` of a search, and its budget.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn parse(query: &str) -> Result<(Self, Budget), Problem> {
        let options: Self = parsed(query)?;
        if options.top == 0 || options.top > MAX_TOP {
            return Err(Problem::bad_request(format!("top is {}, must be 1 to {MAX_TOP}", options.top)));
        }
        let budget = match &options.budget {
            Some(text) => text.parse().map_err(|e: BudgetError| Problem::bad_request(e.to_string()))?,
            None => Budget::default(),
        };
        Ok((options, budget))
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
