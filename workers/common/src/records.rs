//! Records in KV or R2, with the Cache API in front of it.
//!
//! A key names a video and its record's checksum, so that what is behind a key never changes: nothing read from a cache or from a
//! place that KV has not reached yet is an older version. A record is an object of its own in R2 too: reading a range of one costs
//! what reading a whole one does.

use vidsieve_api::videos;
use vidsieve_record::Record;
use vidsieve_record::id::digits;
use worker::{Bucket, Cache, Env, Headers, KvStore, Response};

use crate::error::EdgeError;

/// Seconds that a record stays in the caches before KV: a day.
const KEPT: u64 = 86_400;
/// Seconds for which it may count that a record was not there: the least that KV knows.
const MISSED: u64 = 30;

/// The key of a video's record.
#[must_use]
pub fn key(namespace: &str, id: &str, checksum: u64) -> String {
    format!("records/{namespace}/{}/{}", digits(id), videos::checksum(checksum))
}

/// The records of the namespaces, and the bundle.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
}

#[derive(Debug, Clone)]
enum Store {
    Kv(KvStore),
    Bucket(Bucket),
}

impl Records {
    /// The store of the binding `RECORDS`: a bucket of R2, or a namespace of KV.
    ///
    /// # Errors
    /// [`EdgeError::Runtime`].
    pub fn new(env: &Env) -> Result<Self, EdgeError> {
        let store = match env.bucket("RECORDS") {
            Ok(bucket) => Store::Bucket(bucket),
            Err(_) => Store::Kv(env.kv("RECORDS").map_err(EdgeError::runtime("the binding RECORDS"))?),
        };
        Ok(Self { store })
    }

    /// The bytes at a key.
    ///
    /// # Errors
    /// [`EdgeError::Kv`], [`EdgeError::Runtime`].
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, EdgeError> {
        const DOING: &str = "reading a record";
        match &self.store {
            Store::Kv(kv) => {
                let fail = EdgeError::kv(DOING);
                // A key names its content, which does not change.
                if let Some(found) = kv.get(key).cache_ttl(KEPT).bytes().await.map_err(&fail)? {
                    return Ok(Some(found));
                }
                // That nothing was there is kept in caches for as long: asked again past them.
                kv.get(key).cache_ttl(MISSED).bytes().await.map_err(&fail)
            }
            Store::Bucket(bucket) => {
                let object = bucket.get(key).execute().await.map_err(EdgeError::runtime(DOING))?;
                let Some(object) = object else { return Ok(None) };
                match object.body() {
                    Some(body) => body.bytes().await.map(Some).map_err(EdgeError::runtime(DOING)),
                    // An object without bytes has no body.
                    None => Ok(Some(Vec::new())),
                }
            }
        }
    }

    /// [`Records::get`] through the cache of this place, which costs no read of the store. What the cache fails in, the store does; what
    /// is no whole record is not kept.
    ///
    /// # Errors
    /// Those of [`Records::get`].
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
    /// [`EdgeError::Kv`], [`EdgeError::Runtime`].
    pub async fn put(&self, key: &str, bytes: &[u8]) -> Result<(), EdgeError> {
        const DOING: &str = "writing a record";
        match &self.store {
            Store::Kv(kv) => {
                let fail = EdgeError::kv(DOING);
                kv.put_bytes(key, bytes).map_err(&fail)?.execute().await.map_err(&fail)
            }
            Store::Bucket(bucket) => {
                bucket.put(key, bytes.to_vec()).execute().await.map(|_| ()).map_err(EdgeError::runtime(DOING))
            }
        }
    }

    /// Removes a record; one that is not there is none.
    ///
    /// # Errors
    /// [`EdgeError::Kv`], [`EdgeError::Runtime`].
    pub async fn remove(&self, key: &str) -> Result<(), EdgeError> {
        const DOING: &str = "removing a record";
        match &self.store {
            Store::Kv(kv) => kv.delete(key).await.map_err(EdgeError::kv(DOING)),
            Store::Bucket(bucket) => bucket.delete(key).await.map_err(EdgeError::runtime(DOING)),
        }
    }
}

fn kept(bytes: &[u8]) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("cache-control", &format!("max-age={KEPT}"))?;
    Ok(Response::from_bytes(bytes.to_vec())?.with_headers(headers))
}
