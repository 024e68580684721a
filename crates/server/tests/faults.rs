//! The server under faults: a full disk, clients that keep it waiting, files that are none.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use support::*;
use tokio::net::TcpSocket;

/// A file system of its own with little room; none where the tests may not mount one.
struct Disk(Folder);

impl Disk {
    fn new(megabytes: u32) -> Option<Self> {
        let folder = Folder::new();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&folder.0).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: a small file system can be mounted by root alone");
        None
    }

    /// Leaves so many bytes free.
    fn fill(&self, free: u64) {
        let disk = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0.0).output().unwrap();
        let text = String::from_utf8(disk.stdout).unwrap();
        let available: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        std::fs::write(self.0.at("ballast"), vec![1; usize::try_from(available - free).unwrap()]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.at("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_recover_when_a_full_disk_has_room() {
    let Some(disk) = Disk::new(32) else { return };
    let index = index(&disk.0.at("index"), 5);
    let server = Running::of(Folder::new(), index, None, open()).await;
    let put = |id: &str, n| server.video(Method::PUT, id).body(record(n).into_bytes());
    assert_eq!(put("before", 20).send().await.unwrap().status(), 201);
    for (free, videos) in [(0, 6), (500_000, 7)] {
        disk.fill(free);
        let response = refused(put("during", 21), 507, "storage-full").await;
        assert!(response.headers().contains_key("retry-after"));
        let ready = value(server.get("/v1/ready"), 503).await;
        conforms("Readiness", &ready);
        assert_eq!(ready["status"], "degraded", "{ready}");
        let writes = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "writes").unwrap();
        let detail = writes["detail"].as_str().unwrap();
        assert!(writes["ok"] == false && detail.contains("full") && !detail.contains("damaged"), "{ready}");
        let health = value(server.get("/v1/health"), 200).await;
        conforms("Health", &health);
        assert_eq!((&health["status"], &health["videos"]), (&json!("degraded"), &json!(videos)));
        // What only reads goes on.
        assert_eq!(server.pages("top=1&budget=all", 3).await[1]["hits"][0]["id"], name(3));
        assert_eq!(server.video(Method::GET, "before").send().await.unwrap().status(), 200);
        disk.free();
        let ready = value(server.get("/v1/ready"), 200).await;
        assert_eq!(ready["status"], "ready", "{ready}");
        assert_eq!(value(server.get("/v1/health"), 200).await["status"], "ok");
        assert_eq!(put("after", 22 + free).send().await.unwrap().status().as_u16() / 100, 2);
    }
    refused(server.video(Method::GET, "during"), 404, "not-found").await;
    assert_eq!(server.pages("top=1", 20).await[1]["hits"][0]["id"], "before");
}

