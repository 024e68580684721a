//! A search of a local index as JavaScript leads it.

use std::rc::Rc;

use js_sys::Uint8Array;
use serde::Serialize;
use vidsieve_record::Record;
use vidsieve_search::{Fetched, Outcome, Query, SearchPage, SearchParameters, SearchRun, SearchStep};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{Engine, plain};
use crate::error::{EngineErrorCode, Error};
use crate::table::Table;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    /// The options of a search, an object of JavaScript.
    #[derive(Debug)]
    pub type OptionsObject;
    #[wasm_bindgen(method, getter)]
    fn top(this: &OptionsObject) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn budget(this: &OptionsObject) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = minScore)]
    fn min_score(this: &OptionsObject) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn segments(this: &OptionsObject) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn explain(this: &OptionsObject) -> JsValue;
}

/// Parameters of a search.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "SearchParameters", rename_all = "camelCase"))]
pub(crate) struct LocalSearchOptions {
    /// Maximum number of hits of a page. Default: 10.
    top: usize,
    /// Budget for re-ranking frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
    /// `p>0.5`, `200ms`, `2s`.
    budget: String,
    /// Minimum score of a hit. Default: 0.
    min_score: f32,
    /// Whether to compute the segments of hits. Default: true.
    segments: bool,
    /// Whether hits include the numbers behind their scores. Default: false.
    explain: bool,
}

impl Default for LocalSearchOptions {
    fn default() -> Self {
        let SearchParameters { top, min_score, budget, explain, segments, .. } = SearchParameters::default();
        Self { top, budget: budget.to_string(), min_score, segments, explain }
    }
}

/// An option that is left out, or of the type that `convert` reads.
fn option<T>(name: &str, value: &JsValue, default: T, convert: impl Fn(&JsValue) -> Option<T>) -> Result<T, Error> {
    if value.is_undefined() {
        return Ok(default);
    }
    let error = || Error::new(EngineErrorCode::BadArgument, format!("the option `{name}` has a wrong type"));
    convert(value).ok_or_else(error)
}

/// A whole number from 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: &JsValue) -> Option<usize> {
    value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0).map(|number| number as usize)
}

/// A number.
#[allow(clippy::cast_possible_truncation)]
fn single(value: &JsValue) -> Option<f32> {
    value.as_f64().map(|number| number as f32)
}

impl LocalSearchOptions {
    /// Reads an object. `serde` would do it with several times the code.
    fn read(object: &OptionsObject) -> Result<Self, Error> {
        let Self { top, budget, min_score, segments, explain } = Self::default();
        Ok(Self {
            top: option("top", &object.top(), top, whole)?,
            budget: option("budget", &object.budget(), budget, JsValue::as_string)?,
            min_score: option("minScore", &object.min_score(), min_score, single)?,
            segments: option("segments", &object.segments(), segments, JsValue::as_bool)?,
            explain: option("explain", &object.explain(), explain, JsValue::as_bool)?,
        })
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

/// A fetched record: `undefined` of one that is missing.
pub(crate) fn fetched(record: &JsValue) -> Fetched<Vec<u8>> {
    if record.is_undefined() {
        return Err(Outcome::Missing);
    }
    Record::parse(Uint8Array::new(record).to_vec()).map_err(|error| Outcome::Failed(error.to_string()))
}

#[wasm_bindgen]
impl Search {
    /// Scans a table for a record's video and selects the pairs that the budget pays for. Options:
    /// `{top, budget, minScore, segments, explain}`, each with a default.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`; `bad-argument` for options that cannot be read.
    pub fn start(engine: &Engine, table: &Table, record: &[u8], options: &OptionsObject) -> Result<Self, Error> {
        let start = now();
        let LocalSearchOptions { top, budget, min_score, segments, explain } = LocalSearchOptions::read(options)?;
        let budget = budget.parse()?;
        let record = Record::parse(record)?;
        record.expect(&engine.inner.bundle())?;
        let query = Query::from_record(&record)?;
        let parameters = SearchParameters { top, min_score, budget, explain, segments, coarse_page: true };
        let clock: Clock = Box::new(move || now() - start);
        let run = SearchRun::new(engine.inner.clone(), query, &table.inner, parameters, clock)?;
        Ok(Self { table: table.inner.clone(), run })
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

    /// Compares the records of the last step `compare`, in its order: a `Uint8Array` each, or
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
    /// `bad-record`, `other-version`, `other-bundle`.
    #[allow(clippy::needless_pass_by_value)]
    pub fn align(&mut self, records: Vec<JsValue>) -> Result<(), Error> {
        Ok(self.run.align(records.iter().map(fetched).collect())?)
    }
}
