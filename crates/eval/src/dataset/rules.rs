//! What each data set ranks, what is relevant, and how a ranking becomes a number.

use std::collections::{BTreeMap, HashMap, HashSet};

/// How the ranking of one query becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Hits so far over rank, summed over hits, over the number of positives.
    Precision,
    /// The same with trapezoids (EVVE).
    Trapezoid,
    /// Equal scores share a threshold (SVD).
    Tied,
}

/// What the numbers of the queries are averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mean {
    Queries,
    /// Means of groups of queries, over the groups (EVVE's events).
    Groups,
}

/// A task or variant of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
    pub(super) mean: Mean,
    /// Whether a query without positives counts 0 instead of being left out.
    pub(super) empty_is_zero: bool,
    /// Whether the micro-averaged precision over all pairs is part of the public evaluations.
    pub(super) micro: bool,
}

const fn task(name: &'static str, measure: Measure, micro: bool) -> Task {
    Task { name, measure, mean: Mean::Queries, empty_is_zero: !matches!(measure, Measure::Precision), micro }
}

const FIVR: [Task; 4] = [
    task("DSVR", Measure::Precision, true),
    task("CSVR", Measure::Precision, true),
    task("ISVR", Measure::Precision, true),
    task("DAVR", Measure::Precision, true),
];

/// Labels that count as relevant, a task of FIVR each.
const FIVR_LABELS: [&[&str]; 4] = [&["ND", "DS"], &["ND", "DS", "CS"], &["ND", "DS", "CS", "IS"], &["DA"]];

/// The bits of `CC_WEB_VIDEO`'s tasks: labelled videos of the set, all videos, and both without the
/// excluded ones.
const CC_WEB: [Task; 4] = [
    task("mAP", Measure::Precision, false),
    task("mAP_star", Measure::Precision, false),
    task("mAP_c", Measure::Precision, false),
    task("mAP_c_star", Measure::Precision, false),
];
const LABELLED: u8 = 0b0101;
const ALL_VIDEOS: u8 = 0b1010;
const CLEAN: u8 = 0b1100;

const EVVE: [Task; 2] =
    [task("mAP", Measure::Trapezoid, true), Task { mean: Mean::Groups, ..task("avg-mAP", Measure::Trapezoid, false) }];

const SVD: [Task; 2] = [task("mAP", Measure::Tied, false), task("mAP_labeled", Measure::Tied, false)];

const VCDB: [Task; 1] = [task("mAP", Measure::Precision, true)];

/// An event of EVVE.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) queries: HashSet<String>,
    pub(super) positives: HashSet<String>,
}

/// A query set of `CC_WEB_VIDEO`: labels by number of the video; `E S L M V` are relevant.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct QuerySet {
    pub(super) labels: HashMap<i64, String>,
    pub(super) excluded: HashSet<i64>,
}

impl QuerySet {
    fn is_relevant(&self, number: i64) -> bool {
        self.labels.get(&number).is_some_and(|label| !label.is_empty() && "ESLMV".contains(label.as_str()))
    }
}

/// The annotation of a data set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rules {
    /// Query -> label (ND, DS, CS, IS, DA) -> videos.
    Fivr(HashMap<String, HashMap<String, Vec<String>>>),
    /// Number of each video, and a set for each query.
    CcWeb { index: HashMap<String, i64>, sets: Vec<QuerySet> },
    /// Events.
    Evve(Vec<Event>),
    /// Query -> target -> relevant; and the videos that are distractors of all.
    Svd { labels: HashMap<String, BTreeMap<String, bool>>, unlabeled: HashSet<String> },
    /// Query -> videos that share a part with it.
    Vcdb(HashMap<String, HashSet<String>>),
}

/// What is ranked and relevant for one query: a bit for each task, a byte for each target.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct QueryTruth {
    pub(super) ranked: Vec<u8>,
    pub(super) relevant: Vec<u8>,
    /// Denominator of each task.
    pub(super) positives: Vec<usize>,
}

/// Which videos there are.
pub(super) struct Present<'a> {
    /// Videos of the database.
    pub(super) database: HashSet<&'a str>,
    /// Whether a video is available.
    pub(super) available: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Present<'_> {
    fn has(&self, video: &str) -> bool {
        (self.available)(video)
    }

    fn in_database(&self, video: &str) -> bool {
        self.database.contains(video) && self.has(video)
    }
}

/// Collects bytes for the targets and counts positives.
struct Builder<'a> {
    targets: &'a [String],
    truth: QueryTruth,
}

impl<'a> Builder<'a> {
    fn new(targets: &'a [String], positives: Vec<usize>) -> Self {
        let truth = QueryTruth { ranked: vec![0; targets.len()], relevant: vec![0; targets.len()], positives };
        Self { targets, truth }
    }

