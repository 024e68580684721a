//! The clock, which in a Worker moves with input and output alone.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::{Date, Delay};

/// Milliseconds from 1970.
#[must_use]
pub fn now() -> f64 {
    // Far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let now = Date::now().as_millis() as f64;
    now
}

/// What comes within a time; nothing if it takes longer.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(Delay::from(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
