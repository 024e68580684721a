//! `vidsieve eval retrieval`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use vidsieve_eval::baselines::{MeanOf, PlainVideos};
use vidsieve_eval::plots;
use vidsieve_eval::retrieval::{
    EvaluateOptions, KindRow, Matrix, Quality, RetrievalNetworks, RetrievalOutput, Task, Truth, VideoOutputs,
    bytes_per_video, evaluate, quality_of, score,
};
use vidsieve_kernels::Isa;
use vidsieve_model::extractor::Extractor;
use vidsieve_model::frames::RgbFrame;
use vidsieve_video::{Frames, Options};

use crate::native::model;
use crate::output::{Failure, json, line, read, write};

/// Frames that are described at once.
const BATCH: usize = 16;
/// Longer side that FFmpeg reduces frames to; the largest input of the networks is 224.
const SIDE: u32 = 512;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the videos.
    #[arg(long)]
    videos: PathBuf,
    /// Truth file: JSON of queries with their relevant videos, and the database; paths are relative to the folder.
    #[arg(long)]
    truth: PathBuf,
    /// Bundle of the networks (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// JSON list of copies with their kinds (edits.json of `train data edit`), for a row of each kind.
    #[arg(long)]
    edits: Option<PathBuf>,
    /// Folder for plots (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Frames of a video, sampled as `vidsieve index` does by default, to its tensor, a few frames at a
/// time.
pub(crate) fn tensor(extractor: &Extractor, path: &Path) -> Result<ndarray::Array3<f32>, String> {
    let options = Options { max_side: Some(SIDE), threads: Some(1), ..Options::default() };
    let frames = Frames::open(path, options).map_err(|e| e.to_string())?;
    let mut parts = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut flush = |batch: &mut Vec<vidsieve_video::Frame>| -> Result<(), String> {
        let views = batch
            .iter()
            .map(|f| RgbFrame::new(f.width(), f.height(), f.data()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?;
        parts.push(extractor.video(&views).map_err(|e| e.to_string())?);
        batch.clear();
        Ok(())
    };
    for frame in frames {
        batch.push(frame.map_err(|e| e.to_string())?);
        if batch.len() == BATCH {
            flush(&mut batch)?;
        }
    }
    if !batch.is_empty() {
        flush(&mut batch)?;
    }
    let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
    ndarray::concatenate(ndarray::Axis(0), &views).map_err(|e| e.to_string())
}

/// Copies' kinds by file.
fn kinds(path: Option<&PathBuf>) -> Result<HashMap<String, String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Row {
        file: String,
        kind: String,
    }
    let Some(path) = path else { return Ok(HashMap::new()) };
    let rows: Vec<Row> =
        serde_json::from_slice(&read(path)?).map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))?;
    Ok(rows.into_iter().map(|r| (r.file, r.kind)).collect())
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let isa = Isa::best();
    let model = model(args.model.as_deref())?;
    let bundle = model.bundle();
    let truth = Truth::parse(&args.truth.display().to_string(), &read(&args.truth)?)?;
    let kinds = kinds(args.edits.as_ref())?;
    let extractor = Extractor::new(isa, bundle)?;
    let networks = RetrievalNetworks::new(isa, bundle)?;

    let files: Vec<&str> = truth.files().into_iter().collect();
    let bar = ProgressBar::new(files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("decoding and encoding [{bar:30}] {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    type Described = Result<(ndarray::Array3<f32>, VideoOutputs), String>;
    let described: Vec<(String, Described)> = files
        .par_iter()
        .map(|&file| {
            let outputs = tensor(&extractor, &args.videos.join(file)).and_then(|tensor| {
                let outputs = networks.outputs(tensor.view()).map_err(|e| e.to_string())?;
                Ok((tensor, outputs))
            });
            bar.inc(1);
            (file.to_owned(), outputs)
        })
        .collect();
    bar.finish_and_clear();
    let (mut tensors, mut outputs) = (HashMap::new(), HashMap::new());
    for (file, result) in described {
        match result {
            Ok((tensor, output)) => {
                tensors.insert(file.clone(), tensor);
                outputs.insert(file, output);
            }
            Err(reason) => eprintln!("left out: {file}: {reason}"),
        }
    }
    let task = Task::new(&truth, |file| outputs.contains_key(file))?;
    let (scores, times) = score(&task, &outputs, &networks.comparers())?;
    let options = EvaluateOptions::of(bundle);
    let mut report = evaluate(&task, &scores, &options)?;
    report.ms_per_query = times;
    report.bytes_per_video = bytes_per_video(&outputs);
    let mut output = RetrievalOutput { report, plain: BTreeMap::new(), kinds: BTreeMap::new() };
    let of = |videos: &[String]| videos.iter().map(|video| tensors[video].clone()).collect::<Vec<_>>();
    let (queries, targets) = (of(task.queries()), of(task.targets()));
    let plain = PlainVideos { queries: &queries, targets: &targets };
    for (name, rows) in plain.similarities(isa, MeanOf::Windows) {
        let quality = quality_of(name, &task, &Matrix::new(name, rows)?, &options)?;
        output.plain.insert(name.to_owned(), quality);
    }
    if !kinds.is_empty() {
        for (network, matrix) in &scores.networks {
            let rows = KindRow::all(&task, matrix, |file| kinds.get(file).cloned());
            output.kinds.insert(network.name().to_owned(), rows);
        }
    }
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))?;
        write(&folder.join("selection.svg"), plots::selection(&output.report).svg().as_bytes())?;
    }
    if args.json {
        json(&output)?;
    } else {
        print(&output);
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn print(output: &RetrievalOutput) {
    let report = &output.report;
    line(format_args!("{} queries, {} videos, {} copies", report.queries, report.database, report.relevant_pairs));
    line(format_args!("{:18} {:>7} {:>9} {:>7}", "", "mAP", "recall@1", "micro-AP"));
    let row = |name: &str, q: &Quality| line(format_args!("{name:18} {:7.4} {:9.4} {:7.4}", q.map, q.recall1, q.uap));
    for (name, q) in &output.plain {
        row(name, q);
    }
    let networks = [
        ("coarse", &report.coarse),
        ("fine_attention", &report.fine_attention),
        ("fine_binary", &report.fine_binary),
        ("fine_plain", &report.fine_plain),
        ("teacher", &report.teacher),
    ];
    for (name, quality) in networks {
        if let Some(q) = quality {
            row(name, q);
        }
    }
    for (share, q) in report.dns.iter().flat_map(|d| &d.0) {
        row(&format!("DnS {share} %"), q);
    }
    for (network, rows) in &output.kinds {
        line(format_args!("\n{network}: share of copies found before every video that is no copy"));
        for (kind, r) in rows {
            line(format_args!("  {kind:20} {:6.3}  of {}", r.first, r.copies));
        }
    }
}
