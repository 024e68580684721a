//! `cargo xtask`: everything a contributor or CI does to the workspace, step by step. Each step prints what it runs.

mod book;
mod demo;
mod edge;
mod lint;
mod native;
mod node;
mod packages;
mod picture;
mod run;
mod steps;
mod tools;
mod training;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the Vidsieve workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every test: format, lints, native, WebAssembly under Node, NEON under emulation, parity, benchmarks as tests.
    Test {
        /// Only steps whose name contains this; repeat for several.
        #[arg(long)]
        only: Vec<String>,
        /// Print the steps and stop.
        #[arg(long)]
        list: bool,
    },
    /// Build everything, draw sample clips, index them and search: what Vidsieve does, in one command.
    Demo(demo::Args),
    /// The package for JavaScript hosts, to npm/dist, and the web application, to www/dist.
    BuildWeb,
    /// The edge Workers, to workers/*/build.
    BuildEdge,
    /// The documentation site, to target/book, with its links checked.
    Book,
    /// The README's picture, to docs/page.webp: a recording of the page in Chromium.
    Picture,
    /// The kernel benchmarks in WebAssembly under Node: simd128 and relaxed-simd.
    BenchWasm {
        /// Arguments of the benchmark, e.g. --json --rounds 20.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The backbone and the whole encoder against onnxruntime-web in Chromium, interleaved in one page, one thread each.
    BenchWeb {
        /// Runs (5) and rounds of a run (15).
        #[arg(trailing_var_arg = true)]
        args: Vec<String>,
    },
    /// Golden parity in WebAssembly under Node.
    ParityWasm {
        /// Folder of golden numbers (default: tests/golden).
        dir: Option<std::path::PathBuf>,
    },
    /// Train the default bundle from stills and clips to models/, resumably, and measure it.
    TrainDefault {
        /// Folder with stills/, stills2/, clips/ and copies/.
        #[arg(long, default_value = "../shared/media")]
        media: std::path::PathBuf,
        /// Working folder: the same command continues there.
        #[arg(long, default_value = "target/train-default")]
        work: std::path::PathBuf,
        /// Folder of the bundle files.
        #[arg(long, default_value = "models")]
        out: std::path::PathBuf,
    },
    /// The hard benchmark of a bundle: held-out clips with every kind of edit among thousands of distractors; tables and plots.
    HardBenchmark {
        /// Folder with stills/, stills2/, clips/ and copies/.
        #[arg(long, default_value = "../shared/media")]
        media: std::path::PathBuf,
        /// Working folder: the same command continues there.
        #[arg(long, default_value = "target/train-default")]
        work: std::path::PathBuf,
        /// The bundle, with all networks.
        #[arg(long, default_value = "models/default-full.safetensors")]
        model: std::path::PathBuf,
        /// Folder of the plots.
        #[arg(long, default_value = "docs/hard")]
        plots: std::path::PathBuf,
    },
    /// Fuzz targets, one after the other (needs a nightly toolchain and cargo-fuzz).
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test { only, list } => steps::test(&only, list),
        Task::Demo(args) => demo::run(&args),
        Task::BuildWeb => web::build(),
        Task::BuildEdge => edge::build(),
        Task::Book => book::build(),
        Task::Picture => picture::make(),
        Task::BenchWasm { args } => native::bench_wasm(&args),
        Task::BenchWeb { args } => web::bench(&args),
        Task::ParityWasm { dir } => native::parity_wasm(dir.as_deref()),
        Task::TrainDefault { media, work, out } => training::train_default(&media, &work, &out),
        Task::HardBenchmark { media, work, model, plots } => training::hard_benchmark(&media, &work, &model, &plots),
        Task::Fuzz { seconds } => native::fuzz(seconds),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("cargo xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
