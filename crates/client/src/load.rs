//! A load on an endpoint: drawn records put and read back, searches by several clients at several budgets, what of it failed,
//! and how long it took. It ends by itself, and removes what it put.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;
use vidsieve_progress::{CancelToken, Control, Progress, Unit};
use vidsieve_record::{DrawnRecords, Record, RecordError};

use crate::{Endpoint, EndpointError, Pages};

/// Why a load cannot be put on an endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The endpoint cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Records of a shape that cannot be drawn.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// An endpoint without videos, and none to put.
    #[error("there is nothing to search for: put some videos there, or give --videos")]
    NothingToSearch,
}

/// Options of [`run_load`].
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Records that are put first; with 0 the videos of the endpoint are searched for.
    pub videos: usize,
    /// Budgets of searches.
    pub budgets: Vec<String>,
    /// Numbers of clients that search at the same time.
    pub clients: Vec<usize>,
    /// Searches of each budget and number of clients, at most.
    pub searches: usize,
    /// Longest time for each of them.
    pub time: Duration,
    /// Requests that write at the same time.
    pub jobs: usize,
    /// Whether what was put stays.
    pub keep: bool,
}

/// The median and the 99th percentile, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LoadSpread {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl LoadSpread {
    /// Microseconds to three significant digits; longer times than an hour count as an hour.
    fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        const HOUR: u64 = 3_600_000_000;
        // The bounds are constants that the crate accepts.
        let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, HOUR, 3) else { return Self::default() };
        for time in times {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(HOUR).clamp(1, HOUR));
        }
        if histogram.is_empty() {
            return Self::default();
        }
        #[allow(clippy::cast_precision_loss)]
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// Putting and reading back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LoadWriting {
    /// Records that were put.
    pub videos: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Seconds that putting took.
    pub seconds: f64,
    /// Records a second.
    pub per_second: f64,
    /// Milliseconds of a put.
    pub put_ms: LoadSpread,
    /// Puts that were refused or not answered.
    pub errors: usize,
    /// The first reason.
    pub first_error: Option<String>,
    /// Seconds that reading back took.
    pub read_seconds: f64,
    /// Records that were put and did not come back the same.
    pub lost: usize,
}

/// Searches of one budget by a number of clients.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LoadCell {
    /// The budget.
    pub budget: String,
    /// Clients that searched at the same time.
    pub clients: usize,
    /// Searches.
    pub searches: usize,
    /// Searches a second.
    pub per_second: f64,
    /// Milliseconds of a search.
    pub ms: LoadSpread,
    /// Milliseconds to the end of the coarse page.
    pub coarse_ms: LoadSpread,
    /// Searches that failed.
    pub errors: usize,
    /// The first reason.
    pub first_error: Option<String>,
    /// Answers in which pairs are marked that could not be compared.
    pub degraded: usize,
    /// Answers whose first hit was not the video that was searched for.
    pub wrong: usize,
    /// Pairs compared, on average.
    pub reranked: f64,
    /// Milliseconds of the parts of a search by the answers, on average.
    pub parts_ms: BTreeMap<String, f64>,
}

/// A second of a load.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LoadSecond {
    /// Its number, from 0.
    pub second: u64,
    /// Searches that ended in it.
    pub searches: usize,
    /// Answers with pairs that could not be compared.
    pub degraded: usize,
    /// Searches that failed.
    pub errors: usize,
}

/// The result of [`run_load`].
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// The endpoint.
    pub url: String,
    /// Its videos at the end.
    pub videos: u64,
    /// Frames of a drawn record.
    pub frames: usize,
    /// Bytes of a drawn record.
    pub record_bytes: usize,
    /// Putting and reading back; `None` if nothing was put.
    pub writing: Option<LoadWriting>,
    /// Searches by budget and number of clients.
    pub cells: Vec<LoadCell>,
    /// Searches by second.
    pub timeline: Vec<LoadSecond>,
    /// Memory of the server in bytes, if its metrics have it: before, after writing, at the end.
    pub server_memory: [Option<u64>; 3],
    /// Searches and puts that failed, and writes that were lost.
    pub failures: usize,
}

