//! A full shard gives half of its videos to a new one.
//!
//! The videos are copied some at a time. Meanwhile the shard answers and takes writes as before; a video that changes after it was
//! copied is copied again, and one that is removed is reported to the new shard. When nothing is left to copy, the shard hands over: in one step without a
//! wait its depth grows and the videos that moved leave it. From then on its answers name the new shard. The new one is
//! not asked before, since no answer names it.

use vidsieve_edge::{EdgeError, now, with_body};
use worker::Method;

use super::{Loaded, Shard, failed};
use crate::message::{Moving, SHARD, Take, join};
use crate::shard::sql::Row;

/// Videos that are copied at a time.
const BATCH: usize = 64;
/// Milliseconds after which a shard that is being split lets others have their turn.
const TURN: f64 = 10_000.0;

/// Videos that are copied together, ids that were removed, and the message that tells of them.
struct Copying {
    rows: Vec<Row>,
    removed: Vec<String>,
    message: Vec<u8>,
}

impl Loaded {
    /// Takes over videos of a shard that splits.
    pub(super) fn take(&mut self, take: Take, bytes: &[u8]) -> Result<(), EdgeError> {
        let at = super::seconds();
        for id in &take.removed {
            self.take_out(id)?;
        }
        let mut rest = bytes;
        let mut next = |length: usize| -> Result<&[u8], EdgeError> {
            let (part, after) = rest.split_at_checked(length).ok_or_else(|| failed(&"a message that is cut off"))?;
            rest = after;
            Ok(part)
        };
        for Moving { row, vector_bytes, windows_bytes, record_bytes } in &take.videos {
            let (vector, windows, record) = (next(*vector_bytes)?, next(*windows_bytes)?, next(*record_bytes)?);
            self.add(row, vector, windows)?;
            if !record.is_empty() {
                self.sql.keep(&row.id, record, at)?;
            }
        }
        for (id, checksum) in &take.replaced {
            if self.sql.video(id)?.is_none_or(|row| row.of.checksum != *checksum) {
                self.sql.replaced(id, checksum, at)?;
            }
        }
        Ok(())
    }

    /// The next videos to copy, as a message; nothing when all are there.
    fn next_batch(&mut self) -> Result<Option<Copying>, EdgeError> {
        if !self.splitting {
            self.sql.set_meta("splitting", "yes")?;
            self.splitting = true;
        }
        let (rows, removed) = self.sql.to_move(self.depth, BATCH)?;
        if rows.is_empty() && removed.is_empty() {
            return Ok(None);
        }
        let (mut videos, mut bytes) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let record = if row.recent { self.sql.kept(&row.of.id)?.unwrap_or_default() } else { Vec::new() };
            bytes.extend(&row.vector);
            bytes.extend(&row.windows);
            bytes.extend(&record);
            videos.push(Moving {
                row: row.of.clone(),
                vector_bytes: row.vector.len(),
                windows_bytes: row.windows.len(),
                record_bytes: record.len(),
            });
        }
        let replaced = self.sql.replaced_to_move(self.depth)?;
        let message = join(&Take { removed: removed.clone(), replaced, videos }, &bytes);
        Ok(Some(Copying { rows, removed, message }))
    }

    /// Hands over what moved.
    fn hand_over(&mut self) -> Result<(), EdgeError> {
        let numbers = self.sql.hand_over(self.depth)?;
        self.sql.set_meta("depth", &(self.depth + 1).to_string())?;
        self.sql.set_meta("splitting", "no")?;
        self.depth += 1;
        self.splitting = false;
        for number in numbers {
            self.table.remove(number);
        }
        Ok(())
    }
}

impl Shard {
    /// Copies to the new shard until all is there and handed over, or the turn is up: another alarm goes on.
    pub(super) async fn split_off(&self, name: &str) -> Result<(), EdgeError> {
        let child = self.with(name, |l| Ok(format!("{}/{}", l.base, l.shard.child(l.depth).name())))?;
        let fail = EdgeError::runtime("asking a new shard");
        let namespace = self.env.durable_object("SHARDS").map_err(&fail)?;
        let stub = namespace.get_by_name(&child).map_err(&fail)?;
        let end = now() + TURN;
        while now() < end {
            // Nothing waits between the look at what is left and the hand-over.
            let batch = self.with(name, |l| {
                let batch = l.next_batch()?;
                if batch.is_none() {
                    l.hand_over()?;
                }
                Ok(batch)
            })?;
            let Some(Copying { rows, removed, message }) = batch else { return Ok(()) };
            let request = with_body("https://shard/take", Method::Post, &[(SHARD, &child)], &message)?;
            let answer = stub.fetch_with_request(request).await.map_err(&fail)?;
            if answer.status_code() != 200 {
                return Err(EdgeError::Answer { who: "a new shard", what: format!("status {}", answer.status_code()) });
            }
            self.with(name, |l| {
                rows.iter().try_for_each(|row| l.sql.copied(row))?;
                removed.iter().try_for_each(|id| l.sql.told(id))
            })?;
        }
        Ok(())
    }
}
