//! `vidsieve index`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use indicatif::ProgressBar;
use serde::Serialize;
use vidsieve_files::{VideoFile, find_videos};
use vidsieve_index::store::{self, Index, Put, Source, Summary};
use vidsieve_model::encoder::Encoder;
use vidsieve_record::Record;
use vidsieve_video::Sampling;

use crate::native::encode::{self, FileError, Work};
use crate::native::store::{path_of, settle_sampling};
use crate::native::{bundle, interrupt, isa, terminal};
use crate::output::{Failure, json, line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index; it is made where there is none.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Bundle of a new index (default: the built-in one); an index keeps the one it was made with.
    #[arg(long, value_name = "BUNDLE")]
    model: Option<PathBuf>,
    /// Files that are decoded at the same time (default: half the cores, 2 to 8).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Try files again that failed before and have not changed since.
    #[arg(long)]
    retry_failed: bool,
    /// Frames a second of a new index (default: 1).
    #[arg(long, value_name = "N", conflicts_with = "upstream")]
    fps: Option<f64>,
    /// Sample the videos of a new index as the official code does.
    #[arg(long)]
    upstream: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
    /// Videos, or folders that hold videos.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// A file that was not indexed, or not all of it.
#[derive(Debug, Serialize)]
struct Note {
    id: Option<String>,
    path: String,
    status: &'static str,
    /// Whether it failed in an earlier run and was not tried again.
    known: bool,
    reason: String,
}

#[derive(Debug, Default, Serialize)]
struct Stages {
    decode_wait: f64,
    encode: f64,
    store: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    index: String,
    model: String,
    /// Videos in the index now.
    videos: u64,
    added: usize,
    replaced: usize,
    moved: usize,
    skipped: usize,
    failed: usize,
    warned: usize,
    interrupted: bool,
    seconds_of_video: f64,
    wall_seconds: f64,
    video_seconds_per_second: f64,
    /// Of all file threads together.
    stages_ms: Stages,
    bottleneck: Option<&'static str>,
    files: Vec<Note>,
}

/// What became of a file.
enum Done {
    /// It is there as it is.
    Skipped,
    /// Its content is there under its id; where it lies or when it was written is new.
    Source { source: Source, moved: bool },
    /// Its content is there under another id, which it takes over or shares.
    Reused { record: Record<Vec<u8>>, source: Source, from: Option<String> },
    /// It was encoded.
    Encoded { record: Record<Vec<u8>>, source: Source, warnings: Vec<String>, decode: Duration, encode: Duration },
    /// It cannot be indexed.
    Failed { reason: String, remember: Option<Source> },
    /// It could not be indexed before and has not changed.
    Known { reason: String },
    /// Nothing can be indexed.
    Hopeless { reason: String },
    /// The run was ended.
    Cancelled,
}

/// What is known of the index and of earlier failures when the run begins.
struct Known {
    by_id: HashMap<String, Summary>,
    by_content: HashMap<(u64, [u8; 16]), Vec<String>>,
    sizes: HashSet<u64>,
    failures: HashMap<Vec<u8>, store::Failure>,
    /// Ids that a moved file has taken over.
    claimed: Mutex<BTreeSet<String>>,
}

impl Known {
    fn new(index: &Index) -> Result<Self, Failure> {
        let mut by_content: HashMap<_, Vec<String>> = HashMap::new();
        let (mut by_id, mut sizes) = (HashMap::new(), HashSet::new());
        for summary in index.list()? {
            let Source { size, fingerprint, .. } = summary.source;
            if let Some(fingerprint) = fingerprint {
                by_content.entry((size, fingerprint)).or_default().push(summary.id.clone());
                sizes.insert(size);
            }
            by_id.insert(summary.id.clone(), summary);
        }
        Ok(Self { by_id, by_content, sizes, failures: index.failures()?, claimed: Mutex::default() })
    }

    /// Takes an id over; `false` if another file has done so.
    fn claim(&self, id: &str) -> bool {
        self.claimed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(id.to_owned())
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let cancel = interrupt::flag();
    let found = find_videos(&args.paths)?;
    if found.files.is_empty() && found.unreadable.is_empty() {
        return Err(Failure::new(format_args!(
            "no videos in {}: folders are searched for files with the usual extensions; name a file to index whatever it \
             is called",
            args.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
        )));
    }
    if let Some(fps) = args.fps.filter(|fps| !(fps.is_finite() && *fps > 0.0 && *fps <= 1000.0)) {
        return Err(Failure::new(format_args!("--fps {fps}: must be above 0 and at most 1000")));
    }
    let (index, bundle) = match (&args.model, args.index.join("index.redb").exists()) {
        // An index is complete in itself.
        (None, true) => {
            let index = Index::open(&args.index)?;
            let name = args.index.join("model.safetensors").display().to_string();
            let bundle = vidsieve_model::bundle::Bundle::from_bytes(&name, index.bundle_bytes()?)?;
            if bundle.id() != index.bundle() {
                return Err(Failure::new(format_args!("{name}: this is not the bundle that made the index")));
            }
            (index, bundle)
        }
        _ => {
            let bundle = bundle(args.model.as_deref())?;
            // A bundle that cannot encode makes no index.
            Encoder::new(isa()?, &bundle)?;
            (Index::create_or_open(&args.index, bundle.id(), bundle.as_bytes())?, bundle)
        }
    };
    let asked = args.fps.map(Sampling::Fps).or(args.upstream.then_some(Sampling::Upstream));
    let sampling = settle_sampling(&index, asked)?;
    let encoder = Encoder::new(isa()?, &bundle)?;
    let known = Known::new(&index)?;

    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let jobs = args.jobs.map_or_else(|| cores.div_ceil(2).clamp(2, 8), usize::from).min(found.files.len().max(1));
    let work = Work { sampling, files: jobs, cancel: cancel.clone() };
    let total: u64 = found.files.iter().map(|i| size_of(&i.path)).sum();
    let bar = terminal::bar(total, "[{bar:24}] {percent:>3}% of {total_bytes}, {eta} left, {msg}");
    let mut run = Run {
        index: &index,
        bar: bar.clone(),
        files: found.files.len(),
        done: 0,
        start,
        pending: Vec::new(),
        pending_bytes: 0,
        sources: Vec::new(),
        report: Report {
            index: args.index.display().to_string(),
            model: bundle.id().to_string(),
            videos: 0,
            added: 0,
            replaced: 0,
            moved: 0,
            skipped: 0,
            failed: 0,
            warned: 0,
            interrupted: false,
            seconds_of_video: 0.0,
            wall_seconds: 0.0,
            video_seconds_per_second: 0.0,
            stages_ms: Stages::default(),
            bottleneck: None,
            files: Vec::new(),
        },
    };
    for (path, reason) in &found.unreadable {
        run.failed(None, path, reason, false);
    }
    let next = AtomicUsize::new(0);
    let ended = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<(usize, Done)>(2 * jobs);
        for _ in 0..jobs {
            let (sender, next, known, work, bar) = (sender.clone(), &next, &known, &work, &bar);
            let (index, encoder, inputs) = (&index, &encoder, &found.files);
            scope.spawn(move || {
                let one = |input: &VideoFile| look(index, encoder, known, work, args.retry_failed, input, bar);
                files(next, inputs, &sender, one);
            });
        }
        drop(sender);
        // Whatever comes is on the disk after a second.
        let mut committed = Instant::now();
        let mut ended = Ok(());
        loop {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok((at, done)) if ended.is_ok() => {
                    if let Some(input) = found.files.get(at) {
                        ended = run.take(input, done);
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ended.is_ok() && committed.elapsed() > Duration::from_secs(1) {
                ended = run.commit();
                committed = Instant::now();
            }
            if ended.is_err() {
                // Decoders stop; what they still send is passed over.
                cancel.cancel();
            }
        }
        ended.and_then(|()| run.commit())
    });
    bar.finish_and_clear();
    run.report.interrupted |= cancel.is_cancelled();
    let mut report = run.report;
    report.videos = index.len()?;
    report.finish(start.elapsed());
    if args.json {
        json(&report)?;
    } else {
        report.print();
    }
    if let Err(reason) = ended {
        eprintln!("vidsieve: {}: stopped: {reason}", args.index.display());
        return Ok(ExitCode::from(1));
    }
    if report.interrupted {
        eprintln!("vidsieve: interrupted; what is done is kept: the same command goes on from there");
    }
    Ok(ExitCode::from(u8::from(report.failed > 0 || report.interrupted)))
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// Takes one file after the other until there are no more or nobody listens.
fn files(next: &AtomicUsize, inputs: &[VideoFile], to: &SyncSender<(usize, Done)>, one: impl Fn(&VideoFile) -> Done) {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(input) = inputs.get(at) else { return };
        if to.send((at, one(input))).is_err() {
            return;
        }
    }
}

/// What is to be done with a file, and does what takes time.
fn look(
    index: &Index,
    encoder: &Encoder,
    known: &Known,
    work: &Work,
    retry: bool,
    input: &VideoFile,
    bar: &ProgressBar,
) -> Done {
    let failed = |reason: String| Done::Failed { reason, remember: None };
    if work.cancel.is_cancelled() {
        return Done::Cancelled;
    }
    if !vidsieve_record::id::is_id(&input.id) {
        return failed(format!(
            "its id would have {} bytes, at most 512 can be: index a folder further down",
            input.id.len()
        ));
    }
    let meta = match std::fs::metadata(&input.path) {
        Ok(meta) if meta.is_file() => meta,
        Ok(_) => return failed("it is not a file".into()),
        Err(e) => return failed(format!("cannot read it: {e}")),
    };
    let mut source = Source {
        path: input.path.as_os_str().as_encoded_bytes().to_vec(),
        size: meta.len(),
        modified: meta.modified().ok().and_then(nanoseconds),
        fingerprint: None,
        picture: [0; 2],
    };
    let before = known.by_id.get(&input.id);
    if let Some(Summary { source: old, .. }) = before
        && (&old.path, old.size, old.modified) == (&source.path, source.size, source.modified)
        && source.modified.is_some()
    {
        return Done::Skipped;
    }
    if !retry
        && let Some(failure) = known.failures.get(&source.path)
        && (failure.source.size, failure.source.modified) == (source.size, source.modified)
    {
        return Done::Known { reason: failure.reason.clone() };
    }
    source.fingerprint = match fingerprint(&input.path, source.size) {
        Ok(fingerprint) => Some(fingerprint),
        Err(e) => return failed(format!("cannot read it: {e}")),
    };
    let elsewhere = |old: &Source| {
        let path = path_of(&old.path);
        old.path != source.path && path.exists() && path.canonicalize().ok() != input.path.canonicalize().ok()
    };
    let mut written_again = false;
    if let Some(Summary { source: old, .. }) = before {
        source.picture = old.picture;
        let same = (old.size, old.fingerprint) == (source.size, source.fingerprint);
        // A large file's fingerprint is a sample: one that was written again at its place may differ elsewhere.
        written_again = same && source.size > WHOLE && old.path == source.path;
        if same && !written_again {
            // A copy that lies in another place has the same id and the same content: there is nothing to do.
            return if elsewhere(old) {
                Done::Skipped
            } else {
                Done::Source { moved: old.path != source.path, source }
            };
        }
        if elsewhere(old) {
            let taken = path_of(&old.path);
            return failed(format!(
                "its id {:?} is that of {}, another video: index the folder that holds both",
                input.id,
                taken.display()
            ));
        }
    }
    if !written_again && let Some(done) = reuse(index, known, &source, elsewhere) {
        return done;
    }
    // The bar moves while a file is encoded, by the share of its bytes that its time stands for.
    let counted = Mutex::new(0u64);
    let size = source.size;
    let progress = |at: f64, promised: Option<f64>| {
        let Some(promised) = promised.filter(|p| *p > 0.0) else { return };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let now = ((at / promised).clamp(0.0, 1.0) * size as f64) as u64;
        let mut counted = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bar.inc(now.saturating_sub(*counted));
        *counted = now.max(*counted);
    };
    let outcome = encode::file(encoder, &input.path, work, &progress).and_then(|video| Ok((video.record()?, video)));
    let counted = counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    bar.dec(counted);
    match outcome {
        Ok((record, video)) => {
            source.picture = [video.info.display_width, video.info.display_height];
            let warnings = video.warnings.iter().map(ToString::to_string).collect();
            Done::Encoded { record, source, warnings, decode: video.decode, encode: video.encode }
        }
        // What fails while the run is ended fails because of that, as a rule: it is tried again.
        Err(_) if work.cancel.is_cancelled() => Done::Cancelled,
        Err(FileError::Video(error)) => {
            let reason = error.to_string();
            match error {
                vidsieve_video::Error::FfmpegMissing { .. } | vidsieve_video::Error::Options(_) => {
                    Done::Hopeless { reason }
                }
                // Permissions change without a trace in size or time.
                vidsieve_video::Error::Unreadable { .. } => failed(reason),
                _ => Done::Failed { reason, remember: Some(source) },
            }
        }
        Err(error) => Done::Failed { reason: error.to_string(), remember: Some(source) },
    }
}

/// The record of a video of the same content, if there is one.
fn reuse(index: &Index, known: &Known, source: &Source, elsewhere: impl Fn(&Source) -> bool) -> Option<Done> {
    let content = (source.size, source.fingerprint?);
    if !known.sizes.contains(&source.size) {
        return None;
    }
    for id in known.by_content.get(&content)? {
        let old = &known.by_id.get(id)?.source;
        let copied = elsewhere(old);
        if !copied && !known.claim(id) {
            continue;
        }
        // It may have been replaced since.
        let entry = index.get(id).ok().flatten()?;
        if (entry.summary.source.size, entry.summary.source.fingerprint) == (source.size, source.fingerprint) {
            let source = Source { picture: old.picture, ..source.clone() };
            return Some(Done::Reused { record: entry.record, source, from: (!copied).then(|| id.clone()) });
        }
    }
    None
}

fn nanoseconds(time: std::time::SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|n| -n),
    }
}

