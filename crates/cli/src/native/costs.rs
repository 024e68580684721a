//! What publishing an index and answering from it costs, from a table of prices and from what a search does.
//!
//! The prices are those of `prices.json`, which names their date and their pages; a file of the same form takes their place.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::output::{Failure, read};

/// Days of a month, as bills count them.
const DAYS: f64 = 30.0;
/// Memory that a Durable Object is billed for, in GB.
const OBJECT_GB: f64 = 0.128;

/// What one thing costs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meter {
    /// Dollars for so many.
    usd: f64,
    per: f64,
    /// So many a month cost nothing in the paid plan.
    included: f64,
    /// So many are all that the free plan has; without it nothing is counted there.
    free: Option<f64>,
    free_per: Option<Period>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Period {
    Day,
    Month,
    Total,
}

/// The table of prices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    as_of: String,
    note: String,
    sources: Vec<String>,
    /// Dollars a month that the paid plan costs in any case.
    base_month: f64,
    meters: BTreeMap<String, Meter>,
}

impl Prices {
    /// The built-in table, or that of a file.
    pub(crate) fn of(path: Option<&Path>) -> Result<Self, Failure> {
        let (name, bytes) = match path {
            Some(path) => (path.display().to_string(), read(path)?),
            None => ("the built-in prices".to_owned(), include_bytes!("prices.json").to_vec()),
        };
        let prices: Self = serde_json::from_slice(&bytes).map_err(|e| Failure::new(format_args!("{name}: {e}")))?;
        match prices.meters.iter().find(|(_, m)| !(m.usd >= 0.0 && m.per > 0.0 && m.included >= 0.0)) {
            Some((meter, _)) => Err(Failure::new(format_args!("{name}: {meter}: usd, per and included are amounts"))),
            None => Ok(prices),
        }
    }
}

/// What is published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// The edge Workers: KV for records, Durable Objects for the coarse shards.
    Edge,
    /// Cloudflare KV alone.
    Kv,
    /// R2 alone.
    R2,
}

impl Target {
    /// That of a location; `None` for one that no price is known of.
    pub(crate) fn of(location: &str) -> Option<Self> {
        match location.split(':').next() {
            Some("https" | "http") => Some(Self::Edge),
            Some("cloudflare-kv") => Some(Self::Kv),
            Some("s3") => Some(Self::R2),
            _ => None,
        }
    }
}

/// What is estimated for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Load {
    /// Videos in all.
    pub(crate) videos: u64,
    /// Bytes of all records.
    pub(crate) bytes: u64,
    /// Records that are to be written and bytes of them.
    pub(crate) written: u64,
    /// Requests that write.
    pub(crate) writes: u64,
    /// Records that are to be removed.
    pub(crate) removed: u64,
    /// Values of a video's vector.
    pub(crate) dims: usize,
    /// Searches a month.
    pub(crate) searches: u64,
    /// Pairs that a search compares frame by frame.
    pub(crate) pairs: u64,
    /// Work per piece, in milliseconds.
    pub(crate) work: Work,
}

/// How long pieces of work take at the edge and how shards are sized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Work {
    /// Videos of a shard.
    pub(crate) shard_videos: u64,
    /// A search without its scan and pairs: parsing, selecting, answering.
    pub(crate) search_ms: f64,
    /// Scanning 100,000 vectors.
    pub(crate) scan_ms: f64,
    /// Comparing one pair.
    pub(crate) pair_ms: f64,
    /// Taking a record in.
    pub(crate) put_ms: f64,
    /// Asking another Worker, a Durable Object or KV and having its answer, without what it computes.
    pub(crate) hop_ms: f64,
}

/// Requests that a Worker has under way at the same time.
const CONNECTIONS: u64 = 6;
/// Pairs that one request to the re-rank tier compares.
const BATCH: u64 = 64;
/// Rows that a shard writes for a video that is put: the video and its index, the record that it keeps for a while and its index,
/// both of these again when it lets the record go, an alarm.
const ROWS: f64 = 7.0;
/// Bytes of memory that a shard needs to scan and find a video, beside a byte for each value of its vector.
const FIND_BYTES: f64 = 24.0;
/// Rows that a shard reads for a pair that may be compared: it takes half as many candidates again.
const CANDIDATES: f64 = 1.5;

