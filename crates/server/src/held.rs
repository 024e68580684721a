//! Bodies of answers that hold something until they end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A body that calls a function when it ends: with the bytes that it gave, and whether that is all of it.
pub(crate) struct Held<F: FnOnce(u64, bool)> {
    inner: Body,
    bytes: u64,
    end: Option<F>,
}

impl<F: FnOnce(u64, bool) + Send + Unpin + 'static> Held<F> {
    /// A body that holds a function.
    pub(crate) fn body(inner: Body, end: F) -> Body {
        Body::new(Self { inner, bytes: 0, end: Some(end) })
    }
}

impl<F: FnOnce(u64, bool)> Held<F> {
    fn end(&mut self, whole: bool) {
        if let Some(end) = self.end.take() {
            end(self.bytes, whole);
        }
    }
}

impl<F: FnOnce(u64, bool) + Unpin> HttpBody for Held<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.inner.is_end_stream() {
                    self.end(true);
                }
            }
            Some(Err(_)) => self.end(false),
            None => self.end(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<F: FnOnce(u64, bool)> Drop for Held<F> {
    fn drop(&mut self) {
        // An answer without a body has ended.
        let whole = self.inner.is_end_stream();
        self.end(whole);
    }
}
