//! `vidsieve serve`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::json;
use vidsieve_index::remote::Remote;
use vidsieve_index::store::Index;
use vidsieve_server::{Config, IpNet, Reload, Server, Tokens};

use crate::output::{self, Failure, line};

/// The environment variable with tokens, in the lines of a token file.
const TOKENS: &str = "VIDSIEVE_TOKENS";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tokens: a file (or VIDSIEVE_TOKENS) with lines NAME:SCOPES:TOKEN or NAME:SCOPES:sha256=HEX; scopes are \
    `search`, `write` or `search,write`, with `,until=2027-01-31` behind them for a token that expires; a token has at least 16 \
    characters. Without tokens anyone who reaches the address may do anything, so that only addresses of this machine are \
    listened to. SIGHUP reads the file again.\n\n\
    Configuration: a file of TOML whose keys are the long options without their dashes, such as `read-only = true` or \
    `cors = [\"https://example.org\"]`. Options on the command line take the place of the file's."
)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    index: Option<PathBuf>,
    /// File with options of this command (TOML); options of the command line override it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Host and port to listen on; port 0 chooses a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", value_parser = address)]
    addr: SocketAddr,
    /// Open the index read-only: other processes may read it too, and PUT and DELETE are refused.
    #[arg(long)]
    read_only: bool,
    /// File with tokens.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Allow searching and encoding without a token; listing, reading and re-ranking still need one.
    #[arg(long)]
    open_search: bool,
    /// Allowed origin of pages (CORS), such as https://example.org, or * for all (needs tokens); repeat for several.
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
    /// Maximum rate of requests a second of one token or address.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Burst: requests of one token or address before the rate applies.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Maximum number of concurrent searches and encodings (default: the number of cores).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Maximum number of connections; beyond it, the connection that has waited longest for its client is closed.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    connections: u32,
    /// Maximum number of connections of one address (default: a quarter of all).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    connections_per_address: Option<u32>,
    /// Timeout in seconds for a client that reads its response slowly; each 50 kB read add a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    stall: u32,
    /// Address or network of a proxy whose X-Forwarded-For names the client; repeat for several.
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    trusted_proxy: Vec<IpNet>,
    /// Log the addresses of clients.
    #[arg(long)]
    log_addresses: bool,
    /// Timeout in seconds of an idle connection, and of the head of a request.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    idle: u32,
    /// Maximum size of a request body in megabytes.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    body_limit: u32,
    /// Seconds that a request may queue before it is answered with 503.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    patience: u32,
    /// Seconds that running requests have to finish at shutdown.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=600))]
    grace: u32,
    /// Read records to re-rank from this store (see `vidsieve push`) instead of the index: the re-rank tier of an edge.
    #[arg(long, value_name = "LOCATION")]
    store: Option<String>,
    /// Folder of a web application to serve at /.
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,
    /// Folder of media to serve below /media/, without a token: with tokens it needs --open-search.
    #[arg(long, value_name = "DIR")]
    media: Option<PathBuf>,
    /// Protect the videos of this folder, as in `dedupe`: they are kept, and go by no plan. May be given several times.
    #[arg(long, value_name = "DIR")]
    reference: Vec<PathBuf>,
    /// Format of the log on standard error (default: text on a terminal, json elsewhere).
    #[arg(long, value_name = "FORMAT")]
    log: Option<Log>,
    /// Print the address as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// Readable text.
    Text,
    /// One line of JSON for each event.
    Json,
    /// No log.
    None,
}

/// Parses the address to listen on. If a name has several, prefers IPv4, which most clients try.
fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{why}; write 127.0.0.1:8787 or localhost:8787");
    let all: Vec<SocketAddr> = text.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| wrong(&"the name has no address"))
}

fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| one()).map_err(|_| "write an address, or a network such as 10.0.0.0/8".to_owned())
}

/// The arguments alone, for reading them from a file.
#[derive(Debug, clap::Parser)]
struct Alone {
    #[command(flatten)]
    args: Args,
}

/// Returns the options of a file as arguments.
fn of_file(path: &Path) -> Result<Vec<OsString>, Failure> {
    let fail = |why: &dyn std::fmt::Display| {
        let why = why.to_string();
        Failure::new(format_args!("{}: {}", path.display(), why.lines().next().unwrap_or_default()))
    };
    let table: toml::Table = std::fs::read_to_string(path).map_err(|e| fail(&e))?.parse().map_err(|e| fail(&e))?;
    let mut arguments = Vec::new();
    for (key, value) in table {
        let values = match value {
            toml::Value::Array(values) => values,
            toml::Value::Boolean(false) => continue,
            value => vec![value],
        };
        for value in values {
            let argument = match value {
                toml::Value::Boolean(true) => format!("--{key}"),
                toml::Value::String(text) => format!("--{key}={text}"),
                toml::Value::Integer(number) => format!("--{key}={number}"),
                _ => return Err(fail(&format_args!("{key} is neither a text, a whole number, true nor false"))),
            };
            arguments.push(argument.into());
        }
    }
    Ok(arguments)
}

