//! Makes the files of a set.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use serde::Serialize;

use vidsieve::Control;
use vidsieve_edits::{Pcg64, generator};

use super::{FILMS_FILE, FilmQuery, FilmSet, VERSION};
use crate::trust::kinds::{VideoPlan, bucket, faster, plain, same, short, tells};
use crate::trust::make::{file_in, round, write_all};
use crate::trust::recipe::{ClipRecipe, shared};
use crate::trust::{TrustError, TrustSource, series_by_name};

/// Folder of the indexed videos within a set's folder.
pub(super) const VIDEOS: &str = "videos";
/// Folder of the queries.
const QUERIES: &str = "queries";
/// Seconds of a query.
const QUERY: [f64; 2] = [4.0, 10.0];
/// Seconds of another clip in a film.
const PIECE: [f64; 2] = [3.0, 12.0];
/// Seconds of the queried clip that a film shows around the query, at most.
const AROUND: f64 = 2.0;

/// How a set is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilmOptions {
    /// Long videos.
    pub films: usize,
    /// Clips of the shortest and of the longest one; lengths between rise by equal factors.
    pub clips: [usize; 2],
    /// Queries of each film; every other one is edited.
    pub queries: usize,
    /// Other videos, of one clip each.
    pub others: usize,
    /// Shorter and longer side of the films, in pixels.
    pub size: [u32; 2],
    /// Everything that is drawn by lot follows from it.
    pub seed: u64,
}

impl Default for FilmOptions {
    /// 12 films of 8 to 40 clips with four queries each, among 190 other videos.
    fn default() -> Self {
        Self { films: 12, clips: [8, 40], queries: 4, others: 190, size: [144, 256], seed: 1 }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilmsMade {
    /// The set.
    #[serde(skip)]
    pub set: FilmSet,
    /// Long videos.
    pub films: usize,
    /// Other videos; the clips may make fewer than were asked for.
    pub others: usize,
    /// Queries.
    pub queries: usize,
    /// Videos that were there already.
    pub kept: usize,
}

/// Whether two clips are other recordings, though they may look alike. Clips of one name up to its number may well be; clips of a
/// series that a table names are not.
fn apart(a: &TrustSource, b: &TrustSource) -> bool {
    let takes = a.group.is_some() && a.group == b.group;
    let named = a.series == b.series && a.series != series_by_name(&a.name);
    a.name != b.name && !named && (takes || !a.thumbnails.alike(&b.thumbnails))
}

fn shuffle<T>(rng: &mut Pcg64, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.random_range(0..=i));
    }
}

/// Clips that are queries of films: each changes, shows nothing twice, and is no other recording of the same.
fn queried<'a>(rng: &mut Pcg64, sources: &'a [TrustSource], count: usize) -> Vec<&'a TrustSource> {
    let mut fit: Vec<&TrustSource> = sources.iter().filter(|source| tells(source, QUERY[0])).collect();
    shuffle(rng, &mut fit);
    // Series and groups take turns, so that no one of them is asked for again and again.
    let mut rounds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut placed: Vec<(usize, usize, &TrustSource)> = Vec::new();
    for (order, source) in fit.into_iter().enumerate() {
        let turn = rounds.entry(bucket(source)).or_default();
        placed.push((*turn, order, source));
        *turn += 1;
    }
    placed.sort_by_key(|(turn, order, _)| (*turn, *order));
    let mut chosen: Vec<&TrustSource> = Vec::new();
    for (_, _, source) in placed {
        if chosen.len() < count && chosen.iter().all(|other| apart(source, other)) {
            chosen.push(source);
        }
    }
    chosen
}

/// Clips of film `number`: from the least to the most, by equal factors.
fn clips_of(options: &FilmOptions, number: usize) -> usize {
    let [least, most] = options.clips.map(|clips| clips.max(1));
    #[allow(clippy::cast_precision_loss)]
    let part = number as f64 / (options.films.max(2) - 1) as f64;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let clips = (least as f64 * (most as f64 / least as f64).powf(part)).round() as usize;
    clips
}

