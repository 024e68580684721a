//! Which pairs of an index are compared, and what comes of it.

use std::collections::{BTreeSet, HashMap, HashSet};

use vidsieve_index::store::Summary;
use vidsieve_model::fine::Workspace;
use vidsieve_progress::{Control, Unit};
use vidsieve_search::segments::LIKELY;
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, NO_COSINE, Outcome, Pair, Plan, Query, Relation, Segment, Table, Verdict};

use super::files::FileBook;
use super::records::RecordReader;
use super::{DedupeOptions, report};
use crate::Error;
use crate::archive::Archive;

/// Two videos that were compared and have something in common: places of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finding {
    pub(super) query: usize,
    pub(super) target: usize,
    pub(super) score: f32,
    pub(super) verdict: Verdict,
}

/// Which pairs may be compared.
pub(super) struct Comparable<'a> {
    pub(super) book: &'a FileBook<'a>,
    /// Whether each video is in one set and in the other; without sets all are compared.
    pub(super) between: Option<Vec<[bool; 2]>>,
    /// Pairs that people told apart, the smaller place first.
    pub(super) different: HashSet<[usize; 2]>,
}

impl Comparable<'_> {
    /// Returns whether a video stands for its file and may be compared with others.
    fn has(&self, video: usize) -> bool {
        self.book.stands_for(video) == video && self.between.as_ref().is_none_or(|sets| sets[video].contains(&true))
    }

    fn has_pair(&self, a: usize, b: usize) -> bool {
        let across = |sets: &Vec<[bool; 2]>| (sets[a][0] && sets[b][1]) || (sets[a][1] && sets[b][0]);
        a != b
            && self.has(a)
            && self.has(b)
            && self.between.as_ref().is_none_or(across)
            && !self.different.contains(&[a.min(b), a.max(b)])
    }
}

/// What comes of all comparisons.
pub(super) struct Findings {
    /// Pairs that are copies or excerpts, and related otherwise if these are asked for.
    pub(super) pairs: Vec<Finding>,
    /// Ids of videos whose record could not be read.
    pub(super) missing: BTreeSet<String>,
    /// Number of pairs compared frame by frame.
    pub(super) compared: usize,
}

/// Compares the videos of an index with each other.
pub(super) struct CopySearch<'a> {
    archive: &'a Archive,
    table: &'a Table,
    summaries: &'a HashMap<String, Summary>,
    options: &'a DedupeOptions,
    control: &'a Control<'a>,
    reader: RecordReader<'a>,
    findings: Findings,
}

impl<'a> CopySearch<'a> {
    pub(super) fn new(
        archive: &'a Archive,
        table: &'a Table,
        summaries: &'a HashMap<String, Summary>,
        options: &'a DedupeOptions,
        control: &'a Control<'a>,
    ) -> Self {
        Self {
            archive,
            table,
            summaries,
            options,
            control,
            reader: RecordReader::new(archive, table, summaries),
            findings: Findings { pairs: Vec::new(), missing: BTreeSet::new(), compared: 0 },
        }
    }

