//! Checking an index: every record, and the pages of the database.
//!
//! A damaged page is damage of what it holds. Each video is looked at by itself, and what cannot be reached is left out, so that
//! one damaged page does not hide the others. Nothing is written.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata, TableDefinition};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::{BundleId, PlacedWindow, Record};

use super::open::exclusive;
use super::overlay::Overlay;
use super::rows::{read_row, row};
use super::{FILE, Index, IndexError, RECORDS, ROWS, WINDOWS};

/// The result of [`Index::verify`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordCheck {
    /// Videos of the index.
    pub videos: usize,
    /// Videos that were checked; fewer if the check was cancelled.
    pub checked: usize,
    /// Ids of videos whose record is damaged or missing, and what is wrong.
    pub damaged: Vec<(String, String)>,
    /// Whether a page could not be read: then `remove` may not work, and the sound videos have to be copied.
    pub unreadable: bool,
    /// Other videos of the index that cannot even be named.
    pub nameless: usize,
}

/// What is kept of a video.
pub(super) struct Kept {
    pub(super) record: Vec<u8>,
    pub(super) row: Vec<u8>,
    pub(super) windows: Option<Vec<u8>>,
}

/// The tables of a snapshot.
pub(super) struct Tables {
    records: ReadOnlyTable<&'static str, &'static [u8]>,
    rows: ReadOnlyTable<&'static str, &'static [u8]>,
    windows: ReadOnlyTable<&'static str, &'static [u8]>,
}

/// Runs something that reads a database with damaged pages, which may reach a state that it takes for impossible.
fn guarded<T>(index: &Index, read: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(index.damaged("its pages contradict one another")))
}

impl Tables {
    pub(super) fn open(index: &Index) -> Result<Self, IndexError> {
        guarded(index, || {
            let transaction = index.reading()?;
            let open = |table: TableDefinition<'static, &'static str, &'static [u8]>| {
                transaction.open_table(table).map_err(|e| index.fail(e.into()))
            };
            Ok(Self { records: open(RECORDS)?, rows: open(ROWS)?, windows: open(WINDOWS)? })
        })
    }

    /// Returns the ids that can be reached: from the first one, and where that ends at a damaged page from the last one.
    pub(super) fn reachable_ids(
        &mut self,
        index: &Index,
        report: &mut RecordCheck,
    ) -> Result<BTreeSet<String>, IndexError> {
        let mut ids = BTreeSet::new();
        for (of_rows, backwards) in [(true, false), (true, true), (false, false), (false, true)] {
            if backwards && !report.unreadable {
                continue;
            }
            let read = guarded(index, || {
                let table = if of_rows { &self.rows } else { &self.records };
                let mut all = table.iter().map_err(|e| index.fail(e.into()))?;
                while let Some(item) = if backwards { all.next_back() } else { all.next() } {
                    let (id, _) = item.map_err(|e| index.fail(e.into()))?;
                    ids.insert(id.value().to_owned());
                }
                Ok(())
            });
            if read.is_err() {
                report.unreadable = true;
                *self = Self::open(index)?;
            }
        }
        let all = guarded(index, || self.rows.len().map_err(|e| index.fail(e.into())));
        let all = all.ok().and_then(|n| usize::try_from(n).ok());
        report.nameless = all.map_or(0, |all| all.saturating_sub(ids.len()));
        report.videos = ids.len();
        Ok(ids)
    }

    /// Returns what is kept of a video and what is wrong with it, if anything is; an error if a page cannot be read.
    pub(super) fn look(&self, index: &Index, id: &str) -> Result<(Option<Kept>, Option<String>), IndexError> {
        guarded(index, || {
            let value = |table: &ReadOnlyTable<&'static str, &'static [u8]>| {
                let value = table.get(id).map_err(|e| index.fail(e.into()))?;
                Ok(value.map(|value| value.value().to_vec()))
            };
            let (record, row, windows) = (value(&self.records)?, value(&self.rows)?, value(&self.windows)?);
            let (record, row) = match (record, row) {
                (None, _) => return Ok((None, Some("its record is missing".to_owned()))),
                (_, None) => return Ok((None, Some("nothing is kept beside its record".to_owned()))),
                (Some(record), Some(row)) => (record, row),
            };
            let kept = Kept { record, row, windows };
            let wrong = kept.fault(id, &index.bundle);
            Ok((Some(kept), wrong))
        })
    }

    /// Looks at videos one after the other. `each` gets what is kept of a sound one, and returns whether to go on.
    pub(super) fn look_at(
        &mut self,
        index: &Index,
        ids: &BTreeSet<String>,
        report: &mut RecordCheck,
        each: &mut dyn FnMut(&RecordCheck, &str, Option<Kept>) -> bool,
    ) -> Result<(), IndexError> {
        for id in ids {
            let kept = match self.look(index, id) {
                Ok((kept, None)) => kept,
                Ok((_, Some(reason))) => {
                    report.damaged.push((id.clone(), reason));
                    None
                }
                Err(_) => {
                    report.damaged.push((id.clone(), "a page of the database that holds it is damaged".to_owned()));
                    report.unreadable = true;
                    *self = Self::open(index)?;
                    None
                }
            };
            if !each(report, id, kept) {
                return Ok(());
            }
            report.checked += 1;
        }
        Ok(())
    }
}

