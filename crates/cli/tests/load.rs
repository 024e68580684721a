//! `vidsieve bench load`: what it counts, and a re-rank tier that goes away in the middle of it and comes back.
#![cfg(all(unix, feature = "serve"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::proxy::{Fate, Proxy};
use support::records::fill;
use support::server::Running;
use support::{Scratch, command, json};

const FAST: [&str; 6] = ["--rate", "100000", "--burst", "100000", "--log", "none"];

fn server(index: &str, arguments: &[&str]) -> Running {
    Running::start(&[&["--index", index], &FAST[..], arguments].concat(), None)
}

fn sum(timeline: &[Value], name: &str) -> u64 {
    timeline.iter().map(|second| second[name].as_u64().unwrap()).sum()
}

#[test]
fn a_load_is_counted() {
    let dir = Scratch::new("load");
    let index = dir.text("index");
    drop(fill(&dir.path("index"), 0..5));
    let server = server(&index, &[]);
    let url = format!("http://{}", server.address);
    let load = ["bench", "load", "--url", &url, "--videos", "60", "--frames", "5", "--searches", "20", "--json"];
    let cells = ["--budgets", "none,20pairs", "--clients", "1,4"];
    let report = json(&[&load[..], &cells].concat(), 0);
    let writing = &report["writing"];
    assert_eq!((&writing["videos"], &writing["errors"], &writing["lost"]), (&60.into(), &0.into(), &0.into()));
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        let reranked = if cell["budget"] == "none" { 0.0 } else { 20.0 };
        assert_eq!((cell["searches"].as_u64(), cell["errors"].as_u64()), (Some(20), Some(0)), "{cell}");
        assert_eq!((cell["wrong"].as_u64(), cell["reranked"].as_f64()), (Some(0), Some(reranked)), "{cell}");
        assert!(cell["ms"]["p99"].as_f64().unwrap() >= cell["ms"]["p50"].as_f64().unwrap());
        assert!(cell["parts_ms"]["total"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(sum(report["timeline"].as_array().unwrap(), "searches"), 80);
    assert_eq!(report["videos"], 5, "what was put is taken out again");
    if cfg!(target_os = "linux") {
        assert!(report["server_memory"][2].as_u64().unwrap() > 1_000_000);
    }

    // What goes wrong on the way is counted: lost records, refused searches.
    let bad = Proxy::before(&server.address, |seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", path) if path.ends_with("0003") => Fate::Changed,
        ("POST", _) if seen.number % 4 == 0 => Fate::busy(503, 0),
        _ => Fate::Passed,
    });
    let url = format!("http://{}", bad.address);
    let load = ["bench", "load", "--url", &url, "--videos", "10", "--frames", "5", "--searches", "20", "--json"];
    let report = json(&[&load[..], &["--budgets", "none", "--clients", "2"]].concat(), 1);
    assert_eq!(report["writing"]["lost"], 1, "{report}");
    let cell = &report["cells"][0];
    assert!((1..20).contains(&cell["errors"].as_u64().unwrap()), "{cell}");
    assert!(cell["first_error"].as_str().unwrap().contains("503"), "{cell}");
}

/// The re-rank tier goes away while searches run: answers are coarse and marked, none fails; it comes back, and they are fine.
#[test]
fn the_rerank_tier_comes_and_goes() {
    let dir = Scratch::new("load-fault");
    let (index, store) = (dir.text("index"), dir.text("store"));
    drop(fill(&dir.path("index"), 0..60));
    json(&["push", "--index", &index, "--to", &format!("fs:{store}"), "--json"], 0);
    let server = server(&index, &["--store", &format!("fs:{store}"), "--read-only"]);
    let url = format!("http://{}", server.address);
    let load = ["bench", "load", "--url", &url, "--videos", "0", "--budgets", "20pairs", "--clients", "8"];
    let bounds = ["--searches", "1000000", "--seconds", "9", "--json"];
    let child = command().args(load).args(bounds).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    std::fs::rename(&store, dir.path("away")).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    std::fs::rename(dir.path("away"), &store).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = &report["cells"][0];
    assert_eq!((cell["errors"].as_u64(), cell["wrong"].as_u64()), (Some(0), Some(0)), "{cell}");
    let timeline = report["timeline"].as_array().unwrap();
    let at = |second: &Value, name: &str| second[name].as_u64().unwrap();
    let all_marked =
        timeline.iter().filter(|s| at(s, "searches") > 0 && at(s, "degraded") == at(s, "searches")).count();
    assert!(all_marked >= 1, "{timeline:?}");
    let (first, last) = (timeline.first().unwrap(), timeline.last().unwrap());
    assert_eq!((at(first, "degraded"), at(last, "degraded")), (0, 0), "{timeline:?}");
}