    /// Takes the pairs that were found.
    pub(super) fn take_pairs(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings.pairs)
    }

    /// Returns what was found.
    pub(super) fn into_findings(self) -> Findings {
        self.findings
    }

    fn seconds(&self, video: usize) -> f64 {
        self.summaries.get(self.table.id(video)).map_or(0.0, |s| s.duration)
    }

    /// Orders two videos: the shorter one is the query of their comparison.
    fn by_length(&self, a: usize, b: usize) -> [usize; 2] {
        let lengths = self.seconds(a).total_cmp(&self.seconds(b));
        if lengths.then(a.cmp(&b)).is_le() { [a, b] } else { [b, a] }
    }

    /// Scans every video and its windows against all others and theirs. Returns for each video the longer ones to compare it
    /// with, ascending.
    pub(super) fn candidates(&self, pairs: &Comparable<'_>) -> Result<Vec<Vec<u32>>, Error> {
        let (model, n) = (self.archive.model()?, self.table.len());
        let engine = model.engine()?;
        let budget = match self.options.budget {
            Budget::Auto => Budget::Pairs(Budget::AUTO_PAIRS),
            budget => budget,
        };
        let mut candidates: Vec<Vec<u32>> = vec![Vec::new(); n];
        for video in 0..n {
            if self.control.is_cancelled() {
                break;
            }
            report(self.control, "choosing pairs", video, n, Unit::Videos);
            if !self.table.is_informative(video) || !pairs.has(video) {
                continue;
            }
            let mut coarse = self.table.cosines_of(model.instruction_set(), video)?;
            // The budget is spent on pairs that may be compared.
            for (other, cosine) in coarse.iter_mut().enumerate().filter(|&(other, _)| !pairs.has_pair(video, other)) {
                *cosine = if other == video { *cosine } else { NO_COSINE };
            }
            let scalars = self.table.self_similarities();
            let doubt = engine.doubt(scalars[video], scalars, &coarse);
            // Likely pairs are compared whatever the budget.
            let likely = (0..n).filter(|&other| engine.coarse_score(coarse[other]) >= LIKELY);
            let mut others: Vec<usize> = likely.collect();
            let plan = Plan::new(coarse, doubt, budget);
            others.extend(plan.selected().iter().filter(|&&other| self.table.is_informative(other)));
            for other in others.into_iter().filter(|&other| pairs.has_pair(video, other)) {
                // A pair that both of its videos select is one entry, at the shorter one.
                let [short, long] = self.by_length(video, other);
                candidates[short].extend(u32::try_from(long).ok());
            }
        }
        for others in &mut candidates {
            others.sort_unstable();
            others.dedup();
        }
        Ok(candidates)
    }

    /// Compares each video with its candidates, frame by frame.
    pub(super) fn compare(&mut self, candidates: &[Vec<u32>]) -> Result<(), Error> {
        let engine = self.archive.model()?.engine()?;
        let (all, mut done) = (candidates.iter().map(Vec::len).sum(), 0);
        let mut workspace = Workspace::default();
        for (short, others) in candidates.iter().enumerate() {
            if others.is_empty() || self.control.is_cancelled() {
                continue;
            }
            let Some(record) = self.reader.record(short, &mut self.findings.missing)? else { continue };
            let query = Query::from_record(&record)?;
            let others: Vec<usize> = others.iter().map(|&other| other as usize).collect();
            for some in others.chunks(BATCH) {
                if self.control.is_cancelled() {
                    break;
                }
                report(self.control, "comparing", done, all, Unit::Pairs);
                let records = self.reader.records(some, &mut self.findings.missing)?;
                let outcomes = engine.compare_all(&query, &records);
                for ((&long, target), outcome) in some.iter().zip(&records).zip(outcomes) {
                    let pair = match outcome {
                        Outcome::Compared(pair) => pair,
                        Outcome::Missing => continue,
                        Outcome::Failed(_) => {
                            self.findings.missing.insert(self.table.id(long).to_owned());
                            continue;
                        }
                    };
                    self.findings.compared += 1;
                    self.keep(short, long, &pair);
                    let contains = pair.verdict.relation == Relation::Contains;
                    let Some(target) = target.as_ref().filter(|_| contains) else { continue };
                    // The longer video has less that says something: it is the one to be looked for.
                    let turned = engine.compare(&Query::from_record(target)?, &record, &mut workspace)?;
                    if turned.verdict.relation != Relation::Contains {
                        self.findings.pairs.pop_if(|last| (last.query, last.target) == (short, long));
                        self.keep(long, short, &turned);
                    }
                }
                done += some.len();
            }
        }
        report(self.control, "comparing", done, all, Unit::Pairs);
        Ok(())
    }

    /// Keeps what came of a comparison, as far as the report has room for it.
    fn keep(&mut self, query: usize, target: usize, pair: &Pair) {
        let Pair { score, verdict, .. } = *pair;
        let claims = verdict.relation.is_claim() && score >= self.options.min_score;
        if claims || (self.options.related && verdict.relation != Relation::Different) {
            self.findings.pairs.push(Finding { query, target, score, verdict });
        }
    }

    /// Compares two videos frame by frame, as [`CopySearch::compare`] does; `None` if a record cannot be read.
    pub(super) fn compare_pair(&mut self, a: usize, b: usize) -> Result<Option<Finding>, Error> {
        let engine = self.archive.model()?.engine()?;
        let [query, target] = self.by_length(a, b);
        let missing = &mut self.findings.missing;
        let records = [self.reader.record(query, missing)?, self.reader.record(target, missing)?];
        let [Some(short), Some(long)] = records else { return Ok(None) };
        let mut workspace = Workspace::default();
        let pair = engine.compare(&Query::from_record(&short)?, &long, &mut workspace)?;
        self.findings.compared += 1;
        if pair.verdict.relation == Relation::Contains {
            let turned = engine.compare(&Query::from_record(&long)?, &short, &mut workspace)?;
            if turned.verdict.relation != Relation::Contains {
                let Pair { score, verdict, .. } = turned;
                return Ok(Some(Finding { query: target, target: query, score, verdict }));
            }
        }
        let Pair { score, verdict, .. } = pair;
        Ok(Some(Finding { query, target, score, verdict }))
    }

    /// Returns where two videos match, best first: nothing if a record cannot be read.
    pub(super) fn segments(&mut self, query: usize, target: usize) -> Result<Vec<Segment>, Error> {
        let missing = &mut self.findings.missing;
        let records = [self.reader.record(query, missing)?, self.reader.record(target, missing)?];
        let [Some(query), Some(target)] = records else { return Ok(Vec::new()) };
        Ok(self.archive.model()?.engine()?.segments(&Query::from_record(&query)?, &target)?)
    }
}
