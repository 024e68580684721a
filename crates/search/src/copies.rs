//! Copies and excerpts among the videos of a table, as steps: what the caller fetches next.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use vidsieve_model::fine::Workspace;
use vidsieve_record::Record;

use crate::budget::Budget;
use crate::engine::Engine;
use crate::error::SearchError;
use crate::hit::{Outcome, Pair};
use crate::placement::{ComparedPair, Copies, ExcerptOf, Placement, place};
use crate::plan::Plan;
use crate::query::Query;
use crate::relation::{Coverage, Relation, Untold, Verdict};
use crate::segments::LIKELY;
use crate::session::{BATCH, Fetched};
use crate::table::Table;

/// Videos whose pairs are chosen in one step.
const CHOSEN: usize = 16;

/// What counts as a copy, and what may be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CopyParameters {
    /// Score from which two videos are copies, or one an excerpt of the other, in [0, 1].
    pub min_score: f32,
    /// How many pairs of each video are compared beside the likely ones; a time counts as
    /// [`Budget::Auto`].
    pub budget: Budget,
}

impl Default for CopyParameters {
    /// Copies score at least 0.9; the budget `auto`.
    fn default() -> Self {
        Self { min_score: 0.9, budget: Budget::Auto }
    }
}

/// What a run needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// Pairs of `done` of `all` videos are chosen; the caller asks again.
    Chosen {
        /// Videos.
        done: usize,
        /// Videos.
        all: usize,
    },
    /// The caller hands the record of `query` and those of `targets` to [`CopyRun::compare`].
    Compare {
        /// A video.
        query: String,
        /// Longer ones.
        targets: Vec<String>,
        /// Pairs that were compared before.
        done: usize,
        /// Pairs that are compared.
        all: usize,
    },
    /// All is compared.
    Done,
}

/// Copies and excerpts of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DuplicateReport {
    /// Number of searched videos.
    pub videos: usize,
    /// Number of pairs compared frame by frame.
    pub compared: usize,
    /// Ids of videos whose record could not be read.
    pub missing: Vec<String>,
    /// Groups of copies.
    pub groups: Vec<DuplicateGroup>,
    /// Videos that are excerpts of longer ones, each once.
    pub excerpts: Vec<DuplicateExcerpt>,
    /// Other related pairs, by relation, highest score first.
    pub related: Vec<DuplicatePair>,
}

/// A video to keep and its copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DuplicateGroup {
    /// Id of the video to keep: the first in the order of preference that is not an excerpt.
    pub keep: String,
    /// Copies of the video; at least one.
    pub copies: Vec<DuplicateCopy>,
}

/// A copy of the video to keep.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DuplicateCopy {
    /// Its id.
    pub id: String,
    /// Score with the video to keep, in [0, 1].
    pub score: f32,
    /// How much of the copy (`query`) and of the video to keep (`target`) the other one shows.
    pub coverage: Coverage,
}

/// A video that is an excerpt of a longer one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DuplicateExcerpt {
    /// Its id.
    pub id: String,
    /// Id of the video that contains the excerpt.
    pub of: String,
    /// Score of the pair, in [0, 1].
    pub score: f32,
    /// How much of the excerpt (`query`) and of the longer video (`target`) the other one shows.
    pub coverage: Coverage,
}

/// Two related videos that are neither copies nor excerpt and whole, or whose score is too low for
/// that.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DuplicatePair {
    /// Id of one video, the query of the comparison.
    pub a: String,
    /// Id of the other, the target.
    pub b: String,
    /// Relation of the first to the second.
    pub relation: Relation,
    /// Score of the pair, in [0, 1].
    pub score: f32,
    /// How much of each the other one shows.
    pub coverage: Coverage,
    /// Why the relation cannot be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Untold>,
}

/// Two videos that have something in common: places of the table.
#[derive(Debug, Clone, Copy)]
struct Common {
    query: usize,
    target: usize,
    score: f32,
    verdict: Verdict,
}

impl Common {
    /// How much of the video `first` and of the other one matches.
    const fn coverage_from(&self, first: usize) -> Coverage {
        let Coverage { query, target } = self.verdict.coverage;
        if first == self.query { Coverage { query, target } } else { Coverage { query: target, target: query } }
    }
}

/// The search for copies in a table, without input or output of its own.
///
/// The caller asks for the next [`CopyStep`], does what it says and asks again, until
/// [`CopyStep::Done`]; it may stop at any step, and [`CopyRun::report`] has what is known by then.
#[derive(Debug)]
pub struct CopyRun<E, T> {
    engine: E,
    table: T,
    /// Seconds of each video.
    lengths: Vec<f64>,
    parameters: CopyParameters,
    /// Videos whose pairs are chosen.
    chosen: usize,
    /// Of each video the longer ones that it is compared with.
    candidates: Vec<Vec<u32>>,
    /// The video that is compared next, and with which of its candidates.
    next: (usize, usize),
    /// Pairs that were asked for last.
    asked: (usize, Vec<usize>),
    done: usize,
    compared: usize,
    missing: BTreeSet<String>,
    found: Vec<Common>,
}

