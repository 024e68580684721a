//! Compares the pairs of a set.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use vidsieve::{
    Comparison, Control, EncodeOptions, EncodedVideo, Model, Progress, Relation, Unit, compare, encode_file,
};
use vidsieve_search::Untold;

use super::recipe::{Stretches, seconds_of, union};
use super::{PairClass, TrueSeconds, TrustError, TrustPair, TrustSet};

/// A score from which an answer is sure.
pub const SURE: f32 = 0.9;

/// What the library says of a pair, beside the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustResult {
    /// Kind of the pair.
    pub kind: String,
    /// What it tests.
    pub class: PairClass,
    /// File of the query.
    pub query: String,
    /// File of the target.
    pub target: String,
    /// The true relation.
    pub relation: Relation,
    /// Every relation that is right.
    pub accept: Vec<Relation>,
    /// The relation that was found.
    pub found: Relation,
    /// Why the relation cannot be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untold: Option<Untold>,
    /// Score of the comparison.
    pub score: f32,
    /// Score of the two vectors alone.
    pub coarse: f32,
    /// Seconds that match, found and true, of query and target.
    pub seconds: [FoundSeconds; 2],
}

/// Seconds of one side of a pair that match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct FoundSeconds {
    /// Sum of what was found.
    pub found: f64,
    /// Sum of what is true.
    pub truth: f64,
    /// By how much the first and last second found are off; none where nothing was found or is
    /// true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<f64>,
}

impl FoundSeconds {
    fn new(found: f64, segments: Stretches, truth: &Stretches) -> Self {
        let hull = |s: &Stretches| Some([s.first()?[0], s.last()?[1]]);
        let ends = hull(&union(segments)).zip(hull(truth)).map(|(f, t)| (f[0] - t[0]).abs().max((f[1] - t[1]).abs()));
        Self { found, truth: seconds_of(truth), ends }
    }

    fn error(&self) -> f64 {
        (self.found - self.truth).abs()
    }
}

impl TrustResult {
    fn new(pair: &TrustPair, comparison: &Comparison) -> Self {
        let TrueSeconds { query, target } = &pair.seconds;
        let coverage = &comparison.coverage;
        let segments = |side: fn(&vidsieve::Segment) -> [f64; 2]| comparison.segments.iter().map(side).collect();
        Self {
            kind: pair.kind.clone(),
            class: pair.class,
            query: pair.query.clone(),
            target: pair.target.clone(),
            relation: pair.relation,
            accept: pair.accept.clone(),
            found: comparison.relation,
            untold: comparison.untold,
            score: comparison.score,
            coarse: comparison.coarse,
            seconds: [
                FoundSeconds::new(coverage.query.seconds, segments(|s| s.query), query),
                FoundSeconds::new(coverage.target.seconds, segments(|s| s.target), target),
            ],
        }
    }

    /// Whether the answer says that one video is in the other.
    #[must_use]
    pub fn claimed(&self) -> bool {
        self.found.is_claim() || self.score >= SURE
    }

    /// Whether the relation is right.
    #[must_use]
    pub fn right(&self) -> bool {
        self.accept.contains(&self.found)
    }

    /// Whether the query's footage is in the target; none where a part of it is.
    #[must_use]
    pub fn contained(&self) -> Option<bool> {
        match self.class {
            PairClass::Same if self.relation == Relation::Contains => None,
            class => Some(class == PairClass::Same),
        }
    }

    /// By how many seconds what was found is off, on the side that is off more.
    #[must_use]
    pub fn seconds_error(&self) -> f64 {
        self.seconds.iter().map(FoundSeconds::error).fold(0.0, f64::max)
    }

    /// By how many seconds the ends of what was found are off, on the side that is off more.
    #[must_use]
    pub fn ends_error(&self) -> Option<f64> {
        let [query, target] = &self.seconds;
        Some(query.ends?.max(target.ends?))
    }
}

/// Encodes the videos of the set in `folder`, each once, and compares its pairs. The second value
/// names the videos that cannot be read, with the reason: their pairs are left out.
///
/// # Errors
/// [`TrustError::Library`] for a model without the networks; [`TrustError::Cancelled`].
pub fn run(
    folder: &Path,
    set: &TrustSet,
    model: &Model,
    options: &EncodeOptions,
    control: &Control<'_>,
) -> Result<(Vec<TrustResult>, Vec<String>), TrustError> {
    let done = AtomicUsize::new(0);
    #[allow(clippy::cast_precision_loss)]
    let report = |stage: &'static str, total: usize, unit: Unit| {
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        control.report(&Progress::new(stage, count as f64, Some(total as f64), unit));
    };
    let silent = Control::new().with_cancel(control.cancel());
    let one = |file: &String| {
        let encoded = encode_file(model, folder.join(file), options, &silent);
        report("encoding", set.videos.len(), Unit::Videos);
        (file.clone(), encoded)
    };
    let files: Vec<&String> = set.videos.keys().collect();
    let encoded: Vec<(String, Result<EncodedVideo, vidsieve::Error>)> = files.into_par_iter().map(one).collect();
    let (mut videos, mut failed) = (BTreeMap::new(), Vec::new());
    for (file, result) in encoded {
        match result {
            Ok(video) => {
                videos.insert(file, video);
            }
            Err(error) if error.is_cancelled() => return Err(TrustError::Cancelled),
            Err(error @ (vidsieve::Error::Encoder(_) | vidsieve::Error::Search(_))) => return Err(error.into()),
            Err(error) => failed.push(error.to_string()),
        }
    }
    done.store(0, Ordering::Relaxed);
    let compared = |pair: &TrustPair| {
        if control.is_cancelled() {
            return Some(Err(TrustError::Cancelled));
        }
        let (query, target) = (videos.get(&pair.query)?, videos.get(&pair.target)?);
        let comparison = compare(model, query, target);
        report("comparing", set.pairs.len(), Unit::Pairs);
        Some(comparison.map(|comparison| TrustResult::new(pair, &comparison)).map_err(TrustError::from))
    };
    let results = set.pairs.par_iter().filter_map(compared).collect::<Result<Vec<_>, _>>()?;
    Ok((results, failed))
}
