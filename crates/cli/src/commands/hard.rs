//! `vidsieve eval hard`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;
use vidsieve_eval::plots::{self, Series};
use vidsieve_eval::retrieval::{
    ByShare, Comparers, Doubt, EvaluateOptions, Matrix, Quality, Scores, Task, Truth, VideoOutputs, evaluate, score,
};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::config::{Attention, FineConfig};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::{Fine, Workspace};
use vidsieve_model::selector::Selector;
use vidsieve_train::ablation::threshold_name;
use vidsieve_train::calibrate::{Labelled, reliability};
use vidsieve_train::corpus::{NamedClip, TAKE};
use vidsieve_train::defaults::{FIRST, Sizes};
use vidsieve_train::features::FeatureSet;
use vidsieve_train::hard::{HardOptions, edited, truth};
use vidsieve_train::linear::itq;
use vidsieve_train::materials::{ClipLimits, Stills, VIDEOS, files, load_clip, named_in_truth};
use vidsieve_train::pipeline::{Workshop, read_bundle};
use vidsieve_train::{checkpoint, device, init};

use super::retrieval::{self, KindRow, Output};
use super::train::{Show, option};
use crate::output::{Failure, json, line, write};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Working folder: tensors are kept there, the same command continues where it stopped.
    #[arg(long)]
    work: PathBuf,
    /// Folder of clips.
    #[arg(long)]
    clips: PathBuf,
    /// Only clips that this truth file names: those that stayed out of training.
    #[arg(long)]
    named_in: Option<PathBuf>,
    /// Folders of stills that distractors are made of (default: all are drawn).
    #[arg(long, num_args = 1..)]
    stills: Vec<PathBuf>,
    /// Bundle of the networks.
    #[arg(long, default_value = "models/default-full.safetensors")]
    model: PathBuf,
    /// Distractors.
    #[arg(long, default_value_t = 3000)]
    distractors: u64,
    /// Options as JSON: edits, frames, distractors.
    #[arg(long)]
    options: Option<PathBuf>,
    /// Sizes of the networks as JSON.
    #[arg(long)]
    sizes: Option<PathBuf>,
    /// Working folder in which `eval ablation threshold` left selectors: mAP against t.
    #[arg(long)]
    selectors: Option<PathBuf>,
    /// Folder for plots (SVG).
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Plain Chamfer similarity (across scales, where there are two) of descriptors of one size: floats, or signs of an ITQ rotation,
/// which is what the binary layer starts as.
#[derive(Debug, Serialize)]
struct SizeRow {
    /// Region vectors of a frame.
    regions: usize,
    /// Values of a region vector.
    dims: usize,
    /// Bits of a region; nothing for floats.
    bits: Option<usize>,
    map: f64,
    bytes_per_video: f64,
    ms_per_query: f64,
}

/// The bundle's students with a selector trained at another threshold.
#[derive(Debug, Serialize)]
struct ThresholdRow {
    t: f64,
    /// mAP by share re-ranked.
    dns: ByShare,
}

/// The points of a reliability diagram: mean probability, share of copies, weight.
type Reliability = BTreeMap<String, Vec<[f64; 3]>>;

#[derive(Debug, Serialize)]
struct Hard {
    #[serde(flatten)]
    output: Output,
    takes: usize,
    distractors: usize,
    sizes: Vec<SizeRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thresholds: Vec<ThresholdRow>,
    reliability: Reliability,
}

