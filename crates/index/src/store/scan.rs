//! Reading what is kept of all videos: for listings and for scans.

use redb::ReadableTable;
use vidsieve_record::PlacedWindow;

use super::rows::{Columns, Summary, read_row};
use super::{Index, IndexError, ROWS, WINDOWS};

impl Index {
    /// What is known of every video, in the order of their ids.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn list(&self) -> Result<Vec<Summary>, IndexError> {
        let mut all = Vec::new();
        self.rows(|_, summary, _| all.push(summary))?;
        Ok(all)
    }

    /// What is known of every video, in the order of their ids, and the ids of those whose row is damaged.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be read.
    pub fn survey(&self) -> Result<(Vec<Summary>, Vec<String>), IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let (mut sound, mut damaged) = (Vec::new(), Vec::new());
        for item in rows.iter().map_err(|e| self.fail(e.into()))? {
            let (id, row) = item.map_err(|e| self.fail(e.into()))?;
            match read_row(id.value(), row.value()) {
                Some((_, summary, _)) => sound.push(summary),
                None => damaged.push(id.value().to_owned()),
            }
        }
        Ok((sound, damaged))
    }

    /// What is known of the videos after an id, in order, at most `limit`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Summary>, IndexError> {
        Self::again(|| self.one_page(after, limit))
    }

    fn one_page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Summary>, IndexError> {
        use std::ops::Bound;
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = rows.range::<&str>((start, Bound::Unbounded)).map_err(|e| self.fail(e.into()))?;
        let mut page = Vec::new();
        for item in range.take(limit) {
            let (id, row) = item.map_err(|e| self.fail(e.into()))?;
            let (_, summary, _) = read_row(id.value(), row.value()).ok_or_else(|| self.bad_row(id.value()))?;
            page.push(summary);
        }
        Ok(page)
    }

    fn rows(&self, mut each: impl FnMut(f32, Summary, &[u8])) -> Result<(), IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        for item in rows.iter().map_err(|e| self.fail(e.into()))? {
            let (id, row) = item.map_err(|e| self.fail(e.into()))?;
            let (scalar, summary, vector) =
                read_row(id.value(), row.value()).ok_or_else(|| self.bad_row(id.value()))?;
            each(scalar, summary, vector);
        }
        Ok(())
    }

    /// What a scan needs of all videos; codes are not touched.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn columns(&self) -> Result<Columns, IndexError> {
        let mut columns = Columns::default();
        self.rows(|scalar, summary, vector| {
            columns.ids.push(summary.id);
            columns.vectors.extend(vector.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            columns.self_similarity.push(scalar);
            columns.informative.push(summary.informative);
            columns.frames.push(summary.frames);
            columns.durations.push(summary.duration);
        })?;
        if columns.vectors.len() != columns.dims() * columns.ids.len() {
            return Err(self.damaged("its vectors differ in length"));
        }
        Ok(columns)
    }

    /// S^c's vectors of parts of the videos, in the order of the videos' ids; a video of up to 16
    /// informative frames has none. Neither codes nor records are touched. The first error of `each` ends it and is
    /// returned within.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn windows<E>(
        &self,
        mut each: impl FnMut(&str, Vec<PlacedWindow>) -> Result<(), E>,
    ) -> Result<Result<(), E>, IndexError> {
        let transaction = self.reading()?;
        let kept = transaction.open_table(WINDOWS).map_err(|e| self.fail(e.into()))?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        for item in kept.iter().map_err(|e| self.fail(e.into()))? {
            let (id, bytes) = item.map_err(|e| self.fail(e.into()))?;
            let row = rows.get(id.value()).map_err(|e| self.fail(e.into()))?;
            let dims = row.and_then(|row| read_row(id.value(), row.value()).map(|(_, _, vector)| vector.len() / 4));
            let windows = dims.and_then(|dims| PlacedWindow::of_bytes(bytes.value(), dims));
            if let Err(error) = each(id.value(), windows.ok_or_else(|| self.bad_row(id.value()))?) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}
