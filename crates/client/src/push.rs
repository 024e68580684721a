//! Publishing an index to an endpoint.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use vidsieve_api::videos::checksum;
use vidsieve_index::remote::{PushNote, PushOptions, PushReport};
use vidsieve_index::retry::READS;
use vidsieve_index::store::{Index, Summary};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::Record;

use crate::{Endpoint, EndpointError};

/// How often progress is reported and cancellation is checked.
const TICK: Duration = Duration::from_millis(100);

/// Failures of an endpoint one after the other after which it is given up as a whole.
const TROUBLES: u32 = 8;

/// What publishing did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// What was done.
    pub report: PushReport,
    /// Requests that were made again.
    pub repeated: u64,
}

/// What became of a video.
enum Done {
    Written,
    /// It was there, but not as it should be.
    Mended(String),
    Unchanged,
    /// Only this video is refused.
    Failed(String),
}

/// Publishing under way: reports it and stops it.
#[derive(Clone, Copy)]
struct Watch<'a> {
    control: &'a Control<'a>,
    total: u64,
}

impl Watch<'_> {
    /// Reports the videos that are done.
    ///
    /// # Errors
    /// [`EndpointError::Cancelled`].
    fn check(self, done: u64) -> Result<(), EndpointError> {
        #[allow(clippy::cast_precision_loss)]
        let (done, all) = (done as f64, self.total as f64);
        self.control.report(&Progress::new("publishing", done, Some(all), Unit::Videos));
        if self.control.is_cancelled() { Err(EndpointError::Cancelled) } else { Ok(()) }
    }

    /// Waits for something until it is cancelled.
    async fn wait<T>(self, done: u64, work: impl Future<Output = T>) -> Result<T, EndpointError> {
        let mut work = std::pin::pin!(work);
        // Before waiting too: many short works one after the other can be stopped as well.
        self.check(done)?;
        loop {
            tokio::select! {
                result = &mut work => return Ok(result),
                () = tokio::time::sleep(TICK) => self.check(done)?,
            }
        }
    }
}

/// Failures of the endpoint since it last answered.
#[derive(Debug, Default)]
struct Troubles(AtomicU32);

