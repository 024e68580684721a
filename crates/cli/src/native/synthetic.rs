//! Queries against synthetic records, timed part by part, beside the same pairs in float32 as upstream computes them.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ndarray::{Array2, Array3, ArrayView2, s};
use rayon::prelude::*;
use serde::Serialize;
use vidsieve::{Control, EncodeOptions, Model, Sampling, encode_file};
use vidsieve_index::store::{Index, IndexError, Source};
use vidsieve_kernels::comparator::Pool;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::fine::{Fine, VideoTensor, Workspace};
use vidsieve_record::{DrawnRecords, Record, Shape};
use vidsieve_search::{Budget, Engine, Outcome, Query, Session, Table};

use crate::native::interrupt;
use crate::output::Failure;

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) videos: usize,
    pub(crate) frames: usize,
    pub(crate) budget: Budget,
    pub(crate) rounds: usize,
    /// Pairs that are computed in float32.
    pub(crate) pairs: usize,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
}

/// Milliseconds; the round with the least sum.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Times {
    pub(crate) scan: f64,
    pub(crate) select: f64,
    pub(crate) fetch: f64,
    pub(crate) compare: f64,
    pub(crate) merge: f64,
    pub(crate) total: f64,
}

/// The same pairs as upstream computes them: signs as float32, one matrix product, maxima, means; comparator by the kernels.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Float32 {
    pub(crate) sampled_pairs: usize,
    /// Of one thread.
    pub(crate) ms_per_pair: f64,
    /// Of one thread, codes by the kernels, the same pairs in the same run.
    pub(crate) codes_ms_per_pair: f64,
    pub(crate) ratio: f64,
    /// Of all cores at once, for each pair: in float32 and by the codes.
    pub(crate) all_cores_ms_per_pair: [f64; 2],
    /// For all pairs that the query compared, on all cores: computed from the sample, not measured.
    pub(crate) extrapolated_ms: f64,
    /// The same for the query with every video, which is how upstream searches without a selector.
    pub(crate) every_video_ms: f64,
    /// How many times as long as the whole query those would take.
    pub(crate) every_video_ratio: f64,
    pub(crate) max_difference: f32,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) isa: &'static str,
    pub(crate) threads: usize,
    pub(crate) debug: bool,
    pub(crate) videos: usize,
    pub(crate) frames: usize,
    pub(crate) regions: usize,
    pub(crate) bits: usize,
    pub(crate) dims: usize,
    pub(crate) budget: String,
    pub(crate) record_bytes: usize,
    pub(crate) build_seconds: f64,
    pub(crate) columns_ms: f64,
    pub(crate) rounds: usize,
    pub(crate) reranked: usize,
    pub(crate) times_ms: Times,
    pub(crate) float32: Option<Float32>,
}

