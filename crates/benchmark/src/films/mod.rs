//! The benchmark of clips inside films: whether a clip of a few seconds is found in a long video, and where.
//!
//! [`make`] joins given clips to long videos, cuts queries out of them, half of them edited, and writes other videos to
//! search among. [`run`] indexes all of them with the library and searches every query with several budgets.

mod make;
mod run;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::trust::TrustError;

pub use make::{FilmOptions, FilmsMade, make};
pub use run::{BudgetRow, FilmAnswer, FilmReport, FilmRow, run};

/// The file that describes a set.
pub const FILMS_FILE: &str = "films.json";
/// Version of [`FILMS_FILE`].
const VERSION: u32 = 1;

/// A clip that is searched for, and where it truly is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilmQuery {
    /// Its file, below the set's folder.
    pub file: String,
    /// The long video that shows it, below the set's folder.
    pub film: String,
    /// The stretch of the film, in seconds.
    pub at: [f64; 2],
    /// Share of the film's length, in (0, 1).
    pub share: f64,
    /// The edit's kind; none: the clip as it is.
    pub edit: Option<String>,
}

/// Long videos, clips of them, and other videos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilmSet {
    version: u32,
    /// The seed that it was made with.
    pub seed: u64,
    /// Files of the long videos, below the set's folder.
    pub films: Vec<String>,
    /// Files of the other videos.
    pub others: Vec<String>,
    /// What is searched for.
    pub queries: Vec<FilmQuery>,
}

impl FilmSet {
    /// Reads the set of a folder.
    ///
    /// # Errors
    /// [`TrustError::File`] for a folder without a set, or a set of another version.
    pub fn load(folder: &Path) -> Result<Self, TrustError> {
        let path = folder.join(FILMS_FILE);
        let bytes = std::fs::read(&path)
            .map_err(|e| TrustError::file(&path, format_args!("{e}: make a set with `vidsieve eval films make`")))?;
        let set: Self = serde_json::from_slice(&bytes).map_err(|e| TrustError::file(&path, e))?;
        if set.version != VERSION {
            let reason = format!("a set of version {}, this program reads {VERSION}: make it again", set.version);
            return Err(TrustError::file(&path, reason));
        }
        Ok(set)
    }
}
