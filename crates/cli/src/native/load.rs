//! A load on an endpoint: drawn records put and read back, searches by several clients at several budgets, what of it failed, and
//! how long it took. It ends by itself, and takes out what it put in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;
use vidsieve_client::{Endpoint, EndpointError, Pages};
use vidsieve_model::bundle::Bundle;
use vidsieve_record::Record;

use crate::native::interrupt;
use crate::native::synthetic::Drawn;
use crate::output::Failure;

/// What is done.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Records that are put; none: the videos that are there are searched for.
    pub(crate) videos: usize,
    pub(crate) frames: usize,
    pub(crate) budgets: Vec<String>,
    pub(crate) clients: Vec<usize>,
    /// Searches of each budget and number of clients, at most.
    pub(crate) searches: usize,
    /// Longest time for each of them.
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) jobs: usize,
    /// Whether what was put stays.
    pub(crate) keep: bool,
}

/// The middle and nearly the longest, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| {
            // An index of the times.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// Putting and reading back.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Writing {
    pub(crate) videos: usize,
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) put_ms: Spread,
    /// Puts that were refused or not answered, and the first reason.
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    pub(crate) read_seconds: f64,
    /// Records that were put and did not come back the same.
    pub(crate) lost: usize,
}

/// Searches of one budget by so many clients.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Cell {
    pub(crate) budget: String,
    pub(crate) clients: usize,
    pub(crate) searches: usize,
    pub(crate) per_second: f64,
    pub(crate) ms: Spread,
    /// To the end of the coarse page.
    pub(crate) coarse_ms: Spread,
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    /// Answers in which pairs are marked that could not be compared.
    pub(crate) degraded: usize,
    /// Answers whose first hit was not the video that was searched for.
    pub(crate) wrong: usize,
    /// Pairs compared, on average.
    pub(crate) reranked: f64,
    /// What the answers tell of their time, on average.
    pub(crate) parts_ms: std::collections::BTreeMap<String, f64>,
}

/// A second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Second {
    pub(crate) second: u64,
    pub(crate) searches: usize,
    pub(crate) degraded: usize,
    pub(crate) errors: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) url: String,
    pub(crate) videos: u64,
    pub(crate) frames: usize,
    pub(crate) record_bytes: usize,
    pub(crate) writing: Option<Writing>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) timeline: Vec<Second>,
    /// Memory of the server in bytes, where it tells: before, after writing, at the end.
    pub(crate) server_memory: [Option<u64>; 3],
    /// Searches and puts that failed, and writes that were lost.
    pub(crate) failures: usize,
}

/// What came of one search.
struct Asked {
    at: Duration,
    number: usize,
    pages: Result<Pages, EndpointError>,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Work that several tasks share: numbers from 0, until they are used up, the time is, or it is interrupted.
#[derive(Clone)]
struct Numbers {
    next: Arc<AtomicUsize>,
    end: usize,
    until: Option<Instant>,
}

impl Numbers {
    fn new(end: usize, until: Option<Instant>) -> Self {
        Self { next: Arc::default(), end, until }
    }

    fn take(&self) -> Option<usize> {
        if interrupt::token().is_cancelled() || self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < self.end)
    }
}

/// Does something for every number, by so many tasks; the results in no order.
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
        // A task that panics has told so.
        done.extend(result.ok());
        if let Some(number) = numbers.take() {
            running.spawn(work(number));
        }
    }
    done
}

/// A load under way.
struct Load<'a> {
    endpoint: Endpoint,
    drawn: Drawn,
    options: &'a Options,
    start: Instant,
    timeline: Vec<Second>,
}

/// Where the records of a load are.
fn id(seed: u64, number: usize) -> String {
    format!("vidsieve-load/{seed}/{number:09}")
}

