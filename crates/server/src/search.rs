//! `POST /v1/search`: a coarse page at once, then a refined one.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::IntoResponse as _;
use tokio::sync::mpsc;
use vidsieve_api::{NDJSON, Problem, SearchOptions};
use vidsieve_progress::{CancelToken, Control, Progress};
use vidsieve_search::{Engine, PageStage, Query, SearchError, SearchPage, SearchParameters, SearchRun, SearchStep};

use crate::body::body_of;
use crate::log;
use crate::metrics::PageLabels;
use crate::request::{Answered, parameters};
use crate::state::State;
use crate::work::worker;

/// Pages of an answer at most: a client that does not read holds no worker.
const PAGES: usize = 2;

pub(crate) async fn answer(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let received = Instant::now();
    let parameters = SearchOptions::parse(parameters(&request))?;
    let (body, share) = body_of(&state, request).await?;
    let query = state.model.query(body)?;
    let permit = worker(&state).await?;
    let (sender, receiver) = mpsc::channel::<Result<SearchPage, Problem>>(PAGES);
    tokio::task::spawn_blocking(move || {
        let _held = (permit, share);
        let pages = Pages { state: &state, query: &query, parameters, received, sender: &sender };
        if let Err(error) = pages.send() {
            // Sending fails if the client has gone.
            let _ = sender.blocking_send(Err(log::internal(&error)));
        }
    });
    let lines = futures::stream::unfold(receiver, |mut receiver| async {
        let line = match receiver.recv().await? {
            Ok(page) => page.line(),
            Err(problem) => problem.line(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(line)), receiver))
    });
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response())
}

/// The pages of a search.
struct Pages<'a> {
    state: &'a State,
    query: &'a Query,
    parameters: SearchParameters,
    /// When the request came.
    received: Instant,
    sender: &'a mpsc::Sender<Result<SearchPage, Problem>>,
}

impl Pages<'_> {
    /// Whether the answer has no use any more: the client has gone, or the server ends.
    fn is_over(&self) -> bool {
        self.sender.is_closed() || self.state.ending.load(Ordering::Relaxed)
    }

    /// Compares what was selected, most doubtful first, until all is done, the time is up or the
    /// answer has no use any more.
    fn compare(&self, run: &mut SearchRun<&Engine, &Query, impl Fn() -> f64>) {
        let runtime = tokio::runtime::Handle::current();
        let fetch = |ids: &[String]| {
            let _entered = runtime.enter();
            Ok::<_, Infallible>(self.state.fetch(ids))
        };
        let cancel = CancelToken::new();
        let watch = |_: &Progress<'_>| {
            if self.is_over() {
                cancel.cancel();
            }
        };
        let Ok(()) = run.refine(fetch, &Control::new().with_progress(&watch).with_cancel(&cancel));
        let session = run.session();
        self.state.count_pairs(session.compared(), session.missing().len());
    }

    /// Sends the pages; ends early when the answer has no use any more.
    fn send(&self) -> Result<(), SearchError> {
        let start = Instant::now();
        let clock = || start.elapsed().as_secs_f64() * 1000.0;
        // The coarse page is of the table that was scanned; the table is free for writers after it.
        let (mut run, mut step) = {
            let table = self.state.table();
            let mut run = SearchRun::new(&self.state.engine, self.query, &table, self.parameters, clock)?;
            let step = run.step(|| &*table)?;
            (run, step)
        };
        loop {
            match step {
                SearchStep::Page(page) => {
                    let unused = page.page == PageStage::Refined && self.is_over();
                    let label = match page.page {
                        PageStage::Coarse => "coarse",
                        PageStage::Refined => "refined",
                    };
                    if unused || self.sender.blocking_send(Ok(*page)).is_err() {
                        return Ok(());
                    }
                    let seconds = self.received.elapsed().as_secs_f64();
                    self.state.metrics.page_seconds.get_or_create(&PageLabels { page: label }).observe(seconds);
                }
                SearchStep::Compare(_) => self.compare(&mut run),
                SearchStep::Align(_) if self.is_over() => return Ok(()),
                SearchStep::Align(ids) => {
                    if let Err(error) = run.align(self.state.fetch(&ids)) {
                        // The hits of such records have no segments.
                        tracing::debug!(%error, "segments cannot be computed");
                    }
                }
                SearchStep::Done => return Ok(()),
            }
            step = run.step(|| self.state.table())?;
        }
    }
}
