//! The steps of a search, with records from memory and a clock that the test sets.
#![allow(clippy::unwrap_used)]

mod world;

use std::cell::Cell;

use vidsieve_search::run::ALIGNED;
use vidsieve_search::session::BATCH;
use vidsieve_search::{
    Budget, Coverage, CoverageSide, HitStage, Outcome, PageStage, Pair, Relation, SearchPage, SearchParameters,
    SearchRun, SearchStep, Segment, SegmentPlace, Verdict,
};
use world::World;

fn parameters(budget: Budget) -> SearchParameters {
    SearchParameters { budget, top: 1000, ..SearchParameters::default() }
}

fn next<C: Fn() -> f64>(
    run: &mut SearchRun<&vidsieve_search::Engine, &vidsieve_search::Query, C>,
    world: &World,
) -> SearchStep {
    run.step(|| &world.table).unwrap()
}

fn page(step: SearchStep) -> SearchPage {
    match step {
        SearchStep::Page(page) => *page,
        other => panic!("{other:?} where a page was expected"),
    }
}

fn compare(step: SearchStep) -> Vec<String> {
    match step {
        SearchStep::Compare(ids) => ids,
        other => panic!("{other:?} where videos to compare were expected"),
    }
}

fn align(step: SearchStep) -> Vec<String> {
    match step {
        SearchStep::Align(ids) => ids,
        other => panic!("{other:?} where videos to align were expected"),
    }
}

