//! `vidsieve push`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;
use vidsieve_index::remote::{PushOptions, Remote, RemoteError};
use vidsieve_index::store::Index;

use crate::native::{interrupt, terminal};
use crate::output::{self, Failure, line, size};

#[derive(Debug, clap::Args)]
#[command(after_help = "Locations:\n  \
    fs:/folder\n  \
    redis://host:6379/0?prefix=p\n  \
    s3://bucket/prefix?endpoint=https://...&region=...\n  \
    cloudflare-kv://account/namespace?prefix=p\n\n\
    Credentials come from the environment alone: VIDSIEVE_REDIS_USERNAME and VIDSIEVE_REDIS_PASSWORD, AWS_ACCESS_KEY_ID \
    and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN, AWS_REGION), CLOUDFLARE_API_TOKEN.")]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Where to publish it.
    #[arg(long, value_name = "LOCATION")]
    to: String,
    /// Only say what would be written.
    #[arg(long)]
    dry_run: bool,
    /// Remove videos there that the index does not have.
    #[arg(long)]
    prune: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let cancel = interrupt::flag();
    let index = Index::open_read_only(&args.index)?;
    let remote = Remote::open(&args.to)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = terminal::bar(index.len()?, "publishing [{bar:24}] {pos}/{len}, {eta} left");
    let options = PushOptions { dry_run: args.dry_run, prune: args.prune };
    let pushed = runtime.block_on(remote.push(&index, options, |done, _| {
        bar.set_position(done);
        !cancel.is_cancelled()
    }));
    bar.finish_and_clear();
    let report = match pushed {
        Ok(report) => report,
        // A mistake in asking.
        Err(error @ (RemoteError::Location { .. } | RemoteError::Bundle { .. })) => return Err(error.into()),
        Err(error) => {
            eprintln!("vidsieve: {error}");
            if !matches!(error, RemoteError::Cancelled) {
                eprintln!("vidsieve: what is published stays; the same command goes on from there");
            }
            return Ok(ExitCode::from(1));
        }
    };
    if args.json {
        output::json(&json!({
            "location": remote.location(), "model": index.bundle().to_string(), "videos": index.len()?,
            "dry_run": args.dry_run, "written": report.written, "bytes": report.bytes, "unchanged": report.unchanged,
            "removed": report.removed, "writes": report.writes, "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        let would = if args.dry_run { "would be " } else { "" };
        line(format_args!(
            "{} videos ({}) {would}written to {}, {} unchanged, {} {would}removed; {} requests that write, {:.1} s",
            report.written,
            size(usize::try_from(report.bytes).unwrap_or(usize::MAX)),
            remote.location(),
            report.unchanged,
            report.removed,
            report.writes,
            start.elapsed().as_secs_f64()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
