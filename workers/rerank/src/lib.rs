//! The re-rank tier at the edge. The search Worker sends it a query's record and candidates with
//! the checksums of their records; it reads these from KV, six at a time with the Cache API in
//! front, compares them with the kernels in WebAssembly, and answers as `POST /v1/rerank` of the
//! native server does.

#![cfg(target_arch = "wasm32")]

use std::rc::Rc;

use futures_util::{StreamExt as _, stream};
use vidsieve_api::{Candidates, Problem, Reranked, Route};
use vidsieve_edge::{
    Exchange, Gate, Networks, Records, body_of, json, key, memory, networks, now, number, problem, raw,
};
use vidsieve_record::Record;
use vidsieve_search::{Fetched, Outcome, Query};
use worker::{Context, Env, Request, Response, event};

/// The routes of this Worker.
const ROUTES: [Route; 3] = [Route::Rerank, Route::Health, Route::Metrics];
/// Records that are read at the same time: the connections that a Worker has.
const AT_ONCE: usize = 6;
/// Bytes of a request at most: a query's record and the names of a thousand candidates.
const BODY_LIMIT: usize = 16_000_000;

/// Answers a request.
///
/// # Errors
/// Of the runtime, when not even an answer can be made.
#[event(fetch)]
pub async fn main(mut request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let route = Route::of_path(&request.path()).filter(|route| ROUTES.contains(route));
    let exchange = Exchange::begin(&request, route.map_or("other", Route::template));
    let answer = match answer(&mut request, &env).await {
        Ok(response) => Ok(response),
        Err(refusal) => problem(&refusal),
    };
    answer.and_then(|response| exchange.end(response)).map_err(|error| worker::Error::RustError(error.to_string()))
}

async fn answer(request: &mut Request, env: &Env) -> Result<Response, Problem> {
    let route = Route::resolve(&ROUTES, request.method().as_ref(), &request.path())?;
    let admitted = Gate::of(env)?.admit(env, request, route, true).await?;
    match route {
        Route::Rerank => {
            let body = body_of(request, number(env, "BODY_LIMIT", BODY_LIMIT)?).await?;
            let networks = networks(env).await?;
            let answer = rerank(&networks, &Records::new(env)?, &admitted.namespace, &body).await?;
            Ok(json(200, &[], &answer)?)
        }
        Route::Metrics => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned();
            let text =
                format!("# TYPE vidsieve_wasm_memory_bytes gauge\nvidsieve_wasm_memory_bytes {}\n# EOF\n", memory());
            Ok(raw(200, &[("content-type", kind)], text.into_bytes())?)
        }
        _ => Ok(raw(200, &[("content-type", "application/json".to_owned())], br#"{"status":"ok"}"#.to_vec())?),
    }
}

/// Compares the candidates one by one as their records come: memory holds those that are being
/// read, and one that is compared.
async fn rerank(networks: &Rc<Networks>, records: &Records, namespace: &str, body: &[u8]) -> Result<Reranked, Problem> {
    let (candidates, record) = Candidates::parse(body)?;
    let query: Query = networks.model.query(record)?;
    if candidates.checksums.is_none() {
        // Keys of records name their checksums.
        return Err(Problem::bad_request("this tier needs the checksums of the candidates' records"));
    }
    let begin = now();
    let late = || candidates.within().is_some_and(|within| now() - begin >= within.as_secs_f64() * 1000.0);
    let mut answer = Reranked::default();
    let mut found = stream::iter(0..candidates.ids.len())
        .map(|i| {
            let key = candidates.checksum(i).map(|checksum| key(namespace, &candidates.ids[i], checksum));
            async move { (i, fetched(records, key).await) }
        })
        .buffered(AT_ONCE);
    while let Some((i, record)) = found.next().await {
        // The clock has moved: a record was waited for.
        if late() {
            answer.leave(&candidates, i);
            break;
        }
        answer.compare(&networks.engine, &query, &candidates, i, vec![record]);
    }
    Ok(answer)
}

async fn fetched(records: &Records, key: Option<String>) -> Fetched<Vec<u8>> {
    let Some(key) = key else { return Err(Outcome::Missing) };
    match records.get_cached(&key).await {
        Ok(Some(bytes)) => Record::parse(bytes).map_err(|error| Outcome::Failed(error.to_string())),
        Ok(None) => Err(Outcome::Missing),
        Err(error) => {
            error.log();
            Err(Outcome::Failed(UNREADABLE.to_owned()))
        }
    }
}

/// What answers say of a record that KV does not give.
const UNREADABLE: &str = "its record cannot be read";
