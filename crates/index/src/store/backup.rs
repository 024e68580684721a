//! Copies of an index, also while another process writes it.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable, TableDefinition, TableHandle};
use vidsieve_progress::{Control, Progress, Unit};

use super::error::{database_error, storage_error};
use super::verify::{Kept, RecordCheck, Tables};
use super::{FAILURES, FILE, Index, IndexError, META, MODEL, RECORDS, ROWS, WINDOWS};

/// The result of [`Index::copy_to`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Videos of the copy.
    pub videos: usize,
    /// Ids of videos that are damaged and were left out, and what is wrong.
    pub damaged: Vec<(String, String)>,
    /// Videos that could not even be named.
    pub nameless: usize,
}

/// Bytes of records that are written in one transaction.
const BATCH: usize = 32 << 20;

/// A folder that is removed unless it gets its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After it got its name there is nothing to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Index {
    /// Copies the index into a folder that does not exist: all sound videos, settings and the bundle, as they are at one
    /// moment. The folder is there as a whole or not at all, and is an index. Reports the stage `copying` in videos.
    /// `None` if it was cancelled.
    ///
    /// # Errors
    /// [`IndexError::Exists`], [`IndexError::Io`] for a folder that cannot be written; [`IndexError::Damaged`] for an index
    /// that cannot be read at all.
    pub fn copy_to(&self, to: &Path, control: &Control<'_>) -> Result<Option<BackupReport>, IndexError> {
        if to.exists() {
            return Err(IndexError::Exists(to.to_owned()));
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IndexError::Io { path, source }
        };
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let unfinished = Unfinished(to.with_file_name(name));
        let folder = unfinished.0.as_path();
        fs::create_dir_all(folder).map_err(io(folder))?;
        let model = folder.join(MODEL);
        fs::write(&model, self.bundle_bytes()?)
            .and_then(|()| fs::File::open(&model)?.sync_all())
            .map_err(io(&model))?;
        let database = Database::create(folder.join(FILE)).map_err(|e| database_error(folder, e))?;
        let copied = self.copy_tables(&database, folder, control)?;
        // It is closed, and with that complete, before it gets its name.
        drop(database);
        let Some(report) = copied else { return Ok(None) };
        fs::rename(folder, to).map_err(io(to))?;
        #[cfg(unix)]
        if let Some(parent) = to.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            fs::File::open(parent).and_then(|f| f.sync_all()).map_err(io(parent))?;
        }
        Ok(Some(report))
    }

    fn copy_tables(
        &self,
        database: &Database,
        folder: &Path,
        control: &Control<'_>,
    ) -> Result<Option<BackupReport>, IndexError> {
        let write = |values: &mut Vec<(String, Kept)>| -> Result<(), IndexError> {
            let fail = |e: redb::Error| storage_error(folder, e);
            let transaction = database.begin_write().map_err(|e| fail(e.into()))?;
            {
                let mut records = transaction.open_table(RECORDS).map_err(|e| fail(e.into()))?;
                let mut rows = transaction.open_table(ROWS).map_err(|e| fail(e.into()))?;
                let mut windows = transaction.open_table(WINDOWS).map_err(|e| fail(e.into()))?;
                for (id, kept) in values.drain(..) {
                    records.insert(id.as_str(), kept.record.as_slice()).map_err(|e| fail(e.into()))?;
                    rows.insert(id.as_str(), kept.row.as_slice()).map_err(|e| fail(e.into()))?;
                    if let Some(value) = kept.windows {
                        windows.insert(id.as_str(), value.as_slice()).map_err(|e| fail(e.into()))?;
                    }
                }
            }
            transaction.commit().map_err(|e| fail(e.into()))
        };
        self.copy_others(database, folder)?;
        let mut check = RecordCheck::default();
        let mut tables = Tables::open(self)?;
        let ids = tables.reachable_ids(self, &mut check)?;
        let (mut pending, mut bytes, mut videos, mut failed) = (Vec::new(), 0, 0, Ok(()));
        #[allow(clippy::cast_precision_loss)]
        tables.look_at(self, &ids, &mut check, &mut |check, id, kept| {
            control.report(&Progress::new("copying", check.checked as f64, Some(ids.len() as f64), Unit::Videos));
            if let Some(kept) = kept {
                bytes += kept.record.len();
                videos += 1;
                pending.push((id.to_owned(), kept));
            }
            if bytes > BATCH {
                bytes = 0;
                failed = write(&mut pending);
            }
            failed.is_ok() && !control.is_cancelled()
        })?;
        failed?;
        if control.is_cancelled() {
            return Ok(None);
        }
        write(&mut pending)?;
        Ok(Some(BackupReport { videos, damaged: check.damaged, nameless: check.nameless }))
    }

    /// Copies all tables but those of the videos.
    fn copy_others(&self, database: &Database, folder: &Path) -> Result<(), IndexError> {
        let fail = |e: redb::Error| storage_error(folder, e);
        let source = self.reading()?;
        let target = database.begin_write().map_err(|e| fail(e.into()))?;
        for table in [RECORDS, ROWS, WINDOWS] {
            target.open_table(table).map_err(|e| fail(e.into()))?;
        }
        target.open_table(META).map_err(|e| fail(e.into()))?;
        target.open_table(FAILURES).map_err(|e| fail(e.into()))?;
        let names: Vec<String> =
            source.list_tables().map_err(|e| self.fail(e.into()))?.map(|table| table.name().to_owned()).collect();
        for name in names.iter().map(String::as_str) {
            if [RECORDS.name(), ROWS.name(), WINDOWS.name()].contains(&name) {
                continue;
            }
            // Keys are texts, or paths.
            let by_text: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(name);
            let by_bytes: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
            if let Ok(from) = source.open_table(by_text) {
                let mut to = target.open_table(by_text).map_err(|e| fail(e.into()))?;
                for item in from.iter().map_err(|e| self.fail(e.into()))? {
                    let (key, value) = item.map_err(|e| self.fail(e.into()))?;
                    to.insert(key.value(), value.value()).map_err(|e| fail(e.into()))?;
                }
            } else {
                let from = source.open_table(by_bytes).map_err(|e| self.fail(e.into()))?;
                let mut to = target.open_table(by_bytes).map_err(|e| fail(e.into()))?;
                for item in from.iter().map_err(|e| self.fail(e.into()))? {
                    let (key, value) = item.map_err(|e| self.fail(e.into()))?;
                    to.insert(key.value(), value.value()).map_err(|e| fail(e.into()))?;
                }
            }
        }
        target.commit().map_err(|e| fail(e.into()))
    }
}
