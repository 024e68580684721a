//! `vidsieve bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use vidsieve::Sampling;
use vidsieve_eval::bench;
use vidsieve_kernels::Isa;
use vidsieve_search::Budget;

use crate::native::{self, synthetic, terminal};
use crate::output::{Failure, json, line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure every kernel on every instruction set of this machine against its references, interleaved.
    Kernels {
        /// Rounds; the best time of each counts.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Only kernels whose name contains this: chamfer, comparator, pair, scan, selector, coarse.
        #[arg(long)]
        only: Option<String>,
        /// Check that everything runs and agrees, with small sizes and one round; the times mean little.
        #[arg(long)]
        quick: bool,
        /// Exit status 1 if the best instruction set loses to a reference (in an optimised build).
        #[arg(long)]
        check: bool,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure a query on synthetic records in a real store, part by part, beside the same pairs in float32.
    Query {
        /// Number of records.
        #[arg(long, value_name = "N", default_value_t = 2000)]
        videos: usize,
        /// Frames of each record and of the query.
        #[arg(long, value_name = "T", default_value_t = 60, value_parser = crate::native::drawn::frames)]
        frames: usize,
        /// Budget, as in `search`.
        #[arg(long, default_value = "auto")]
        budget: Budget,
        /// Rounds; the best one counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Number of pairs to compute in float32 too.
        #[arg(long, default_value_t = 8)]
        pairs: usize,
        /// Seed of the records.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Folder for the store, which is removed afterwards (default: the system's temporary folder).
        #[arg(long, value_name = "DIR")]
        temp: Option<PathBuf>,
        /// Bundle whose networks are used (default: the built-in one).
        #[arg(long, value_name = "BUNDLE")]
        model: Option<PathBuf>,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure encoding: of drawn frames on one thread and on all cores, and of files with decoding.
    Encode {
        /// Number of frames.
        #[arg(long, default_value_t = 64, value_parser = crate::native::drawn::frames)]
        frames: usize,
        /// Width of a frame.
        #[arg(long, default_value_t = 448, value_parser = clap::value_parser!(u32).range(16..=8192))]
        width: u32,
        /// Height of a frame.
        #[arg(long, default_value_t = 252, value_parser = clap::value_parser!(u32).range(16..=8192))]
        height: u32,
        /// Rounds; the best one counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Bundle whose networks are used (default: the built-in one).
        #[arg(long, value_name = "BUNDLE")]
        model: Option<PathBuf>,
        /// Frames sampled a second of the videos; `auto`: 1, and 2, 4 or 8 for videos below 30 seconds.
        #[arg(long, value_name = "N", default_value = "auto", value_parser = native::fps)]
        fps: Sampling,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
        /// Videos to decode and encode too.
        #[arg(value_name = "VIDEO")]
        files: Vec<PathBuf>,
    },
    /// Measure an endpoint of the HTTP API under load: writes and reads records, then searches by several clients.
    #[cfg(feature = "remote")]
    Load(super::load::Args),
    /// List the instruction sets of this machine, slowest first.
    Isas,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Kernels { rounds, only, quick, check, json } => kernels(rounds, only, quick, check, json),
        Command::Query { videos, frames, budget, rounds, pairs, seed, temp, model, json: as_json } => {
            let folder = temp.unwrap_or_else(std::env::temp_dir);
            let options = synthetic::Options { videos, frames, budget, rounds, pairs, seed, folder };
            let bar = terminal::bar(videos as u64, "{msg} [{bar:24}] {pos}");
            let report = synthetic::run(native::model(model.as_deref())?.bundle(), &options, &|what, n| {
                bar.set_message(what.to_owned());
                bar.set_position(n);
            })?;
            bar.finish_and_clear();
            if as_json {
                json(&report)?
            } else {
                print_query(&report)
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Encode { frames, width, height, rounds, model, fps, json: as_json, files } => {
            let drawn = synthetic::DrawnFrames { frames, size: [width, height], rounds };
            let report = synthetic::encode(native::model(model.as_deref())?.bundle(), &drawn, &files, fps)?;
            if as_json {
                json(&report)?
            } else {
                print_encode(&report)
            }
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "remote")]
        Command::Load(args) => super::load::run(&args),
        Command::Isas => {
            Isa::available().for_each(line);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print_query(r: &synthetic::Report) {
    let synthetic::Times { scan, select, fetch, compare, merge, total } = r.times_ms;
    line(format_args!(
        "{} videos of {} frames, budget {}: {} compared; {} on {} threads",
        r.videos, r.frames, r.budget, r.reranked, r.isa, r.threads
    ));
    for (what, ms) in
        [("scan", scan), ("select", select), ("fetch", fetch), ("compare", compare), ("merge", merge), ("total", total)]
    {
        line(format_args!("{what:<9}{ms:>10.2} ms"));
    }
    if let Some(f) = &r.float32 {
        line(format_args!(
            "a pair, one thread: {:.3} ms; in float32 {:.3} ms, {:.1} times as long ({} pairs); all {} pairs would take {:.0} ms, \
             the query with every video {:.0} ms, {:.1} times as long as this query",
            f.codes_ms_per_pair,
            f.ms_per_pair,
            f.ratio,
            f.sampled_pairs,
            r.reranked,
            f.extrapolated_ms,
            f.every_video_ms,
            f.every_video_ratio
        ));
    }
}

fn print_encode(r: &synthetic::EncodeReport) {
    line(format_args!(
        "{} frames of {}x{}: {:.0} a second on one thread, {:.0} on {}; the rest {:.2} ms; {} bytes a frame; {}",
        r.frames,
        r.width,
        r.height,
        r.one_thread_frames_per_second,
        r.all_cores_frames_per_second,
        r.threads,
        r.finish_ms,
        r.bytes_per_frame,
        r.isa
    ));
    for f in &r.files {
        line(format_args!(
            "{}: {:.1} s in {:.0} ms, {:.0}x real time; waiting for decoding {:.0} ms, encoding {:.0} ms",
            terminal::plain(&f.path),
            f.seconds,
            f.wall_ms,
            f.times_real_time,
            f.decode_wait_ms,
            f.encode_ms
        ));
    }
}

fn kernels(rounds: usize, only: Option<String>, quick: bool, check: bool, as_json: bool) -> Result<ExitCode, Failure> {
    let options = bench::BenchOptions { rounds, only, quick };
    let lacking = bench::without_tract(&options);
    if !lacking.is_empty() {
        let names = lacking.join(", ");
        eprintln!(
            "vidsieve: this build has no tract: {names}: rows that compare with it are left out (feature `tract`)"
        );
    }
    let bar = indicatif::ProgressBar::new_spinner();
    let report = bench::kernels(&options, |what| {
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
