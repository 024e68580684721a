//! Checking an index.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadableTable, ReadableTableMetadata};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::{PlacedWindow, Record};

use super::error::database_error;
use super::rows::{read_row, row};
use super::{Index, IndexError, RECORDS, ROWS, WINDOWS};

/// The result of [`Index::verify`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordCheck {
    /// Videos that were checked; fewer than the index has if the check was cancelled.
    pub checked: usize,
    /// Ids of videos whose record is damaged or missing, and what is wrong.
    pub damaged: Vec<(String, String)>,
}

impl Index {
    /// Reads every record and compares it with its row. Reports the stage `checking` in videos; a check that is cancelled
    /// returns what was found until then.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be read.
    pub fn verify(&self, control: &Control<'_>) -> Result<RecordCheck, IndexError> {
        // A database with damaged pages may reach a state that it takes for impossible.
        catch_unwind(AssertUnwindSafe(|| self.verify_records(control)))
            .unwrap_or_else(|_| Err(self.damaged("its pages contradict one another")))
    }

    fn verify_records(&self, control: &Control<'_>) -> Result<RecordCheck, IndexError> {
        let transaction = self.reading()?;
        let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let kept_windows = transaction.open_table(WINDOWS).map_err(|e| self.fail(e.into()))?;
        #[allow(clippy::cast_possible_truncation)]
        let all = rows.len().map_err(|e| self.fail(e.into()))? as usize;
        let mut report = RecordCheck::default();
        #[allow(clippy::cast_precision_loss)]
        let done = |videos: usize| {
            control.report(&Progress::new("checking", videos as f64, Some(all as f64), Unit::Videos));
        };
        for item in rows.iter().map_err(|e| self.fail(e.into()))? {
            done(report.checked);
            if control.is_cancelled() {
                return Ok(report);
            }
            let (id, kept) = item.map_err(|e| self.fail(e.into()))?;
            let bytes = records.get(id.value()).map_err(|e| self.fail(e.into()))?;
            let summary = read_row(id.value(), kept.value()).map(|(_, summary, _)| summary);
            let wrong = match (bytes.map(|b| Record::parse(b.value().to_vec())), summary) {
                (None, _) => Some("its record is missing".to_owned()),
                (Some(Err(error)), _) => Some(error.to_string()),
                (Some(Ok(_)), None) => Some("what is kept beside its record is damaged".to_owned()),
                (Some(Ok(record)), Some(summary)) => match record.expect(&self.bundle) {
                    Err(error) => Some(error.to_string()),
                    Ok(()) => {
                        let beside = kept_windows.get(id.value()).map_err(|e| self.fail(e.into()))?;
                        let same = kept.value() == row(&record, &summary.source, summary.added)
                            && beside.map_or(Vec::new(), |w| w.value().to_vec())
                                == PlacedWindow::to_bytes(record.placed_windows());
                        (!same).then(|| "its vectors do not belong to its record".to_owned())
                    }
                },
            };
            report.checked += 1;
            report.damaged.extend(wrong.map(|reason| (id.value().to_owned(), reason)));
        }
        for item in records.iter().map_err(|e| self.fail(e.into()))? {
            let (id, _) = item.map_err(|e| self.fail(e.into()))?;
            if rows.get(id.value()).map_err(|e| self.fail(e.into()))?.is_none() {
                report.damaged.push((id.value().to_owned(), "a record of which nothing is kept beside it".into()));
            }
        }
        done(all);
        Ok(report)
    }

    /// Checks the checksums of the database's pages, which reading does not.
    ///
    /// # Errors
    /// [`IndexError::Damaged`]; [`IndexError::ReadOnly`] for an index that was opened to read.
    pub fn check_pages(&mut self) -> Result<(), IndexError> {
        let folder = self.folder.clone();
        let Some(database) = self.handle.database() else { return Err(IndexError::ReadOnly(folder)) };
        let damaged = |detail: String| IndexError::Damaged { path: folder.clone(), detail };
        match catch_unwind(AssertUnwindSafe(|| database.check_integrity())) {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(damaged("its pages were not in order; what could be mended was".into())),
            Ok(Err(error)) => Err(database_error(&folder, error)),
            Err(_) => Err(damaged("its pages contradict one another".into())),
        }
    }
}