/// Bytes that a shard keeps of a video beside its vector: id, scalars, the row around them.
const ROW_BYTES: f64 = 120.0;

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) meter: String,
    pub(crate) amount: f64,
    /// What of it is above what the paid plan includes, in dollars.
    pub(crate) usd: f64,
    /// All of it in dollars, as if nothing were included.
    pub(crate) usd_in_full: f64,
}

/// Whether the free plan suffices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FreePlan {
    /// Whether a month fits, once all is published.
    pub(crate) month_fits: bool,
    /// Days that publishing takes at least within its daily limits.
    pub(crate) days_to_publish: u64,
    /// What a month exceeds.
    pub(crate) exceeds: Vec<String>,
}

/// How long a search takes, by the work of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// To the coarse page.
    pub(crate) coarse: f64,
    /// To the refined page.
    pub(crate) refined: f64,
}

/// Batches of pairs are asked for, and their records come from KV, as many at a time as there may be connections. So are shards here,
/// which is the worst case: Cloudflare does not say that they count as connections.
fn latency(load: &Load) -> Latency {
    let Work { shard_videos, search_ms, scan_ms, pair_ms, hop_ms, .. } = load.work;
    let rounds = |pieces: u64| pieces.div_ceil(CONNECTIONS) as f64;
    let scan = scan_ms * load.videos.min(shard_videos) as f64 / 1e5;
    let coarse = search_ms + rounds(shards(load)) * (hop_ms + scan);
    let pairs = load.pairs.min(load.videos);
    let batch = pairs.min(BATCH);
    let compare = hop_ms + rounds(batch) * hop_ms + batch as f64 * pair_ms;
    Latency { coarse, refined: coarse + rounds(pairs.div_ceil(BATCH)) * compare }
}

/// What it costs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Estimate {
    pub(crate) target: Target,
    pub(crate) as_of: String,
    pub(crate) note: String,
    pub(crate) sources: Vec<String>,
    pub(crate) load: Load,
    /// Coarse shards.
    pub(crate) shards: u64,
    /// Memory of a full shard in MB.
    pub(crate) shard_mb: f64,
    /// From a search to its pages, where nobody else asks.
    pub(crate) latency_ms: Latency,
    /// Publishing now, once, as if nothing else were done that month.
    pub(crate) publish: Vec<Line>,
    pub(crate) publish_usd: f64,
    /// Every month, with the plan's base price.
    pub(crate) month: Vec<Line>,
    pub(crate) month_usd: f64,
    /// A thousand searches more, when what is included is used up.
    pub(crate) thousand_searches_usd: f64,
    pub(crate) free_plan: FreePlan,
}

type Amounts = BTreeMap<&'static str, f64>;

/// What publishing uses.
fn publishing(target: Target, load: &Load) -> Amounts {
    let (written, removed) = (load.written as f64, load.removed as f64);
    // Each record is written and read back.
    match target {
        Target::Edge => BTreeMap::from([
            ("worker_requests", 2.0 * written + removed + load.videos as f64 / 1000.0),
            ("worker_cpu_ms", (2.0 * written + removed) * load.work.put_ms),
            ("kv_writes", written),
            ("kv_reads", written),
            ("kv_deletes", removed),
            // A put asks what is there, then puts; reading back asks once.
            ("object_requests", 3.0 * written + 2.0 * removed),
            ("object_gb_seconds", (3.0 * written + 2.0 * removed) * load.work.put_ms / 1e3 * OBJECT_GB),
            ("object_rows_written", ROWS * (written + removed)),
        ]),
        // 256 manifests are read.
        Target::Kv => BTreeMap::from([
            ("kv_writes", load.writes as f64 - removed),
            ("kv_reads", written + 257.0),
            ("kv_deletes", removed),
        ]),
        Target::R2 => BTreeMap::from([("r2_class_a", load.writes as f64 - removed), ("r2_class_b", written + 257.0)]),
    }
}

