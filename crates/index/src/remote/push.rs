//! Publishing an index to a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{StreamExt, stream};

use super::{
    CONCURRENCY, Meta, Part, Published, PushNote, PushOptions, PushReport, Remote, RemoteError, VERSION, key,
    manifest_of,
};
use crate::retry::READS;
use crate::store::{Index, IndexError, Summary};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::{Record, RecordError};

/// Failures of a store one after the other after which it is given up as a whole.
const TROUBLES: u32 = 8;

const BUNDLE: &str = "bundle.safetensors";
const META: &str = "meta.json";

/// Failures of the store since it last answered.
#[derive(Debug, Default)]
struct Troubles(AtomicU32);

impl Troubles {
    /// What failed for one video alone, as its reason.
    ///
    /// # Errors
    /// An error that would be that of all others as well.
    fn of_video<T>(&self, result: Result<T, RemoteError>) -> Result<Result<T, String>, RemoteError> {
        match result {
            Ok(done) => {
                self.0.store(0, Ordering::Relaxed);
                Ok(Ok(done))
            }
            Err(error @ (RemoteError::Damaged { .. } | RemoteError::Index(IndexError::Record { .. }))) => {
                Ok(Err(error.to_string()))
            }
            Err(error @ RemoteError::Store { .. }) if self.0.fetch_add(1, Ordering::Relaxed) + 1 < TROUBLES => {
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

/// The videos of a manifest and what is to be done about them.
struct Work<'a> {
    /// To be written, with the reason where it is mended.
    changed: Vec<(&'a Summary, Option<String>)>,
    unchanged: u64,
}

fn published(summary: &Summary) -> Published {
    Published { checksum: format!("{:016x}", summary.checksum), bytes: summary.bytes }
}

impl Remote {
    /// Publishes an index: writes what is new or has changed, reads it back, and names it in the manifests. What was published
    /// before a stop or a failure is not written again. A video that cannot be published is named in the report, the others go
    /// on. Reports the stage `publishing` in videos.
    ///
    /// # Errors
    /// [`RemoteError::Bundle`] for a store with records of another bundle; [`RemoteError::Cancelled`];
    /// [`RemoteError::Store`] for one that fails again and again.
    pub async fn push(
        &self,
        index: &Index,
        options: PushOptions,
        control: &Control<'_>,
    ) -> Result<PushReport, RemoteError> {
        let mut report = PushReport::default();
        self.push_bundle(index, options, &mut report).await?;
        let (all, damaged) = index.survey()?;
        let unreadable = "what the index keeps of it is damaged: `vidsieve verify` tells more";
        report.failed.extend(damaged.iter().map(|id| PushNote::new(id, unreadable)));
        let total = all.len() as u64;
        let is_cancelled = |done: u64| {
            #[allow(clippy::cast_precision_loss)]
            control.report(&Progress::new("publishing", done as f64, Some(total as f64), Unit::Videos));
            control.is_cancelled()
        };
        let mut parts: BTreeMap<String, Vec<&Summary>> =
            (0..=255u8).map(|i| (format!("manifest/{i:02x}.json"), Vec::new())).collect();
        for summary in &all {
            parts.entry(manifest_of(&key(&summary.id))).or_default().push(summary);
        }
        let troubles = Troubles::default();
        let mut done = 0;
        for (name, videos) in parts {
            if is_cancelled(done) {
                return Err(RemoteError::Cancelled);
            }
            // What a damaged manifest named is written and named again.
            let (before, torn) = match self.read_json::<Part>(&name).await {
                Err(error @ RemoteError::Damaged { .. }) => {
                    report.mended.push(PushNote::new(&name, error));
                    (Part::new(), true)
                }
                other => (other?.unwrap_or_default(), false),
            };
            let mut after = before.clone();
            let work = self.work(&videos, &before, options, &troubles).await?;
            report.unchanged += work.unchanged;
            let stopped = self
                .write_videos(index, work, &mut after, options, &troubles, &mut report, || is_cancelled(done))
                .await?;
            if stopped {
                // What is written is named, so that the next call does not write it again.
                self.write_part(&name, &after).await?;
                return Err(RemoteError::Cancelled);
            }
            let gone: Vec<String> = if options.prune {
                let here: BTreeSet<&str> =
                    videos.iter().map(|s| s.id.as_str()).chain(damaged.iter().map(String::as_str)).collect();
                after.keys().filter(|id| !here.contains(id.as_str())).cloned().collect()
            } else {
                Vec::new()
            };
            report.removed += gone.len() as u64;
            after.retain(|id, _| !gone.contains(id));
            if after != before || torn {
                report.writes += 1;
                if !options.dry_run {
                    // First the name goes, then the record.
                    self.write_part(&name, &after).await?;
                    for id in &gone {
                        self.remove(id).await?;
                    }
                }
            }
            done += videos.len() as u64;
        }
        is_cancelled(total);
        report.mended.sort();
        report.failed.sort();
        Ok(report)
    }

    /// Publishes the bundle, and says that the store holds records of it.
    async fn push_bundle(
        &self,
        index: &Index,
        options: PushOptions,
        report: &mut PushReport,
    ) -> Result<(), RemoteError> {
        let (found, torn) = match self.bundle().await {
            Err(error @ RemoteError::Damaged { .. }) if options.check => (None, Some(error.to_string())),
            other => (other?, None),
        };
        if let Some(found) = found.filter(|found| *found != index.bundle()) {
            let expected = index.bundle();
            return Err(RemoteError::Bundle { location: self.location.clone(), expected, found });
        }
        let bytes = index.bundle_bytes()?;
        let there = if options.check { self.bundle_bytes().await? } else { None };
        let same = there.as_ref() == Some(&bytes);
        let mut writes = Vec::new();
        if !same && (found.is_none() || options.check) {
            writes.push(BUNDLE);
        }
        if found.is_none() {
            writes.push(META);
        }
        report.writes += writes.len() as u64;
        if (found.is_some() || torn.is_some()) && !same && options.check {
            let reason = if there.is_some() { "it is not the index's bundle" } else { "it is lost" };
            report.mended.push(PushNote::new(BUNDLE, reason));
        }
        report.mended.extend(torn.map(|reason| PushNote::new(META, reason)));
        if options.dry_run {
            return Ok(());
        }
        if writes.contains(&BUNDLE) {
            self.write(BUNDLE, bytes).await?;
        }
        if writes.contains(&META) {
            let meta = Meta { version: VERSION, bundle: index.bundle().to_string() };
            self.write(META, serde_json::to_vec(&meta).map_err(|e| self.damaged(META, e))?).await?;
        }
        Ok(())
    }

    /// Which of a manifest's videos are written.
    async fn work<'a>(
        &self,
        videos: &[&'a Summary],
        before: &Part,
        options: PushOptions,
        troubles: &Troubles,
    ) -> Result<Work<'a>, RemoteError> {
        let wanted = |summary: &Summary| before.get(&summary.id).is_none_or(|there| *there != published(summary));
        let (changed, same): (Vec<&Summary>, Vec<&Summary>) = videos.iter().copied().partition(|s| wanted(s));
        let mut changed: Vec<_> = changed.into_iter().map(|summary| (summary, None)).collect();
        let mut unchanged = same.len();
        if options.check {
            let damaged = self.damaged_of(&same, troubles).await?;
            unchanged -= damaged.len();
            changed.extend(damaged.into_iter().map(|(summary, reason)| (summary, Some(reason))));
        }
        Ok(Work { changed, unchanged: unchanged as u64 })
    }

    /// Writes videos and names them; whether it was stopped.
    #[allow(clippy::too_many_arguments)]
    async fn write_videos(
        &self,
        index: &Index,
        work: Work<'_>,
        after: &mut Part,
        options: PushOptions,
        troubles: &Troubles,
        report: &mut PushReport,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<bool, RemoteError> {
        let mut written = |summary: &Summary, mended: &Option<String>, report: &mut PushReport| {
            report.written += 1;
            report.writes += 1;
            report.bytes += summary.bytes;
            report.mended.extend(mended.as_ref().map(|reason| PushNote::new(&summary.id, reason)));
            after.insert(summary.id.clone(), published(summary));
        };
        if options.dry_run {
            work.changed.iter().for_each(|(summary, mended)| written(summary, mended, report));
            return Ok(false);
        }
        // Few enough records at a time that memory does not grow with the index.
        for batch in work.changed.chunks(4 * CONCURRENCY) {
            let ids: Vec<&str> = batch.iter().map(|(summary, _)| summary.id.as_str()).collect();
            let mut writing = stream::iter(index.records(&ids)?.into_iter().zip(batch))
                .map(|(record, of)| async move { (of, self.publish(record, of.0).await) })
                .buffer_unordered(CONCURRENCY);
            while let Some(((summary, mended), done)) = writing.next().await {
                match troubles.of_video(done)? {
                    Ok(()) => written(summary, mended, report),
                    Err(reason) => report.failed.push(PushNote::new(&summary.id, reason)),
                }
            }
            if is_cancelled() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn write_part(&self, name: &str, part: &Part) -> Result<(), RemoteError> {
        self.write(name, serde_json::to_vec(part).map_err(|e| self.damaged(name, e))?).await
    }

    /// Writes a record and reads it back.
    async fn publish(
        &self,
        record: Option<Result<Record<Vec<u8>>, RecordError>>,
        summary: &Summary,
    ) -> Result<(), RemoteError> {
        let id = &summary.id;
        let wrong = |source| RemoteError::Index(IndexError::Record { id: id.clone(), source });
        let record = record.ok_or_else(|| wrong(RecordError::NotARecord))?.map_err(wrong)?;
        self.put(id, &record).await?;
        for read in 1.. {
            let wrong = match self.get(id).await? {
                Some(Ok(back)) if back == record => break,
                Some(Ok(_)) => self.damaged(&key(id), "another record came back than was written"),
                Some(Err(error)) => self.damaged(&key(id), error),
                None => self.damaged(&key(id), "it is not there after it was written"),
            };
            // Copies of a store that are far from one another agree after a while.
            match self.retry.pause(read, None) {
                Some(pause) if read < READS => tokio::time::sleep(pause).await,
                _ => return Err(wrong),
            }
        }
        Ok(())
    }

    /// Those whose record there is not what the index has, and why.
    async fn damaged_of<'a>(
        &self,
        videos: &[&'a Summary],
        troubles: &Troubles,
    ) -> Result<Vec<(&'a Summary, String)>, RemoteError> {
        let mut reading = stream::iter(videos)
            .map(|summary| async move { (*summary, self.get(&summary.id).await) })
            .buffer_unordered(CONCURRENCY);
        let mut damaged = Vec::new();
        while let Some((summary, found)) = reading.next().await {
            let wrong = match troubles.of_video(found)? {
                Ok(Some(Ok(record))) if record.checksum() == summary.checksum => continue,
                Ok(Some(Ok(_))) => "another record is there".to_owned(),
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "its record is lost".to_owned(),
                Err(reason) => reason,
            };
            damaged.push((summary, wrong));
        }
        Ok(damaged)
    }
}
