//! `vidsieve dedupe`.

mod act;
mod decide;
mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{Archive, Budget, Control, DedupeOptions, DedupePlan, KeepBy, Progress};

use crate::native::heatmap::plural;
use crate::native::{interrupt, terminal};
use crate::output::{Failure, json};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Folder of the index.
    #[arg(long, value_name = "DIR", required = true)]
    index: Option<PathBuf>,
    /// Minimum score of copies and excerpts.
    #[arg(long, value_name = "S", default_value_t = 0.9)]
    min_score: f32,
    /// Budget for comparing each video with the others frame by frame, as in `search`; auto is 500 pairs.
    /// Pairs that are likely by their vectors are always compared; with none, only these.
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// Rules for which undamaged copy to keep: largest, longest, oldest, newest, bitrate or path:PREFIX; the first rule
    /// that tells them apart decides.
    #[arg(long, value_name = "ORDER", value_delimiter = ',')]
    keep: Vec<KeepBy>,
    /// Protect the videos of this folder: they are kept, and no plan acts on them; repeat for several.
    #[arg(long, value_name = "DIR")]
    reference: Vec<PathBuf>,
    /// Compare only the videos of one folder with those of another.
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    between: Vec<PathBuf>,
    /// Write a plan for `dedupe apply`. Reads all files of the copies.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Also show groups that are marked as reviewed.
    #[arg(long)]
    reviewed: bool,
    /// Also list other related pairs, and videos whose relations cannot be determined.
    #[arg(long)]
    related: bool,
    /// Print as CSV, one line for each video or related pair.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Record a decision about videos: they are different, or their group is reviewed.
    Mark(decide::MarkArgs),
    /// List, export or import decisions.
    Decisions(decide::DecisionsArgs),
    /// Apply a plan: move copies to the trash or to a folder, or make them hard links. Asks first.
    Apply(act::ApplyArgs),
    /// Undo `dedupe apply`, by its log. Asks first.
    Undo(act::UndoArgs),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.action {
        Some(Action::Mark(args)) => decide::mark(args),
        Some(Action::Decisions(args)) => decide::decisions(args),
        Some(Action::Apply(args)) => act::apply(args),
        Some(Action::Undo(args)) => act::undo(args),
        None => find(args),
    }
}

fn options(args: &Args) -> DedupeOptions {
    let mut options = DedupeOptions::new()
        .min_score(args.min_score)
        .budget(args.budget)
        .keep(args.keep.clone())
        .reviewed(args.reviewed)
        .related(args.related);
    for folder in &args.reference {
        options = options.reference(folder);
    }
    if let [a, b] = args.between.as_slice() {
        options = options.between(a, b);
    }
    options
}

fn find(args: &Args) -> Result<ExitCode, Failure> {
    // It is given where there is no action.
    let index = args.index.as_deref().unwrap_or_else(|| std::path::Path::new("."));
    let archive = Archive::open_read_only(index)?;
    let bar = terminal::bar(0, "{msg} [{bar:24}] {pos}/{len}, {eta} left");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let report = archive.dedupe(&options(args), &control)?;
    let plan = match &args.plan {
        Some(path) if !report.interrupted => Some((path, archive.plan(&report, &control)?)),
        _ => None,
    };
    bar.finish_and_clear();
    if let Some((path, plan)) = &plan {
        plan.write(path)?;
    }
    if args.json {
        json(&report)?;
    } else if args.csv {
        print::csv(&report);
    } else {
        print::text(&report);
    }
    if let Some((path, plan)) = &plan {
        tell_plan(&path.display().to_string(), plan);
    }
    for id in &report.missing {
        eprintln!("vidsieve: {}: its record cannot be read: `vidsieve verify` tells more", terminal::plain(id));
    }
    if report.interrupted {
        eprintln!("vidsieve: interrupted; not all pairs were compared, and no plan is written");
    }
    Ok(ExitCode::from(u8::from(report.interrupted || !report.missing.is_empty())))
}

/// Prints the contents of a plan on standard error.
fn tell_plan(path: &str, plan: &DedupePlan) {
    for file in plan.groups.iter().flat_map(|group| &group.held) {
        eprintln!("vidsieve: {}: stays: {}", terminal::plain(&file.id), terminal::plain(&file.reason));
    }
    let (files, bytes) = plan.going().fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.size));
    eprintln!(
        "vidsieve: {}: {files} file{} may go, {}; read it, then `vidsieve dedupe apply`",
        terminal::plain(path),
        plural(files),
        act::bytes_text(bytes)
    );
}
