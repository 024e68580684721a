//! What all requests share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::body::Bytes;
use tokio::sync::Semaphore;
use vidsieve_api::ServerModel;
use vidsieve_index::remote::Remote;
use vidsieve_index::store::Index;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::{Record, RecordError};
use vidsieve_search::{Engine, Fetched, Outcome, Table};

use crate::config::{Config, ServeError};
use crate::gate::Gate;
use crate::log::without_ids;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::ready::Faults;

/// Bodies of the largest size for which there is memory; of smaller ones there may be more at the
/// same time.
const BODIES: usize = 4;

/// Why a record of the store was not compared.
const SILENT: &str = "the store does not answer";

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) index: Arc<Index>,
    pub(crate) store: Option<Remote>,
    pub(crate) engine: Engine,
    pub(crate) encoder: Option<Encoder>,
    pub(crate) model: ServerModel,
    pub(crate) bundle_bytes: Bytes,
    table: RwLock<Table>,
    /// Held while the index and then the table are changed, so that both see changes of an id in the same order.
    order: Mutex<()>,
    pub(crate) faults: Faults,
    pub(crate) places: Arc<Places>,
    /// Searches and encodings that compute at the same time.
    pub(crate) work: Arc<Semaphore>,
    /// Work on all videos of the index, one at a time: searches keep their places.
    pub(crate) whole: Arc<Semaphore>,
    /// Memory for bodies, in KiB.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    /// Whether the server has ended: what still computes stops at its next look.
    pub(crate) ending: AtomicBool,
}

/// Of a body, what it takes of [`State::bodies`].
pub(crate) fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

impl State {
    /// Reads the index into memory.
    pub(crate) fn new(config: Config, index: Index, store: Option<Remote>) -> Result<Self, ServeError> {
        let bundle_bytes = index.bundle_bytes()?;
        let bundle = Bundle::from_bytes("the index's bundle", bundle_bytes.clone())?;
        if bundle.id() != index.bundle() {
            let (expected, found) = (index.bundle(), bundle.id());
            return Err(ServeError::Record(RecordError::Bundle { expected, found }));
        }
        let engine = Engine::new(config.isa, &bundle)?;
        // A bundle without a backbone can search but not encode.
        let encoder = Encoder::new(config.isa, &bundle).ok();
        let columns = index.columns()?;
        let dims = bundle.config().coarse.map(|c| c.output()).or((columns.dims() > 0).then(|| columns.dims()));
        let mut table = Table::from_columns(
            dims.unwrap_or(columns.dims()),
            columns.ids,
            columns.vectors,
            columns.self_similarity,
            &columns.informative,
        )?;
        index.windows(|id, windows| table.put_windows(id, &windows))??;
        let bodies = (kib(config.body_limit) as usize).saturating_mul(BODIES).min(Semaphore::MAX_PERMITS);
        let build = vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("bundle", bundle.id().to_string()),
            ("instruction_set", config.isa.name().to_owned()),
        ];
        let state = Self {
            order: Mutex::default(),
            faults: Faults::default(),
            places: Places::new(config.connections, config.connections_of_address),
            work: Arc::new(Semaphore::new(config.workers.clamp(1, Semaphore::MAX_PERMITS))),
            whole: Arc::new(Semaphore::new(1)),
            bodies: Arc::new(Semaphore::new(bodies)),
            gate: Gate::new(&config),
            model: ServerModel::new(&bundle, encoder.as_ref().map(|e| (e.shape().regions(), e.shape().bits())), dims),
            bundle_bytes: Bytes::from(bundle_bytes),
            table: RwLock::new(table),
            config,
            index: Arc::new(index),
            store,
            engine,
            encoder,
            metrics: Metrics::new(build),
            ending: AtomicBool::new(false),
        };
        state.counted(&state.table());
        Ok(state)
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change the index, which one has at a time.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how many videos a table has after a change.
    pub(crate) fn counted(&self, table: &Table) {
        self.metrics.videos.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
    }

    /// Counts pairs that were compared, and that could not be.
    pub(crate) fn count_pairs(&self, compared: usize, missing: usize) {
        self.metrics.compared.inc_by(compared as u64);
        self.metrics.missing.inc_by(missing as u64);
    }

    /// The records of several videos, from the configured store; what becomes of the pair for one
    /// that is not there or cannot be used.
    pub(crate) fn fetch(&self, ids: &[String]) -> Vec<Fetched<Vec<u8>>> {
        let of = |found: Option<Result<Record<Vec<u8>>, RecordError>>| match found {
            None => Err(Outcome::Missing),
            Some(Ok(record)) => Ok(record),
            Some(Err(error)) => Err(Outcome::Failed(error.to_string())),
        };
        match &self.store {
            None => match self.index.records(ids) {
                Ok(records) => records.into_iter().map(of).collect(),
                Err(error) => {
                    tracing::error!(error = without_ids(&error), "records cannot be read");
                    ids.iter().map(|_| Err(Outcome::Failed("the index cannot be read".to_owned()))).collect()
                }
            },
            Some(remote) => {
                use futures::StreamExt;
                let mut all: Vec<_> = ids.iter().map(|_| Err(Outcome::Missing)).collect();
                // This runs on a thread for blocking work.
                let mut failure = None;
                let mut come = vec![false; ids.len()];
                let fetching = async {
                    let mut many = std::pin::pin!(remote.get_many(ids));
                    while let Some((i, found)) = many.next().await {
                        come[i] = true;
                        all[i] = match found {
                            Ok(found) => of(found).and_then(|record| self.as_indexed(&ids[i], record)),
                            Err(error) => {
                                tracing::warn!(%error, "a record cannot be fetched");
                                failure = Some(SILENT.to_owned());
                                Err(Outcome::Failed(SILENT.to_owned()))
                            }
                        };
                    }
                };
                let in_time = tokio::time::timeout(self.config.patience, fetching);
                if tokio::runtime::Handle::current().block_on(in_time).is_err() {
                    tracing::warn!("the store of records does not answer in time");
                    failure = Some(SILENT.to_owned());
                    let late = all.iter_mut().zip(&come).filter(|(_, come)| !**come);
                    late.for_each(|(found, _)| *found = Err(Outcome::Failed(SILENT.to_owned())));
                }
                self.faults.fetched(failure);
                all
            }
        }
    }

    /// A record of the store that is the one of the index: what the scan found of one version of a
    /// video is not merged with what another version answers.
    fn as_indexed(&self, id: &str, record: Record<Vec<u8>>) -> Fetched<Vec<u8>> {
        match self.index.summary(id) {
            Ok(Some(row)) if row.checksum != record.checksum() => {
                Err(Outcome::Failed("the store has another version: run `vidsieve push`".to_owned()))
            }
            Ok(_) => Ok(record),
            Err(error) => {
                tracing::error!(error = without_ids(&error), "a row cannot be read");
                Err(Outcome::Failed("the index cannot be read".to_owned()))
            }
        }
    }
}
