//! `vidsieve bench`.

use std::process::ExitCode;

use clap::Subcommand;
use vidsieve_eval::bench;
use vidsieve_kernels::Isa;

use crate::output::{Failure, json, line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every kernel on every instruction set of this machine against its references, in one interleaved run.
    Kernels {
        /// Rounds; the best time of each contestant counts.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Only kernels whose name contains this: chamfer, comparator, pair, scan, selector, coarse.
        #[arg(long)]
        only: Option<String>,
        /// Small sizes, one round: checks that everything runs and agrees; the times mean little.
        #[arg(long)]
        quick: bool,
        /// Exit status 1 if the best instruction set loses to a reference (in an optimised build).
        #[arg(long)]
        check: bool,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// The instruction sets of this machine, slowest first.
    Isas,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Kernels { rounds, only, quick, check, json: as_json } = command else {
        Isa::available().for_each(line);
        return Ok(ExitCode::SUCCESS);
    };
    let bar = indicatif::ProgressBar::new_spinner();
    let report = bench::kernels(&bench::Options { rounds, only, quick }, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    if as_json {
        json(&report)?;
    } else {
        report.lines().for_each(line);
    }
    let slow = if check { report.check() } else { Vec::new() };
    for row in &slow {
        eprintln!("vidsieve: {} on {} is slower than {}: {:.2}x", row.name, row.path, row.reference, row.ratio);
    }
    Ok(ExitCode::from(u8::from(!slow.is_empty())))
}