/// The outcome of a search.
struct SearchOutcome {
    at: Duration,
    number: usize,
    pages: Result<Pages, EndpointError>,
}

/// Work that several tasks share: numbers from 0, until they are used up, the time is over, or it is cancelled.
#[derive(Clone)]
struct Numbers {
    cancel: CancelToken,
    next: Arc<AtomicUsize>,
    end: usize,
    until: Option<Instant>,
}

impl Numbers {
    fn new(cancel: &CancelToken, end: usize, until: Option<Instant>) -> Self {
        Self { cancel: cancel.clone(), next: Arc::default(), end, until }
    }

    fn take(&self) -> Option<usize> {
        if self.cancel.is_cancelled() || self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < self.end)
    }
}

/// Does something for every number, by a number of tasks; the results come in no order.
async fn shared<T, F>(numbers: &Numbers, tasks: usize, work: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for _ in 0..tasks {
        if let Some(number) = numbers.take() {
            running.spawn(work(number));
        }
    }
    while let Some(result) = running.join_next().await {
        // A task that panicked has printed why.
        done.extend(result.ok());
        if let Some(number) = numbers.take() {
            running.spawn(work(number));
        }
    }
    done
}

/// A load under way.
struct RunningLoad<'a> {
    endpoint: Endpoint,
    drawn: DrawnRecords,
    options: &'a LoadOptions,
    cancel: &'a CancelToken,
    start: Instant,
    timeline: Vec<LoadSecond>,
}

/// Returns the id of a drawn record.
fn id(seed: u64, number: usize) -> String {
    format!("vidsieve-load/{seed}/{number:09}")
}

/// Puts a load on an endpoint whose videos are of the bundle of `drawn`. Reports the stages `writing`, `searching` and
/// `removing`; searches by their budget and number of clients. A load that is cancelled leaves what it put, and returns what it
/// measured until then.
///
/// # Errors
/// [`LoadError::Endpoint`] for an endpoint that does not answer or has another bundle; [`LoadError::NothingToSearch`].
pub async fn run_load(
    endpoint: Endpoint,
    drawn: DrawnRecords,
    options: &LoadOptions,
    control: &Control<'_>,
) -> Result<LoadReport, LoadError> {
    let (expected, found) = (drawn.bundle(), endpoint.bundle().await?);
    if found != expected {
        return Err(EndpointError::Bundle { address: endpoint.address().to_owned(), expected, found }.into());
    }
    let record_bytes = drawn.record(0)?.as_bytes().len();
    let (cancel, start) = (control.cancel(), Instant::now());
    let mut load = RunningLoad { endpoint, drawn, options, cancel, start, timeline: Vec::new() };
    let report = |stage, item: &str, done: usize, all: usize| {
        #[allow(clippy::cast_precision_loss)]
        control.report(&Progress::new(stage, done as f64, Some(all as f64), Unit::Steps).of(item));
    };
    let before = load.memory().await;
    let mut writing = None;
    if options.videos > 0 {
        report("writing", "records", 0, 1);
        writing = Some(load.write(record_bytes).await);
    }
    let written = load.memory().await;
    let queries = load.queries().await?;
    let mut cells = Vec::new();
    for budget in &options.budgets {
        for clients in &options.clients {
            if control.is_cancelled() {
                break;
            }
            let all = options.budgets.len() * options.clients.len();
            report("searching", &format!("{budget}, {clients} clients"), cells.len(), all);
            cells.push(load.searches(budget, *clients, &queries).await);
        }
    }
    let after = load.memory().await;
    if options.videos > 0 && !options.keep {
        report("removing", "records", 0, 1);
        load.remove().await;
    }
    let failures = writing.as_ref().map_or(0, |w| w.errors + w.lost) + cells.iter().map(|c| c.errors).sum::<usize>();
    Ok(LoadReport {
        url: load.endpoint.address().to_owned(),
        videos: load.endpoint.videos().await?,
        frames: drawn.shape().frames,
        record_bytes,
        writing,
        cells,
        timeline: load.timeline,
        server_memory: [before, written, after],
        failures,
    })
}

