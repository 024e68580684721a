//! Re-ranking with records that are read on another thread.
#![cfg(feature = "parallel")]
#![allow(clippy::unwrap_used)]

mod world;

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vidsieve_progress::{CancelToken, Control, Progress};
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, Fetched, Outcome, SearchParameters, SearchRun, SearchStep};

use world::World;

type Answer = Result<Vec<Fetched<Vec<u8>>>, Infallible>;

#[test]
fn everything_selected_is_fetched_once_and_in_order() {
    let world = World::new(200);
    let mut ahead = world.session(Budget::All);
    let order = ahead.left().to_vec();
    assert_eq!(order.len(), 200);
    let asked = Mutex::new(Vec::new());
    let fetch = |ids: &[String]| -> Answer {
        assert!(ids.len() <= BATCH);
        asked.lock().unwrap().extend_from_slice(ids);
        Ok(world.fetch(ids))
    };
    ahead.refine(fetch, &Control::new()).unwrap();
    assert_eq!(asked.into_inner().unwrap(), order);
    assert_eq!((ahead.done(), ahead.compared()), (200, 200));

    let mut one_by_one = world.session(Budget::All);
    while !one_by_one.wanted().is_empty() {
        let records = world.fetch(one_by_one.wanted());
        one_by_one.compare(records);
    }
    let pages = [&mut ahead, &mut one_by_one].map(|session| session.page(&world.table, 200, 0.0, true).unwrap());
    assert_eq!(pages[0], pages[1]);
}

#[test]
fn it_stops_when_told_and_reads_at_most_two_batches_ahead() {
    let world = World::new(255);
    let mut session = world.session(Budget::All);
    let fetched = AtomicUsize::new(0);
    let fetch = |ids: &[String]| -> Answer {
        fetched.fetch_add(1, Ordering::SeqCst);
        Ok(ids.iter().map(|_| Err(Outcome::Missing)).collect())
    };
    let cancel = CancelToken::new();
    let stop_after_a_batch = |p: &Progress<'_>| {
        if p.done >= BATCH as f64 {
            cancel.cancel();
        }
    };
    session.refine(fetch, &Control::new().with_progress(&stop_after_a_batch).with_cancel(&cancel)).unwrap();
    assert_eq!((session.done(), session.missing().len()), (BATCH, BATCH));
    assert!(fetched.into_inner() <= 3);
}

#[test]
fn no_time_compares_nothing_and_an_error_ends_it() {
    let world = World::new(100);
    let mut session = world.session(Budget::Time(Duration::ZERO));
    session.refine(|ids: &[String]| -> Answer { Ok(world.fetch(ids)) }, &Control::new()).unwrap();
    assert_eq!(session.done(), 0);
    let mut session = world.session(Budget::All);
    let calls = AtomicUsize::new(0);
    let fetch = |ids: &[String]| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(world.fetch(ids)),
        _ => Err("the disk is gone"),
    };
    assert_eq!(session.refine(fetch, &Control::new()).err(), Some("the disk is gone"));
    assert_eq!(session.compared(), BATCH);
}

#[test]
fn a_run_that_reads_ahead_gives_the_pages_of_one_that_does_not() {
    let world = World::new(150);
    let parameters = SearchParameters { budget: Budget::All, top: 150, explain: true, ..SearchParameters::default() };
    let start = || SearchRun::new(&world.engine, &world.query, &world.table, parameters, || 0.0).unwrap();
    let pages = |ahead: bool| {
        let (mut run, mut pages) = (start(), Vec::new());
        loop {
            match run.step(|| &world.table).unwrap() {
                SearchStep::Page(page) => pages.push(page.with_timings(())),
                SearchStep::Compare(_) if ahead => {
                    run.refine(|ids| -> Answer { Ok(world.fetch(ids)) }, &Control::new()).unwrap()
                }
                SearchStep::Compare(ids) => run.compare(world.fetch(&ids)),
                SearchStep::Align(ids) => run.align(world.fetch(&ids)).unwrap(),
                SearchStep::Done => return pages,
            }
        }
    };
    let (ahead, one_by_one) = (pages(true), pages(false));
    assert_eq!(ahead.len(), 2);
    assert_eq!(ahead[1].reranked, 150);
    assert_eq!(ahead, one_by_one);
}
