//! `vidsieve eval hard`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use vidsieve_benchmark::hard::{HardBenchmark, HardMaterial, HardOptions, HardReport, SizeRow};
use vidsieve_kernels::Isa;
use vidsieve_train::data::material::named_in_truth;
use vidsieve_train::device;
use vidsieve_train::recipe::{Workshop, read_bundle};

use super::retrieval;
use super::train::{Show, option};
use crate::output::{Failure, json, line, write};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Working folder: tensors are kept there, the same command continues where it stopped.
    #[arg(long)]
    work: PathBuf,
    /// Folder of clips.
    #[arg(long)]
    clips: PathBuf,
    /// Use only clips that this truth file names: those left out of training.
    #[arg(long)]
    named_in: Option<PathBuf>,
    /// Folders of stills for distractors (default: all distractors are drawn).
    #[arg(long, num_args = 1..)]
    stills: Vec<PathBuf>,
    /// Bundle of the networks.
    #[arg(long, default_value = "models/default-full.safetensors")]
    model: PathBuf,
    /// Number of distractors.
    #[arg(long, default_value_t = 3000)]
    distractors: u64,
    /// Options as JSON: edits, frames, distractors.
    #[arg(long)]
    options: Option<PathBuf>,
    /// Sizes of the networks as JSON.
    #[arg(long)]
    sizes: Option<PathBuf>,
    /// Working folder of `eval ablation threshold`: also measures its selectors, mAP against t.
    #[arg(long)]
    selectors: Option<PathBuf>,
    /// Folder for plots (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let bundle = Arc::new(read_bundle(&args.model)?);
    let mut show = Show::new(args.json, None)?;
    let shop = Workshop {
        folder: args.work.clone(),
        isa: Isa::best(),
        device: device(),
        sizes: option(args.sizes.as_ref())?,
        given: Some(bundle),
        start: None,
    };
    let benchmark = HardBenchmark::new(shop)?;
    let mut options: HardOptions = option(args.options.as_ref())?;
    options.distractors.sources = args.distractors;
    let named = args.named_in.as_ref().map(|path| named_in_truth(path)).transpose()?;
    let (material, refused) = HardMaterial::load(&args.clips, named.as_ref(), &args.stills, &options)?;
    refused.iter().for_each(|reason| eprintln!("left out: {reason}"));
    let set = benchmark.videos(&material, &options, &mut show)?;
    show.finish();
    let report = benchmark.measure(&set, args.selectors.as_deref())?;
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))?;
        for (name, plot) in report.plots() {
            write(&folder.join(name), plot.svg().as_bytes())?;
        }
    }
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(hard: &HardReport) {
    line(format_args!("{} distractors, {} other takes", hard.distractors, hard.takes));
    retrieval::print(&hard.output);
    line(format_args!(
        "\n{:>8} {:>6} {:>8} {:>7} {:>12} {:>10}",
        "regions", "dims", "bits", "mAP", "bytes/video", "ms/query"
    ));
    for SizeRow { regions, dims, bits, map, bytes_per_video, ms_per_query } in &hard.sizes {
        let bits = bits.map_or("floats".to_owned(), |b| b.to_string());
        line(format_args!("{regions:>8} {dims:>6} {bits:>8} {map:7.4} {bytes_per_video:12.0} {ms_per_query:10.1}"));
    }
    for row in &hard.thresholds {
        let maps: Vec<String> = row.dns.0.iter().map(|(share, q)| format!("{share} %: {:.4}", q.map)).collect();
        line(format_args!("selector of t = {:.1}: {}", row.t, maps.join("  ")));
    }
    for (network, bins) in &hard.reliability {
        line(format_args!("\n{network}: predicted probability, share of copies, weight"));
        bins.iter().for_each(|[p, share, weight]| line(format_args!("  {p:6.3} {share:6.3} {weight:8.5}")));
    }
}
