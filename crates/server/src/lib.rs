//! The HTTP API of Vidsieve over an index on this machine: search with a stream of two pages, videos, encoding, and the re-rank
//! tier. `docs/http.md` and `docs/openapi.json` say what clients see; the edge Workers answer the same.

mod admission;
mod body;
mod compute;
mod log;
mod media;
mod metrics;
mod observe;
mod routes;
mod search;
mod state;
mod videos;
mod work;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use vidsieve_index::remote::{Remote, RemoteError};
use vidsieve_index::store::{Index, IndexError};
use vidsieve_kernels::Isa;

use crate::state::State;

pub use vidsieve_api::{MIN_TOKEN, OPENAPI, Problem, Scope, TokenError, Tokens};

/// Most bytes of a request's head.
const HEAD: usize = 64 << 10;
/// Pause after the system refused a connection: it lacks something, and asking again at once would not bring it.
const PAUSE: Duration = Duration::from_secs(1);

/// How the server answers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Known tokens.
    pub tokens: Tokens,
    /// Whether searching, encoding, the bundle and media need no token.
    pub open_search: bool,
    /// Whether the index is only read: adding and removing is refused.
    pub read_only: bool,
    /// Origins of pages that may call; `*` for all, which needs tokens.
    pub cors: Vec<String>,
    /// Most bytes of a body.
    pub body_limit: usize,
    /// Requests a second of one token or address.
    pub rate: u32,
    /// Requests at once of one token or address.
    pub burst: u32,
    /// Searches and encodings that compute at the same time.
    pub workers: usize,
    /// Connections at the same time; more wait until there is a place.
    pub connections: usize,
    /// Longest wait for a body, for the memory to hold it, and for a free worker.
    pub patience: Duration,
    /// Longest wait for the head of a request, of a new connection and between two requests.
    pub idle: Duration,
    /// How long requests under way may take when the server ends.
    pub grace: Duration,
    /// A folder with a web application that is served as well, to anyone.
    pub www: Option<PathBuf>,
    /// Folder of media, served below `/media/`. A page's media elements cannot send tokens: it is served by a server without
    /// tokens, or one with an open search.
    pub media: Option<PathBuf>,
    /// Instruction set to compute with.
    pub isa: Isa,
}

impl Default for Config {
    /// 64 MiB, 50 requests a second, two workers, 512 connections, 30 s.
    fn default() -> Self {
        Self {
            tokens: Tokens::default(),
            open_search: false,
            read_only: false,
            cors: Vec::new(),
            body_limit: 64 << 20,
            rate: 50,
            burst: 100,
            workers: 2,
            connections: 512,
            patience: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            www: None,
            media: None,
            isa: Isa::best(),
        }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store of the re-rank tier.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The index's bundle.
    #[error(transparent)]
    Bundle(#[from] vidsieve_model::bundle::BundleError),
    /// Records of another bundle.
    #[error(transparent)]
    Record(#[from] vidsieve_record::RecordError),
    /// The networks.
    #[error(transparent)]
    Search(#[from] vidsieve_search::SearchError),
    /// The store has records of another bundle than the index.
    #[error("{0}: nothing was published there, or from another index: run `vidsieve push` first")]
    Store(String),
    /// The address.
    #[error("{address}: {source}")]
    Address {
        /// Where the server was to listen.
        address: SocketAddr,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// Without tokens the server is for this machine alone.
    #[error(
        "{0} can be reached from other machines and there are no tokens: give --token-file or VIDSIEVE_TOKENS, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A CORS origin.
    #[error("{0:?} is no origin: write https://example.org, or * for all")]
    Origin(String),
    /// Without tokens any page that a browser here shows could change the index.
    #[error(
        "--cors * lets every page that is visited on this machine use the server: name the origins, or give tokens"
    )]
    AnyOrigin,
    /// One index has one namespace.
    #[error("a token's name has a `/`: namespaces are of the edge tier, here a token would see all of the index")]
    Namespace,
    /// Media elements cannot send tokens.
    #[error(
        "--media serves files to anyone, because players cannot send tokens: add --open-search, or leave the tokens out"
    )]
    Media,
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

    /// Answers until `shutdown` is done; then no connection is taken, and what is under way has the grace period to end. What
    /// computes on other threads after that stops soon, but is not waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, router, state } = self;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(state.config.idle).max_buf_size(HEAD);
        let router = TowerToHyperService::new(router);
        let places = Arc::new(Semaphore::new(state.config.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::<()>::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, peer, place) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listener, &places) => accepted,
            };
            while connections.try_join_next().is_some() {}
            // A refined page does not wait for the acknowledgement of the coarse one; where this cannot be set it does.
            let _ = stream.set_nodelay(true);
            let router = router.clone();
            let service = service_fn(move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                router.call(request)
            });
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
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

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // It is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            // Whoever connected has gone already.
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
