//! Records in stores elsewhere, through OpenDAL: a folder, Redis, S3 and what speaks like it (R2, MinIO), Cloudflare KV.
//!
//! | key | holds |
//! |---|---|
//! | `meta.json` | version and bundle |
//! | `bundle.safetensors` | the bundle's bytes |
//! | `records/<32 hexadecimal digits>` | a record; the digits are the start of the SHA-256 of its id |
//! | `manifest/<2 digits>.json` | ids, checksums and sizes of the records whose key starts with these digits |
//!
//! Keys are hashes, so that any id fits any store. A record is written and read back before its manifest names it: who reads
//! manifests finds what they name.

mod location;
mod push;
mod transport;

use std::collections::BTreeMap;
use std::fmt;

use futures::{Stream, StreamExt, stream};
use opendal::{ErrorKind, Operator};
use serde::{Deserialize, Serialize};

use crate::retry::{Gate, Retry};
use crate::store::IndexError;
use vidsieve_record::{BundleId, Record, RecordError};

/// The version of the layout that this code writes, and the only one that it reads.
pub const VERSION: u32 = 1;
/// Requests that are under way at the same time.
pub const CONCURRENCY: usize = 8;

/// The environment variables that hold credentials; locations hold none.
pub const CREDENTIALS: [&str; 7] = [
    "VIDSIEVE_REDIS_USERNAME",
    "VIDSIEVE_REDIS_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "CLOUDFLARE_API_TOKEN",
];

/// Why a store elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// A text that names no store.
    #[error(
        "{location:?} is no location: {reason}; write fs:/folder, memory:, redis://host:6379/0?prefix=p, \
         s3://bucket/prefix?endpoint=https://...&region=..., or cloudflare-kv://account/namespace?prefix=p"
    )]
    Location {
        /// The text.
        location: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The store refuses or does not answer.
    #[error("{location}: {source}")]
    Store {
        /// The store.
        location: String,
        /// What it says.
        source: Box<opendal::Error>,
    },
    /// What is stored is not what this code writes.
    #[error("{location}: {key} is damaged: {detail}")]
    Damaged {
        /// The store.
        location: String,
        /// The key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The store holds records of another bundle.
    #[error(
        "{location}: holds records of bundle {}, not {}: publish to another prefix, or empty this one first",
        found.short(),
        expected.short()
    )]
    Bundle {
        /// The store.
        location: String,
        /// The bundle asked for.
        expected: BundleId,
        /// The store's.
        found: BundleId,
    },
    /// The index that is published cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Publishing was stopped; the same call continues.
    #[error("stopped; the same command continues where it was")]
    Cancelled,
}

/// What a store holds of one video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The record's checksum, hexadecimal.
    pub checksum: String,
    /// Bytes of the record.
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    version: u32,
    bundle: String,
}

type Part = BTreeMap<String, Published>;

/// How an index is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushOptions {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Remove videos from the store that the index does not have.
    pub prune: bool,
    /// Read what is there already as well, and write again what is lost, damaged or not what the index has.
    pub check: bool,
}

/// A video, or a part of a store, and why something was done about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PushNote {
    /// The id of a video, or the key of another part of a store.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl PushNote {
    /// A note.
    #[must_use]
    pub fn new(id: &str, reason: impl fmt::Display) -> Self {
        Self { id: id.to_owned(), reason: reason.to_string() }
    }
}

/// What publishing did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PushReport {
    /// Videos that were written.
    pub written: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Videos that were there already.
    pub unchanged: u64,
    /// Videos that were removed.
    pub removed: u64,
    /// Requests that write, manifests included.
    pub writes: u64,
    /// What was there but lost or damaged, and was written again.
    pub mended: Vec<PushNote>,
    /// Videos that could not be published; the others are.
    pub failed: Vec<PushNote>,
}

/// The key of a video's record.
#[must_use]
pub fn key(id: &str) -> String {
    format!("records/{}", vidsieve_record::id::digits(id))
}

/// The manifest that names a record's key.
fn manifest_of(key: &str) -> String {
    format!("manifest/{}.json", &key["records/".len()..][..2])
}

