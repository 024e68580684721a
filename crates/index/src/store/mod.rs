//! The embedded store: a folder with a redb file and the bundle that made its records.
//!
//! | file | holds |
//! |---|---|
//! | `index.redb` | records, and beside them what a scan needs: vectors, scalars, windows, sources; decisions of people |
//! | `model.safetensors` | the bundle, so that an index is complete in itself |
//!
//! Every change is one transaction: it is there as a whole, on the disk, or not at all, whenever the process or the machine
//! stops. One process writes at a time; others read what was committed before each of their calls. Where a file system has no
//! locks of parts of files, a writer is alone.

mod backup;
mod create;
mod decisions;
mod error;
mod handle;
mod holder;
mod open;
mod overlay;
mod rows;
mod scan;
mod verify;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};

use vidsieve_record::id::is_id;
use vidsieve_record::{BundleId, PlacedWindow, Record, RecordError};

use handle::{Handle, Writing};
use holder::HolderNote;
use rows::{Reader, read_row, row, with_source};

pub use backup::BackupReport;
pub use decisions::DecisionEntry;
pub use error::IndexError;
pub use holder::IndexHolder;
pub use rows::{Columns, Entry, Source, Summary};
pub use verify::RecordCheck;

/// The version of the folder that this code writes, and the only one that it reads.
pub const VERSION: u32 = 3;

const FILE: &str = "index.redb";
const MODEL: &str = "model.safetensors";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");
const WINDOWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("windows");
const FAILURES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("failures");
const DECISIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("decisions");

/// What [`Index::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The video is new.
    Added,
    /// There was another record.
    Replaced,
    /// The very record was there.
    Unchanged,
}

/// A file that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The file as it was.
    pub source: Source,
    /// Why.
    pub reason: String,
}

/// An index on the disk.
pub struct Index {
    folder: PathBuf,
    /// Removes the note of who writes the index, before the next process can write its own.
    _holder: Option<HolderNote>,
    handle: Handle,
    bundle: BundleId,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("folder", &self.folder).field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Index {
    fn reading(&self) -> Result<ReadTransaction, IndexError> {
        self.handle.reading()
    }

    fn writing(&self) -> Result<Writing<'_>, IndexError> {
        self.handle.writing(0)
    }

    fn fail(&self, error: redb::Error) -> IndexError {
        self.handle.fail(error)
    }

    /// Reads once more where the database was closed meanwhile.
    fn again<T>(read: impl Fn() -> Result<T, IndexError>) -> Result<T, IndexError> {
        match read() {
            Err(IndexError::Interrupted(_)) => read(),
            other => other,
        }
    }