#[test]
fn from_the_coarse_page_to_the_refined_one() {
    let world = World::new(100);
    let mut session = world.session(Budget::All);
    let order = session.left().to_vec();
    let mut run = SearchRun::new(&world.engine, &world.query, &world.table, parameters(Budget::All), || 0.0).unwrap();

    let coarse = page(next(&mut run, &world));
    assert_eq!((coarse.page, coarse.last, coarse.videos), (PageStage::Coarse, false, 100));
    assert_eq!((coarse.selected, coarse.reranked, coarse.missing), (100, 0, 0));
    assert_eq!(coarse.hits, session.page(&world.table, 1000, 0.0, false).unwrap());

    let mut asked = Vec::new();
    // Part of a batch: the rest is asked for again.
    let first = compare(next(&mut run, &world));
    assert_eq!(first.len(), BATCH);
    run.compare(world.fetch(&first[..10]));
    asked.extend_from_slice(&first[..10]);
    loop {
        match next(&mut run, &world) {
            SearchStep::Compare(ids) => {
                run.compare(world.fetch(&ids));
                asked.extend(ids);
            }
            SearchStep::Align(ids) => {
                assert!(ids.len() <= ALIGNED);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked, order);

    session.compare(world.fetch(&order[..BATCH]));
    session.compare(world.fetch(&order[BATCH..]));
    let mut hits = session.page(&world.table, 1000, 0.0, false).unwrap();
    let mut aligned = 0;
    let refined = loop {
        match next(&mut run, &world) {
            SearchStep::Align(ids) => {
                run.align(world.fetch(&ids)).unwrap();
                aligned += ids.len();
            }
            step => break page(step),
        }
    };
    assert_eq!(aligned, hits.iter().filter(|hit| hit.wants_segments()).count());
    for hit in hits.iter_mut().filter(|hit| hit.wants_segments()) {
        hit.segments = world.engine.segments(&world.query, &world.records[hit.id.parse::<usize>().unwrap()]).unwrap();
    }
    assert!(hits.iter().any(|hit| !hit.segments.is_empty()));
    assert!(hits.iter().all(|hit| hit.relation.is_some() && hit.coverage.is_some()));
    assert_eq!((refined.page, refined.last, refined.reranked), (PageStage::Refined, true, 100));
    assert_eq!(refined.hits, hits);
    assert_eq!(next(&mut run, &world), SearchStep::Done);
    assert_eq!(next(&mut run, &world), SearchStep::Done);
}

#[test]
fn a_time_budget_and_the_timings_are_of_the_callers_clock() {
    let world = World::new(200);
    let time = Cell::new(7.0);
    let clock = || {
        time.set(time.get() + 1.0);
        time.get()
    };
    let budget: Budget = "250ms".parse().unwrap();
    let mut run = SearchRun::new(&world.engine, &world.query, &world.table, parameters(budget), clock).unwrap();
    let coarse = page(next(&mut run, &world));
    assert_eq!((coarse.timings_ms.scan, coarse.timings_ms.select, coarse.timings_ms.total), (1.0, 1.0, 12.0));
    let mut batches = 0;
    let refined = loop {
        match next(&mut run, &world) {
            SearchStep::Compare(ids) => {
                time.set(time.get() + 100.0);
                run.compare(world.fetch(&ids));
                batches += 1;
            }
            SearchStep::Align(ids) => {
                time.set(time.get() + 10.0);
                run.align(world.fetch(&ids)).unwrap();
            }
            step => break page(step),
        }
    };
    // Begun at 0, 103 and 206 ms; at 309 ms the time is up.
    assert_eq!((batches, refined.reranked, refined.selected), (3, 3 * BATCH, 200));
    assert_eq!((refined.timings_ms.fetch, refined.timings_ms.compare), (3.0 * 101.0, 3.0));
    assert!(refined.timings_ms.segments > 10.0 && refined.timings_ms.total > refined.timings_ms.segments + 300.0);
    assert_eq!((refined.missing, refined.degraded), (0, false));
}

#[test]
fn pairs_and_segments_may_be_settled_elsewhere() {
    let world = World::new(200);
    let cosines = world.table.coarse(world.engine.isa(), &world.query).unwrap();
    let clock = Cell::new(5.0);
    let run =
        SearchRun::scanned(&world.engine, &world.query, &world.table, cosines, parameters(Budget::All), || clock.get());
    let mut run = run.unwrap().unbatched();
    assert_eq!(page(next(&mut run, &world)).timings_ms.scan, 5.0);
    let ids = compare(next(&mut run, &world));
    assert_eq!(ids.len(), 200);
    clock.set(25.0);
    let side = CoverageSide { seconds: 1.0, share: 0.9 };
    let coverage = Coverage { query: side, target: side };
    let verdict = Verdict { relation: Relation::Copy, coverage, untold: None };
    let outcomes = [
        (ids[0].clone(), Outcome::Compared(Pair { raw: 0.9, score: 0.9, verdict })),
        (ids[1].clone(), Outcome::Failed("it is late".to_owned())),
    ];
    run.settle(outcomes);
    let hits = align(next(&mut run, &world));
    assert!(hits.contains(&ids[0]) && !hits.contains(&ids[1]));
    let at = [SegmentPlace::Whole, SegmentPlace::Middle];
    let found = [Segment { query: [0.0, 1.0], target: [2.0, 3.0], at, score: 0.5 }];
    run.settle_segments(hits.iter().map(|id| (*id == ids[0]).then(|| found.to_vec())));
    let refined = page(next(&mut run, &world));
    assert_eq!((refined.selected, refined.reranked, refined.missing, refined.degraded), (200, 1, 1, true));
    assert_eq!((refined.timings_ms.compare, refined.timings_ms.fetch), (20.0, 0.0));
    for hit in &refined.hits {
        let first = hit.id == ids[0];
        assert_eq!((hit.stage == HitStage::Fine, hit.segments == found), (first, first), "{hit:?}");
        assert_eq!(hit.unavailable.is_some(), hit.id == ids[1]);
    }
}

#[test]
fn pages_that_are_left_out() {
    let world = World::new(20);
    let start = |parameters| SearchRun::new(&world.engine, &world.query, &world.table, parameters, || 0.0).unwrap();
    let none = parameters(Budget::None);
    let mut run = start(SearchParameters { segments: false, ..none });
    assert!(page(next(&mut run, &world)).last, "nothing follows");
    assert_eq!(next(&mut run, &world), SearchStep::Done);

    let mut run = start(SearchParameters { segments: false, coarse_page: false, ..none });
    let only = page(next(&mut run, &world));
    assert_eq!((only.page, only.last), (PageStage::Refined, true));
    assert_eq!(next(&mut run, &world), SearchStep::Done);

    // Where nothing is compared, the coarse page is the last one, and says no relation.
    let mut run = start(none);
    let coarse = page(next(&mut run, &world));
    assert!(coarse.last && coarse.hits.iter().all(|hit| hit.relation.is_none() && hit.coverage.is_none()));
    assert_eq!(coarse.hits[0].describe().as_deref(), Some("likely; not compared"));
    assert_eq!(next(&mut run, &world), SearchStep::Done);

    // A caller may stop: what was compared has segments.
    let mut run = start(parameters(Budget::All));
    page(next(&mut run, &world));
    let ids = compare(next(&mut run, &world));
    run.compare(world.fetch(&ids[..1]));
    run.end_comparing();
    assert_eq!(align(next(&mut run, &world)), ids[..1]);
}

#[test]
fn a_page_is_about_the_table_as_it_is_then() {
    let world = World::new(20);
    let mut run = SearchRun::new(&world.engine, &world.query, &world.table, parameters(Budget::All), || 0.0).unwrap();
    page(next(&mut run, &world));
    let ids = compare(next(&mut run, &world));
    run.compare(world.fetch(&ids));
    let mut changed = world.table.clone();
    changed.remove("3");
    let mut step = run.step(|| &changed).unwrap();
    while let SearchStep::Align(ids) = step {
        run.align(world.fetch(&ids)).unwrap();
        step = run.step(|| &changed).unwrap();
    }
    let refined = page(step);
    assert_eq!((refined.videos, refined.hits.len()), (19, 19));
    assert!(refined.hits.iter().all(|hit| hit.id != "3" && hit.stage == HitStage::Fine));
}

#[test]
fn a_page_as_json() {
    let world = World::new(1);
    let explain = SearchParameters { explain: true, segments: false, ..parameters(Budget::None) };
    let mut run = SearchRun::new(&world.engine, &world.query, &world.table, explain, || 0.0).unwrap();
    let page = page(next(&mut run, &world));
    let (hit, id) = (&page.hits[0], world.engine.bundle());
    let doubt = serde_json::to_string(&hit.doubt).unwrap();
    let coarse = serde_json::to_string(&hit.coarse).unwrap();
    assert_eq!(
        page.line(),
        format!(
            "{{\"page\":\"coarse\",\"last\":true,\"model\":\"{id}\",\"videos\":1,\"budget\":\"none\",\"selected\":0,\
             \"reranked\":0,\"missing\":0,\"degraded\":false,\"hits\":[{{\"id\":\"0\",\"score\":{coarse},\
             \"stage\":\"coarse\",\"coarse\":{coarse},\"fine\":null,\"doubt\":{doubt},\"relation\":null,\
             \"coverage\":null,\"segments\":[],\"explain\":{{\"coarse_cosine\":1.0,\"fine_similarity\":null,\
             \"self_similarity\":0.0,\"selected\":false,\"coarse_rank\":1}}}}],\"timings_ms\":{{\"scan\":0.0,\
             \"select\":0.0,\"fetch\":0.0,\"compare\":0.0,\"segments\":0.0,\"total\":0.0}}}}\n"
        )
    );
}
