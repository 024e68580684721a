//! Searches for the queries of a set.

use std::path::Path;

use serde::Serialize;

use vidsieve::{
    AddOptions, ArchiveOptions, Budget, Control, EncodeOptions, Hit, Model, NoteStatus, Progress, SearchAnswer,
    SearchOptions, SearchQuery, Segment, Unit, encode_file,
};

use super::make::VIDEOS;
use super::{FilmQuery, FilmSet};
use crate::trust::TrustError;

/// A score from which a clip counts as found.
const FOUND: f32 = 0.5;
/// Hits that are looked at.
const TOP: usize = 10;
/// The budgets that every query is searched with.
const BUDGETS: [Budget; 5] = [Budget::None, Budget::Share(0.01), Budget::Share(0.05), Budget::Share(0.3), Budget::All];

/// What a search says of a query's film.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilmAnswer {
    /// File of the query.
    pub query: String,
    /// The edit's kind.
    pub edit: Option<String>,
    /// Share of the film's length.
    pub share: f64,
    /// Place of the film among the first ten hits, from 1.
    pub place: Option<usize>,
    /// Its score; 0 outside the first ten.
    pub score: f32,
    /// By how many seconds the first or last second that was found is off, whichever is off more.
    pub ends: Option<f64>,
    /// Milliseconds of the search, without encoding.
    pub ms: f64,
}

/// Answers in one figure each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilmRow {
    /// Queries.
    pub queries: usize,
    /// Share whose film is the first hit.
    pub first: f64,
    /// Share whose film is among the first five.
    pub among_five: f64,
    /// Share whose film has a score of .5 and more.
    pub found: f64,
    /// Median of the seconds that ends are off.
    pub ends: Option<f64>,
}

impl FilmRow {
    fn new<'a>(answers: impl Iterator<Item = &'a FilmAnswer>) -> Self {
        let answers: Vec<&FilmAnswer> = answers.collect();
        #[allow(clippy::cast_precision_loss)]
        let share = |good: &dyn Fn(&FilmAnswer) -> bool| {
            answers.iter().filter(|answer| good(answer)).count() as f64 / answers.len().max(1) as f64
        };
        let mut ends: Vec<f64> = answers.iter().filter_map(|answer| answer.ends).collect();
        ends.sort_by(f64::total_cmp);
        Self {
            queries: answers.len(),
            first: share(&|answer| answer.place == Some(1)),
            among_five: share(&|answer| answer.place.is_some_and(|place| place <= 5)),
            found: share(&|answer| answer.score >= FOUND),
            ends: ends.get(ends.len() / 2).copied(),
        }
    }
}

/// A budget with what it finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetRow {
    /// The budget.
    pub budget: String,
    /// Over all queries.
    pub all: FilmRow,
    /// Over the queries that are not edited.
    pub plain: FilmRow,
    /// Over those that are.
    pub edited: FilmRow,
    /// Every query.
    pub answers: Vec<FilmAnswer>,
}

/// What is found of clips in films.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilmReport {
    /// Identity of the bundle.
    pub model: String,
    /// Number of searched videos.
    pub videos: u64,
    /// Bytes of all their records.
    pub record_bytes: u64,
    /// Seconds of all of them.
    pub seconds: f64,
    /// By budget.
    pub budgets: Vec<BudgetRow>,
    /// Videos that cannot be read.
    pub failed: Vec<String>,
}

/// Indexes the videos of the set in `folder` into an index beside them, which later runs with the same model use again, and
/// searches every query with each budget.
///
/// # Errors
/// [`TrustError::Library`] for a model without the networks, and for a query that cannot be read;
/// [`TrustError::Cancelled`].
pub fn run(folder: &Path, set: &FilmSet, model: &Model, control: &Control<'_>) -> Result<FilmReport, TrustError> {
    let digits: String = model.id().to_string().chars().take(12).collect();
    let archive = ArchiveOptions::new().model(model.clone()).open_or_create(folder.join(format!("index-{digits}")))?;
    let report = archive.add(&[folder.join(VIDEOS)], &AddOptions::new(), control)?;
    if report.interrupted || control.is_cancelled() {
        return Err(TrustError::Cancelled);
    }
    let failed = report.files.iter().filter(|note| note.status == NoteStatus::Failed);
    let failed = failed.map(|note| format!("{}: {}", note.path, note.reason)).collect();
    let listing = archive.list()?;
    let quiet = Control::new().with_cancel(control.cancel());
    let encoding = EncodeOptions::new().sampling(archive.sampling()?);
    let mut budgets: Vec<(Budget, Vec<FilmAnswer>)> = BUDGETS.map(|budget| (budget, Vec::new())).into();
    for (number, query) in set.queries.iter().enumerate() {
        let video = encode_file(model, folder.join(&query.file), &encoding, &quiet)?;
        for (budget, answers) in &mut budgets {
            let options = SearchOptions::new().top(TOP).budget(*budget);
            let answer = archive.search(SearchQuery::Video(&video), &options, &quiet)?;
            if control.is_cancelled() {
                return Err(TrustError::Cancelled);
            }
            answers.push(judged(query, &answer));
        }
        #[allow(clippy::cast_precision_loss)]
        let done = (number + 1) as f64;
        #[allow(clippy::cast_precision_loss)]
        control.report(&Progress::new("searching", done, Some(set.queries.len() as f64), Unit::Videos));
    }
    let row = |(budget, answers): (Budget, Vec<FilmAnswer>)| BudgetRow {
        budget: budget.to_string(),
        all: FilmRow::new(answers.iter()),
        plain: FilmRow::new(answers.iter().filter(|answer| answer.edit.is_none())),
        edited: FilmRow::new(answers.iter().filter(|answer| answer.edit.is_some())),
        answers,
    };
    Ok(FilmReport {
        model: model.id().to_string(),
        videos: archive.len()?,
        record_bytes: listing.videos.iter().map(|video| video.record_bytes).sum(),
        seconds: listing.videos.iter().map(|video| video.duration).sum(),
        budgets: budgets.into_iter().map(row).collect(),
        failed,
    })
}

fn judged(query: &FilmQuery, answer: &SearchAnswer) -> FilmAnswer {
    let name = query.film.strip_prefix(VIDEOS).map_or(query.film.as_str(), |name| name.trim_start_matches('/'));
    let place = answer.hits.iter().position(|hit| hit.id == name);
    let hit: Option<&Hit> = place.and_then(|place| answer.hits.get(place));
    FilmAnswer {
        query: query.file.clone(),
        edit: query.edit.clone(),
        share: query.share,
        place: place.map(|place| place + 1),
        score: hit.map_or(0.0, |hit| hit.score),
        ends: hit.and_then(|hit| ends(&hit.segments, query.at)),
        ms: answer.timings_ms.search.total,
    }
}

/// By how much the stretch that segments span is off.
fn ends(segments: &[Segment], truth: [f64; 2]) -> Option<f64> {
    let from = segments.iter().map(|s| s.target[0]).min_by(f64::total_cmp)?;
    let to = segments.iter().map(|s| s.target[1]).max_by(f64::total_cmp)?;
    Some((from - truth[0]).abs().max((to - truth[1]).abs()))
}
