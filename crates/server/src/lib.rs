//! The HTTP API of Vidsieve over an index on this machine: search with a stream of two pages, videos, encoding, and the re-rank
//! tier. `docs/http.md` and `docs/openapi.json` say what clients see; the edge Workers answer the same.

mod auth;
mod metrics;
mod problem;
mod routes;
mod state;

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use vidsieve_index::remote::{Remote, RemoteError};
use vidsieve_index::store::{Index, IndexError};

pub use auth::{MIN_TOKEN, Scope, TokenError, Tokens};
pub use problem::Problem;

/// The OpenAPI document, also served at `/v1/openapi.json`.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// How the server answers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Known tokens.
    pub tokens: Tokens,
    /// Whether searching needs no token.
    pub open_search: bool,
    /// Whether the index is only read: adding and removing is refused.
    pub read_only: bool,
    /// Origins of pages that may call; `*` for all.
    pub cors: Vec<String>,
    /// Most bytes of a body.
    pub body_limit: usize,
    /// Requests a second of one token or address.
    pub rate: u32,
    /// Requests at once of one token or address.
    pub burst: u32,
    /// Searches and encodings that compute at the same time.
    pub workers: usize,
    /// Longest wait for a body, and for a free worker.
    pub patience: Duration,
    /// How long requests under way may take when the server ends.
    pub grace: Duration,
    /// A folder with a web application that is served as well.
    pub www: Option<PathBuf>,
    /// Folder of media, served below `/media/`.
    pub media: Option<PathBuf>,
}

impl Default for Config {
    /// 64 MiB, 50 requests a second, two workers, 30 s.
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
            patience: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            www: None,
            media: None,
        }
    }
}

/// Why the server does not start or ends.
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
    Record(#[from] vidsieve_index::record::RecordError),
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
}

/// A server that is ready to answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    grace: Duration,
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
        if let Some(store) = &store
            && store.bundle().await? != Some(index.bundle())
        {
            return Err(ServeError::Store(store.location().to_owned()));
        }
        let grace = config.grace;
        let router = routes::router(Arc::new(state::State::new(config, index, store)?))?;
        let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Address { address, source })?;
        Ok(Self { listener, router, grace })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until `shutdown` is done; then no connection is taken, and what is under way has the grace period to end.
    ///
    /// # Errors
    /// [`ServeError::Address`] when listening fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let address = self.address().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let (ended, mut ending) = tokio::sync::watch::channel(false);
        let shutdown = async move {
            shutdown.await;
            tracing::info!("ending: requests under way are answered");
            // Nobody listens only when the server is gone already.
            let _ = ended.send(true);
        };
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(shutdown).into_future();
        let grace = async {
            // An error means that the shutdown's future is gone, which it is not before it is done.
            let _ = ending.wait_for(|ended| *ended).await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            done = serving => done.map_err(|source| ServeError::Address { address, source }),
            () = grace => {
                tracing::warn!("requests were cut off after the grace period");
                Ok(())
            }
        }
    }
}
