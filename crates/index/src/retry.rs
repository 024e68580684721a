//! When a request over the network is made again, and after what pause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Longest pause that a server is obeyed in; one that asks for more is asked again after this.
pub const LONGEST_TOLD: Duration = Duration::from_secs(300);
/// Times that what was written is read back before it counts as damaged: copies that are far from one another agree after a while.
pub const READS: u32 = 5;

/// How often a request is made, and how long the pauses between are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Times that a request is made at most, at least 1.
    pub tries: u32,
    /// The first pause; each is twice the one before.
    pub first: Duration,
    /// The longest pause that is not told by the server.
    pub longest: Duration,
}

impl Default for Retry {
    /// Eight tries within about half a minute.
    fn default() -> Self {
        Self { tries: 8, first: Duration::from_millis(250), longest: Duration::from_secs(30) }
    }
}

impl Retry {
    /// The pause after so many tries that failed; `None` if there is to be no other. A pause is drawn from the upper half of its
    /// range, so that many clients do not come back at once; one that the server told is kept, and something is added.
    #[must_use]
    pub fn pause(&self, failed: u32, told: Option<Duration>) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let drawn = |most: Duration| most.mul_f64(0.5 + 0.5 * fastrand::f64());
        Some(match told {
            Some(told) => told + drawn(self.first),
            None => drawn(self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.longest)),
        })
    }
}

/// Whether the same request may succeed later: the server, or something before it, is busy or has failed.
#[must_use]
pub const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=524 | 530)
}

/// The pause that a `Retry-After` tells, in seconds or as a date; at most [`LONGEST_TOLD`].
#[must_use]
pub fn told(value: &str) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_TOLD))
}

/// What requests to one server wait for together: when it asks one of them to wait, all do.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<Closed>>);

#[derive(Debug, Default)]
struct Closed {
    until: Option<Instant>,
    times: u64,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, Closed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes it for so long; never opens it earlier than it would.
    pub fn close(&self, pause: Duration) {
        let mut state = self.state();
        let later = Instant::now() + pause;
        state.times += 1;
        if state.until.is_none_or(|until| until < later) {
            state.until = Some(later);
        }
    }

    /// Times that it was closed.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.state().times
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        loop {
            let until = self.state().until;
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until.into()).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let retry = Retry { tries: 5, first: Duration::from_millis(100), longest: Duration::from_millis(300) };
        for (failed, most) in [(1, 100), (2, 200), (3, 300), (4, 300)] {
            let most = Duration::from_millis(most);
            for _ in 0..100 {
                let pause = retry.pause(failed, None).unwrap_or_default();
                assert!(pause >= most / 2 && pause <= most, "{failed}: {pause:?}");
            }
        }
        assert_eq!(retry.pause(5, None), None);
        let told = retry.pause(1, Some(Duration::from_secs(7))).unwrap_or_default();
        assert!(told > Duration::from_secs(7) && told < Duration::from_secs(8));
    }

    #[test]
    fn what_servers_tell() {
        assert_eq!(told(" 3 "), Some(Duration::from_secs(3)));
        assert_eq!(told("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = told(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60))).unwrap_or_default();
        assert!(soon > Duration::from_secs(50) && soon <= Duration::from_secs(60));
        assert_eq!(told("99999999999"), Some(LONGEST_TOLD));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(told(nonsense), None, "{nonsense}");
        }
        assert!(is_transient(429) && is_transient(503) && !is_transient(404) && !is_transient(200));
    }
}
