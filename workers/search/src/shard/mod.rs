//! A shard of the index: a Durable Object whose database holds ids, vectors, windows and scalars, and whose memory holds
//! vectors and windows as int8.
//!
//! Reading and writing the database is synchronous, and no change waits between looking and writing: writes are ordered, an answer
//! leaves only after its write is durable, and the next request sees it. What takes longer (a split, forgetting) is done in alarms,
//! a piece at a time, while the shard goes on answering.

// What the attribute of a Durable Object makes of the struct has no documentation.
#![allow(missing_docs)]

mod split;
mod sql;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use vidsieve_api::{PutResult, videos};
use vidsieve_edge::{EdgeError, Records, key, memory, networks, now, number, raw};
use vidsieve_kernels::{Isa, scan};
use vidsieve_record::shards::{self, MAX_DEPTH, hash};
use vidsieve_record::{PlacedWindow, Record, WindowVector};
use vidsieve_search::{NO_COSINE, Probe, Quantised, QuantisedScan, Wanted};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::message::{
    Candidate, DEPTH, FULL, Found, Ids, List, MOVED, Named, RowOf, SHARD, Scan, Take, VIDEOS, join, read, split,
    to_bytes, to_values,
};
use crate::shard::sql::{Row, Sql, Vector};

/// Videos from which a shard is split, where the variable `SHARD_VIDEOS` says nothing.
const SHARD_VIDEOS: usize = 16_384;
/// Times as many videos as a shard is to have, above which it takes no more until it is split.
const OVERFULL: usize = 4;
/// Seconds for which a shard keeps a record, where `RECENT_SECONDS` says nothing: KV takes a minute to have it everywhere.
const RECENT_SECONDS: u64 = 600;
/// Rows of exact vectors that are in memory at the same time.
const EXACT: usize = 256;

/// What is in memory.
#[derive(Debug)]
struct Loaded {
    sql: Sql,
    /// Namespace and bundle, as the names of all shards of the index begin.
    base: String,
    shard: shards::Shard,
    depth: usize,
    /// Whether a shard is being split off.
    splitting: bool,
    table: Quantised,
}

/// A shard.
#[durable_object(alarm)]
pub struct Shard {
    state: State,
    env: Env,
    loaded: RefCell<Option<Loaded>>,
    /// Whether an alarm is set, by this instance.
    alarmed: Cell<bool>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

fn failed(what: &dyn std::fmt::Display) -> EdgeError {
    EdgeError::Answer { who: "the router", what: what.to_string() }
}

/// Windows as they are kept.
fn windows_of(bytes: &[u8], dims: usize) -> Result<Vec<PlacedWindow>, EdgeError> {
    PlacedWindow::of_bytes(bytes, dims).ok_or_else(|| failed(&"windows of another length"))
}

/// A query's windows, as they travel.
fn query_windows(bytes: &[u8], dims: usize) -> Result<Vec<WindowVector>, EdgeError> {
    WindowVector::of_bytes(bytes, dims).ok_or_else(|| failed(&"windows of another length"))
}

/// The namespace of a base `NAMESPACE/BUNDLE`.
fn namespace(base: &str) -> &str {
    base.split('/').next().unwrap_or_default()
}

fn seconds() -> u64 {
    // From 1970: positive, and far below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = (now() / 1000.0) as u64;
    seconds
}

impl Loaded {
    fn open(sql: Sql, name: &str) -> Result<Self, EdgeError> {
        let (base, short) = name.rsplit_once('/').ok_or_else(|| failed(&"a shard without a name"))?;
        let shard = shards::Shard::of_name(short).ok_or_else(|| failed(&"a shard of no such name"))?;
        let depth = sql.meta("depth")?.and_then(|d| d.parse().ok()).unwrap_or(shard.first_depth());
        let splitting = sql.meta("splitting")?.is_some_and(|s| s == "yes");
        if sql.meta("name")?.is_none() {
            sql.set_meta("name", name)?;
        }
        let mut table: Option<Quantised> = None;
        for row in sql.vectors()? {
            let Vector { number, self_similarity, informative, values } = row?;
            let vector = to_values(&values);
            let table = table.get_or_insert_with(|| Quantised::new(vector.len()));
            table.put(number, &vector, self_similarity, informative, &[]).map_err(|e| failed(&e))?;
        }
        let mut table = table.unwrap_or_default();
        sql.windows(|number, bytes| {
            let windows = windows_of(bytes, table.dims())?;
            table.put_windows(number, &windows).map_err(|e| failed(&e))
        })?;
        Ok(Self { base: base.to_owned(), depth, splitting, table, shard, sql })
    }