/// A folder that goes when this does.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Builds the records, asks, and clears up.
pub(crate) fn run(bundle: &Bundle, options: &Options, progress: &dyn Fn(&str, u64)) -> Result<Report, Failure> {
    let start = Instant::now();
    let cancel = interrupt::token();
    let control = Control::new().with_cancel(&cancel);
    let folder = Temporary(options.folder.join(format!("vidsieve-bench-{}", std::process::id())));
    let isa = vidsieve::instruction_set()?;
    let drawn = super::drawn::drawn(bundle, options.frames, options.seed)?;
    fill(&folder.0, bundle, options, &drawn, progress)?;
    let build_seconds = start.elapsed().as_secs_f64();

    let (index, engine) = (Index::open_read_only(&folder.0)?, Engine::new(isa, bundle)?);
    let at = Instant::now();
    let columns = index.columns()?;
    let mut table = Table::from_columns(
        drawn.shape().dims,
        columns.ids,
        columns.vectors,
        columns.self_similarity,
        &columns.informative,
    )?;
    index.windows(|id, windows| table.put_windows(id, &windows))??;
    let columns_ms = ms(at.elapsed());
    let query = Query::from_record(&drawn.record(u64::MAX)?)?;
    let mut best: Option<(Times, usize)> = None;
    let mut selected: Vec<String> = Vec::new();
    for round in 0..options.rounds.max(1) {
        progress("querying", round as u64);
        let start = Instant::now();
        let coarse = table.coarse(isa, &query)?;
        let scan = ms(start.elapsed());
        let at = Instant::now();
        let mut session = Session::new(&engine, &query, &table, coarse, options.budget)?;
        let select = ms(at.elapsed());
        selected = session.wanted().to_vec();
        let spent = session.refine(
            |ids| -> Result<_, IndexError> {
                let records = index.records(ids)?.into_iter();
                Ok(records
                    .map(|record| match record {
                        Some(Ok(record)) => Ok(record),
                        Some(Err(error)) => Err(Outcome::Failed(error.to_string())),
                        None => Err(Outcome::Missing),
                    })
                    .collect())
            },
            &control,
        )?;
        if cancel.is_cancelled() {
            return Err(Failure::failed("interrupted"));
        }
        let at = Instant::now();
        black_box(session.page(&table, 100, 0.0, false)?);
        let merge = ms(at.elapsed());
        let (fetch, compare) = (ms(spent.fetch), ms(spent.compare));
        let times = Times { scan, select, fetch, compare, merge, total: ms(start.elapsed()) };
        if best.is_none_or(|(b, _)| times.total < b.total) {
            best = Some((times, session.done()));
        }
    }
    let (times_ms, reranked) = best.unwrap_or_default();
    let threads = rayon::current_num_threads();
    progress("float32", 0);
    selected.truncate(options.pairs);
    let records = index.records(&selected)?.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
    let fine = bundle.fine(isa, Network::FineBinary)?;
    let float32 = float32(&engine, &fine, &query, &records)?.map(|f| {
        let of = |pairs: usize| f.all_cores_ms_per_pair[0] * pairs as f64;
        let every_video_ms = of(options.videos);
        let every_video_ratio = every_video_ms / times_ms.total.max(1e-9);
        Float32 { extrapolated_ms: of(reranked), every_video_ms, every_video_ratio, ..f }
    });
    let Shape { regions, bits, dims, .. } = drawn.shape();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        isa: isa.name(),
        threads,
        debug: cfg!(debug_assertions),
        videos: options.videos,
        frames: options.frames,
        regions,
        bits,
        dims,
        budget: options.budget.to_string(),
        record_bytes: drawn.record(0)?.as_bytes().len(),
        build_seconds,
        columns_ms,
        rounds: options.rounds.max(1),
        reranked,
        times_ms,
        float32,
    })
}

fn fill(
    folder: &Path,
    bundle: &Bundle,
    options: &Options,
    drawn: &DrawnRecords,
    progress: &dyn Fn(&str, u64),
) -> Result<(), Failure> {
    let id = bundle.id();
    let index = Index::create_or_open(folder, id, bundle.as_bytes())?;
    let source = Source::default();
    // About 32 MB of records at a time.
    let block = ((32 << 20) / drawn.record(0)?.as_bytes().len()).clamp(1, 4096);
    for first in (0..options.videos).step_by(block) {
        if interrupt::token().is_cancelled() {
            return Err(Failure::failed("interrupted"));
        }
        progress("writing", first as u64);
        let numbers = first..options.videos.min(first + block);
        let records: Vec<(String, Record<Vec<u8>>)> = numbers
            .into_par_iter()
            .map(|k| Ok((format!("{k:09}"), drawn.record(k as u64)?)))
            .collect::<Result<_, Failure>>()?;
        let videos: Vec<_> = records.iter().map(|(id, record)| (id.as_str(), record.view(), &source)).collect();
        index.put_many(&videos)?;
    }
    Ok(())
}

/// Signs of codes as float32, [T, R, L].
fn signs(tensor: &VideoTensor) -> Option<Array3<f32>> {
    let VideoTensor::Codes { data, frames, shape } = tensor else { return None };
    let values = (0..data.len() * 8).map(|i| if data[i / 8] >> (i % 8) & 1 == 1 { 1.0 } else { -1.0 });
    Array3::from_shape_vec((*frames, shape.regions(), shape.bits()), values.collect()).ok()
}

