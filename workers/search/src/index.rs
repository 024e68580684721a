//! The index as the router sees it: its shards, which it asks all at once, and which tell it of those that it does not know yet.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use vidsieve_api::videos::Listed;
use vidsieve_api::{Problem, PutResult};
use vidsieve_edge::{EdgeError, now, with_body, within};
use vidsieve_record::shards::{MAX_DEPTH, Shard, Tree, hash};
use vidsieve_record::{BundleId, WindowVector};
use vidsieve_search::Query;
use worker::{Env, Method};

use crate::message::{
    Candidate, DEPTH, FULL, Found, Ids, List, MOVED, Named, SHARD, Scan, VIDEOS, join, read, split, to_bytes, to_values,
};

/// Milliseconds for which a count of videos is reused.
const COUNTED: f64 = 5000.0;
/// More candidates than a shard's share is asked for: hashes spread videos evenly, not exactly.
const SLACK: usize = 64;

thread_local! {
    /// The shards of each index, as far as this isolate knows.
    static TREES: RefCell<HashMap<String, Tree>> = RefCell::new(HashMap::new());
    /// Videos of each index and shards that did not answer, and when they were counted.
    static COUNTS: RefCell<HashMap<String, (f64, usize, usize)>> = RefCell::new(HashMap::new());
}

/// What a shard answered.
struct Reply {
    status: u16,
    bytes: Vec<u8>,
    videos: usize,
    /// Shards that were not known before.
    fresh: Vec<Shard>,
}

/// The answers of all shards.
pub(crate) struct ShardAnswers<T> {
    pub(crate) answers: Vec<(Shard, T)>,
    /// Videos of those that answered.
    pub(crate) videos: usize,
    /// Shards that did not.
    pub(crate) lost: usize,
}

/// The candidates of a search.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// By id.
    pub(crate) candidates: Vec<Candidate>,
    /// All cosines, if they were asked for, in no order.
    pub(crate) cosines: Vec<f32>,
    pub(crate) videos: usize,
    /// Shards that did not answer, of how many.
    pub(crate) lost: usize,
    pub(crate) shards: usize,
}

/// The index of a namespace and a bundle.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    env: Env,
    base: String,
    deadline: Duration,
}

fn lost(what: &str) -> EdgeError {
    EdgeError::Answer { who: "a shard", what: what.to_owned() }
}

impl Index {
    /// The index of a namespace; a bundle has one of its own.
    pub(crate) fn new(env: &Env, namespace: &str, bundle: BundleId, deadline: Duration) -> Self {
        Self { env: env.clone(), base: format!("{namespace}/{}", bundle.short()), deadline }
    }

    fn tree(&self) -> Tree {
        TREES.with_borrow_mut(|trees| trees.entry(self.base.clone()).or_default().clone())
    }

    async fn ask(&self, shard: &Shard, path: &str, body: &[u8]) -> Result<Reply, EdgeError> {
        let name = format!("{}/{}", self.base, shard.name());
        let fail = EdgeError::runtime("asking a shard");
        let namespace = self.env.durable_object("SHARDS").map_err(&fail)?;
        let request = with_body(&format!("https://shard/{path}"), Method::Post, &[(SHARD, &name)], body)?;
        let mut response =
            namespace.get_by_name(&name).map_err(&fail)?.fetch_with_request(request).await.map_err(&fail)?;
        let (status, bytes) = (response.status_code(), response.bytes().await.map_err(&fail)?);
        let told = |header| response.headers().get(header).ok().flatten().and_then(|v| v.parse::<usize>().ok());
        let (Some(depth), Some(videos)) = (told(DEPTH), told(VIDEOS)) else {
            return Err(lost(&format!("status {status}")));
        };
        let fresh =
            TREES.with_borrow_mut(|trees| trees.entry(self.base.clone()).or_default().learn(shard, depth, videos));
        Ok(Reply { status, bytes, videos, fresh })
    }

    /// Asks the shard that holds a video, following where it has moved.
    async fn ask_holder(&self, id: &str, path: &str, body: &[u8]) -> Result<Reply, EdgeError> {
        for _ in 0..=MAX_DEPTH {
            let shard = self.tree().shard_of(hash(id));
            let reply =
                within(self.deadline, self.ask(&shard, path, body)).await.ok_or(EdgeError::Late("a shard"))??;
            if reply.status != MOVED {
                return Ok(reply);
            }
        }
        Err(lost("that it does not hold a video that is its own"))
    }