/// Files up to this size have a fingerprint of all their bytes.
const WHOLE: u64 = 1 << 20;

/// XXH3 of a file's content: all of a small one, of a large one its ends and sixteen places between.
fn fingerprint(path: &Path, size: u64) -> std::io::Result<[u8; 16]> {
    const PIECE: u64 = 32 << 10;
    let mut file = std::fs::File::open(path)?;
    let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
    hash.update(&size.to_le_bytes());
    let mut piece = Vec::new();
    let mut add = |file: &mut std::fs::File, length: u64| -> std::io::Result<()> {
        piece.clear();
        file.take(length).read_to_end(&mut piece)?;
        hash.update(&piece);
        Ok(())
    };
    if size <= WHOLE {
        add(&mut file, WHOLE)?;
    } else {
        for k in 0..=17 {
            file.seek(SeekFrom::Start((size - PIECE) / 17 * k))?;
            add(&mut file, PIECE)?;
        }
        file.seek(SeekFrom::Start(size - PIECE))?;
        add(&mut file, PIECE)?;
    }
    Ok(hash.digest128().to_le_bytes())
}

/// A video that is to be written.
struct Pending {
    id: String,
    record: Record<Vec<u8>>,
    source: Source,
}

/// The thread that writes and counts.
struct Run<'a> {
    index: &'a Index,
    bar: ProgressBar,
    files: usize,
    done: usize,
    start: Instant,
    pending: Vec<Pending>,
    pending_bytes: usize,
    /// Videos whose files were touched or lie elsewhere.
    sources: Vec<(String, Source)>,
    report: Report,
}

