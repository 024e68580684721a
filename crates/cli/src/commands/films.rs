//! `vidsieve eval films`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use vidsieve::{Control, Progress};
use vidsieve_benchmark::films::{FilmOptions, FilmReport, FilmRow, FilmSet, FilmsMade, make, run as search_films};
use vidsieve_benchmark::trust::{Groups, load_sources};

use crate::native::{interrupt, model, terminal};
use crate::output::{Failure, json, line, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make long videos from clips, and queries cut from them.
    Make(MakeArgs),
    /// Index the videos of a set, search for its queries with several budgets, and report what is found.
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct MakeArgs {
    /// Folders of clips of 3 to 30 s that no training has used.
    #[arg(long, num_args = 1.., required = true)]
    clips: Vec<PathBuf>,
    /// Folder to write to: `videos/`, `queries/` and `films.json`. The same command continues where it stopped.
    #[arg(long)]
    out: PathBuf,
    /// Tables (CSV or JSON) with columns `file`, `group` and `series`, as in `eval trust make`.
    #[arg(long, num_args = 1..)]
    groups: Vec<PathBuf>,
    /// Number of long videos.
    #[arg(long, default_value_t = 12, value_parser = at_least_one)]
    films: usize,
    /// Number of clips in the shortest and in the longest long video.
    #[arg(long, num_args = 2, default_values_t = [8, 40])]
    lengths: Vec<usize>,
    /// Queries for each long video; every second one is edited.
    #[arg(long, default_value_t = 4, value_parser = at_least_one)]
    queries: usize,
    /// Number of other videos in the index.
    #[arg(long, default_value_t = 190)]
    others: usize,
    /// Seed of clips, parts and edits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Folder of the set; it also holds the index.
    #[arg(long, value_name = "DIR")]
    set: PathBuf,
    /// Bundle to encode with (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Print the report as JSON, with every query.
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| "a whole number from 1 to 1000".to_owned())
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Make(args) => make_set(args),
        Command::Run(args) => run_set(args),
    }
}

fn make_set(args: &MakeArgs) -> Result<ExitCode, Failure> {
    let &[least, most] = args.lengths.as_slice() else { return Err(Failure::new("--lengths takes two numbers")) };
    let default = FilmOptions::default();
    let options = FilmOptions {
        films: args.films,
        clips: [least, most.max(least)],
        queries: args.queries,
        others: args.others,
        seed: args.seed,
        ..default
    };
    let bar = terminal::bar(0, "{msg} [{bar:30}] {pos}/{len} {eta}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let groups = Groups::load(&args.groups)?;
    let (sources, left_out) = load_sources(&args.clips, &groups, options.size[0], &control)?;
    let made = make(&args.out, &sources, &options, &control);
    bar.finish_and_clear();
    left_out.iter().for_each(|reason| eprintln!("left out: {}", terminal::plain(reason)));
    let made = made?;
    if args.json {
        json(&made)?;
    } else {
        let FilmsMade { films, others, queries, kept, .. } = &made;
        let folder = args.out.display();
        line(format_args!(
            "{films} long videos, {others} others and {queries} queries are in {folder} ({kept} were there)"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn run_set(args: &RunArgs) -> Result<ExitCode, Failure> {
    let set = FilmSet::load(&args.set)?;
    let model = model(args.model.as_deref())?;
    let bar = terminal::bar(0, "{msg} [{bar:30}] {pos}/{len} {eta}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let report = search_films(&args.set, &set, &model, &control);
    bar.finish_and_clear();
    let report = report?;
    report.failed.iter().for_each(|reason| eprintln!("left out: {}", terminal::plain(reason)));
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::from(u8::from(!report.failed.is_empty())))
}

fn print(report: &FilmReport) {
    let FilmReport { videos, record_bytes, seconds, .. } = report;
    line(format_args!("{videos} videos of {:.0} min, {record_bytes} bytes of records", seconds / 60.0));
    let head = ["budget", "queries", "count", "first", "among 5", "found", "ends (s)"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for budget in &report.budgets {
        for (name, row) in [("all", &budget.all), ("plain", &budget.plain), ("edited", &budget.edited)] {
            let FilmRow { queries, first, among_five, found, ends } = row;
            let mut cells = vec![budget.budget.clone(), name.to_owned(), queries.to_string()];
            cells.extend([first, among_five, found].map(|share| format!("{share:.3}")));
            cells.push(ends.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}")));
            rows.push(cells);
        }
    }
    text(terminal::table(&rows, &[2, 3, 4, 5, 6]));
}
