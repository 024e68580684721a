//! A search: the coarse page as soon as the shards have answered, the refined page when the re-rank
//! tier has.

use std::collections::HashMap;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use vidsieve_api::rerank::LATE;
use vidsieve_api::{Problem, TraceContext};
use vidsieve_edge::{EdgeError, Networks, now, number};
use vidsieve_search::{
    Budget, CoarseScan, NO_COSINE, Outcome, Query, SearchError, SearchPage, SearchParameters, SearchRun, SearchStep,
    Table,
};
use worker::Env;

use crate::index::{Index, Scanned};
use crate::message::Scan;
use crate::tier::{Comparing, Target};

/// Most pairs that are compared for one search, where `MAX_PAIRS` says nothing.
const MAX_PAIRS: usize = 1000;
/// Milliseconds that comparing may take, where `RERANK_MS` says nothing.
const RERANK_MS: f64 = 15_000.0;

/// A search, with what it needs.
pub(crate) struct Search {
    pub(crate) env: Env,
    pub(crate) networks: Rc<Networks>,
    pub(crate) index: Index,
    pub(crate) namespace: String,
    /// The query's record.
    pub(crate) record: Vec<u8>,
    pub(crate) query: Query,
    pub(crate) parameters: SearchParameters,
    /// The trace of the request.
    pub(crate) trace: TraceContext,
}