impl Run<'_> {
    /// Bytes of records that wait for their commit at most.
    const PENDING: usize = 16 << 20;

    /// Takes what became of a file; the text says why the run cannot go on.
    fn take(&mut self, input: &VideoFile, done: Done) -> Result<(), String> {
        match done {
            Done::Cancelled => {
                self.report.interrupted = true;
                return Ok(());
            }
            Done::Hopeless { reason } => return Err(reason),
            Done::Skipped => self.report.skipped += 1,
            Done::Source { source, moved } => {
                self.sources.push((input.id.clone(), source));
                *(if moved { &mut self.report.moved } else { &mut self.report.skipped }) += 1;
            }
            Done::Reused { record, source, from } => self.reused(input, record, source, from)?,
            Done::Encoded { record, source, warnings, decode, encode } => {
                self.report.seconds_of_video += record.duration();
                self.report.stages_ms.decode_wait += decode.as_secs_f64() * 1e3;
                self.report.stages_ms.encode += encode.as_secs_f64() * 1e3;
                for reason in &warnings {
                    self.note(Some(&input.id), &input.path, "warning", reason, false);
                }
                self.report.warned += usize::from(!warnings.is_empty());
                self.pending_bytes += record.as_bytes().len();
                self.pending.push(Pending { id: input.id.clone(), record, source });
                if self.pending_bytes >= Self::PENDING {
                    self.commit()?;
                }
            }
            Done::Failed { reason, remember } => {
                self.failed(Some(&input.id), &input.path, &reason, false);
                if let Some(source) = remember {
                    self.stored(|index| index.put_failure(&store::Failure { source, reason }))?;
                }
            }
            Done::Known { reason } => self.failed(Some(&input.id), &input.path, &reason, true),
        }
        self.done += 1;
        self.bar.inc(size_of(&input.path));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let speed = (self.report.seconds_of_video / self.start.elapsed().as_secs_f64().max(1e-3)) as u64;
        self.bar.set_message(format!("{} of {} files, {speed}x real time", self.done, self.files));
        Ok(())
    }

    /// A moved file takes its video along; a copied one gets a video of its own.
    fn reused(
        &mut self,
        input: &VideoFile,
        record: Record<Vec<u8>>,
        source: Source,
        from: Option<String>,
    ) -> Result<(), String> {
        // This is the only thread that writes: what holds now holds until it is done.
        let content = (source.size, source.fingerprint);
        let still = match &from {
            Some(from) => {
                let now = self.index.summary(from).map_err(|e| e.to_string())?;
                now.is_some_and(|s| (s.source.size, s.source.fingerprint) == content)
            }
            None => false,
        };
        match from.filter(|_| still) {
            Some(from) => {
                self.stored(|index| index.relabel(&from, &input.id, &source).map(|_| ()))?;
                self.report.moved += 1;
            }
            None => self.pending.push(Pending { id: input.id.clone(), record, source }),
        }
        Ok(())
    }

    /// Writes at once, and counts the time.
    fn stored(&mut self, write: impl FnOnce(&Index) -> Result<(), store::IndexError>) -> Result<(), String> {
        let start = Instant::now();
        let outcome = write(self.index).map_err(explain);
        self.report.stages_ms.store += start.elapsed().as_secs_f64() * 1e3;
        outcome
    }

    fn commit(&mut self) -> Result<(), String> {
        let sources = std::mem::take(&mut self.sources);
        if !sources.is_empty() {
            let sources: Vec<_> = sources.iter().map(|(id, source)| (id.as_str(), source)).collect();
            self.stored(|index| index.put_sources(&sources))?;
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if pending.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let videos: Vec<_> = pending.iter().map(|p| (p.id.as_str(), p.record.view(), &p.source)).collect();
        let outcome = self.index.put_many(&videos).map_err(explain);
        self.report.stages_ms.store += start.elapsed().as_secs_f64() * 1e3;
        for put in outcome? {
            *match put {
                Put::Added => &mut self.report.added,
                Put::Replaced | Put::Unchanged => &mut self.report.replaced,
            } += 1;
        }
        Ok(())
    }

    fn failed(&mut self, id: Option<&str>, path: &Path, reason: &str, known: bool) {
        self.report.failed += 1;
        self.note(id, path, "failed", reason, known);
    }

    fn note(&mut self, id: Option<&str>, path: &Path, status: &'static str, reason: &str, known: bool) {
        let path = path.display().to_string();
        let again = if known { " (as before; --retry-failed tries again)" } else { "" };
        // Most reasons name the file.
        let text = if reason.contains(&path) { reason.to_owned() } else { format!("{path}: {reason}") };
        self.bar.suspend(|| eprintln!("vidsieve: {status}: {}{again}", terminal::plain(&text)));
        self.report.files.push(Note { id: id.map(str::to_owned), path, status, known, reason: reason.to_owned() });
    }
}

