//! `vidsieve bench load`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use vidsieve::{Control, Progress};
use vidsieve_client::{Endpoint, LoadOptions, LoadReport, Retry, Settings, run_load};
use vidsieve_search::Budget;

use crate::native::drawn::drawn;
use crate::native::{interrupt, model, terminal};
use crate::output::{Failure, json, line, size, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// URL of the endpoint.
    #[arg(long, value_name = "URL")]
    url: String,
    /// File with its token, with the scopes search and write (default: the environment variable VIDSIEVE_TOKEN).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Synthetic records to write first; 0 writes none and searches for videos that are already published.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    videos: usize,
    /// Frames of each record.
    #[arg(long, value_name = "T", default_value_t = 60, value_parser = crate::native::drawn::frames)]
    frames: usize,
    /// Budgets of searches, as in `search`.
    #[arg(long, value_delimiter = ',', default_value = "none,20pairs,100pairs", value_parser = budget)]
    budgets: Vec<String>,
    /// Numbers of concurrent clients that search.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32", value_parser = count)]
    clients: Vec<usize>,
    /// Maximum number of searches for each budget and number of clients.
    #[arg(long, value_name = "N", default_value_t = 300)]
    searches: usize,
    /// Maximum time in seconds for each budget and number of clients.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Concurrent requests that write.
    #[arg(long, value_name = "N", default_value = "8", value_parser = count)]
    jobs: usize,
    /// Seed of the records; their ids contain it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the records at the endpoint.
    #[arg(long)]
    keep: bool,
    /// Bundle of the endpoint (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

fn budget(text: &str) -> Result<String, String> {
    text.parse::<Budget>().map(|budget| budget.to_string()).map_err(|e| e.to_string())
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(|| "must be 1 to 256".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let token = super::push::token(args.token_file.as_deref())?;
    let settings = Settings { jobs: args.jobs, retry: Retry::default() };
    let endpoint = Endpoint::open(&args.url, token.as_deref(), settings)?;
    let options = LoadOptions {
        videos: args.videos,
        budgets: args.budgets.clone(),
        clients: args.clients.clone(),
        searches: args.searches,
        time: Duration::from_secs(args.seconds),
        jobs: args.jobs,
        keep: args.keep,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = indicatif::ProgressBar::new_spinner();
    let show = |p: &Progress<'_>| {
        let budget = p.item.filter(|_| p.stage == "searching");
        bar.set_message(budget.unwrap_or(p.stage).to_owned());
        bar.tick();
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let drawn = drawn(model(args.model.as_deref())?.bundle(), args.frames, args.seed)?;
    let report = runtime.block_on(run_load(endpoint, drawn, &options, &control))?;
    bar.finish_and_clear();
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::from(u8::from(report.failures > 0)))
}

fn print(report: &LoadReport) {
    if let Some(w) = &report.writing {
        line(format_args!(
            "{} records ({}) put in {:.1} s, {:.0} a second, p50 {:.1} ms, p99 {:.1} ms; {} errors, {} lost",
            w.videos,
            size(w.bytes),
            w.seconds,
            w.per_second,
            w.put_ms.p50,
            w.put_ms.p99,
            w.errors,
            w.lost
        ));
    }
    let head =
        ["budget", "clients", "searches", "a second", "p50 ms", "p99 ms", "coarse p50", "errors", "degraded", "wrong"];
    let parts = ["scan", "select", "fetch", "compare", "segments"];
    let mut rows = vec![head.iter().chain(&parts).map(|&text| text.to_owned()).collect::<Vec<_>>()];
    for c in &report.cells {
        let mut row = vec![
            c.budget.clone(),
            c.clients.to_string(),
            c.searches.to_string(),
            format!("{:.1}", c.per_second),
            format!("{:.1}", c.ms.p50),
            format!("{:.1}", c.ms.p99),
            format!("{:.1}", c.coarse_ms.p50),
            c.errors.to_string(),
            c.degraded.to_string(),
            c.wrong.to_string(),
        ];
        row.extend(parts.iter().map(|part| format!("{:.1}", c.parts_ms.get(*part).copied().unwrap_or_default())));
        rows.push(row);
    }
    text(terminal::table(&rows, &(1..rows[0].len()).collect::<Vec<_>>()));
    let errors = report.writing.iter().flat_map(|w| &w.first_error);
    for error in errors.chain(report.cells.iter().flat_map(|c| &c.first_error)).take(3) {
        eprintln!("vidsieve: {}", terminal::plain(error));
    }
    let memory =
        report.server_memory.map(|m| m.map_or_else(|| "?".to_owned(), |m| size(usize::try_from(m).unwrap_or(0))));
    line(format_args!(
        "memory of the server: {} before, {} with the records, {} at the end",
        memory[0], memory[1], memory[2]
    ));
}
