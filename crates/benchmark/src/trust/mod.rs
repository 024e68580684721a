//! The trust benchmark: what an answer is worth where different footage looks alike, and whether
//! the relation is right.
//!
//! [`make`] makes pairs of video files by [kind](TrustKind) from given clips: different footage
//! that looks alike, videos that share a part, and the same footage after everyday edits, as an
//! excerpt or in a compilation. The relation and the seconds that both show follow from how the
//! files are made ([`recipe`]). [`run`] compares every pair with the library and reports what was
//! claimed, found and measured.

mod error;
#[cfg(feature = "train")]
mod fit;
mod groups;
pub(crate) mod kinds;
mod likeness;
pub(crate) mod make;
pub mod recipe;
mod report;
mod run;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vidsieve::Relation;

pub use error::TrustError;
#[cfg(feature = "train")]
pub use fit::{EvidenceOptions, EvidenceReport, fit_evidence};
pub use groups::{GroupRow, Groups, series_by_name};
pub use kinds::TrustKind;
pub use make::{TrustMade, TrustOptions, make};
use recipe::{ClipRecipe, Stretches};
pub use report::{ReliabilityBin, ScoreQuality, TrustBar, TrustReport, TrustRow};
pub use run::{FoundSeconds, SURE, TrustResult, run};
pub use sources::{TrustSource, load_sources};

/// The file that describes a set.
pub const SET_FILE: &str = "trust.json";
/// Version of [`SET_FILE`].
const VERSION: u32 = 1;

/// What a pair tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairClass {
    /// Different footage without likeness by purpose.
    Unrelated,
    /// Different footage that looks alike.
    LookAlike,
    /// Different footage but for a part.
    SharesPart,
    /// The same footage, or one is an excerpt of the other.
    Same,
}

/// The stretches that show the same in both videos, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrueSeconds {
    /// Of the query.
    pub query: Stretches,
    /// Of the target.
    pub target: Stretches,
}

/// A pair with its truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustPair {
    /// Its kind.
    pub kind: String,
    /// What it tests.
    pub class: PairClass,
    /// File of the query, below the set's folder.
    pub query: String,
    /// File of the target.
    pub target: String,
    /// The relation.
    pub relation: Relation,
    /// Every relation that is right.
    pub accept: Vec<Relation>,
    /// What is truly shared.
    pub seconds: TrueSeconds,
}

/// A video of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustVideo {
    /// Length in seconds.
    pub seconds: f64,
    /// The stretches that show something.
    pub informative: Stretches,
    /// Names of the given clips that it is made of.
    pub sources: Vec<String>,
    /// How it is made.
    pub recipe: ClipRecipe,
}

/// Pairs of videos with their truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustSet {
    version: u32,
    /// The seed that it was made with.
    pub seed: u64,
    /// The pairs, by kind.
    pub pairs: Vec<TrustPair>,
    /// The videos, by their files below the set's folder.
    pub videos: BTreeMap<String, TrustVideo>,
}

impl TrustSet {
    /// Reads the set of a folder.
    ///
    /// # Errors
    /// [`TrustError::File`] for a folder without a set, or a set of another version.
    pub fn load(folder: &Path) -> Result<Self, TrustError> {
        let path = folder.join(SET_FILE);
        let bytes = std::fs::read(&path)
            .map_err(|e| TrustError::file(&path, format_args!("{e}: make a set with `vidsieve eval trust make`")))?;
        let set: Self = serde_json::from_slice(&bytes).map_err(|e| TrustError::file(&path, e))?;
        if set.version != VERSION {
            let reason = format!("a set of version {}, this program reads {VERSION}: make it again", set.version);
            return Err(TrustError::file(&path, reason));
        }
        Ok(set)
    }
}
