//! What is to be done with a file, and its encoding.

use std::fs::Metadata;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vidsieve_files::{VideoFile, nanoseconds, whole_hash_while};
use vidsieve_index::store::{Index, Source};
use vidsieve_progress::{CancelToken, Control, Progress};
use vidsieve_record::Record;
use vidsieve_record::id::{MAX_ID, is_id};

use super::known::{Known, Settled, is_present};
use super::report::Tally;
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

/// What threads that encode files share.
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

impl FileContext<'_> {
    /// Decides what is to be done with a file, and encodes it if need be. Returns the file with the id that it gets.
    pub(super) fn process(&self, file: &VideoFile) -> (VideoFile, FileOutcome) {
        let mut file = file.clone();
        let outcome = self.decide(&mut file);
        (file, outcome)
    }

    fn decide(&self, file: &mut VideoFile) -> FileOutcome {
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
        let mut source = source_of(file, &meta);
        if let Some(id) = self.known.id_by_path(file) {
            file.id = id;
        }
        let before = self.known.source(&file.id);
        let is_whole = |old: &Source| old.damage.is_empty() || !self.retry_failed;
        if let Some(old) = before
            && (&old.path, old.size, old.modified) == (&source.path, source.size, source.modified)
            && source.modified.is_some()
            && is_whole(old)
        {
            return FileOutcome::Skipped;
        }
        if before.is_none_or(|old| old.path != source.path) && self.known.is_other_path(file, &source) {
            return FileOutcome::Skipped;
        }
        if !self.retry_failed
            && let Some(failure) = self.known.failures.get(&source.path)
            && (failure.source.size, failure.source.modified) == (source.size, source.modified)
        {
            return FileOutcome::Known { reason: failure.reason.clone() };
        }
        source.hash = match whole_hash_while(&file.path, &|| !self.stop.is_cancelled()) {
            Ok(Some(hash)) => Some(hash),
            Ok(None) => return FileOutcome::Cancelled,
            Err(e) => return failed(format!("cannot read it: {e}")),
        };
        match self.known.settle(file, &source) {
            // Other bytes may be those of another video.
            Settled::New | Settled::Changed => {}
            Settled::Same(old) if is_whole(old) => {
                source.picture = old.picture;
                source.damage.clone_from(&old.damage);
                return FileOutcome::Source { moved: old.path != source.path, source };
            }
            // It is tried again.
            Settled::Same(_) => return self.encode(file, source),
            Settled::Taken => {
                return failed(format!("its id {:?} is that of another video: index a folder further up", file.id));
            }
        }
        match self.reuse(file, &source) {
            Some(outcome) => outcome,
            None => self.encode(file, source),
        }
    }

    /// Returns the record of a video of the same bytes, if there is one. A file of which a part could not be read lends its
    /// record to none; it keeps it when it is moved.
    fn reuse(&self, file: &VideoFile, source: &Source) -> Option<FileOutcome> {
        for id in self.known.same_bytes(source) {
            let old = self.known.source(id)?;
            let copied = is_present(old, file);
            if (copied && !old.damage.is_empty()) || (!copied && !self.known.claim(id)) {
                continue;
            }
            if self.retry_failed && !old.damage.is_empty() {
                continue;
            }
            // It may have been replaced since, and a damaged record is not passed on.
            let Ok(Some(entry)) = self.index.get(id) else { continue };
            if entry.summary.source.hash == source.hash {
                let (picture, damage) = (old.picture, old.damage.clone());
                let source = Source { picture, damage, ..source.clone() };
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
                let mut warnings: Vec<String> = video.warnings().iter().map(ToString::to_string).collect();
                source.damage = warnings.join("; ");
                let now = std::fs::metadata(&file.path).ok().map(|meta| source_of(file, &meta));
                if now.is_none_or(|now| (now.size, now.modified) != (source.size, source.modified)) {
                    warnings.push("it changed while it was read: index it again when it is complete".to_owned());
                    // The next run reads it again.
                    (source.modified, source.hash) = (None, None);
                }
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

/// What a file system says of a file.
fn source_of(file: &VideoFile, meta: &Metadata) -> Source {
    Source {
        path: file.path.as_os_str().as_encoded_bytes().to_vec(),
        size: meta.len(),
        modified: meta.modified().ok().and_then(nanoseconds),
        ..Source::default()
    }
}