/// The benchmark's videos: copies and takes, then the distractors.
fn videos(args: &Args, shop: &Workshop, extractor: &Extractor, show: &mut Show) -> Result<FeatureSet, Failure> {
    let mut options: HardOptions = option(args.options.as_ref())?;
    options.distractors.sources = args.distractors;
    let named = args.named_in.as_ref().map(|path| named_in_truth(path)).transpose()?;
    let name = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let limits = ClipLimits { seconds: 2.0 * options.edits.seconds, ..ClipLimits::default() };
    let clips = files(&args.clips, VIDEOS)?
        .into_par_iter()
        .filter(|path| named.as_ref().is_none_or(|n| n.contains(&name(path))))
        .map(|path| Ok(NamedClip { clip: load_clip(&path, limits)?, name: name(&path) }))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut set = edited(&shop.folder, &clips, &options, extractor, show)?;
    if options.distractors.sources > 0 {
        let (stills, refused) = Stills::load(&args.stills)?;
        refused.iter().for_each(|reason| eprintln!("left out: {reason}"));
        let stills: Vec<Arc<_>> = stills.images.into_iter().map(Arc::new).collect();
        let others = shop.features("distractors", &stills, &[], options.distractors, extractor, show)?;
        let first = set.videos.iter().map(|v| v.info.source).max().unwrap_or(0) + 1;
        set.videos.extend(others.videos.into_iter().map(|mut v| {
            v.info.source += first;
            v.info.kind = "distractor".into();
            v
        }));
    }
    Ok(set)
}

/// A network that compares all descriptors as they are, or as signs; its evidence holds the plain similarities.
fn bare(isa: Isa, sizes: &Sizes, projection: Option<(usize, &[f32])>) -> Result<Fine, Failure> {
    let config = FineConfig {
        attention: Attention::None,
        bits: projection.map(|p| p.0),
        direct: false,
        ..sizes.fine_attention()
    };
    let parameters = init::fine(&config, projection.map(|p| p.1), 1);
    Ok(Fine::new(isa, config, &parameters.to_state("bare.")?)?)
}

/// The part of the evidence that is Chamfer similarity across scales.
const ACROSS: usize = 1;

