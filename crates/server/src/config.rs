//! How the server answers, and why it does not start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use vidsieve_api::Tokens;
use vidsieve_index::remote::RemoteError;
use vidsieve_index::store::IndexError;
use vidsieve_kernels::Isa;

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
    /// Connections at the same time. Beyond them the one that has kept the server waiting the longest gives way; where none
    /// does, new ones get the server's health alone.
    pub connections: usize,
    /// Connections of one address at the same time; those of trusted proxies are not counted.
    pub connections_of_address: usize,
    /// Longest time, in all, for which a client may keep an answer waiting, beyond a second for each 50,000 bytes that it takes.
    pub stall: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the log tells clients' addresses.
    pub log_addresses: bool,
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
    /// Folders, by path or as the beginning of ids, whose videos are kept when copies are found, and go by no plan.
    pub reference: Vec<PathBuf>,
    /// Instruction set to compute with.
    pub isa: Isa,
}

impl Default for Config {
    /// 64 MiB, 50 requests a second, two workers, 512 connections, 128 of an address, 30 s.
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
            connections_of_address: 128,
            stall: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            log_addresses: false,
            patience: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            www: None,
            media: None,
            reference: Vec::new(),
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
    /// Tokens that are replaced while the server runs.
    #[error(
        "a server without tokens takes none while it runs, and one with tokens is not left without: start it again"
    )]
    Tokens,
    /// One index has one namespace.
    #[error("a token's name has a `/`: namespaces are of the edge tier, here a token would see all of the index")]
    Namespace,
    /// Media elements cannot send tokens.
    #[error(
        "--media serves files to anyone, because players cannot send tokens: add --open-search, or leave the tokens out"
    )]
    Media,
}
