//! The handlers of the routes.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use vidsieve_api::encode::{self, EncodeInput, media_type};
use vidsieve_api::ready::{Check, Readiness};
use vidsieve_api::rerank::{ABSENT, Absent, LATE, OTHER_VERSION};
use vidsieve_api::videos::{self, Listing, etag, matches};
use vidsieve_api::{
    Admitted, Candidates, ListOptions, NDJSON, OPENAPI, Problem, PutResult, Reranked, Route, SearchOptions,
    TraceContext,
};
use vidsieve_edge::{
    EdgeError, Exchange, Gate, Networks, Records, body_of, json, key, memory, networks, now, number, raw,
};
use vidsieve_record::Record;
use vidsieve_record::wire;
use vidsieve_search::Query;
use worker::{Context, Env, Request, Response};

use crate::index::Index;
use crate::search::Search;
use crate::tier::{Comparing, Target};

/// Bytes of a body at most, where `BODY_LIMIT` says nothing.
const BODY_LIMIT: usize = 16_000_000;
/// Bytes of a record at most, where `RECORD_LIMIT` says nothing: two hours at a frame a second. The
/// re-rank tier holds six at once.
const RECORD_LIMIT: usize = 8_000_000;
/// Milliseconds that the shards have to answer, where `COARSE_MS` says nothing.
const COARSE_MS: u64 = 2000;
/// Milliseconds that `POST /v1/rerank` may take, where `RERANK_MS` says nothing.
const RERANK_MS: f64 = 15_000.0;

/// An admitted request, with what its route needs.
struct AdmittedRequest<'a> {
    env: &'a Env,
    networks: Rc<Networks>,
    index: Index,
    admitted: Admitted,
    trace: TraceContext,
}

/// Answers a request that is no preflight.
///
/// # Errors
/// The problem to answer with.
pub(crate) async fn answer(
    request: &mut Request,
    env: &Env,
    context: &Context,
    gate: &Gate,
    route: Option<Route>,
    exchange: &mut Exchange,
) -> Result<Response, Problem> {
    let route = route.ok_or_else(Problem::unknown_route)?;
    let method = request.method().to_string();
    route.check_method(&method)?;
    let admitted = gate.admit(env, request, route, false).await?;
    exchange.token.clone_from(&admitted.token);
    if route == Route::OpenApi {
        let kind = "application/json".to_owned();
        return Ok(raw(200, &[("content-type", kind)], OPENAPI.as_bytes().to_vec())?);
    }
    let networks = match networks(env).await {
        Ok(networks) => networks,
        // Without its bundle the tier cannot do anything: this is said, and not why.
        Err(error) if route.is_health() => {
            error.log();
            let failure = Some("the bundle cannot be read".to_owned());
            return ready(&Readiness::new(vec![Check::new("bundle", true, failure)]));
        }
        Err(error) => return Err(error.into()),
    };
    let deadline = Duration::from_millis(number(env, "COARSE_MS", COARSE_MS)?);
    let index = Index::new(env, &admitted.namespace, networks.id(), deadline);
    let admitted = AdmittedRequest { env, networks, index, admitted, trace: exchange.trace };
    match route {
        Route::Search => admitted.search(request, context).await,
        Route::Rerank => admitted.rerank(request).await,
        Route::Encode => admitted.encode(request).await,
        Route::Videos => admitted.list(request).await,
        Route::Video => {
            let id = Route::video_id(&request.path())?;
            match method.as_str() {
                "PUT" => admitted.put(&id, request).await,
                "DELETE" => admitted.remove(&id).await,
                _ => admitted.read(&id, request).await,
            }
        }
        Route::Model => Ok(json(200, &[], &admitted.networks.model)?),
        Route::Bundle => admitted.bundle(request, gate),
        Route::Health => {
            let (videos, lost) = admitted.index.count().await;
            let version = env!("CARGO_PKG_VERSION");
            let status = shards_ready(lost).health();
            Ok(json(200, &[], &serde_json::json!({ "status": status, "videos": videos, "version": version }))?)
        }
        Route::Ready => ready(&shards_ready(admitted.index.count().await.1)),
        Route::Metrics => admitted.metrics().await,
        // Copies are found where the files are.
        Route::Dedupe | Route::DedupePlan | Route::Decisions => Err(Problem::native_only()),
        // The document is answered above; media are files of a native server.
        Route::OpenApi | Route::Media => Err(Problem::unknown_route()),
    }
}

