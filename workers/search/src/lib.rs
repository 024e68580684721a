//! The HTTP API at the edge: what `vidsieve serve` answers natively, over shards in Durable Objects, records in KV, and a re-rank tier that
//! is another Worker or a native server. `docs/edge.md` tells how it works.

#![cfg(target_arch = "wasm32")]

mod index;
mod message;
mod routes;
mod search;
mod shard;
mod tier;

pub use shard::Shard;

use vidsieve_edge::{Exchange, Gate, problem};
use worker::{Context, Env, Request, Response, event};

/// Answers a request.
///
/// # Errors
/// Of the runtime, when not even an answer can be made.
#[event(fetch)]
pub async fn main(mut request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let route = vidsieve_api::Route::of_path(&request.path());
    let mut exchange = Exchange::begin(&request, route.map_or("other", |r| r.template()));
    let origin = request.headers().get("origin").ok().flatten();
    let answered = async {
        let gate = Gate::of(&env)?;
        let preflight = gate.has_origins() && request.method() == worker::Method::Options;
        let response = if preflight {
            vidsieve_edge::raw(200, &[], Vec::new())?
        } else {
            match routes::answer(&mut request, &env, &context, &gate, route, &mut exchange).await {
                Ok(response) => response,
                Err(refusal) => problem(&refusal)?,
            }
        };
        gate.let_in(origin.as_deref(), response, preflight)
    }
    .await;
    let response = match answered {
        Ok(response) => Ok(response),
        Err(error) => problem(&error.into()),
    };
    response.and_then(|response| exchange.end(response)).map_err(|error| worker::Error::RustError(error.to_string()))
}
