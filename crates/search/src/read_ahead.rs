//! Re-ranking that reads the next records while others are compared.

use std::borrow::Borrow;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::query::Query;
use crate::session::{BATCH, Fetched, Session};

/// Time spent on re-ranking.
#[derive(Debug, Default, Clone, Copy)]
pub struct Spent {
    /// Waiting for records: what was read while others were compared does not count.
    pub fetch: Duration,
    /// Comparing.
    pub compare: Duration,
}

impl<E: Borrow<Engine>, Q: Borrow<Query>> Session<E, Q> {
    /// Compares the query with the selected videos, the most doubtful first, until all are
    /// compared, the budget's time is up, or `go_on` returns false. `go_on` is called before every
    /// batch with the number of videos that are done. `fetch` gets at most [`BATCH`] ids and
    /// answers in their order; it runs on a thread of its own and is at most two batches ahead.
    /// Memory does not grow with the number of selected videos.
    ///
    /// # Errors
    /// The first error of `fetch`; what was compared before it stays.
    pub fn refine<B, F>(
        &mut self,
        fetch: impl Fn(&[String]) -> Result<Vec<Fetched<B>>, F> + Send,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Spent, F>
    where
        B: AsRef<[u8]> + Send + Sync,
        F: Send,
    {
        let start = Instant::now();
        let mut spent = Spent::default();
        let left = self.left().to_vec();
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(1);
            // Sending fails once the time is up: the thread ends with the batch that it reads.
            scope.spawn(move || left.chunks(BATCH).map(&fetch).all(|batch| sender.send(batch).is_ok()));
            // Moved in, so that it is gone before the scope waits for the thread.
            let batches = batches;
            while !self.left().is_empty() && go_on(self.done()) && self.has_time(start.elapsed()) {
                let at = Instant::now();
                let Ok(records) = batches.recv() else { break };
                spent.fetch += at.elapsed();
                let at = Instant::now();
                self.compare(records?);
                spent.compare += at.elapsed();
            }
            Ok(spent)
        })
    }
}