impl Kept {
    /// Returns what is wrong with it.
    fn fault(&self, id: &str, bundle: &BundleId) -> Option<String> {
        let record = match Record::parse(self.record.as_slice()) {
            Ok(record) => record,
            Err(error) => return Some(error.to_string()),
        };
        if let Err(error) = record.expect(bundle) {
            return Some(error.to_string());
        }
        let Some((_, summary, _)) = read_row(id, &self.row) else {
            return Some("what is kept beside its record is damaged".to_owned());
        };
        let same = self.row == row(&record, &summary.source, summary.added)
            && self.windows.clone().unwrap_or_default() == PlacedWindow::to_bytes(record.placed_windows());
        (!same).then(|| "its vectors do not belong to its record".to_owned())
    }
}

impl Index {
    /// Reads every record and compares it with what is kept beside it. Reports the stage `checking` in videos; a check that is
    /// cancelled returns what was found until then.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be opened.
    pub fn verify(&self, control: &Control<'_>) -> Result<RecordCheck, IndexError> {
        let mut report = RecordCheck::default();
        let mut tables = Tables::open(self)?;
        let ids = tables.reachable_ids(self, &mut report)?;
        #[allow(clippy::cast_precision_loss)]
        let done = |videos: usize| {
            control.report(&Progress::new("checking", videos as f64, Some(ids.len() as f64), Unit::Videos));
        };
        tables.look_at(self, &ids, &mut report, &mut |report, _, _| {
            done(report.checked);
            !control.is_cancelled()
        })?;
        done(report.checked);
        Ok(report)
    }

    /// Checks the checksums of the database's pages, which reading does not; whether all are sound. `None` while another process
    /// writes the index. Nothing is changed.
    ///
    /// # Errors
    /// [`IndexError::Io`] for a file that cannot be read.
    pub fn check_pages(folder: &Path) -> Result<Option<bool>, IndexError> {
        // No process can write meanwhile.
        let alone = match Self::open_alone(folder) {
            Ok(index) => index,
            Err(IndexError::Locked { .. }) => return Ok(None),
            Err(IndexError::Damaged { .. }) => return Ok(Some(false)),
            Err(error) => return Err(error),
        };
        let path = folder.join(FILE);
        let overlay = Overlay::open(&path).map_err(|source| IndexError::Io { path, source })?;
        let check = || {
            let mut database = exclusive(|builder| builder.create_with_backend(overlay.clone()))?;
            database.check_integrity()
        };
        let sound = matches!(catch_unwind(AssertUnwindSafe(check)), Ok(Ok(true)));
        drop(alone);
        Ok(Some(sound))
    }
}