/// The maps of all channels in float32, and the similarity that follows from them and the share that is
/// matched.
fn float_pair(fine: &Fine, query: &Array3<f32>, target: &Array3<f32>, matched: f32) -> Result<f32, Failure> {
    let (h, regions, bits) = query.dim();
    let w = target.dim().0;
    let channels = fine.config().channels_of(regions);
    let mut maps = Array3::<f32>::zeros((channels.len(), h, w));
    for (channel, mut map) in channels.iter().zip(maps.outer_iter_mut()) {
        let part = |video: &Array3<f32>, [a, b]: [usize; 2]| -> Result<Array2<f32>, Failure> {
            let part = video.slice(s![.., a..b, ..]).as_standard_layout().into_owned();
            let rows = video.dim().0 * (b - a);
            Ok(part.into_shape_with_order((rows, bits))?)
        };
        let (q, t) = (part(query, channel.query)?, part(target, channel.target)?);
        let (rq, rt) = (channel.query[1] - channel.query[0], channel.target[1] - channel.target[0]);
        let products = q.dot(&t.t());
        for i in 0..h {
            for j in 0..w {
                let cell = products.slice(s![i * rq..(i + 1) * rq, j * rt..(j + 1) * rt]);
                map[[i, j]] =
                    mean_of_maxima(if channel.transposed { cell.reversed_axes() } else { cell }) / bits as f32;
            }
        }
    }
    let pool = Pool::from(fine.config().comparator.edge);
    Ok(fine.similarity_of_maps(maps.view(), [h, w], matched, pool)?)
}

fn mean_of_maxima(cell: ArrayView2<'_, f32>) -> f32 {
    let rows = cell.nrows() as f32;
    cell.rows().into_iter().map(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max)).sum::<f32>() / rows
}

/// The sampled pairs by both ways, one after the other: on one thread, then on all cores.
fn float32(
    engine: &Engine,
    fine: &Fine,
    query: &Query,
    records: &[Record<Vec<u8>>],
) -> Result<Option<Float32>, Failure> {
    let Some(q) = signs(&query.codes) else { return Ok(None) };
    let mut targets = Vec::with_capacity(records.len());
    for record in records {
        let Some(target) = signs(&Query::from_record(record)?.codes) else { return Ok(None) };
        targets.push(target);
    }
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    let mut max_difference = 0f32;
    let mut workspace = Workspace::default();
    for (record, target) in records.iter().zip(&targets) {
        let at = Instant::now();
        let examined = black_box(engine.examine(black_box(query), record, &mut workspace)?);
        ours += at.elapsed();
        let matched = examined.evidence.last().copied().unwrap_or(0.0);
        let at = Instant::now();
        let expected = black_box(float_pair(fine, black_box(&q), target, matched)?);
        theirs += at.elapsed();
        max_difference = max_difference.max((examined.similarity - expected).abs());
    }
    let n = records.len() as f64;
    let at = Instant::now();
    let all = targets.par_iter().map(|target| float_pair(fine, &q, target, 0.0)).collect::<Result<Vec<_>, _>>();
    black_box(all?);
    let theirs_together = ms(at.elapsed()) / n;
    let some: Vec<_> = records.iter().cloned().map(Some).collect();
    let at = Instant::now();
    black_box(engine.compare_all(query, &some));
    let ours_together = ms(at.elapsed()) / n;
    Ok((!records.is_empty()).then(|| Float32 {
        sampled_pairs: records.len(),
        ms_per_pair: ms(theirs) / n,
        codes_ms_per_pair: ms(ours) / n,
        ratio: theirs.as_secs_f64() / ours.as_secs_f64().max(1e-12),
        all_cores_ms_per_pair: [theirs_together, ours_together],
        extrapolated_ms: 0.0,
        every_video_ms: 0.0,
        every_video_ratio: 0.0,
        max_difference,
    }))
}

