//! `vidsieve list`, `remove`, `verify` and `compact`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;
use vidsieve_index::store::{Index, IndexError};

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

#[derive(Debug, Serialize)]
struct Video {
    id: String,
    path: String,
    duration: f64,
    frames: u32,
    width: u32,
    height: u32,
    file_bytes: u64,
    record_bytes: u64,
    /// Seconds from 1970.
    added: u64,
}

pub(crate) fn list(args: &Args) -> Result<ExitCode, Failure> {
    let index = Index::open_read_only(&args.index)?;
    let videos: Vec<Video> = index
        .list()?
        .into_iter()
        .map(|s| Video {
            path: s.source.display(),
            duration: s.duration,
            frames: s.frames,
            width: s.source.picture[0],
            height: s.source.picture[1],
            file_bytes: s.source.size,
            record_bytes: s.bytes,
            added: s.added,
            id: s.id,
        })
        .collect();
    if args.json {
        output::json(&json!({ "model": index.bundle().to_string(), "videos": videos }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["id", "length", "frames", "picture", "file", "record"].map(str::to_owned).to_vec()];
    let bytes = |n: u64| size(usize::try_from(n).unwrap_or(usize::MAX));
    for v in &videos {
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
    let index = Index::open(&args.common.index)?;
    let mut ids: Vec<&String> = Vec::new();
    for id in &args.ids {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let removed = index.remove_many(&ids)?;
    let of = |was: bool| -> Vec<&String> {
        ids.iter().zip(&removed).filter(|(_, r)| **r == was).map(|(id, _)| *id).collect()
    };
    let (there, missing) = (of(true), of(false));
    if args.common.json {
        output::json(&json!({ "removed": there, "missing": missing, "videos": index.len()? }))?;
    } else {
        line(format_args!("{} removed, {} videos left", there.len(), index.len()?));
    }
    for id in &missing {
        eprintln!("vidsieve: {id:?}: no such video (`vidsieve list` shows their ids)");
    }
    Ok(ExitCode::from(u8::from(!missing.is_empty())))
}

/// Checks the pages, for which the index is opened to write. Where it cannot be written, the records alone are checked.
fn pages(folder: &std::path::Path) -> Result<(), IndexError> {
    match Index::open(folder) {
        Ok(mut index) => index.check_pages(),
        Err(IndexError::Locked(_) | IndexError::Io { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn verify(args: &Args) -> Result<ExitCode, Failure> {
    let cancel = interrupt::flag();
    let report = pages(&args.index).and_then(|()| Index::open_read_only(&args.index)).and_then(|index| {
        let bar = terminal::bar(index.len()?, "checking [{bar:24}] {pos}/{len}, {eta} left");
        let report = index.verify(|done, _| {
            bar.set_position(done as u64);
            !cancel.is_cancelled()
        })?;
        bar.finish_and_clear();
        let videos = usize::try_from(index.len()?).unwrap_or(usize::MAX);
        Ok((report, videos))
    });
    let (report, videos) = match report {
        Ok(report) => report,
        // That is what was asked for, not a mistake in asking.
        Err(error @ IndexError::Damaged { .. }) => {
            if args.json {
                output::json(
                    &json!({ "ok": false, "checked": 0, "videos": null, "damaged": [], "error": error.to_string() }),
                )?;
            }
            eprintln!("vidsieve: {error}");
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(error.into()),
    };
    let interrupted = report.checked < videos;
    let ok = report.damaged.is_empty() && !interrupted;
    if args.json {
        let damaged: Vec<_> = report.damaged.iter().map(|(id, reason)| json!({ "id": id, "reason": reason })).collect();
        output::json(&json!({ "ok": ok, "checked": report.checked, "videos": videos, "damaged": damaged }))?;
    } else {
        line(format_args!("{} of {videos} videos checked, {} damaged", report.checked, report.damaged.len()));
    }
    for (id, reason) in &report.damaged {
        eprintln!("vidsieve: {}: {reason}", terminal::plain(id));
    }
    if !report.damaged.is_empty() {
        eprintln!(
            "vidsieve: `vidsieve remove` takes damaged videos out, `vidsieve index` then adds them again from their files"
        );
    }
    if interrupted {
        eprintln!("vidsieve: interrupted; the rest was not checked");
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

pub(crate) fn compact(args: &Args) -> Result<ExitCode, Failure> {
    let (before, after) = Index::open(&args.index)?.compact()?;
    if args.json {
        output::json(&json!({ "bytes_before": before, "bytes_after": after }))?;
    } else {
        let bytes = |n: u64| size(usize::try_from(n).unwrap_or(usize::MAX));
        line(format_args!("{} before, {} after", bytes(before), bytes(after)));
    }
    Ok(ExitCode::SUCCESS)
}
