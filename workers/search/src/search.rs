//! A search: the coarse page as soon as the shards have answered, the refined page when the re-rank tier has.

use std::collections::HashMap;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use vidsieve_api::page::{Shown, failed};
use vidsieve_api::rerank::LATE;
use vidsieve_api::{Page, Problem, SearchOptions, Stage, Timings};
use vidsieve_edge::{EdgeError, Networks, now, number};
use vidsieve_search::{Budget, Engine, Outcome, Query, SearchError, Session, Table};
use worker::Env;

use crate::index::{Index, Scanned};
use crate::message::Scan;
use crate::tier::{Comparing, Target};

/// Most pairs that are compared for one search, where `MAX_PAIRS` says nothing.
const MAX_PAIRS: usize = 1000;
/// Milliseconds that comparing may take, where `RERANK_MS` says nothing.
const RERANK_MS: f64 = 15_000.0;

/// What is asked.
pub(crate) struct Search {
    pub(crate) env: Env,
    pub(crate) networks: Rc<Networks>,
    pub(crate) index: Index,
    pub(crate) namespace: String,
    /// The query's record.
    pub(crate) record: Vec<u8>,
    pub(crate) query: Query,
    pub(crate) options: SearchOptions,
    pub(crate) budget: Budget,
}

/// What the shards answered, and what is made of it.
struct Planned {
    start: f64,
    scanned: Scanned,
    table: Table,
    cosines: Vec<f32>,
    /// What the session may compare.
    budget: Budget,
    /// Pairs that the budget pays for beyond what is compared here.
    cut: usize,
    timings: Timings,
}

/// The lines of an answer.
pub(crate) type Lines = UnboundedReceiver<String>;

fn internal(error: &SearchError) -> Problem {
    EdgeError::Answer { who: "the search", what: error.to_string() }.into()
}

impl Search {
    /// Asks the shards. Gives the lines of the answer, and the work that writes them.
    ///
    /// # Errors
    /// `busy` if no shard answers in time.
    pub(crate) async fn begin(self) -> Result<(Lines, impl Future<Output = ()> + 'static), Problem> {
        let most = number(&self.env, "MAX_PAIRS", MAX_PAIRS)?;
        let planned = self.plan(most).await?;
        let (sender, lines) = unbounded();
        Ok((lines, async move {
            if let Err(problem) = self.answer(planned, &sender).await {
                // Whoever asked has gone if nobody takes it.
                let _ = sender.unbounded_send(failed(&problem));
            }
        }))
    }

    async fn plan(&self, most: usize) -> Result<Planned, Problem> {
        let start = now();
        let doubtful = match self.budget {
            Budget::Pairs(pairs) => pairs.min(most),
            Budget::None => 0,
            _ => most,
        };
        let above = if let Budget::Probability(p) = self.budget { Some(p) } else { None };
        let ask = Scan {
            doubtful,
            // All that are compared may turn out to be none.
            similar: self.options.top + doubtful,
            above,
            cosines: self.options.explain,
            self_similarity: self.query.self_similarity,
        };
        let scanned = self.index.scan(&self.query, ask).await;
        if scanned.lost == scanned.shards {
            return Err(Problem::busy());
        }
        let scan = now() - start;
        let ids = scanned.candidates.iter().map(|c| c.id.clone()).collect();
        let scalars = scanned.candidates.iter().map(|c| c.self_similarity).collect();
        let cosines: Vec<f32> = scanned.candidates.iter().map(|c| c.cosine).collect();
        // The vectors were compared where they lie.
        let table = Table::from_columns(0, ids, Vec::new(), scalars).map_err(|e| internal(&e))?;
        let paid = match self.budget {
            Budget::Probability(p) => {
                let doubt = self.networks.engine.doubt(self.query.self_similarity, table.self_similarities(), &cosines);
                doubt.map_or(0, |doubt| doubt.iter().filter(|d| **d > p).count())
            }
            budget => budget.pairs(scanned.videos, std::iter::empty()),
        };
        let cut = match self.budget {
            // What is reasonable is for the server to say.
            Budget::Auto | Budget::Time(_) => 0,
            _ => paid.saturating_sub(most),
        };
        let budget = match self.budget {
            Budget::Probability(p) if paid <= most => Budget::Probability(p),
            _ => Budget::Pairs(paid.min(most)),
        };
        let timings = Timings { scan, ..Timings::default() };
        Ok(Planned { start, scanned, table, cosines, budget, cut, timings })
    }

