//! `vidsieve push`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};
use vidsieve::{Control, Progress};
use vidsieve_client::costs::{CostEstimate, CostLoad, CostTarget, EdgeWork, PriceTable};
use vidsieve_client::{Endpoint, EndpointError, Pushed, Retry, Settings};
use vidsieve_index::remote::{PushNote, PushOptions, Remote, RemoteError};
use vidsieve_index::store::Index;

use crate::native::drawn::drawn;
use crate::native::{interrupt, model, terminal};
use crate::output::{self, Failure, line, size};

#[derive(Debug, clap::Args)]
#[command(after_help = "Locations:\n  \
    https://videos.example.org                              the edge Workers, or vidsieve serve behind TLS\n  \
    http://127.0.0.1:8787                                   the same on this machine\n  \
    fs:/folder\n  \
    redis://host:6379/0?prefix=p\n  \
    s3://bucket/prefix?endpoint=https://...&region=...      S3, R2, MinIO\n  \
    cloudflare-kv://account/namespace?prefix=p\n\n\
    Credentials come from the environment or a file: VIDSIEVE_TOKEN, VIDSIEVE_REDIS_USERNAME and VIDSIEVE_REDIS_PASSWORD, \
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, AWS_REGION), CLOUDFLARE_API_TOKEN.")]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR", required_unless_present = "videos")]
    index: Option<PathBuf>,
    /// Location to publish to.
    #[arg(long, value_name = "LOCATION", required_unless_present = "videos")]
    to: Option<String>,
    /// Only print what would be written, and its costs.
    #[arg(long)]
    dry_run: bool,
    /// Remove published videos that the index lacks.
    #[arg(long)]
    prune: bool,
    /// Also read all published records, and restore missing or damaged ones.
    #[arg(long)]
    check: bool,
    /// File with the token of an endpoint (default: the environment variable VIDSIEVE_TOKEN).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Concurrent requests to an endpoint.
    #[arg(long, value_name = "N", default_value_t = vidsieve_client::JOBS, value_parser = jobs)]
    jobs: usize,
    /// Maximum number of attempts of a request to an endpoint.
    #[arg(long, value_name = "N", default_value_t = Retry::default().tries, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    #[command(flatten)]
    costs: CostArgs,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// Assumptions of an estimate of costs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Costs (with --dry-run)")]
struct CostArgs {
    /// Number of synthetic videos to estimate for, instead of an index.
    #[arg(long, value_name = "N", requires = "dry_run", conflicts_with = "index", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    videos: Option<u64>,
    /// Frames of a synthetic video.
    #[arg(long, value_name = "T", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    frames: u64,
    /// Searches a month.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    searches: u64,
    /// Pairs that a search re-ranks.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pairs: u64,
    /// Table of prices that replaces the built-in one.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Videos of a coarse shard.
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(1..))]
    shard_videos: u64,
    /// Milliseconds of a search, without scanning and comparing.
    #[arg(long, value_name = "MS", default_value_t = 5.0, value_parser = milliseconds)]
    search_ms: f64,
    /// Milliseconds of scanning 100,000 vectors.
    #[arg(long, value_name = "MS", default_value_t = 30.0, value_parser = milliseconds)]
    scan_ms: f64,
    /// Milliseconds of comparing a pair.
    #[arg(long, value_name = "MS", default_value_t = 2.0, value_parser = milliseconds)]
    pair_ms: f64,
    /// Milliseconds of storing a record.
    #[arg(long, value_name = "MS", default_value_t = 2.0, value_parser = milliseconds)]
    put_ms: f64,
    /// Milliseconds of a call to another Worker, a shard or KV.
    #[arg(long, value_name = "MS", default_value_t = 10.0, value_parser = milliseconds)]
    hop_ms: f64,
}

fn jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(|| "must be 1 to 256".to_owned())
}

fn milliseconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|ms: &f64| ms.is_finite() && *ms >= 0.0).ok_or_else(|| "must be milliseconds".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match (&args.index, &args.to, args.costs.videos) {
        (_, to, Some(videos)) => estimate_only(args, videos, to.as_deref().unwrap_or("https:")),
        (Some(index), Some(to), None) => publish(args, index, to),
        // Clap has refused it.
        _ => Err(Failure::new("name an index and where to publish it")),
    }
}

/// Result of a push or of a dry run, for all kinds of locations.
struct Outcome {
    location: String,
    pushed: Pushed,
    seconds: f64,
}

