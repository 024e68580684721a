//! What people decided about videos, as keys and values that the caller chooses.

use redb::{ReadableTable, TableError};

use super::{DECISIONS, Index, IndexError};

/// A decision: its key and its value.
pub type DecisionEntry = (Vec<u8>, Vec<u8>);

impl Index {
    /// Keeps decisions, all of them or none; one with the same key is replaced.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put_decisions(&self, decisions: &[DecisionEntry]) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut table = transaction.open_table(DECISIONS).map_err(|e| self.fail(e.into()))?;
            for (key, value) in decisions {
                table.insert(key.as_slice(), value.as_slice()).map_err(|e| self.fail(e.into()))?;
            }
        }
        transaction.commit().map_err(|error| self.fail(error))
    }

    /// Removes decisions by their keys, all of them or none; returns how many there were.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn remove_decisions(&self, keys: &[Vec<u8>]) -> Result<usize, IndexError> {
        let transaction = self.writing()?;
        let mut removed = 0;
        {
            let mut table = transaction.open_table(DECISIONS).map_err(|e| self.fail(e.into()))?;
            for key in keys {
                removed += usize::from(table.remove(key.as_slice()).map_err(|e| self.fail(e.into()))?.is_some());
            }
        }
        transaction.commit().map_err(|error| self.fail(error))?;
        Ok(removed)
    }

    /// Returns all decisions in the order of their keys.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn decisions(&self) -> Result<Vec<DecisionEntry>, IndexError> {
        let transaction = self.reading()?;
        let table = match transaction.open_table(DECISIONS) {
            Ok(table) => table,
            // An index has the table from its first decision on.
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(self.fail(error.into())),
        };
        let mut all = Vec::new();
        for item in table.iter().map_err(|e| self.fail(e.into()))? {
            let (key, value) = item.map_err(|e| self.fail(e.into()))?;
            all.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(all)
    }
}
