//! What is to be done with a file, and its encoding.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vidsieve_files::VideoFile;
use vidsieve_index::store::{Failure, Index, IndexError, Source, Summary};
use vidsieve_progress::{CancelToken, Control, Progress};
use vidsieve_record::Record;
use vidsieve_record::id::{MAX_ID, is_id};

use super::fingerprint::{WHOLE, fingerprint};
use super::report::Tally;
use crate::archive::path_of;
use crate::{EncodeOptions, Error, Model, encode_file};

/// What became of a file.
pub(super) enum FileOutcome {
    /// It is already indexed.
    Skipped,
    /// Its content is indexed under its id; its place or time is new.
    Source { source: Source, moved: bool },
    /// Its content is indexed under another id, which it takes over (`from`) or shares.
    Reused { record: Record<Vec<u8>>, source: Source, from: Option<String> },
    /// It was encoded.
    Encoded { record: Record<Vec<u8>>, source: Source, warnings: Vec<String>, decode: Duration, encode: Duration },
    /// It cannot be indexed, and is remembered if there is a source.
    Failed { reason: String, remember: Option<Source> },
    /// It could not be indexed before and has not changed.
    Known { reason: String },
    /// No file can be indexed.
    Hopeless(Error),
    /// The operation was stopped.
    Cancelled,
}

/// The index and earlier failures when the operation begins.
pub(super) struct Known {
    by_id: HashMap<String, Summary>,
    by_content: HashMap<(u64, [u8; 16]), Vec<String>>,
    sizes: HashSet<u64>,
    failures: HashMap<Vec<u8>, Failure>,
    /// Ids that a moved file has taken over.
    claimed: Mutex<BTreeSet<String>>,
}

impl Known {
    pub(super) fn new(index: &Index) -> Result<Self, IndexError> {
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

    /// Takes an id over; returns `false` if another file has done so.
    fn claim(&self, id: &str) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }
}

/// What the threads that encode files share.
pub(super) struct FileContext<'a> {
    pub(super) index: &'a Index,
    pub(super) model: &'a Model,
    pub(super) known: &'a Known,
    pub(super) encoding: EncodeOptions,
    pub(super) retry_failed: bool,
    pub(super) tally: &'a Tally<'a>,
    pub(super) stop: &'a CancelToken,
}

fn failed(reason: impl Into<String>) -> FileOutcome {
    FileOutcome::Failed { reason: reason.into(), remember: None }
}

/// Whether the file of a source still exists, and is another one than `file`.
fn is_elsewhere(old: &Source, file: &VideoFile) -> bool {
    let path = path_of(&old.path);
    path != file.path && path.exists() && path.canonicalize().ok() != file.path.canonicalize().ok()
}

fn same_content(a: &Source, b: &Source) -> bool {
    (a.size, a.fingerprint) == (b.size, b.fingerprint)
}