/// What the shards answered, and the pairs to compare.
struct Planned {
    start: f64,
    scanned: Scanned,
    table: Table,
    coarse: CoarseScan,
    /// What may be compared here.
    budget: Budget,
    /// Pairs that the budget pays for beyond what is compared here.
    cut: usize,
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
                // Sending fails if the client has gone.
                let _ = sender.unbounded_send(problem.line());
            }
        }))
    }

    async fn plan(&self, most: usize) -> Result<Planned, Problem> {
        let start = now();
        let doubtful = match self.parameters.budget {
            Budget::Pairs(pairs) => pairs.min(most),
            Budget::None => 0,
            _ => most,
        };
        let above = if let Budget::Probability(p) = self.parameters.budget { Some(p) } else { None };
        let ask = Scan {
            dims: self.query.global.len(),
            doubtful,
            // All that are compared may turn out to be none.
            similar: self.parameters.top + doubtful,
            above,
            cosines: self.parameters.explain,
            self_similarity: self.query.self_similarity,
        };
        let mut scanned = self.index.scan(&self.query, ask).await;
        if !self.query.is_informative() {
            scanned.candidates.iter_mut().for_each(|c| c.cosine = NO_COSINE);
            scanned.cosines.fill(NO_COSINE);
        }
        if scanned.lost == scanned.shards {
            return Err(Problem::busy());
        }
        let ids = scanned.candidates.iter().map(|c| c.id.clone()).collect();
        let scalars = scanned.candidates.iter().map(|c| c.self_similarity).collect();
        let cosines = scanned.candidates.iter().map(|c| c.cosine).collect();
        let coarse = CoarseScan { cosines, near: scanned.candidates.iter().map(|c| c.near).collect() };
        let informative: Vec<bool> = scanned.candidates.iter().map(|c| c.informative).collect();
        // The vectors were compared where they lie.
        let table = Table::from_columns(0, ids, Vec::new(), scalars, &informative).map_err(|e| internal(&e))?;
        let paid = match self.parameters.budget {
            Budget::Probability(p) => {
                let doubt =
                    self.networks.engine.doubt(self.query.self_similarity, table.self_similarities(), &coarse.cosines);
                doubt.map_or(0, |doubt| doubt.iter().filter(|d| **d > p).count())
            }
            budget => budget.pairs(scanned.videos, std::iter::empty()),
        };
        let cut = match self.parameters.budget {
            // What is reasonable is for the server to say.
            Budget::Auto | Budget::Time(_) => 0,
            _ => paid.saturating_sub(most),
        };
        let budget = match self.parameters.budget {
            Budget::Probability(p) if paid <= most => Budget::Probability(p),
            _ => Budget::Pairs(paid.min(most)),
        };
        Ok(Planned { start, scanned, table, coarse, budget, cut })
    }

    /// Adds to a page what the candidates alone do not show.
    fn complete(&self, page: &mut SearchPage, planned: &Planned) {
        let Scanned { videos, lost, shards, cosines, .. } = &planned.scanned;
        page.budget = self.parameters.budget.to_string();
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
    }

    async fn answer(&self, mut planned: Planned, sender: &UnboundedSender<String>) -> Result<(), Problem> {
        let Self { networks, query, .. } = self;
        let (coarse, start) = (std::mem::take(&mut planned.coarse), planned.start);
        let parameters = SearchParameters { budget: planned.budget, ..self.parameters };
        let clock = move || now() - start;
        let mut run = SearchRun::scanned(&networks.engine, query, &planned.table, coarse, parameters, clock)
            .map_err(|e| internal(&e))?
            .unbatched();
        let targets: HashMap<&str, Target> = planned
            .scanned
            .candidates
            .iter()
            .map(|c| {
                let target = Target { id: c.id.clone(), checksum: c.checksum.clone(), recent: c.recent };
                (c.id.as_str(), target)
            })
            .collect();
        let mut without = 0;
        loop {
            match run.step(|| &planned.table).map_err(|e| internal(&e))? {
                SearchStep::Page(mut page) => {
                    self.complete(&mut page, &planned);
                    if without > 0 {
                        page.warnings.push(format!("where {without} of the hits match could not be looked for"));
                        page.degraded = true;
                    }
                    if sender.unbounded_send(page.line()).is_err() {
                        return Ok(());
                    }
                }
                SearchStep::Compare(ids) => run.settle(self.compare(&ids, &targets).await?),
                SearchStep::Align(_) if sender.is_closed() => return Ok(()),
                SearchStep::Align(ids) => {
                    let wanted: Vec<Target> = ids.iter().filter_map(|id| targets.get(id.as_str()).cloned()).collect();
                    let mut settled = self.comparing(true).compare(&wanted, now() + self.deadline()?).await;
                    run.settle_segments(ids.iter().map(|id| match settled.remove(id) {
                        Some(Ok(compared)) => Some(compared.segments.unwrap_or_default()),
                        _ => {
                            without += 1;
                            None
                        }
                    }));
                }
                SearchStep::Done => return Ok(()),
            }
        }
    }

    fn comparing(&self, segments: bool) -> Comparing<'_> {
        let Self { env, networks, index, namespace, query, record, trace, .. } = self;
        Comparing { env, networks, index, namespace, query, record, segments, trace: *trace }
    }

    fn deadline(&self) -> Result<f64, Problem> {
        Ok(number(&self.env, "RERANK_MS", RERANK_MS)?)
    }

    /// Has the selected pairs compared. What is not done in time is missing, unless the budget is a
    /// time.
    async fn compare(
        &self,
        ids: &[String],
        targets: &HashMap<&str, Target>,
    ) -> Result<Vec<(String, Outcome)>, Problem> {
        let time = self.parameters.budget.time().map(|t| t.as_secs_f64() * 1000.0);
        let end = now() + self.deadline()?.min(time.unwrap_or(f64::INFINITY));
        let selected: Vec<Target> = ids.iter().filter_map(|id| targets.get(id.as_str()).cloned()).collect();
        let mut settled = self.comparing(false).compare(&selected, end).await;
        let outcome = |Target { id, .. }| {
            let outcome = match settled.remove(&id) {
                Some(Ok(compared)) => Outcome::Compared(compared.pair()),
                Some(Err(reason)) => Outcome::Failed(reason),
                None if time.is_some() => return None,
                None => Outcome::Failed(LATE.to_owned()),
            };
            Some((id, outcome))
        };
        Ok(selected.into_iter().filter_map(outcome).collect())
    }
}
