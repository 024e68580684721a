//! `vidsieve eval ablation`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use vidsieve_benchmark::ablation::{Ablation, AblationCorpora, AblationStudy};
use vidsieve_kernels::Isa;
use vidsieve_train::device;
use vidsieve_train::recipe::{Recipe, Workshop, read_bundle};

use super::train::{Show, option};
use crate::output::{Failure, json, line};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// The modules of the coarse student.
    Coarse,
    /// The coarse student's clusters and the length of its vector.
    Sizes,
    /// Distillation against direct supervision.
    Supervision,
    /// Students of students.
    Iterations,
    /// Selectors at t = 0.1 to 0.6.
    Threshold,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Part to vary.
    study: Kind,
    /// Working folder of `train features`, with both corpora; runs are kept, the same command
    /// continues where it stopped.
    #[arg(long)]
    work: std::path::PathBuf,
    /// Bundle of the other networks.
    #[arg(long, default_value = "models/default-full.safetensors")]
    model: std::path::PathBuf,
    /// Updates of each run.
    #[arg(long, default_value_t = 200)]
    steps: u64,
    /// Recipe of the other parts.
    #[arg(long)]
    recipe: Option<std::path::PathBuf>,
    /// Sizes of the networks as JSON.
    #[arg(long)]
    sizes: Option<std::path::PathBuf>,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let bundle = Arc::new(read_bundle(&args.model)?);
    let recipe: Recipe = option(args.recipe.as_ref())?;
    let shop = Workshop {
        folder: args.work.clone(),
        isa: Isa::best(),
        device: device(),
        sizes: option(args.sizes.as_ref())?,
        given: Some(Arc::clone(&bundle)),
        start: None,
    };
    let corpora = AblationCorpora::load(&shop)?;
    let study = match args.study {
        Kind::Coarse => AblationStudy::Coarse,
        Kind::Sizes => AblationStudy::Sizes,
        Kind::Supervision => AblationStudy::Supervision,
        Kind::Iterations => AblationStudy::Iterations,
        Kind::Threshold => AblationStudy::Threshold,
    };
    let mut show = Show::new(args.json, None)?;
    let rows = Ablation::new(&shop, &recipe, &corpora, args.steps).run(study, &bundle, &mut show)?;
    show.finish();
    if args.json {
        json(&rows)?;
    } else {
        line(format_args!("{} updates a run, {} training videos", args.steps, corpora.training_videos()));
        for row in &rows {
            let figures = row.score.map_or_else(
                || "too little to train on".to_owned(),
                |score| format!("{score:.4}  (start {:.4}, {:.0} s)", row.start.unwrap_or_default(), row.seconds),
            );
            line(format_args!("{:44} {figures}", row.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}