impl FileContext<'_> {
    /// Decides what is to be done with a file, and encodes it if need be.
    pub(super) fn process(&self, file: &VideoFile) -> FileOutcome {
        if self.stop.is_cancelled() {
            return FileOutcome::Cancelled;
        }
        if !is_id(&file.id) {
            return failed(format!(
                "its id would have {} bytes, at most {MAX_ID} can be: index a folder further down",
                file.id.len()
            ));
        }
        let meta = match std::fs::metadata(&file.path) {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => return failed("it is not a file"),
            Err(e) => return failed(format!("cannot read it: {e}")),
        };
        let mut source = Source {
            path: file.path.as_os_str().as_encoded_bytes().to_vec(),
            size: meta.len(),
            modified: meta.modified().ok().and_then(nanoseconds),
            fingerprint: None,
            picture: [0; 2],
            damage: String::new(),
        };
        let before = self.known.by_id.get(&file.id).map(|summary| &summary.source);
        if let Some(old) = before
            && (&old.path, old.size, old.modified) == (&source.path, source.size, source.modified)
            && source.modified.is_some()
        {
            return FileOutcome::Skipped;
        }
        if !self.retry_failed
            && let Some(failure) = self.known.failures.get(&source.path)
            && (failure.source.size, failure.source.modified) == (source.size, source.modified)
        {
            return FileOutcome::Known { reason: failure.reason.clone() };
        }
        source.fingerprint = match fingerprint(&file.path, source.size) {
            Ok(fingerprint) => Some(fingerprint),
            Err(e) => return failed(format!("cannot read it: {e}")),
        };
        let mut written_again = false;
        if let Some(old) = before {
            source.picture = old.picture;
            let same = same_content(old, &source);
            if same {
                source.damage.clone_from(&old.damage);
            }
            // A large file's fingerprint is a sample: one that was written again at its place may differ elsewhere.
            written_again = same && source.size > WHOLE && old.path == source.path;
            if same && !written_again {
                // A copy in another place has the same id and the same content: there is nothing to do.
                return if is_elsewhere(old, file) {
                    FileOutcome::Skipped
                } else {
                    FileOutcome::Source { moved: old.path != source.path, source }
                };
            }
            if is_elsewhere(old, file) {
                return failed(format!(
                    "its id {:?} is that of {}, another video: index the folder that holds both",
                    file.id,
                    path_of(&old.path).display()
                ));
            }
        }
        if !written_again && let Some(outcome) = self.reuse(file, &source) {
            return outcome;
        }
        self.encode(file, source)
    }

    /// Returns the record of a video of the same content, if there is one.
    fn reuse(&self, file: &VideoFile, source: &Source) -> Option<FileOutcome> {
        let content = (source.size, source.fingerprint?);
        if !self.known.sizes.contains(&source.size) {
            return None;
        }
        for id in self.known.by_content.get(&content)? {
            let old = &self.known.by_id.get(id)?.source;
            let copied = is_elsewhere(old, file);
            if !copied && !self.known.claim(id) {
                continue;
            }
            // It may have been replaced since.
            let entry = self.index.get(id).ok().flatten()?;
            if same_content(&entry.summary.source, source) {
                let source = Source { picture: old.picture, damage: old.damage.clone(), ..source.clone() };
                return Some(FileOutcome::Reused { record: entry.record, source, from: (!copied).then(|| id.clone()) });
            }
        }
        None
    }

    fn encode(&self, file: &VideoFile, mut source: Source) -> FileOutcome {
        // Bytes that are counted while the file is encoded: the share of its bytes that its time stands for.
        let counted = Mutex::new(0u64);
        let progress = |p: &Progress<'_>| {
            let Some(share) = p.share() else { return };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let now = (share * source.size as f64) as u64;
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            self.tally.add_bytes(now.saturating_sub(*counted));
            *counted = now.max(*counted);
        };
        let control = Control::new().with_progress(&progress).with_cancel(self.stop);
        let outcome = encode_file(self.model, &file.path, &self.encoding, &control)
            .and_then(|video| Ok((video.record()?, video)));
        self.tally.take_back(counted.into_inner().unwrap_or_else(PoisonError::into_inner));
        match outcome {
            Ok((record, video)) => {
                if let Some(info) = video.info() {
                    source.picture = [info.display_width, info.display_height];
                }
                let warnings: Vec<String> = video.warnings().iter().map(ToString::to_string).collect();
                source.damage = warnings.join("; ");
                let (decode, encode) = (video.decode_time(), video.encode_time());
                FileOutcome::Encoded { record, source, warnings, decode, encode }
            }
            // A failure during a stop is usually caused by it: the file is tried again.
            Err(_) if self.stop.is_cancelled() => FileOutcome::Cancelled,
            Err(
                error @ Error::Video(vidsieve_video::Error::FfmpegMissing { .. } | vidsieve_video::Error::Options(_)),
            ) => FileOutcome::Hopeless(error),
            // Permissions change without a trace in size or time.
            Err(error @ Error::Video(vidsieve_video::Error::Unreadable { .. })) => failed(error.to_string()),
            Err(error) => FileOutcome::Failed { reason: error.to_string(), remember: Some(source) },
        }
    }
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|n| -n),
    }
}