    /// The bytes of records that the disk has room for; `None` where the system does not say.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        self.handle.room().map(|room| room / 2)
    }

    /// Bytes of the database's file.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn file_bytes(&self) -> Result<u64, IndexError> {
        let path = self.folder.join(FILE);
        fs::metadata(&path).map(|meta| meta.len()).map_err(|source| IndexError::Io { path, source })
    }

    /// Writes a value that means nothing: whether the index can be written.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn check_writes(&self) -> Result<(), IndexError> {
        self.set_setting("probe", &now().to_string())
    }

    fn damaged(&self, detail: impl Into<String>) -> IndexError {
        IndexError::Damaged { path: self.folder.clone(), detail: detail.into() }
    }

    fn bad_row(&self, id: &str) -> IndexError {
        self.bad_video(id, "what is kept beside its record is damaged")
    }

    fn bad_video(&self, id: &str, detail: &str) -> IndexError {
        IndexError::Video { path: self.folder.clone(), id: id.to_owned(), detail: detail.to_owned() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bundle of all records.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.bundle
    }

    /// The bundle's bytes.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn bundle_bytes(&self) -> Result<Vec<u8>, IndexError> {
        let path = self.folder.join(MODEL);
        fs::read(&path).map_err(|source| IndexError::Io { path, source })
    }

    /// Videos.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn len(&self) -> Result<u64, IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        rows.len().map_err(|e| self.fail(e.into()))
    }

    /// Whether there are no videos.
    ///
    /// # Errors
    /// As [`Index::len`].
    pub fn is_empty(&self) -> Result<bool, IndexError> {
        Ok(self.len()? == 0)
    }

    /// Adds a video or replaces it. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put<B: AsRef<[u8]>>(&self, id: &str, record: &Record<B>, source: &Source) -> Result<Put, IndexError> {
        let done = self.put_many(&[(id, record.view(), source)])?;
        Ok(done.first().copied().unwrap_or(Put::Unchanged))
    }

    /// Adds or replaces several videos, all of them or none.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put_many(&self, videos: &[(&str, Record<&[u8]>, &Source)]) -> Result<Vec<Put>, IndexError> {
        for (id, record, _) in videos {
            if !is_id(id) {
                return Err(IndexError::Id(id.chars().take(80).collect()));
            }
            record.expect(&self.bundle).map_err(|source| IndexError::Record { id: (*id).to_owned(), source })?;
        }
        let bytes = videos.iter().map(|(_, record, source)| (record.as_bytes().len() + source.path.len()) as u64).sum();
        let transaction = self.handle.writing(bytes)?;
        let mut done = Vec::with_capacity(videos.len());
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let mut kept = transaction.open_table(WINDOWS).map_err(|e| self.fail(e.into()))?;
            let mut failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
            for (id, record, source) in videos {
                let before = records.insert(*id, record.as_bytes()).map_err(|e| self.fail(e.into()))?;
                let put = match before {
                    None => Put::Added,
                    Some(old) if old.value() == record.as_bytes() => Put::Unchanged,
                    Some(_) => Put::Replaced,
                };
                let row = row(record, source, now());
                rows.insert(*id, row.as_slice()).map_err(|e| self.fail(e.into()))?;
                match record.shape().windows {
                    0 => kept.remove(*id),
                    _ => kept.insert(*id, PlacedWindow::to_bytes(record.placed_windows()).as_slice()),
                }
                .map_err(|e| self.fail(e.into()))?;
                failures.remove(source.path.as_slice()).map_err(|e| self.fail(e.into()))?;
                done.push(put);
            }
        }
        transaction.commit().map_err(|e| self.fail(e))?;
        Ok(done)
    }

    /// A video with its record.
    ///
    /// # Errors
    /// [`IndexError::Record`] for a damaged record.
    pub fn get(&self, id: &str) -> Result<Option<Entry>, IndexError> {
        Self::again(|| self.entry(id))
    }

    fn entry(&self, id: &str) -> Result<Option<Entry>, IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let Some(row) = rows.get(id).map_err(|e| self.fail(e.into()))? else { return Ok(None) };
        let (_, summary, _) = read_row(id, row.value()).ok_or_else(|| self.bad_row(id))?;
        let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
        let bytes = records.get(id).map_err(|e| self.fail(e.into()))?;
        let bytes = bytes.ok_or_else(|| IndexError::Lost(id.to_owned()))?.value().to_vec();
        let record = Record::parse(bytes).map_err(|source| IndexError::Record { id: id.to_owned(), source })?;
        Ok(Some(Entry { record, summary }))
    }

    /// The records of several videos; `None` for one that is not there, an error in its place for one that is damaged.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be read.
    #[allow(clippy::type_complexity)]
    pub fn records<S: AsRef<str>>(
        &self,
        ids: &[S],
    ) -> Result<Vec<Option<Result<Record<Vec<u8>>, RecordError>>>, IndexError> {
        Self::again(|| {
            let transaction = self.reading()?;
            let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            ids.iter()
                .map(|id| {
                    let bytes = records.get(id.as_ref()).map_err(|e| self.fail(e.into()))?;
                    Ok(bytes.map(|bytes| Record::parse(bytes.value().to_vec())))
                })
                .collect()
        })
    }

    /// Removes a video, a damaged one as well; tells whether it was there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn remove(&self, id: &str) -> Result<bool, IndexError> {
        Ok(self.remove_many(&[id])?.contains(&true))
    }

    /// Removes several videos, all of them or none; tells of each whether anything of it was there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn remove_many<S: AsRef<str>>(&self, ids: &[S]) -> Result<Vec<bool>, IndexError> {
        let transaction = self.writing()?;
        let mut vacated = 0;
        let mut removed = Vec::with_capacity(ids.len());
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let mut windows = transaction.open_table(WINDOWS).map_err(|e| self.fail(e.into()))?;
            for id in ids {
                windows.remove(id.as_ref()).map_err(|e| self.fail(e.into()))?;
                let record = records.remove(id.as_ref()).map_err(|e| self.fail(e.into()))?;
                vacated += record.as_ref().map_or(0, |record| record.value().len() as u64);
                let record = record.is_some();
                let row = rows.remove(id.as_ref()).map_err(|e| self.fail(e.into()))?.is_some();
                removed.push(record || row);
            }
        }
        transaction.commit().map_err(|e| self.fail(e))?;
        self.handle.vacate(vacated);
        Ok(removed)
    }

    /// What is known of a video, without its codes.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn summary(&self, id: &str) -> Result<Option<Summary>, IndexError> {
        Self::again(|| {
            let transaction = self.reading()?;
            let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let Some(row) = rows.get(id).map_err(|e| self.fail(e.into()))? else { return Ok(None) };
            let (_, summary, _) = read_row(id, row.value()).ok_or_else(|| self.bad_row(id))?;
            Ok(Some(summary))
        })
    }

    /// A setting of the index, such as how its videos were sampled.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn setting(&self, key: &str) -> Result<Option<String>, IndexError> {
        let transaction = self.reading()?;
        let meta = transaction.open_table(META).map_err(|e| self.fail(e.into()))?;
        let value = meta.get(format!("setting.{key}").as_str()).map_err(|e| self.fail(e.into()))?;
        Ok(value.map(|v| String::from_utf8_lossy(v.value()).into_owned()))
    }

    /// Keeps a setting.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut meta = transaction.open_table(META).map_err(|e| self.fail(e.into()))?;
            meta.insert(format!("setting.{key}").as_str(), value.as_bytes()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e))
    }

    /// Gives videos other sources: their files were touched or lie elsewhere, their content is the same. Records are not read.
    /// Videos that are not there are passed over.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put_sources(&self, sources: &[(&str, &Source)]) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            for (id, source) in sources {
                let changed = {
                    let Some(kept) = rows.get(*id).map_err(|e| self.fail(e.into()))? else { continue };
                    with_source(id, kept.value(), source).ok_or_else(|| self.bad_row(id))?
                };
                rows.insert(*id, changed.as_slice()).map_err(|e| self.fail(e.into()))?;
            }
        }
        transaction.commit().map_err(|e| self.fail(e))
    }

    /// Gives a video another id and source, without reading its record: a file that was moved. A video that has the other id
    /// is replaced. Tells whether the video is there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn relabel(&self, from: &str, to: &str, source: &Source) -> Result<bool, IndexError> {
        if !is_id(to) {
            return Err(IndexError::Id(to.chars().take(80).collect()));
        }
        let transaction = self.writing()?;
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let record = records.remove(from).map_err(|e| self.fail(e.into()))?.map(|r| r.value().to_vec());
            let kept = rows.remove(from).map_err(|e| self.fail(e.into()))?.map(|r| r.value().to_vec());
            // A transaction that is dropped changes nothing.
            let (Some(record), Some(kept)) = (record, kept) else { return Ok(false) };
            let mut windows = transaction.open_table(WINDOWS).map_err(|e| self.fail(e.into()))?;
            let moved = windows.remove(from).map_err(|e| self.fail(e.into()))?.map(|w| w.value().to_vec());
            match moved {
                Some(moved) => windows.insert(to, moved.as_slice()),
                None => windows.remove(to),
            }
            .map_err(|e| self.fail(e.into()))?;
            let row = with_source(from, &kept, source).ok_or_else(|| self.bad_row(from))?;
            records.insert(to, record.as_slice()).map_err(|e| self.fail(e.into()))?;
            rows.insert(to, row.as_slice()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e))?;
        Ok(true)
    }

    /// Remembers a file that could not be indexed.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn put_failure(&self, failure: &Failure) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
            let mut value = failure.source.to_bytes();
            value.extend_from_slice(failure.reason.as_bytes());
            failures.insert(failure.source.path.as_slice(), value.as_slice()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e))
    }

    /// Files that could not be indexed, by path.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn failures(&self) -> Result<HashMap<Vec<u8>, Failure>, IndexError> {
        let transaction = self.reading()?;
        let failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
        let mut all = HashMap::new();
        for item in failures.iter().map_err(|e| self.fail(e.into()))? {
            let (path, value) = item.map_err(|e| self.fail(e.into()))?;
            let mut reader = Reader(value.value());
            let source = Source::read(&mut reader).ok_or_else(|| self.damaged("a failure that was remembered"))?;
            let reason = String::from_utf8_lossy(reader.0).into_owned();
            all.insert(path.value().to_vec(), Failure { source, reason });
        }
        Ok(all)
    }

    /// Gives free space back to the file system; tells the bytes before and after.
    ///
    /// # Errors
    /// [`IndexError::ReadOnly`], [`IndexError::InUse`] while another process reads, [`IndexError::Io`].
    pub fn compact(&mut self) -> Result<(u64, u64), IndexError> {
        let path = self.folder.join(FILE);
        let size =
            || fs::metadata(&path).map(|m| m.len()).map_err(|source| IndexError::Io { path: path.clone(), source });
        let before = size()?;
        let Some(database) = self.handle.database() else {
            return Err(IndexError::ReadOnly(self.folder.clone()));
        };
        match database.compact() {
            Ok(_) => Ok((before, size()?)),
            // Another process reads: its pages cannot be moved.
            Err(redb::CompactionError::TransactionInProgress) => Err(IndexError::InUse(self.folder.clone())),
            Err(error) => Err(self.fail(error.into())),
        }
    }
}
