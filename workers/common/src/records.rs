//! Records in KV, with the Cache API in front of it.
//!
//! A key names a video and its record's checksum, so that what is behind a key never changes: nothing read from a cache or from a
//! place that KV has not reached yet is an older version.

use vidsieve_api::videos;
use vidsieve_index::id::digits;
use vidsieve_index::record::Record;
use worker::{Cache, Env, Headers, KvStore, Response};

use crate::error::EdgeError;

/// Seconds that a record stays in the caches before KV: a day.
const KEPT: u64 = 86_400;

/// The key of a video's record.
#[must_use]
pub fn key(namespace: &str, id: &str, checksum: u64) -> String {
    format!("records/{namespace}/{}/{}", digits(id), videos::checksum(checksum))
}

/// The records of the namespaces.
#[derive(Debug, Clone)]
pub struct Records {
    kv: KvStore,
}

impl Records {
    /// Those of the binding `RECORDS`.
    ///
    /// # Errors
    /// [`EdgeError::Runtime`].
    pub fn new(env: &Env) -> Result<Self, EdgeError> {
        Ok(Self { kv: env.kv("RECORDS").map_err(EdgeError::runtime("the binding RECORDS"))? })
    }

    /// The bytes at a key.
    ///
    /// # Errors
    /// [`EdgeError::Kv`].
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, EdgeError> {
        self.kv.get(key).cache_ttl(KEPT).bytes().await.map_err(EdgeError::kv("reading a record"))
    }

    /// [`Records::get`] through the cache of this place, which costs no read of KV. What the cache fails in, KV does; what is no whole
    /// record is not kept.
    ///
    /// # Errors
    /// [`EdgeError::Kv`].
    pub async fn get_cached(&self, key: &str) -> Result<Option<Vec<u8>>, EdgeError> {
        let (cache, url) = (Cache::default(), format!("https://records.vidsieve.internal/{key}"));
        if let Ok(Some(mut kept)) = cache.get(url.as_str(), true).await
            && let Ok(bytes) = kept.bytes().await
            && Record::parse(bytes.as_slice()).is_ok()
        {
            return Ok(Some(bytes));
        }
        let found = self.get(key).await?;
        if let Some(bytes) = &found
            && Record::parse(bytes.as_slice()).is_ok()
            && let Ok(response) = kept(bytes)
            && let Err(error) = cache.put(url.as_str(), response).await
        {
            EdgeError::runtime("keeping a record in the cache")(error).log();
        }
        Ok(found)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// [`EdgeError::Kv`].
    pub async fn put(&self, key: &str, bytes: &[u8]) -> Result<(), EdgeError> {
        let fail = EdgeError::kv("writing a record");
        self.kv.put_bytes(key, bytes).map_err(&fail)?.execute().await.map_err(&fail)
    }

    /// Removes a record; one that is not there is none.
    ///
    /// # Errors
    /// [`EdgeError::Kv`].
    pub async fn remove(&self, key: &str) -> Result<(), EdgeError> {
        self.kv.delete(key).await.map_err(EdgeError::kv("removing a record"))
    }
}

fn kept(bytes: &[u8]) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("cache-control", &format!("max-age={KEPT}"))?;
    Ok(Response::from_bytes(bytes.to_vec())?.with_headers(headers))
}
