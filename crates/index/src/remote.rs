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

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use opendal::{ErrorKind, Operator, layers, services};
use serde::{Deserialize, Serialize};

use crate::record::{BundleId, Record, RecordError};
use crate::store::{Index, IndexError, Summary};

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
}

/// What publishing did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
}

/// The key of a video's record.
#[must_use]
pub fn key(id: &str) -> String {
    format!("records/{}", crate::id::digits(id))
}

/// The manifest that names a record's key.
fn manifest_of(key: &str) -> String {
    format!("manifest/{}.json", &key["records/".len()..][..2])
}

/// A location as it may be shown: without a user and password, which do not belong there, and without options.
fn without_secrets(location: &str) -> String {
    let shown = location.split('?').next().unwrap_or_default();
    match (shown.split_once(':'), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => shown.to_owned(),
    }
}

/// A store elsewhere.
#[derive(Clone)]
pub struct Remote {
    operator: Operator,
    location: String,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("location", &self.location).finish_non_exhaustive()
    }
}

/// The parts of a location: what stands before and behind the first `/`, and the options.
struct Location<'a> {
    host: &'a str,
    path: &'a str,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Location<'a> {
    fn of(rest: &'a str, known: &[&str]) -> Result<Self, &'static str> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        if host.contains('@') {
            return Err("it holds credentials, which belong in the environment");
        }
        let options: BTreeMap<&str, &str> =
            query.split('&').filter(|o| !o.is_empty()).map(|o| o.split_once('=').unwrap_or((o, ""))).collect();
        if options.keys().any(|k| !known.contains(k)) {
            return Err("it has an option that this store does not know");
        }
        Ok(Self { host, path, options })
    }

    fn root(&self, prefix: &str) -> String {
        format!("/{}", prefix.trim_matches('/'))
    }
}

fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