/// What so many searches use.
fn searching(target: Target, load: &Load, searches: f64) -> Amounts {
    let pairs = load.pairs.min(load.videos) as f64 * searches;
    match target {
        Target::Edge => {
            let Work { search_ms, scan_ms, pair_ms, .. } = load.work;
            let shards = shards(load) as f64;
            let scan = scan_ms * load.videos as f64 / 1e5;
            BTreeMap::from([
                ("worker_requests", searches),
                // What a Durable Object computes is billed as its time.
                ("worker_cpu_ms", searches * search_ms + pairs * pair_ms),
                ("kv_reads", pairs),
                ("object_requests", searches * shards),
                ("object_rows_read", searches * (shards * CANDIDATES * load.pairs as f64).min(load.videos as f64)),
                // Each shard is awake for its share of the scan, and a millisecond for being asked.
                ("object_gb_seconds", searches * (scan + shards) / 1e3 * OBJECT_GB),
            ])
        }
        Target::Kv => BTreeMap::from([("kv_reads", pairs)]),
        Target::R2 => BTreeMap::from([("r2_class_b", pairs)]),
    }
}

/// What lies there.
fn lying(target: Target, load: &Load) -> Amounts {
    let gb = load.bytes as f64 / 1e9;
    match target {
        Target::Edge => BTreeMap::from([
            ("kv_storage_gb", gb),
            ("object_storage_gb", load.videos as f64 * (4.0 * load.dims as f64 + ROW_BYTES) / 1e9),
        ]),
        Target::Kv => BTreeMap::from([("kv_storage_gb", gb)]),
        Target::R2 => BTreeMap::from([("r2_storage_gb", gb)]),
    }
}

fn shards(load: &Load) -> u64 {
    load.videos.div_ceil(load.work.shard_videos.max(1)).max(1)
}

impl Prices {
    fn meter(&self, name: &str) -> Result<&Meter, Failure> {
        self.meters.get(name).ok_or_else(|| Failure::new(format_args!("the prices lack {name}")))
    }

    fn bill(&self, amounts: &Amounts) -> Result<Vec<Line>, Failure> {
        amounts
            .iter()
            .map(|(name, amount)| {
                let meter = self.meter(name)?;
                let usd = |amount: f64| amount.max(0.0) / meter.per * meter.usd;
                Ok(Line {
                    meter: (*name).to_owned(),
                    amount: *amount,
                    usd: usd(amount - meter.included),
                    usd_in_full: usd(*amount),
                })
            })
            .collect()
    }

    /// Days that amounts take within the daily limits of the free plan.
    fn days(&self, amounts: &Amounts) -> Result<u64, Failure> {
        let mut days = 0.0f64;
        for (name, amount) in amounts {
            if let Meter { free: Some(free), free_per: Some(Period::Day), .. } = self.meter(name)? {
                days = days.max((amount / free).ceil());
            }
        }
        // A number of days.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(days as u64)
    }

