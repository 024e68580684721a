//! A search of a local index as JavaScript leads it.

use std::rc::Rc;

use js_sys::Uint8Array;
use serde::{Deserialize, Serialize};
use vidsieve_record::Record;
use vidsieve_search::{Budget, Fetched, Hit, Outcome, Query, SearchPage, SearchParameters, SearchRun, SearchStep};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{Engine, plain};
use crate::error::Error;
use crate::table::Table;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Reads a budget and writes it as the engine does.
///
/// # Errors
/// `bad-argument`.
#[wasm_bindgen(js_name = checkBudget)]
pub fn check_budget(text: &str) -> Result<String, Error> {
    Ok(text.parse::<Budget>()?.to_string())
}

/// What a search returns and what it may cost.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "SearchParameters"))]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LocalSearchOptions {
    /// Most hits of a page; 10.
    top: usize,
    /// What may be compared frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
    /// `p>0.5`, `200ms`, `2s`.
    budget: String,
    /// Hits below this score are left out; 0.
    min_score: f32,
    /// Whether segments are computed for the hits; true.
    segments: bool,
    /// Whether hits have the numbers behind their scores; false.
    explain: bool,
}

impl Default for LocalSearchOptions {
    fn default() -> Self {
        let SearchParameters { top, min_score, budget, explain, segments, .. } = SearchParameters::default();
        Self { top, budget: budget.to_string(), min_score, segments, explain }
    }
}

/// What the host does next.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "SearchStep"))]
#[serde(tag = "step", rename_all = "lowercase")]
pub(crate) enum LocalSearchStep {
    /// Sends a page on.
    Page { page: Box<SearchPage> },
    /// Fetches the records of these videos and hands them to `compare`.
    Compare { ids: Vec<String> },
    /// Fetches the records of these videos and hands them to `align`.
    Align { ids: Vec<String> },
    /// Frees the search.
    Done,
}

/// A search under way: the host asks for [`Search::step`], does what it says, and asks again.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Search {
    table: Rc<vidsieve_search::Table>,
    run: SearchRun<Rc<vidsieve_search::Engine>, Query, Clock>,
}

/// Milliseconds since the search was made.
type Clock = Box<dyn Fn() -> f64>;

/// The part of a page that [`Search::page`] returns.
#[derive(Serialize)]
struct RankedHits {
    videos: usize,
    budget: String,
    selected: usize,
    reranked: usize,
    missing: usize,
    hits: Vec<Hit>,
    /// Whether segments are to be computed, for each hit.
    likely: Vec<bool>,
}

/// A fetched record: `undefined` of one that is missing.
fn fetched(record: &JsValue) -> Fetched<Vec<u8>> {
    if record.is_undefined() {
        return Err(Outcome::Missing);
    }
    Record::parse(Uint8Array::new(record).to_vec()).map_err(|error| Outcome::Failed(error.to_string()))
}

impl Search {
    fn begin(engine: &Engine, table: &Table, record: &[u8], parameters: SearchParameters) -> Result<Self, Error> {
        let start = now();
        let record = Record::parse(record)?;
        record.expect(&engine.inner.bundle())?;
        let query = Query::from_record(&record)?;
        let clock: Clock = Box::new(move || now() - start);
        let run = SearchRun::new(engine.inner.clone(), query, &table.inner, parameters, clock)?;
        Ok(Self { table: table.inner.clone(), run })
    }
}

#[wasm_bindgen]
impl Search {
    /// Scans a table for a record's video and selects the pairs that the budget pays for; for
    /// callers of [`Search::page`].
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`; `bad-argument` for a text that is no budget.
    #[wasm_bindgen(constructor)]
    pub fn new(engine: &Engine, table: &Table, record: &[u8], budget: &str) -> Result<Self, Error> {
        Self::begin(engine, table, record, SearchParameters { budget: budget.parse()?, ..Default::default() })
    }

    /// Scans a table for a record's video and selects the pairs that the budget pays for. Options:
    /// `{top, budget, minScore, segments, explain}`, each with a default.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`; `bad-argument` for options that cannot be read.
    pub fn start(engine: &Engine, table: &Table, record: &[u8], options: JsValue) -> Result<Self, Error> {
        let options: LocalSearchOptions = serde_wasm_bindgen::from_value(options)?;
        let LocalSearchOptions { top, budget, min_score, segments, explain } = options;
        let budget = budget.parse()?;
        Self::begin(
            engine,
            table,
            record,
            SearchParameters { top, min_score, budget, explain, segments, coarse_page: true },
        )
    }

    /// What the host does next: `{step: "page", page}`, `{step: "compare", ids}`, `{step: "align",
    /// ids}` or `{step: "done"}`.
    ///
    /// # Errors
    /// None that is expected.
    pub fn step(&mut self) -> Result<JsValue, Error> {
        let step = self.run.step(|| &*self.table)?;
        plain(&match step {
            SearchStep::Page(page) => LocalSearchStep::Page { page },
            SearchStep::Compare(ids) => LocalSearchStep::Compare { ids },
            SearchStep::Align(ids) => LocalSearchStep::Align { ids },
            SearchStep::Done => LocalSearchStep::Done,
        })
    }

    /// Whether the budget's time, if it is one, is not up: a host that hands over the records of a
    /// step in parts asks before each part.
    #[wasm_bindgen(js_name = hasTime)]
    pub fn has_time(&mut self) -> bool {
        self.run.has_time()
    }

    /// The ids of the videos to be compared next, the most doubtful first, some dozens at most;
    /// none when all are done.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        self.run.session().wanted().to_vec()
    }

    /// Milliseconds that the budget allows, if it is a time.
    #[wasm_bindgen(getter, js_name = timeLimit)]
    #[must_use]
    pub fn time_limit(&self) -> Option<f64> {
        self.run.session().budget().time().map(|t| t.as_secs_f64() * 1000.0)
    }

    /// Compares the video with those that are wanted, in their order: a `Uint8Array` each, or
    /// `undefined`. Fewer may be given. A record that is missing, damaged or of another bundle is
    /// an outcome that the page shows, not an error.
    #[allow(clippy::needless_pass_by_value)]
    pub fn compare(&mut self, records: Vec<JsValue>) {
        self.run.compare(records.iter().map(fetched).collect());
    }

    /// Computes segments with the records of the last step `align`, in their order: a `Uint8Array`
    /// each, or `undefined`. Fewer may be given.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`.
    #[allow(clippy::needless_pass_by_value)]
    pub fn align(&mut self, records: Vec<JsValue>) -> Result<(), Error> {
        Ok(self.run.align(records.iter().map(fetched).collect())?)
    }

    /// The best `top` videos so far: `{videos, budget, selected, reranked, missing, hits, likely}`.
    /// Hits below `min_score` are left out.
    ///
    /// # Errors
    /// None that is expected.
    pub fn page(&mut self, top: usize, min_score: f32, explain: bool) -> Result<JsValue, Error> {
        let session = self.run.session_mut();
        let hits = session.page(&self.table, top, min_score, explain)?;
        plain(&RankedHits {
            videos: self.table.len(),
            budget: session.budget().to_string(),
            selected: session.selected(),
            reranked: session.compared(),
            missing: session.missing().len(),
            likely: hits.iter().map(Hit::wants_segments).collect(),
            hits,
        })
    }

    /// Where the video and a record match, best first: `[{query, target, score}]`.
    ///
    /// # Errors
    /// `bad-record`, `other-bundle`.
    pub fn segments(&self, record: &[u8]) -> Result<JsValue, Error> {
        let session = self.run.session();
        plain(&session.engine().segments(session.query(), &Record::parse(record)?)?)
    }
}
