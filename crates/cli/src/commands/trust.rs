//! `vidsieve eval trust`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use vidsieve::{Control, EncodeOptions, Progress, Relation, Sampling};
use vidsieve_benchmark::trust::{
    Groups, ReliabilityBin, ScoreQuality, TrustMade, TrustOptions, TrustReport, TrustRow, TrustSet, load_sources, make,
    run as compare_pairs,
};

use crate::native::{fps, interrupt, model, terminal};
use crate::output::{Failure, json, line, text, write};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make pairs of video files with known relations from clips.
    Make(MakeArgs),
    /// Fit scores and relations on the pairs of sets, and write a bundle with the result. No measurement may use the clips
    /// of these sets.
    #[cfg(feature = "train")]
    Fit(FitArgs),
    /// Compare the pairs of a set, and report claims and found relations by kind; the limits are
    /// printed last.
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct MakeArgs {
    /// Folders of clips of 3 to 30 s that no training has used.
    #[arg(long, num_args = 1.., required = true)]
    clips: Vec<PathBuf>,
    /// Folder to write to: `videos/` and `trust.json`. The same command continues where it stopped.
    #[arg(long)]
    out: PathBuf,
    /// Tables (CSV or JSON) with columns `file`, `group` (clips that look alike and are different
    /// recordings) and `series` (clips that may show the same footage; default: the name up to its
    /// number).
    #[arg(long, num_args = 1..)]
    groups: Vec<PathBuf>,
    /// Number of pairs of each kind.
    #[arg(long, default_value_t = 40)]
    pairs: usize,
    /// Seed of clips, parts and edits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make only these kinds, separated by commas.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// Maximum shorter side of the videos in pixels.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(64..=1080))]
    side: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    /// Folders of the sets.
    #[arg(long = "set", value_name = "DIR", num_args = 1.., required = true)]
    sets: Vec<PathBuf>,
    /// Tables with columns `file` and `series`, as in `make`: clips of one series never count as different footage.
    #[arg(long, num_args = 1..)]
    groups: Vec<PathBuf>,
    /// Bundles to fit (default: the built-in one); evidence is fitted for the first, and the others get the same.
    #[arg(long, value_name = "BUNDLE", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Files to write, one for each bundle.
    #[arg(long, value_name = "BUNDLE", num_args = 1.., required = true)]
    out: Vec<PathBuf>,
    /// Maximum share of look-alikes that may be claimed: for which most of one video is reported to be in the other.
    #[arg(long, default_value_t = 0.01)]
    false_claims: f64,
    /// Seed of the unrelated pairs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Folder of the set.
    #[arg(long, value_name = "DIR")]
    set: PathBuf,
    /// Bundle to encode with (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Frames sampled a second; `auto`: 1, and 2, 4 or 8 for videos below 30 seconds.
    #[arg(long, value_name = "N", default_value = "auto", value_parser = fps)]
    fps: Sampling,
    /// Folder for plots (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Exit with status 1 if a limit is exceeded.
    #[arg(long)]
    check: bool,
    /// Print the report as JSON, with every pair.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Make(args) => make_set(args),
        #[cfg(feature = "train")]
        Command::Fit(args) => fit_sets(args),
        Command::Run(args) => run_set(args),
    }
}

