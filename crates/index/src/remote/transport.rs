//! How requests to stores go over HTTP: with OpenDAL's client, noticing when a server asks to wait.

use std::time::Duration;

use futures::StreamExt as _;
use http::{Request, Response, Uri, header};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter};

use crate::retry::{Gate, told};

/// The pause when a server is busy and does not tell for how long.
const UNTOLD: Duration = Duration::from_secs(1);

/// Bytes of an answer at most: a record is at most some tens of megabytes, a bundle a few hundred.
const MOST: u64 = 1 << 30;

/// Keys that are one segment of an address.
struct Keys {
    /// What addresses begin with.
    from: String,
    /// What they are to begin with.
    to: String,
    /// What stands between that and the key.
    values: String,
}

/// OpenDAL's transport behind a [`Gate`], which it closes when a server asks to wait.
pub(super) struct Transport {
    inner: HttpTransporter,
    gate: Gate,
    keys: Option<Keys>,
}

impl Transport {
    pub(super) fn new(gate: Gate) -> Self {
        Self { inner: HttpTransporter::default(), gate, keys: None }
    }

    /// Sends what would go to `from` to `to`, and keys, which follow `values`, as one segment: their `/` escaped.
    pub(super) fn of_keys(self, from: &str, to: &str, values: &str) -> Self {
        let keys = Keys { from: from.to_owned(), to: to.to_owned(), values: values.to_owned() };
        Self { keys: Some(keys), ..self }
    }
}

impl Keys {
    fn address(&self, uri: &Uri) -> Option<Uri> {
        let text = uri.to_string();
        let rest = text.strip_prefix(&self.from)?;
        let rest = match rest.strip_prefix(&self.values) {
            Some(key) => format!("{}{}", self.values, key.replace('/', "%2F")),
            None => rest.to_owned(),
        };
        format!("{}{rest}", self.to).parse().ok()
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, mut request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        if let Some(keys) = &self.keys {
            *request.uri_mut() = keys
                .address(request.uri())
                .ok_or_else(|| Error::new(ErrorKind::Unexpected, "the store's address cannot be read"))?;
        }
        let response = self.inner.fetch(request).await?;
        if matches!(response.status().as_u16(), 429 | 503) {
            let asked = response.headers().get(header::RETRY_AFTER).and_then(|v| told(v.to_str().ok()?));
            self.gate.close(asked.unwrap_or(UNTOLD));
        }
        Ok(response.map(|body| limited(body, MOST)))
    }
}

/// A body that fails when it is longer than so many bytes: one without an end takes no more memory.
fn limited(body: HttpBody, most: u64) -> HttpBody {
    body.map_inner(|stream| {
        let mut bytes = 0;
        Box::new(stream.map(move |part| {
            let part = part?;
            bytes += part.len() as u64;
            if bytes > most {
                return Err(Error::new(ErrorKind::Unexpected, format!("the answer is longer than {most} bytes")));
            }
            Ok(part)
        }))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_body_without_an_end_fails() {
        let part = || Ok(Buffer::from(vec![0u8; 1000]));
        let read = |most| {
            let endless = HttpBody::new(futures::stream::repeat_with(part), None);
            tokio::runtime::Runtime::new().unwrap().block_on(limited(endless, most).to_buffer())
        };
        assert!(read(10_000).unwrap_err().to_string().contains("longer than 10000 bytes"));
        let short = HttpBody::new(futures::stream::iter([part(), part()]), None);
        let whole = tokio::runtime::Runtime::new().unwrap().block_on(limited(short, 2000).to_buffer());
        assert_eq!(whole.unwrap().len(), 2000);
    }

    #[test]
    fn keys_are_one_segment() {
        let keys = Keys {
            from: "https://api.example.org/v4".to_owned(),
            to: "http://127.0.0.1:9".to_owned(),
            values: "/accounts/a/values/".to_owned(),
        };
        let address = |text: &str| keys.address(&text.parse().unwrap()).map(|u| u.to_string());
        assert_eq!(
            address("https://api.example.org/v4/accounts/a/values/p/records/00"),
            Some("http://127.0.0.1:9/accounts/a/values/p%2Frecords%2F00".to_owned())
        );
        assert_eq!(
            address("https://api.example.org/v4/accounts/a/bulk/delete"),
            Some("http://127.0.0.1:9/accounts/a/bulk/delete".to_owned())
        );
        assert_eq!(address("https://elsewhere.example.org/"), None);
    }
}
