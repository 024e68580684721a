//! `vidsieve compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve_model::encoder::Encoder;
use vidsieve_search::{Comparison, Engine, Matrix, Segment};
use vidsieve_video::Sampling;

use crate::native::{bundle, encode, heatmap, interrupt, isa, terminal};
use crate::output::{Failure, json, line, write};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A video, often the shorter one: the score says how much of it is in the other.
    a: PathBuf,
    /// The video that it is looked for in.
    b: PathBuf,
    /// Write the frame similarities as a picture (PNG): rows are A's frames, columns B's, lines the matching segments.
    #[arg(long, value_name = "OUT.png")]
    heatmap: Option<PathBuf>,
    /// Bundle to encode with (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Frames a second.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    fps: f64,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let isa = isa()?;
    let bundle = bundle(args.model.as_deref())?;
    let (encoder, engine) = (Encoder::new(isa, &bundle)?, Engine::new(isa, &bundle)?);
    let work = encode::Work { sampling: Sampling::Fps(args.fps), files: 2, cancel: interrupt::flag() };
    let bar = terminal::bar(2, "encoding [{bar:24}] {msg}");
    let one = |path: &PathBuf| encode::file(&encoder, path, &work, &|at, _| bar.set_message(format!("{at:.0} s")));
    let (a, b) = std::thread::scope(|scope| {
        let b = scope.spawn(|| one(&args.b));
        let a = one(&args.a);
        b.join().map(|b| (a, b)).map_err(|_| Failure::new("encoding ended unexpectedly"))
    })?;
    bar.finish_and_clear();
    let (a, b) = (a.map_err(|e| e.failure(&work.cancel))?, b.map_err(|e| e.failure(&work.cancel))?);
    for video in [&a, &b] {
        for warning in &video.warnings {
            eprintln!("vidsieve: {}: {warning}", terminal::plain(&video.info.path.display().to_string()));
        }
    }
    let record = b.record()?;
    let (comparison, paths) = engine.comparison(&a.query, &record)?;
    if let Some(path) = &args.heatmap {
        let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let labels = heatmap::Labels {
            rows: (&name(&args.a), &a.query.timeline),
            columns: (&name(&args.b), &b.query.timeline),
            score: comparison.score,
        };
        let matrix = Matrix::new(&engine, &a.query, &record, heatmap::MOST)?;
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

/// What a score says, in words; `docs/search.md` has the measurements behind it.
pub(crate) const fn verdict(score: f32) -> &'static str {
    match score {
        0.9.. => "the same footage",
        0.5..0.9 => "probably the same footage",
        0.1..0.5 => "perhaps some of it",
        _ => "different footage",
    }
}

fn print(c: &Comparison) {
    line(format_args!("score    {:.3}  {}", c.score, verdict(c.score)));
    line(format_args!("coarse   {:.3}", c.coarse));
    line(format_args!("fine     {:.3}", c.fine));
    if let Some(doubt) = c.doubt {
        line(format_args!("doubt    {doubt:.3}"));
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
