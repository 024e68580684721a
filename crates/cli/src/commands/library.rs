//! `vidsieve list`, `remove`, `verify`, `compact`, `backup` and `restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use vidsieve::{Archive, ArchiveVideo, Control, Progress, SourceState};

use crate::native::{interrupt, terminal};
use crate::output::{self, Failure, line, size};

/// The index that a command works on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    common: Args,
    /// Remove videos whose files no longer exist, except below folders that do not exist, such as an unmounted drive.
    #[arg(long, conflicts_with = "ids")]
    missing: bool,
    /// With --missing: also remove videos below this folder although it does not exist; repeat for several.
    #[arg(long, value_name = "DIR", requires = "missing")]
    gone: Vec<PathBuf>,
    /// Ids of videos, as `list` prints them.
    #[arg(required_unless_present = "missing", value_name = "ID")]
    ids: Vec<String>,
}

/// A copy of an index.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    common: Args,
    /// Folder of the copy; it must not exist.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// An index from a copy of it.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    common: Args,
    /// Folder of the copy.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

pub(crate) fn list(args: &Args) -> Result<ExitCode, Failure> {
    let listing = Archive::open_read_only(&args.index)?.list()?;
    if args.json {
        output::json(&listing)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["id", "length", "frames", "picture", "file", "record", ""].map(str::to_owned).to_vec()];
    let bytes = |n: u64| size(usize::try_from(n).unwrap_or(usize::MAX));
    for v in &listing.videos {
        rows.push(vec![
            terminal::plain(&v.id),
            terminal::clock(v.duration),
            v.frames.to_string(),
            format!("{}x{}", v.width, v.height),
            bytes(v.file_bytes),
            bytes(v.record_bytes),
            state(v),
        ]);
    }
    output::text(terminal::table(&rows, &[1, 2, 3, 4, 5]));
    let missing = listing.videos.iter().filter(|v| v.file == SourceState::Missing).count();
    if missing > 0 {
        line(format_args!(
            "the files of {missing} videos are gone: `vidsieve remove --missing` takes these videos out"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Describes the state of a video's file.
fn state(video: &ArchiveVideo) -> String {
    let file = match video.file {
        SourceState::Missing => "the file is gone",
        SourceState::Unreachable => "its folder is not there",
        SourceState::Changed => "the file has changed",
        _ => "",
    };
    let damage = if video.damage.is_empty() { "" } else { "read in part" };
    [file, damage].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn remove_missing(args: &RemoveArgs) -> Result<ExitCode, Failure> {
    let report = Archive::open(&args.common.index)?.remove_missing(&args.gone)?;
    if args.common.json {
        output::json(&report)?;
    } else {
        line(format_args!("{} removed, {} videos left", report.removed.len(), report.videos));
    }
    for away in &report.unreachable {
        eprintln!(
            "vidsieve: {}: {}: the {} videos below it stay; if their files are gone, add --gone {}",
            terminal::plain(&away.folder),
            away.reason,
            away.videos,
            terminal::plain(&away.folder)
        );
    }
    Ok(ExitCode::from(u8::from(!report.unreachable.is_empty())))
}

pub(crate) fn backup(args: &BackupArgs) -> Result<ExitCode, Failure> {
    copy(&args.common.index, &args.to, args.common.json)
}

pub(crate) fn restore(args: &RestoreArgs) -> Result<ExitCode, Failure> {
    copy(&args.from, &args.common.index, args.common.json)
}

fn copy(from: &Path, to: &Path, json: bool) -> Result<ExitCode, Failure> {
    let bar = terminal::bar(0, "copying [{bar:24}] {pos}/{len}, {eta} left");
    let show = |p: &Progress<'_>| terminal::show(&bar, p);
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let report = Archive::open_read_only(from)?.copy_to(to, &control)?;
    bar.finish_and_clear();
    if json {
        output::json(&report)?;
    } else {
        line(format_args!("{} videos copied to {}", report.videos, to.display()));
    }
    for video in &report.damaged {
        eprintln!("vidsieve: {}: left out: {}", terminal::plain(&video.id), video.reason);
    }
    if report.nameless > 0 {
        eprintln!("vidsieve: {} other videos are damaged and cannot even be named", report.nameless);
    }
    Ok(ExitCode::from(u8::from(!report.damaged.is_empty() || report.nameless > 0)))
}

pub(crate) fn remove(args: &RemoveArgs) -> Result<ExitCode, Failure> {
    if args.missing {
        return remove_missing(args);
    }
    let report = Archive::open(&args.common.index)?.remove(&args.ids)?;
    if args.common.json {
        output::json(&report)?;
    } else {
        line(format_args!("{} removed, {} videos left", report.removed.len(), report.videos));
    }
    for id in &report.missing {
        eprintln!("vidsieve: {id:?}: no such video (`vidsieve list` shows their ids)");
    }
    Ok(ExitCode::from(u8::from(!report.missing.is_empty())))
}

pub(crate) fn verify(args: &Args) -> Result<ExitCode, Failure> {
    let bar = terminal::bar(0, "checking [{bar:24}] {pos}/{len}, {eta} left");
    let show = |p: &Progress<'_>| terminal::show(&bar, p);
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let report = Archive::verify(&args.index, &control)?;
    bar.finish_and_clear();
    if args.json {
        output::json(&report)?;
    }
    // Damage is what the command looks for, no mistake in its arguments.
    if let Some(error) = &report.error {
        eprintln!("vidsieve: {error}");
    }
    if let (false, Some(videos)) = (args.json, report.videos) {
        let pages = match report.pages {
            Some(true) => "",
            Some(false) => "; the database has a damaged page",
            None => "; pages were not checked: another process writes the index",
        };
        line(format_args!("{} of {videos} videos checked, {} damaged{pages}", report.checked, report.damaged.len()));
    }
    for video in &report.damaged {
        eprintln!("vidsieve: {}: {}", terminal::plain(&video.id), video.reason);
    }
    if report.nameless > 0 {
        eprintln!("vidsieve: {} other videos are damaged and cannot even be named", report.nameless);
    }
    if let Some(remedy) = &report.remedy {
        eprintln!("vidsieve: {remedy}");
    }
    if report.interrupted() {
        eprintln!("vidsieve: interrupted; the rest was not checked");
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}

pub(crate) fn compact(args: &Args) -> Result<ExitCode, Failure> {
    let report = Archive::open(&args.index)?.compact()?;
    if args.json {
        output::json(&report)?;
    } else {
        let bytes = |n: u64| size(usize::try_from(n).unwrap_or(usize::MAX));
        line(format_args!("{} before, {} after", bytes(report.bytes_before), bytes(report.bytes_after)));
    }
    Ok(ExitCode::SUCCESS)
}