    /// Whether a video of an id is this shard's.
    fn holds(&self, id: &str) -> bool {
        self.shard.holds(self.depth, hash(id))
    }

    /// Adds a video, in the database and in memory.
    fn add(&mut self, of: &RowOf, vector: &[u8], windows: &[u8]) -> Result<(), EdgeError> {
        let number = self.sql.put(of, vector, windows)?;
        let values = to_values(vector);
        if self.table.is_empty() {
            self.table = Quantised::new(values.len());
        }
        let windows = windows_of(windows, values.len())?;
        self.table.put(number, &values, of.self_similarity, of.informative, &windows).map_err(|e| failed(&e))
    }

    /// Removes a video; what it was.
    fn take_out(&mut self, id: &str) -> Result<Option<Row>, EdgeError> {
        let row = self.sql.video(id)?;
        if let Some(row) = &row {
            self.sql.remove(id, self.splitting)?;
            self.table.remove(row.number);
        }
        Ok(row)
    }

    fn put(&mut self, id: &str, body: &[u8]) -> Result<PutResult, EdgeError> {
        let record = Record::parse(body).map_err(|e| failed(&e))?;
        let (checksum, at) = (videos::checksum(record.checksum()), seconds());
        let before = self.sql.video(id)?;
        let put = match &before {
            None => PutResult::Added,
            Some(row) if row.of.checksum == checksum => PutResult::Unchanged,
            Some(row) => {
                self.sql.replaced(id, &row.of.checksum, at)?;
                PutResult::Replaced
            }
        };
        if put != PutResult::Unchanged {
            let of = RowOf {
                id: id.to_owned(),
                checksum,
                self_similarity: record.self_similarity(),
                duration: record.duration(),
                // At most a million.
                frames: u32::try_from(record.shape().frames).unwrap_or(u32::MAX),
                informative: record.is_informative(),
                bytes: body.len() as u64,
                added: before.map_or(at, |row| row.of.added),
            };
            let vector: Vec<f32> = record.global().collect();
            self.add(&of, &to_bytes(&vector), &PlacedWindow::to_bytes(record.placed_windows()))?;
        }
        self.sql.keep(id, body, at)?;
        Ok(put)
    }