impl Remote {
    /// The store of a location. Nothing is connected to yet. Credentials come from the environment: [`CREDENTIALS`].
    ///
    /// # Errors
    /// [`RemoteError::Location`]; [`RemoteError::Store`] for options that the store refuses.
    pub fn open(location: &str) -> Result<Self, RemoteError> {
        let refuse = |reason| RemoteError::Location { location: without_secrets(location), reason };
        // What is shown of it later ends before the options.
        let shown = location.split('?').next().unwrap_or_default().to_owned();
        let fail = |source| RemoteError::Store { location: shown.clone(), source: Box::new(source) };
        let (scheme, rest) = location.split_once(':').ok_or_else(|| refuse("it names no kind of store"))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let operator = match scheme {
            "fs" if rest.is_empty() => return Err(refuse("it names no folder")),
            // Written elsewhere and then renamed: a file that is there is whole.
            "fs" => {
                let unfinished = std::path::Path::new(rest).join(".unfinished");
                let service = services::Fs::default().root(rest).atomic_write_dir(&unfinished.to_string_lossy());
                Operator::new(service).map_err(fail)?
            }
            "memory" => Operator::new(services::Memory::default()).map_err(fail)?,
            "redis" | "rediss" => {
                let place = Location::of(rest, &["prefix"]).map_err(refuse)?;
                let database = if place.path.is_empty() { Ok(0) } else { place.path.parse() };
                let database = database.map_err(|_| refuse("the database is no number"))?;
                let port = if place.host.contains(':') { "" } else { ":6379" };
                let mut service = services::Redis::default()
                    .endpoint(&format!("{scheme}://{}{port}", place.host))
                    .db(database)
                    .root(&place.root(place.options.get("prefix").copied().unwrap_or("vidsieve")));
                if let Some(name) = secret("VIDSIEVE_REDIS_USERNAME") {
                    service = service.username(&name);
                }
                if let Some(password) = secret("VIDSIEVE_REDIS_PASSWORD") {
                    service = service.password(&password);
                }
                Operator::new(service).map_err(fail)?
            }
            "s3" => {
                let place = Location::of(rest, &["endpoint", "region"]).map_err(refuse)?;
                if place.host.is_empty() {
                    return Err(refuse("it names no bucket"));
                }
                let mut service = services::S3::default().bucket(place.host).root(&place.root(place.path));
                if let Some(endpoint) = place.options.get("endpoint") {
                    service = service.endpoint(endpoint);
                }
                let region = place.options.get("region").map(|r| (*r).to_owned()).or_else(|| secret("AWS_REGION"));
                service = service.region(region.as_deref().unwrap_or("auto"));
                Operator::new(service).map_err(fail)?
            }
            "cloudflare-kv" => {
                let place = Location::of(rest, &["prefix"]).map_err(refuse)?;
                if place.host.is_empty() || place.path.is_empty() || place.path.contains('/') {
                    return Err(refuse("it names no account and namespace"));
                }
                let token = secret("CLOUDFLARE_API_TOKEN")
                    .ok_or_else(|| refuse("the environment variable CLOUDFLARE_API_TOKEN is not set"))?;
                let service = services::CloudflareKv::default()
                    .account_id(place.host)
                    .namespace_id(place.path)
                    .api_token(&token)
                    .root(&place.root(place.options.get("prefix").copied().unwrap_or("")));
                Operator::new(service).map_err(fail)?
            }
            _ => return Err(refuse("there is no such kind of store")),
        };
        opendal::install_default();
        // Redis is near, and its connections wait for it by themselves.
        let retries = if scheme.starts_with("redis") { 0 } else { 3 };
        let operator = operator
            .layer(
                layers::TimeoutLayer::new()
                    .with_timeout(Duration::from_secs(30))
                    .with_io_timeout(Duration::from_secs(30)),
            )
            .layer(layers::RetryLayer::new().with_jitter().with_max_times(retries));
        Ok(Self { operator, location: shown })
    }

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

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        match self.operator.read(key).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    async fn write(&self, key: &str, bytes: Vec<u8>) -> Result<(), RemoteError> {
        self.operator.write(key, bytes).await.map(|_| ()).map_err(|e| self.fail(e))
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.operator.delete(key).await.map_err(|e| self.fail(e))
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

    /// Publishes an index: writes what is new or has changed, reads it back, and names it in the manifests. What was published
    /// before a stop or a failure is not written again. `progress` is told videos done, of how many; it answers whether to go
    /// on.
    ///
    /// # Errors
    /// [`RemoteError::Bundle`] for a store with records of another bundle; [`RemoteError::Cancelled`].
    pub async fn push(
        &self,
        index: &Index,
        options: PushOptions,
        mut progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<PushReport, RemoteError> {
        let mut report = PushReport::default();
        match self.bundle().await? {
            Some(found) if found != index.bundle() => {
                let expected = index.bundle();
                return Err(RemoteError::Bundle { location: self.location.clone(), expected, found });
            }
            Some(_) => {}
            None => {
                report.writes += 2;
                if !options.dry_run {
                    self.write("bundle.safetensors", index.bundle_bytes()?).await?;
                    let meta = Meta { version: VERSION, bundle: index.bundle().to_string() };
                    self.write("meta.json", serde_json::to_vec(&meta).map_err(|e| self.damaged("meta.json", e))?)
                        .await?;
                }
            }
        }
        let all = index.list()?;
        let total = all.len() as u64;
        let mut parts: BTreeMap<String, Vec<&Summary>> =
            (0..=255u8).map(|i| (format!("manifest/{i:02x}.json"), Vec::new())).collect();
        for summary in &all {
            parts.entry(manifest_of(&key(&summary.id))).or_default().push(summary);
        }
        let mut done = 0;
        for (name, videos) in parts {
            if !progress(done, total) {
                return Err(RemoteError::Cancelled);
            }
            // What a damaged manifest named is written and named again.
            let (before, damaged) = match self.read_json::<Part>(&name).await {
                Err(RemoteError::Damaged { .. }) => (Part::new(), true),
                other => (other?.unwrap_or_default(), false),
            };
            let mut after = before.clone();
            let wanted = |s: &&&Summary| {
                before.get(&s.id).is_none_or(|p| p.checksum != format!("{:016x}", s.checksum) || p.bytes != s.bytes)
            };
            let changed: Vec<&Summary> = videos.iter().filter(wanted).copied().collect();
            report.unchanged += (videos.len() - changed.len()) as u64;
            report.written += changed.len() as u64;
            report.writes += changed.len() as u64;
            report.bytes += changed.iter().map(|s| s.bytes).sum::<u64>();
            if !options.dry_run {
                // Few enough records at a time that memory does not grow with the index.
                for batch in changed.chunks(4 * CONCURRENCY) {
                    let ids: Vec<&str> = batch.iter().map(|s| s.id.as_str()).collect();
                    let mut writing = stream::iter(index.records(&ids)?.into_iter().zip(batch))
                        .map(|(record, summary)| self.publish(record, summary))
                        .buffer_unordered(CONCURRENCY);
                    while let Some(written) = writing.next().await {
                        let (id, published) = written?;
                        after.insert(id, published);
                    }
                    if !progress(done, total) {
                        // What is written is named, so that the next call does not write it again.
                        self.write_part(&name, &after).await?;
                        return Err(RemoteError::Cancelled);
                    }
                }
            } else {
                after.extend(
                    changed.iter().map(|s| {
                        (s.id.clone(), Published { checksum: format!("{:016x}", s.checksum), bytes: s.bytes })
                    }),
                );
            }
            let gone: Vec<String> = if options.prune {
                let here: std::collections::BTreeSet<&str> = videos.iter().map(|s| s.id.as_str()).collect();
                after.keys().filter(|id| !here.contains(id.as_str())).cloned().collect()
            } else {
                Vec::new()
            };
            report.removed += gone.len() as u64;
            after.retain(|id, _| !gone.contains(id));
            if after != before || damaged {
                report.writes += 1;
                if !options.dry_run {
                    // First the name goes, then the record.
                    self.write_part(&name, &after).await?;
                    for id in &gone {
                        self.remove(id).await?;
                    }
                }
            }
            done += videos.len() as u64;
        }
        progress(total, total);
        Ok(report)
    }

    async fn write_part(&self, name: &str, part: &Part) -> Result<(), RemoteError> {
        self.write(name, serde_json::to_vec(part).map_err(|e| self.damaged(name, e))?).await
    }

    /// Writes a record and reads it back.
    async fn publish(
        &self,
        record: Option<Result<Record<Vec<u8>>, RecordError>>,
        summary: &Summary,
    ) -> Result<(String, Published), RemoteError> {
        let id = &summary.id;
        let wrong = |source| RemoteError::Index(IndexError::Record { id: id.clone(), source });
        let record = record.ok_or_else(|| wrong(RecordError::NotARecord))?.map_err(wrong)?;
        self.put(id, &record).await?;
        match self.get(id).await? {
            Some(Ok(back)) if back == record => {}
            Some(Ok(_)) => return Err(self.damaged(&key(id), "another record came back than was written")),
            Some(Err(error)) => return Err(self.damaged(&key(id), error)),
            None => return Err(self.damaged(&key(id), "it is not there after it was written")),
        }
        let bytes = record.as_bytes().len() as u64;
        Ok((id.clone(), Published { checksum: format!("{:016x}", record.checksum()), bytes }))
    }
}