    fn exceeds(&self, amounts: &Amounts) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for (name, amount) in amounts {
            let meter = self.meter(name)?;
            let most = meter.free.map(|free| match meter.free_per {
                Some(Period::Day) => free * DAYS,
                _ => free,
            });
            if most.is_some_and(|most| *amount > most) {
                names.push((*name).to_owned());
            }
        }
        Ok(names)
    }

    /// What it costs to publish and to answer.
    pub(crate) fn estimate(&self, target: Target, load: Load) -> Result<Estimate, Failure> {
        let publishing = publishing(target, &load);
        let mut month = searching(target, &load, load.searches as f64);
        month.extend(lying(target, &load));
        let (publish, month_lines) = (self.bill(&publishing)?, self.bill(&month)?);
        let thousand = self.bill(&searching(target, &load, 1000.0))?;
        let exceeds = self.exceeds(&month)?;
        // R2 and KV are to be had without the plan of the Workers; counted with it, because who searches needs one.
        let sum = |lines: &[Line]| lines.iter().map(|line| line.usd).sum::<f64>();
        Ok(Estimate {
            target,
            as_of: self.as_of.clone(),
            note: self.note.clone(),
            sources: self.sources.clone(),
            shards: if target == Target::Edge { shards(&load) } else { 0 },
            shard_mb: load.videos.min(load.work.shard_videos) as f64 * (load.dims as f64 + FIND_BYTES) / 1e6,
            latency_ms: latency(&load),
            publish_usd: sum(&publish),
            month_usd: self.base_month + sum(&month_lines),
            thousand_searches_usd: thousand.iter().map(|line| line.usd_in_full).sum(),
            free_plan: FreePlan { month_fits: exceeds.is_empty(), days_to_publish: self.days(&publishing)?, exceeds },
            publish,
            month: month_lines,
            load,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WORK: Work =
        Work { shard_videos: 16_384, search_ms: 2.0, scan_ms: 20.0, pair_ms: 1.0, put_ms: 1.0, hop_ms: 10.0 };

    fn load(videos: u64) -> Load {
        Load {
            videos,
            bytes: videos * 70_000,
            written: videos,
            writes: videos,
            removed: 0,
            dims: 256,
            searches: 100_000,
            pairs: 100,
            work: WORK,
        }
    }

    fn line<'a>(lines: &'a [Line], meter: &str) -> &'a Line {
        lines.iter().find(|line| line.meter == meter).unwrap()
    }

    #[test]
    fn sums_by_hand() {
        let prices = Prices::of(None).unwrap();
        let estimate = prices.estimate(Target::Edge, load(2_000_000)).unwrap();
        // 2 million writes, of which one is included; 140 GB of records, of which one is included.
        assert!((line(&estimate.publish, "kv_writes").usd - 5.0).abs() < 1e-9);
        assert!((line(&estimate.month, "kv_storage_gb").usd - 69.5).abs() < 1e-9);
        // 100,000 searches of 100 pairs are all the reads that are included.
        assert!(line(&estimate.month, "kv_reads").usd.abs() < 1e-9);
        assert!((line(&estimate.month, "kv_reads").usd_in_full - 5.0).abs() < 1e-9);
        assert_eq!(estimate.shards, 123);
        assert!((line(&estimate.month, "object_requests").amount - 12.3e6).abs() < 1.0);
        // 123 shards are 21 rounds; 100 pairs are two batches at a time, of 64 records in eleven rounds.
        let coarse = 2.0 + 21.0 * (10.0 + 20.0 * 0.16384);
        assert!((estimate.latency_ms.coarse - coarse).abs() < 1e-6, "{:?}", estimate.latency_ms);
        let refined = coarse + (10.0 + 11.0 * 10.0 + 64.0);
        assert!((estimate.latency_ms.refined - refined).abs() < 1e-6, "{:?}", estimate.latency_ms);
        let sum: f64 = estimate.month.iter().map(|l| l.usd).sum();
        assert!((estimate.month_usd - sum - 5.0).abs() < 1e-9);
        assert_eq!(estimate.free_plan.days_to_publish, 2000, "a thousand writes a day");
        assert!(estimate.free_plan.exceeds.contains(&"kv_storage_gb".to_owned()));
    }

    #[test]
    fn a_small_index_fits_the_free_plan() {
        let prices = Prices::of(None).unwrap();
        let small = Load { searches: 10_000, ..load(900) };
        let estimate = prices.estimate(Target::Edge, small).unwrap();
        assert!(estimate.free_plan.month_fits, "{:?}", estimate.free_plan);
        assert_eq!(estimate.free_plan.days_to_publish, 1);
        assert!((estimate.month_usd - 5.0).abs() < 1e-9 && estimate.publish_usd.abs() < 1e-9);
        assert!(estimate.thousand_searches_usd > 0.0);
    }

    #[test]
    fn every_target_has_its_prices() {
        let prices = Prices::of(None).unwrap();
        for (location, target) in [
            ("https://a", Some(Target::Edge)),
            ("cloudflare-kv://a/b", Some(Target::Kv)),
            ("s3://b", Some(Target::R2)),
            ("fs:/x", None),
            ("redis://h", None),
        ] {
            assert_eq!(Target::of(location), target);
            if let Some(target) = target {
                prices.estimate(target, load(10)).unwrap();
            }
        }
    }
}
