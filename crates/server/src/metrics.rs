//! What Prometheus reads.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
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

/// All metrics of the server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    process: Registry,
    memory: Gauge<i64, AtomicI64>,
    pub(crate) requests: Family<ResponseLabels, Counter>,
    pub(crate) seconds: Family<RequestLabels, Histogram>,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    /// Also the number that `/v1/health` returns, which must not wait for the table.
    pub(crate) videos: Gauge<i64, AtomicI64>,
    pub(crate) compared: Counter,
    pub(crate) missing: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("vidsieve");
        let requests = Family::<ResponseLabels, Counter>::default();
        let seconds = Family::<RequestLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 16))
        });
        let (in_flight, videos) = (Gauge::default(), Gauge::default());
        let (compared, missing) = (Counter::default(), Counter::default());
        registry.register("http_requests", "Requests by the status of their answer", requests.clone());
        registry.register("http_request_duration_seconds", "Time to the start of the answer", seconds.clone());
        registry.register("http_requests_in_flight", "Requests under way", in_flight.clone());
        registry.register("index_videos", "Videos in the index", videos.clone());
        registry.register("pairs_compared", "Pairs that were compared frame by frame", compared.clone());
        registry.register("pairs_missing", "Pairs that could not be compared", missing.clone());
        // Called as every program calls it.
        let (mut process, memory) = (Registry::default(), Gauge::default());
        process.register("process_resident_memory_bytes", "Resident memory of the process", memory.clone());
        Self { registry, process, memory, requests, seconds, in_flight, videos, compared, missing }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
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