/// Puts the load on the endpoint. `progress` is told what is done and how much of it.
pub(crate) async fn run(
    endpoint: Endpoint,
    bundle: &Bundle,
    options: &Options,
    progress: &dyn Fn(&str, u64),
) -> Result<Report, Failure> {
    let expected = bundle.id();
    let found = endpoint.bundle().await?;
    if found != expected {
        return Err(EndpointError::Bundle { address: endpoint.address().to_owned(), expected, found }.into());
    }
    let drawn = Drawn::new(bundle, options.frames, options.seed)?;
    let record_bytes = drawn.record(0)?.as_bytes().len();
    let mut load = Load { endpoint, drawn, options, start: Instant::now(), timeline: Vec::new() };
    let before = load.memory().await;
    let mut writing = None;
    if options.videos > 0 {
        progress("writing", 0);
        writing = Some(load.write(record_bytes).await);
    }
    let written = load.memory().await;
    let queries = load.queries().await?;
    let mut cells = Vec::new();
    for budget in &options.budgets {
        for clients in &options.clients {
            if interrupt::token().is_cancelled() {
                break;
            }
            progress(&format!("{budget}, {clients} clients"), cells.len() as u64);
            cells.push(load.searches(budget, *clients, &queries).await);
        }
    }
    let after = load.memory().await;
    if options.videos > 0 && !options.keep {
        progress("removing", 0);
        load.remove().await;
    }
    let failures = writing.as_ref().map_or(0, |w| w.errors + w.lost) + cells.iter().map(|c| c.errors).sum::<usize>();
    Ok(Report {
        url: load.endpoint.address().to_owned(),
        videos: load.endpoint.videos().await?,
        frames: options.frames,
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

impl Load<'_> {
    async fn memory(&self) -> Option<u64> {
        self.endpoint.memory().await.ok().flatten()
    }

    async fn write(&self, record_bytes: usize) -> Writing {
        let (videos, jobs, seed) = (self.options.videos, self.options.jobs, self.options.seed);
        let start = Instant::now();
        let numbers = Numbers::new(videos, None);
        let puts = shared(&numbers, jobs, |number| {
            let (endpoint, drawn) = (self.endpoint.clone(), self.drawn);
            async move {
                let record = drawn.record(number as u64).map_err(|e| e.to_string())?;
                let at = Instant::now();
                endpoint.put(&id(seed, number), record.as_bytes()).await.map_err(|e| e.to_string())?;
                Ok::<_, String>((number, ms(at.elapsed()), record.checksum()))
            }
        })
        .await;
        let seconds = start.elapsed().as_secs_f64();
        let first_error = puts.iter().find_map(|put| put.as_ref().err()).cloned();
        let good: Vec<(usize, f64, u64)> = puts.iter().filter_map(|put| put.clone().ok()).collect();
        let start = Instant::now();
        let reads = Numbers::new(good.len(), None);
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
        Writing {
            videos: good.len(),
            bytes: good.len() * record_bytes,
            seconds,
            per_second: good.len() as f64 / seconds,
            put_ms: Spread::of(good.iter().map(|(_, ms, _)| *ms).collect()),
            errors: puts.len() - good.len(),
            first_error,
            read_seconds: start.elapsed().as_secs_f64(),
            lost: good.len() - same.iter().filter(|same| **same).count(),
        }
    }

    /// What is searched for: drawn records that were put, or records that are there.
    async fn queries(&self) -> Result<Queries, Failure> {
        let mut queries = Vec::new();
        if self.options.videos > 0 {
            let step = self.options.videos.div_ceil(QUERIES);
            for number in (0..self.options.videos).step_by(step) {
                queries.push((id(self.options.seed, number), self.drawn.record(number as u64)?.into_bytes()));
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
            return Err(Failure::new("there is nothing to search for: put some videos there, or give --videos"));
        }
        Ok(Arc::new(queries))
    }

    async fn searches(&mut self, budget: &str, clients: usize, queries: &Queries) -> Cell {
        let start = Instant::now();
        let numbers = Numbers::new(self.options.searches, Some(start + self.options.time));
        let options = format!("top=10&budget={}", budget.replace('%', "%25").replace('>', "%3E"));
        let asked = shared(&numbers, clients, |number| {
            let (endpoint, queries, options) = (self.endpoint.clone(), queries.clone(), options.clone());
            let begin = self.start;
            async move {
                let (_, record) = &queries[number % queries.len()];
                let pages = endpoint.search(record, &options).await;
                Asked { at: begin.elapsed(), number, pages }
            }
        })
        .await;
        let seconds = start.elapsed().as_secs_f64();
        self.count(&asked);
        Cell { budget: budget.to_owned(), clients, ..Cell::of(&asked, queries, seconds) }
    }

    fn count(&mut self, asked: &[Asked]) {
        for one in asked {
            let second = one.at.as_secs();
            let at = self.timeline.iter().position(|s| s.second == second).unwrap_or_else(|| {
                self.timeline.push(Second { second, ..Second::default() });
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

    async fn remove(&self) {
        let numbers = Numbers::new(self.options.videos, None);
        let seed = self.options.seed;
        let _ = shared(&numbers, self.options.jobs, |number| {
            let endpoint = self.endpoint.clone();
            // What cannot be removed stays, and the number of videos tells.
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

impl Cell {
    fn of(asked: &[Asked], queries: &Queries, seconds: f64) -> Self {
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
            all.push(ms(pages.total));
            coarse.push(ms(pages.first));
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
        (cell.ms, cell.coarse_ms) = (Spread::of(all), Spread::of(coarse));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let spread = Spread::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(spread, Spread { p50: 100.0, p99: 198.0 });
        assert_eq!(Spread::of(vec![7.0]), Spread { p50: 7.0, p99: 7.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
