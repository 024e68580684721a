//! `vidsieve compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{
    Comparison, Control, EncodeOptions, Progress, Sampling, Segment, compare_aligned, encode_files, frame_similarities,
};

use crate::native::{fps, heatmap, interrupt, model, terminal};
use crate::output::{Failure, json, line, write};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Query, usually the shorter video: the score is the probability that its footage is in the target.
    a: PathBuf,
    /// Target: the video that may contain the query.
    b: PathBuf,
    /// Write the frame similarities as a picture (PNG): rows are A's frames, columns B's, lines the matching segments.
    #[arg(long, value_name = "OUT.png")]
    heatmap: Option<PathBuf>,
    /// Bundle to encode with (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Frames sampled a second; `auto`: 1, and 2, 4 or 8 for videos below 30 seconds.
    #[arg(long, value_name = "N", default_value = "auto", value_parser = fps)]
    fps: Sampling,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let model = model(args.model.as_deref())?;
    let bar = terminal::bar(2, "encoding [{bar:24}] {msg}");
    let show = |p: &Progress<'_>| bar.set_message(format!("{:.0} s", p.done));
    let control = Control::new().with_progress(&show).with_cancel(&interrupt::token());
    let options = EncodeOptions::new().sampling(args.fps);
    let [a, b] = encode_files(&model, [&args.a, &args.b], &options, &control)?;
    bar.finish_and_clear();
    for (video, path) in [(&a, &args.a), (&b, &args.b)] {
        for warning in video.warnings() {
            eprintln!("vidsieve: {}: {warning}", terminal::plain(&path.to_string_lossy()));
        }
    }
    let (comparison, paths) = compare_aligned(&model, &a, &b)?;
    if let Some(path) = &args.heatmap {
        let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let labels = heatmap::Labels {
            rows: (&name(&args.a), a.times()),
            columns: (&name(&args.b), b.times()),
            score: comparison.score,
        };
        let matrix = frame_similarities(&model, &a, &b, heatmap::MOST)?;
        write(path, &heatmap::png(&matrix, &labels, &paths)?)?;
    }
    if args.json {
        json(&comparison)?;
    } else {
        print(&comparison);
        if let Some(path) = &args.heatmap {
            line(format_args!("picture  {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(c: &Comparison) {
    line(format_args!("score    {:.3}  {}", c.score, c.describe()));
    line(format_args!("relation {}", c.relation));
    line(format_args!("coarse   {:.3}", c.coarse));
    line(format_args!("fine     {:.3}", c.fine));
    if let Some(doubt) = c.doubt {
        line(format_args!("doubt    {doubt:.3}"));
    }
    for (name, side) in [("A", &c.coverage.query), ("B", &c.coverage.target)] {
        line(format_args!("covered  {:.1} s of {name}, {:.0} %", side.seconds, 100.0 * side.share));
    }
    for segment in &c.segments {
        line(format_args!("segment  {}", span(segment)));
    }
}

/// `0.0-5.0 in 10.0-15.0 (0.85)`.
pub(crate) fn span(s: &Segment) -> String {
    let clock = terminal::clock;
    let ([a, b], [c, d]) = (s.query, s.target);
    format!("{}-{} in {}-{} ({:.2})", clock(a), clock(b), clock(c), clock(d), s.score)
}
