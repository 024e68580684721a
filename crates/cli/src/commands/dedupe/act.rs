//! `vidsieve dedupe apply` and `undo`.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use vidsieve::{Control, DedupePlan, PlanAction, Progress, SkippedFile};

use crate::native::heatmap::plural;
use crate::native::{interrupt, terminal};
use crate::output::{self, Failure, line};

/// Maximum number of files named before a question.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct ApplyArgs {
    /// Plan that `dedupe --plan` wrote.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Move copies to the trash of their disk.
    #[arg(long, group = "what")]
    to_trash: bool,
    /// Replace copies with identical bytes by hard links to the kept file; leave others alone.
    #[arg(long, group = "what")]
    hard_link: bool,
    /// Move copies to this folder, with their paths below it.
    #[arg(long = "move", value_name = "DIR", group = "what")]
    move_to: Option<PathBuf>,
    /// Log for `dedupe undo` (default: beside the plan, with the time in its name).
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// Log that `dedupe apply` wrote.
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn bytes_text(bytes: u64) -> String {
    output::size(usize::try_from(bytes).unwrap_or(usize::MAX))
}

pub(super) fn apply(args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let plan = DedupePlan::read(&args.plan)?;
    let action = match &args.move_to {
        Some(folder) => PlanAction::Move(folder.clone()),
        None if args.hard_link => PlanAction::HardLink,
        None => PlanAction::Trash,
    };
    let log = args.log.clone().unwrap_or_else(|| {
        let mut name = args.plan.clone().into_os_string();
        name.push(format!(".{}.log", plan.made));
        name.into()
    });
    show(&plan, &action);
    if !(args.yes || confirm()?) {
        return Err(Failure::failed("nothing was done"));
    }
    let report = with_bar(|control| plan.apply(&action, &log, control))?;
    if args.json {
        output::json(&report)?;
    } else {
        for file in &report.done {
            match file.from == file.to {
                true => line(format_args!("{}: a hard link now", terminal::plain(&file.from))),
                false => line(format_args!("{} -> {}", terminal::plain(&file.from), terminal::plain(&file.to))),
            }
        }
    }
    tell_skipped(&report.skipped);
    eprintln!(
        "vidsieve: {} file{} done, {}; {} stayed; `vidsieve dedupe undo {}` takes it back",
        report.done.len(),
        plural(report.done.len()),
        bytes_text(report.bytes),
        report.skipped.len(),
        terminal::plain(&report.log)
    );
    Ok(ended(report.interrupted, &report.skipped))
}

pub(super) fn undo(args: &UndoArgs) -> Result<ExitCode, Failure> {
    if !args.yes {
        eprintln!("Everything that {} says was done is taken back.", shown(&args.log));
        if !confirm()? {
            return Err(Failure::failed("nothing was done"));
        }
    }
    let report = with_bar(|control| vidsieve::undo_plan(&args.log, control))?;
    if args.json {
        output::json(&report)?;
    } else {
        for file in &report.restored {
            line(format_args!("{} is back", terminal::plain(&file.to)));
        }
    }
    tell_skipped(&report.skipped);
    let (back, left) = (report.restored.len(), report.skipped.len());
    eprintln!("vidsieve: {back} file{} put back, {left} not", plural(back));
    Ok(ended(report.interrupted, &report.skipped))
}

fn shown(path: &Path) -> String {
    terminal::plain(&path.display().to_string())
}

fn with_bar<T>(work: impl FnOnce(&Control<'_>) -> Result<T, vidsieve::Error>) -> Result<T, Failure> {
    let bar = terminal::bar(0, "{msg} [{bar:24}] {pos}/{len}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let outcome = work(&Control::new().with_progress(&show).with_cancel(&interrupt::token()));
    bar.finish_and_clear();
    Ok(outcome?)
}

fn tell_skipped(files: &[SkippedFile]) {
    for SkippedFile { path, reason, .. } in files {
        eprintln!("vidsieve: {}: stays: {}", terminal::plain(path), terminal::plain(reason));
    }
}

fn ended(interrupted: bool, skipped: &[SkippedFile]) -> ExitCode {
    if interrupted {
        eprintln!("vidsieve: interrupted; the same command goes on");
    }
    ExitCode::from(u8::from(interrupted || !skipped.is_empty()))
}

/// Prints the planned actions on standard error.
fn show(plan: &DedupePlan, action: &PlanAction) {
    for group in plan.groups.iter().take(NAMED) {
        let Some(keep) = group.keep.as_ref().filter(|_| !group.go.is_empty()) else { continue };
        eprintln!("keep {}", shown(keep.path.as_path()));
        for file in &group.go {
            eprintln!("     {}", shown(file.path.as_path()));
        }
    }
    let groups = plan.groups.iter().filter(|group| !group.go.is_empty()).count();
    if groups > NAMED {
        eprintln!("... and {} groups more", groups - NAMED);
    }
    let (files, bytes) = plan.going().fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.size));
    let what = match action {
        PlanAction::HardLink => "become hard links to the files that are kept, if they have the same bytes".to_owned(),
        PlanAction::Move(folder) => format!("go to {}", shown(folder)),
        _ => "go to the trash".to_owned(),
    };
    eprintln!("{files} file{}, {}, {what}; {groups} stay in their place.", plural(files), bytes_text(bytes));
}

/// Asks for confirmation on standard error; only `y` and `yes` confirm.
fn confirm() -> Result<bool, Failure> {
    eprint!("Go on? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    if answer.is_empty() {
        eprintln!();
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
