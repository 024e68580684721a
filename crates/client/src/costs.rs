//! What publishing an index and answering from it costs, from a table of prices and from what a search does.
//!
//! The prices are those of `prices.json`, which names their date and their pages; a file of the same form takes their place.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Days of a month, as bills count them.
const DAYS: f64 = 30.0;
/// Memory that a Durable Object is billed for, in GB.
const OBJECT_GB: f64 = 0.128;

/// Why a table of prices cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no table of prices.
    #[error("{name}: {source}")]
    Parse {
        /// The file.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A price that is no amount.
    #[error("{name}: {meter}: usd, per and included are amounts")]
    Amounts {
        /// The file.
        name: String,
        /// The meter.
        meter: String,
    },
    /// The table lacks a meter that the target is billed by.
    #[error("the prices lack {0}")]
    Missing(String),
}

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
pub struct PriceTable {
    as_of: String,
    note: String,
    sources: Vec<String>,
    /// Dollars a month that the paid plan costs in any case.
    base_month: f64,
    meters: BTreeMap<String, Meter>,
}

impl PriceTable {
    /// Returns the built-in table.
    ///
    /// # Errors
    /// As [`PriceTable::open`].
    pub fn built_in() -> Result<Self, PriceError> {
        Self::parse("the built-in prices", include_bytes!("prices.json"))
    }