/// Removing frees room inside the index's file, which a video may take though the disk has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_does_not_stand_in_the_way_of_removing() {
    let Some(disk) = Disk::new(32) else { return };
    let server = Running::of(Folder::new(), index(&disk.0.at("index"), 12), None, open()).await;
    disk.fill(0);
    let mut there = 12;
    for n in 0..12u64 {
        let response = server.video(Method::DELETE, &name(n)).send().await.unwrap();
        match response.status().as_u16() {
            204 => there -= 1,
            // Where a copy of a page finds no room: the index is opened again, and all goes on.
            503 | 507 => {}
            other => panic!("{other}: {}", response.text().await.unwrap()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(value(server.get("/v1/health"), 200).await["videos"], there);
    }
    disk.free();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let put = server.video(Method::PUT, "after").body(record(50).into_bytes());
    assert_eq!(put.send().await.unwrap().status(), 201);
    let list = value(server.get("/v1/videos"), 200).await;
    assert_eq!(list["videos"].as_array().unwrap().len(), there + 1, "{list}");
}

/// A connection that asks for the bundle, more often than the system takes on its behalf, and has hardly any room for it.
async fn slow_reader(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = "GET /v1/model/bundle HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(6);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Bytes that come before a connection ends, a byte at a time.
async fn trickle(mut stream: TcpStream, pause: Duration, most: Duration) -> Option<usize> {
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < most {
        match stream.read(&mut [0]).await {
            Ok(0) | Err(_) => return Some(bytes),
            Ok(n) => bytes += n,
        }
        tokio::time::sleep(pause).await;
    }
    None
}

async fn figure(server: &Running, line: &str) -> Option<f64> {
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    text.lines().find_map(|l| l.strip_prefix(line)).and_then(|value| value.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends() {
    let server = Running::with(1, Config { stall: Duration::from_secs(1), ..open() }).await;
    let stream = slow_reader(server.address).await;
    let start = Instant::now();
    while figure(&server, r#"vidsieve_connections_closed_total{reason="slow"}"#).await != Some(1.0) {
        assert!(start.elapsed() < Duration::from_secs(10), "it is not ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    drop(stream);
    // One that takes a byte now and then as well; what it took already may still come to it.
    let slow = slow_reader(server.address).await;
    let taking = tokio::spawn(trickle(slow, Duration::from_millis(100), Duration::from_secs(20)));
    let start = Instant::now();
    while figure(&server, r#"vidsieve_connections_closed_total{reason="slow"}"#).await != Some(2.0) {
        assert!(start.elapsed() < Duration::from_secs(10), "it is not ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    taking.abort();
    // One that takes all of it does so.
    let bytes = server.get("/v1/model/bundle").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&bytes[..], BUNDLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_lock_nobody_out() {
    let tokens = Tokens::parse(&format!("reader:search:{READER}")).unwrap();
    let config = Config { connections: 6, connections_of_address: 6, tokens, open_search: true, ..open() };
    let server = Running::with(3, config).await;
    let mut slow = Vec::new();
    for _ in 0..6 {
        slow.push(slow_reader(server.address).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // At once, though every place is taken.
    for _ in 0..10 {
        let start = Instant::now();
        let health = reqwest::get(format!("http://{}/v1/health", server.address)).await.unwrap();
        assert!(health.status() == 200 && start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    // And searches after a moment: who keeps the server waiting gives way.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(server.pages("top=1", 2).await[1]["hits"][0]["id"], name(2));
    let closed = server.get("/metrics").bearer_auth(READER).send().await.unwrap().text().await.unwrap();
    assert!(closed.contains(r#"vidsieve_connections_closed_total{reason="gave-way"}"#), "{closed}");
}

/// Connections that send nothing, or begin a head and stop, give way or end.
#[tokio::test(flavor = "multi_thread")]
async fn idle_and_half_open_connections_lock_nobody_out() {
    let idle = Duration::from_secs(2);
    let server = Running::with(3, Config { connections: 6, connections_of_address: 6, idle, ..open() }).await;
    let mut open = Vec::new();
    for begun in ["", "GET /v1/he", "GET /v1/health HTTP/1.1\r\nhost: loc"].iter().cycle().take(40) {
        // Beyond the places some are not taken up before others end.
        let stream = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(server.address)).await;
        let mut stream = stream.unwrap().unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let start = Instant::now();
    let health = reqwest::get(format!("http://{}/v1/health", server.address)).await.unwrap();
    assert!(health.status() == 200 && start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(server.pages("top=1", 2).await[1]["hits"][0]["id"], name(2));
    // All of them end by themselves.
    for mut stream in open {
        let ended = tokio::time::timeout(Duration::from_secs(6), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a connection that sends nothing goes on");
    }
}

/// A head and a body that come a byte at a time end in time.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_trickle_end() {
    let (idle, patience) = (Duration::from_secs(1), Duration::from_secs(1));
    let server = Running::with(1, Config { idle, patience, ..open() }).await;
    let head = "POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n";
    for (begun, answered) in [("", false), (head, true)] {
        let (mut reading, mut writing) = TcpStream::connect(server.address).await.unwrap().into_split();
        writing.write_all(begun.as_bytes()).await.unwrap();
        let start = Instant::now();
        let dripping = tokio::spawn(async move {
            for byte in b"GET /v1/health HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'a')) {
                if writing.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), reading.read_to_end(&mut answer)).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.starts_with("HTTP/1.1 408"), answered, "{text}");
        dripping.abort();
    }
}

/// Where every connection is being answered, a new one is told of the health alone.
#[tokio::test(flavor = "multi_thread")]
async fn health_has_connections_of_its_own() {
    let server = Running::with(1, Config { connections: 2, connections_of_address: 2, workers: 1, ..open() }).await;
    let busy: Vec<_> =
        (0..2).map(|_| tokio::spawn(server.encode(wire::FRAMES_TYPE, grey(20_000, 16)).send())).collect();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let fresh = || Client::builder().pool_max_idle_per_host(0).build().unwrap();
    for path in ["/v1/health", "/v1/ready"] {
        let response = fresh().get(format!("http://{}{path}", server.address)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    let url = format!("http://{}/v1/search", server.address);
    refused(fresh().post(url).body(record(0).into_bytes()), 503, "busy").await;
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_files_of_the_folder_are_served() {
    use std::os::unix::fs::symlink;

    let (folder, outside) = (Folder::new(), Folder::new());
    std::fs::create_dir_all(folder.at("sub/.git")).unwrap();
    for name in ["clip.txt", ".env", "sub/page.html", "sub/index.html", "sub/.git/config", "index.html"] {
        std::fs::write(folder.at(name), "0123456789").unwrap();
    }
    std::fs::write(outside.at("secret.txt"), "secret").unwrap();
    symlink(outside.at("secret.txt"), folder.at("out.txt")).unwrap();
    symlink(&outside.0, folder.at("out")).unwrap();
    symlink("../sub/.git/config", folder.at("sub/config.txt")).unwrap();
    symlink("clip.txt", folder.at("in.txt")).unwrap();
    symlink("loop", folder.at("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.at("pipe")).status().unwrap().success());
    let config = Config { media: Some(folder.0.clone()), www: Some(folder.0.clone()), ..open() };
    let server = Running::with(1, config).await;
    for base in ["/media", ""] {
        for name in ["clip.txt", "in.txt", "sub/page.html"] {
            let response = server.get(&format!("{base}/{name}")).send().await.unwrap();
            assert_eq!((response.status().as_u16(), &*response.text().await.unwrap()), (200, "0123456789"), "{name}");
        }
        let long = "x".repeat(256);
        let longer = format!("{}/y.mp4", "z".repeat(5000));
        for name in [
            &*long,
            &longer,
            "out.txt",
            "out/secret.txt",
            "sub/config.txt",
            "loop",
            "pipe",
            ".env",
            "%2Eenv",
            "sub/.git/config",
            "sub/../.env",
            "sub%2F..%2F.env",
            "clip.txt/",
            "clip.txt/x",
            "none",
            "%FF",
            "a%00b",
            "..%5Cx",
            "../secret.txt",
        ] {
            let start = Instant::now();
            refused(server.get(&format!("{base}/{name}")).timeout(Duration::from_secs(5)), 404, "not-found").await;
            assert!(start.elapsed() < Duration::from_secs(2), "{base}/{name}");
        }
        let ranged = |range: &str| server.get(&format!("{base}/clip.txt")).header("range", range).send();
        for (range, status, body) in [
            ("bytes=2-4", 206, "234"),
            ("bytes=-2", 206, "89"),
            ("frames=2-4", 200, "0123456789"),
            ("bytes=1-2,4-5", 200, "0123456789"),
            ("nonsense", 200, "0123456789"),
        ] {
            let response = ranged(range).await.unwrap();
            assert_eq!((response.status().as_u16(), &*response.text().await.unwrap()), (status, body), "{range}");
        }
        let range = server.get(&format!("{base}/clip.txt")).header("range", "bytes=50-60");
        let response = refused(range, 416, "range").await;
        assert_eq!(response.headers()["content-range"], "bytes */10");
        for method in ["PUT", "POST", "DELETE", "BREW"] {
            let response = refused(
                server.request(method.parse().unwrap(), &format!("{base}/clip.txt")),
                405,
                "method-not-allowed",
            );
            assert_eq!(response.await.headers()["allow"], "GET,HEAD", "{method} {base}");
        }
        let unchanged =
            server.get(&format!("{base}/clip.txt")).header("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(unchanged.send().await.unwrap().status(), 200);
    }
    // A folder is its page in the application, and nothing among media.
    assert_eq!(server.get("/sub/").send().await.unwrap().text().await.unwrap(), "0123456789");
    refused(server.get("/media/sub/"), 404, "not-found").await;
    let head = server.request(Method::HEAD, "/media/clip.txt").send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"10".parse().unwrap()));
}
