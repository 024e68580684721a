//! What `vidsieve dedupe` prints.

use std::collections::HashSet;

use vidsieve::{CopyFile, CopyGroup, CopyMember, DedupeReport, ExcerptVideo, FileState, RelatedPair, UntoldVideo};

use crate::native::heatmap::plural;
use crate::native::terminal;
use crate::output::{self, line, size};

/// Prints a report as CSV.
pub(super) fn csv(report: &DedupeReport) {
    line(
        "cluster,keep,reason,id,path,exists,score,duration,width,height,bytes,relation,of,seconds,start,state,codec,\
         frame_rate,bitrate,names",
    );
    for (k, cluster) in report.clusters.iter().chain(&report.unfit).enumerate() {
        for m in &cluster.videos {
            let reason = if m.id == cluster.keep { cluster.reason.into() } else { "" };
            let (relation, of) = if m.keep { ("", String::new()) } else { ("copy", quoted(&cluster.keep)) };
            let CopyMember { id, keep, score, file, .. } = m;
            line(format_args!(
                "{},{keep},{reason},{},{relation},{of},,,{}",
                k + 1,
                file_columns(id, *score, file),
                file_details(file)
            ));
        }
    }
    // What is no copy has no cluster, and nothing is said of keeping it.
    for excerpt in &report.excerpts {
        let ExcerptVideo { id, of, seconds, score, start, file, .. } = excerpt;
        let start = start.map_or_else(String::new, |start| format!("{start:.3}"));
        let columns = file_columns(id, *score, file);
        line(format_args!(",,,{columns},excerpt,{},{seconds:.3},{start},{}", quoted(of), file_details(file)));
    }
    for pair in report.related.iter().flatten() {
        let RelatedPair { relation, score, coverage, .. } = pair;
        let reason = pair.untold.map_or_else(String::new, |untold| quoted(untold.text()));
        let (a, b, seconds) = (quoted(&pair.a), quoted(&pair.b), coverage.query.seconds);
        line(format_args!(",,{reason},{a},,,{score:.4},,,,,{relation},{b},{seconds:.3},,,,,,"));
    }
    for UntoldVideo { id, reason, .. } in report.untold.iter().flatten() {
        line(format_args!(",,{},{},,,,,,,,untold,,,,,,,,", quoted(reason), quoted(id)));
    }
}

/// The columns from the id to the bytes.
fn file_columns(id: &str, score: f32, file: &CopyFile) -> String {
    let CopyFile { path, exists, duration, width, height, bytes, .. } = file;
    format!("{},{},{exists},{score:.4},{duration:.3},{width},{height},{bytes}", quoted(id), quoted(path))
}

/// The columns from the state on.
fn file_details(file: &CopyFile) -> String {
    let names: Vec<String> = file.names.iter().map(|name| format!("{} ({})", name.id, name.kind)).collect();
    format!(
        "{},{},{},{},{}",
        file.state,
        quoted(file.codec.as_deref().unwrap_or_default()),
        file.frame_rate.map_or_else(String::new, |rate| format!("{rate:.3}")),
        file.bitrate.map_or_else(String::new, |rate| rate.to_string()),
        quoted(&names.join("; "))
    )
}