    /// Reads a table from a file.
    ///
    /// # Errors
    /// [`PriceError`] for a file that cannot be read, is no table, or has amounts below 0.
    pub fn open(path: &Path) -> Result<Self, PriceError> {
        let bytes = std::fs::read(path).map_err(|source| PriceError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<Self, PriceError> {
        let table: Self =
            serde_json::from_slice(bytes).map_err(|source| PriceError::Parse { name: name.to_owned(), source })?;
        match table.meters.iter().find(|(_, m)| !(m.usd >= 0.0 && m.per > 0.0 && m.included >= 0.0)) {
            Some((meter, _)) => Err(PriceError::Amounts { name: name.to_owned(), meter: meter.clone() }),
            None => Ok(table),
        }
    }
}

/// What is published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostTarget {
    /// The edge Workers: KV for records, Durable Objects for the coarse shards.
    Edge,
    /// Cloudflare KV alone.
    Kv,
    /// R2 alone.
    R2,
}

impl CostTarget {
    /// Returns the target of a location; `None` for one without a known price.
    #[must_use]
    pub fn of(location: &str) -> Option<Self> {
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
pub struct CostLoad {
    /// Videos in all.
    pub videos: u64,
    /// Bytes of all records.
    pub bytes: u64,
    /// Records that are to be written and bytes of them.
    pub written: u64,
    /// Requests that write.
    pub writes: u64,
    /// Records that are to be removed.
    pub removed: u64,
    /// Values of a video's vector.
    pub dims: usize,
    /// Searches a month.
    pub searches: u64,
    /// Pairs that a search compares frame by frame.
    pub pairs: u64,
    /// EdgeWork per piece, in milliseconds.
    pub work: EdgeWork,
}

/// How long pieces of work take at the edge and how shards are sized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EdgeWork {
    /// Videos of a shard.
    pub shard_videos: u64,
    /// A search without its scan and pairs: parsing, selecting, answering.
    pub search_ms: f64,
    /// Scanning 100,000 vectors.
    pub scan_ms: f64,
    /// Comparing one pair.
    pub pair_ms: f64,
    /// Taking a record in.
    pub put_ms: f64,
    /// Asking another Worker, a Durable Object or KV and having its answer, without what it computes.
    pub hop_ms: f64,
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
pub struct BillLine {
    /// What is counted, by its name in the table.
    pub meter: String,
    /// How much of it.
    pub amount: f64,
    /// What of it is above what the paid plan includes, in dollars.
    pub usd: f64,
    /// All of it in dollars, as if nothing were included.
    pub usd_in_full: f64,
}

/// Whether the free plan suffices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FreePlan {
    /// Whether a month fits, once all is published.
    pub month_fits: bool,
    /// Days that publishing takes at least within its daily limits.
    pub days_to_publish: u64,
    /// What a month exceeds.
    pub exceeds: Vec<String>,
}

/// How long a search takes, by the work of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EdgeLatency {
    /// To the coarse page.
    pub coarse: f64,
    /// To the refined page.
    pub refined: f64,
}

/// Batches of pairs are asked for, and their records come from KV, as many at a time as there may be connections. So are shards here,
/// which is the worst case: Cloudflare does not say that they count as connections.
fn latency(load: &CostLoad) -> EdgeLatency {
    let EdgeWork { shard_videos, search_ms, scan_ms, pair_ms, hop_ms, .. } = load.work;
    let rounds = |pieces: u64| pieces.div_ceil(CONNECTIONS) as f64;
    let scan = scan_ms * load.videos.min(shard_videos) as f64 / 1e5;
    let coarse = search_ms + rounds(shards(load)) * (hop_ms + scan);
    let pairs = load.pairs.min(load.videos);
    let batch = pairs.min(BATCH);
    let compare = hop_ms + rounds(batch) * hop_ms + batch as f64 * pair_ms;
    EdgeLatency { coarse, refined: coarse + rounds(pairs.div_ceil(BATCH)) * compare }
}

/// What it costs.
#[derive(Debug, Clone, Serialize)]
pub struct CostEstimate {
    /// What is published to.
    pub target: CostTarget,
    /// Date of the prices.
    pub as_of: String,
    /// What the table says about itself.
    pub note: String,
    /// Pages that the prices come from.
    pub sources: Vec<String>,
    /// What is estimated for.
    pub load: CostLoad,
    /// Coarse shards.
    pub shards: u64,
    /// Memory of a full shard in MB.
    pub shard_mb: f64,
    /// From a search to its pages, without other load.
    pub latency_ms: EdgeLatency,
    /// Publishing now, once, as if nothing else were done that month.
    pub publish: Vec<BillLine>,
    /// The sum of it in dollars.
    pub publish_usd: f64,
    /// Every month, with the plan's base price.
    pub month: Vec<BillLine>,
    /// The sum of it in dollars.
    pub month_usd: f64,
    /// A thousand searches more, when what is included is used up.
    pub thousand_searches_usd: f64,
    /// Whether the free plan suffices.
    pub free_plan: FreePlan,
}

type Amounts = BTreeMap<&'static str, f64>;

/// What publishing uses.
fn publishing(target: CostTarget, load: &CostLoad) -> Amounts {
    let (written, removed) = (load.written as f64, load.removed as f64);
    // Each record is written and read back.
    match target {
        CostTarget::Edge => BTreeMap::from([
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
        CostTarget::Kv => BTreeMap::from([
            ("kv_writes", load.writes as f64 - removed),
            ("kv_reads", written + 257.0),
            ("kv_deletes", removed),
        ]),
        CostTarget::R2 => {
            BTreeMap::from([("r2_class_a", load.writes as f64 - removed), ("r2_class_b", written + 257.0)])
        }
    }
}

/// What so many searches use.
fn searching(target: CostTarget, load: &CostLoad, searches: f64) -> Amounts {
    let pairs = load.pairs.min(load.videos) as f64 * searches;
    match target {
        CostTarget::Edge => {
            let EdgeWork { search_ms, scan_ms, pair_ms, .. } = load.work;
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
        CostTarget::Kv => BTreeMap::from([("kv_reads", pairs)]),
        CostTarget::R2 => BTreeMap::from([("r2_class_b", pairs)]),
    }
}

/// What lies there.
fn lying(target: CostTarget, load: &CostLoad) -> Amounts {
    let gb = load.bytes as f64 / 1e9;
    match target {
        CostTarget::Edge => BTreeMap::from([
            ("kv_storage_gb", gb),
            ("object_storage_gb", load.videos as f64 * (4.0 * load.dims as f64 + ROW_BYTES) / 1e9),
        ]),
        CostTarget::Kv => BTreeMap::from([("kv_storage_gb", gb)]),
        CostTarget::R2 => BTreeMap::from([("r2_storage_gb", gb)]),
    }
}

fn shards(load: &CostLoad) -> u64 {
    load.videos.div_ceil(load.work.shard_videos.max(1)).max(1)
}

impl PriceTable {
    fn meter(&self, name: &str) -> Result<&Meter, PriceError> {
        self.meters.get(name).ok_or_else(|| PriceError::Missing(name.to_owned()))
    }

    fn bill(&self, amounts: &Amounts) -> Result<Vec<BillLine>, PriceError> {
        amounts
            .iter()
            .map(|(name, amount)| {
                let meter = self.meter(name)?;
                let usd = |amount: f64| amount.max(0.0) / meter.per * meter.usd;
                Ok(BillLine {
                    meter: (*name).to_owned(),
                    amount: *amount,
                    usd: usd(amount - meter.included),
                    usd_in_full: usd(*amount),
                })
            })
            .collect()
    }

    /// Days that amounts take within the daily limits of the free plan.
    fn days(&self, amounts: &Amounts) -> Result<u64, PriceError> {
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

    fn exceeds(&self, amounts: &Amounts) -> Result<Vec<String>, PriceError> {
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

    /// Estimates what publishing and answering cost.
    ///
    /// # Errors
    /// [`PriceError::Missing`].
    pub fn estimate(&self, target: CostTarget, load: CostLoad) -> Result<CostEstimate, PriceError> {
        let publishing = publishing(target, &load);
        let mut month = searching(target, &load, load.searches as f64);
        month.extend(lying(target, &load));
        let (publish, month_lines) = (self.bill(&publishing)?, self.bill(&month)?);
        let thousand = self.bill(&searching(target, &load, 1000.0))?;
        let exceeds = self.exceeds(&month)?;
        // R2 and KV are to be had without the plan of the Workers; counted with it, because who searches needs one.
        let sum = |lines: &[BillLine]| lines.iter().map(|line| line.usd).sum::<f64>();
        Ok(CostEstimate {
            target,
            as_of: self.as_of.clone(),
            note: self.note.clone(),
            sources: self.sources.clone(),
            shards: if target == CostTarget::Edge { shards(&load) } else { 0 },
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

    const WORK: EdgeWork =
        EdgeWork { shard_videos: 16_384, search_ms: 2.0, scan_ms: 20.0, pair_ms: 1.0, put_ms: 1.0, hop_ms: 10.0 };

    fn load(videos: u64) -> CostLoad {
        CostLoad {
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

    fn line<'a>(lines: &'a [BillLine], meter: &str) -> &'a BillLine {
        lines.iter().find(|line| line.meter == meter).unwrap()
    }

    #[test]
    fn sums_by_hand() {
        let prices = PriceTable::built_in().unwrap();
        let estimate = prices.estimate(CostTarget::Edge, load(2_000_000)).unwrap();
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
        let prices = PriceTable::built_in().unwrap();
        let small = CostLoad { searches: 10_000, ..load(900) };
        let estimate = prices.estimate(CostTarget::Edge, small).unwrap();
        assert!(estimate.free_plan.month_fits, "{:?}", estimate.free_plan);
        assert_eq!(estimate.free_plan.days_to_publish, 1);
        assert!((estimate.month_usd - 5.0).abs() < 1e-9 && estimate.publish_usd.abs() < 1e-9);
        assert!(estimate.thousand_searches_usd > 0.0);
    }

    #[test]
    fn every_target_has_its_prices() {
        let prices = PriceTable::built_in().unwrap();
        for (location, target) in [
            ("https://a", Some(CostTarget::Edge)),
            ("cloudflare-kv://a/b", Some(CostTarget::Kv)),
            ("s3://b", Some(CostTarget::R2)),
            ("fs:/x", None),
            ("redis://h", None),
        ] {
            assert_eq!(CostTarget::of(location), target);
            if let Some(target) = target {
                prices.estimate(target, load(10)).unwrap();
            }
        }
    }
}