#[cfg(feature = "train")]
fn fit_sets(args: &FitArgs) -> Result<ExitCode, Failure> {
    use vidsieve_benchmark::trust::{EvidenceOptions, fit_evidence};
    use vidsieve_model::bundle::Bundle;

    let sets = args.sets.iter().map(|folder| TrustSet::load(folder)).collect::<Result<Vec<_>, _>>()?;
    let sets: Vec<_> = args.sets.iter().map(PathBuf::as_path).zip(&sets).collect();
    let mut bundles = Vec::new();
    for path in &args.from {
        bundles.push(Bundle::from_bytes(&path.display().to_string(), std::fs::read(path)?)?);
    }
    if bundles.is_empty() {
        bundles.push(Bundle::from_bytes("the built-in bundle", model(None)?.as_bytes().to_vec())?);
    }
    if bundles.len() != args.out.len() {
        let (bundles, files) = (bundles.len(), args.out.len());
        return Err(Failure::new(format_args!("{bundles} bundles and {files} files to write: give one for each")));
    }
    let bar = terminal::bar(0, "{msg} [{bar:30}] {pos}/{len} {eta}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let options = EvidenceOptions { false_claims: args.false_claims, seed: args.seed, ..EvidenceOptions::default() };
    let fitted = fit_evidence(&sets, &Groups::load(&args.groups)?, &bundles, &options, &control);
    bar.finish_and_clear();
    let (made, report) = fitted?;
    for (bundle, path) in made.iter().zip(&args.out) {
        write(path, bundle.as_bytes())?;
    }
    report.failed.iter().for_each(|reason| eprintln!("left out: {}", terminal::plain(reason)));
    if args.json {
        json(&report)?;
    } else {
        let [true_ones, others] = report.stretches;
        let [pairs, unrelated] = report.pairs;
        line(format_args!("{pairs} pairs and {unrelated} unrelated ones; {true_ones} true stretches, {others} others"));
        line(format_args!("weights of stretches {:?}", report.weights.segment));
        line(format_args!("weight of what is matched {:.3}", report.matched));
    }
    Ok(ExitCode::SUCCESS)
}

fn make_set(args: &MakeArgs) -> Result<ExitCode, Failure> {
    let bar = terminal::bar(0, "{msg} [{bar:30}] {pos}/{len} {eta}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let groups = Groups::load(&args.groups)?;
    let (sources, left_out) = load_sources(&args.clips, &groups, args.side, &control)?;
    let options = TrustOptions { pairs: args.pairs, seed: args.seed, kinds: args.kinds.clone() };
    let made = make(&args.out, &sources, &options, &control);
    bar.finish_and_clear();
    left_out.iter().for_each(|reason| eprintln!("left out: {}", terminal::plain(reason)));
    let made = made?;
    if args.json {
        json(&made)?;
    } else {
        let TrustMade { clips, telling, pairs, videos, kept, few, .. } = &made;
        line(format_args!("{clips} clips; the parts of {telling} can be told apart"));
        line(format_args!("{pairs} pairs of {videos} videos are in {} ({kept} were there)", args.out.display()));
        for (kind, count) in few {
            line(format_args!("{kind}: {count} pairs; the clips do not make more"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_set(args: &RunArgs) -> Result<ExitCode, Failure> {
    let set = TrustSet::load(&args.set)?;
    let model = model(args.model.as_deref())?;
    let bar = terminal::bar(0, "{msg} [{bar:30}] {pos}/{len} {eta}");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let options = EncodeOptions::new().sampling(args.fps).files_at_once(rayon::current_num_threads());
    let results = compare_pairs(&args.set, &set, &model, &options, &control);
    bar.finish_and_clear();
    let (results, failed) = results?;
    failed.iter().for_each(|reason| eprintln!("left out: {}", terminal::plain(reason)));
    let report = TrustReport::new(model.id().to_string(), results, failed);
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))?;
        for (name, picture) in report.plots() {
            write(&folder.join(name), picture.as_bytes())?;
        }
    }
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    let failed = !report.failed.is_empty() || (args.check && !report.kept());
    Ok(ExitCode::from(u8::from(failed)))
}

fn print(report: &TrustReport) {
    let head = ["kind", "pairs", ">= .5", ">= .9", "claimed", "relation", "seconds", "ends", "coarse .5", "coarse .9"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let share = |value: f64| format!("{value:.3}");
    let off = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}"));
    let cells = |row: &TrustRow| {
        let shares = [row.half, row.sure, row.claimed, row.right].map(share);
        let [seconds, ends] = [row.seconds, row.ends].map(off);
        let coarse = [row.coarse_half, row.coarse_sure].map(share);
        let mut cells = vec![row.name.clone(), row.pairs.to_string()];
        cells.extend(shares);
        cells.extend([seconds, ends]);
        cells.extend(coarse);
        cells
    };
    rows.extend(report.kinds.iter().map(cells));
    rows.push(Vec::new());
    rows.extend(report.classes.iter().map(cells));
    text(terminal::table(&rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9]));

    line("\nrelation found (down) against the true one");
    let names = Relation::ALL.map(Relation::name);
    let mut grid = vec![std::iter::once("").chain(names).map(str::to_owned).collect()];
    grid.extend(names.iter().map(|found| {
        let count = |truth: &&str| report.confusion.get(found).and_then(|row| row.get(truth)).copied().unwrap_or(0);
        std::iter::once((*found).to_owned()).chain(names.iter().map(|truth| count(truth).to_string())).collect()
    }));
    text(terminal::table(&grid, &[1, 2, 3, 4, 5, 6]));

    for (name, quality) in [("score", &report.score), ("coarse score", &report.coarse)] {
        let ScoreQuality { precision_at_recall_90, recall_at_1, recall_at_5, reliability } = quality;
        line(format_args!(
            "\n{name}: precision {precision_at_recall_90:.3} at recall .9; recall {recall_at_1:.3} where 1 % of look-alikes \
             pass, {recall_at_5:.3} where 5 % do"
        ));
        line("  mean score, share of pairs whose query is in the target, pairs");
        for ReliabilityBin { score, share, pairs } in reliability {
            line(format_args!("  {score:6.3} {share:6.3} {pairs:6}"));
        }
    }
    line("");
    for bar in &report.bars {
        let (word, sign) = (if bar.kept { "ok  " } else { "MISS" }, if bar.at_least { ">=" } else { "<=" });
        line(format_args!("{word}  {}: {:.4} (limit {sign} {})", bar.name, bar.value, bar.limit));
    }
}