/// What follows from shards that did not answer.
fn shards_ready(lost: usize) -> Readiness {
    let failure = (lost > 0).then(|| format!("{lost} parts of the index did not answer"));
    Readiness::new(vec![Check::new("bundle", true, None), Check::new("shards", false, failure)])
}

fn ready(readiness: &Readiness) -> Result<Response, Problem> {
    Ok(json(readiness.http_status(), &[], readiness)?)
}

fn query_string(request: &Request) -> Result<String, Problem> {
    let url = request.url().map_err(EdgeError::runtime("reading the URL"))?;
    Ok(url.query().unwrap_or_default().to_owned())
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// 304 if `If-None-Match` matches.
fn unchanged(request: &Request, tag: &str) -> Result<Option<Response>, EdgeError> {
    if !header(request, "if-none-match").is_some_and(|tags| matches(&tags, tag)) {
        return Ok(None);
    }
    raw(304, &[("etag", tag.to_owned())], Vec::new()).map(Some)
}

impl AdmittedRequest<'_> {
    async fn body(&self, request: &mut Request, name: &'static str, default: usize) -> Result<Vec<u8>, Problem> {
        body_of(request, number(self.env, name, default)?).await
    }

    async fn record(&self, request: &mut Request) -> Result<Vec<u8>, Problem> {
        self.body(request, "RECORD_LIMIT", RECORD_LIMIT).await
    }

    async fn search(self, request: &mut Request, context: &Context) -> Result<Response, Problem> {
        let parameters = SearchOptions::parse(&query_string(request)?)?;
        let record = self.record(request).await?;
        let query = self.networks.model.query(record.as_slice())?;
        let Self { env, networks, index, admitted, trace } = self;
        let namespace = admitted.namespace;
        let search = Search { env: env.clone(), networks, index, namespace, record, query, parameters, trace };
        let (lines, work) = search.begin().await?;
        context.wait_until(work);
        let lines = lines.map(|line| Ok::<_, worker::Error>(line.into_bytes()));
        let fail = EdgeError::runtime("making an answer");
        let mut response = Response::from_stream(lines).map_err(&fail)?;
        response.headers_mut().set("content-type", NDJSON).map_err(&fail)?;
        Ok(response)
    }

    async fn rerank(&self, request: &mut Request) -> Result<Response, Problem> {
        let body = self.body(request, "BODY_LIMIT", BODY_LIMIT).await?;
        let (candidates, record) = Candidates::parse(&body)?;
        let query: Query = self.networks.model.query(record)?;
        let found = self.index.find(&candidates.ids).await?;
        let mut answer = Reranked::default();
        let mut targets = Vec::new();
        for (i, id) in candidates.ids.iter().enumerate() {
            let absent = |reason: &str| Absent { id: id.clone(), reason: reason.to_owned() };
            match found.get(id) {
                None => answer.missing.push(absent(ABSENT)),
                Some(video) if candidates.checksum(i).is_some_and(|c| videos::checksum(c) != video.checksum) => {
                    answer.missing.push(absent(OTHER_VERSION));
                }
                Some(video) => {
                    let (checksum, recent) = (video.checksum.clone(), video.recent);
                    targets.push(Target { id: id.clone(), checksum, recent });
                }
            }
        }
        let comparing = Comparing {
            env: self.env,
            networks: &self.networks,
            index: &self.index,
            namespace: &self.admitted.namespace,
            query: &query,
            record,
            segments: candidates.segments,
            trace: self.trace,
        };
        let within = candidates.within().map_or(f64::INFINITY, |within| within.as_secs_f64() * 1000.0);
        let end = now() + number(self.env, "RERANK_MS", RERANK_MS)?.min(within);
        let mut settled = comparing.compare(&targets, end).await;
        for Target { id, .. } in targets {
            match settled.remove(&id) {
                Some(Ok(pair)) => answer.pairs.push(pair),
                Some(Err(reason)) => answer.missing.push(Absent { id, reason }),
                None => answer.missing.push(Absent { id, reason: LATE.to_owned() }),
            }
        }
        Ok(json(200, &[], &answer)?)
    }

    async fn encode(&self, request: &mut Request) -> Result<Response, Problem> {
        let input = EncodeInput::of(media_type(&header(request, "content-type").unwrap_or_default()))?;
        let encoder = self.networks.encoder().ok_or_else(encode::no_encoder)?;
        let body = self.body(request, "BODY_LIMIT", BODY_LIMIT).await?;
        let record = encode::encode(encoder, input, &body, &|| false)?;
        Ok(raw(200, &[("content-type", wire::RECORD_TYPE.to_owned())], record)?)
    }

    async fn list(&self, request: &Request) -> Result<Response, Problem> {
        let ListOptions { after, limit } = ListOptions::parse(&query_string(request)?)?;
        let page = self.index.list(after.as_deref(), limit).await?;
        Ok(json(200, &[], &Listing::new(page, limit))?)
    }

    /// The record of a video: from KV, or from its shard where KV has not got it here yet.
    async fn read(&self, id: &str, request: &Request) -> Result<Response, Problem> {
        let found = self.index.find(&[id.to_owned()]).await?;
        let found = found.get(id).ok_or_else(|| Problem::not_found("no video has this id"))?;
        let checksum = videos::parse_checksum(&found.checksum).ok_or_else(Problem::internal)?;
        let tag = etag(checksum);
        if let Some(response) = unchanged(request, &tag)? {
            return Ok(response);
        }
        let is_it = |bytes: &Vec<u8>| Record::parse(bytes.as_slice()).is_ok_and(|r| r.checksum() == checksum);
        let key = key(&self.admitted.namespace, id, checksum);
        let mut record = Records::new(self.env)?.get(&key).await?.filter(is_it);
        if record.is_none() && found.recent {
            record = self.index.kept(id).await?.filter(is_it);
        }
        let Some(record) = record else {
            EdgeError::Answer { who: "KV", what: "no sound record for a video that is indexed".to_owned() }.log();
            return Err(Problem::damaged_record());
        };
        Ok(raw(200, &[("content-type", wire::RECORD_TYPE.to_owned()), ("etag", tag)], record)?)
    }

    /// Adds a video: first its record is in KV, then its shard names it. A record that is already
    /// in both is not written again.
    async fn put(&self, id: &str, request: &mut Request) -> Result<Response, Problem> {
        let body = self.record(request).await?;
        let checksum = self.networks.model.record(body.as_slice())?.checksum();
        let records = Records::new(self.env)?;
        let key = key(&self.admitted.namespace, id, checksum);
        let before = self.index.find(&[id.to_owned()]).await?;
        let known = before.get(id).is_some_and(|video| video.checksum == videos::checksum(checksum));
        let put = if known && records.get(&key).await?.is_some_and(|there| there == body) {
            PutResult::Unchanged
        } else {
            records.put(&key, &body).await?;
            self.index.put(id, &body).await?
        };
        Ok(json(put.status(), &[("etag", etag(checksum))], &put.to_json())?)
    }

    async fn remove(&self, id: &str) -> Result<Response, Problem> {
        if self.index.remove(id).await? {
            Ok(raw(204, &[], Vec::new())?)
        } else {
            Err(Problem::not_found("no video has this id"))
        }
    }

    fn bundle(&self, request: &Request, gate: &Gate) -> Result<Response, Problem> {
        let tag = format!("\"{}\"", self.networks.id());
        if let Some(response) = unchanged(request, &tag)? {
            return Ok(response);
        }
        // What needs a token is not kept for others.
        let shared = if gate.is_public() { "public" } else { "private" };
        let headers = [
            ("content-type", "application/octet-stream".to_owned()),
            ("etag", tag),
            ("cache-control", format!("{shared}, max-age=3600")),
        ];
        Ok(raw(200, &headers, self.networks.bundle.as_bytes().to_vec())?)
    }

    /// Figures of this isolate and this index.
    async fn metrics(&self) -> Result<Response, Problem> {
        let (videos, lost) = self.index.count().await;
        let (shards, memory, ready) = (self.index.shards(), memory(), u8::from(lost == 0));
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "# TYPE vidsieve_build info\nvidsieve_build_info{{version=\"{version}\",bundle=\"{}\"}} 1\n\
             # TYPE vidsieve_ready gauge\nvidsieve_ready {ready}\n# TYPE vidsieve_index_videos gauge\nvidsieve_index_videos {videos}\n# TYPE vidsieve_index_shards gauge\n\
             vidsieve_index_shards {shards}\n# TYPE vidsieve_wasm_memory_bytes gauge\n\
             # HELP vidsieve_wasm_memory_bytes Of the isolate that answers, shards in it included\n\
             vidsieve_wasm_memory_bytes {memory}\n# EOF\n",
            self.networks.id()
        );
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned();
        Ok(raw(200, &[("content-type", kind)], text.into_bytes())?)
    }
}