/// Records to search for, with the ids that they are found under.
type Queries = Arc<Vec<(String, Vec<u8>)>>;

/// Queries that are held in memory.
const QUERIES: usize = 256;

impl RunningLoad<'_> {
    async fn memory(&self) -> Option<u64> {
        self.endpoint.memory().await.ok().flatten()
    }

    async fn write(&self, record_bytes: usize) -> LoadWriting {
        let (videos, jobs, seed) = (self.options.videos, self.options.jobs, self.drawn.seed());
        let start = Instant::now();
        let numbers = Numbers::new(self.cancel, videos, None);
        let puts = shared(&numbers, jobs, |number| {
            let (endpoint, drawn) = (self.endpoint.clone(), self.drawn);
            async move {
                let record = drawn.record(number as u64).map_err(|e| e.to_string())?;
                let at = Instant::now();
                endpoint.put(&id(seed, number), record.as_bytes()).await.map_err(|e| e.to_string())?;
                Ok::<_, String>((number, at.elapsed(), record.checksum()))
            }
        })
        .await;
        let seconds = start.elapsed().as_secs_f64();
        let first_error = puts.iter().find_map(|put| put.as_ref().err()).cloned();
        let good: Vec<(usize, Duration, u64)> = puts.iter().filter_map(|put| put.clone().ok()).collect();
        let start = Instant::now();
        let reads = Numbers::new(self.cancel, good.len(), None);
        let good = Arc::new(good);
        let same = shared(&reads, jobs, |at| {
            let (endpoint, good) = (self.endpoint.clone(), good.clone());
            async move {
                let (number, _, checksum) = good[at];
                let back = endpoint.get(&id(seed, number)).await.ok().flatten();
                back.is_some_and(|bytes| Record::parse(bytes).is_ok_and(|r| r.checksum() == checksum))
            }
        })
        .await;
        LoadWriting {
            videos: good.len(),
            bytes: good.len() * record_bytes,
            seconds,
            per_second: good.len() as f64 / seconds,
            put_ms: LoadSpread::of(good.iter().map(|(_, time, _)| *time)),
            errors: puts.len() - good.len(),
            first_error,
            read_seconds: start.elapsed().as_secs_f64(),
            lost: good.len() - same.iter().filter(|same| **same).count(),
        }
    }

    /// Returns the queries: drawn records that were put, or records of the endpoint.
    async fn queries(&self) -> Result<Queries, LoadError> {
        let mut queries = Vec::new();
        if self.options.videos > 0 {
            let step = self.options.videos.div_ceil(QUERIES);
            for number in (0..self.options.videos).step_by(step) {
                queries.push((id(self.drawn.seed(), number), self.drawn.record(number as u64)?.into_bytes()));
            }
        } else {
            let (videos, _) = self.endpoint.page(None).await?;
            for video in videos.into_iter().take(QUERIES) {
                if let Some(record) = self.endpoint.get(&video.id).await? {
                    queries.push((video.id, record));
                }
            }
        }
        if queries.is_empty() {
            return Err(LoadError::NothingToSearch);
        }
        Ok(Arc::new(queries))
    }

    async fn searches(&mut self, budget: &str, clients: usize, queries: &Queries) -> LoadCell {
        let start = Instant::now();
        let numbers = Numbers::new(self.cancel, self.options.searches, Some(start + self.options.time));
        let options = format!("top=10&budget={}", utf8_percent_encode(budget, NON_ALPHANUMERIC));
        let asked = shared(&numbers, clients, |number| {
            let (endpoint, queries, options) = (self.endpoint.clone(), queries.clone(), options.clone());
            let begin = self.start;
            async move {
                let (_, record) = &queries[number % queries.len()];
                let pages = endpoint.search(record, &options).await;
                SearchOutcome { at: begin.elapsed(), number, pages }
            }
        })
        .await;
        let seconds = start.elapsed().as_secs_f64();
        self.count(&asked);
        LoadCell { budget: budget.to_owned(), clients, ..LoadCell::of(&asked, queries, seconds) }
    }

    fn count(&mut self, asked: &[SearchOutcome]) {
        for one in asked {
            let second = one.at.as_secs();
            let at = self.timeline.iter().position(|s| s.second == second).unwrap_or_else(|| {
                self.timeline.push(LoadSecond { second, ..LoadSecond::default() });
                self.timeline.len() - 1
            });
            let count = &mut self.timeline[at];
            count.searches += 1;
            match &one.pages {
                Ok(pages) => count.degraded += usize::from(is_degraded(pages)),
                Err(_) => count.errors += 1,
            }
        }
        self.timeline.sort_by_key(|s| s.second);
    }

    /// Removes what was put, until it is cancelled.
    async fn remove(&self) {
        let numbers = Numbers::new(self.cancel, self.options.videos, None);
        let seed = self.drawn.seed();
        let _ = shared(&numbers, self.options.jobs, |number| {
            let endpoint = self.endpoint.clone();
            // A record that cannot be removed stays, and the number of videos shows it.
            async move { drop(endpoint.remove(&id(seed, number)).await) }
        })
        .await;
    }
}

