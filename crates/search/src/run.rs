//! A search as steps: what the caller sends on, fetches or has compared next.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::budget::Budget;
use crate::engine::Engine;
use crate::error::SearchError;
use crate::hit::{Hit, Outcome};
use crate::page::{PageStage, SearchPage, SearchTimings};
use crate::query::Query;
use crate::relation::Untold;
use crate::segments::Segment;
use crate::session::{BATCH, Fetched, Session};
use crate::table::Table;
use crate::windows::CoarseScan;

/// Records that are in memory while segments are computed.
pub const ALIGNED: usize = 32;

/// Parameters of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchParameters {
    /// Most hits of a page.
    pub top: usize,
    /// Hits below this score are left out.
    pub min_score: f32,
    /// What may be compared frame by frame.
    pub budget: Budget,
    /// Whether hits have the numbers behind their scores.
    pub explain: bool,
    /// Whether segments are computed for the hits of the refined page.
    pub segments: bool,
    /// Whether there is a coarse page before the refined one.
    pub coarse_page: bool,
}

impl Default for SearchParameters {
    /// Ten hits with segments, the budget `auto`, both pages.
    fn default() -> Self {
        Self { top: 10, min_score: 0.0, budget: Budget::default(), explain: false, segments: true, coarse_page: true }
    }
}

/// What a search needs next.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchStep {
    /// A page is complete.
    Page(Box<SearchPage>),
    /// These videos are to be compared, the most doubtful first. The caller hands their records to
    /// [`SearchRun::compare`], or what came of comparing them elsewhere to [`SearchRun::settle`].
    Compare(Vec<String>),
    /// Segments of these hits are to be computed. The caller hands their records to
    /// [`SearchRun::align`], or segments that were computed elsewhere to
    /// [`SearchRun::settle_segments`].
    Align(Vec<String>),
    /// The search has ended.
    Done,
}

/// Where a search stands.
#[derive(Debug)]
enum Phase {
    Planned,
    Comparing,
    Compared,
    /// The refined page, whose hits in `left` still need segments; since when.
    Aligning {
        page: Box<SearchPage>,
        left: Vec<usize>,
        since: f64,
    },
    Done,
}

/// A search from its plan to its refined page, without input or output of its own.
///
/// The caller asks for the next [`SearchStep`], does what it says and asks again, until
/// [`SearchStep::Done`]; it may stop at any step. `clock` returns milliseconds since the caller
/// began: timings are measured by it, and a budget of time is applied from the first step that
/// compares. Engine and query are borrowed or owned, so that one value can hold a search that
/// waits.
pub struct SearchRun<E, Q, C> {
    session: Session<E, Q>,
    parameters: SearchParameters,
    clock: C,
    phase: Phase,
    timings: SearchTimings,
    compare_batch: usize,
    align_batch: usize,
    /// When records or outcomes were asked for, until they come.
    asked: Option<f64>,
    comparing_since: Option<f64>,
}

impl<E: fmt::Debug, Q: fmt::Debug, C> fmt::Debug for SearchRun<E, Q, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, parameters, phase, timings, .. } = self;
        f.debug_struct("SearchRun")
            .field("session", session)
            .field("parameters", parameters)
            .field("phase", phase)
            .field("timings", timings)
            .finish_non_exhaustive()
    }
}

impl<E: Borrow<Engine>, Q: Borrow<Query>, C: Fn() -> f64> SearchRun<E, Q, C> {
    /// Scans a table for the query and selects the pairs that the budget pays for.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle, [`SearchError::Dims`] for vectors of
    /// different lengths.
    pub fn new(
        engine: E,
        query: Q,
        table: &Table,
        parameters: SearchParameters,
        clock: C,
    ) -> Result<Self, SearchError> {
        let begin = clock();
        let coarse = table.coarse(engine.borrow().isa(), query.borrow())?;
        let scan = clock() - begin;
        Self::plan(engine, query, table, coarse, parameters, clock, scan)
    }

    /// [`SearchRun::new`] with the coarse answer of a table whose vectors were scanned elsewhere. All the
    /// time that the clock shows counts as the scan's.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle.
    pub fn scanned(
        engine: E,
        query: Q,
        table: &Table,
        coarse: impl Into<CoarseScan>,
        parameters: SearchParameters,
        clock: C,
    ) -> Result<Self, SearchError> {
        let scan = clock();
        Self::plan(engine, query, table, coarse.into(), parameters, clock, scan)
    }

