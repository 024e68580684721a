//! Whether the server can do its work, and what stands in the way.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vidsieve_api::ready::{Check, Readiness};
use vidsieve_index::store::IndexError;

use crate::log::without_ids;
use crate::state::State;
use crate::work::blocking;

/// Shortest time between two tries to write to an index that could not be written.
const TRY: Duration = Duration::from_secs(5);

/// A write that failed, or a store that did not answer.
#[derive(Debug, Clone)]
struct Fault {
    /// Bytes that there was no room for.
    needed: Option<u64>,
    detail: String,
    tried: Instant,
}

/// What failed last, until it succeeds.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    write: Mutex<Option<Fault>>,
    store: Mutex<Option<String>>,
}

impl Faults {
    fn write(&self) -> Option<Fault> {
        self.write.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_write(&self, fault: Option<Fault>) {
        *self.write.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Notes what came of a write of so many bytes.
    pub(crate) fn wrote<T>(&self, bytes: u64, result: &Result<T, IndexError>) {
        self.set_write(result.as_ref().err().map(|error| Fault {
            needed: error.is_full().then_some(bytes),
            detail: match error.is_full() {
                true => format!("the disk of the index is full: there is no room for a record of {bytes} bytes"),
                false => without_ids(error),
            },
            tried: Instant::now(),
        }));
    }

    /// Notes whether the store of records answered.
    pub(crate) fn fetched(&self, failure: Option<String>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

impl State {
    /// Why writes fail; `None` if they do not. A fault that may be over is tried.
    fn write_fault(&self) -> Option<String> {
        let Some(fault) = self.faults.write() else {
            let full = self.index.room() == Some(0);
            return full.then(|| "the disk of the index is full".to_owned());
        };
        let over = match (fault.needed, self.index.room()) {
            (Some(needed), Some(room)) => room >= needed,
            _ if fault.tried.elapsed() >= TRY => {
                let _order = self.writing();
                let written = self.index.check_writes();
                self.faults.wrote(fault.needed.unwrap_or_default(), &written);
                written.is_ok()
            }
            _ => false,
        };
        if over {
            self.faults.set_write(None);
        }
        (!over).then_some(fault.detail)
    }

    /// Looks what works.
    pub(crate) fn readiness(&self) -> Readiness {
        let read = self.index.len().err().map(|error| without_ids(&error));
        let mut checks = vec![Check::new("index", true, read)];
        if !self.config.read_only {
            checks.push(Check::new("writes", false, self.write_fault()));
        }
        if self.store.is_some() {
            let failure = self.faults.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
            checks.push(Check::new("store", false, failure));
        }
        Readiness::new(checks)
    }
}

/// [`State::readiness`] away from the threads that answer.
pub(crate) async fn readiness(state: &std::sync::Arc<State>) -> Readiness {
    let state = state.clone();
    let failed = |_| Readiness::new(vec![Check::new("index", true, Some("it cannot be looked at".to_owned()))]);
    blocking(move || state.readiness()).await.unwrap_or_else(failed)
}
