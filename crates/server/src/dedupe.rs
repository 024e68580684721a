//! `/v1/dedupe`: copies in the index, plans of what may be done with them, and decisions. No video file is written, moved or
//! removed here: `vidsieve dedupe apply` acts on a plan.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::mpsc;
use vidsieve::{
    Archive, CancelToken, Control, DecisionKind, DedupeOptions, DedupePlan, DedupeReport, Error, KeepBy, PlanChoice,
    Progress, Unit,
};
use vidsieve_api::dedupe::DecisionMark;
use vidsieve_api::{
    DecisionRequest, DecisionResult, DedupeLine, DedupeParameters, NDJSON, PlanRequest, Problem, ProgressLine,
};
use vidsieve_index::store::IndexError;

use crate::body::body_of;
use crate::log;
use crate::request::{Answered, parameters};
use crate::state::State;
use crate::work::{blocking, whole_index};

/// Shortest time between two lines of progress.
const PERIOD: Duration = Duration::from_millis(200);
/// Lines of an answer that wait for the client at most; further ones of progress are left out.
const LINES: usize = 4;

/// Options with a score, and with the folders that the server protects.
fn options(state: &State, min_score: f32) -> DedupeOptions {
    let options = DedupeOptions::new().min_score(min_score);
    state.config.reference.iter().fold(options, DedupeOptions::reference)
}

/// Finds the copies in the index.
pub(crate) async fn find(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let DedupeParameters { min_score, budget, keep, reviewed, top } = DedupeParameters::parse(parameters(&request))?;
    let keep: Result<Vec<KeepBy>, _> = keep.iter().map(|by| by.parse()).collect();
    let keep = keep.map_err(|rule: String| Problem::bad_request(format!("keep {rule}")))?;
    let options = options(&state, min_score).budget(budget).keep(keep).reviewed(reviewed);
    let place = whole_index(&state).await?;
    Ok(lines(state, place, move |archive, control| {
        let mut report = archive.dedupe(&options, control)?;
        if report.interrupted {
            return Err(Error::Cancelled);
        }
        let left_out = report.limit(top);
        Ok(DedupeLine::Report { last: true, left_out, report })
    }))
}

/// Makes a plan of chosen copies.
pub(crate) async fn plan(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let (body, share) = body_of(&state, request).await?;
    let PlanRequest { min_score, groups } = PlanRequest::parse(&body)?;
    drop(body);
    let choices: Vec<PlanChoice> =
        groups.into_iter().map(|group| PlanChoice { keep: group.keep, go: group.go }).collect();
    let options = options(&state, min_score);
    let place = whole_index(&state).await?;
    Ok(lines(state, (place, share), move |archive, control| {
        let plan: DedupePlan = archive.plan_choices(&choices, &options, control)?;
        Ok(DedupeLine::Plan { last: true, plan: plan.to_text() })
    }))
}

/// Keeps a decision about videos, or takes it back.
pub(crate) async fn decide(Shared(state): Shared<Arc<State>>, request: Request) -> Answered {
    let (body, share) = body_of(&state, request).await?;
    let DecisionRequest { kind, ids, undo } = DecisionRequest::parse(&body)?;
    let kind = match kind {
        DecisionMark::Different => DecisionKind::Different,
        DecisionMark::Reviewed => DecisionKind::Reviewed,
    };
    let result = blocking(move || {
        let _held = share;
        let _order = state.writing();
        let archive = Archive::over(state.index.clone());
        let done = if undo { archive.undecide(kind, &ids) } else { archive.decide(kind, &ids).map(|_| true) };
        match done {
            Ok(done) => {
                state.faults.wrote::<()>(0, &Ok(()));
                Ok(done)
            }
            Err(Error::Index(error)) => {
                let failed: Result<(), IndexError> = Err(error);
                state.faults.wrote(0, &failed);
                failed.map(|()| false).map_err(|error| log::index(&error))
            }
            Err(error) => Err(problem_of(&error)),
        }
    })
    .await??;
    match (undo, result) {
        (false, _) => Ok(Json(json!({ "result": DecisionResult::Kept })).into_response()),
        (true, true) => Ok(Json(json!({ "result": DecisionResult::Removed })).into_response()),
        (true, false) => Err(Problem::not_found("there is no such decision about these videos")),
    }
}

/// The problem of an error: what the client can do about it, or an internal one, whose reason the log gets.
fn problem_of(error: &Error) -> Problem {
    match error {
        Error::Index(error) | Error::StorageFull(error) => log::index(error),
        Error::UnknownVideo { id, .. } => Problem::not_found(format!("{id:?}: the index has no such video")),
        Error::InvalidOption { .. } | Error::Choice(_) | Error::Decision(_) => Problem::bad_request(error.to_string()),
        Error::Cancelled => Problem::busy(),
        Error::Search(error) => log::internal(error),
        // Others may name files of the server, which the log does not hold.
        Error::ForeignModel { .. } | Error::ReadModel { .. } | Error::Model(_) => {
            log::internal(&"the model of the index cannot be used")
        }
        _ => log::internal(&"copies cannot be looked for"),
    }
}

/// Works on the whole index and answers with lines: how far it is, then what came of it. The work stops soon after the client
/// has gone or the server ends. `held` is given back afterwards.
fn lines(
    state: Arc<State>,
    held: impl Send + 'static,
    work: impl FnOnce(&Archive, &Control<'_>) -> Result<DedupeLine<DedupeReport>, Error> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel::<String>(LINES);
    let cancel = CancelToken::new();
    let client = cancel.cancel_on_drop();
    tokio::task::spawn_blocking(move || {
        let _held = held;
        let shown = Mutex::new(None::<Instant>);
        let show = |progress: &Progress<'_>| {
            if sender.is_closed() || state.ending.load(Ordering::Relaxed) {
                cancel.cancel();
            }
            // Another thread that reports at the same time is enough.
            let Ok(mut shown) = shown.try_lock() else { return };
            if shown.is_none_or(|at| at.elapsed() >= PERIOD) {
                *shown = Some(Instant::now());
                let _ = progress_line(progress).map(|line| sender.try_send(line));
            }
        };
        let archive = Archive::over(state.index.clone());
        let done = work(&archive, &Control::new().with_progress(&show).with_cancel(&cancel));
        let line = done.map_err(|error| problem_of(&error)).and_then(|line| line.line());
        // Sending fails if the client has gone.
        let _ = sender.blocking_send(line.unwrap_or_else(|problem| problem.line()));
    });
    // The guard goes with the body.
    let lines = futures::stream::unfold((receiver, client), |(mut receiver, client)| async {
        let line = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), (receiver, client)))
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
}

fn progress_line(progress: &Progress<'_>) -> Result<String, Problem> {
    let unit = match progress.unit {
        Unit::Bytes => "bytes",
        Unit::Seconds => "seconds",
        Unit::Videos => "videos",
        Unit::Pairs => "pairs",
        _ => "steps",
    };
    let progress = ProgressLine {
        stage: progress.stage.to_owned(),
        done: progress.done,
        total: progress.total,
        unit: unit.to_owned(),
    };
    DedupeLine::<()>::Progress { last: false, progress }.line()
}
