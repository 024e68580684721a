//! A search under way: the coarse page, the pairs to be compared, the refined page.

use std::rc::Rc;

use js_sys::Uint8Array;
use serde::Serialize;
use vidsieve_record::Record;
use vidsieve_search::{Budget, Fetched, Hit, Outcome, Query, Session};
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

/// A search under way. The host fetches the records of [`Search::wanted`], hands some of them or all to [`Search::compare`], looks
/// at the clock, and goes on.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Search {
    engine: Rc<vidsieve_search::Engine>,
    table: Rc<vidsieve_search::Table>,
    session: Session<Rc<vidsieve_search::Engine>, Query>,
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

/// What came of fetching a record: `undefined` of one that is not there.
fn fetched(record: &JsValue) -> Fetched<Vec<u8>> {
    if record.is_undefined() {
        return Err(Outcome::Missing);
    }
    Record::parse(Uint8Array::new(record).to_vec()).map_err(|error| Outcome::Failed(error.to_string()))
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
        let coarse = table.inner.scan(engine.inner.isa(), &query.global)?;
        let session = Session::new(engine.inner.clone(), query, &table.inner, coarse, budget)?;
        Ok(Self { engine: engine.inner.clone(), table: table.inner.clone(), session })
    }

    /// The ids of the videos to be compared next, the most doubtful first, some dozens at most; none when all are done.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        self.session.wanted().to_vec()
    }

    /// Milliseconds that the budget allows, if it is a time.
    #[wasm_bindgen(getter, js_name = timeLimit)]
    #[must_use]
    pub fn time_limit(&self) -> Option<f64> {
        self.session.budget().time().map(|t| t.as_secs_f64() * 1000.0)
    }

    /// Compares the video with those that are wanted, in their order: a `Uint8Array` each, or `undefined`. Fewer may be given. A
    /// record that is not there, is damaged or of another bundle is an outcome that the page tells, not an error.
    #[allow(clippy::needless_pass_by_value)]
    pub fn compare(&mut self, records: Vec<JsValue>) {
        self.session.compare(records.iter().map(fetched).collect());
    }

    /// The best `top` videos so far: `{videos, budget, selected, reranked, missing, hits, likely}`. Hits below `min_score` are
    /// left out.
    ///
    /// # Errors
    /// None that is expected.
    pub fn page(&mut self, top: usize, min_score: f32, explain: bool) -> Result<JsValue, Error> {
        let hits = self.session.page(&self.table, top, min_score, explain)?;
        plain(&Answer {
            videos: self.table.len(),
            budget: self.session.budget().to_string(),
            selected: self.session.selected(),
            reranked: self.session.compared(),
            missing: self.session.missing().len(),
            likely: hits.iter().map(Hit::wants_segments).collect(),
            hits,
        })
    }

    /// Where the video and a record match, best first: `[{query, target, score}]`.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`.
    pub fn segments(&self, record: &[u8]) -> Result<JsValue, Error> {
        plain(&self.engine.segments(self.session.query(), &Record::parse(record)?)?)
    }
}
