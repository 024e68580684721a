//! The search for copies in a local index, as JavaScript leads it.

use std::rc::Rc;

use serde::Serialize;
use vidsieve_search::{CopyParameters, CopyRun, CopyStep};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{Engine, plain};
use crate::error::{EngineErrorCode, Error};
use crate::search::fetched;
use crate::table::Table;

/// What the host does next.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "DuplicateStep"))]
#[serde(tag = "step", rename_all = "lowercase")]
pub(crate) enum LocalCopyStep {
    /// Pairs of `done` of `all` videos are chosen: asks again.
    Chosen { done: usize, all: usize },
    /// Fetches the records of these videos and hands them to `compare`.
    Compare { query: String, targets: Vec<String>, done: usize, all: usize },
    /// Asks for the report.
    Done,
}

/// The search for copies in a table: the host asks for [`Duplicates::step`], does what it says, and
/// asks again. The table stays as it was when it began.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Duplicates {
    run: CopyRun<Rc<vidsieve_search::Engine>, Rc<vidsieve_search::Table>>,
}

#[wasm_bindgen]
impl Duplicates {
    /// Begins. `min_score`: the score from which two videos are copies; `budget`: how many pairs of
    /// each video are compared beside the likely ones.
    ///
    /// # Errors
    /// `bad-argument` for a score outside [0, 1], or a budget that cannot be read or is a time.
    pub fn start(engine: &Engine, table: &Table, min_score: f32, budget: &str) -> Result<Self, Error> {
        let budget: vidsieve_search::Budget = budget.parse()?;
        if !(0.0..=1.0).contains(&min_score) || budget.time().is_some() {
            let message = "copies need a score from 0 to 1, and a budget that is no time";
            return Err(Error::new(EngineErrorCode::BadArgument, message));
        }
        let parameters = CopyParameters { min_score, budget };
        Ok(Self { run: CopyRun::new(engine.inner.clone(), table.inner.clone(), table.lengths(), parameters) })
    }

    /// What the host does next: `{step: "chosen", done, all}`, `{step: "compare", query, targets,
    /// done, all}` or `{step: "done"}`.
    ///
    /// # Errors
    /// None that is expected.
    pub fn step(&mut self) -> Result<JsValue, Error> {
        plain(&match self.run.step()? {
            CopyStep::Chosen { done, all } => LocalCopyStep::Chosen { done, all },
            CopyStep::Compare { query, targets, done, all } => LocalCopyStep::Compare { query, targets, done, all },
            CopyStep::Done => LocalCopyStep::Done,
        })
    }

    /// Compares the records of the last step `compare`: that of its query, then those of its
    /// targets in their order, a `Uint8Array` each, or `undefined`.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`.
    #[allow(clippy::needless_pass_by_value)]
    pub fn compare(&mut self, query: JsValue, targets: Vec<JsValue>) -> Result<(), Error> {
        Ok(self.run.compare(fetched(&query), targets.iter().map(fetched).collect())?)
    }

    /// What is known by now; `order` has ids of videos, the best to keep first.
    ///
    /// # Errors
    /// None that is expected.
    #[allow(clippy::needless_pass_by_value)]
    pub fn report(&self, order: Vec<String>) -> Result<JsValue, Error> {
        plain(&self.run.report(&order))
    }
}
