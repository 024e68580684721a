//! The second look, with records that are read on another thread.
#![cfg(feature = "parallel")]
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_record::{Parts, Record};
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, Engine, Fetched, Outcome, Query, Session, Table};

type Answer = Result<Vec<Fetched<Vec<u8>>>, Infallible>;

/// Videos `0`, `1`, … with codes that differ, and a query that is the first of them.
struct World {
    engine: Engine,
    query: Query,
    table: Table,
    records: Vec<Record<Vec<u8>>>,
}

impl World {
    fn new(videos: u8) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.safetensors");
        let bundle = Bundle::from_bytes(path, std::fs::read(path).unwrap()).unwrap();
        let engine = Engine::new(Isa::best(), &bundle).unwrap();
        let encoder = vidsieve_model::encoder::Encoder::new(Isa::best(), &bundle).unwrap();
        let (shape, dims) = (encoder.shape(), encoder.global_dims());
        let record = |video: u8| {
            let global: Vec<f32> = (0..dims).map(|i| if i == usize::from(video) % dims { 1.0 } else { 0.0 }).collect();
            let codes: Vec<u8> =
                (0..shape.regions() * shape.bits() / 8).map(|i| (i as u8).wrapping_mul(video)).collect();
            Record::new(&Parts {
                bundle: bundle.id(),
                duration: 1.0,
                self_similarity: f32::from(video) / 256.0,
                global: &global,
                times: &[0.0],
                regions: shape.regions(),
                bits: shape.bits(),
                codes: &codes,
            })
            .unwrap()
        };
        let records: Vec<_> = (0..videos).map(record).collect();
        let mut table = Table::new(dims);
        for (id, record) in records.iter().enumerate() {
            let global: Vec<f32> = record.global().collect();
            table.put(&id.to_string(), &global, record.self_similarity()).unwrap();
        }
        Self { engine, query: Query::from_record(&records[0]).unwrap(), table, records }
    }

    fn session(&self, budget: Budget) -> Session<&Engine, &Query> {
        let coarse = self.table.scan(Isa::best(), &self.query.global).unwrap();
        Session::new(&self.engine, &self.query, &self.table, coarse, budget).unwrap()
    }

    fn fetch(&self, ids: &[String]) -> Vec<Fetched<Vec<u8>>> {
        ids.iter().map(|id| Ok(self.records[id.parse::<usize>().unwrap()].clone())).collect()
    }
}

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
    ahead.refine(fetch, |_| true).unwrap();
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
    session.refine(fetch, |done| done < BATCH).unwrap();
    assert_eq!((session.done(), session.missing().len()), (BATCH, BATCH));
    assert!(fetched.into_inner() <= 3);
}

#[test]
fn no_time_compares_nothing_and_an_error_ends_it() {
    let world = World::new(100);
    let mut session = world.session(Budget::Time(Duration::ZERO));
    session.refine(|ids: &[String]| -> Answer { Ok(world.fetch(ids)) }, |_| true).unwrap();
    assert_eq!(session.done(), 0);
    let mut session = world.session(Budget::All);
    let calls = AtomicUsize::new(0);
    let fetch = |ids: &[String]| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(world.fetch(ids)),
        _ => Err("the disk is gone"),
    };
    assert_eq!(session.refine(fetch, |_| true).err(), Some("the disk is gone"));
    assert_eq!(session.compared(), BATCH);
}
