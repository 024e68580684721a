//! `vidsieve eval segments`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use vidsieve_eval::segments::{SegmentFile, vcsl, vsc};

use crate::output::{Failure, json, line, read};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    /// Precision, recall and F1 of VCSL.
    Vcsl,
    /// Micro-averaged precision of the Video Similarity Challenge.
    Vsc,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure.
    #[arg(long)]
    rule: Rule,
    /// Labelled segments: VCSL's JSON or the challenge's CSV.
    #[arg(long)]
    truth: PathBuf,
    /// Predicted segments in the same format; those of the challenge have a score.
    #[arg(long)]
    predictions: PathBuf,
    /// CSV of the pairs to evaluate (VCSL; default: the pairs of the labels).
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// Query sets of the macro average (VCSL's split_meta_pairs.json; default: a set for each query).
    #[arg(long)]
    groups: Option<PathBuf>,
    /// Part of the query sets: train, val or test.
    #[arg(long, requires = "groups")]
    split: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// A file with its bytes.
struct Bytes(String, Vec<u8>);

impl Bytes {
    fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self(path.display().to_string(), read(path)?))
    }

    fn file(&self) -> SegmentFile<'_> {
        SegmentFile { name: &self.0, bytes: &self.1 }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (truth, predictions) = (Bytes::read(&args.truth)?, Bytes::read(&args.predictions)?);
    match args.rule {
        Rule::Vcsl => {
            let labels = truth.file().vcsl()?;
            let pairs = match &args.pairs {
                Some(path) => Bytes::read(path)?.file().pairs()?,
                None => labels.keys().cloned().collect(),
            };
            let groups = match &args.groups {
                Some(path) => Some(Bytes::read(path)?.file().vcsl_groups(args.split.as_deref())?),
                None => None,
            };
            let report = vcsl(&labels, &predictions.file().vcsl()?, &pairs, groups.as_ref())?;
            if args.json {
                json(&report)?;
            } else {
                line(format_args!("{} pairs, {} query sets", report.pairs, report.query_sets));
                line(format_args!("{:14} {:>9} {:>7} {:>7}", "", "precision", "recall", "F1"));
                for (name, row) in [("macro average", report.macro_average), ("micro average", report.micro_average)] {
                    line(format_args!("{name:14} {:9.4} {:7.4} {:7.4}", row.precision, row.recall, row.f1));
                }
                line(format_args!(
                    "labelled pairs missed {:.4}, other pairs claimed {:.4}",
                    report.false_rejection_rate, report.false_alarm_rate
                ));
            }
        }
        Rule::Vsc => {
            let report = vsc(&truth.file().vsc_labels()?, &predictions.file().vsc_predictions()?)?;
            if args.json {
                json(&report)?;
            } else {
                line(format_args!("segments: micro-AP {:.4}", report.segment_uap));
                line(format_args!("pairs:    micro-AP {:.4}", report.pair_uap));
                line(format_args!("{} labelled pairs, {} predicted", report.labelled_pairs, report.predicted_pairs));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
