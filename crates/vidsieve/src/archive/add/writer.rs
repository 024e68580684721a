//! The thread that writes and counts.

use std::path::Path;
use std::time::Instant;

use vidsieve_files::VideoFile;
use vidsieve_index::store::{Failure, Index, IndexError, Put, Source};
use vidsieve_record::Record;

use super::file::FileOutcome;
use super::report::{IndexNote, IndexReport, NoteStatus, Tally};
use crate::Error;
use crate::archive::Archive;

/// A video that waits for its commit.
struct Pending {
    id: String,
    record: Record<Vec<u8>>,
    source: Source,
}

pub(super) struct IndexWriter<'a> {
    index: &'a Index,
    tally: &'a Tally<'a>,
    on_note: Option<&'a dyn Fn(&IndexNote)>,
    start: Instant,
    pending: Vec<Pending>,
    pending_bytes: usize,
    /// Videos whose files were touched or moved.
    sources: Vec<(String, Source)>,
    report: IndexReport,
}

impl<'a> IndexWriter<'a> {
    /// The most bytes of records that wait for their commit.
    const PENDING: usize = 16 << 20;

    pub(super) fn new(
        index: &'a Index,
        tally: &'a Tally<'a>,
        on_note: Option<&'a dyn Fn(&IndexNote)>,
        start: Instant,
    ) -> Self {
        let report = IndexReport {
            index: index.folder().display().to_string(),
            model: index.bundle().to_string(),
            ..IndexReport::default()
        };
        Self { index, tally, on_note, start, pending: Vec::new(), pending_bytes: 0, sources: Vec::new(), report }
    }

    /// Takes the outcome of a file; an error means that the operation cannot continue.
    pub(super) fn take(&mut self, file: &VideoFile, outcome: FileOutcome) -> Result<(), Error> {
        match outcome {
            FileOutcome::Cancelled => {
                self.report.interrupted = true;
                return Ok(());
            }
            FileOutcome::Hopeless(error) => return Err(error),
            FileOutcome::Skipped => self.report.skipped += 1,
            FileOutcome::Source { source, moved } => {
                self.sources.push((file.id.clone(), source));
                *(if moved { &mut self.report.moved } else { &mut self.report.skipped }) += 1;
            }
            FileOutcome::Reused { record, source, from } => self.reused(file, record, source, from)?,
            FileOutcome::Encoded { record, source, warnings, decode, encode } => {
                self.report.seconds_of_video += record.duration();
                self.report.stages_ms.decode_wait += decode.as_secs_f64() * 1e3;
                self.report.stages_ms.encode += encode.as_secs_f64() * 1e3;
                for reason in &warnings {
                    self.note(Some(&file.id), &file.path, NoteStatus::Warning, reason, false);
                }
                self.report.warned += usize::from(!warnings.is_empty());
                self.pending_bytes += record.as_bytes().len();
                self.pending.push(Pending { id: file.id.clone(), record, source });
                if self.pending_bytes >= Self::PENDING {
                    self.commit()?;
                }
            }
            FileOutcome::Failed { reason, remember } => {
                self.failed(Some(&file.id), &file.path, &reason, false);
                if let Some(source) = remember {
                    self.stored(|index| index.put_failure(&Failure { source, reason }))?;
                }
            }
            FileOutcome::Known { reason } => self.failed(Some(&file.id), &file.path, &reason, true),
        }
        self.tally.file_done(&file.path, self.report.seconds_of_video);
        Ok(())
    }

    /// A moved file takes its video along; a copied one gets a video of its own.
    fn reused(
        &mut self,
        file: &VideoFile,
        record: Record<Vec<u8>>,
        source: Source,
        from: Option<String>,
    ) -> Result<(), Error> {
        // Only this thread writes: what holds now holds until it is done.
        let still = match &from {
            Some(from) => {
                let now = self.index.summary(from)?;
                now.is_some_and(|s| s.source.hash == source.hash)
            }
            None => false,
        };
        match from.filter(|_| still) {
            Some(from) => {
                self.stored(|index| index.relabel(&from, &file.id, &source).map(|_| ()))?;
                self.report.moved += 1;
            }
            None => self.pending.push(Pending { id: file.id.clone(), record, source }),
        }
        Ok(())
    }

    /// Writes at once, and counts the time.
    fn stored<T>(&mut self, write: impl FnOnce(&Index) -> Result<T, IndexError>) -> Result<T, Error> {
        let start = Instant::now();
        let outcome = write(self.index).map_err(explain);
        self.report.stages_ms.store += start.elapsed().as_secs_f64() * 1e3;
        outcome
    }

    /// Writes what is pending.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
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
        let videos: Vec<_> = pending.iter().map(|p| (p.id.as_str(), p.record.view(), &p.source)).collect();
        for put in self.stored(|index| index.put_many(&videos))? {
            *match put {
                Put::Added => &mut self.report.added,
                Put::Replaced | Put::Unchanged => &mut self.report.replaced,
            } += 1;
        }
        Ok(())
    }

    pub(super) fn failed(&mut self, id: Option<&str>, path: &Path, reason: &str, known: bool) {
        self.report.failed += 1;
        self.note(id, path, NoteStatus::Failed, reason, known);
    }

    fn note(&mut self, id: Option<&str>, path: &Path, status: NoteStatus, reason: &str, known: bool) {
        let path = path.display().to_string();
        let note = IndexNote { id: id.map(str::to_owned), path, status, known, reason: reason.to_owned() };
        if let Some(receive) = self.on_note {
            receive(&note);
        }
        self.report.files.push(note);
    }

    pub(super) fn finish(mut self, archive: &Archive, stopped: bool) -> Result<IndexReport, Error> {
        self.report.interrupted |= stopped;
        self.report.videos = archive.len()?;
        self.report.complete(self.start.elapsed());
        Ok(self.report)
    }
}

/// Adds the remedy to a full disk.
fn explain(error: IndexError) -> Error {
    match error {
        IndexError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            Error::StorageFull(error)
        }
        error => Error::Index(error),
    }
}
