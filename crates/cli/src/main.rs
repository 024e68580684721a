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
    /// The videos of an index.
    List(commands::library::Args),
    /// Take videos out of an index; files are not touched.
    Remove(commands::library::RemoveArgs),
    /// Read and check every record of an index.
    Verify(commands::library::Args),
    /// Give the free space of an index back.
    Compact(commands::library::Args),
    /// Copy an index as it is at this moment, also while another process writes it.
    Backup(commands::library::BackupArgs),
    /// Make an index of a copy of it.
    Restore(commands::library::RestoreArgs),
    /// Convert official weights to a bundle, or show what a bundle holds.
    #[command(subcommand)]
    Model(commands::model::Command),
    /// Compare this implementation with known numbers.
    #[cfg(feature = "eval")]
    #[command(subcommand)]
    Eval(commands::eval::Command),
    /// Train networks on your own images and videos.
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(commands::train::Command),
    /// Answer over HTTP: search, add, remove, encode, compare again.
    #[cfg(feature = "serve")]
    Serve(commands::serve::Args),
    /// Publish an index to a store elsewhere: what is new or has changed, read back and checked.
    #[cfg(feature = "remote")]
    Push(commands::push::Args),
    /// Write clips and edited copies of them, to try things out.
    Samples(commands::samples::Args),
    /// Completions for a shell, on standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The manual.
    Man(commands::complete::ManArgs),
    /// Measure this machine; figures are machine-readable with --json.
    #[cfg(feature = "eval")]
    #[command(subcommand)]
    Bench(commands::bench::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Whatever goes wrong inside is one line as well.
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
            eprintln!("vidsieve: a fault of the program, please report it: {reason}; what an index holds is kept");
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
