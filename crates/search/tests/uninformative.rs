//! Videos that show nothing: video 9 of the world has frames of weight 0 alone.
#![allow(clippy::unwrap_used)]

mod world;

use vidsieve_model::fine::Workspace;
use vidsieve_search::relation::Untold;
use vidsieve_search::{Budget, NO_COSINE, Query, SearchPage, SearchParameters, SearchRun, SearchStep};
use world::World;

/// All pages of a search.
fn pages(world: &World, query: &Query, budget: Budget) -> Vec<SearchPage> {
    let parameters = SearchParameters { top: 100, budget, ..SearchParameters::default() };
    let mut run = SearchRun::new(&world.engine, query, &world.table, parameters, || 0.0).unwrap();
    let mut pages = Vec::new();
    loop {
        match run.step(|| &world.table).unwrap() {
            SearchStep::Page(page) => pages.push(*page),
            SearchStep::Compare(ids) => run.compare(world.fetch(&ids)),
            SearchStep::Align(ids) => run.align(world.fetch(&ids)).unwrap(),
            SearchStep::Done => return pages,
        }
    }
}

#[test]
fn a_target_that_shows_nothing_is_never_found() {
    let world = World::new(20);
    assert!(world.query.is_informative() && !world.table.is_informative(world.table.position("9").unwrap()));
    let session = world.session(Budget::Pairs(19));
    assert!(!session.all_selected().contains(&"9".to_owned()), "it is compared last");
    for budget in [Budget::None, Budget::Pairs(5), Budget::All] {
        for page in pages(&world, &world.query, budget) {
            assert!(page.warnings.is_empty());
            let hit = page.hits.iter().find(|hit| hit.id == "9").unwrap();
            assert_eq!((hit.score, hit.coarse, hit.untold), (0.0, 0.0, Some(Untold::NothingInTarget)), "{budget:?}");
            assert!(hit.segments.is_empty() && page.hits[0].id == "0" && page.hits[0].score > 0.5);
            assert!(page.hits.iter().all(|hit| hit.id == "9" || hit.untold != Some(Untold::NothingInTarget)));
        }
    }
    let pair = world.engine.compare(&world.query, &world.records[9], &mut Workspace::default()).unwrap();
    assert_eq!((pair.score, pair.verdict.untold), (0.0, Some(Untold::NothingInTarget)));
}

/// Not even itself is found.
#[test]
fn a_query_that_shows_nothing_finds_nothing() {
    let world = World::new(20);
    let query = Query::from_record(&world.records[9]).unwrap();
    assert!(!query.is_informative());
    let cosines = world.table.coarse(world.engine.isa(), &query).unwrap().cosines;
    assert!(cosines.iter().all(|cosine| *cosine == NO_COSINE));
    for budget in [Budget::None, Budget::Pairs(5), Budget::All] {
        for page in pages(&world, &query, budget) {
            assert_eq!(page.warnings, [Untold::NothingInQuery.text()]);
            assert_eq!(page.hits.len(), 20);
            for hit in &page.hits {
                assert_eq!((hit.score, hit.coarse, hit.doubt), (0.0, 0.0, Some(0.0)), "{budget:?} {}", hit.id);
                assert!(hit.untold.is_some() && hit.segments.is_empty());
            }
        }
    }
    let pair = world.engine.compare(&query, &world.records[0], &mut Workspace::default()).unwrap();
    assert_eq!((pair.score, pair.verdict.untold), (0.0, Some(Untold::NothingInQuery)));
}

/// A record keeps what a query knows of its frames and windows.
#[test]
fn weights_and_windows_are_kept() {
    let world = World::new(2);
    let mut query = world.query.clone();
    query.weights = vec![17];
    let vector: Vec<f32> = query.global.iter().rev().copied().collect();
    query.windows = vec![vidsieve_record::WindowVector::quantise(0, 0, &vector)];
    let record = query.record().unwrap();
    assert_eq!(Query::from_record(&record).unwrap(), query);
    assert_eq!(query.footage().weights(), [17]);
}
