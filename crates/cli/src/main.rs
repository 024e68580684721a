//! The `vidsieve` command. It parses arguments, prints, and holds no algorithm.

mod commands;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Find the same video again, without uploading it (Distill-and-Select in Rust).
#[derive(Debug, Parser)]
#[command(name = "vidsieve", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Convert official weights to a bundle, or show what a bundle holds.
    #[command(subcommand)]
    Model(commands::model::Command),
    /// Compare this implementation with known numbers.
    #[command(subcommand)]
    Eval(commands::eval::Command),
    /// Train networks on your own images and videos.
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(commands::train::Command),
    /// Measure this machine; figures are machine-readable with --json.
    #[command(subcommand)]
    Bench(commands::bench::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Model(command) => commands::model::run(command),
        Command::Eval(command) => commands::eval::run(command),
        #[cfg(feature = "train")]
        Command::Train(command) => commands::train::run(command),
        Command::Bench(command) => commands::bench::run(command),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("vidsieve: {failure}");
            ExitCode::from(2)
        }
    }
}
