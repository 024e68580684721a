//! What all requests share.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;
use vidsieve_index::record::{BundleId, Record, RecordError};
use vidsieve_index::remote::Remote;
use vidsieve_index::store::Index;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_search::{Engine, Table};

use crate::metrics::Metrics;
use crate::{Config, ServeError};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) index: Index,
    pub(crate) store: Option<Remote>,
    pub(crate) engine: Engine,
    pub(crate) encoder: Option<Encoder>,
    pub(crate) networks: Vec<&'static str>,
    pub(crate) shape: Option<(usize, usize)>,
    pub(crate) dims: Option<usize>,
    pub(crate) bundle_bytes: Vec<u8>,
    table: RwLock<Table>,
    /// Searches and encodings that compute at the same time.
    pub(crate) work: Arc<Semaphore>,
    pub(crate) limiter: DefaultKeyedRateLimiter<String>,
    pub(crate) metrics: Metrics,
}

impl State {
    /// Reads the index into memory.
    pub(crate) fn new(config: Config, index: Index, store: Option<Remote>) -> Result<Self, ServeError> {
        let isa = Isa::best();
        let bundle_bytes = index.bundle_bytes()?;
        let bundle = Bundle::from_bytes("the index's bundle", bundle_bytes.clone())?;
        if BundleId(bundle.id().0) != index.bundle() {
            let (expected, found) = (index.bundle(), BundleId(bundle.id().0));
            return Err(ServeError::Record(RecordError::Bundle { expected, found }));
        }
        let engine = Engine::new(isa, &bundle)?;
        // A bundle without a backbone can search but not encode.
        let encoder = Encoder::new(isa, &bundle).ok();
        let columns = index.columns()?;
        let dims = bundle.config().coarse.map(|c| c.output()).or((columns.dims() > 0).then(|| columns.dims()));
        let table =
            Table::from_columns(dims.unwrap_or(columns.dims()), columns.ids, columns.vectors, columns.self_similarity)?;
        let metrics = Metrics::new();
        metrics.videos.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
        let per_second = NonZeroU32::new(config.rate.max(1)).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(config.burst.max(1)).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            work: Arc::new(Semaphore::new(config.workers.max(1))),
            limiter: RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            networks: bundle.networks().map(|n| n.name()).collect(),
            shape: encoder.as_ref().map(|e| (e.shape().regions(), e.shape().bits())),
            dims,
            bundle_bytes,
            table: RwLock::new(table),
            config,
            index,
            store,
            engine,
            encoder,
            metrics,
        })
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records of several videos, from the configured store: `None` for one that is not there or cannot be read, with the
    /// reason.
    pub(crate) fn fetch(&self, ids: &[String]) -> Vec<Result<Record<Vec<u8>>, Option<String>>> {
        let of = |found: Option<Result<Record<Vec<u8>>, RecordError>>| match found {
            None => Err(None),
            Some(Ok(record)) => Ok(record),
            Some(Err(error)) => Err(Some(error.to_string())),
        };
        match &self.store {
            None => match self.index.records(ids) {
                Ok(records) => records.into_iter().map(of).collect(),
                Err(error) => {
                    tracing::error!(%error, "records cannot be read");
                    ids.iter().map(|_| Err(Some("the store cannot be read".to_owned()))).collect()
                }
            },
            Some(remote) => {
                use futures::StreamExt;
                let mut all: Vec<_> = ids.iter().map(|_| Err(None)).collect();
                // This runs on a thread for blocking work.
                tokio::runtime::Handle::current().block_on(async {
                    let mut many = std::pin::pin!(remote.get_many(ids));
                    while let Some((i, found)) = many.next().await {
                        all[i] = match found {
                            Ok(found) => of(found),
                            Err(error) => {
                                tracing::warn!(%error, "a record cannot be fetched");
                                Err(Some("the store does not answer".to_owned()))
                            }
                        };
                    }
                });
                all
            }
        }
    }
}
