//! Records of an index for many comparisons.

use std::collections::{BTreeSet, HashMap};

use vidsieve_index::store::Summary;
use vidsieve_record::Record;
use vidsieve_search::Table;

use crate::Error;
use crate::archive::Archive;

/// Reads records, and keeps them all in memory if they are few.
pub(super) struct RecordReader<'a> {
    archive: &'a Archive,
    table: &'a Table,
    kept: Option<Vec<Option<Record<Vec<u8>>>>>,
}

impl<'a> RecordReader<'a> {
    /// The most bytes of records that are kept in memory.
    const MOST: u64 = 512 << 20;

    pub(super) fn new(archive: &'a Archive, table: &'a Table, summaries: &HashMap<String, Summary>) -> Self {
        let few = summaries.values().map(|s| s.bytes).sum::<u64>() <= Self::MOST;
        Self { archive, table, kept: few.then(|| vec![None; table.len()]) }
    }

    /// Returns the records of videos, in order; ids of those that cannot be read are added to `missing`.
    pub(super) fn records(
        &mut self,
        videos: &[usize],
        missing: &mut BTreeSet<String>,
    ) -> Result<Vec<Option<Record<Vec<u8>>>>, Error> {
        let unread: Vec<usize> = match &self.kept {
            Some(kept) => videos.iter().copied().filter(|&v| kept[v].is_none()).collect(),
            None => videos.to_vec(),
        };
        let ids: Vec<&str> = unread.iter().map(|&v| self.table.id(v)).collect();
        let mut read = Vec::with_capacity(ids.len());
        for (record, id) in self.archive.fetch(&ids)?.into_iter().zip(ids) {
            if record.is_err() {
                missing.insert(id.to_owned());
            }
            read.push(record.ok());
        }
        let Some(kept) = &mut self.kept else { return Ok(read) };
        for (video, record) in unread.into_iter().zip(read) {
            kept[video] = record;
        }
        Ok(videos.iter().map(|&v| kept[v].clone()).collect())
    }

    /// Returns the record of a video, as [`RecordReader::records`] does.
    pub(super) fn record(
        &mut self,
        video: usize,
        missing: &mut BTreeSet<String>,
    ) -> Result<Option<Record<Vec<u8>>>, Error> {
        Ok(self.records(&[video], missing)?.pop().flatten())
    }
}
