//! Adding the videos of files to an index.
//!
//! Threads take one file after the other, decide what is to be done with it and encode it ([`file`]); one thread writes
//! what they send, in commits of about a second ([`writer`]).

mod file;
mod known;
mod report;
mod watch;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use vidsieve_files::{FindOptions, FoundVideos};
use vidsieve_progress::Control;

use super::Archive;
use crate::{EncodeOptions, Error};

use file::FileContext;
use known::Known;
use report::Tally;
use writer::IndexWriter;

pub use report::{IndexNote, IndexReport, IndexStage, IndexStageTimes, NoteStatus};

/// Options of [`Archive::add`].
#[derive(Clone, Default)]
#[must_use]
pub struct AddOptions<'a> {
    jobs: Option<usize>,
    retry_failed: bool,
    find: FindOptions,
    on_note: Option<&'a dyn Fn(&IndexNote)>,
}

impl fmt::Debug for AddOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddOptions")
            .field("jobs", &self.jobs)
            .field("retry_failed", &self.retry_failed)
            .field("find", &self.find)
            .finish_non_exhaustive()
    }
}

impl<'a> AddOptions<'a> {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many files are decoded at the same time, 1 or more; by default half the cores, 2 to 8.
    pub const fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Sets which files of folders are taken.
    pub fn find(mut self, options: FindOptions) -> Self {
        self.find = options;
        self
    }

    /// Sets whether files that failed before, or of which a part could not be read, and that have not changed since are
    /// tried again; by default they are not.
    pub const fn retry_failed(mut self, retry: bool) -> Self {
        self.retry_failed = retry;
        self
    }

    /// Sends each note of the report to a function as soon as it is known, on the thread of the caller.
    pub fn on_note(mut self, receive: &'a dyn Fn(&IndexNote)) -> Self {
        self.on_note = Some(receive);
        self
    }
}

/// Finds the videos of files and folders: a file is taken whatever its name, of a folder the files below it with a usual
/// extension. The id of a file in a folder is its path below it, of other files their name; where files would have the same
/// id, the folders above tell them apart.
///
/// # Errors
/// [`Error::Find`] for a path that cannot be read and for a pattern of [`FindOptions`]; [`Error::NoVideos`] if there are
/// none.
pub fn find_videos<P: AsRef<Path>>(paths: &[P], options: &FindOptions) -> Result<FoundVideos, Error> {
    let found = vidsieve_files::find_videos(paths, options)?;
    if found.files.is_empty() && found.unreadable.is_empty() {
        return Err(Error::NoVideos { paths: paths.iter().map(|path| PathBuf::from(path.as_ref())).collect() });
    }
    Ok(found)
}

impl Archive {
    /// Adds the videos of files and folders ([`find_videos`]). Files that are already indexed and have not changed are
    /// skipped; a file that was moved takes its video along, and one whose bytes are all those of an indexed file shares its
    /// record; a file that fails is remembered, and not tried again until it changes.
    ///
    /// A file whose id is that of another video gets a longer one. A path that is already indexed keeps its id.
    ///
    /// Reports the stage `indexing` in three units: bytes of the files, files ([`Unit::Videos`](crate::Unit::Videos)), and
    /// seconds of video that were encoded. A cancelled operation keeps what is done, and adding the same paths again
    /// continues from there; its report says `interrupted`.
    ///
    /// # Errors
    /// The errors of [`find_videos`]; [`Error::Encoder`] for a model that cannot encode; [`Error::Index`] for an index that
    /// cannot be read; [`Error::AddStopped`], with the report, if no file can be indexed any more: without FFmpeg, on a
    /// full disk. A file that fails is a note of the report.
    pub fn add<P: AsRef<Path>>(
        &self,
        paths: &[P],
        options: &AddOptions<'_>,
        control: &Control<'_>,
    ) -> Result<IndexReport, Error> {
        self.add_found(&find_videos(paths, &options.find)?, options, control)
    }

    /// Adds videos that were found before; see [`Archive::add`].
    ///
    /// # Errors
    /// As [`Archive::add`].
    pub fn add_found(
        &self,
        found: &FoundVideos,
        options: &AddOptions<'_>,
        control: &Control<'_>,
    ) -> Result<IndexReport, Error> {
        let start = Instant::now();
        let sampling = self.sampling()?;
        let model = self.model()?;
        model.encoder()?;
        let known = Known::new(&self.index, &found.files)?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let jobs = options.jobs.unwrap_or_else(|| cores.div_ceil(2).clamp(2, 8)).clamp(1, found.files.len().max(1));
        // Stops the threads when the caller cancels, and when writing fails.
        let stop = control.cancel().child();
        let tally = Tally::new(control, found);
        let context = FileContext {
            index: &self.index,
            model,
            known: &known,
            encoding: EncodeOptions::new().sampling(sampling).files_at_once(jobs),
            retry_failed: options.retry_failed,
            tally: &tally,
            stop: &stop,
        };
        let mut writer = IndexWriter::new(&self.index, &tally, options.on_note, start);
        for (path, reason) in &found.unreadable {
            writer.failed(None, path, reason, false);
        }
        let next = AtomicUsize::new(0);
        let ended = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(2 * jobs);
            for _ in 0..jobs {
                let (sender, next, context, files) = (sender.clone(), &next, &context, &found.files);
                scope.spawn(move || {
                    // Until all files are taken, or the receiver is gone.
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if sender.send(context.process(file)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            // Every record is on the disk after about a second.
            let mut committed = Instant::now();
            let mut ended = Ok(());
            loop {
                match receiver.recv_timeout(Duration::from_millis(200)) {
                    Ok((file, outcome)) if ended.is_ok() => ended = writer.take(&file, outcome),
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if ended.is_ok() && committed.elapsed() > Duration::from_secs(1) {
                    ended = writer.commit();
                    committed = Instant::now();
                }
                if ended.is_err() {
                    // Decoders stop; what they still send is discarded.
                    stop.cancel();
                }
            }
            ended.and_then(|()| writer.commit())
        });
        self.forget_table();
        self.remember_mounts(found)?;
        let report = writer.finish(self, stop.is_cancelled())?;
        match ended {
            Ok(()) => Ok(report),
            Err(source) => Err(Error::AddStopped { report: Box::new(report), source: Box::new(source) }),
        }
    }
}