impl Troubles {
    /// What failed for one video alone, as its reason.
    ///
    /// # Errors
    /// An error that would be that of all others as well.
    fn of_video<T>(&self, result: Result<T, EndpointError>) -> Result<Result<T, String>, EndpointError> {
        match result {
            Ok(done) => {
                self.0.store(0, Ordering::Relaxed);
                Ok(Ok(done))
            }
            // It answers: only this video is refused.
            Err(error @ EndpointError::Refused { .. }) => Ok(Err(error.to_string())),
            // A fault that may be that of one video.
            Err(error @ EndpointError::Busy { status: 500, .. })
                if self.0.fetch_add(1, Ordering::Relaxed) + 1 < TROUBLES =>
            {
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

impl Endpoint {
    /// Publishes an index: puts what is new or has changed, a bounded number at a time, and reads each back. What is
    /// already published is not sent again, so that an interrupted push resumes. A video that is refused is named in the
    /// result, the others go on. Reports the stage `publishing` in videos, about ten times a second.
    ///
    /// # Errors
    /// [`EndpointError`]; what is published stays.
    pub async fn push(
        &self,
        index: &Index,
        options: PushOptions,
        control: &Control<'_>,
    ) -> Result<Pushed, EndpointError> {
        let before = self.repeated();
        let (all, damaged) = index.survey()?;
        let total = all.len() as u64;
        let watch = Watch { control, total };
        for summary in &all {
            Self::path(&summary.id)?;
        }
        let found = watch.wait(0, self.bundle()).await??;
        if found != index.bundle() {
            let address = self.address().to_owned();
            return Err(EndpointError::Bundle { address, expected: index.bundle(), found });
        }
        let mut listed = watch.wait(0, self.listed()).await??;
        // What the index cannot tell is not removed there.
        damaged.iter().for_each(|id| drop(listed.remove(id)));
        let videos: Vec<(&Summary, bool)> = all
            .iter()
            .map(|summary| (summary, listed.remove(&summary.id).as_ref() == Some(&checksum(summary.checksum))))
            .collect();
        let mut pushed = Pushed::default();
        let unreadable = "what the index keeps of it is damaged: `vidsieve verify` tells more";
        pushed.report.failed.extend(damaged.iter().map(|id| PushNote::new(id, unreadable)));
        let mut done = 0;
        let troubles = Troubles::default();
        let mut working = std::pin::pin!(self.publish_all(index, &videos, options, &troubles));
        while let Some(outcome) = watch.wait(done, working.next()).await? {
            let (summary, outcome) = outcome?;
            done += 1;
            match outcome {
                Done::Written | Done::Mended(_) => {
                    pushed.report.written += 1;
                    pushed.report.writes += 1;
                    pushed.report.bytes += summary.bytes;
                    if let Done::Mended(reason) = outcome {
                        pushed.report.mended.push(PushNote::new(&summary.id, reason));
                    }
                }
                Done::Unchanged => pushed.report.unchanged += 1,
                Done::Failed(reason) => pushed.report.failed.push(PushNote::new(&summary.id, reason)),
            }
        }
        if options.prune {
            let mut gone: Vec<String> = listed.into_keys().collect();
            gone.sort();
            pushed.report.removed = gone.len() as u64;
            pushed.report.writes += gone.len() as u64;
            if !options.dry_run {
                let mut removing = stream::iter(&gone).map(|id| self.remove(id)).buffer_unordered(self.settings.jobs);
                while let Some(removed) = watch.wait(total, removing.next()).await? {
                    removed?;
                }
            }
        }
        // All is done: a cancellation comes too late.
        let _ = watch.check(total);
        pushed.report.failed.sort();
        pushed.report.mended.sort();
        pushed.repeated = self.repeated() - before;
        Ok(pushed)
    }

    /// Checksums of the videos there by id.
    async fn listed(&self) -> Result<HashMap<String, String>, EndpointError> {
        let mut all = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let (videos, next) = self.page(after.as_deref()).await?;
            all.extend(videos.into_iter().map(|video| (video.id, video.checksum)));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    fn publish_all<'a>(
        &'a self,
        index: &'a Index,
        videos: &'a [(&'a Summary, bool)],
        options: PushOptions,
        troubles: &'a Troubles,
    ) -> impl Stream<Item = Result<(&'a Summary, Done), EndpointError>> + 'a {
        stream::iter(videos)
            .map(move |(summary, told)| async move {
                Ok((*summary, self.publish(index, summary, *told, options, troubles).await?))
            })
            .buffer_unordered(self.settings.jobs)
    }

    /// What is wrong with the video's record there; `None` if nothing is.
    async fn wrong_with(&self, summary: &Summary, troubles: &Troubles) -> Result<Option<String>, EndpointError> {
        Ok(match troubles.of_video(self.get(&summary.id).await)? {
            Ok(Some(bytes)) => match Record::parse(bytes) {
                Ok(record) if record.checksum() == summary.checksum => None,
                Ok(_) => Some("another record is there".to_owned()),
                Err(error) => Some(error.to_string()),
            },
            Ok(None) => Some("its record is lost".to_owned()),
            Err(reason) => Some(reason),
        })
    }

    async fn publish(
        &self,
        index: &Index,
        summary: &Summary,
        told: bool,
        options: PushOptions,
        troubles: &Troubles,
    ) -> Result<Done, EndpointError> {
        let id = summary.id.as_str();
        let wrong = match (told, options.check) {
            (true, false) => return Ok(Done::Unchanged),
            (true, true) => match self.wrong_with(summary, troubles).await? {
                Some(wrong) => Some(wrong),
                None => return Ok(Done::Unchanged),
            },
            (false, _) => None,
        };
        let record = match index.records(&[id])?.pop().flatten() {
            Some(Ok(record)) => record,
            Some(Err(error)) => return Ok(Done::Failed(error.to_string())),
            None => return Ok(Done::Failed("its record is missing in the index".to_owned())),
        };
        let written = || wrong.clone().map_or(Done::Written, Done::Mended);
        if options.dry_run {
            return Ok(written());
        }
        if let Err(reason) = troubles.of_video(self.put(id, record.as_bytes()).await)? {
            return Ok(Done::Failed(reason));
        }
        for read in 1..=READS {
            let reason = match troubles.of_video(self.get(id).await)? {
                Ok(Some(bytes)) if bytes == record.as_bytes() => return Ok(written()),
                Ok(Some(_)) => "another record came back than was written".to_owned(),
                Ok(None) => "it is not there after it was written".to_owned(),
                Err(reason) => return Ok(Done::Failed(reason)),
            };
            match self.settings.retry.pause(read, None) {
                Some(pause) if read < READS => tokio::time::sleep(pause).await,
                _ => return Ok(Done::Failed(reason)),
            }
        }
        Ok(Done::Failed("it could not be read back".to_owned()))
    }
}