/// Similarity across scales of every query and database video, and the milliseconds of a query on one thread.
fn across(
    fine: &Fine,
    task: &Task,
    of: &HashMap<&str, usize>,
    set: &FeatureSet,
) -> Result<(Matrix, f64, f64), Failure> {
    let index = |names: &[String]| {
        names
            .par_iter()
            .map(|n| Ok(fine.index(set.tensor(of[n.as_str()]).view())?))
            .collect::<Result<Vec<_>, Failure>>()
    };
    let (queries, targets) = (index(task.queries())?, index(task.targets())?);
    let mut workspace = Workspace::default();
    let start = Instant::now();
    let rows = queries
        .iter()
        .map(|q| {
            let one = |t| Ok(f64::from(fine.evidence(q, t, &mut workspace)?[ACROSS]));
            targets.iter().map(one).collect::<Result<Vec<_>, Failure>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    #[allow(clippy::cast_precision_loss)]
    let (ms, bytes) = (
        start.elapsed().as_secs_f64() * 1e3 / queries.len().max(1) as f64,
        targets.iter().map(|t| t.bytes()).sum::<usize>() as f64 / targets.len().max(1) as f64,
    );
    Ok((Matrix::new("across_scales", rows)?, ms, bytes))
}

fn quality(task: &Task, matrix: Matrix) -> Result<Option<Quality>, Failure> {
    let alone = Scores { networks: [(Network::Coarse, matrix)].into(), selectors: Vec::new() };
    Ok(evaluate(task, &alone, &EvaluateOptions { curve: Vec::new(), ..EvaluateOptions::default() })?.coarse)
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let isa = Isa::best();
    let bundle = Arc::new(read_bundle(&args.model)?);
    let mut show = Show::new(args.json, None)?;
    let mut shop = Workshop {
        folder: args.work.clone(),
        isa,
        device: device(),
        sizes: option(args.sizes.as_ref())?,
        given: Some(Arc::clone(&bundle)),
        start: None,
    };
    let Some(describes) = shop.given_extractor()? else {
        return Err(Failure::new("the bundle has no backbone with whitening to describe videos with"));
    };
    // Tensors of another backbone are other tensors.
    shop.folder.push(format!("hard-{}", &describes.id().to_string()[..12]));
    let extractor = Extractor::new(isa, &describes)?;
    let set = videos(args, &shop, &extractor, &mut show)?;
    show.finish();
    let report = measure(isa, &shop, &bundle, &set, args.selectors.as_deref())?;
    if let Some(folder) = &args.plots {
        draw(folder, &report)?;
    }
    if args.json {
        json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is measured on the benchmark's videos.
fn measure(
    isa: Isa,
    shop: &Workshop,
    bundle: &Bundle,
    set: &FeatureSet,
    selectors: Option<&Path>,
) -> Result<Hard, Failure> {
    let networks = retrieval::Networks::new(isa, bundle)?;
    let outputs: HashMap<String, VideoOutputs> = (0..set.videos.len())
        .into_par_iter()
        .map(|i| {
            let outputs = networks.outputs(&set.tensor(i)).map_err(Failure::new)?;
            Ok((set.videos[i].info.id.clone(), outputs))
        })
        .collect::<Result<_, Failure>>()?;
    let truth = Truth::parse("the benchmark", truth(set).to_string().as_bytes())?;
    let task = Task::new(&truth, |_| true)?;
    let comparers: Comparers<'_> = networks.comparers();
    let (scores, times) = score(&task, &outputs, &comparers)?;
    let mut report = evaluate(&task, &scores, &retrieval::options(bundle))?;
    report.ms_per_query = times;
    report.bytes_per_video = retrieval::bytes(&outputs);
    let mut output = Output { report, plain: BTreeMap::new(), kinds: BTreeMap::new() };

    let of: HashMap<&str, usize> = set.videos.iter().enumerate().map(|(i, v)| (v.info.id.as_str(), i)).collect();
    let mut named: Vec<(&str, Matrix)> = retrieval::plain(isa, &task, &|id| set.tensor(of[id]))
        .into_iter()
        .map(|(name, rows)| Ok((name, Matrix::new(name, rows)?)))
        .collect::<Result<_, Failure>>()?;
    let (floats, float_ms, float_bytes) = across(&bare(isa, &shop.sizes, None)?, &task, &of, set)?;
    named.push(("across_scales", floats));
    named.extend(scores.networks.iter().map(|(network, matrix)| (network.name(), matrix.clone())));
    let kind = |id: &str| Some(set.videos[of[id]].info.kind.clone());
    for (name, matrix) in named {
        output.kinds.insert(name.to_owned(), KindRow::all(task.by_label(&matrix, kind)));
        if Network::ALL.iter().all(|n| n.name() != name)
            && let Some(quality) = quality(&task, matrix)?
        {
            output.plain.insert(name.to_owned(), quality);
        }
    }

    let map = output.plain.get("across_scales").map_or(0.0, |q| q.map);
    let (regions, dims) = (set.regions, set.dims);
    let mut sizes =
        vec![SizeRow { regions, dims, bits: None, map, bytes_per_video: float_bytes, ms_per_query: float_ms }];
    sizes.extend(by_size(isa, &shop.sizes, set, &task, &of)?);
    let thresholds = match selectors {
        Some(folder) => by_threshold(isa, shop, folder, set, &task, &of, &scores)?,
        None => Vec::new(),
    };
    let reliability = reliabilities(bundle, &task, &scores);
    let count = |kind: &str| set.videos.iter().filter(|v| v.info.kind == kind).count();
    Ok(Hard { output, takes: count(TAKE), distractors: count("distractor"), sizes, thresholds, reliability })
}

/// Sizes other than the bundle's: floats and signs, fewer dimensions, the first scale alone. Rotations are fitted on the distractors
/// alone.
fn by_size(
    isa: Isa,
    sizes: &Sizes,
    set: &FeatureSet,
    task: &Task,
    of: &HashMap<&str, usize>,
) -> Result<Vec<SizeRow>, Failure> {
    let mut rows = Vec::new();
    for bits in [64, 128, 256, 512] {
        rows.extend(one_size(isa, sizes, set, Some(bits), task, of)?);
    }
    for dims in [32, 64, 96].into_iter().filter(|dims| *dims < set.dims) {
        rows.extend(one_size(isa, sizes, &set.keep(set.regions, dims), None, task, of)?);
    }
    if sizes.two_scales {
        let one_scale = Sizes { two_scales: false, ..sizes.clone() };
        let first = set.keep(FIRST, set.dims);
        for bits in [None, Some(sizes.bits)] {
            rows.extend(one_size(isa, &one_scale, &first, bits, task, of)?);
        }
    }
    Ok(rows)
}

/// Descriptors as a set has them, or the signs of a rotation of them; nothing where there are no distractors to fit it on.
fn one_size(
    isa: Isa,
    sizes: &Sizes,
    set: &FeatureSet,
    bits: Option<usize>,
    task: &Task,
    of: &HashMap<&str, usize>,
) -> Result<Option<SizeRow>, Failure> {
    /// Region vectors that a rotation is fitted on.
    const VECTORS: usize = 40_000;
    let (regions, dims) = (set.regions, set.dims);
    let projection = match bits {
        None => None,
        Some(bits) => {
            let distractors = set.videos.iter().filter(|v| v.info.kind == "distractor");
            let rows = distractors.flat_map(|v| v.data.chunks_exact(dims).step_by(17)).take(VECTORS);
            let vectors: Vec<f32> = rows.flat_map(|row| row.iter().map(|v| v.to_f32())).collect();
            if vectors.is_empty() {
                return Ok(None);
            }
            Some((bits, itq(isa, &vectors, dims, bits, 50, 11)?))
        }
    };
    let network =
        bare(isa, &Sizes { dims, ..sizes.clone() }, projection.as_ref().map(|(bits, p)| (*bits, p.as_slice())))?;
    let (matrix, ms_per_query, bytes_per_video) = across(&network, task, of, set)?;
    let map = quality(task, matrix)?.map_or(0.0, |q| q.map);
    Ok(Some(SizeRow { regions, dims, bits, map, bytes_per_video, ms_per_query }))
}

/// The merge with each selector of a threshold study.
fn by_threshold(
    isa: Isa,
    shop: &Workshop,
    folder: &Path,
    set: &FeatureSet,
    task: &Task,
    of: &HashMap<&str, usize>,
    scores: &Scores,
) -> Result<Vec<ThresholdRow>, Failure> {
    let fine = Network::FineBinary;
    let both = scores.networks.get(&Network::Coarse).zip(scores.networks.get(&fine));
    let Some((coarse, binary)) = both else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for tenth in 1..=9u8 {
        let path = folder.join(format!("{}.safetensors", threshold_name(tenth)));
        if !path.exists() {
            continue;
        }
        let (_, tensors): (serde_json::Value, _) = checkpoint::load(&path)?;
        let state = checkpoint::part(&tensors, "best").to_state("selector.")?;
        let selector = Selector::new(isa, shop.sizes.selector(), &state)?;
        let scalars = |names: &[String]| {
            let one = |n: &String| Ok(selector.self_similarity(set.tensor(of[n.as_str()]).view())?);
            names.par_iter().map(one).collect::<Result<Vec<f32>, Failure>>()
        };
        let (queries, targets) = (scalars(task.queries())?, scalars(task.targets())?);
        let doubts = queries
            .iter()
            .enumerate()
            .map(|(q, own)| {
                #[allow(clippy::cast_possible_truncation)]
                let cosines: Vec<f32> = coarse.row(q).iter().map(|v| *v as f32).collect();
                let mut doubt = vec![0f32; targets.len()];
                selector.mlp().predict(*own, &targets, &cosines, &mut doubt);
                doubt.into_iter().map(f64::from).collect()
            })
            .collect();
        let doubt = Doubt { name: "selector".into(), fine, doubt: Matrix::new("selector", doubts)? };
        let networks = [(Network::Coarse, coarse.clone()), (fine, binary.clone())].into();
        let options = EvaluateOptions { resamples: 0, curve: Vec::new(), ..EvaluateOptions::default() };
        let report = evaluate(task, &Scores { networks, selectors: vec![doubt] }, &options)?;
        rows.extend(report.dns.map(|dns| ThresholdRow { t: f64::from(tenth) / 10.0, dns }));
    }
    Ok(rows)
}

/// What the calibrated scores of all pairs are worth.
fn reliabilities(bundle: &Bundle, task: &Task, scores: &Scores) -> Reliability {
    let Some(calibration) = bundle.config().calibration.as_ref() else { return Reliability::new() };
    scores
        .networks
        .iter()
        .filter_map(|(network, matrix)| {
            let curve = calibration.curve(*network)?;
            #[allow(clippy::cast_possible_truncation)]
            let pairs: Vec<Labelled> =
                task.labelled(matrix).map(|(raw, copy)| Labelled { raw: raw as f32, copy }).collect();
            Some((network.name().to_owned(), reliability(curve, &pairs, 10)))
        })
        .collect()
}

fn draw(folder: &Path, hard: &Hard) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))?;
    let save = |name: &str, plot: plots::Plot| write(&folder.join(name), plot.svg().as_bytes());
    save("selection.svg", plots::selection(&hard.output.report))?;
    #[allow(clippy::cast_precision_loss)]
    let of_all = |r: &&SizeRow| hard.sizes.first().is_some_and(|all| r.regions == all.regions);
    let points: Vec<(f64, f64)> =
        hard.sizes.iter().filter(of_all).filter_map(|r| Some((r.bits? as f64, r.map))).collect();
    let mut series = vec![Series::new("signs, before training", points.clone())];
    if let (Some(floats), [first, .., last]) = (hard.sizes.first(), points.as_slice()) {
        series.push(Series::new("floats", vec![(first.0, floats.map), (last.0, floats.map)]).reference());
    }
    save("bits.svg", plots::bits(series))?;
    if !hard.thresholds.is_empty() {
        let at = |share: u32| {
            let point = |row: &ThresholdRow| Some((row.t, row.dns.get(share)?.map));
            Series::new(format!("{share} % re-ranked"), hard.thresholds.iter().filter_map(point).collect())
        };
        save(
            "thresholds.svg",
            plots::training("Selectors of other thresholds", "t", "mAP", [5, 10, 30].map(at).into()),
        )?;
    }
    let shown: BTreeSet<&str> = ["coarse", "fine_binary", "fine_attention"].into();
    let series = hard
        .reliability
        .iter()
        .filter(|(name, _)| shown.contains(name.as_str()))
        .map(|(name, bins)| Series::new(name.replace('_', " "), bins.iter().map(|b| (b[0], b[1])).collect()));
    save("reliability.svg", plots::reliability("What scores are worth", series.collect()))
}

fn print(hard: &Hard) {
    line(format_args!("{} distractors, {} other takes", hard.distractors, hard.takes));
    retrieval::print(&hard.output);
    line(format_args!(
        "\n{:>8} {:>6} {:>8} {:>7} {:>12} {:>10}",
        "regions", "dims", "bits", "mAP", "bytes/video", "ms/query"
    ));
    for SizeRow { regions, dims, bits, map, bytes_per_video, ms_per_query } in &hard.sizes {
        let bits = bits.map_or("floats".to_owned(), |b| b.to_string());
        line(format_args!("{regions:>8} {dims:>6} {bits:>8} {map:7.4} {bytes_per_video:12.0} {ms_per_query:10.1}"));
    }
    for row in &hard.thresholds {
        let maps: Vec<String> = row.dns.0.iter().map(|(share, q)| format!("{share} %: {:.4}", q.map)).collect();
        line(format_args!("selector of t = {:.1}: {}", row.t, maps.join("  ")));
    }
    for (network, bins) in &hard.reliability {
        line(format_args!("\n{network}: predicted probability, share of copies, weight"));
        bins.iter().for_each(|[p, share, weight]| line(format_args!("  {p:6.3} {share:6.3} {weight:8.5}")));
    }
}