    /// Asks all shards at once, also those that the answers name. What is late or fails is lost.
    async fn ask_all<T>(
        &self,
        path: &str,
        body: impl Fn(&Shard, usize) -> Vec<u8>,
        parse: impl Fn(Reply) -> Result<T, EdgeError>,
    ) -> ShardAnswers<T> {
        let end = now() + self.deadline.as_secs_f64() * 1000.0;
        let one = |shard: Shard, depth: usize| {
            let body = body(&shard, depth);
            async move {
                let left = Duration::from_secs_f64(((end - now()) / 1000.0).max(0.0));
                let reply = within(left, self.ask(&shard, path, &body)).await;
                (shard, reply.unwrap_or(Err(EdgeError::Late("a shard"))))
            }
        };
        let mut asking: FuturesUnordered<_> =
            self.tree().shards().map(|(shard, known)| one(shard.clone(), known.depth)).collect();
        let mut asked = ShardAnswers { answers: Vec::new(), videos: 0, lost: 0 };
        let mut seen: Vec<Shard> = self.tree().shards().map(|(shard, _)| shard.clone()).collect();
        while let Some((shard, reply)) = asking.next().await {
            let parsed = reply.and_then(|mut reply| {
                let (fresh, videos) = (std::mem::take(&mut reply.fresh), reply.videos);
                if reply.status != 200 {
                    return Err(lost(&format!("status {}", reply.status)));
                }
                Ok((fresh, videos, parse(reply)?))
            });
            match parsed {
                Ok((fresh, videos, answer)) => {
                    // Another request may have learnt of them first.
                    let depth = self.tree().known(&shard).depth;
                    for child in fresh.into_iter().chain(shard.children(depth)) {
                        if !seen.contains(&child) {
                            seen.push(child.clone());
                            let depth = child.first_depth();
                            asking.push(one(child, depth));
                        }
                    }
                    asked.videos += videos;
                    asked.answers.push((shard, answer));
                }
                Err(error) => {
                    error.log();
                    asked.lost += 1;
                }
            }
        }
        asked
    }

    /// The candidates of a query from all shards: each is asked for its share of the most doubtful and the most similar.
    pub(crate) async fn scan(&self, query: &Query, ask: Scan) -> Scanned {
        let mut vectors = to_bytes(&query.global);
        vectors.extend(WindowVector::to_bytes(query.windows.iter().cloned()));
        let share = |wanted: usize, depth: usize| match wanted {
            0 => 0,
            wanted => wanted.min(((2 * wanted) >> depth.min(MAX_DEPTH)) + SLACK),
        };
        let body = |_: &Shard, depth: usize| {
            let (doubtful, similar) = (share(ask.doubtful, depth), share(ask.similar, depth));
            join(&Scan { doubtful, similar, ..ask }, &vectors)
        };
        let parse = |reply: Reply| -> Result<(Vec<Candidate>, Vec<f32>), EdgeError> {
            let (candidates, cosines) = split("a shard", &reply.bytes)?;
            Ok((candidates, to_values(&cosines)))
        };
        let asked = self.ask_all("scan", body, parse).await;
        let mut scanned = Scanned {
            videos: asked.videos,
            lost: asked.lost,
            shards: asked.lost + asked.answers.len(),
            ..Scanned::default()
        };
        // A video that moved meanwhile may come from both shards.
        let mut by_id = BTreeMap::new();
        for (_, (candidates, cosines)) in asked.answers {
            by_id.extend(candidates.into_iter().map(|c| (c.id.clone(), c)));
            scanned.cosines.extend(cosines);
        }
        scanned.candidates = by_id.into_values().collect();
        scanned
    }

    /// Adds a video or replaces it.
    pub(crate) async fn put(&self, id: &str, record: &[u8]) -> Result<PutResult, Problem> {
        let reply = self.ask_holder(id, "put", &join(&Named { id: id.to_owned() }, record)).await?;
        COUNTS.with_borrow_mut(|counts| counts.remove(&self.base));
        match reply.status {
            200 => Ok(read("a shard", &reply.bytes)?),
            FULL => Err(Problem::busy()),
            status => Err(lost(&format!("status {status}")).into()),
        }
    }

