//! A way to a server that is not always good: it refuses, breaks off, changes what passes, takes its time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It is passed on, and its answer back.
    Passed,
    /// This is answered instead, head and body.
    Answered(String),
    /// The connection is closed without an answer.
    Closed,
    /// It is passed on, and the connection closed in the middle of the answer.
    CutOff,
    /// A byte of the answer's body is another.
    Changed,
}

impl Fate {
    /// A problem with a time to wait.
    pub(crate) fn busy(status: u16, seconds: u32) -> Self {
        let body = r#"{"title":"Busy","detail":"later"}"#;
        Self::Answered(format!(
            "HTTP/1.1 {status} Busy\r\nretry-after: {seconds}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// A request as the rule sees it.
pub(crate) struct Seen {
    /// Requests before it.
    pub(crate) number: usize,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// A running proxy; it ends with the test's process.
pub(crate) struct Proxy {
    pub(crate) address: String,
    requests: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before a server's address, by a rule that may also take its time.
    pub(crate) fn before(server: &str, rule: impl Fn(&Seen) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (rule, server, requests) = (Arc::new(rule), server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let counter = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), rule, server, counter) = (stream, rule.clone(), server.clone(), counter.clone())
                else {
                    return;
                };
                // Whoever goes away in the middle ends his connection alone.
                std::thread::spawn(move || drop(pass(stream, &server, &*rule, &counter)));
            }
        });
        Self { address, requests }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// One request of a connection, and its answer; then the connection ends.
fn pass(
    mut client: TcpStream,
    server: &str,
    rule: &dyn Fn(&Seen) -> Fate,
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 16_384];
    let (end, length) = loop {
        let n = client.read(&mut chunk)?;
        if n == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..n]);
        if let Some(end) = head_end(&request) {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
            break (end, length.unwrap_or(0));
        }
    };
    while request.len() < end + length {
        let n = client.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..n]);
    }
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let seen = Seen { number: counter.fetch_add(1, Ordering::SeqCst), method: word(), path: word() };
    let fate = rule(&seen);
    match &fate {
        Fate::Answered(answer) => return client.write_all(answer.as_bytes()),
        Fate::Closed => return Ok(()),
        _ => {}
    }
    let mut upstream = TcpStream::connect(server)?;
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    upstream.write_all(&[head.as_bytes(), &request[end..]].concat())?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    match fate {
        Fate::CutOff => answer.truncate(answer.len() / 2),
        Fate::Changed => {
            if let Some(last) = answer.last_mut() {
                *last ^= 1;
            }
        }
        _ => {}
    }
    client.write_all(&answer)
}