    /// The numbers and rows of the candidates with their exact cosines, and all cosines.
    fn scan(
        &self,
        ask: &Scan,
        probe: &Probe,
        engine: &vidsieve_search::Engine,
    ) -> Result<(Vec<Candidate>, Vec<f32>), EdgeError> {
        let isa = Isa::best();
        let QuantisedScan { mut cosines, windows } = self.table.scan(isa, probe).map_err(|e| failed(&e))?;
        let wanted = Wanted { doubtful: ask.doubtful, similar: ask.similar, above: ask.above };
        let places = self.table.candidates(engine, ask.self_similarity, &cosines, wanted);
        let mut candidates = Vec::with_capacity(places.len());
        for some in places.chunks(EXACT) {
            let numbers: Vec<u32> = some.iter().filter_map(|&place| self.table.number(place)).collect();
            for Row { number, of, vector: exact, recent, .. } in self.sql.videos(&numbers)? {
                let exact = to_values(&exact);
                if exact.len() != ask.dims {
                    return Err(failed(&"a vector of another length"));
                }
                // As the native table does it, so that the numbers are the same.
                let (mut cosine, mut near) = (NO_COSINE, None);
                let place = self.table.place(number);
                if of.informative {
                    let mut one = [0f32];
                    for vector in probe.vectors() {
                        scan::dot_f32(isa, vector, &exact, exact.len(), &mut one);
                        cosine = cosine.max(one[0]);
                    }
                    if let Some((window, seconds)) = place.and_then(|place| self.table.best_window(&windows, place))
                        && window > cosine
                    {
                        (cosine, near) = (window, Some(seconds));
                    }
                }
                if let Some(place) = place {
                    cosines[place] = cosine;
                }
                let RowOf { id, checksum, self_similarity, informative, .. } = of;
                candidates.push(Candidate { id, checksum, cosine, near, self_similarity, informative, recent });
            }
        }
        Ok((candidates, cosines))
    }
}

impl Shard {
    /// Runs work on what is in memory, which is read from the database first where it is not there.
    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Loaded) -> Result<T, EdgeError>) -> Result<T, EdgeError> {
        let mut loaded = self.loaded.borrow_mut();
        if loaded.is_none() {
            *loaded = Some(Loaded::open(Sql::open(self.state.storage().sql())?, name)?);
        }
        let done = work(loaded.as_mut().ok_or_else(|| failed(&"nothing in memory"))?);
        if done.is_err() {
            // What is in memory may not be what is in the database any more.
            *loaded = None;
        }
        done
    }

    /// Sees to it that an alarm comes, at once or in a while.
    async fn wake(&self, soon: bool) -> Result<(), EdgeError> {
        if self.alarmed.get() && !soon {
            return Ok(());
        }
        let wait =
            if soon { 1 } else { number(&self.env, "RECENT_SECONDS", RECENT_SECONDS)?.saturating_mul(1000) + 1000 };
        self.alarmed.set(true);
        let set = self.state.storage().set_alarm(Duration::from_millis(wait)).await;
        set.map_err(EdgeError::runtime("setting an alarm"))
    }

    fn capacity(&self) -> Result<usize, EdgeError> {
        Ok(number(&self.env, "SHARD_VIDEOS", SHARD_VIDEOS)?.max(1))
    }

    async fn answered(&self, request: &mut Request) -> Result<Response, EdgeError> {
        let name = request.headers().get(SHARD).ok().flatten().ok_or_else(|| failed(&"no name of the shard"))?;
        let body = request.bytes().await.map_err(EdgeError::runtime("reading a message"))?;
        let capacity = self.capacity()?;
        let who = "the router";
        let (status, bytes) = match request.path().as_str() {
            "/scan" => {
                let networks = networks(&self.env).await?;
                let (ask, bytes): (Scan, _) = split(who, &body)?;
                let (vector, windows) =
                    bytes.split_at_checked(4 * ask.dims).ok_or_else(|| failed(&"a query that is cut off"))?;
                let probe = Probe::new(&to_values(vector), &query_windows(windows, ask.dims)?);
                let (candidates, cosines) = self.with(&name, |l| l.scan(&ask, &probe, &networks.engine))?;
                (200, join(&candidates, &if ask.cosines { to_bytes(&cosines) } else { Vec::new() }))
            }
            "/put" => {
                let (Named { id }, record) = split(who, &body)?;
                let (put, soon) = self.with(&name, |l| {
                    if !l.holds(&id) {
                        return Ok((Err(MOVED), false));
                    }
                    if l.table.len() >= capacity * OVERFULL {
                        return Ok((Err(FULL), true));
                    }
                    let put = l.put(&id, &record)?;
                    Ok((Ok(put), l.is_full(capacity)))
                })?;
                self.wake(soon).await?;
                match put {
                    Ok(put) => (200, serde_json::to_vec(&put).unwrap_or_default()),
                    Err(status) => (status, Vec::new()),
                }
            }
            "/remove" => {
                let Named { id } = read(who, &body)?;
                let there = self.with(&name, |l| {
                    if !l.holds(&id) {
                        return Ok(None);
                    }
                    let before = l.take_out(&id)?;
                    if let Some(row) = &before {
                        l.sql.replaced(&id, &row.of.checksum, seconds())?;
                    }
                    Ok(Some(before.is_some()))
                })?;
                self.wake(false).await?;
                match there {
                    Some(there) => (200, serde_json::to_vec(&there).unwrap_or_default()),
                    None => (MOVED, Vec::new()),
                }
            }
            "/find" => {
                let Ids { ids } = read(who, &body)?;
                let found = self.with(&name, |l| {
                    if !ids.iter().all(|id| l.holds(id)) {
                        return Ok(None);
                    }
                    let mut found = Vec::new();
                    for id in &ids {
                        found.extend(l.sql.video(id)?.map(|row| Found {
                            id: row.of.id,
                            checksum: row.of.checksum,
                            recent: row.recent,
                        }));
                    }
                    Ok(Some(found))
                })?;
                match found {
                    Some(found) => (200, serde_json::to_vec(&found).unwrap_or_default()),
                    None => (MOVED, Vec::new()),
                }
            }
            "/kept" => {
                let Named { id } = read(who, &body)?;
                match self.with(&name, |l| if l.holds(&id) { l.sql.kept(&id).map(Ok) } else { Ok(Err(MOVED)) })? {
                    Ok(record) => (200, record.unwrap_or_default()),
                    Err(status) => (status, Vec::new()),
                }
            }
            "/list" => {
                let List { after, limit } = read(who, &body)?;
                let page = self.with(&name, |l| l.sql.list(&after.unwrap_or_default(), limit))?;
                (200, serde_json::to_vec(&page).unwrap_or_default())
            }
            "/take" => {
                let (take, bytes): (Take, _) = split(who, &body)?;
                let soon = self.with(&name, |l| {
                    l.take(take, &bytes)?;
                    Ok(l.is_full(capacity))
                })?;
                self.wake(soon).await?;
                (200, Vec::new())
            }
            "/count" => {
                self.with(&name, |_| Ok(()))?;
                (200, memory().to_string().into_bytes())
            }
            _ => (404, Vec::new()),
        };
        let (depth, videos) = self.with(&name, |l| Ok((l.depth, l.table.len())))?;
        raw(status, &[(DEPTH, depth.to_string()), (VIDEOS, videos.to_string())], bytes)
    }

    /// What is done in a while: records that KV has are let go, unused versions are removed from KV, a full shard is split.
    async fn tidied(&self) -> Result<(), EdgeError> {
        let Some(name) = Sql::open(self.state.storage().sql())?.meta("name")? else { return Ok(()) };
        let recent = number(&self.env, "RECENT_SECONDS", RECENT_SECONDS)?;
        let before = seconds().saturating_sub(recent);
        let (mut left, base, unused) = self.with(&name, |l| {
            let (unused, more) = l.sql.unused(before)?;
            Ok((l.sql.let_go(before)? || more, l.base.clone(), unused))
        })?;
        let records = Records::new(&self.env)?;
        for (id, checksum) in unused {
            let used = self.with(&name, |l| Ok(l.sql.video(&id)?.is_some_and(|row| row.of.checksum == checksum)))?;
            if let (false, Some(sum)) = (used, videos::parse_checksum(&checksum)) {
                records.remove(&key(namespace(&base), &id, sum)).await?;
            }
            self.with(&name, |l| l.sql.forget(&id, &checksum))?;
        }
        let capacity = self.capacity()?;
        if self.with(&name, |l| Ok(l.is_full(capacity)))? {
            self.split_off(&name).await?;
            if self.with(&name, |l| Ok(l.is_full(capacity)))? {
                return self.wake(true).await;
            }
            left = true;
        }
        if left { self.wake(false).await } else { Ok(()) }
    }
}

impl Loaded {
    /// Whether it is to be split, or is being split.
    fn is_full(&self, capacity: usize) -> bool {
        self.depth < MAX_DEPTH && (self.splitting || self.table.len() > capacity)
    }
}

impl DurableObject for Shard {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, loaded: RefCell::new(None), alarmed: Cell::new(false) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        match self.answered(&mut request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                error.log();
                Response::empty().map(|response| response.with_status(500))
            }
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarmed.set(false);
        // An alarm that fails comes again by itself.
        self.tidied().await.map_err(|error| {
            error.log();
            worker::Error::RustError(error.to_string())
        })?;
        Response::empty()
    }
}
