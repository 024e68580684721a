//! Publishing an index to an endpoint.

use std::collections::HashMap;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use vidsieve_api::videos::checksum;
use vidsieve_index::remote::{PushOptions, PushReport};
use vidsieve_index::retry::READS;
use vidsieve_index::store::{Index, Summary};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::Record;

use crate::{Endpoint, EndpointError};

/// How often progress is reported and cancellation is checked.
const TICK: Duration = Duration::from_millis(100);

/// What publishing did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// In numbers.
    pub report: PushReport,
    /// Videos that could not be published, and why; the others are.
    pub failed: Vec<(String, String)>,
    /// Requests that were made again.
    pub repeated: u64,
}

/// What became of a video.
enum Done {
    Written,
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

/// An error that concerns one video alone, or one that ends the whole.
fn of_video(error: EndpointError) -> Result<Done, EndpointError> {
    match error {
        EndpointError::Refused { .. } => Ok(Done::Failed(error.to_string())),
        other => Err(other),
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
        let all = index.list()?;
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
        let videos: Vec<(&Summary, bool)> = all
            .iter()
            .map(|summary| (summary, listed.remove(&summary.id).as_ref() == Some(&checksum(summary.checksum))))
            .collect();
        let mut pushed = Pushed::default();
        let mut done = 0;
        let mut working = std::pin::pin!(self.publish_all(index, &videos, options));
        while let Some(outcome) = watch.wait(done, working.next()).await? {
            let (summary, outcome) = outcome?;
            done += 1;
            match outcome {
                Done::Written => {
                    pushed.report.written += 1;
                    pushed.report.writes += 1;
                    pushed.report.bytes += summary.bytes;
                }
                Done::Unchanged => pushed.report.unchanged += 1,
                Done::Failed(reason) => pushed.failed.push((summary.id.clone(), reason)),
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
        pushed.failed.sort();
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
    ) -> impl Stream<Item = Result<(&'a Summary, Done), EndpointError>> + 'a {
        stream::iter(videos)
            .map(move |(summary, told)| async move {
                Ok((*summary, self.publish(index, summary, *told, options).await?))
            })
            .buffer_unordered(self.settings.jobs)
    }

    /// Whether the endpoint has the video's record; `told`: whether it says so.
    async fn is_there(&self, summary: &Summary, told: bool, check: bool) -> Result<bool, EndpointError> {
        if !told || !check {
            return Ok(told);
        }
        let bytes = self.get(&summary.id).await?;
        Ok(bytes.is_some_and(|b| Record::parse(b).is_ok_and(|r| r.checksum() == summary.checksum)))
    }

    async fn publish(
        &self,
        index: &Index,
        summary: &Summary,
        told: bool,
        options: PushOptions,
    ) -> Result<Done, EndpointError> {
        let id = summary.id.as_str();
        match self.is_there(summary, told, options.check).await {
            Ok(true) => return Ok(Done::Unchanged),
            Ok(false) => {}
            Err(error) => return of_video(error),
        }
        let record = match index.records(&[id])?.pop().flatten() {
            Some(Ok(record)) => record,
            Some(Err(error)) => return Ok(Done::Failed(error.to_string())),
            None => return Ok(Done::Failed("its record is missing in the index".to_owned())),
        };
        if options.dry_run {
            return Ok(Done::Written);
        }
        if let Err(error) = self.put(id, record.as_bytes()).await {
            return of_video(error);
        }
        for read in 1..=READS {
            let reason = match self.get(id).await {
                Ok(Some(bytes)) if bytes == record.as_bytes() => return Ok(Done::Written),
                Ok(Some(_)) => "another record came back than was written",
                Ok(None) => "it is not there after it was written",
                Err(error) => return of_video(error),
            };
            match self.settings.retry.pause(read, None) {
                Some(pause) if read < READS => tokio::time::sleep(pause).await,
                _ => return Ok(Done::Failed(reason.to_owned())),
            }
        }
        Ok(Done::Failed("it could not be read back".to_owned()))
    }
}
