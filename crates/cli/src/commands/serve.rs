//! `vidsieve serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use vidsieve_index::remote::Remote;
use vidsieve_index::store::Index;
use vidsieve_server::{Config, Server, Tokens};

use crate::output::{self, Failure, line};

/// The environment variable with tokens, in the lines of a token file.
const TOKENS: &str = "VIDSIEVE_TOKENS";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tokens: a file (or VIDSIEVE_TOKENS) with lines NAME:SCOPES:TOKEN or NAME:SCOPES:sha256=HEX; scopes are \
    `search`, `write` or `search,write`, a token has at least 16 characters. Without tokens anyone who reaches the address may \
    do anything, so that only addresses of this machine are listened to."
)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    addr: SocketAddr,
    /// Only read the index: other processes may read it too, PUT and DELETE are refused.
    #[arg(long)]
    read_only: bool,
    /// File with tokens.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Searching and encoding need no token; listing, reading and comparing still do.
    #[arg(long)]
    open_search: bool,
    /// Origin whose pages may call, https://example.org, or * for all (with tokens alone); repeat for several.
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
    /// Requests a second of one token or address.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Requests at once of one token or address, before the rate counts.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Searches and encodings that compute at the same time (default: the cores).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Connections at the same time.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    connections: u32,
    /// Seconds that a connection may be idle, or take for the head of a request.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    idle: u32,
    /// Most megabytes of a body.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    body_limit: u32,
    /// Seconds that a request waits for its turn before the answer is 503.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    patience: u32,
    /// Seconds that requests under way have when the server ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=600))]
    grace: u32,
    /// Records to compare come from this store (see `vidsieve push`) instead of the index: the re-rank tier of an edge.
    #[arg(long, value_name = "LOCATION")]
    store: Option<String>,
    /// Folder of a web application to serve at /.
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,
    /// Folder of media to serve below /media/, without a token: with tokens it needs --open-search.
    #[arg(long, value_name = "DIR")]
    media: Option<PathBuf>,
    /// How the log on standard error is written (default: text on a terminal, json elsewhere).
    #[arg(long, value_name = "FORMAT")]
    log: Option<Log>,
    /// Print where it listens as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// For people.
    Text,
    /// A line of JSON an event.
    Json,
    /// Nothing.
    None,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = config(args)?;
    let index = if args.read_only { Index::open_read_only(&args.index) } else { Index::open(&args.index) }?;
    log(args.log);
    let store = args.store.as_deref().map(Remote::open).transpose()?;
    let videos = index.len()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(args.addr, index, store, config).await?;
        let address = server.address().unwrap_or(args.addr);
        if args.json {
            output::json(
                &json!({ "address": address.to_string(), "url": format!("http://{address}"), "videos": videos }),
            )?;
        } else {
            line(format_args!("{videos} videos of {} at http://{address}; Ctrl-C ends it", args.index.display()));
        }
        server.run(ended()).await;
        Ok::<_, Failure>(())
    })?;
    // Work whose client has gone does not delay the end.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn config(args: &Args) -> Result<Config, Failure> {
    let text = match &args.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))?)
        }
        None => std::env::var(TOKENS).ok(),
    };
    let from = args.token_file.as_ref().map_or_else(|| TOKENS.to_owned(), |p| p.display().to_string());
    let tokens = match &text {
        Some(text) => Tokens::parse(text).map_err(|e| Failure::new(format_args!("{from}: {e}")))?,
        None => Tokens::default(),
    };
    if text.is_some() && tokens.is_empty() {
        // A file of tokens without a token is a mistake: the server would be open.
        return Err(Failure::new(format_args!("{from}: there is no token in it")));
    }
    for folder in [&args.www, &args.media].into_iter().flatten() {
        if !folder.is_dir() {
            return Err(Failure::new(format_args!("{}: this is no folder", folder.display())));
        }
    }
    let seconds = |s: u32| Duration::from_secs(u64::from(s));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Config {
        tokens,
        open_search: args.open_search,
        read_only: args.read_only,
        cors: args.cors.clone(),
        body_limit: args.body_limit as usize * 1_000_000,
        rate: args.rate,
        burst: args.burst,
        workers: args.workers.map_or(cores, usize::from),
        connections: args.connections as usize,
        idle: seconds(args.idle),
        isa: vidsieve::instruction_set()?,
        patience: seconds(args.patience),
        grace: seconds(args.grace),
        www: args.www.clone(),
        media: args.media.clone(),
    })
}

/// The log: routes, statuses and times of requests; never ids, tokens or bodies.
fn log(format: Option<Log>) {
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO);
    match format.unwrap_or(if terminal { Log::Text } else { Log::Json }) {
        Log::Text => log.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())).init(),
        Log::Json => log.json().flatten_event(true).init(),
        Log::None => {}
    }
}

/// Done when the program is asked to end; asked again, it ends at once.
async fn ended() {
    asked().await;
    tokio::spawn(async {
        asked().await;
        std::process::exit(130);
    });
}

async fn asked() {
    #[cfg(unix)]
    let polite = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Ctrl-C remains.
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let polite = std::future::pending::<()>();
    tokio::select! {
        // Without a handler Ctrl-C ends the program at once, which does no harm.
        _ = tokio::signal::ctrl_c() => {}
        () = polite => {}
    }
}
