//! Progress and cancellation of long operations: the one mechanism that every crate of Vidsieve uses.
//!
//! An operation that takes time accepts a [`Control`]. It reports how far it is through [`Control::report`] and stops soon
//! after the [`CancelToken`] is set. What was finished before stays; each operation documents what that is.
//!
//! ```
//! use vidsieve_progress::{CancelToken, Control, Progress, Unit};
//!
//! let cancel = CancelToken::new();
//! let show = |p: &Progress<'_>| eprintln!("{} {:.0} of {:?}", p.stage, p.done, p.total);
//! let control = Control::new().with_progress(&show).with_cancel(&cancel);
//!
//! let mut sum = 0;
//! for n in 1..=10 {
//!     if control.is_cancelled() {
//!         break;
//!     }
//!     sum += n;
//!     control.report(&Progress::new("adding", f64::from(n), Some(10.0), Unit::Steps));
//! }
//! assert_eq!(sum, 55);
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops an operation from another thread or a signal handler. Clones share one state; a token cannot be reset.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<TokenState>);

#[derive(Debug, Default)]
struct TokenState {
    cancelled: AtomicBool,
    parent: Option<CancelToken>,
}

impl CancelToken {
    /// Creates a token that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every operation that holds the token to stop.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`CancelToken::cancel`] was called, on this token or on one that it was derived from.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Returns a token that is set with this one, or by itself: for an operation that also stops for reasons of its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(TokenState { cancelled: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Returns a guard that cancels when it is dropped: for work whose requester may go away.
    #[must_use]
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

/// Cancels its token when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The unit of [`Progress::done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Seconds of video.
    Seconds,
    /// Videos of an index, or files.
    Videos,
    /// Pairs of videos.
    Pairs,
    /// Steps of an operation that has no better unit.
    Steps,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// What is being done, as one word: `encoding`, `comparing`, `checking`.
    pub stage: &'static str,
    /// The file or video at hand, if there is one.
    pub item: Option<&'a str>,
    /// Units done, from 0 to `total`.
    pub done: f64,
    /// Units in all, if known.
    pub total: Option<f64>,
    /// What is counted.
    pub unit: Unit,
}

impl<'a> Progress<'a> {
    /// Creates a report without an item.
    #[must_use]
    pub const fn new(stage: &'static str, done: f64, total: Option<f64>, unit: Unit) -> Self {
        Self { stage, item: None, done, total, unit }
    }

    /// Names the file or video at hand.
    #[must_use]
    pub const fn of(self, item: &'a str) -> Self {
        Self { item: Some(item), ..self }
    }

    /// Returns the part that is done, in [0, 1], if the whole is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0.0)?;
        Some((self.done / total).clamp(0.0, 1.0))
    }
}

/// A function that receives progress. It may be called from several threads at once and should return quickly.
pub type ProgressFn<'a> = dyn Fn(&Progress<'_>) + Sync + 'a;

/// The controls of a long operation: who receives its progress, and what stops it. The default reports nothing and is never
/// cancelled.
#[derive(Clone, Default)]
pub struct Control<'a> {
    progress: Option<&'a ProgressFn<'a>>,
    cancel: CancelToken,
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("progress", &self.progress.is_some())
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl<'a> Control<'a> {
    /// Creates controls that report nothing and never stop anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends progress to a function.
    #[must_use]
    pub fn with_progress(self, progress: &'a ProgressFn<'a>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// Lets a token stop the operation.
    #[must_use]
    pub fn with_cancel(self, cancel: &CancelToken) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// Returns the token that stops the operation.
    #[must_use]
    pub const fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Returns whether the operation is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Reports how far the operation is.
    pub fn report(&self, progress: &Progress<'_>) {
        if let Some(receiver) = self.progress {
            receiver(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn clones_share_one_state() {
        let (token, control) = (CancelToken::new(), Control::new());
        let control = control.with_cancel(&token);
        let copy = control.clone();
        assert!(!control.is_cancelled() && !copy.is_cancelled());
        drop(token.cancel_on_drop());
        assert!(control.is_cancelled() && copy.is_cancelled() && copy.cancel().is_cancelled());
    }

    #[test]
    fn a_child_is_set_with_its_parent_or_by_itself() {
        let parent = CancelToken::new();
        let (first, second) = (parent.child(), parent.child());
        first.cancel();
        assert!(first.is_cancelled() && !second.is_cancelled() && !parent.is_cancelled());
        parent.cancel();
        assert!(second.is_cancelled() && second.child().is_cancelled());
    }

    #[test]
    fn reports_reach_the_receiver() {
        let seen = Mutex::new(Vec::new());
        let keep = |p: &Progress<'_>| {
            seen.lock().map(|mut s| s.push((p.item.map(str::to_owned), p.share()))).unwrap_or_default();
        };
        let control = Control::new().with_progress(&keep);
        control.report(&Progress::new("encoding", 2.0, Some(8.0), Unit::Seconds).of("a.mp4"));
        control.report(&Progress::new("encoding", 9.0, None, Unit::Seconds));
        control.report(&Progress::new("encoding", 9.0, Some(0.0), Unit::Seconds));
        Control::new().report(&Progress::new("no listener", 0.0, None, Unit::Steps));
        let seen = seen.into_inner().unwrap_or_default();
        assert_eq!(seen, [(Some("a.mp4".to_owned()), Some(0.25)), (None, None), (None, None)]);
    }
}
