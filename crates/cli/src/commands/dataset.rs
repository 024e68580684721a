//! `vidsieve eval dataset`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use ndarray::Array3;
use vidsieve_eval::dataset::{
    AbsentVideo, AnnotationFile, Counts, Dataset, DatasetName, DatasetReport, FeatureFiles, Scored, Similarities,
    SimilarityFile, VideoNames, VideoSource, compute, evaluate,
};
use vidsieve_eval::plots;
use vidsieve_eval::retrieval::RetrievalNetworks;
use vidsieve_kernels::Isa;
use vidsieve_model::extractor::Extractor;

use super::retrieval::tensor;
use crate::native::model;
use crate::output::{Failure, json, line, read, size, write};

/// Missing videos that the table names; `--json` names all.
const NAMED: usize = 5;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("scores").required(true).args(["videos", "features", "similarities"]))]
pub(crate) struct Args {
    /// Data set: fivr-200k, fivr-5k, cc-web-video, svd, evve or vcdb.
    #[arg(long, value_parser = name)]
    name: DatasetName,
    /// Published annotation of the data set: pickle, JSON or text files, or a folder of them.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    annotation: Vec<PathBuf>,
    /// Folder of all or some videos of the set.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    videos: Vec<PathBuf>,
    /// Region vectors of the videos: the public implementation's HDF5, or safetensors.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    features: Vec<PathBuf>,
    /// Scores of another program, JSON or a pickle; `coarse=A fine=B selector=C` also evaluates the merge.
    #[arg(long, num_args = 1.., value_name = "[NAME=]FILE")]
    similarities: Vec<String>,
    /// Text file with the ids of the available videos, one a line; the others count as unavailable.
    #[arg(long, value_name = "FILE")]
    available: Option<PathBuf>,
    /// Bundle of the networks (default: the built-in one).
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Folder for a plot of mAP against the re-ranked share (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<DatasetName, String> {
    DatasetName::find(text).ok_or_else(|| {
        let names: Vec<&str> = DatasetName::ALL.into_iter().map(DatasetName::name).collect();
        format!("not a data set; there are: {}", names.join(", "))
    })
}

/// Videos of folders, decoded and encoded on request.
struct Folders {
    names: VideoNames,
    extractor: Extractor,
}

impl VideoSource for Folders {
    fn tensor(&self, id: &str) -> Result<Array3<f32>, AbsentVideo> {
        let path = self.names.find(id)?;
        tensor(&self.extractor, path).map_err(AbsentVideo::Unreadable)
    }
}

/// The annotation files; of a folder all files in it.
fn annotation(paths: &[PathBuf]) -> Result<Vec<AnnotationFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let refuse = |e: std::io::Error| Failure::new(format_args!("{}: {e}", path.display()));
            let entries = std::fs::read_dir(path).map_err(refuse)?;
            let mut inside: Vec<PathBuf> =
                entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(refuse)?;
            inside.retain(|file| file.is_file());
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| Ok(AnnotationFile { name: path.display().to_string(), bytes: read(path)? })).collect()
}

fn similarity_file(argument: &str) -> Result<SimilarityFile, Failure> {
    let named = argument.split_once('=').filter(|(name, _)| !name.is_empty() && !Path::new(argument).exists());
    let (name, file) = named.unwrap_or(("similarities", argument));
    Ok(SimilarityFile { name: name.to_owned(), file: file.to_owned(), bytes: read(Path::new(file))? })
}

