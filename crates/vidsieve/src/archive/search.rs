//! Finding a video in an index.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use vidsieve_progress::Control;
use vidsieve_search::segments::LIKELY;
use vidsieve_search::{
    Budget, Hit, PageStage, SearchPage, SearchParameters, SearchRun, SearchStep, SearchTimings, Table,
};

use super::Archive;
use crate::encode::{EncodeOptions, EncodedVideo, encode_file};
use crate::{Error, View};

/// The video that is searched for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum SearchQuery<'a> {
    /// A file, which is encoded first.
    File(&'a Path),
    /// A video of the index by its id; it is not among the hits.
    Id(&'a str),
    /// An encoded video.
    Video(&'a EncodedVideo),
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for SearchQuery<'a> {
    fn from(path: &'a P) -> Self {
        Self::File(path.as_ref())
    }
}

/// A function that receives the pages of an answer.
type PageReceiver<'a> = &'a dyn Fn(&SearchPage<QueryTimings>);

/// Options of [`Archive::search`].
#[derive(Clone, Copy)]
#[must_use]
pub struct SearchOptions<'a> {
    parameters: SearchParameters,
    on_page: Option<PageReceiver<'a>>,
    turned: bool,
}

impl Default for SearchOptions<'_> {
    fn default() -> Self {
        let parameters = SearchParameters { coarse_page: false, ..SearchParameters::default() };
        Self { parameters, on_page: None, turned: false }
    }
}

impl fmt::Debug for SearchOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchOptions").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl<'a> SearchOptions<'a> {
    /// Returns the defaults: the ten best videos, the budget `auto`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most hits.
    pub const fn top(mut self, top: usize) -> Self {
        self.parameters.top = top;
        self
    }

    /// Sets what may be compared frame by frame.
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.parameters.budget = budget;
        self
    }

    /// Sets the score in [0, 1] below which hits are left out.
    pub const fn min_score(mut self, min_score: f32) -> Self {
        self.parameters.min_score = min_score;
        self
    }

    /// Sets whether hits have the numbers behind their scores.
    pub const fn explain(mut self, explain: bool) -> Self {
        self.parameters.explain = explain;
        self
    }

    /// Sends the pages of the answer to a function as soon as they are known: the coarse one, by vectors alone, and the
    /// refined one after pairs were compared. If there is no pair to compare, the coarse page is the last one.
    pub fn on_page(mut self, receive: &'a dyn Fn(&SearchPage<QueryTimings>)) -> Self {
        self.parameters.coarse_page = true;
        self.on_page = Some(receive);
        self
    }

    /// Sets whether copies that are turned or mirrored are searched for too: a query that is a file is encoded and searched
    /// once for each [`View`], eight times in all, and the best answer counts. Other queries have one view.
    pub const fn turned(mut self, turned: bool) -> Self {
        self.turned = turned;
        self
    }

    fn check(&self) -> Result<(), Error> {
        let min_score = self.parameters.min_score;
        if (0.0..=1.0).contains(&min_score) {
            return Ok(());
        }
        let (option, value) = ("min_score", min_score.to_string());
        Err(Error::InvalidOption { option, value, rule: "scores are from 0 to 1" })
    }
}

/// Milliseconds of a search with its query.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueryTimings {
    /// Waiting for the query's frames.
    pub decode: f64,
    /// Describing the query's frames.
    pub encode: f64,
    /// The search itself.
    #[serde(flatten)]
    pub search: SearchTimings,
}

impl QueryTimings {
    fn add(&mut self, other: &Self) {
        self.decode += other.decode;
        self.encode += other.encode;
        let (to, from) = (&mut self.search, &other.search);
        to.scan += from.scan;
        to.select += from.select;
        to.fetch += from.fetch;
        to.compare += from.compare;
        to.segments += from.segments;
        to.total += from.total;
    }
}

/// The result of [`Archive::search`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SearchAnswer {
    /// Identity of the model: 64 hexadecimal digits.
    pub model: String,
    /// Number of searched videos.
    pub videos: usize,
    /// The budget by name.
    pub budget: String,
    /// Number of pairs within the budget.
    #[serde(skip)]
    pub selected: usize,
    /// Number of pairs compared frame by frame.
    pub reranked: usize,
    /// Ids of videos whose record could not be read; their scores are coarse.
    #[serde(skip)]
    pub missing: Vec<String>,
    /// Whether the search was cancelled: not all selected pairs were compared then.
    #[serde(skip)]
    pub interrupted: bool,
    /// Hits, best first.
    pub hits: Vec<Hit>,
    /// The hits that are copies in another view than the upright one ([`SearchOptions::turned`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turned: Vec<TurnedHit>,
    /// Milliseconds of each part.
    pub timings_ms: QueryTimings,
    /// Warnings of decoding the query.
    #[serde(skip)]
    pub warnings: Vec<vidsieve_video::Warning>,
}

