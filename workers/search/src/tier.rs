//! The re-rank tier as the router uses it: pairs in batches, several at once, until a deadline; and what is compared here because KV has
//! not got it everywhere yet.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use vidsieve_api::rerank::{Compared, LATE, UNSOUND, answer_limit};
use vidsieve_api::trace::TRACEPARENT;
use vidsieve_api::{Candidates, Reranked, TraceContext, videos};
use vidsieve_edge::{EdgeError, INTERNAL_HOST, Networks, bytes_of, now, text, with_body, within};
use vidsieve_record::Record;
use vidsieve_record::wire::RERANK_TYPE;
use vidsieve_search::Query;
use worker::{Env, Fetch, Method, Response};

use crate::index::Index;
use crate::message::read;

/// Candidates of a request to the tier.
const BATCH: usize = 64;
/// Requests to the tier at the same time: the connections that a Worker has.
const AT_ONCE: usize = 6;
/// Videos that are compared here at most.
const HERE: usize = 64;

/// What answers say if the tier fails.
pub(crate) const SILENT: &str = "the re-rank tier does not answer";
/// Of the time that is left the tier has all but this, so that it can tell what it compared; a quarter at most.
const REPLYING_MS: f64 = 500.0;

/// A video to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) checksum: String,
    /// Whether its shard still keeps the record.
    pub(crate) recent: bool,
}

/// What came of each video, by id; those that the deadline came before are left out.
pub(crate) type Settled = HashMap<String, Result<Compared, String>>;

/// A query that is compared.
#[derive(Debug, Clone)]
pub(crate) struct Comparing<'a> {
    pub(crate) env: &'a Env,
    pub(crate) networks: &'a Rc<Networks>,
    pub(crate) index: &'a Index,
    pub(crate) namespace: &'a str,
    pub(crate) query: &'a Query,
    /// The query's record.
    pub(crate) record: &'a [u8],
    pub(crate) segments: bool,
    /// The trace of the request.
    pub(crate) trace: TraceContext,
}

impl Comparing<'_> {
    /// Compares videos until milliseconds from 1970.
    pub(crate) async fn compare(&self, targets: &[Target], end: f64) -> Settled {
        let mut settled = Settled::new();
        if now() >= end {
            return settled;
        }
        let mut asking =
            stream::iter(targets.chunks(BATCH)).map(|batch| self.batch(batch, end)).buffer_unordered(AT_ONCE);
        loop {
            let left = Duration::from_secs_f64(((end - now()) / 1000.0).max(0.0));
            match within(left, asking.next()).await {
                Some(Some(batch)) => settled.extend(batch),
                Some(None) => break,
                None => return settled,
            }
        }
        self.compare_here(targets, &mut settled, end).await;
        settled
    }

    async fn batch(&self, targets: &[Target], end: f64) -> Vec<(String, Result<Compared, String>)> {
        let left = (end - now()).max(0.0);
        // A saturating conversion.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let within_ms = (left - REPLYING_MS.min(left / 4.0)) as u64;
        let candidates = Candidates {
            ids: targets.iter().map(|t| t.id.clone()).collect(),
            segments: self.segments,
            checksums: Some(targets.iter().map(|t| t.checksum.clone()).collect()),
            within_ms: Some(within_ms),
        };
        match self.asked(&candidates).await {
            Ok(answer) => {
                let mut all = answer.sifted(&candidates);
                // What is not told of was not compared.
                for id in &candidates.ids {
                    all.entry(id.clone()).or_insert_with(|| Err(SILENT.to_owned()));
                }
                all.into_iter().filter(|(_, outcome)| !matches!(outcome, Err(reason) if reason == LATE)).collect()
            }
            Err(error) => {
                error.log();
                candidates.ids.into_iter().map(|id| (id, Err(SILENT.to_owned()))).collect()
            }
        }
    }

    /// Asks the tier: a server that `RERANK_URL` names, or the Worker behind the binding `RERANK`.
    async fn asked(&self, candidates: &Candidates) -> Result<Reranked, EdgeError> {
        let body = candidates.body(self.record);
        let trace = self.trace.to_string();
        let fail = EdgeError::runtime("asking the re-rank tier");
        let mut response: Response = match text(self.env, "RERANK_URL") {
            Some(url) => {
                let token = text(self.env, "RERANK_TOKEN").map(|token| format!("Bearer {token}"));
                let mut headers = vec![("content-type", RERANK_TYPE), (TRACEPARENT, trace.as_str())];
                headers.extend(token.as_deref().map(|token| ("authorization", token)));
                let url = format!("{}/v1/rerank", url.trim().trim_end_matches('/'));
                Fetch::Request(with_body(&url, Method::Post, &headers, &body)?).send().await.map_err(&fail)?
            }
            None => {
                let headers = [
                    ("content-type", RERANK_TYPE),
                    ("x-vidsieve-namespace", self.namespace),
                    (TRACEPARENT, trace.as_str()),
                ];
                let url = format!("https://{INTERNAL_HOST}/v1/rerank");
                let request = with_body(&url, Method::Post, &headers, &body)?;
                self.env.service("RERANK").map_err(&fail)?.fetch_request(request).await.map_err(&fail)?
            }
        };
        let (status, who) = (response.status_code(), "the re-rank tier");
        if status != 200 {
            return Err(EdgeError::Answer { who, what: format!("status {status}") });
        }
        read(who, &bytes_of(who, &mut response, answer_limit(candidates.ids.len())).await?)
    }

    /// Compares the videos that the tier has not, not in this version, or damaged, and that their shards still keep.
    async fn compare_here(&self, targets: &[Target], settled: &mut Settled, end: f64) {
        let missed = |target: &&Target| {
            target.recent
                && matches!(settled.get(&target.id), Some(Err(reason)) if reason != SILENT && reason != UNSOUND)
        };
        let missed: Vec<Target> = targets.iter().filter(missed).take(HERE).cloned().collect();
        let mut kept = stream::iter(missed)
            .map(|target| async move { (self.index.kept(&target.id).await, target) })
            .buffer_unordered(AT_ONCE);
        loop {
            let left = Duration::from_secs_f64(((end - now()) / 1000.0).max(0.0));
            let Some(Some((record, target))) = within(left, kept.next()).await else { return };
            let record = match record {
                Ok(Some(bytes)) => Record::parse(bytes).ok(),
                Ok(None) => None,
                Err(error) => {
                    error.log();
                    None
                }
            };
            let meant = |r: &Record<Vec<u8>>| videos::checksum(r.checksum()) == target.checksum;
            let Some(record) = record.filter(meant) else { continue };
            let candidates =
                Candidates { ids: vec![target.id.clone()], segments: self.segments, ..Candidates::default() };
            let mut answer = Reranked::default();
            answer.compare(&self.networks.engine, self.query, &candidates, 0, vec![Ok(record)]);
            if let Some(pair) = answer.pairs.pop() {
                settled.insert(target.id, Ok(pair));
            }
        }
    }
}
