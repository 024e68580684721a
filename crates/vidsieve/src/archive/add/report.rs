//! What adding videos did, and how far it is.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use vidsieve_files::FoundVideos;
use vidsieve_progress::{Control, Progress, Unit};

/// The result of [`Archive::add`](crate::Archive::add).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IndexReport {
    /// Folder of the index.
    pub index: String,
    /// Identity of the model: 64 hexadecimal digits.
    pub model: String,
    /// Videos of the index afterwards.
    pub videos: u64,
    /// Videos that are new.
    pub added: usize,
    /// Videos whose content changed.
    pub replaced: usize,
    /// Videos whose file was moved; they were not encoded again.
    pub moved: usize,
    /// Files that are already indexed.
    pub skipped: usize,
    /// Files that could not be indexed.
    pub failed: usize,
    /// Files of which a part could not be read.
    pub warned: usize,
    /// Whether the operation stopped before all files were processed.
    pub interrupted: bool,
    /// Seconds of video that were encoded.
    pub seconds_of_video: f64,
    /// Seconds that it took.
    pub wall_seconds: f64,
    /// The speed: seconds of video a second.
    pub video_seconds_per_second: f64,
    /// Milliseconds of each stage, of all threads together.
    pub stages_ms: IndexStageTimes,
    /// The stage that took longest; `None` if nothing was encoded.
    pub bottleneck: Option<IndexStage>,
    /// Files that failed or were damaged, in the order of their paths.
    pub files: Vec<IndexNote>,
}

/// Milliseconds of the stages of adding videos.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IndexStageTimes {
    /// Waiting for decoded frames.
    pub decode_wait: f64,
    /// Describing frames.
    pub encode: f64,
    /// Writing records.
    pub store: f64,
}

/// A stage of adding videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum IndexStage {
    /// Decoding files.
    Decode,
    /// Describing frames.
    Encode,
    /// Writing records.
    Store,
}

impl Serialize for IndexStage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// A file that was not indexed, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexNote {
    /// Its id; `None` for a folder that cannot be read.
    pub id: Option<String>,
    /// Its path, with replacement characters where the name is not UTF-8.
    pub path: String,
    /// What became of it.
    pub status: NoteStatus,
    /// Whether it failed in an earlier run and was not tried again.
    pub known: bool,
    /// Why.
    pub reason: String,
}

/// What became of the file of an [`IndexNote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum NoteStatus {
    /// It was not indexed.
    Failed,
    /// It was indexed, but a part of it could not be read.
    Warning,
}

impl Serialize for NoteStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

impl IndexReport {
    /// Computes what follows from the counts, and orders the notes.
    pub(super) fn complete(&mut self, wall: Duration) {
        self.wall_seconds = wall.as_secs_f64();
        self.video_seconds_per_second = self.seconds_of_video / self.wall_seconds.max(1e-6);
        let IndexStageTimes { decode_wait, encode, store } = self.stages_ms;
        if decode_wait + encode > 0.0 {
            let stages = [(IndexStage::Decode, decode_wait), (IndexStage::Encode, encode), (IndexStage::Store, store)];
            self.bottleneck = stages.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(stage, _)| stage);
        }
        self.files.sort_by(|a, b| (&a.path, a.status).cmp(&(&b.path, b.status)));
    }
}

/// Bytes of a file; 0 for one that cannot be read.
fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Progress of all threads together.
pub(super) struct Tally<'a> {
    control: &'a Control<'a>,
    total_bytes: u64,
    files: usize,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    bytes: u64,
    files: usize,
    seconds: f64,
}

// Counts are far below 2^52.
#[allow(clippy::cast_precision_loss)]
impl<'a> Tally<'a> {
    pub(super) fn new(control: &'a Control<'a>, found: &FoundVideos) -> Self {
        let total_bytes = found.files.iter().map(|file| size_of(&file.path)).sum();
        let tally = Self { control, total_bytes, files: found.files.len(), done: Mutex::default() };
        tally.report(&Done::default(), Unit::Bytes);
        tally
    }

    fn report(&self, done: &Done, unit: Unit) {
        let (done, total) = match unit {
            Unit::Bytes => (done.bytes as f64, Some(self.total_bytes as f64)),
            Unit::Videos => (done.files as f64, Some(self.files as f64)),
            _ => (done.seconds, None),
        };
        self.control.report(&Progress::new("indexing", done, total, unit));
    }

    fn update(&self, units: &[Unit], change: impl FnOnce(&mut Done)) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut done);
        units.iter().for_each(|unit| self.report(&done, *unit));
    }

    /// Counts bytes of a file that is being encoded.
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.update(&[Unit::Bytes], |done| done.bytes += bytes);
    }

    /// Takes back bytes that were counted while a file was encoded: the writer counts the whole file.
    pub(super) fn take_back(&self, bytes: u64) {
        self.update(&[], |done| done.bytes = done.bytes.saturating_sub(bytes));
    }

    /// Counts a file that is done, and the seconds of video that were encoded until now.
    pub(super) fn file_done(&self, path: &Path, seconds: f64) {
        let bytes = size_of(path);
        self.update(&[Unit::Bytes, Unit::Seconds, Unit::Videos], |done| {
            done.bytes += bytes;
            done.files += 1;
            done.seconds = seconds;
        });
    }
}
