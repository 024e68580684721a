//! `vidsieve push` to an endpoint, against the real server: what is sent, not sent again, made again, read back, refused.
#![cfg(all(unix, feature = "serve"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::proxy::{Fate, Proxy};
use support::records::{bundle, fill, id, record};
use support::server::Running;
use support::{Scratch, command, json, refused, sane, stderr, vidsieve};
use vidsieve_index::store::{Index, Source};
use vidsieve_record::BundleId;

const TOKEN: &str = "0123456789abcdef-publisher";

/// A server of an index with nothing in it.
fn empty(dir: &Scratch, arguments: &[&str], tokens: Option<&str>) -> Running {
    let folder = dir.path("target");
    drop(fill(&folder, 0..0));
    let index = folder.display().to_string();
    let arguments = [&["--index", &index, "--log", "none"], arguments].concat();
    Running::start(&arguments, tokens)
}

/// Limits that stand in nobody's way.
const FAST: [&str; 4] = ["--rate", "100000", "--burst", "100000"];

/// Whether what is served is what an index has.
fn same(server: &Running, index: &Index, headers: &str) {
    let all = index.list().unwrap();
    for summary in &all {
        let escaped: String = summary.id.bytes().map(|b| format!("%{b:02X}")).collect();
        let (status, body) = server.ask("GET", &format!("/v1/videos/{escaped}"), headers, b"");
        assert_eq!(status, 200, "{}", summary.id);
        assert_eq!(body, index.get(&summary.id).unwrap().unwrap().record.into_bytes(), "{}", summary.id);
    }
    assert_eq!(count(server), all.len() as u64);
}

fn count(server: &Running) -> u64 {
    let (_, body) = server.ask("GET", "/v1/health", "", b"");
    serde_json::from_slice::<Value>(&body).unwrap()["videos"].as_u64().unwrap()
}

fn numbers(report: &Value) -> [u64; 4] {
    ["written", "unchanged", "removed", "writes"].map(|name| report[name].as_u64().unwrap())
}

#[test]
fn an_index_is_published() {
    let dir = Scratch::new("push");
    let server = empty(&dir, &FAST, Some(&format!("p:search,write:{TOKEN}")));
    let header = format!("authorization: Bearer {TOKEN}\r\n");
    let url = format!("http://{}/", server.address);
    let folder = dir.text("index");
    let index = fill(&dir.path("index"), 0..40);
    let token = dir.text("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let push = |more: &[&str]| {
        let all = ["push", "--index", &folder, "--to", &url, "--token-file", &token, "--json"];
        json(&[&all, more].concat(), 0)
    };
    drop(index);

    let dry = push(&["--dry-run"]);
    assert_eq!((numbers(&dry), count(&server)), ([40, 0, 0, 40], 0), "a dry run writes nothing");
    assert_eq!(dry["costs"]["target"], "edge");
    assert!(dry["costs"]["month_usd"].as_f64().unwrap() >= 5.0 && dry["costs"]["sources"][0].is_string());
    let report = push(&[]);
    assert_eq!((numbers(&report), &report["bytes"]), ([40, 0, 0, 40], &dry["bytes"]));
    assert!(report.get("costs").is_none());
    same(&server, &Index::open(&dir.path("index")).unwrap(), &header);
    let again = push(&[]);
    assert_eq!(numbers(&again), [0, 40, 0, 0], "nothing is sent twice");

    // What changes is sent, what goes is removed when asked.
    {
        let index = Index::open(&dir.path("index")).unwrap();
        index.put(&id(3), &record(&bundle(), 1003), &Source::default()).unwrap();
        index.remove(&id(4)).unwrap();
        index.put("new", &record(&bundle(), 1004), &Source::default()).unwrap();
    }
    let changed = push(&[]);
    assert_eq!((numbers(&changed), count(&server)), ([2, 38, 0, 2], 41));
    assert_eq!(numbers(&push(&["--prune", "--dry-run"])), [0, 40, 1, 1]);
    let pruned = push(&["--prune"]);
    assert_eq!(numbers(&pruned), [0, 40, 1, 1]);
    same(&server, &Index::open(&dir.path("index")).unwrap(), &header);
    assert_eq!(numbers(&push(&["--check"])), [0, 40, 0, 0]);
    // It is found at once.
    let query = Index::open(&dir.path("index")).unwrap().get("new").unwrap().unwrap().record.into_bytes();
    let (status, pages) = server.ask("POST", "/v1/search?top=1", &header, &query);
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&pages).contains(r#""id":"new""#));
}