/// Prints a report as a table.
pub(super) fn text(report: &DedupeReport) {
    let head = ["", "score", "id", "picture", "length", "rate", "codec", "bitrate", "file", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for cluster in report.clusters.iter().chain(&report.unfit) {
        rows.extend(cluster.videos.iter().map(|m| member_row(m, cluster)));
        let inside = |excerpt: &&ExcerptVideo| cluster.videos.iter().any(|m| m.id == excerpt.of);
        rows.extend(report.excerpts.iter().filter(inside).map(excerpt_row));
        rows.push(Vec::new());
    }
    // Those of videos that have no copies.
    let grouped: HashSet<&str> =
        report.clusters.iter().chain(&report.unfit).flat_map(|c| &c.videos).map(|m| m.id.as_str()).collect();
    let alone: Vec<&ExcerptVideo> = report.excerpts.iter().filter(|e| !grouped.contains(e.of.as_str())).collect();
    rows.extend(alone.iter().map(|excerpt| excerpt_row(excerpt)));
    if alone.is_empty() {
        rows.pop();
    }
    if rows.len() > 1 {
        output::text(terminal::table(&rows, &[1, 4, 5, 7, 8]));
    }
    print_related(report);
    for video in &report.linked {
        let names: Vec<String> =
            video.names.iter().map(|n| format!("{} ({})", terminal::plain(&n.id), n.kind)).collect();
        line(format_args!("one file: {}, also {}", terminal::plain(&video.id), names.join(", ")));
    }
    if !report.unfit.is_empty() {
        line(format_args!(
            "{} group{} without a file that is fit to be kept: all of them stay",
            report.unfit.len(),
            plural(report.unfit.len())
        ));
    }
    if report.hidden > 0 {
        line(format_args!("{} that were marked as reviewed are not shown; --reviewed shows them", report.hidden));
    }
    let copies: usize = report.clusters.iter().map(|c| c.videos.len() - 1).sum();
    line(format_args!(
        "{} group{} with {copies} cop{} and {} excerpt{} among {} videos; {} pairs compared frame by frame in {:.1} s",
        report.clusters.len(),
        plural(report.clusters.len()),
        if copies == 1 { "y" } else { "ies" },
        report.excerpts.len(),
        plural(report.excerpts.len()),
        report.videos,
        report.compared,
        report.seconds
    ));
}

fn member_row(m: &CopyMember, cluster: &CopyGroup) -> Vec<String> {
    let note = if m.id == cluster.keep { cluster.reason.to_string() } else { String::new() };
    let what = if m.keep { "keep" } else { "copy" };
    row(what, m.score, &m.id, &m.file, note)
}

fn excerpt_row(e: &ExcerptVideo) -> Vec<String> {
    let start = e.start.map_or_else(String::new, |start| format!(" from {}", terminal::clock(start)));
    let note = format!("{:.0} % of it in {}{start}", 100.0 * e.share, terminal::plain(&e.of));
    row("excerpt", e.score, &e.id, &e.file, note)
}

/// A row of the table of copies and excerpts.
fn row(what: &str, score: f32, id: &str, file: &CopyFile, note: String) -> Vec<String> {
    let notes: Vec<String> = [note].into_iter().filter(|note| !note.is_empty()).chain(file_notes(file)).collect();
    #[allow(clippy::cast_precision_loss)]
    let bitrate = |rate: u64| format!("{:.0} kbit/s", rate as f64 / 1e3);
    vec![
        what.to_owned(),
        format!("{score:.3}"),
        terminal::plain(id),
        format!("{}x{}", file.width, file.height),
        terminal::clock(file.duration),
        file.frame_rate.map_or_else(String::new, |rate| format!("{rate:.2}")),
        terminal::plain(file.codec.as_deref().unwrap_or_default()),
        file.bitrate.map_or_else(String::new, bitrate),
        size(usize::try_from(file.bytes).unwrap_or(usize::MAX)),
        notes.join("; "),
    ]
}

/// Returns the remarks on a file that matter before acting on it.
fn file_notes(file: &CopyFile) -> Vec<String> {
    let mut notes = Vec::new();
    match file.state {
        FileState::Gone => notes.push("the file is gone".to_owned()),
        FileState::Changed => notes.push("the file has changed since it was indexed".to_owned()),
        _ => {}
    }
    notes.extend(file.damage.as_ref().map(|damage| terminal::plain(&damage.detail)));
    let flags = [(file.is_link, "a symbolic link"), (file.in_bin, "in a recycle bin"), (file.protected, "protected")];
    notes.extend(flags.iter().filter(|(is_so, _)| *is_so).map(|(_, words)| (*words).to_owned()));
    notes.extend(file.names.iter().map(|name| format!("also {} ({})", terminal::plain(&name.id), name.kind)));
    notes
}

/// Prints the other related pairs, and the videos without determinable relations, if requested.
fn print_related(report: &DedupeReport) {
    let (related, untold) =
        (report.related.as_deref().unwrap_or_default(), report.untold.as_deref().unwrap_or_default());
    if !related.is_empty() {
        let mut rows = vec![["score", "a", "b", "a to b"].map(str::to_owned).to_vec()];
        rows.extend(related.iter().map(|pair| {
            let words = pair.describe();
            vec![format!("{:.3}", pair.score), terminal::plain(&pair.a), terminal::plain(&pair.b), words]
        }));
        line("");
        output::text(terminal::table(&rows, &[0]));
    }
    for UntoldVideo { id, reason, .. } in untold {
        line(format_args!("{}: {reason}", terminal::plain(id)));
    }
    if !(related.is_empty() && untold.is_empty()) {
        line("");
    }
}

/// Returns a field of CSV, quoted as texts always are here. Spreadsheets take text that begins with these signs for a
/// formula: it gets an apostrophe.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields() {
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
