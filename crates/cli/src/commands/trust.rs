//! `vidsieve eval trust`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use vidsieve::{Control, Progress};
use vidsieve_benchmark::trust::{Groups, TrustMade, TrustOptions, load_sources, make};

use crate::native::{interrupt, terminal};
use crate::output::{Failure, json, line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make pairs of video files with their true relations from clips.
    Make(MakeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct MakeArgs {
    /// Folders of clips, of 3 to 30 s; clips that no training has seen.
    #[arg(long, num_args = 1.., required = true)]
    clips: Vec<PathBuf>,
    /// Folder to write to: `videos/` and `trust.json`. The same command continues where it stopped.
    #[arg(long)]
    out: PathBuf,
    /// Tables (CSV or JSON) with columns `file`, `group` (clips that look alike and are different recordings) and
    /// `series` (clips that may show the same footage; default: the name up to its number).
    #[arg(long, num_args = 1..)]
    groups: Vec<PathBuf>,
    /// Pairs of each kind.
    #[arg(long, default_value_t = 40)]
    pairs: usize,
    /// Clips, parts and edits follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these kinds, with commas between.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// Shorter side of the videos in pixels, at most.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(64..=1080))]
    side: u32,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Make(args) => make_set(args),
    }
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
