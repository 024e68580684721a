//! The `vidsieve` command. It parses arguments, prints, and holds no algorithm.

mod commands;
mod native;
mod output;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{CommandFactory, Parser, Subcommand};

/// Find the same video again, without uploading it (Distill-and-Select in Rust).
#[derive(Debug, Parser)]
#[command(name = "vidsieve", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add videos to an index: files, or folders with all videos in them.
    Index(commands::index::Args),
    /// Find a video in an index.
    Search(commands::search::Args),
    /// Compare two videos: one score, where they match, and a picture of why.
    Compare(commands::compare::Args),
    /// Find groups of copies in an index and say which to keep; nothing is deleted.
    Dedupe(commands::dedupe::Args),
    /// List the videos of an index.
    List(commands::library::Args),
    /// Remove videos from an index; files are not touched.
    Remove(commands::library::RemoveArgs),
    /// Read and check every record of an index.
    Verify(commands::library::Args),
    /// Shrink an index: give its free space back to the file system.
    Compact(commands::library::Args),
    /// Copy an index to a folder, also while another process writes to it.
    Backup(commands::library::BackupArgs),
    /// Restore an index from a backup.
    Restore(commands::library::RestoreArgs),
    /// Convert official weights to a bundle, or show what a bundle holds.
    #[command(subcommand)]
    Model(commands::model::Command),
    /// Evaluate networks and searches; check this build against golden numbers.
    #[cfg(feature = "eval")]
    #[command(subcommand)]
    Eval(commands::eval::Command),
    /// Train networks on your own images and videos.
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(commands::train::Command),
    /// Serve the HTTP API: search, add, remove, encode, re-rank.
    #[cfg(feature = "serve")]
    Serve(commands::serve::Args),
    /// Publish new and changed videos of an index to a store or an endpoint, and check them there.
    #[cfg(feature = "remote")]
    Push(commands::push::Args),
    /// Write sample clips and edited copies of them, to try the other commands.
    Samples(commands::samples::Args),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Print or write the manual pages.
    Man(commands::complete::ManArgs),
    /// Measure the speed of this machine or of an endpoint.
    #[cfg(feature = "eval")]
    #[command(subcommand)]
    Bench(commands::bench::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic prints one line, like other errors.
    static PANIC: Mutex<Option<String>> = Mutex::new(None);
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
    }));
    match std::panic::catch_unwind(AssertUnwindSafe(|| run(cli.command))) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            eprintln!("vidsieve: {failure}");
            ExitCode::from(failure.status())
        }
        Err(_) => {
            let reason = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            let reason = native::terminal::plain(&reason.replace('\n', " "));
            eprintln!("vidsieve: internal error: {reason}: please report it; the index is intact");
            ExitCode::from(1)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, output::Failure> {
    match command {
        Command::Index(args) => commands::index::run(&args),
        Command::Search(args) => commands::search::run(&args),
        Command::List(args) => commands::library::list(&args),
        Command::Remove(args) => commands::library::remove(&args),
        Command::Verify(args) => commands::library::verify(&args),
        Command::Compact(args) => commands::library::compact(&args),
        Command::Backup(args) => commands::library::backup(&args),
        Command::Restore(args) => commands::library::restore(&args),
        Command::Dedupe(args) => commands::dedupe::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Model(command) => commands::model::run(command),
        #[cfg(feature = "eval")]
        Command::Eval(command) => commands::eval::run(command),
        #[cfg(feature = "train")]
        Command::Train(command) => commands::train::run(command),
        #[cfg(feature = "serve")]
        Command::Serve(args) => commands::serve::run(&args),
        #[cfg(feature = "remote")]
        Command::Push(args) => commands::push::run(&args),
        Command::Samples(args) => commands::samples::run(args),
        Command::Completions { shell } => commands::complete::completions(Cli::command(), shell),
        Command::Man(args) => commands::complete::man(Cli::command(), &args),
        #[cfg(feature = "eval")]
        Command::Bench(command) => commands::bench::run(command),
    }
}
