//! A small index in memory, for tests.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_record::{Parts, Record};
use vidsieve_search::{Budget, Engine, Fetched, Query, Session, Table};

/// Videos `0`, `1`, … with codes that differ, and a query that is the first of them.
pub struct World {
    pub engine: Engine,
    pub query: Query,
    pub table: Table,
    pub records: Vec<Record<Vec<u8>>>,
}

impl World {
    pub fn new(videos: u8) -> Self {
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
                // The tenth one shows nothing.
                weights: &[if video == 9 { 0 } else { 255 }],
                windows: &[],
                regions: shape.regions(),
                bits: shape.bits(),
                codes: &codes,
            })
            .unwrap()
        };
        let records: Vec<_> = (0..videos).map(record).collect();
        let mut table = Table::new(dims);
        for (id, record) in records.iter().enumerate() {
            table.put_record(&id.to_string(), record).unwrap();
        }
        Self { engine, query: Query::from_record(&records[0]).unwrap(), table, records }
    }

    pub fn session(&self, budget: Budget) -> Session<&Engine, &Query> {
        let coarse = self.table.coarse(Isa::best(), &self.query).unwrap();
        Session::new(&self.engine, &self.query, &self.table, coarse, budget).unwrap()
    }

    pub fn fetch(&self, ids: &[String]) -> Vec<Fetched<Vec<u8>>> {
        ids.iter().map(|id| Ok(self.records[id.parse::<usize>().unwrap()].clone())).collect()
    }
}
