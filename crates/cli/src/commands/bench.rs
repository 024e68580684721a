//! `vidsieve bench`.

use std::process::ExitCode;

use clap::Subcommand;
use vidsieve_eval::bench;

use crate::output::{Failure, json, line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every kernel on every instruction set of this machine against its references, in one interleaved run.
    Kernels {
        /// Rounds; the best time of each contestant counts.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Only kernels whose name contains this.
        #[arg(long)]
        only: Option<String>,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Kernels { rounds, only, json: as_json } = command;
    let bar = indicatif::ProgressBar::new_spinner();
    let report = bench::kernels(&bench::Options { rounds, only, ..bench::Options::default() }, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    if as_json {
        json(&report)?;
    } else {
        report.lines().for_each(line);
    }
    Ok(ExitCode::SUCCESS)
}