    fn plan(
        engine: E,
        query: Q,
        table: &Table,
        coarse: CoarseScan,
        parameters: SearchParameters,
        clock: C,
        scan: f64,
    ) -> Result<Self, SearchError> {
        let begin = clock();
        let session = Session::new(engine, query, table, coarse, parameters.budget)?;
        let timings = SearchTimings { scan, select: clock() - begin, ..SearchTimings::default() };
        Ok(Self {
            session,
            parameters,
            clock,
            phase: Phase::Planned,
            timings,
            compare_batch: BATCH,
            align_batch: ALIGNED,
            asked: None,
            comparing_since: None,
        })
    }

    /// Asks for all videos of a phase in one step: for callers that have them compared elsewhere.
    #[must_use]
    pub fn unbatched(self) -> Self {
        Self { compare_batch: usize::MAX, align_batch: usize::MAX, ..self }
    }

    /// What is compared, and what has been so far.
    #[must_use]
    pub const fn session(&self) -> &Session<E, Q> {
        &self.session
    }

    /// The session, for callers that rank it in pages of their own.
    pub const fn session_mut(&mut self) -> &mut Session<E, Q> {
        &mut self.session
    }

    /// The next step. `table` is called where a page is ranked; a table that has changed since the
    /// scan is scanned again.
    ///
    /// # Errors
    /// As [`Session::page`].
    pub fn step<T: Deref<Target = Table>>(&mut self, table: impl Fn() -> T) -> Result<SearchStep, SearchError> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Done) {
                Phase::Planned => {
                    self.phase = Phase::Comparing;
                    if self.parameters.coarse_page {
                        let mut page = self.ranked(PageStage::Coarse, &table())?;
                        page.last = self.session.selected() == 0;
                        if page.last {
                            self.phase = Phase::Done;
                        }
                        return Ok(SearchStep::Page(Box::new(self.timed(page))));
                    }
                }
                Phase::Comparing if self.may_compare() => {
                    self.phase = Phase::Comparing;
                    let left = self.session.left();
                    let ids = left[..left.len().min(self.compare_batch)].to_vec();
                    self.asked = Some((self.clock)());
                    return Ok(SearchStep::Compare(ids));
                }
                Phase::Comparing => self.phase = Phase::Compared,
                Phase::Compared => {
                    let page = Box::new(self.ranked(PageStage::Refined, &table())?);
                    let wanted = |hit: &Hit| self.parameters.segments && hit.wants_segments();
                    let left = (0..page.hits.len()).filter(|&hit| wanted(&page.hits[hit])).collect();
                    self.phase = Phase::Aligning { page, left, since: (self.clock)() };
                }
                Phase::Aligning { mut page, left, since } if left.is_empty() => {
                    if self.parameters.segments {
                        self.timings.segments = (self.clock)() - since;
                    }
                    page.last = true;
                    return Ok(SearchStep::Page(Box::new(self.timed(*page))));
                }
                Phase::Aligning { page, left, since } => {
                    let ids = left.iter().take(self.align_batch).map(|&hit| page.hits[hit].id.clone()).collect();
                    self.phase = Phase::Aligning { page, left, since };
                    return Ok(SearchStep::Align(ids));
                }
                Phase::Done => return Ok(SearchStep::Done),
            }
        }
    }

    /// The best videos by all that is known.
    fn ranked(&mut self, stage: PageStage, table: &Table) -> Result<SearchPage, SearchError> {
        let SearchParameters { top, min_score, budget, explain, .. } = self.parameters;
        let hits = self.session.page(table, top, min_score, explain)?;
        let missing = self.session.missing_count();
        let nothing = !self.session.query().is_informative();
        let warnings = nothing.then(|| Untold::NothingInQuery.text().to_owned()).into_iter().collect();
        Ok(SearchPage {
            page: stage,
            last: false,
            model: self.session.query().bundle.to_string(),
            videos: table.len(),
            budget: budget.to_string(),
            selected: self.session.selected(),
            reranked: self.session.compared(),
            missing,
            degraded: missing > 0,
            warnings,
            hits,
            timings_ms: SearchTimings::default(),
        })
    }

    fn timed(&mut self, page: SearchPage) -> SearchPage {
        self.timings.total = (self.clock)();
        page.with_timings(self.timings)
    }

    /// Whether pairs are left that the budget still pays for.
    fn may_compare(&mut self) -> bool {
        !self.session.left().is_empty() && self.has_time()
    }

    /// Whether the budget's time is not up. It begins with the first call.
    pub fn has_time(&mut self) -> bool {
        let now = (self.clock)();
        let since = *self.comparing_since.get_or_insert(now);
        self.session.has_time(Duration::from_secs_f64(((now - since) / 1000.0).max(0.0)))
    }

    /// Compares the records of [`SearchStep::Compare`] in its order; the first of them where fewer
    /// are given. The time since the step was asked for counts as fetching.
    pub fn compare<B: AsRef<[u8]> + Sync + Send>(&mut self, records: Vec<Fetched<B>>) {
        let begin = (self.clock)();
        if let Some(asked) = self.asked.take() {
            self.timings.fetch += begin - asked;
        }
        self.session.compare(records);
        self.timings.compare += (self.clock)() - begin;
    }

    /// Takes the outcomes of videos that were compared elsewhere, and goes on after all videos of
    /// [`SearchStep::Compare`]: those without an outcome keep their coarse scores. The time since
    /// the step was asked for counts as comparing.
    pub fn settle(&mut self, outcomes: impl IntoIterator<Item = (String, Outcome)>) {
        for (id, outcome) in outcomes {
            self.session.settle(&id, outcome);
        }
        self.session.pass(self.compare_batch);
        if let Some(asked) = self.asked.take() {
            self.timings.compare += (self.clock)() - asked;
        }
    }

    /// Ends comparing: the next page is the refined one.
    pub fn end_comparing(&mut self) {
        if matches!(self.phase, Phase::Planned | Phase::Comparing) {
            self.phase = Phase::Compared;
        }
    }

    /// Computes segments with the records of [`SearchStep::Align`] in its order, with the first of
    /// them where fewer are given. A hit whose record was not fetched has none.
    ///
    /// # Errors
    /// The first error of [`Engine::segments`]; the hits of the other records have their segments.
    pub fn align<B: AsRef<[u8]> + Sync>(&mut self, records: Vec<Fetched<B>>) -> Result<(), SearchError> {
        let records: Vec<_> = records.into_iter().map(Result::ok).collect();
        let (engine, query) = (self.session.engine(), self.session.query());
        let mut first_error = None;
        let mut found = Vec::with_capacity(records.len());
        for result in engine.segments_each(query, &records) {
            found.push(match result {
                Ok(segments) => Some(segments),
                Err(error) => {
                    first_error.get_or_insert(error);
                    None
                }
            });
        }
        self.settle_segments(found);
        first_error.map_or(Ok(()), Err)
    }

    /// Takes segments that were computed elsewhere, in the order of [`SearchStep::Align`]; the hits
    /// of `None` have none.
    pub fn settle_segments(&mut self, found: impl IntoIterator<Item = Option<Vec<Segment>>>) {
        let Phase::Aligning { page, left, .. } = &mut self.phase else { return };
        let mut done = 0;
        for (&hit, segments) in left.iter().zip(found) {
            page.hits[hit].segments = segments.unwrap_or_default();
            done += 1;
        }
        left.drain(..done);
    }
}

#[cfg(all(feature = "parallel", not(target_family = "wasm")))]
impl<E: Borrow<Engine>, Q: Borrow<Query>, C: Fn() -> f64> SearchRun<E, Q, C> {
    /// Compares all videos that the budget pays for, reading the next records while others are
    /// compared ([`Session::refine`]), and ends comparing.
    ///
    /// # Errors
    /// The first error of `fetch`.
    pub fn refine<B, F>(
        &mut self,
        fetch: impl Fn(&[String]) -> Result<Vec<Fetched<B>>, F> + Send,
        control: &vidsieve_progress::Control<'_>,
    ) -> Result<(), F>
    where
        B: AsRef<[u8]> + Send + Sync,
        F: Send,
    {
        let spent = self.session.refine(fetch, control)?;
        self.timings.fetch += spent.fetch.as_secs_f64() * 1000.0;
        self.timings.compare += spent.compare.as_secs_f64() * 1000.0;
        self.asked = None;
        self.end_comparing();
        Ok(())
    }
}