/// A film with its queries, and the edit of each.
struct FilmPlan {
    film: VideoPlan,
    queries: Vec<(VideoPlan, Option<&'static str>)>,
}

fn film(
    rng: &mut Pcg64,
    number: usize,
    asked: &[&TrustSource],
    fillers: &[&TrustSource],
    options: &FilmOptions,
) -> FilmPlan {
    let [height, width] = options.size;
    let (mut of, mut queries) = (Vec::new(), Vec::new());
    let mut rate = vidsieve_video::Rate { num: 10, den: 1 };
    let mut some = fillers.to_vec();
    shuffle(rng, &mut some);
    for source in some.into_iter().cycle().take(clips_of(options, number).saturating_sub(asked.len())) {
        let seconds = short(rng.random_range(PIECE[0]..PIECE[1]).min(source.seconds()));
        let from = short(rng.random_range(0.0..=source.seconds() - seconds));
        of.push(source.part(from, from + seconds));
        rate = faster(rate, source.rate);
    }
    for (i, source) in asked.iter().enumerate() {
        let seconds = short(rng.random_range(QUERY[0]..QUERY[1]).min(source.seconds()));
        let from = short(rng.random_range(0.0..=source.seconds() - seconds));
        let mut query = VideoPlan::new(&format!("q{number:02}-{i}"), source.part(from, from + seconds), source.rate);
        // The encodings differ.
        query.crf = 28;
        let edit = (i % 2 == 1).then(|| same::edit(rng, source, &mut query));
        let around = [0, 1].map(|_| rng.random_range(0.0..AROUND));
        let part = source.part((from - around[0]).max(0.0), (from + seconds + around[1]).min(source.seconds()));
        of.insert(rng.random_range(0..=of.len()), part);
        rate = faster(rate, source.rate);
        queries.push((query, edit));
    }
    let recipe = ClipRecipe::Joined { of, size: Some([width, height]) };
    FilmPlan { film: VideoPlan::new(&format!("film{number:02}"), recipe, rate), queries }
}

/// Makes the videos of `options` from `sources` into `folder`: `videos/` and `queries/`, and [`FILMS_FILE`] once all are
/// there. An interrupted run continues.
///
/// # Errors
/// [`TrustError::Data`] where the clips do not make as many queries; [`TrustError`]; [`TrustError::Cancelled`] where it was
/// stopped.
pub fn make(
    folder: &Path,
    sources: &[TrustSource],
    options: &FilmOptions,
    control: &Control<'_>,
) -> Result<FilmsMade, TrustError> {
    let mut rng = generator(&[0xf11a5, options.seed]);
    let asked = queried(&mut rng, sources, options.films * options.queries);
    if asked.len() < options.films * options.queries || asked.is_empty() {
        let (wanted, found) = (options.films * options.queries, asked.len());
        return Err(TrustError::Data(format!(
            "{wanted} clips that change and last {} s are wanted as queries, and {found} are there: give more clips, or \
             ask for fewer films",
            QUERY[0]
        )));
    }
    let fillers: Vec<&TrustSource> = sources
        .iter()
        .filter(|source| source.seconds() >= 1.0 && asked.iter().all(|query| apart(source, query)))
        .collect();
    if fillers.is_empty() {
        return Err(TrustError::Data("no clips are left to fill the films with: give more clips".into()));
    }
    let plans: Vec<FilmPlan> = asked
        .chunks(options.queries)
        .enumerate()
        .map(|(number, asked)| film(&mut rng, number, asked, &fillers, options))
        .collect();
    let mut some = fillers;
    shuffle(&mut rng, &mut some);
    let others: Vec<VideoPlan> = some.into_iter().take(options.others).map(plain).collect();

    let mut videos: BTreeMap<String, &VideoPlan> = BTreeMap::new();
    for plan in &plans {
        videos.insert(file_in(VIDEOS, &plan.film), &plan.film);
        videos.extend(plan.queries.iter().map(|(query, _)| (file_in(QUERIES, query), query)));
    }
    videos.extend(others.iter().map(|plan| (file_in(VIDEOS, plan), plan)));
    for name in [VIDEOS, QUERIES] {
        let into = folder.join(name);
        std::fs::create_dir_all(&into).map_err(|e| TrustError::file(&into, e))?;
    }
    let kept = write_all(folder, sources, &videos, control)?;

    let queries = plans.iter().flat_map(|plan| plan.queries.iter().map(|query| described(&plan.film, query))).collect();
    let set = FilmSet {
        version: VERSION,
        seed: options.seed,
        films: plans.iter().map(|plan| file_in(VIDEOS, &plan.film)).collect(),
        others: others.iter().map(|plan| file_in(VIDEOS, plan)).collect(),
        queries,
    };
    let path = folder.join(FILMS_FILE);
    let bytes = serde_json::to_vec_pretty(&set).map_err(|e| TrustError::file(&path, e))?;
    vidsieve_files::write_atomically(&path, &bytes).map_err(|e| TrustError::file(&path, e))?;
    let [films, others, queries] = [set.films.len(), set.others.len(), set.queries.len()];
    Ok(FilmsMade { films, others, queries, kept, set })
}

/// A query with its truth, which follows from how both videos are made.
fn described(film: &VideoPlan, (query, edit): &(VideoPlan, Option<&'static str>)) -> FilmQuery {
    let [_, there] = shared(&query.recipe.footage(), &film.recipe.footage());
    let at = [there.first().map_or(0.0, |s| s[0]), there.last().map_or(0.0, |s| s[1])].map(round);
    FilmQuery {
        file: file_in(QUERIES, query),
        film: file_in(VIDEOS, film),
        at,
        share: round((at[1] - at[0]) / film.recipe.duration()),
        edit: edit.map(str::to_owned),
    }
}
