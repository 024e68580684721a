//! A search under way: the coarse page, the pairs to be compared, the refined page.

use std::collections::HashMap;
use std::rc::Rc;

use serde::Serialize;
use vidsieve_index::record::Record;
use vidsieve_model::fine::Workspace;
use vidsieve_search::segments::LIKELY;
use vidsieve_search::{Budget, Hit, Outcome, Plan, Query};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{Engine, plain};
use crate::error::Error;
use crate::table::Table;

/// Reads a budget and writes it as the engine does.
///
/// # Errors
/// `bad-argument`.
#[wasm_bindgen(js_name = checkBudget)]
pub fn check_budget(text: &str) -> Result<String, Error> {
    Ok(text.parse::<Budget>()?.to_string())
}

/// A search under way. The host fetches the records of [`Search::selected`], hands each to [`Search::compare`], and looks at
/// the clock in between.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Search {
    engine: Rc<vidsieve_search::Engine>,
    table: Rc<vidsieve_search::Table>,
    query: Query,
    budget: Budget,
    plan: Plan,
    outcomes: HashMap<usize, Outcome>,
    workspace: Workspace,
}

/// An answer.
#[derive(Serialize)]
struct Answer {
    videos: usize,
    budget: String,
    selected: usize,
    reranked: usize,
    missing: usize,
    hits: Vec<Hit>,
    /// The hits whose segments are worth looking for.
    likely: Vec<bool>,
}

#[wasm_bindgen]
impl Search {
    /// Scans a table for a record's video and chooses the pairs that the budget pays for.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`; `bad-argument` for a text that is no budget.
    #[wasm_bindgen(constructor)]
    pub fn new(engine: &Engine, table: &Table, record: &[u8], budget: &str) -> Result<Self, Error> {
        let budget: Budget = budget.parse()?;
        let record = Record::parse(record)?;
        record.expect(&engine.inner.bundle())?;
        let query = Query::from_record(&record)?;
        let plan = if table.inner.is_empty() {
            Plan::new(Vec::new(), None, budget)
        } else {
            engine.inner.plan(&query, &table.inner, budget)?
        };
        Ok(Self {
            engine: engine.inner.clone(),
            table: table.inner.clone(),
            query,
            budget,
            plan,
            outcomes: HashMap::new(),
            workspace: Workspace::default(),
        })
    }

    /// The ids of the videos to be compared, most doubtful first.
    #[must_use]
    pub fn selected(&self) -> Vec<String> {
        self.plan.selected().iter().map(|&i| self.table.id(i).to_owned()).collect()
    }

    /// Milliseconds that the budget allows, if it is a time.
    #[wasm_bindgen(getter, js_name = timeLimit)]
    #[must_use]
    pub fn time_limit(&self) -> Option<f64> {
        self.budget.time().map(|t| t.as_secs_f64() * 1000.0)
    }

    /// Compares the video with one that was selected. A record that is not there, is damaged or of another bundle is an outcome
    /// that the page tells, not an error.
    pub fn compare(&mut self, id: &str, record: Option<Vec<u8>>) {
        let Some(place) = self.table.position(id) else { return };
        let outcome = match record.map(Record::parse) {
            None => Outcome::Missing,
            Some(Err(error)) => Outcome::Failed(error.to_string()),
            Some(Ok(record)) => match self.engine.compare(&self.query, &record, &mut self.workspace) {
                Ok(pair) => Outcome::Compared(pair),
                Err(error) => Outcome::Failed(error.to_string()),
            },
        };
        self.outcomes.insert(place, outcome);
    }

    /// The best `top` videos so far: `{videos, budget, selected, reranked, missing, hits, likely}`. Hits below `min_score` are
    /// left out.
    ///
    /// # Errors
    /// None that is expected.
    pub fn page(&self, top: usize, min_score: f32, explain: bool) -> Result<JsValue, Error> {
        let mut hits = self.plan.page(&self.engine, &self.table, &self.outcomes, top, explain);
        hits.retain(|hit| hit.score >= min_score);
        let reranked = self.outcomes.values().filter(|o| matches!(o, Outcome::Compared(_))).count();
        plain(&Answer {
            videos: self.table.len(),
            budget: self.budget.to_string(),
            selected: self.plan.selected().len(),
            reranked,
            missing: self.outcomes.len() - reranked,
            likely: hits.iter().map(|hit| hit.score >= LIKELY && hit.unavailable.is_none()).collect(),
            hits,
        })
    }

    /// Where the video and a record match, best first: `[{query, target, score}]`.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`.
    pub fn segments(&self, record: &[u8]) -> Result<JsValue, Error> {
        plain(&self.engine.segments(&self.query, &Record::parse(record)?)?)
    }
}