/// What `bench encode` measures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EncodeReport {
    pub(crate) version: &'static str,
    pub(crate) isa: &'static str,
    pub(crate) threads: usize,
    pub(crate) debug: bool,
    pub(crate) frames: usize,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// One thread: preparing and describing frames.
    pub(crate) one_thread_frames_per_second: f64,
    /// All cores.
    pub(crate) all_cores_frames_per_second: f64,
    /// From the descriptions to the record.
    pub(crate) finish_ms: f64,
    pub(crate) bytes_per_frame: usize,
    pub(crate) files: Vec<FileReport>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileReport {
    pub(crate) path: String,
    pub(crate) seconds: f64,
    pub(crate) frames: usize,
    pub(crate) decode_wait_ms: f64,
    pub(crate) encode_ms: f64,
    pub(crate) wall_ms: f64,
    pub(crate) times_real_time: f64,
}

/// Drawn frames to encode.
pub(crate) struct DrawnFrames {
    pub(crate) frames: usize,
    /// Width and height in pixels.
    pub(crate) size: [u32; 2],
    /// The best round counts.
    pub(crate) rounds: usize,
}

/// Drawn frames, and files if there are any, encoded.
pub(crate) fn encode(
    bundle: &Bundle,
    drawn: &DrawnFrames,
    files: &[PathBuf],
    sampling: Sampling,
) -> Result<EncodeReport, Failure> {
    use vidsieve_edits::Clip;
    use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
    use vidsieve_model::encoder::Part;
    use vidsieve_model::frames::RgbFrame;
    let isa = vidsieve::instruction_set()?;
    let encoder = vidsieve_model::encoder::Encoder::new(isa, bundle)?;
    let DrawnFrames { frames, size: [width, height], rounds } = *drawn;
    let frames = frames.max(1);
    let config = ShotConfig {
        width,
        height,
        duration: frames as f64,
        shot: [2.0, 5.0],
        layers: 4,
        dissolves: 0.0,
        ..ShotConfig::default()
    };
    let mut clip = ProceduralClip::new(7, config)?;
    let images = (0..frames).map(|t| clip.frame(t as f64)).collect::<Result<Vec<_>, _>>()?;
    let views = images.iter().map(|i| RgbFrame::new(i.width, i.height, &i.pixels)).collect::<Result<Vec<_>, _>>()?;
    let best = |run: &dyn Fn() -> Result<Part, Failure>| -> Result<(f64, Part), Failure> {
        let (mut least, mut part) = (f64::INFINITY, Part::default());
        for _ in 0..rounds.max(1) {
            let at = Instant::now();
            part = run()?;
            least = least.min(at.elapsed().as_secs_f64());
        }
        Ok((least, part))
    };
    let join = |parts: Vec<Part>| {
        let mut all = Part::default();
        parts.iter().for_each(|part| all.join(part));
        all
    };
    let (one, _) =
        best(&|| Ok(join(views.chunks(8).map(|some| encoder.describe(some)).collect::<Result<Vec<_>, _>>()?)))?;
    let (all, part) =
        best(&|| Ok(join(views.par_chunks(8).map(|some| encoder.describe(some)).collect::<Result<Vec<_>, _>>()?)))?;
    let at = Instant::now();
    let encoded = black_box(encoder.finish(part)?);
    let finish_ms = ms(at.elapsed());
    let model = Model::from_bytes("the bundle", bundle.as_bytes().to_vec())?;
    let control = Control::new().with_cancel(&interrupt::token());
    let files = files
        .iter()
        .map(|path| {
            let at = Instant::now();
            let video = encode_file(&model, path, &EncodeOptions::new().sampling(sampling), &control)?;
            let wall = at.elapsed();
            let seconds = video.duration();
            Ok(FileReport {
                path: path.display().to_string(),
                seconds,
                frames: video.times().len(),
                decode_wait_ms: ms(video.decode_time()),
                encode_ms: ms(video.encode_time()),
                wall_ms: ms(wall),
                times_real_time: seconds / wall.as_secs_f64().max(1e-9),
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(EncodeReport {
        version: env!("CARGO_PKG_VERSION"),
        isa: isa.name(),
        threads: rayon::current_num_threads(),
        debug: cfg!(debug_assertions),
        frames,
        width,
        height,
        one_thread_frames_per_second: frames as f64 / one,
        all_cores_frames_per_second: frames as f64 / all,
        finish_ms,
        bytes_per_frame: encoded.codes.bytes() / frames,
        files,
    })
}
