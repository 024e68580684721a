//! `vidsieve eval retrieval`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use vidsieve_eval::plots;
use vidsieve_eval::retrieval::{
    Comparers, EvaluateOptions, Matrix, Quality, Report, Scores, Task, Truth, VideoOutputs, evaluate, score,
};
use vidsieve_kernels::{Isa, chamfer};
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::Fine;
use vidsieve_model::frames::RgbFrame;
use vidsieve_model::math::{dot, normalise_rows};
use vidsieve_model::selector::Selector;
use vidsieve_video::{Frames, Options};

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
    /// JSON of queries with their relevant videos, and the database; paths below the folder.
    #[arg(long)]
    truth: PathBuf,
    /// Bundle of the networks.
    #[arg(long, default_value = "models/default.safetensors")]
    model: PathBuf,
    /// JSON list of copies with their kinds (edits.json of `train data edit`): a row for each kind.
    #[arg(long)]
    edits: Option<PathBuf>,
    /// Folder for plots (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// One kind of edit: mean reciprocal rank among the videos that are no copies, share found first, copies.
#[derive(Debug, Serialize)]
pub(crate) struct KindRow {
    reciprocal_rank: f64,
    first: f64,
    copies: usize,
}

impl KindRow {
    /// The rows of [`Task::by_label`].
    pub(crate) fn all(rows: BTreeMap<String, (f64, f64, usize)>) -> BTreeMap<String, Self> {
        let row = |(kind, (reciprocal_rank, first, copies))| (kind, Self { reciprocal_rank, first, copies });
        rows.into_iter().map(row).collect()
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Output {
    #[serde(flatten)]
    pub(crate) report: Report,
    /// Plain uses of the same descriptors: mean vector, frame and region Chamfer.
    pub(crate) plain: BTreeMap<String, Quality>,
    /// Each network's rows by kind of edit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) kinds: BTreeMap<String, BTreeMap<String, KindRow>>,
}

/// Frames of a video at one a second to its tensor, a few frames at a time.
fn tensor(extractor: &Extractor, path: &Path) -> Result<ndarray::Array3<f32>, String> {
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

/// Similarities of plain uses of the descriptors, by name.
pub(crate) fn plain(
    isa: Isa,
    task: &Task,
    tensor: &(dyn Fn(&str) -> ndarray::Array3<f32> + Sync),
) -> Vec<(&'static str, Vec<Vec<f64>>)> {
    let all: Vec<(&str, ndarray::Array3<f32>)> =
        task.queries().iter().chain(task.targets()).map(|v| (v.as_str(), tensor(v))).collect();
    let tensors: HashMap<&str, &ndarray::Array3<f32>> = all.iter().map(|(name, t)| (*name, t)).collect();
    let of = |video: &String| tensors[video.as_str()];
    let (regions, d) = all.first().map_or((0, 0), |(_, t)| (t.dim().1.min(9), t.dim().2));
    let frames = |x: &ndarray::Array3<f32>| {
        let part = x.slice(ndarray::s![.., ..regions, ..]);
        let mut mean: Vec<f32> =
            part.mean_axis(ndarray::Axis(1)).map(|m| m.iter().copied().collect()).unwrap_or_default();
        normalise_rows(&mut mean, d.max(1));
        mean
    };
    let video = |x: &ndarray::Array3<f32>| {
        let mut sum = vec![0f32; d];
        frames(x).chunks_exact(d).for_each(|f| sum.iter_mut().zip(f).for_each(|(s, v)| *s += v));
        normalise_rows(&mut sum, d.max(1));
        sum
    };
    let windows =
        |x: &ndarray::Array3<f32>| x.slice(ndarray::s![.., ..regions, ..]).iter().copied().collect::<Vec<f32>>();
    let chamfers = |part: &(dyn Fn(&ndarray::Array3<f32>) -> Vec<f32> + Sync), r: usize| -> Vec<Vec<f64>> {
        let targets: Vec<(Vec<f32>, usize)> = task.targets().iter().map(|t| (part(of(t)), of(t).dim().0)).collect();
        let packed: Vec<chamfer::Target> =
            targets.iter().map(|(data, t)| chamfer::Target::new(isa, data, *t, r, d)).collect();
        task.queries()
            .par_iter()
            .map(|q| {
                let (query, frames) = (part(of(q)), of(q).dim().0);
                packed
                    .iter()
                    .zip(&targets)
                    .map(|(target, (_, t))| {
                        let mut map = vec![0f32; frames * t];
                        chamfer::region_chamfer(&query, target, &mut map);
                        let rows = map.chunks_exact(*t).map(|row| row.iter().copied().fold(f32::MIN, f32::max));
                        #[allow(clippy::cast_precision_loss)]
                        let mean = f64::from(rows.sum::<f32>()) / frames as f64;
                        mean
                    })
                    .collect()
            })
            .collect()
    };
    let vectors: HashMap<&String, Vec<f32>> =
        task.queries().iter().chain(task.targets()).map(|v| (v, video(of(v)))).collect();
    let mean = task
        .queries()
        .iter()
        .map(|q| task.targets().iter().map(|t| f64::from(dot(&vectors[q], &vectors[t]))).collect())
        .collect();
    vec![
        ("mean_vector", mean),
        ("frame_chamfer", chamfers(&frames, 1)),
        ("region_chamfer", chamfers(&windows, regions)),
    ]
}

/// How a bundle's scores are evaluated.
pub(crate) fn options(bundle: &Bundle) -> EvaluateOptions {
    let floor = bundle.config().fine_binary.as_ref().is_some_and(|fine| fine.direct);
    EvaluateOptions { floor, ..EvaluateOptions::default() }
}

/// The networks of a bundle that describe and compare videos.
pub(crate) struct Networks {
    coarse: Option<Coarse>,
    selector: Option<Selector>,
    fine: Vec<(Network, Fine)>,
}

impl Networks {
    pub(crate) fn new(isa: Isa, bundle: &Bundle) -> Result<Self, Failure> {
        let has = |network: Network| bundle.networks().any(|n| n == network);
        let fine = [Network::FineAttention, Network::FineBinary, Network::FinePlain, Network::Teacher]
            .into_iter()
            .filter(|n| has(*n))
            .map(|n| Ok((n, bundle.fine(isa, n)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self {
            coarse: has(Network::Coarse).then(|| bundle.coarse(isa)).transpose()?,
            selector: has(Network::Selector).then(|| bundle.selector(isa)).transpose()?,
            fine,
        })
    }

    /// What they keep of a video; the error says why one refuses it.
    pub(crate) fn outputs(&self, tensor: &ndarray::Array3<f32>) -> Result<VideoOutputs, String> {
        let wrong = |e: vidsieve_model::fine::InputError| e.to_string();
        let view = || tensor.view();
        let mut tensors = BTreeMap::new();
        for (network, fine) in &self.fine {
            tensors.insert(*network, fine.index(view()).map_err(wrong)?);
        }
        Ok(VideoOutputs {
            coarse: self.coarse.as_ref().map(|c| c.index(view())).transpose().map_err(wrong)?,
            self_similarity: self.selector.as_ref().map(|s| s.self_similarity(view())).transpose().map_err(wrong)?,
            tensors,
        })
    }

    /// Those that compare; the selector doubts S^f_B's, or the first fine network's, coarse counterpart.
    pub(crate) fn comparers(&self) -> Comparers<'_> {
        let binary = self.fine.iter().find(|(n, _)| *n == Network::FineBinary).or_else(|| self.fine.first());
        Comparers {
            fine: self.fine.iter().map(|(n, f)| (*n, f)).collect(),
            selector: self.selector.as_ref().zip(binary.map(|(n, _)| *n)).filter(|_| self.coarse.is_some()),
        }
    }
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
    let bundle = Bundle::from_bytes(&args.model.display().to_string(), read(&args.model)?)?;
    let truth = Truth::parse(&args.truth.display().to_string(), &read(&args.truth)?)?;
    let kinds = kinds(args.edits.as_ref())?;
    let extractor = Extractor::new(isa, &bundle)?;
    let networks = Networks::new(isa, &bundle)?;

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
                let outputs = networks.outputs(&tensor)?;
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
    let options = options(&bundle);
    let mut report = evaluate(&task, &scores, &options)?;
    report.ms_per_query = times;
    report.bytes_per_video = bytes(&outputs);
    let mut output = Output { report, plain: BTreeMap::new(), kinds: BTreeMap::new() };
    for (name, rows) in plain(isa, &task, &|video| tensors[video].clone()) {
        // A plain similarity is ranked as a network's would be.
        let alone = Scores { networks: [(Network::Coarse, Matrix::new(name, rows)?)].into(), selectors: Vec::new() };
        let options = EvaluateOptions { curve: Vec::new(), ..options.clone() };
        if let Some(quality) = evaluate(&task, &alone, &options)?.coarse {
            output.plain.insert(name.to_owned(), quality);
        }
    }
    if !kinds.is_empty() {
        for (network, matrix) in &scores.networks {
            let rows = task.by_label(matrix, |file| kinds.get(file).cloned());
            output.kinds.insert(network.name().to_owned(), KindRow::all(rows));
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

/// Mean bytes that each network keeps of a video.
pub(crate) fn bytes(outputs: &HashMap<String, VideoOutputs>) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, usize> = BTreeMap::new();
    for output in outputs.values() {
        let mut add = |name: &str, bytes: usize| *sums.entry(name.to_owned()).or_default() += bytes;
        if let Some(vector) = &output.coarse {
            add(Network::Coarse.name(), 4 * vector.len());
        }
        if output.self_similarity.is_some() {
            add(Network::Selector.name(), 4);
        }
        for (network, tensor) in &output.tensors {
            add(network.name(), tensor.bytes());
        }
    }
    #[allow(clippy::cast_precision_loss)]
    sums.into_iter().map(|(name, sum)| (name, sum as f64 / outputs.len().max(1) as f64)).collect()
}

pub(crate) fn print(output: &Output) {
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
