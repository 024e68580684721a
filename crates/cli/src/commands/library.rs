//! `vidsieve list`, `remove`, `verify` and `compact`.

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{Archive, Control, Progress};

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
    /// Videos by their ids, as `list` shows them.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) fn list(args: &Args) -> Result<ExitCode, Failure> {
    let listing = Archive::open_read_only(&args.index)?.list()?;
    if args.json {
        output::json(&listing)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["id", "length", "frames", "picture", "file", "record"].map(str::to_owned).to_vec()];
    let bytes = |n: u64| size(usize::try_from(n).unwrap_or(usize::MAX));
    for v in &listing.videos {
        rows.push(vec![
            terminal::plain(&v.id),
            terminal::clock(v.duration),
            v.frames.to_string(),
            format!("{}x{}", v.width, v.height),
            bytes(v.file_bytes),
            bytes(v.record_bytes),
        ]);
    }
    output::text(terminal::table(&rows, &[1, 2, 3, 4, 5]));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn remove(args: &RemoveArgs) -> Result<ExitCode, Failure> {
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
        return Ok(ExitCode::from(1));
    }
    if !args.json {
        let videos = report.videos.unwrap_or(report.checked);
        line(format_args!("{} of {videos} videos checked, {} damaged", report.checked, report.damaged.len()));
    }
    for video in &report.damaged {
        eprintln!("vidsieve: {}: {}", terminal::plain(&video.id), video.reason);
    }
    if !report.damaged.is_empty() {
        eprintln!(
            "vidsieve: `vidsieve remove` takes damaged videos out, `vidsieve index` then adds them again from their files"
        );
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
