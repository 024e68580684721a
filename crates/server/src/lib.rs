//! The HTTP API of Vidsieve over an index on this machine: search with a stream of two pages, videos, encoding, the re-rank
//! tier, and copies. `docs/http.md` and `crates/api/openapi.json` say what clients see; the edge Workers answer the same.

mod admission;
mod body;
mod compute;
mod config;
mod dedupe;
mod files;
mod gate;
mod held;
mod log;
mod metrics;
mod observe;
mod pace;
mod places;
mod ready;
mod request;
mod routes;
mod search;
mod state;
mod videos;
mod work;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use vidsieve_index::remote::Remote;
use vidsieve_index::store::Index;

use crate::held::Held;
use crate::metrics::{GAVE_WAY, SLOW};
use crate::observe::Spare;
use crate::pace::{Paced, Serving};
use crate::places::Place;
use crate::state::State;

pub use config::{Config, ServeError};
pub use ipnet::IpNet;
pub use vidsieve_api::{MIN_TOKEN, OPENAPI, Problem, Scope, TokenError, Tokens};

/// Most bytes of a request's head.
const HEAD: usize = 64 << 10;
/// Pause after the system refused a connection: it lacks something, and asking again at once would not bring it.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for the head of the one request of a connection that only tells of the server's health, and for its answer.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// What can be changed while a server answers.
#[derive(Debug, Clone)]
pub struct Reload(Arc<State>);

impl Reload {
    /// Knows other tokens from now on; requests under way go on.
    ///
    /// # Errors
    /// [`ServeError::Namespace`], [`ServeError::Tokens`]: the tokens stay what they were.
    pub fn tokens(&self, tokens: Tokens) -> Result<(), ServeError> {
        if tokens.have_namespaces() {
            return Err(ServeError::Namespace);
        }
        self.0.gate.admission.replace_tokens(tokens).map_err(|_| ServeError::Tokens)
    }
}

/// A server that is ready to answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    state: Arc<State>,
}

impl Server {
    /// Reads the index and starts to listen; answers begin with [`Server::run`]. Records for the re-rank tier come from
    /// `store`, or from the index.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start(
        address: SocketAddr,
        index: Index,
        store: Option<Remote>,
        config: Config,
    ) -> Result<Self, ServeError> {
        if config.tokens.is_empty() && !address.ip().is_loopback() {
            return Err(ServeError::Open(address));
        }
        if config.tokens.is_empty() && config.cors.iter().any(|origin| origin == "*") {
            return Err(ServeError::AnyOrigin);
        }
        if config.media.is_some() && !config.tokens.is_empty() && !config.open_search {
            return Err(ServeError::Media);
        }
        if config.tokens.have_namespaces() {
            return Err(ServeError::Namespace);
        }
        if let Some(store) = &store
            && store.bundle().await? != Some(index.bundle())
        {
            return Err(ServeError::Store(store.location().to_owned()));
        }
        let state = Arc::new(State::new(config, index, store)?);
        let router = routes::router(state.clone())?;
        let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Address { address, source })?;
        Ok(Self { listener, router, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// What can be changed while it answers.
    #[must_use]
    pub fn reload(&self) -> Reload {
        Reload(self.state.clone())
    }

    /// Answers until `shutdown` is done; then no connection is taken, and what is under way has the grace period to end. What
    /// computes on other threads after that stops soon, but is not waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, router, state } = self;
        let router = TowerToHyperService::new(router);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::<()>::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, peer, place) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listener, &state) => accepted,
            };
            while connections.try_join_next().is_some() {}
            // A refined page does not wait for the acknowledgement of the coarse one; where this cannot be set it does.
            let _ = stream.set_nodelay(true);
            let (http, stall) = protocol(&state.config, place.is_spare());
            let (router, pace, spare) = (router.clone(), place.pace.clone(), place.is_spare());
            let service = service_fn(move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                if spare {
                    request.extensions_mut().insert(Spare);
                }
                let serving = Serving::of(&pace);
                let answer = router.call(request);
                async move { Ok::<_, Infallible>(answer.await?.map(|body| Held::body(body, move |_, _| drop(serving)))) }
            });
            let stream = Paced::new(TokioIo::new(stream), place.pace.clone(), stall);
            let connection = graceful.watch(http.serve_connection(stream, service));
            let state = state.clone();
            connections.spawn(async move {
                tokio::select! {
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    },
                    () = place.pace.ended() => state.metrics.closed(GAVE_WAY),
                }
                if place.pace.is_slow() {
                    state.metrics.closed(SLOW);
                }
            });
        }
        drop(listener);
        tracing::info!("ending: requests under way are answered");
        if tokio::time::timeout(state.config.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were cut off after the grace period");
        }
        // Those that are left end here.
        drop(connections);
        state.ending.store(true, Ordering::Relaxed);
    }
}

/// How a connection is spoken with, and how long its client may keep an answer waiting.
fn protocol(config: &Config, spare: bool) -> (http1::Builder, Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(HEAD);
    let (head, stall) = if spare { (SPARE_TIME, SPARE_TIME) } else { (config.idle, config.stall) };
    http.header_read_timeout(head).keep_alive(!spare);
    (http, stall)
}

/// The next connection, and its place.
async fn accept(listener: &TcpListener, state: &State) -> (TcpStream, SocketAddr, Place) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let place = state.places.wait(peer.ip(), state.gate.is_proxy(peer.ip())).await;
                return (stream, peer, place);
            }
            // The client has gone already.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
