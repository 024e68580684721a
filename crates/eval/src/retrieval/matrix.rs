//! Scores of all pairs as a matrix.

use super::RetrievalError;

/// A value for each pair of query (row) and database video (column). All are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    targets: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Rows of equal length.
    ///
    /// # Errors
    /// [`RetrievalError::Scores`] for rows of several lengths or a value that is not finite; `name`
    /// says of what.
    pub fn new(name: &str, rows: Vec<Vec<f64>>) -> Result<Self, RetrievalError> {
        let refuse = |detail: String| RetrievalError::Scores { name: name.to_owned(), detail };
        let targets = rows.first().map_or(0, Vec::len);
        for (q, row) in rows.iter().enumerate() {
            if row.len() != targets {
                return Err(refuse(format!("query {q} has {} values, query 0 has {targets}", row.len())));
            }
            if let Some(t) = row.iter().position(|v| !v.is_finite()) {
                return Err(refuse(format!("query {q}, video {t}: {}", row[t])));
            }
        }
        Ok(Self { targets, values: rows.into_iter().flatten().collect() })
    }

    /// The row of a query.
    #[must_use]
    pub fn row(&self, query: usize) -> &[f64] {
        &self.values[query * self.targets..][..self.targets]
    }

    pub(super) fn pick(&self, query: usize, columns: &[usize]) -> Vec<f64> {
        let row = self.row(query);
        columns.iter().map(|&c| row[c]).collect()
    }

    pub(super) fn check(&self, name: &str, queries: usize, targets: usize) -> Result<(), RetrievalError> {
        if self.targets == targets && self.values.len() == queries * targets {
            return Ok(());
        }
        let detail = format!("{} values of {} videos, expected {queries} x {targets}", self.values.len(), self.targets);
        Err(RetrievalError::Scores { name: name.to_owned(), detail })
    }
}
