//! What Prometheus reads.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    /// The route's template; never a path with an id.
    pub(crate) route: &'static str,
    /// One that is known, or `other`: clients cannot make labels.
    pub(crate) method: &'static str,
}

/// Labels of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResponseLabels {
    pub(crate) route: &'static str,
    pub(crate) method: &'static str,
    /// 499 where the client went away before there was an answer.
    pub(crate) status: u16,
}

/// Labels of a page of a search.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PageLabels {
    /// `coarse` or `refined`.
    pub(crate) page: &'static str,
}

/// Why the server ended a connection: it did not take its answer.
pub(crate) const SLOW: &str = "slow";
/// Why the server ended a connection: another one took its place.
pub(crate) const GAVE_WAY: &str = "gave-way";

/// Labels of a connection that the server ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClosedLabels {
    /// [`SLOW`] or [`GAVE_WAY`].
    pub(crate) reason: &'static str,
}

/// What is read when the figures are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Readings {
    pub(crate) connections: usize,
    pub(crate) spare: usize,
    pub(crate) index_bytes: Option<u64>,
    pub(crate) room: Option<u64>,
    pub(crate) ready: bool,
}

/// All metrics of the server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    process: Registry,
    memory: Gauge<i64, AtomicI64>,
    pub(crate) requests: Family<ResponseLabels, Counter>,
    /// To the beginning of the answer.
    pub(crate) seconds: Family<RequestLabels, Histogram>,
    /// To its end.
    pub(crate) answer_seconds: Family<RequestLabels, Histogram>,
    pub(crate) page_seconds: Family<PageLabels, Histogram>,
    pub(crate) queue_wait: Histogram,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    pub(crate) sent: Counter,
    /// Answers that did not end.
    pub(crate) cut: Counter,
    closed: Family<ClosedLabels, Counter>,
    connections: Gauge<i64, AtomicI64>,
    spare: Gauge<i64, AtomicI64>,
    index_bytes: Gauge<i64, AtomicI64>,
    room: Gauge<i64, AtomicI64>,
    ready: Gauge<i64, AtomicI64>,
    /// Also the number that `/v1/health` returns, which must not wait for the table.
    pub(crate) videos: Gauge<i64, AtomicI64>,
    pub(crate) compared: Counter,
    pub(crate) missing: Counter,
}

/// From a millisecond to half a minute.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Metrics {
    /// The metrics of a server; `build` are the labels of what it is.
    pub(crate) fn new(build: Vec<(&'static str, String)>) -> Self {
        let mut registry = Registry::with_prefix("vidsieve");
        let mut all = Self {
            registry: Registry::default(),
            process: Registry::default(),
            memory: Gauge::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(times),
            answer_seconds: Family::new_with_constructor(times),
            page_seconds: Family::new_with_constructor(times),
            queue_wait: times(),
            in_flight: Gauge::default(),
            sent: Counter::default(),
            cut: Counter::default(),
            closed: Family::default(),
            connections: Gauge::default(),
            spare: Gauge::default(),
            index_bytes: Gauge::default(),
            room: Gauge::default(),
            ready: Gauge::default(),
            videos: Gauge::default(),
            compared: Counter::default(),
            missing: Counter::default(),
        };
        let r = &mut registry;
        r.register("build", "What runs", Info::new(build));
        r.register("http_requests", "Requests by the status of their answer", all.requests.clone());
        r.register("http_request_duration_seconds", "Time to the start of the answer", all.seconds.clone());
        r.register("http_answer_duration_seconds", "Time to the end of the answer", all.answer_seconds.clone());
        r.register("search_page_duration_seconds", "Time to a page of a search", all.page_seconds.clone());
        r.register("queue_wait_seconds", "Wait for a worker", all.queue_wait.clone());
        r.register("http_requests_in_flight", "Requests under way", all.in_flight.clone());
        r.register("http_answer_bytes", "Bytes of the bodies of answers", all.sent.clone());
        r.register("http_answers_cut", "Answers of which the end was not written", all.cut.clone());
        r.register("connections", "Open connections", all.connections.clone());
        r.register("connections_spare", "Those without a place, told of health alone", all.spare.clone());
        r.register("connections_closed", "Connections that the server ended, by reason", all.closed.clone());
        r.register("index_videos", "Videos in the index", all.videos.clone());
        r.register("index_bytes", "Bytes of the index's file", all.index_bytes.clone());
        r.register("index_room_bytes", "Bytes of records that the disk has room for; -1: unknown", all.room.clone());
        r.register("ready", "Whether the server can do its work: 1 or 0", all.ready.clone());
        r.register("pairs_compared", "Pairs that were compared frame by frame", all.compared.clone());
        r.register("pairs_missing", "Pairs that could not be compared", all.missing.clone());
        // Called as every program calls it.
        all.process.register("process_resident_memory_bytes", "Resident memory of the process", all.memory.clone());
        all.registry = registry;
        for reason in [SLOW, GAVE_WAY] {
            let _ = all.closed.get_or_create(&ClosedLabels { reason });
        }
        all
    }

    /// Counts a connection that the server ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&ClosedLabels { reason }).inc();
    }

    pub(crate) fn text(&self, readings: Readings) -> String {
        let mut text = String::new();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.connections.set(number(readings.connections as u64));
        self.spare.set(number(readings.spare as u64));
        self.index_bytes.set(readings.index_bytes.map_or(-1, number));
        self.room.set(readings.room.map_or(-1, number));
        self.ready.set(readings.ready.into());
        // Writing to a string does not fail.
        if let Some(memory) = resident() {
            self.memory.set(memory);
            let _ = text::encode_registry(&mut text, &self.process);
        }
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// Resident memory of this process in bytes, where Linux tells it.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
    kib.parse::<i64>().ok().map(|kib| kib * 1024)
}