/// Changes a record's bytes in a closed index; none removes it.
fn damage(folder: &std::path::Path, id: &str, bytes: Option<&[u8]>) {
    let table: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("records");
    let database = redb::Database::open(folder.join("index.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut records = transaction.open_table(table).unwrap();
        match bytes {
            Some(bytes) => drop(records.insert(id, bytes).unwrap()),
            None => drop(records.remove(id).unwrap()),
        }
    }
    transaction.commit().unwrap();
}

/// What is lost or damaged behind an endpoint is mended and named; one video does not stand in the way of the others.
#[test]
fn a_check_mends_what_it_can() {
    let dir = Scratch::new("push-check");
    let (folder, target) = (dir.text("index"), dir.path("target"));
    drop(fill(&dir.path("index"), 0..20));
    drop(fill(&target, 0..20));
    damage(&target, &id(2), Some(b"nonsense"));
    let mut flipped = record(&bundle(), 5).into_bytes();
    *flipped.last_mut().unwrap() ^= 1;
    damage(&target, &id(5), Some(&flipped));
    damage(&target, &id(8), None);
    damage(&dir.path("index"), &id(11), Some(b"nonsense"));
    let target = target.display().to_string();
    let server = Running::start(&[&["--index", &*target, "--log", "none"], &FAST[..]].concat(), None);
    let (status, body) = server.ask("GET", &format!("/v1/videos/{}", id(2)), "", b"");
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &problem["type"]), (500, &Value::from("urn:vidsieve:problem:damaged-record")));
    let url = format!("http://{}", server.address);
    let names = |report: &Value, key: &str| -> Vec<String> {
        report[key].as_array().unwrap().iter().map(|note| note["id"].as_str().unwrap().to_owned()).collect()
    };
    // Without the check nothing is noticed; a dry run tells and changes nothing.
    assert_eq!(numbers(&json(&["push", "--index", &folder, "--to", &url, "--json"], 0)), [0, 20, 0, 0]);
    let push = |more: &[&str], status| {
        let all = ["push", "--index", &folder, "--to", &url, "--check", "--json"];
        json(&[&all, more].concat(), status)
    };
    let start = Instant::now();
    let dry = push(&["--dry-run"], 0);
    assert_eq!(names(&dry, "mended"), [id(2), id(5), id(8)], "{dry}");
    assert_eq!(server.ask("GET", &format!("/v1/videos/{}", id(2)), "", b"").0, 500);
    let report = push(&[], 0);
    assert_eq!((numbers(&report), names(&report, "mended")), ([3, 17, 0, 3], names(&dry, "mended")), "{report}");
    assert!(start.elapsed() < Duration::from_secs(20), "a damaged record is not asked for again and again");
    let again = push(&[], 0);
    assert_eq!((numbers(&again), names(&again, "mended").len()), ([0, 20, 0, 0], 0));
    // One that is damaged on both sides is named, and the others are published.
    let (status, _) = server.ask("DELETE", &format!("/v1/videos/{}", id(11)), "", b"");
    assert_eq!(status, 204);
    let report = push(&[], 1);
    assert_eq!(names(&report, "failed"), [id(11)], "{report}");
    assert_eq!(count(&server), 19);
}