/// A store elsewhere.
#[derive(Clone)]
pub struct Remote {
    operator: Operator,
    location: String,
    /// Closed while the store asks to wait.
    gate: Gate,
    retry: Retry,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Remote {
    /// Where it is, without options.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    fn fail(&self, source: opendal::Error) -> RemoteError {
        RemoteError::Store { location: self.location.clone(), source: Box::new(source) }
    }

    fn damaged(&self, key: &str, detail: impl fmt::Display) -> RemoteError {
        RemoteError::Damaged { location: self.location.clone(), key: key.to_owned(), detail: detail.to_string() }
    }

    /// Does something, again while that may help: after a pause, or when the store wants to be asked again.
    async fn asked<T>(&self, work: impl AsyncFn() -> opendal::Result<T>) -> opendal::Result<T> {
        let mut failed = 0;
        loop {
            self.gate.pass().await;
            let times = self.gate.times();
            let error = match work().await {
                Err(error) => error,
                done => return done,
            };
            let waits = self.gate.times() > times;
            failed += 1;
            match self.retry.pause(failed, None) {
                // The gate is waited for.
                Some(_) if waits => {}
                Some(pause) if error.is_temporary() => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        match self.asked(async || self.operator.read(key).await).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    async fn write(&self, key: &str, bytes: Vec<u8>) -> Result<(), RemoteError> {
        // Of a buffer that is shared a copy costs nothing.
        let bytes = opendal::Buffer::from(bytes);
        self.asked(async || self.operator.write(key, bytes.clone()).await).await.map(|_| ()).map_err(|e| self.fail(e))
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.asked(async || self.operator.delete(key).await).await.map_err(|e| self.fail(e))
    }

    async fn read_json<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, RemoteError> {
        let Some(bytes) = self.read(key).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| self.damaged(key, e))
    }

    /// The bundle of the records there; `None` for a store that nothing was published to.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn bundle(&self) -> Result<Option<BundleId>, RemoteError> {
        let Some(meta) = self.read_json::<Meta>("meta.json").await? else { return Ok(None) };
        if meta.version != VERSION {
            let detail = format!("version {}, this Vidsieve knows {VERSION}", meta.version);
            return Err(self.damaged("meta.json", detail));
        }
        meta.bundle.parse().map(Some).map_err(|e| self.damaged("meta.json", e))
    }

    /// The bytes of the bundle that was published with the records.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn bundle_bytes(&self) -> Result<Option<Vec<u8>>, RemoteError> {
        self.read("bundle.safetensors").await
    }

    /// Stores a video's record, without a manifest.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn put<B: AsRef<[u8]>>(&self, id: &str, record: &Record<B>) -> Result<(), RemoteError> {
        self.write(&key(id), record.as_bytes().to_vec()).await
    }

    /// A video's record; `None` if it is not there, an error inside if it is damaged.
    ///
    /// # Errors
    /// [`RemoteError::Store`].
    pub async fn get(&self, id: &str) -> Result<Option<Result<Record<Vec<u8>>, RecordError>>, RemoteError> {
        Ok(self.read(&key(id)).await?.map(Record::parse))
    }

    /// The records of several videos, [`CONCURRENCY`] at a time, in the order in which they arrive: position among `ids`,
    /// record.
    #[allow(clippy::type_complexity)]
    pub fn get_many<'a, S: AsRef<str>>(
        &'a self,
        ids: &'a [S],
    ) -> impl Stream<Item = (usize, Result<Option<Result<Record<Vec<u8>>, RecordError>>, RemoteError>)> + 'a {
        stream::iter(ids.iter().enumerate())
            .map(move |(i, id)| async move { (i, self.get(id.as_ref()).await) })
            .buffer_unordered(CONCURRENCY)
    }

    /// Removes a video's record, without a manifest; one that is not there is none.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn remove(&self, id: &str) -> Result<(), RemoteError> {
        self.delete(&key(id)).await
    }

    /// What was published, by id.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn published(&self) -> Result<BTreeMap<String, Published>, RemoteError> {
        let names: Vec<String> = (0..=255u8).map(|i| format!("manifest/{i:02x}.json")).collect();
        let mut parts = stream::iter(&names).map(|name| self.read_json::<Part>(name)).buffer_unordered(CONCURRENCY);
        let mut all = BTreeMap::new();
        while let Some(part) = parts.next().await {
            all.extend(part?.unwrap_or_default());
        }
        Ok(all)
    }
}
