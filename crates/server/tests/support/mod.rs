//! A running server with the default bundle and records of random codes, and what it is asked.
#![allow(clippy::unwrap_used, dead_code, unused_imports)]

pub(crate) use std::net::SocketAddr;
pub(crate) use std::path::{Path, PathBuf};
pub(crate) use std::sync::atomic::{AtomicU32, Ordering};
pub(crate) use std::time::{Duration, Instant};

pub(crate) use rand::{RngExt, SeedableRng};
pub(crate) use rand_pcg::Pcg64;
pub(crate) use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
pub(crate) use serde_json::{Value, json};
pub(crate) use tokio::io::{AsyncReadExt, AsyncWriteExt};
pub(crate) use tokio::net::TcpStream;
pub(crate) use tokio::sync::oneshot;
pub(crate) use vidsieve_index::remote::{self, PushOptions, Remote};
pub(crate) use vidsieve_index::store::{Index, Source};
pub(crate) use vidsieve_kernels::Isa;
pub(crate) use vidsieve_model::bundle::Bundle;
pub(crate) use vidsieve_model::encoder::Encoder;
pub(crate) use vidsieve_progress::Control;
pub(crate) use vidsieve_record::wire;
pub(crate) use vidsieve_record::{BundleId, Parts, Record};
pub(crate) use vidsieve_server::{Config, ServeError, Server, Tokens};

pub(crate) static BUNDLE: &[u8] = include_bytes!("../../../../models/default.safetensors");
pub(crate) const READER: &str = "reader-token-0123456789";
pub(crate) const WRITER: &str = "writer-token-0123456789";

/// A folder that goes when this does.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vidsieve-http-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn bundle() -> Bundle {
    Bundle::from_bytes("default", BUNDLE.to_vec()).unwrap()
}

/// A video of random codes, always the same for a number.
pub(crate) fn record_of(id: BundleId, number: u64) -> Record<Vec<u8>> {
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    let mut rng = Pcg64::seed_from_u64(number);
    let frames = 6 + usize::try_from(number % 5).unwrap();
    let mut global: Vec<f32> = (0..encoder.global_dims()).map(|_| rng.random_range(-1.0..1.0f32)).collect();
    let norm = global.iter().map(|v| v * v).sum::<f32>().sqrt();
    global.iter_mut().for_each(|v| *v /= norm);
    let shape = encoder.shape();
    let codes: Vec<u8> = (0..frames * shape.regions() * shape.bits() / 8).map(|_| rng.random()).collect();
    let times: Vec<f64> = (0..u32::try_from(frames).unwrap()).map(f64::from).collect();
    let parts = Parts {
        bundle: id,
        duration: times.len() as f64,
        self_similarity: rng.random_range(0.2..0.9),
        global: &global,
        times: &times,
        weights: &vec![255; times.len()],
        windows: &[],
        regions: shape.regions(),
        bits: shape.bits(),
        codes: &codes,
    };
    Record::new(&parts).unwrap()
}

pub(crate) fn record(number: u64) -> Record<Vec<u8>> {
    record_of(bundle().id(), number)
}

pub(crate) fn name(number: u64) -> String {
    format!("folder/video {number}.mp4")
}

/// An index of so many videos.
pub(crate) fn index(folder: &Path, videos: u64) -> Index {
    let bundle = bundle();
    let index = Index::create_or_open(folder, bundle.id(), bundle.as_bytes()).unwrap();
    let records: Vec<_> = (0..videos).map(|n| (name(n), record(n))).collect();
    let source = Source::default();
    let all: Vec<_> = records.iter().map(|(id, r)| (id.as_str(), r.view(), &source)).collect();
    index.put_many(&all).unwrap();
    index
}

/// A running server.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) end: Option<oneshot::Sender<()>>,
    done: Option<tokio::task::JoinHandle<()>>,
    _folder: Folder,
}

/// A config that no limit stands in the way of.
pub(crate) fn open() -> Config {
    Config { rate: 1_000_000, burst: 1_000_000, ..Config::default() }
}

impl Running {
    pub(crate) async fn with(videos: u64, config: Config) -> Self {
        let folder = Folder::new();
        let index = index(&folder.at("index"), videos);
        Self::of(folder, index, None, config).await
    }