    /// `bits` gives the tasks that rank a target and those for which it is relevant.
    fn fill(mut self, bits: impl Fn(&str) -> (u8, u8)) -> QueryTruth {
        for (i, target) in self.targets.iter().enumerate() {
            let (ranked, relevant) = bits(target);
            self.truth.ranked[i] = ranked;
            self.truth.relevant[i] = relevant & ranked;
        }
        self.truth
    }
}

impl Rules {
    pub(super) const fn tasks(&self) -> &'static [Task] {
        match self {
            Self::Fivr(_) => &FIVR,
            Self::CcWeb { .. } => &CC_WEB,
            Self::Evve(_) => &EVVE,
            Self::Svd { .. } => &SVD,
            Self::Vcdb(_) => &VCDB,
        }
    }

    /// The groups of queries of [`Mean::Groups`].
    pub(super) fn groups(&self) -> Vec<&HashSet<String>> {
        match self {
            Self::Evve(events) => events.iter().map(|event| &event.queries).collect(),
            _ => Vec::new(),
        }
    }

    /// The truth of query `number`, whose id is `query`.
    pub(super) fn truth(&self, number: usize, query: &str, targets: &[String], present: &Present<'_>) -> QueryTruth {
        match self {
            Self::Fivr(annotation) => fivr(annotation.get(query), query, targets, present),
            Self::CcWeb { index, sets } => cc_web(index, &sets[number], targets, present),
            Self::Evve(events) => {
                let positives = events.iter().find(|e| e.queries.contains(query)).map(|e| &e.positives);
                let count = positives.into_iter().flatten().filter(|v| present.has(v)).count();
                Builder::new(targets, vec![count; 2]).fill(|target| {
                    let relevant = positives.is_some_and(|p| p.contains(target));
                    if present.has(target) { (0b11, 0b11 * u8::from(relevant)) } else { (0, 0) }
                })
            }
            Self::Svd { labels, unlabeled } => {
                let labels = labels.get(query);
                let label = |target: &str| labels.and_then(|l| l.get(target)).copied();
                let relevant = labels.into_iter().flatten().filter(|(v, y)| **y && present.has(v)).count();
                Builder::new(targets, vec![relevant; 2]).fill(|target| match label(target) {
                    _ if !present.has(target) => (0, 0),
                    Some(relevant) => (0b11, 0b11 * u8::from(relevant)),
                    None if unlabeled.contains(target) => (0b01, 0),
                    None => (0, 0),
                })
            }
            Self::Vcdb(positives) => {
                let positives = positives.get(query);
                let count = positives.into_iter().flatten().filter(|v| present.has(v)).count();
                Builder::new(targets, vec![count]).fill(|target| {
                    let relevant = positives.is_some_and(|p| p.contains(target));
                    (u8::from(target != query && present.has(target)), u8::from(relevant))
                })
            }
        }
    }
}

fn fivr(
    labels: Option<&HashMap<String, Vec<String>>>,
    query: &str,
    targets: &[String],
    present: &Present<'_>,
) -> QueryTruth {
    let mut relevant: HashMap<&str, u8> = HashMap::new();
    for (task, counted) in FIVR_LABELS.iter().enumerate() {
        let videos = counted.iter().filter_map(|label| labels?.get(*label)).flatten();
        videos.filter(|v| present.in_database(v)).for_each(|v| *relevant.entry(v).or_default() |= 1 << task);
    }
    let positives = (0..FIVR.len()).map(|task| relevant.values().filter(|bits| **bits & (1 << task) != 0).count());
    Builder::new(targets, positives.collect()).fill(|target| {
        let ranked = if target != query && present.in_database(target) { 0b1111 } else { 0 };
        (ranked, relevant.get(target).copied().unwrap_or_default())
    })
}

fn cc_web(index: &HashMap<String, i64>, set: &QuerySet, targets: &[String], present: &Present<'_>) -> QueryTruth {
    let relevant = || set.labels.keys().filter(|n| set.is_relevant(**n));
    let all = relevant().count();
    let clean = relevant().filter(|n| !set.excluded.contains(n)).count();
    Builder::new(targets, vec![all, all, clean, clean]).fill(|target| {
        let Some(number) = index.get(target).copied().filter(|_| present.has(target)) else { return (0, 0) };
        let mut ranked = ALL_VIDEOS;
        if set.labels.contains_key(&number) {
            ranked |= LABELLED;
        }
        if set.excluded.contains(&number) {
            ranked &= !CLEAN;
        }
        (ranked, if set.is_relevant(number) { ranked } else { 0 })
    })
}