/// The remedy where the system does not say it.
fn explain(error: store::IndexError) -> String {
    let text = error.to_string();
    match error {
        store::IndexError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            format!("{text}: make room on the disk; what is indexed is kept, the same command goes on from there")
        }
        _ => text,
    }
}

impl Report {
    fn finish(&mut self, wall: Duration) {
        self.wall_seconds = wall.as_secs_f64();
        self.video_seconds_per_second = self.seconds_of_video / self.wall_seconds.max(1e-6);
        let Stages { decode_wait, encode, store } = self.stages_ms;
        if decode_wait + encode > 0.0 {
            let stages = [("decode", decode_wait), ("encode", encode), ("store", store)];
            self.bottleneck = stages.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name);
        }
        self.files.sort_by(|a, b| (&a.path, a.status).cmp(&(&b.path, b.status)));
    }

    fn print(&self) {
        let Self { added, replaced, moved, skipped, failed, warned, .. } = self;
        line(format_args!(
            "{added} added, {replaced} replaced, {moved} moved, {skipped} unchanged, {failed} failed, {warned} with warnings; {} \
             videos in {}",
            self.videos, self.index
        ));
        if let Some(bottleneck) = self.bottleneck {
            let Stages { decode_wait, encode, store } = &self.stages_ms;
            let what = match bottleneck {
                "decode" => "decoding",
                "encode" => "encoding",
                _ => "writing",
            };
            line(format_args!(
                "{} of video in {:.1} s ({:.0}x real time); waiting for decoding {:.1} s, encoding {:.1} s, writing {:.1} s: {what} \
                 sets the pace",
                terminal::clock(self.seconds_of_video),
                self.wall_seconds,
                self.video_seconds_per_second,
                decode_wait / 1e3,
                encode / 1e3,
                store / 1e3
            ));
        }
    }
}