    pub(crate) async fn of(folder: Folder, index: Index, store: Option<Remote>, config: Config) -> Self {
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), index, store, config).await.unwrap();
        let address = server.address().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let done = tokio::spawn(server.run(async {
            let _ = ended.await;
        }));
        vidsieve_index::tls::install_provider();
        Self { client: Client::new(), address, end: Some(end), done: Some(done), _folder: folder }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn search(&self, options: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, &format!("/v1/search?{options}")).body(body)
    }

    pub(crate) fn video(&self, method: Method, id: &str) -> RequestBuilder {
        self.request(method, &format!("/v1/videos/{}", id.replace('/', "%2F").replace(' ', "%20")))
    }

    pub(crate) async fn pages(&self, options: &str, number: u64) -> Vec<Value> {
        let response = self.search(options, record(number).into_bytes()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        response.text().await.unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    pub(crate) fn encode(&self, kind: &str, body: Vec<u8>) -> RequestBuilder {
        self.request(Method::POST, "/v1/encode").header("content-type", kind).body(body)
    }

    pub(crate) async fn end(&mut self) {
        let _ = self.end.take().unwrap().send(());
        self.done.take().unwrap().await.unwrap();
    }
}

/// Why a server does not start on an empty index.
pub(crate) async fn not_started(address: [u8; 4], config: Config) -> ServeError {
    let folder = Folder::new();
    let index = index(&folder.at("index"), 0);
    Server::start(SocketAddr::from((address, 0)), index, None, config).await.unwrap_err()
}

/// What a connection of its own answers until the server closes it.
pub(crate) async fn raw(address: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // What a connection answered before it was cut is there all the same.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A body of grey square frames.
pub(crate) fn grey(frames: usize, side: usize) -> Vec<u8> {
    let mut body = wire::FRAMES_MAGIC.to_vec();
    for n in [frames, side, side, 0] {
        body.extend(u32::try_from(n).unwrap().to_le_bytes());
    }
    body.extend((frames as f64).to_le_bytes());
    (0..frames).for_each(|t| body.extend((t as f64).to_le_bytes()));
    body.resize(body.len() + frames * side * side * 3, 128);
    body
}

pub(crate) async fn value(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (found, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A refusal: the status, the code, and the media type of problems.
pub(crate) async fn refused(request: RequestBuilder, status: u16, code: &str) -> Response {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let headers = response.headers().clone();
    let found = response.status();
    let text = response.text().await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found.as_u16(), status, "{text}");
    assert_eq!(problem["type"], format!("urn:vidsieve:problem:{code}"), "{text}");
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty() && !d.contains("panicked")), "{text}");
    let mut rebuilt = axum::http::Response::new(String::new());
    *rebuilt.headers_mut() = headers;
    *rebuilt.status_mut() = found;
    Response::from(rebuilt)
}

/// Checks a value against a schema of the document: types, ranges, what is required, and that nothing is
/// there that the document does not name.
pub(crate) fn conforms(schema: &str, value: &Value) {
    let document: Value = serde_json::from_str(vidsieve_server::OPENAPI).unwrap();
    let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
    if let Err(reason) = fits(&document, &reference, value) {
        panic!("{schema}: {reason}: {value}");
    }
}

pub(crate) fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#')).ok_or(format!("no {reference}"))?;
        return fits(document, found, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| fits(document, choice, value).is_ok()).count();
        return if fitting == 1 { Ok(()) } else { Err(format!("{value} fits {fitting} of {schema}")) };
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return if allowed.contains(value) { Ok(()) } else { Err(format!("{value} is none of {schema}")) };
    }
    let is_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => return Err(format!("type {other:?} of {schema}")),
    };
    let number = value.as_f64().unwrap_or_default();
    let least = schema["minimum"].as_f64().is_none_or(|least| number >= least);
    if !(is_type && least && schema["maximum"].as_f64().is_none_or(|most| number <= most)) {
        return Err(format!("{value} is no {schema}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        value.get(required.as_str().unwrap()).ok_or(format!("{required} is missing"))?;
    }
    for (key, part) in value.as_object().into_iter().flatten() {
        let named = schema["properties"].get(key).ok_or(format!("{key} is not in the document"))?;
        fits(document, named, part).map_err(|reason| format!("{key}: {reason}"))?;
    }
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let count = items.len() as u64;
    if schema["minItems"].as_u64().is_some_and(|least| count < least)
        || schema["maxItems"].as_u64().is_some_and(|most| count > most)
    {
        return Err(format!("{count} items"));
    }
    items.iter().try_for_each(|item| fits(document, &schema["items"], item))
}
