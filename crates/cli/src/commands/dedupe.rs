//! `vidsieve dedupe`.

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{Archive, Budget, Control, CopyMember, DedupeOptions, DedupeReport, Progress};

use crate::native::heatmap::plural;
use crate::native::{interrupt, terminal};
use crate::output::{Failure, json, line, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Videos with at least this score are copies: the shorter one shows what the longer one shows.
    #[arg(long, value_name = "S", default_value_t = 0.9)]
    min_score: f32,
    /// What may be spent on comparing each video with the others frame by frame, as in `search`; auto is 500 pairs.
    /// Pairs that are likely by their vectors are always compared.
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// Print as CSV, a line for each video.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let options = DedupeOptions::new().min_score(args.min_score).budget(args.budget);
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
    line("cluster,keep,reason,id,path,exists,score,duration,width,height,bytes");
    for (k, cluster) in report.clusters.iter().enumerate() {
        for m in &cluster.videos {
            let reason = if m.keep { cluster.reason.into() } else { "" };
            let (id, path) = (quoted(&m.id), quoted(&m.path));
            let CopyMember { keep, exists, score, duration, width, height, bytes, .. } = m;
            line(format_args!(
                "{},{keep},{reason},{id},{path},{exists},{score:.4},{duration:.3},{width},{height},{bytes}",
                k + 1
            ));
        }
    }
}

fn print(report: &DedupeReport) {
    let mut rows = vec![["", "score", "id", "picture", "length", "file", ""].map(str::to_owned).to_vec()];
    for cluster in &report.clusters {
        for m in &cluster.videos {
            rows.push(vec![
                if m.keep { "keep" } else { "copy" }.to_owned(),
                format!("{:.3}", m.score),
                terminal::plain(&m.id),
                format!("{}x{}", m.width, m.height),
                terminal::clock(m.duration),
                crate::output::size(usize::try_from(m.bytes).unwrap_or(usize::MAX)),
                match (m.keep, m.exists) {
                    (true, true) => cluster.reason.to_string(),
                    (true, false) => format!("{}; the file is gone", cluster.reason),
                    (false, true) => String::new(),
                    (false, false) => "the file is gone".to_owned(),
                },
            ]);
        }
        rows.push(Vec::new());
    }
    if rows.len() > 1 {
        rows.pop();
        text(terminal::table(&rows, &[1, 4, 5]));
    }
    let copies: usize = report.clusters.iter().map(|c| c.videos.len() - 1).sum();
    line(format_args!(
        "{} group{} with {copies} cop{} among {} videos; {} pairs compared frame by frame in {:.1} s",
        report.clusters.len(),
        plural(report.clusters.len()),
        if copies == 1 { "y" } else { "ies" },
        report.videos,
        report.compared,
        report.seconds
    ));
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
