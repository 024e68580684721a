//! `vidsieve index`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vidsieve::{
    AddOptions, Archive, ArchiveOptions, Control, Error, FindOptions, IndexNote, IndexReport, IndexStage,
    IndexStageTimes, Progress, Sampling, Unit, find_videos,
};

use crate::native::{fps, interrupt, model, terminal};
use crate::output::{Failure, json, line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Bundle of a new index (default: the built-in one); an index keeps the one it was made with.
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Files to decode at the same time (default: half the cores, 2 to 8).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Skip files and folders that match a pattern, as in .gitignore: '*.tmp.mp4', '/private/'; repeat for several. A
    /// folder's file .vidsieveignore holds such patterns too.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Also index files in folders whose content is a video, whatever their extension.
    #[arg(long)]
    any: bool,
    /// Retry unchanged files that failed or could not be read completely before.
    #[arg(long)]
    retry_failed: bool,
    /// Frames sampled a second in a new index; `auto`: 1, and 2, 4 or 8 for videos below 30 seconds
    /// (default: auto).
    #[arg(long, value_name = "N", value_parser = fps, conflicts_with = "upstream")]
    fps: Option<Sampling>,
    /// Sample the videos of a new index as the official code does.
    #[arg(long)]
    upstream: bool,
    /// Keep running, and add new and changed files until Ctrl-C; with --json a line for each change.
    #[arg(long)]
    watch: bool,
    /// Seconds between two checks with --watch.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "watch",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    every: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Videos, or folders that hold videos.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let cancel = interrupt::token();
    let find = args.exclude.iter().fold(FindOptions::new(), |options, glob| options.exclude(glob)).any(args.any);
    let found = find_videos(&args.paths, &find)?;
    let mut options = ArchiveOptions::new();
    if let Some(path) = &args.model {
        options = options.model(model(Some(path))?);
    }
    if let Some(sampling) = args.fps.or(args.upstream.then_some(Sampling::Upstream)) {
        options = options.sampling(sampling);
    }
    let archive = options.open_or_create(&args.index)?;

    let (start, seconds) = (Instant::now(), AtomicU64::new(0));
    let bar = terminal::bar(0, "[{bar:24}] {percent:>3}% of {total_bytes}, {eta} left, {msg}");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let show = |p: &Progress<'_>| match (p.unit, p.total) {
        (Unit::Bytes, Some(total)) => {
            bar.set_length(total as u64);
            bar.set_position(p.done as u64);
        }
        (Unit::Videos, Some(files)) => {
            let speed = seconds.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64().max(1e-3);
            bar.set_message(format!("{} of {files} files, {}x real time", p.done, speed as u64));
        }
        _ => seconds.store(p.done as u64, Ordering::Relaxed),
    };
    let note = |note: &IndexNote| bar.suspend(|| print_note(note));
    let mut adding = AddOptions::new().retry_failed(args.retry_failed).on_note(&note);
    if let Some(jobs) = args.jobs {
        adding = adding.jobs(jobs.into());
    }
    let control = Control::new().with_progress(&show).with_cancel(&cancel);
    if args.watch {
        return watch(args, &archive, &adding.find(find), &control, &|| bar.finish_and_clear());
    }
    let outcome = archive.add_found(&found, &adding, &control);
    bar.finish_and_clear();
    let (report, stopped) = match outcome {
        Ok(report) => (report, None),
        Err(Error::AddStopped { report, source }) => (*report, Some(source)),
        Err(error) => return Err(error.into()),
    };
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    if let Some(reason) = stopped {
        eprintln!("vidsieve: {}: stopped: {reason}", report.index);
        return Ok(ExitCode::from(1));
    }
    if report.interrupted {
        eprintln!("vidsieve: interrupted; what is done is kept: the same command goes on from there");
    }
    Ok(ExitCode::from(u8::from(report.failed > 0 || report.interrupted)))
}

/// Adds what changes until it is interrupted.
fn watch(
    args: &Args,
    archive: &Archive,
    options: &AddOptions<'_>,
    control: &Control<'_>,
    clear: &dyn Fn(),
) -> Result<ExitCode, Failure> {
    let pause = Duration::from_secs(args.every.into());
    let mut failed = None;
    archive.watch(&args.paths, options, pause, control, &mut |report| {
        clear();
        if args.json {
            match serde_json::to_string(report) {
                Ok(text) => line(text),
                Err(error) => failed = Some(error),
            }
        } else {
            print(report);
        }
    })?;
    failed.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

fn print_note(note: &IndexNote) {
    let IndexNote { path, status, reason, .. } = note;
    let again = if note.known { " (as before; --retry-failed tries again)" } else { "" };
    // Most reasons name the file.
    let text = if reason.contains(path) { reason.clone() } else { format!("{path}: {reason}") };
    eprintln!("vidsieve: {status}: {}{again}", terminal::plain(&text));
}

fn print(report: &IndexReport) {
    let IndexReport { added, replaced, moved, skipped, failed, warned, videos, index, .. } = report;
    line(format_args!(
        "{added} added, {replaced} replaced, {moved} moved, {skipped} unchanged, {failed} failed, {warned} with warnings; \
         {videos} videos in {index}"
    ));
    if let Some(bottleneck) = report.bottleneck {
        let IndexStageTimes { decode_wait, encode, store, .. } = &report.stages_ms;
        let what = match bottleneck {
            IndexStage::Decode => "decoding",
            IndexStage::Encode => "encoding",
            _ => "writing",
        };
        line(format_args!(
            "{} of video in {:.1} s ({:.0}x real time); waiting for decoding {:.1} s, encoding {:.1} s, writing {:.1} s: {what} \
             sets the pace",
            terminal::clock(report.seconds_of_video),
            report.wall_seconds,
            report.video_seconds_per_second,
            decode_wait / 1e3,
            encode / 1e3,
            store / 1e3
        ));
    }
}