/// Returns the arguments of this process, after those of the file.
fn with_file(path: &Path) -> Result<Args, Failure> {
    let mut all = vec![OsString::from("serve")];
    all.extend(of_file(path)?);
    // Behind the names of the program and of the command.
    all.extend(std::env::args_os().skip(2));
    let matches = Alone::command().args_override_self(true).try_get_matches_from(all);
    let alone = matches.and_then(|matches| Alone::from_arg_matches(&matches)).map_err(|error| {
        // Those of this process alone were read before.
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::new(format_args!("{}: {reason}", path.display()))
    })?;
    Ok(alone.args)
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.config {
        Some(path) => serve(&with_file(path)?),
        None => serve(args),
    }
}

fn serve(args: &Args) -> Result<ExitCode, Failure> {
    let config = config(args)?;
    let folder = args.index.as_deref().ok_or_else(|| Failure::new("name an index: --index DIR"))?;
    let index = if args.read_only { Index::open_read_only(folder) } else { Index::open(folder) }?;
    log(args.log);
    if let Some(file) = &args.token_file {
        check_private(file);
    }
    let store = args.store.as_deref().map(Remote::open).transpose()?;
    let videos = index.len()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = EndSignals::catch();
        let server = Server::start(args.addr, index, store, config).await?;
        let address = server.address().unwrap_or(args.addr);
        if args.json {
            output::json(
                &json!({ "address": address.to_string(), "url": format!("http://{address}"), "videos": videos }),
            )?;
        } else {
            line(format_args!("{videos} videos of {} at http://{address}; Ctrl-C ends it", folder.display()));
        }
        if let Some(file) = args.token_file.clone() {
            tokio::spawn(reloaded(file, server.reload()));
        }
        server.run(signals.ended()).await;
        Ok::<_, Failure>(())
    })?;
    // Work whose client has gone does not delay the end.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// Reads the file of tokens again at each SIGHUP. An unreadable file changes nothing.
async fn reloaded(file: PathBuf, reload: Reload) {
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        while hangup.recv().await.is_some() {
            let changed = tokens(Some(&file)).map_err(|e| e.to_string());
            match changed.and_then(|tokens| reload.tokens(tokens).map_err(|e| e.to_string())) {
                Ok(()) => {
                    check_private(&file);
                    tracing::info!("the tokens were read again");
                }
                Err(error) => tracing::error!(error, "the tokens stay what they were"),
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (file, reload);
}

/// Warns if other users can read a file of secrets.
fn check_private(path: &Path) {
    #[cfg(unix)]
    if let Ok(meta) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o026 != 0
    {
        tracing::warn!("{}: others can read or change the tokens: chmod 600", path.display());
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Returns the tokens of a file, or of the environment.
fn tokens(file: Option<&Path>) -> Result<Tokens, Failure> {
    let text = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))?)
        }
        None => std::env::var(TOKENS).ok(),
    };
    let from = file.map_or_else(|| TOKENS.to_owned(), |p| p.display().to_string());
    let tokens = match &text {
        Some(text) => Tokens::parse(text).map_err(|e| Failure::new(format_args!("{from}: {e}")))?,
        None => Tokens::default(),
    };
    if text.is_some() && tokens.is_empty() {
        // A file of tokens without a token is a mistake: the server would be open.
        return Err(Failure::new(format_args!("{from}: there is no token in it")));
    }
    Ok(tokens)
}

fn config(args: &Args) -> Result<Config, Failure> {
    let tokens = tokens(args.token_file.as_deref())?;
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
        connections_of_address: args.connections_per_address.unwrap_or(args.connections.div_ceil(4)) as usize,
        stall: seconds(args.stall),
        trusted_proxies: args.trusted_proxy.clone(),
        log_addresses: args.log_addresses,
        idle: seconds(args.idle),
        isa: vidsieve::instruction_set()?,
        patience: seconds(args.patience),
        grace: seconds(args.grace),
        www: args.www.clone(),
        media: args.media.clone(),
        reference: args.reference.clone(),
    })
}

/// Starts the log of routes, statuses and times, without ids, tokens or bodies.
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

/// The signals that end the process. They are caught from construction on, before the server prints its address.
struct EndSignals {
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
}

impl EndSignals {
    #[cfg(unix)]
    fn catch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { terminate: signal(SignalKind::terminate()).ok(), interrupt: signal(SignalKind::interrupt()).ok() }
    }

    #[cfg(not(unix))]
    fn catch() -> Self {
        Self {}
    }

    /// Waits for a signal; a second signal ends the process immediately.
    async fn ended(mut self) {
        self.asked().await;
        tokio::spawn(async move {
            self.asked().await;
            std::process::exit(130);
        });
    }

    #[cfg(unix)]
    async fn asked(&mut self) {
        let either = |signal: &mut Option<tokio::signal::unix::Signal>, context: &mut std::task::Context<'_>| {
            // A signal that could not be caught ends the program by itself.
            signal.as_mut().is_some_and(|signal| signal.poll_recv(context).is_ready())
        };
        std::future::poll_fn(|context| {
            let asked = [either(&mut self.terminate, context), either(&mut self.interrupt, context)];
            if asked.contains(&true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    #[cfg(not(unix))]
    async fn asked(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
