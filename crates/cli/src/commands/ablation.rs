//! `vidsieve eval ablation`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Network;
use vidsieve_train::ablation::{Bench, Study};
use vidsieve_train::device;
use vidsieve_train::features::FeatureSet;
use vidsieve_train::pipeline::{SAME, Workshop, read_bundle};
use vidsieve_train::recipe::Recipe;
use vidsieve_train::validation::Validation;

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
    /// What is varied.
    study: Kind,
    /// Working folder of `train features`: both corpora are there; runs are kept, the same command continues where it stopped.
    #[arg(long)]
    work: std::path::PathBuf,
    /// Bundle of the networks that are not varied.
    #[arg(long, default_value = "models/default-full.safetensors")]
    model: std::path::PathBuf,
    /// Updates of each run.
    #[arg(long, default_value_t = 200)]
    steps: u64,
    /// Recipe of everything that is not varied.
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
    let isa = Isa::best();
    let bundle = Arc::new(read_bundle(&args.model)?);
    let recipe: Recipe = option(args.recipe.as_ref())?;
    let shop = Workshop {
        folder: args.work.clone(),
        isa,
        device: device(),
        sizes: option(args.sizes.as_ref())?,
        given: Some(Arc::clone(&bundle)),
        start: None,
    };
    let load = |prefix: &str| -> Result<FeatureSet, Failure> {
        let mut set = FeatureSet::load_all(&shop.path("features"), prefix)?;
        set.group(isa, SAME);
        Ok(set)
    };
    let (train, held_out) = (load("train")?, load("validation")?);
    let validation = Validation::new(&held_out, recipe.queries, recipe.distractors);
    let (study, network) = match args.study {
        Kind::Coarse => (Study::Coarse, Network::FineAttention),
        Kind::Sizes => (Study::Sizes, Network::FineAttention),
        Kind::Supervision => (Study::Supervision, Network::Teacher),
        Kind::Iterations => (Study::Iterations, Network::Teacher),
        Kind::Threshold => (Study::Threshold, Network::FineBinary),
    };
    let teacher = bundle.fine(isa, network)?;
    let mut show = Show::new(args.json, None)?;
    let bench = Bench { shop: &shop, recipe: &recipe, steps: args.steps, train: &train, validation: &validation };
    let rows = bench.run(study, &teacher, &mut show)?;
    show.finish();
    if args.json {
        json(&rows)?;
    } else {
        line(format_args!("{} updates a run, {} training videos", args.steps, train.videos.len()));
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