    fn page(
        &self,
        stage: Stage,
        planned: &Planned,
        session: &mut Session<&Engine, &Query>,
    ) -> Result<Page, SearchError> {
        let SearchOptions { top, min_score, explain, .. } = self.options;
        let model = self.networks.id().to_string();
        let mut page: Page =
            Page::of(stage, model, self.budget, &planned.table, session, Shown { top, min_score, explain })?;
        let Scanned { videos, lost, shards, cosines, .. } = &planned.scanned;
        page.videos = *videos;
        page.selected += planned.cut;
        page.missing += planned.cut;
        if planned.cut > 0 {
            let compared = page.selected - planned.cut;
            page.warnings.push(format!("the budget pays for {} pairs; {compared} are compared here", page.selected));
        }
        if *lost > 0 {
            page.warnings
                .push(format!("{lost} of {shards} parts of the index did not answer: their videos are not here"));
        }
        page.degraded = page.missing > 0 || *lost > 0;
        for explain in page.hits.iter_mut().filter_map(|hit| hit.explain.as_mut()) {
            explain.coarse_rank = 1 + cosines.iter().filter(|c| **c > explain.coarse_cosine).count();
        }
        Ok(page)
    }

    async fn answer(&self, mut planned: Planned, sender: &UnboundedSender<String>) -> Result<(), Problem> {
        let Self { networks, query, .. } = self;
        let coarse = std::mem::take(&mut planned.cosines);
        let mut session =
            Session::new(&networks.engine, query, &planned.table, coarse, planned.budget).map_err(|e| internal(&e))?;
        let mut timings = planned.timings;
        let mut page = self.page(Stage::Coarse, &planned, &mut session).map_err(|e| internal(&e))?;
        page.last = session.selected() == 0 && !self.options.segments;
        page.timings_ms = Timings { total: now() - planned.start, ..timings };
        let last = page.last;
        if sender.unbounded_send(page.line()).is_err() || last {
            return Ok(());
        }
        let targets: HashMap<&str, Target> = planned
            .scanned
            .candidates
            .iter()
            .map(|c| {
                let target = Target { id: c.id.clone(), checksum: c.checksum.clone(), recent: c.recent };
                (c.id.as_str(), target)
            })
            .collect();
        let begin = now();
        self.compare(&mut session, &targets, begin).await?;
        timings.compare = now() - begin;
        let mut page = self.page(Stage::Refined, &planned, &mut session).map_err(|e| internal(&e))?;
        page.last = true;
        if self.options.segments && !sender.is_closed() {
            let begin = now();
            self.segments(&mut page, &targets, begin).await?;
            timings.segments = now() - begin;
        }
        timings.total = now() - planned.start;
        page.timings_ms = timings;
        // Whoever asked has gone if nobody takes it.
        let _ = sender.unbounded_send(page.line());
        Ok(())
    }

    fn comparing(&self, segments: bool) -> Comparing<'_> {
        let Self { env, networks, index, namespace, query, record, .. } = self;
        Comparing { env, networks, index, namespace, query, record, segments }
    }

    fn deadline(&self) -> Result<f64, Problem> {
        Ok(number(&self.env, "RERANK_MS", RERANK_MS)?)
    }

    /// Has the selected pairs compared. What is not done in time is missing, unless the budget is a time.
    async fn compare(
        &self,
        session: &mut Session<&Engine, &Query>,
        targets: &HashMap<&str, Target>,
        begin: f64,
    ) -> Result<(), Problem> {
        let time = self.budget.time().map(|t| t.as_secs_f64() * 1000.0);
        let end = begin + self.deadline()?.min(time.unwrap_or(f64::INFINITY));
        let selected: Vec<Target> =
            session.all_selected().iter().filter_map(|id| targets.get(id.as_str()).cloned()).collect();
        let mut settled = self.comparing(false).compare(&selected, end).await;
        for Target { id, .. } in &selected {
            let outcome = match settled.remove(id) {
                Some(Ok(compared)) => Outcome::Compared(compared.pair()),
                Some(Err(reason)) => Outcome::Failed(reason),
                None if time.is_some() => continue,
                None => Outcome::Failed(LATE.to_owned()),
            };
            session.settle(id, outcome);
        }
        Ok(())
    }

    /// Finds where the hits match. A hit for which this fails says nothing of it.
    async fn segments(&self, page: &mut Page, targets: &HashMap<&str, Target>, begin: f64) -> Result<(), Problem> {
        let wanted: Vec<Target> = page
            .hits
            .iter()
            .filter(|hit| hit.wants_segments())
            .filter_map(|hit| targets.get(hit.id.as_str()).cloned())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut settled = self.comparing(true).compare(&wanted, begin + self.deadline()?).await;
        let mut without = 0usize;
        for hit in page.hits.iter_mut().filter(|hit| hit.wants_segments()) {
            match settled.remove(&hit.id) {
                Some(Ok(compared)) => hit.segments = compared.segments.unwrap_or_default(),
                _ => without += 1,
            }
        }
        if without > 0 {
            page.warnings.push(format!("where {without} of the hits match could not be looked for"));
            page.degraded = true;
        }
        Ok(())
    }
}
