//! Publishing an index to a store.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::{
    CONCURRENCY, Meta, Part, Published, PushOptions, PushReport, Remote, RemoteError, VERSION, key, manifest_of,
};
use crate::retry::READS;
use crate::store::{Index, IndexError, Summary};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::{Record, RecordError};

impl Remote {
    /// Publishes an index: writes what is new or has changed, reads it back, and names it in the manifests. What was published
    /// before a stop or a failure is not written again. Reports the stage `publishing` in videos.
    ///
    /// # Errors
    /// [`RemoteError::Bundle`] for a store with records of another bundle; [`RemoteError::Cancelled`].
    pub async fn push(
        &self,
        index: &Index,
        options: PushOptions,
        control: &Control<'_>,
    ) -> Result<PushReport, RemoteError> {
        let mut report = PushReport::default();
        match self.bundle().await? {
            Some(found) if found != index.bundle() => {
                let expected = index.bundle();
                return Err(RemoteError::Bundle { location: self.location.clone(), expected, found });
            }
            Some(_) => {}
            None => {
                report.writes += 2;
                if !options.dry_run {
                    self.write("bundle.safetensors", index.bundle_bytes()?).await?;
                    let meta = Meta { version: VERSION, bundle: index.bundle().to_string() };
                    self.write("meta.json", serde_json::to_vec(&meta).map_err(|e| self.damaged("meta.json", e))?)
                        .await?;
                }
            }
        }
        let all = index.list()?;
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
        let mut done = 0;
        for (name, videos) in parts {
            if is_cancelled(done) {
                return Err(RemoteError::Cancelled);
            }
            // What a damaged manifest named is written and named again.
            let (before, damaged) = match self.read_json::<Part>(&name).await {
                Err(RemoteError::Damaged { .. }) => (Part::new(), true),
                other => (other?.unwrap_or_default(), false),
            };
            let mut after = before.clone();
            let wanted = |s: &&&Summary| {
                before.get(&s.id).is_none_or(|p| p.checksum != format!("{:016x}", s.checksum) || p.bytes != s.bytes)
            };
            let (mut changed, same): (Vec<&Summary>, Vec<&Summary>) = videos.iter().copied().partition(|s| wanted(&s));
            if options.check {
                changed.extend(self.damaged_of(&same).await?);
            }
            report.unchanged += (videos.len() - changed.len()) as u64;
            report.written += changed.len() as u64;
            report.writes += changed.len() as u64;
            report.bytes += changed.iter().map(|s| s.bytes).sum::<u64>();
            if !options.dry_run {
                // Few enough records at a time that memory does not grow with the index.
                for batch in changed.chunks(4 * CONCURRENCY) {
                    let ids: Vec<&str> = batch.iter().map(|s| s.id.as_str()).collect();
                    let mut writing = stream::iter(index.records(&ids)?.into_iter().zip(batch))
                        .map(|(record, summary)| self.publish(record, summary))
                        .buffer_unordered(CONCURRENCY);
                    while let Some(written) = writing.next().await {
                        let (id, published) = written?;
                        after.insert(id, published);
                    }
                    if is_cancelled(done) {
                        // What is written is named, so that the next call does not write it again.
                        self.write_part(&name, &after).await?;
                        return Err(RemoteError::Cancelled);
                    }
                }
            } else {
                after.extend(
                    changed.iter().map(|s| {
                        (s.id.clone(), Published { checksum: format!("{:016x}", s.checksum), bytes: s.bytes })
                    }),
                );
            }
            let gone: Vec<String> = if options.prune {
                let here: BTreeSet<&str> = videos.iter().map(|s| s.id.as_str()).collect();
                after.keys().filter(|id| !here.contains(id.as_str())).cloned().collect()
            } else {
                Vec::new()
            };
            report.removed += gone.len() as u64;
            after.retain(|id, _| !gone.contains(id));
            if after != before || damaged {
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
        Ok(report)
    }

    async fn write_part(&self, name: &str, part: &Part) -> Result<(), RemoteError> {
        self.write(name, serde_json::to_vec(part).map_err(|e| self.damaged(name, e))?).await
    }

    /// Writes a record and reads it back.
    async fn publish(
        &self,
        record: Option<Result<Record<Vec<u8>>, RecordError>>,
        summary: &Summary,
    ) -> Result<(String, Published), RemoteError> {
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
        let bytes = record.as_bytes().len() as u64;
        Ok((id.clone(), Published { checksum: format!("{:016x}", record.checksum()), bytes }))
    }

    /// Those whose record there is not what the index has.
    async fn damaged_of<'a>(&self, videos: &[&'a Summary]) -> Result<Vec<&'a Summary>, RemoteError> {
        let mut reading = stream::iter(videos)
            .map(|summary| async move { Ok::<_, RemoteError>((*summary, self.get(&summary.id).await?)) })
            .buffer_unordered(CONCURRENCY);
        let mut damaged = Vec::new();
        while let Some(read) = reading.next().await {
            let (summary, found) = read?;
            if !matches!(found, Some(Ok(record)) if record.checksum() == summary.checksum) {
                damaged.push(summary);
            }
        }
        Ok(damaged)
    }
}