fn scored_by_networks(args: &Args, dataset: &Dataset) -> Result<Scored, Failure> {
    let isa = Isa::best();
    let model = model(args.model.as_deref())?;
    let networks = RetrievalNetworks::new(isa, model.bundle())?;
    let source: Box<dyn VideoSource> = if args.videos.is_empty() {
        Box::new(FeatureFiles::open(&args.features)?)
    } else {
        let found = vidsieve_files::find_videos(&args.videos, &vidsieve_files::FindOptions::default())?;
        for (path, reason) in &found.unreadable {
            eprintln!("left out: {}: {reason}", path.display());
        }
        let names = VideoNames::new(found.files.iter().map(|file| (file.id.as_str(), file.path.as_path())));
        Box::new(Folders { names, extractor: Extractor::new(isa, model.bundle())? })
    };
    let bar = ProgressBar::new((dataset.queries().len() + dataset.database().len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("encoding and comparing [{bar:30}] {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let scored = compute(dataset, source.as_ref(), &networks, &|done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(scored)
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let dataset = Dataset::read(args.name, &annotation(&args.annotation)?)?;
    let listed: Option<HashSet<String>> = match &args.available {
        Some(path) => {
            let bytes = read(path)?;
            Some(String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect())
        }
        None => None,
    };
    let (scored, here) = if args.similarities.is_empty() {
        let scored = scored_by_networks(args, &dataset)?;
        let queries = scored.queries.iter().map(|&q| dataset.queries()[q].clone());
        let here: HashSet<String> = queries.chain(scored.targets.iter().cloned()).collect();
        (scored, here)
    } else {
        let files = args.similarities.iter().map(|file| similarity_file(file)).collect::<Result<Vec<_>, _>>()?;
        let Similarities { scored, available } = Similarities::read(&dataset, &files)?;
        (scored, available)
    };
    let available = |id: &str| here.contains(id) && listed.as_ref().is_none_or(|listed| listed.contains(id));
    let report = evaluate(&dataset, &scored, &available);
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))?;
        if let Some(curve) = &report.dns {
            write(&folder.join("shares.svg"), plots::shares(&report.dataset, curve).svg().as_bytes())?;
        }
    }
    if args.json {
        json(&report)?;
    } else {
        print(&dataset, &report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(dataset: &Dataset, report: &DatasetReport) {
    let counts = |what: &str, counts: &Counts| {
        line(format_args!("{} of {} {what}", counts.available, counts.listed));
        let named: Vec<&str> = counts.missing.iter().take(NAMED).map(String::as_str).collect();
        if !named.is_empty() {
            let more = if counts.missing.len() > NAMED { ", …" } else { "" };
            line(format_args!("  missing: {}{more}", named.join(", ")));
        }
    };
    line(&report.dataset);
    counts("queries", &report.queries);
    counts("database videos", &report.database);
    for (id, reason) in &report.unreadable {
        line(format_args!("  unreadable: {id}: {reason}"));
    }
    let tasks: Vec<&str> = dataset.tasks().collect();
    let head: String = tasks.iter().map(|task| format!(" {task:>11}")).collect();
    line(format_args!("\n{:18}{head} {:>12} {:>10}", "mAP", "bytes/video", "ms/query"));
    for (name, rows) in &report.results {
        let maps: String = tasks.iter().map(|task| format!(" {:11.4}", rows[*task].map)).collect();
        let bytes = report.bytes_per_video.get(name).map_or_else(String::new, |&bytes| shown_size(bytes));
        let time = report.ms_per_query.get(name).map_or_else(String::new, |ms| format!("{ms:.1}"));
        line(format_args!("{name:18}{maps} {bytes:>12} {time:>10}"));
    }
    if let Some(rows) = report.results.values().next() {
        let skipped: Vec<String> = tasks
            .iter()
            .filter(|task| rows[**task].without_relevant > 0)
            .map(|task| format!("{} in {task}", rows[*task].without_relevant))
            .collect();
        if !skipped.is_empty() {
            line(format_args!("queries without a relevant video: {}", skipped.join(", ")));
        }
    }
    if let Some(curve) = &report.dns {
        line(format_args!("\ncoarse, and {} for the pairs that the selector doubts most:", curve.fine));
        for (i, share) in curve.shares.iter().enumerate() {
            let maps: String = tasks.iter().map(|task| format!(" {:11.4}", curve.map[*task][i])).collect();
            let time = curve.ms_per_query.get(i).map_or_else(String::new, |ms| format!("{ms:.1}"));
            line(format_args!("{:18}{maps} {:>12} {time:>10}", format!("{share} %"), ""));
        }
    }
}

fn shown_size(bytes: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    size(bytes.round() as usize)
}
