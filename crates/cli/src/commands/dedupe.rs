//! `vidsieve dedupe`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{
    Archive, Budget, Control, CopyGroup, CopyMember, DedupeOptions, DedupeReport, ExcerptVideo, Progress, RelatedPair,
    UntoldVideo,
};

use crate::native::heatmap::plural;
use crate::native::{interrupt, terminal};
use crate::output::{Failure, json, line, size, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Videos with at least this score are copies, or one an excerpt of the other.
    #[arg(long, value_name = "S", default_value_t = 0.9)]
    min_score: f32,
    /// What may be spent on comparing each video with the others frame by frame, as in `search`; auto is 500 pairs.
    /// Pairs that are likely by their vectors are always compared, with none only these.
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// List the other pairs that have something in common too, and the videos of which nothing can be told.
    #[arg(long)]
    related: bool,
    /// Print as CSV, a line for each video or related pair.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let options = DedupeOptions::new().min_score(args.min_score).budget(args.budget).related(args.related);
    let archive = Archive::open_read_only(&args.index)?;
    let bar = terminal::bar(0, "{msg} [{bar:24}] {pos}/{len}, {eta} left");
    let show = |p: &Progress<'_>| {
        bar.set_message(p.stage);
        terminal::show(&bar, p);
    };
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let report = archive.dedupe(&options, &control)?;
    bar.finish_and_clear();
    if args.json {
        json(&report)?;
    } else if args.csv {
        print_csv(&report);
    } else {
        print(&report);
    }
    for id in &report.missing {
        eprintln!("vidsieve: {}: its record cannot be read: `vidsieve verify` tells more", terminal::plain(id));
    }
    if report.interrupted {
        eprintln!("vidsieve: interrupted; not all pairs were compared");
    }
    Ok(ExitCode::from(u8::from(report.interrupted || !report.missing.is_empty())))
}

fn print_csv(report: &DedupeReport) {
    line("cluster,keep,reason,id,path,exists,score,duration,width,height,bytes,relation,of,seconds,start");
    for (k, cluster) in report.clusters.iter().enumerate() {
        for m in &cluster.videos {
            let reason = if m.keep { cluster.reason.into() } else { "" };
            let (id, path) = (quoted(&m.id), quoted(&m.path));
            let (relation, of) = if m.keep { ("", String::new()) } else { ("copy", quoted(&cluster.keep)) };
            let CopyMember { keep, exists, score, duration, width, height, bytes, .. } = m;
            line(format_args!(
                "{},{keep},{reason},{id},{path},{exists},{score:.4},{duration:.3},{width},{height},{bytes},{relation},{of},,",
                k + 1
            ));
        }
    }
    // What is no copy has no cluster, and nothing is said of keeping it.
    for excerpt in &report.excerpts {
        let ExcerptVideo { exists, score, duration, width, height, bytes, seconds, .. } = excerpt;
        let (id, path, of) = (quoted(&excerpt.id), quoted(&excerpt.path), quoted(&excerpt.of));
        let start = excerpt.start.map_or_else(String::new, |start| format!("{start:.3}"));
        line(format_args!(
            ",,,{id},{path},{exists},{score:.4},{duration:.3},{width},{height},{bytes},excerpt,{of},{seconds:.3},{start}"
        ));
    }
    for pair in report.related.iter().flatten() {
        let RelatedPair { relation, score, coverage, .. } = pair;
        let reason = pair.untold.map_or_else(String::new, |untold| quoted(untold.text()));
        let (a, b, seconds) = (quoted(&pair.a), quoted(&pair.b), coverage.query.seconds);
        line(format_args!(",,{reason},{a},,,{score:.4},,,,,{relation},{b},{seconds:.3},"));
    }
    for UntoldVideo { id, reason, .. } in report.untold.iter().flatten() {
        line(format_args!(",,{},{},,,,,,,,untold,,,", quoted(reason), quoted(id)));
    }
}

fn print(report: &DedupeReport) {
    let mut rows = vec![["", "score", "id", "picture", "length", "file", ""].map(str::to_owned).to_vec()];
    for cluster in &report.clusters {
        rows.extend(cluster.videos.iter().map(|m| member_row(m, cluster)));
        let inside = |excerpt: &&ExcerptVideo| cluster.videos.iter().any(|m| m.id == excerpt.of);
        rows.extend(report.excerpts.iter().filter(inside).map(excerpt_row));
        rows.push(Vec::new());
    }
    // Those of videos that have no copies.
    let grouped: HashSet<&str> = report.clusters.iter().flat_map(|c| &c.videos).map(|m| m.id.as_str()).collect();
    let alone: Vec<&ExcerptVideo> = report.excerpts.iter().filter(|e| !grouped.contains(e.of.as_str())).collect();
    rows.extend(alone.iter().map(|excerpt| excerpt_row(excerpt)));
    if alone.is_empty() {
        rows.pop();
    }
    if rows.len() > 1 {
        text(terminal::table(&rows, &[1, 4, 5]));
    }
    print_related(report);
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

/// A row of the table of copies and excerpts.
struct Row<'a> {
    what: &'static str,
    score: f32,
    id: &'a str,
    picture: [u32; 2],
    seconds: f64,
    bytes: u64,
    exists: bool,
    note: String,
}

impl Row<'_> {
    fn cells(self) -> Vec<String> {
        let gone = "the file is gone";
        vec![
            self.what.to_owned(),
            format!("{:.3}", self.score),
            terminal::plain(self.id),
            format!("{}x{}", self.picture[0], self.picture[1]),
            terminal::clock(self.seconds),
            size(usize::try_from(self.bytes).unwrap_or(usize::MAX)),
            match (self.exists, self.note.is_empty()) {
                (true, _) => self.note,
                (false, true) => gone.to_owned(),
                (false, false) => format!("{}; {gone}", self.note),
            },
        ]
    }
}

fn member_row(m: &CopyMember, cluster: &CopyGroup) -> Vec<String> {
    let (what, note) = if m.keep { ("keep", cluster.reason.to_string()) } else { ("copy", String::new()) };
    let CopyMember { score, duration: seconds, bytes, exists, .. } = *m;
    Row { what, score, id: &m.id, picture: [m.width, m.height], seconds, bytes, exists, note }.cells()
}

fn excerpt_row(e: &ExcerptVideo) -> Vec<String> {
    let start = e.start.map_or_else(String::new, |start| format!(" from {}", terminal::clock(start)));
    let note = format!("{:.0} % of {}{start}", 100.0 * e.share, terminal::plain(&e.of));
    let ExcerptVideo { score, duration: seconds, bytes, exists, .. } = *e;
    Row { what: "excerpt", score, id: &e.id, picture: [e.width, e.height], seconds, bytes, exists, note }.cells()
}

/// Prints the pairs that are related otherwise and the videos that cannot be told, if they were asked for.
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
        text(terminal::table(&rows, &[0]));
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
