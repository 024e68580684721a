//! A search from its coarse page to its refined one, for callers that fetch records in their own
//! way and time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::time::Duration;

use vidsieve_record::Record;

use crate::budget::Budget;
use crate::engine::Engine;
use crate::error::SearchError;
use crate::hit::{Hit, Outcome};
use crate::plan::Plan;
use crate::query::Query;
use crate::table::Table;
use crate::windows::CoarseScan;

/// Pairs whose records are in memory at the same time.
pub const BATCH: usize = 64;
/// What came of fetching a record: the record, or [`Outcome::Missing`] or [`Outcome::Failed`].
pub type Fetched<B> = Result<Record<B>, Outcome>;

/// A search under way. The caller asks for [`Session::wanted`], fetches those records, hands them
/// to [`Session::compare`], and goes on for as long as it likes; [`Session::page`] answers with
/// what is known at that time. Engine and query are borrowed or held: a caller that gives way in
/// between, and comes back, keeps all in one value.
#[derive(Debug)]
pub struct Session<E, Q> {
    engine: E,
    query: Q,
    budget: Budget,
    plan: Plan,
    changes: u64,
    selected: Vec<String>,
    done: usize,
    outcomes: HashMap<String, Outcome>,
}

impl<E: Borrow<Engine>, Q: Borrow<Query>> Session<E, Q> {
    /// A search of `table`, whose scan for the query is `coarse` ([`Table::coarse`]).
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle.
    pub fn new(
        engine: E,
        query: Q,
        table: &Table,
        coarse: impl Into<CoarseScan>,
        budget: Budget,
    ) -> Result<Self, SearchError> {
        let plan = engine.borrow().plan_scanned(query.borrow(), table, coarse.into(), budget)?;
        let selected = plan.selected().iter().map(|&i| table.id(i).to_owned()).collect();
        let changes = table.changes();
        Ok(Self { engine, query, budget, plan, changes, selected, done: 0, outcomes: HashMap::new() })
    }

    /// The networks that compare.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.engine.borrow()
    }

    /// The video that is searched for.
    #[must_use]
    pub fn query(&self) -> &Query {
        self.query.borrow()
    }

    /// What the search may spend.
    #[must_use]
    pub const fn budget(&self) -> Budget {
        self.budget
    }

    /// Number of pairs within the budget.
    #[must_use]
    pub fn selected(&self) -> usize {
        self.selected.len()
    }

    /// Pairs that were looked at.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.done
    }

    /// The videos whose records are to be compared next, the most doubtful first, at most
    /// [`BATCH`]; none when all are done.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        let left = self.left();
        &left[..left.len().min(BATCH)]
    }

    /// All videos that are still to be compared, the most doubtful first: for callers that fetch
    /// the next batches while this one is compared. Batches are those of [`Session::wanted`]:
    /// [`BATCH`] at a time, in this order.
    #[must_use]
    pub fn left(&self) -> &[String] {
        &self.selected[self.done..]
    }

    /// All videos that are to be compared, the most doubtful first: for callers that have pairs
    /// compared elsewhere, in any order, and report each by [`Session::settle`].
    #[must_use]
    pub fn all_selected(&self) -> &[String] {
        &self.selected
    }

    /// Keeps the outcome of a video that was compared elsewhere; a later one replaces it.
    pub fn settle(&mut self, id: &str, outcome: Outcome) {
        self.outcomes.insert(id.to_owned(), outcome);
    }

    /// Counts the next `pairs` of [`Session::left`] as done; those without an outcome keep their
    /// coarse scores.
    pub(crate) fn pass(&mut self, pairs: usize) {
        self.done = self.selected.len().min(self.done.saturating_add(pairs));
    }

    /// Whether the budget allows further comparing after this much time of it.
    #[must_use]
    pub fn has_time(&self, spent: Duration) -> bool {
        self.budget.time().is_none_or(|time| spent < time)
    }

    /// Compares the records of [`Session::wanted`], in its order; of the first of them where fewer
    /// are given.
    pub fn compare<B: AsRef<[u8]> + Sync + Send>(&mut self, records: Vec<Fetched<B>>) {
        let (found, problems): (Vec<_>, Vec<_>) =
            records.into_iter().map(|r| r.map_or_else(|problem| (None, Some(problem)), |r| (Some(r), None))).unzip();
        let compared = self.engine.borrow().compare_all(self.query.borrow(), &found);
        for (outcome, problem) in compared.into_iter().zip(problems) {
            let Some(id) = self.selected.get(self.done) else { return };
            self.outcomes.insert(id.clone(), problem.unwrap_or(outcome));
            self.done += 1;
        }
    }

    /// Number of compared pairs.
    #[must_use]
    pub fn compared(&self) -> usize {
        self.outcomes.values().filter(|o| matches!(o, Outcome::Compared(_))).count()
    }

    /// The number of [`Session::missing`].
    #[must_use]
    pub fn missing_count(&self) -> usize {
        self.outcomes.len() - self.compared()
    }

    /// Videos that were to be compared and could not be, in the order of their ids.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let missing = self.outcomes.iter().filter(|(_, o)| !matches!(o, Outcome::Compared(_)));
        let mut ids: Vec<&str> = missing.map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    /// The best `top` videos of at least `min_score` by all that is known ([`Plan::page`]). A table
    /// that has changed since the last page is scanned again, so that hits are videos of the table.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn page(&mut self, table: &Table, top: usize, min_score: f32, explain: bool) -> Result<Vec<Hit>, SearchError> {
        if table.changes() != self.changes {
            self.plan = self.engine.borrow().plan(self.query.borrow(), table, self.budget)?;
            self.changes = table.changes();
        }
        let placed: HashMap<usize, Outcome> =
            self.outcomes.iter().filter_map(|(id, outcome)| Some((table.position(id)?, outcome.clone()))).collect();
        let mut hits = self.plan.page(self.engine.borrow(), table, &placed, top, explain);
        hits.retain(|hit| hit.score >= min_score);
        Ok(hits)
    }
}
