//! How long a client keeps the server waiting: for the head of a request, and for an answer to be taken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

/// Bytes a second below which a client is slow: those of a body that comes, and of an answer that is taken.
pub(crate) const SLOWEST: u64 = 50_000;

/// The time that so many bytes may take.
pub(crate) fn time_of(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST)
}

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    /// Requests that are answered; one at a time in HTTP/1.
    serving: AtomicU32,
    /// Milliseconds after the start at which the last answer ended.
    idle_since: AtomicU64,
    /// Milliseconds after the start, and 1, since which the client does not take what is written; 0 if it does.
    blocked_since: AtomicU64,
    /// Whether the client was too slow.
    slow: AtomicBool,
    end: Notify,
}

impl Pace {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            serving: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            slow: AtomicBool::new(false),
            end: Notify::new(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// For how long the server has had nothing to do but to wait for the client.
    pub(crate) fn waiting(&self) -> Duration {
        let now = self.now();
        let since = |at: u64| now.saturating_sub(at);
        let idle = (self.serving.load(Ordering::Acquire) == 0).then(|| since(self.idle_since.load(Ordering::Acquire)));
        let blocked = self.blocked_since.load(Ordering::Acquire).checked_sub(1).map(since);
        Duration::from_millis(idle.max(blocked).unwrap_or_default())
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// Ends the connection.
    pub(crate) fn end(&self) {
        self.end.notify_one();
    }

    /// Done when the connection is to end.
    pub(crate) async fn ended(&self) {
        self.end.notified().await;
    }
}

/// A request of a connection that is answered.
#[derive(Debug)]
pub(crate) struct Serving(Arc<Pace>);

impl Serving {
    pub(crate) fn of(pace: &Arc<Pace>) -> Self {
        pace.serving.fetch_add(1, Ordering::AcqRel);
        Self(pace.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Release);
        self.0.serving.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that ends when its client keeps an answer waiting for too long: for `stall` in all, beyond the time that the
/// bytes which it took may take.
pub(crate) struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
    stall: Duration,
    /// Time that the client has kept answers waiting, less what the bytes that it took may take.
    debt: Duration,
    blocked: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Paced<T> {
    pub(crate) fn new(inner: T, pace: Arc<Pace>, stall: Duration) -> Self {
        Self { inner, pace, stall, debt: Duration::ZERO, blocked: None, timer: None }
    }

    fn paced(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = written {
            if let Some(since) = self.blocked.take() {
                self.debt += since.elapsed();
                self.timer = None;
                self.pace.blocked_since.store(0, Ordering::Release);
            }
            let bytes = done.as_ref().map_or(0, |bytes| *bytes as u64);
            self.debt = self.debt.saturating_sub(time_of(bytes));
            return Poll::Ready(done);
        }
        if self.blocked.is_none() {
            self.blocked = Some(Instant::now());
            self.pace.blocked_since.store(self.pace.now() + 1, Ordering::Release);
        }
        let left = self.stall.saturating_sub(self.debt);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.pace.slow.store(true, Ordering::Release);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the answer")))
    }
}

impl<T: Read + Unpin> Read for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.paced(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.paced(written, context)
    }
}