    /// Removes a video; whether it was there.
    pub(crate) async fn remove(&self, id: &str) -> Result<bool, EdgeError> {
        let body = serde_json::to_vec(&Named { id: id.to_owned() }).unwrap_or_default();
        let reply = self.ask_holder(id, "remove", &body).await?;
        COUNTS.with_borrow_mut(|counts| counts.remove(&self.base));
        read("a shard", &reply.bytes)
    }

    /// What the shards know of videos, by id; those that are not there are left out.
    pub(crate) async fn find(&self, ids: &[String]) -> Result<HashMap<String, Found>, EdgeError> {
        let mut found = HashMap::new();
        let mut left: Vec<String> = ids.to_vec();
        for _ in 0..=MAX_DEPTH {
            let tree = self.tree();
            let mut groups: BTreeMap<Shard, Vec<String>> = BTreeMap::new();
            for id in left.drain(..) {
                groups.entry(tree.shard_of(hash(&id))).or_default().push(id);
            }
            let mut asking: FuturesUnordered<_> = groups
                .into_iter()
                .map(|(shard, ids)| async move {
                    let body = serde_json::to_vec(&Ids { ids: ids.clone() }).unwrap_or_default();
                    let reply = within(self.deadline, self.ask(&shard, "find", &body)).await;
                    (ids, reply.unwrap_or(Err(EdgeError::Late("a shard"))))
                })
                .collect();
            while let Some((ids, reply)) = asking.next().await {
                let reply = reply?;
                if reply.status == MOVED {
                    left.extend(ids);
                } else {
                    let some: Vec<Found> = read("a shard", &reply.bytes)?;
                    found.extend(some.into_iter().map(|f| (f.id.clone(), f)));
                }
            }
            if left.is_empty() {
                return Ok(found);
            }
        }
        Err(lost("that it does not hold videos that are its own"))
    }

    /// A record that its shard still keeps.
    pub(crate) async fn kept(&self, id: &str) -> Result<Option<Vec<u8>>, EdgeError> {
        let body = serde_json::to_vec(&Named { id: id.to_owned() }).unwrap_or_default();
        let reply = self.ask_holder(id, "kept", &body).await?;
        Ok((!reply.bytes.is_empty()).then_some(reply.bytes))
    }

    /// A page of the listing. A part of it that is missing would look like videos that are not there: without all shards there is
    /// none.
    pub(crate) async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Listed>, Problem> {
        let body = serde_json::to_vec(&List { after: after.map(str::to_owned), limit }).unwrap_or_default();
        let asked = self.ask_all("list", |_, _| body.clone(), |r| read::<Vec<Listed>>("a shard", &r.bytes)).await;
        if asked.lost > 0 {
            return Err(Problem::busy());
        }
        let mut all: BTreeMap<String, Listed> =
            asked.answers.into_iter().flat_map(|(_, page)| page).map(|v| (v.id.clone(), v)).collect();
        let mut page = Vec::with_capacity(limit.min(all.len()));
        while page.len() < limit
            && let Some((_, video)) = all.pop_first()
        {
            page.push(video);
        }
        Ok(page)
    }

    /// How many videos there are, as of the last seconds; of a shard that does not answer, what it had when it last did. And
    /// how many shards did not answer.
    pub(crate) async fn count(&self) -> (usize, usize) {
        let known = COUNTS.with_borrow(|counts| counts.get(&self.base).copied());
        if let Some((at, videos, lost)) = known
            && now() - at < COUNTED
        {
            return (videos, lost);
        }
        let asked = self.ask_all("count", |_, _| Vec::new(), |_| Ok(())).await;
        let videos = if asked.lost == 0 { asked.videos } else { self.tree().shards().map(|(_, k)| k.videos).sum() };
        COUNTS.with_borrow_mut(|counts| counts.insert(self.base.clone(), (now(), videos, asked.lost)));
        (videos, asked.lost)
    }

    /// Shards that are known.
    pub(crate) fn shards(&self) -> usize {
        self.tree().shards().count()
    }
}