impl<E: Borrow<Engine>, T: Borrow<Table>> CopyRun<E, T> {
    /// A search of `table` for copies; `lengths` are the seconds of its videos.
    #[must_use]
    pub fn new(engine: E, table: T, lengths: Vec<f64>, parameters: CopyParameters) -> Self {
        let candidates = vec![Vec::new(); table.borrow().len()];
        Self {
            engine,
            table,
            lengths,
            parameters,
            chosen: 0,
            candidates,
            next: (0, 0),
            asked: (0, Vec::new()),
            done: 0,
            compared: 0,
            missing: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// The next step.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for vectors of different lengths.
    pub fn step(&mut self) -> Result<CopyStep, SearchError> {
        let all = self.table.borrow().len();
        if self.chosen < all {
            for _ in 0..CHOSEN.min(all - self.chosen) {
                self.choose(self.chosen)?;
                self.chosen += 1;
            }
            if self.chosen == all {
                for others in &mut self.candidates {
                    others.sort_unstable();
                    others.dedup();
                }
            }
            return Ok(CopyStep::Chosen { done: self.chosen, all });
        }
        let (mut video, mut from) = self.next;
        while self.candidates.get(video).is_some_and(|others| from >= others.len()) {
            (video, from) = (video + 1, 0);
        }
        let Some(others) = self.candidates.get(video) else { return Ok(CopyStep::Done) };
        let to = others.len().min(from + BATCH);
        let targets: Vec<usize> = others[from..to].iter().map(|&other| other as usize).collect();
        self.next = (video, to);
        let table = self.table.borrow();
        let step = CopyStep::Compare {
            query: table.id(video).to_owned(),
            targets: targets.iter().map(|&target| table.id(target).to_owned()).collect(),
            done: self.done,
            all: self.candidates.iter().map(Vec::len).sum(),
        };
        self.asked = (video, targets);
        Ok(step)
    }

    fn length(&self, video: usize) -> f64 {
        self.lengths.get(video).copied().unwrap_or(0.0)
    }

    /// Scans a video and its windows against all others and theirs, and notes each pair at the shorter one.
    fn choose(&mut self, video: usize) -> Result<(), SearchError> {
        let (engine, table) = (self.engine.borrow(), self.table.borrow());
        if !table.is_informative(video) {
            return Ok(());
        }
        let budget = match self.parameters.budget {
            Budget::Auto => Budget::Pairs(Budget::AUTO_PAIRS),
            budget if budget.time().is_some() => Budget::Pairs(Budget::AUTO_PAIRS),
            budget => budget,
        };
        let coarse = table.cosines_of(engine.isa(), video)?;
        let scalars = table.self_similarities();
        let doubt = engine.doubt(scalars[video], scalars, &coarse);
        // Likely pairs are compared whatever the budget.
        let likely = (0..table.len()).filter(|&other| engine.coarse_score(coarse[other]) >= LIKELY);
        let mut others: Vec<usize> = likely.collect();
        let plan = Plan::new(coarse, doubt, budget);
        others.extend(plan.selected());
        others.retain(|&other| other != video && table.is_informative(other));
        for other in others {
            let lengths = self.length(video).total_cmp(&self.length(other));
            let (short, long) = if lengths.then(video.cmp(&other)).is_le() { (video, other) } else { (other, video) };
            self.candidates[short].extend(u32::try_from(long).ok());
        }
        Ok(())
    }

    /// Compares the record of the last step's query with those of its targets, in their order.
    ///
    /// # Errors
    /// As [`Engine::compare`], of the query.
    pub fn compare<B: AsRef<[u8]> + Sync>(
        &mut self,
        query: Fetched<B>,
        targets: Vec<Fetched<B>>,
    ) -> Result<(), SearchError> {
        let (short, longs) = std::mem::take(&mut self.asked);
        self.done += longs.len();
        let Ok(record) = query else {
            self.missing.insert(self.table.borrow().id(short).to_owned());
            return Ok(());
        };
        let video = Query::from_record(&record)?;
        let records: Vec<Option<Record<B>>> = targets.into_iter().map(Result::ok).collect();
        let outcomes = self.engine.borrow().compare_all(&video, &records);
        let mut workspace = Workspace::default();
        for ((long, target), outcome) in longs.into_iter().zip(&records).zip(outcomes) {
            let (Outcome::Compared(pair), Some(target)) = (outcome, target) else {
                self.missing.insert(self.table.borrow().id(long).to_owned());
                continue;
            };
            self.compared += 1;
            if pair.verdict.relation == Relation::Contains {
                // The longer video has less that says something: it is the one to be looked for.
                let turned = self.engine.borrow().compare(&Query::from_record(target)?, &record, &mut workspace)?;
                if turned.verdict.relation != Relation::Contains {
                    self.keep(long, short, &turned);
                    continue;
                }
            }
            self.keep(short, long, &pair);
        }
        Ok(())
    }

    fn keep(&mut self, query: usize, target: usize, &Pair { score, verdict, .. }: &Pair) {
        if verdict.relation != Relation::Different {
            self.found.push(Common { query, target, score, verdict });
        }
    }

    /// What is known by now. `order` has the ids of videos, the best to keep first; those that it
    /// lacks follow, the longest first, then by id.
    #[must_use]
    pub fn report(&self, order: &[String]) -> DuplicateReport {
        let table = self.table.borrow();
        let ranks = self.ranks(order);
        let claims: Vec<&Common> = self.found.iter().filter(|common| self.is_claim(common)).collect();
        let pairs: Vec<ComparedPair> = claims
            .iter()
            .map(|&&Common { query, target, score, verdict }| ComparedPair {
                a: ranks[query],
                b: ranks[target],
                relation: verdict.relation,
                score,
            })
            .collect();
        let placement = place(table.len(), &pairs, self.parameters.min_score);
        let mut videos = vec![0; ranks.len()];
        ranks.iter().enumerate().for_each(|(video, &rank)| videos[rank] = video);
        let by_pair: HashMap<[usize; 2], &Common> =
            claims.iter().map(|&common| (pair_of(common.query, common.target), common)).collect();
        let claim = |a: usize, b: usize| by_pair.get(&pair_of(videos[a], videos[b])).copied();
        let id = |rank: usize| table.id(videos[rank]).to_owned();
        let copy = |keep: usize, copy: usize| {
            let common = claim(keep, copy)?;
            Some(DuplicateCopy { id: id(copy), score: common.score, coverage: common.coverage_from(videos[copy]) })
        };
        let groups = placement.groups.iter().map(|Copies { keep, copies }| DuplicateGroup {
            keep: id(*keep),
            copies: copies.iter().filter_map(|&one| copy(*keep, one)).collect(),
        });
        let excerpts = placement.excerpts.iter().filter_map(|&ExcerptOf { excerpt, of }| {
            let common = claim(excerpt, of)?;
            let coverage = common.coverage_from(videos[excerpt]);
            Some(DuplicateExcerpt { id: id(excerpt), of: id(of), score: common.score, coverage })
        });
        DuplicateReport {
            videos: table.len(),
            compared: self.compared,
            missing: self.missing.iter().cloned().collect(),
            groups: groups.collect(),
            excerpts: excerpts.collect(),
            related: self.related(&ranks, &placement),
        }
    }

    fn is_claim(&self, common: &Common) -> bool {
        common.verdict.relation.is_claim() && common.score >= self.parameters.min_score
    }

    /// The place of each video in the order of what to keep.
    fn ranks(&self, order: &[String]) -> Vec<usize> {
        let table = self.table.borrow();
        let wanted: HashMap<&str, usize> = order.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let place = |video: usize| wanted.get(table.id(video)).copied().unwrap_or(usize::MAX);
        let mut videos: Vec<usize> = (0..table.len()).collect();
        videos.sort_by(|&a, &b| {
            // Containers round lengths: whole seconds are compared.
            let seconds = |video: usize| self.length(video).round();
            let lengths = seconds(b).total_cmp(&seconds(a));
            place(a).cmp(&place(b)).then(lengths).then_with(|| table.id(a).cmp(table.id(b)))
        });
        let mut ranks = vec![0; videos.len()];
        videos.into_iter().enumerate().for_each(|(rank, video)| ranks[video] = rank);
        ranks
    }

    /// The pairs that are in no group and no excerpt. A claim within a group is in it, and so is one of an
    /// excerpt and another video of its holder's group.
    fn related(&self, ranks: &[usize], placement: &Placement) -> Vec<DuplicatePair> {
        let mut kept: Vec<usize> = (0..ranks.len()).collect();
        for Copies { keep, copies } in &placement.groups {
            copies.iter().for_each(|&copy| kept[copy] = *keep);
        }
        let told: BTreeSet<[usize; 2]> =
            placement.excerpts.iter().map(|&ExcerptOf { excerpt, of }| [kept[excerpt], kept[of]]).collect();
        let is_told = |common: &Common| {
            let (a, b) = (kept[ranks[common.query]], kept[ranks[common.target]]);
            self.is_claim(common)
                && (a == b
                    || match common.verdict.relation {
                        Relation::Excerpt => told.contains(&[a, b]),
                        Relation::Contains => told.contains(&[b, a]),
                        _ => false,
                    })
        };
        let mut others: Vec<&Common> = self.found.iter().filter(|common| !is_told(common)).collect();
        others.sort_by(|a, b| {
            let key = |common: &Common| [common.query, common.target];
            let relations = a.verdict.relation.cmp(&b.verdict.relation);
            relations.then(b.score.total_cmp(&a.score)).then(key(a).cmp(&key(b)))
        });
        let table = self.table.borrow();
        let pair = |&Common { query, target, score, verdict }: &Common| DuplicatePair {
            a: table.id(query).to_owned(),
            b: table.id(target).to_owned(),
            relation: verdict.relation,
            score,
            coverage: verdict.coverage,
            untold: verdict.untold,
        };
        others.into_iter().map(pair).collect()
    }
}

/// A pair, whichever way round.
fn pair_of(a: usize, b: usize) -> [usize; 2] {
    [a.min(b), a.max(b)]
}