fn publish(args: &Args, folder: &Path, to: &str) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let index = Index::open_read_only(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = terminal::bar(index.len()?, "publishing [{bar:24}] {pos}/{len}, {per_sec}, {eta} left");
    let options = PushOptions { dry_run: args.dry_run, prune: args.prune, check: args.check };
    let show = |p: &Progress<'_>| terminal::show(&bar, p);
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let (location, pushed) = if Endpoint::is_address(to) {
        let retry = Retry { tries: args.tries, ..Retry::default() };
        let token = token(args.token_file.as_deref())?;
        let endpoint = Endpoint::open(to, token.as_deref(), Settings { jobs: args.jobs, retry })?;
        let pushed = runtime.block_on(endpoint.push(&index, options, &control)).map_err(Stopped::from);
        (endpoint.address().to_owned(), pushed)
    } else {
        let remote = Remote::open(to)?;
        let pushed = runtime.block_on(remote.push(&index, options, &control)).map_err(Stopped::from);
        (remote.location().to_owned(), pushed.map(|report| Pushed { report, ..Pushed::default() }))
    };
    bar.finish_and_clear();
    let pushed = match pushed {
        Ok(pushed) => pushed,
        Err(stopped) => return stopped.tell(),
    };
    for (what, notes) in [("", &pushed.report.failed), ("mended: ", &pushed.report.mended)] {
        for note in notes {
            eprintln!("vidsieve: {}: {what}{}", terminal::plain(&note.id), terminal::plain(&note.reason));
        }
    }
    let failed = !pushed.report.failed.is_empty();
    let estimate = match CostTarget::of(to).filter(|_| args.dry_run) {
        Some(target) => Some(estimate(args, target, &load(&index, &pushed, &args.costs)?)?),
        None => None,
    };
    let outcome = Outcome { location, pushed, seconds: start.elapsed().as_secs_f64() };
    if args.json {
        output::json(&outcome.json(&index, args.dry_run, estimate.as_ref())?)?;
    } else {
        outcome.print(args.dry_run);
        if let Some(estimate) = &estimate {
            print(estimate);
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Error of a push.
struct Stopped {
    text: String,
    /// Invalid arguments.
    mistake: bool,
    /// Interrupted with Ctrl-C.
    cancelled: bool,
}

impl From<RemoteError> for Stopped {
    fn from(error: RemoteError) -> Self {
        Self {
            mistake: matches!(error, RemoteError::Location { .. } | RemoteError::Bundle { .. }),
            cancelled: matches!(error, RemoteError::Cancelled),
            text: error.to_string(),
        }
    }
}

impl From<EndpointError> for Stopped {
    fn from(error: EndpointError) -> Self {
        use EndpointError::{Address, Answer, Bundle, Cancelled, Id, Plain, Token, TokenText};
        Self {
            mistake: matches!(
                error,
                Address { .. } | Answer { .. } | Bundle { .. } | Id(_) | Plain(_) | Token { .. } | TokenText
            ),
            cancelled: matches!(error, Cancelled),
            text: error.to_string(),
        }
    }
}

impl Stopped {
    fn tell(self) -> Result<ExitCode, Failure> {
        if self.mistake {
            return Err(Failure::new(self.text));
        }
        eprintln!("vidsieve: {}", Failure::failed(self.text));
        if !self.cancelled {
            eprintln!("vidsieve: what is published stays; the same command goes on from there");
        }
        Ok(ExitCode::from(1))
    }
}

/// Returns the token of a file or of the environment.
pub(crate) fn token(path: Option<&Path>) -> Result<Option<String>, Failure> {
    match path {
        Some(path) => {
            let text = String::from_utf8(output::read(path)?).unwrap_or_default().trim().to_owned();
            if text.is_empty() || text.contains(char::is_whitespace) {
                return Err(Failure::new(format_args!("{}: it holds no token, or not only one", path.display())));
            }
            Ok(Some(text))
        }
        None => Ok(std::env::var(vidsieve_client::TOKEN).ok().filter(|token| !token.is_empty())),
    }
}

impl Outcome {
    fn json(&self, index: &Index, dry_run: bool, costs: Option<&CostEstimate>) -> Result<Value, Failure> {
        let Pushed { report, repeated } = &self.pushed;
        let mut value = json!({
            "location": self.location, "model": index.bundle().to_string(), "videos": index.len()?,
            "dry_run": dry_run, "written": report.written, "bytes": report.bytes, "unchanged": report.unchanged,
            "removed": report.removed, "writes": report.writes, "repeated": repeated, "mended": report.mended,
            "failed": report.failed,
            "seconds": self.seconds,
        });
        if let Some(costs) = costs {
            value["costs"] = serde_json::to_value(costs)?;
        }
        Ok(value)
    }

    fn print(&self, dry_run: bool) {
        let Pushed { report, repeated } = &self.pushed;
        let would = if dry_run { "would be " } else { "" };
        let some = |notes: &[PushNote], what: &str| match notes.len() {
            0 => String::new(),
            count => format!(", {count} {what}"),
        };
        let failed = some(&report.mended, "mended") + &some(&report.failed, "failed");
        let repeated = if *repeated == 0 { String::new() } else { format!(", {repeated} made again") };
        line(format_args!(
            "{} videos ({}) {would}written to {}, {} unchanged, {} {would}removed{failed}; {} requests that write{repeated}, {:.1} s",
            report.written,
            size(usize::try_from(report.bytes).unwrap_or(usize::MAX)),
            self.location,
            report.unchanged,
            report.removed,
            report.writes,
            self.seconds
        ));
    }
}

fn work(args: &CostArgs) -> EdgeWork {
    EdgeWork {
        shard_videos: args.shard_videos,
        search_ms: args.search_ms,
        scan_ms: args.scan_ms,
        pair_ms: args.pair_ms,
        put_ms: args.put_ms,
        hop_ms: args.hop_ms,
    }
}

fn load(index: &Index, pushed: &Pushed, args: &CostArgs) -> Result<CostLoad, Failure> {
    let all = index.list()?;
    let dims = match all.first() {
        Some(first) => index.records(&[&first.id])?.pop().flatten().and_then(Result::ok).map_or(0, |r| r.shape().dims),
        None => 0,
    };
    Ok(CostLoad {
        videos: all.len() as u64,
        bytes: all.iter().map(|s| s.bytes).sum(),
        written: pushed.report.written,
        writes: pushed.report.writes,
        removed: pushed.report.removed,
        dims,
        searches: args.searches,
        pairs: args.pairs,
        work: work(args),
    })
}

fn estimate(args: &Args, target: CostTarget, load: &CostLoad) -> Result<CostEstimate, Failure> {
    let prices = args.costs.prices.as_deref().map_or_else(PriceTable::built_in, PriceTable::open)?;
    Ok(prices.estimate(target, *load)?)
}

/// Estimates the costs of synthetic videos, which have no records.
fn estimate_only(args: &Args, videos: u64, to: &str) -> Result<ExitCode, Failure> {
    let target = CostTarget::of(to).ok_or_else(|| {
        Failure::new(format_args!("{to}: no prices are known of such a location; name https:, cloudflare-kv: or s3:"))
    })?;
    let drawn = drawn(model(None)?.bundle(), usize::try_from(args.costs.frames).unwrap_or(1), 0)?;
    let (bytes, dims) = (drawn.record(0)?.as_bytes().len(), drawn.shape().dims);
    let load = CostLoad {
        videos,
        bytes: videos.saturating_mul(bytes as u64),
        written: videos,
        writes: videos + if target == CostTarget::Edge { 0 } else { 258 },
        removed: 0,
        dims,
        searches: args.costs.searches,
        pairs: args.costs.pairs,
        work: work(&args.costs),
    };
    let estimate = estimate(args, target, &load)?;
    if args.json {
        output::json(&json!({ "dry_run": true, "record_bytes": bytes, "costs": estimate }))?;
    } else {
        line(format_args!("{videos} synthetic videos of {} frames, {} a record", args.costs.frames, size(bytes)));
        print(&estimate);
    }
    Ok(ExitCode::SUCCESS)
}

/// Formats large numbers.
fn amount(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.2}"),
    }
}

fn print(estimate: &CostEstimate) {
    let mut rows = vec![["", "amount", "USD"].map(str::to_owned).to_vec()];
    for (title, lines) in [("publishing, once", &estimate.publish), ("a month", &estimate.month)] {
        rows.push(vec![title.to_owned()]);
        for l in lines {
            rows.push(vec![format!("  {}", l.meter), amount(l.amount), format!("{:.2}", l.usd)]);
        }
    }
    output::text(terminal::table(&rows, &[1, 2]));
    line(format_args!(
        "publishing {:.2} USD; a month {:.2} USD with {} searches of {} pairs; 1000 searches more {:.4} USD",
        estimate.publish_usd,
        estimate.month_usd,
        estimate.load.searches,
        estimate.load.pairs,
        estimate.thousand_searches_usd
    ));
    if estimate.target == CostTarget::Edge {
        line(format_args!(
            "{} shards, {:.1} MB each; a search takes about {:.0} ms to its coarse page, {:.0} ms to the refined one",
            estimate.shards, estimate.shard_mb, estimate.latency_ms.coarse, estimate.latency_ms.refined
        ));
    }
    if estimate.free_plan.month_fits {
        line(format_args!(
            "the free plan suffices; publishing takes {} days there",
            estimate.free_plan.days_to_publish
        ));
    } else {
        line(format_args!("the free plan does not suffice: {}", estimate.free_plan.exceeds.join(", ")));
    }
    line(format_args!("prices as of {}: {}", estimate.as_of, estimate.sources.join(" ")));
}