fn is_degraded(pages: &Pages) -> bool {
    pages.lines.last().is_some_and(|line| line["degraded"] == true)
}

/// Why a search is no answer.
fn fault(pages: &Result<Pages, EndpointError>) -> Option<String> {
    match pages {
        Err(error) => Some(error.to_string()),
        Ok(pages) => match pages.lines.last() {
            Some(line) if line["page"] == "error" => Some(line["problem"].to_string()),
            Some(line) if line["last"] == true => None,
            _ => Some("the answer has no last page".to_owned()),
        },
    }
}

impl LoadCell {
    fn of(asked: &[SearchOutcome], queries: &Queries, seconds: f64) -> Self {
        let mut cell = Self { searches: asked.len(), per_second: asked.len() as f64 / seconds, ..Self::default() };
        let (mut all, mut coarse) = (Vec::new(), Vec::new());
        for one in asked {
            if let Some(fault) = fault(&one.pages) {
                cell.errors += 1;
                cell.first_error.get_or_insert(fault);
                continue;
            }
            let Ok(pages) = &one.pages else { continue };
            let Some(last) = pages.lines.last() else { continue };
            all.push(pages.total);
            coarse.push(pages.first);
            cell.degraded += usize::from(is_degraded(pages));
            let (id, _) = &queries[one.number % queries.len()];
            cell.wrong += usize::from(last["hits"][0]["id"] != id.as_str());
            cell.reranked += last["reranked"].as_f64().unwrap_or_default();
            for (part, time) in last["timings_ms"].as_object().into_iter().flatten() {
                *cell.parts_ms.entry(part.clone()).or_default() += Value::as_f64(time).unwrap_or_default();
            }
        }
        let good = all.len().max(1) as f64;
        cell.reranked /= good;
        cell.parts_ms.values_mut().for_each(|sum| *sum /= good);
        (cell.ms, cell.coarse_ms) = (LoadSpread::of(all), LoadSpread::of(coarse));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let of = |times: &[u64]| LoadSpread::of(times.iter().map(|ms| Duration::from_millis(*ms)));
        let near = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-3;
        let spread = of(&(1..=200).rev().collect::<Vec<_>>());
        assert!(near(spread.p50, 100.0) && near(spread.p99, 198.0), "{spread:?}");
        let one = of(&[7]);
        assert!(near(one.p50, 7.0) && near(one.p99, 7.0), "{one:?}");
        assert!(near(of(&[9_000_000]).p99, 3_600_000.0));
        assert_eq!(of(&[]), LoadSpread::default());
    }
}