/// An endpoint that fails for one video alone is no reason to leave the others; one that fails for all is.
#[test]
fn failures_of_one_video_and_of_all() {
    let dir = Scratch::new("push-500");
    let server = empty(&dir, &FAST, None);
    let folder = dir.text("index");
    drop(fill(&dir.path("index"), 0..30));
    let failed = "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    let answer = failed.clone();
    let one = Proxy::before(&server.address, move |seen| match seen.method.as_str() {
        "PUT" if seen.path.ends_with("/00005.mp4") => Fate::Answered(answer.clone()),
        _ => Fate::Passed,
    });
    let push = |address: &str| {
        vidsieve(&["push", "--index", &folder, "--to", &format!("http://{address}"), "--tries", "2", "--json"])
    };
    let output = push(&one.address);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (report["written"].as_u64(), &report["failed"][0]["id"]),
        (Some(29), &Value::from("00005.mp4")),
        "{report}"
    );
    let all = Proxy::before(&server.address, move |seen| match seen.method.as_str() {
        "PUT" => Fate::Answered(failed.clone()),
        _ => Fate::Passed,
    });
    drop(fill(&dir.path("index"), 30..90));
    let output = push(&all.address);
    assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}", stderr(&output));
    assert!(stderr(&output).contains("goes on from there") && all.requests() < 80, "{}", stderr(&output));
    // A full disk is that of all.
    let full = r#"{"type":"urn:vidsieve:problem:storage-full","title":"The server's disk is full","status":507,"detail":"no room"}"#;
    let answer = format!("HTTP/1.1 507 Full\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{full}", full.len());
    let full = Proxy::before(&server.address, move |seen| match seen.method.as_str() {
        "PUT" => Fate::Answered(answer.clone()),
        _ => Fate::Passed,
    });
    let output = push(&full.address);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("disk there is full"), "{}", stderr(&output));
}

