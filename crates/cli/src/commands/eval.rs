//! `vidsieve eval`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use vidsieve_eval::parity;
use vidsieve_kernels::Isa;

use crate::output::{Failure, json, line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare this build with golden numbers; exit status 1 if one exceeds its tolerance.
    Parity {
        /// Folder with golden numbers: *.out.safetensors, checkpoints, map_cases.json. Files may be missing.
        dir: PathBuf,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        /// Instruction set of the kernels (default: the best one of this machine).
        #[arg(long, value_parser = isa)]
        isa: Option<Isa>,
    },
    /// Measure searches for the copies that a truth file names: mAP, recall and micro-AP of every network.
    Retrieval(super::retrieval::Args),
    /// Evaluate on a published data set: FIVR, CC_WEB_VIDEO, SVD, EVVE or VCDB, by its own rules.
    Dataset(super::dataset::Args),
    /// Measure matching segments against labels: VCSL's precision, recall and F1, the Video Similarity Challenge's micro-AP.
    Segments(super::segments::Args),
    /// Measure claims and relations on pairs that look alike, share a part or are the same footage.
    #[command(subcommand)]
    Trust(super::trust::Command),
    /// Measure searches for clips of a few seconds inside long videos, by budget.
    #[command(subcommand)]
    Films(super::films::Command),
    /// Measure a bundle on held-out clips with every kind of edit among thousands of distractors.
    #[cfg(feature = "train")]
    Hard(super::hard::Args),
    /// Measure what each part contributes: short training runs that change one thing.
    #[cfg(feature = "train")]
    Ablation(super::ablation::Args),
}

/// An instruction set of this machine by its name.
pub(crate) fn isa(name: &str) -> Result<Isa, String> {
    Isa::by_name(name).ok_or_else(|| {
        let present = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
        format!("not on this machine; it has: {present}")
    })
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    let (dir, as_json, isa) = match command {
        Command::Parity { dir, json, isa } => (dir, json, isa),
        Command::Retrieval(args) => return super::retrieval::run(&args),
        Command::Dataset(args) => return super::dataset::run(&args),
        Command::Segments(args) => return super::segments::run(&args),
        Command::Trust(command) => return super::trust::run(&command),
        Command::Films(command) => return super::films::run(&command),
        #[cfg(feature = "train")]
        Command::Hard(args) => return super::hard::run(&args),
        #[cfg(feature = "train")]
        Command::Ablation(args) => return super::ablation::run(&args),
    };
    let bar = indicatif::ProgressBar::new_spinner();
    let options = parity::ParityOptions { isa: isa.unwrap_or_else(Isa::best) };
    let report = parity::run(&dir, options, |file| {
        bar.set_message(file.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    if as_json {
        json(&report)?;
    } else {
        report.lines().for_each(line);
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}