/// The view of the query in which a video was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TurnedHit {
    /// The video.
    pub id: String,
    /// The view.
    pub view: View,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Archive {
    /// Finds the videos of the index that show the same footage as the query. Reports the stage `encoding` in seconds of
    /// video, for a file, and `comparing` in pairs. A search that is cancelled while it compares returns what it found until
    /// then.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a score outside [0, 1]; [`Error::UnknownVideo`] for an id that the index does not have;
    /// the errors of [`encode_file`] for a file; [`Error::Search`] for a video of another model; [`Error::Index`].
    pub fn search<'q>(
        &self,
        query: impl Into<SearchQuery<'q>>,
        options: &SearchOptions<'_>,
        control: &Control<'_>,
    ) -> Result<SearchAnswer, Error> {
        let start = Instant::now();
        options.check()?;
        let encoded: EncodedVideo;
        let (video, table) = match query.into() {
            SearchQuery::Video(video) => (video, self.table()?),
            SearchQuery::File(path) => {
                let sampling = EncodeOptions::new().sampling(self.sampling()?);
                let table = self.table()?;
                encoded = encode_file(self.model()?, path, &sampling, control)?;
                if options.turned {
                    let upright = self.search_table(&encoded, &table, options, control, start)?;
                    return self.search_turned(path, upright, &table, options, control);
                }
                (&encoded, table)
            }
            SearchQuery::Id(id) => {
                let unknown = || Error::UnknownVideo { id: id.to_owned(), folder: self.folder().to_owned() };
                encoded = self.get(id)?.ok_or_else(unknown)?;
                let mut table = self.read_table()?;
                table.remove(id);
                (&encoded, Arc::new(table))
            }
        };
        self.search_table(video, &table, options, control, start)
    }

    /// Adds to an answer what the other views of a file find. A video that another view finds with a greater score takes the
    /// place of the upright one's hit.
    fn search_turned(
        &self,
        path: &Path,
        mut answer: SearchAnswer,
        table: &Table,
        options: &SearchOptions<'_>,
        control: &Control<'_>,
    ) -> Result<SearchAnswer, Error> {
        let encoding = EncodeOptions::new().sampling(self.sampling()?);
        // The pages of the upright view were sent.
        let silent = SearchOptions { on_page: None, ..*options };
        let mut best: HashMap<String, (Hit, View)> =
            answer.hits.drain(..).map(|hit| (hit.id.clone(), (hit, View::Upright))).collect();
        for view in View::ALL.into_iter().filter(|view| *view != View::Upright) {
            if answer.interrupted {
                break;
            }
            let start = Instant::now();
            let video = encode_file(self.model()?, path, &encoding.clone().view(view), control)?;
            let other = self.search_table(&video, table, &silent, control, start)?;
            answer.selected += other.selected;
            answer.reranked += other.reranked;
            answer.interrupted |= other.interrupted;
            answer.timings_ms.add(&other.timings_ms);
            for id in other.missing {
                if !answer.missing.contains(&id) {
                    answer.missing.push(id);
                }
            }
            for hit in other.hits {
                match best.get(&hit.id) {
                    Some((known, _)) if known.score >= hit.score => {}
                    _ => {
                        best.insert(hit.id.clone(), (hit, view));
                    }
                }
            }
        }
        let mut hits: Vec<(Hit, View)> = best.into_values().collect();
        hits.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(options.parameters.top);
        let turned = hits.iter().filter(|(hit, view)| *view != View::Upright && hit.score >= LIKELY);
        answer.turned = turned.map(|(hit, view)| TurnedHit { id: hit.id.clone(), view: *view }).collect();
        answer.hits = hits.into_iter().map(|(hit, _)| hit).collect();
        Ok(answer)
    }

    fn search_table(
        &self,
        video: &EncodedVideo,
        table: &Table,
        options: &SearchOptions<'_>,
        control: &Control<'_>,
        start: Instant,
    ) -> Result<SearchAnswer, Error> {
        let of_query =
            |search| QueryTimings { decode: ms(video.decode_time()), encode: ms(video.encode_time()), search };
        let send = |page: &SearchPage, last: bool| {
            if let Some(receive) = options.on_page {
                receive(&SearchPage { last, ..page.clone().with_timings(of_query(page.timings_ms)) });
            }
        };
        let engine = self.model()?.engine()?;
        let mut run = SearchRun::new(engine, video.as_query(), table, options.parameters, || ms(start.elapsed()))?;
        let selected = run.session().selected();
        let page = loop {
            match run.step(|| table)? {
                SearchStep::Page(page) if page.page == PageStage::Coarse => {
                    let last = page.last;
                    send(&page, last);
                    if last {
                        break page;
                    }
                }
                SearchStep::Page(page) => {
                    send(&page, true);
                    break page;
                }
                SearchStep::Compare(_) => run.refine(|ids| self.fetch(ids), control)?,
                SearchStep::Align(ids) => run.align(self.fetch(&ids)?)?,
                // The refined page comes before it.
                SearchStep::Done => return Err(Error::Cancelled),
            }
        };
        let session = run.session();
        let missing = session.missing().into_iter().map(str::to_owned).collect();
        Ok(SearchAnswer {
            model: page.model,
            videos: page.videos,
            budget: page.budget,
            selected,
            reranked: session.compared(),
            missing,
            interrupted: control.is_cancelled(),
            hits: page.hits,
            turned: Vec::new(),
            timings_ms: of_query(page.timings_ms),
            warnings: video.warnings().to_vec(),
        })
    }
}