/// A push that is killed, or stopped, goes on where it was.
#[test]
fn killed_and_stopped() {
    for signal in ["-KILL", "-INT"] {
        let dir = Scratch::new(&format!("push{signal}"));
        let server = empty(&dir, &FAST, None);
        let slow = Proxy::before(&server.address, |_| {
            std::thread::sleep(Duration::from_millis(15));
            Fate::Passed
        });
        let folder = dir.text("index");
        drop(fill(&dir.path("index"), 0..80));
        let url = format!("http://{}", slow.address);
        let push = ["push", "--index", &folder, "--to", &url, "--jobs", "2"];
        let mut child = command().args(push).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while count(&server) < 10 {
            assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        if signal == "-INT" {
            assert_eq!(ended.status.code(), Some(1));
            assert!(stderr(&ended).contains("stopped"), "{}", stderr(&ended));
        }
        // What was on its way may still arrive.
        std::thread::sleep(Duration::from_millis(300));
        let there = count(&server);
        assert!((10..80).contains(&there), "{there}");
        let report = json(&[&push[..], &["--json"]].concat(), 0);
        assert_eq!(numbers(&report), [80 - there, there, 0, 80 - there], "{signal}");
        same(&server, &Index::open(&dir.path("index")).unwrap(), "");
    }
}

#[test]
fn a_bad_way_is_gone_again() {
    let dir = Scratch::new("push-flaky");
    let server = empty(&dir, &FAST, None);
    let flaky = Proxy::before(&server.address, |seen| match seen.number % 16 {
        3 => Fate::busy(429, 0),
        6 => Fate::busy(503, 0),
        9 => Fate::Closed,
        12 => Fate::CutOff,
        14 => Fate::Answered("HTTP/1.1 502 Bad\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
        _ => Fate::Passed,
    });
    let folder = dir.text("index");
    drop(fill(&dir.path("index"), 0..30));
    let url = format!("http://{}", flaky.address);
    let report = json(&["push", "--index", &folder, "--to", &url, "--json"], 0);
    assert_eq!((report["written"].as_u64(), report["failed"].as_array().unwrap().len()), (Some(30), 0), "{report}");
    assert!(report["repeated"].as_u64().unwrap() >= 10, "{report}");
    same(&server, &Index::open(&dir.path("index")).unwrap(), "");

    // A time to wait is kept.
    let asked = Proxy::before(&server.address, |seen| if seen.number == 1 { Fate::busy(429, 2) } else { Fate::Passed });
    let start = Instant::now();
    json(&["push", "--index", &folder, "--to", &format!("http://{}", asked.address), "--json"], 0);
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());

    // A server that never can is given up, with what it says.
    let never = Proxy::before(&server.address, |_| Fate::busy(503, 0));
    let url = format!("http://{}", never.address);
    let output = vidsieve(&["push", "--index", &folder, "--to", &url, "--tries", "2"]);
    assert_eq!((output.status.code(), never.requests()), (Some(1), 2));
    let message = stderr(&output);
    for word in [&*never.address, "503", "2 tries", "later", "goes on from there"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// The limits of the server itself, as they are by default.
#[test]
fn rates_are_kept() {
    let dir = Scratch::new("push-rates");
    let server = empty(&dir, &["--rate", "60", "--burst", "40"], None);
    let folder = dir.text("index");
    drop(fill(&dir.path("index"), 0..100));
    let report = json(&["push", "--index", &folder, "--to", &format!("http://{}", server.address), "--json"], 0);
    assert_eq!(report["written"], 100, "{report}");
    assert!(report["repeated"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(count(&server), 100);
}

#[test]
fn what_comes_back_is_checked() {
    let dir = Scratch::new("push-changed");
    let server = empty(&dir, &FAST, None);
    let changing = Proxy::before(&server.address, |seen| {
        if seen.method == "GET" && seen.path.ends_with("/00005.mp4") { Fate::Changed } else { Fate::Passed }
    });
    let folder = dir.text("index");
    drop(fill(&dir.path("index"), 0..9));
    let url = format!("http://{}", changing.address);
    let report = json(&["push", "--index", &folder, "--to", &url, "--json", "--tries", "2"], 1);
    assert_eq!(report["written"], 8, "{report}");
    let failed = report["failed"].as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["id"]), (1, &Value::from("00005.mp4")));
    assert!(failed[0]["reason"].as_str().unwrap().contains("another record came back"), "{report}");

    // One that is another there is sent again.
    let other = record(&bundle(), 77).into_bytes();
    assert_eq!(server.ask("PUT", "/v1/videos/00002.mp4", "", &other).0, 200);
    let url = format!("http://{}", server.address);
    let report = json(&["push", "--index", &folder, "--to", &url, "--json"], 0);
    assert_eq!(numbers(&report), [1, 8, 0, 1]);
    same(&server, &Index::open(&dir.path("index")).unwrap(), "");

    // One video that is too large does not stand in the way of the others.
    let small = Proxy::before(&server.address, |seen| {
        if seen.method == "PUT" && seen.path.ends_with("/00011.mp4") {
            let body = r#"{"title":"The body is too large","detail":"at most 10 bytes are taken"}"#;
            Fate::Answered(format!(
                "HTTP/1.1 413 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ))
        } else {
            Fate::Passed
        }
    });
    drop(fill(&dir.path("index"), 9..12));
    let report = json(&["push", "--index", &folder, "--to", &format!("http://{}", small.address), "--json"], 1);
    assert_eq!(numbers(&report), [2, 9, 0, 2]);
    assert!(report["failed"][0]["reason"].as_str().unwrap().contains("at most 10 bytes"), "{report}");
}

#[test]
fn refusals() {
    let dir = Scratch::new("push-refused");
    let tokens = format!("p:search,write:{TOKEN}\nreader:search:0123456789abcdef-reader");
    let server = empty(&dir, &FAST, Some(&tokens));
    let url = format!("http://{}", server.address);
    let folder = dir.text("index");
    drop(fill(&dir.path("index"), 0..3));
    let push = |folder: &str, to: &str, token: &str| {
        command().args(["push", "--index", folder, "--to", to]).env("VIDSIEVE_TOKEN", token).output().unwrap()
    };
    let wrong = "wrong-token-that-nobody-knows";
    for (token, words) in [("", ["401", "scopes search and write"]), (wrong, ["401", "refused"])] {
        let output = push(&folder, &url, token);
        refused(&output, &words);
        assert!(!stderr(&output).contains(wrong));
    }
    let reader = push(&folder, &url, "0123456789abcdef-reader");
    refused(&reader, &["403", "`write`"]);
    assert_eq!(count(&server), 0);
    refused(&push(&folder, "http://example.org", TOKEN), &["example.org", "https alone"]);
    refused(&push(&folder, "https://user:pass@example.org", TOKEN), &["no endpoint", "credentials"]);
    refused(&push(&folder, &url, "two\nlines"), &["token"]);

    // Another bundle.
    let other = dir.path("other");
    Index::create_or_open(&other, BundleId([9; 32]), b"weights").unwrap();
    refused(&push(&other.display().to_string(), &url, TOKEN), &["bundle", "09090909"]);

    // Something that is no Vidsieve.
    let body = "<html>hello</html>";
    let page = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let web = Proxy::before(&server.address, move |_| Fate::Answered(page.clone()));
    refused(&push(&folder, &format!("http://{}", web.address), TOKEN), &["Vidsieve endpoint?", "hello"]);
    // A redirection is not followed: a token goes nowhere else.
    let away = "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let away = Proxy::before(&server.address, move |_| Fate::Answered(away.to_owned()));
    refused(&push(&folder, &format!("http://{}", away.address), TOKEN), &["301"]);

    // Nobody there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = Instant::now();
    let output = push(&folder, &format!("http://{nobody}"), TOKEN);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains(&nobody.to_string()) && message.contains("refused") && !message.contains(TOKEN),
        "{message}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    sane(&message);
}

#[test]
fn costs_of_videos_that_are_not_there() {
    let estimate = |more: &[&str]| json(&[&["push", "--dry-run", "--json"], more].concat(), 0)["costs"].clone();
    let small = estimate(&["--videos", "20000"]);
    let large = estimate(&["--videos", "100000000", "--searches", "1000000", "--pairs", "100"]);
    assert_eq!((small["target"].as_str(), small["shards"].as_u64()), (Some("edge"), Some(2)));
    assert_eq!(large["shards"], 6104);
    let usd = |costs: &Value| costs["month_usd"].as_f64().unwrap();
    assert!(usd(&large) > 1000.0 * (usd(&small) - 5.0).max(0.01), "{small} {large}");
    assert_eq!(estimate(&["--videos", "1000", "--to", "s3:"])["target"], "r2");
    refused(&vidsieve(&["push", "--dry-run", "--videos", "10", "--to", "fs:/x"]), &["no prices"]);
    refused(&vidsieve(&["push", "--dry-run", "--videos", "10", "--prices", "/nowhere"]), &["/nowhere"]);
}

/// The table of `docs/deploy.md` is what the command computes with the options that stand before it.
#[test]
fn the_table_of_the_documentation() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/deploy.md")).unwrap();
    let (_, rest) = text.split_once("vidsieve push --dry-run --videos N ").unwrap();
    let options: Vec<&str> = rest.lines().next().unwrap().split_whitespace().collect();
    let rows: Vec<Vec<String>> = rest
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace(',', "")).collect())
        .collect();
    assert!(rows.len() >= 5, "{rows:?}");
    for row in rows {
        let arguments = ["push", "--dry-run", "--json", "--videos", &row[0], "--shard-videos", &row[1]];
        let costs = json(&[&arguments[..], &options].concat(), 0)["costs"].clone();
        let bytes = costs["load"]["bytes"].as_f64().unwrap();
        let computed = [
            row[0].clone(),
            row[1].clone(),
            costs["shards"].to_string(),
            format!("{:.1}", costs["shard_mb"].as_f64().unwrap()),
            format!("{:.1}", bytes / 1e9),
            format!("{:.0}", costs["publish_usd"].as_f64().unwrap()),
            format!("{:.0}", costs["month_usd"].as_f64().unwrap()),
            format!("{:.2}", costs["thousand_searches_usd"].as_f64().unwrap()),
            format!("{:.0}", costs["latency_ms"]["coarse"].as_f64().unwrap()),
            format!("{:.0}", costs["latency_ms"]["refined"].as_f64().unwrap()),
        ];
        assert_eq!(row, computed);
    }
}
