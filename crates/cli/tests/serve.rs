//! `vidsieve serve` as a process: what it prints, answers, refuses, and how it ends. What it answers in detail is tested where the
//! server is.
#![cfg(all(unix, feature = "serve"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json as value};
use support::server::Running;
use support::{Scratch, clip, clips, ffmpeg, json, refused, stderr, vidsieve};

#[test]
fn a_served_index_answers_as_the_command_does() {
    let dir = Scratch::new("serve");
    let index = dir.text("index");
    clips(&dir.path("videos"));
    json(&["index", "--index", &index, "--json", &dir.text("videos")], 0);
    let server = Running::start(&["--index", &index], None);
    assert_eq!(server.videos, 5);

    let (status, record) = server.ask("GET", "/v1/videos/bars.mp4", "", b"");
    assert_eq!(status, 200);
    let (status, pages) = server.ask("POST", "/v1/search?budget=all&top=5", "", &record);
    assert_eq!(status, 200);
    let refined: Value =
        serde_json::from_slice(pages.trim_ascii().split(|b| *b == b'\n').next_back().unwrap()).unwrap();
    let (status, _) = server.ask("DELETE", "/v1/videos/sub%2Fcells.mp4", "", b"");
    assert_eq!(status, 204);
    // One process writes an index; others read it meanwhile, and see what it has written.
    let busy = vidsieve(&["index", "--index", &index, &dir.text("videos")]);
    refused(&busy, &[&index, "another process", "`vidsieve serve`", "HTTP API", "--read-only"]);
    let list = json(&["list", "--index", &index, "--json"], 0);
    assert_eq!(list["videos"].as_array().unwrap().len(), 4, "{list}");
    let report = json(&["verify", "--index", &index, "--json"], 0);
    assert_eq!((report["checked"].as_u64(), report["pages"].as_bool()), (Some(4), None), "{report}");
    assert_eq!(json(&["search", "--index", &index, "id:bars.mp4", "--json"], 0)["videos"], 3);
    assert_eq!(json(&["dedupe", "--index", &index, "--json"], 0)["videos"], 4);
    assert_eq!(json(&["backup", "--index", &index, "--to", &dir.text("backup"), "--json"], 0)["videos"], 4);
    // An address can be taken once.
    let taken = vidsieve(&["serve", "--index", &index, "--addr", &server.address]);
    assert_eq!(taken.status.code(), Some(2), "{}", stderr(&taken));
    let (status, log) = server.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()), "{log}");
    assert!(log.contains(r#""route":"/v1/videos/{id}""#) && !log.contains("cells"), "routes, not ids: {log}");

    // The removal stays, and the answers are those of the command, for which the query is no answer.
    let own = json(&["search", "--index", &index, "id:bars.mp4", "--budget", "all", "--json"], 0);
    assert_eq!(own["videos"], 3);
    let hits = refined["hits"].as_array().unwrap();
    assert_eq!(hits[0]["id"], "bars.mp4", "over HTTP a video finds itself: {refined}");
    for hit in own["hits"].as_array().unwrap() {
        let same = hits.iter().find(|h| h["id"] == hit["id"]).unwrap();
        for key in ["score", "coarse", "fine", "doubt"] {
            assert!((hit[key].as_f64().unwrap() - same[key].as_f64().unwrap()).abs() < 1e-6, "{key}: {hit} {same}");
        }
        assert_eq!(hit["segments"], same["segments"]);
    }
}

/// Files below a folder with their content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push((path.clone(), std::fs::read(path).unwrap())),
        }
    }
    all.sort();
    all
}

/// The groups are those of the command, a plan of another choice than the suggested one is carried out by it, and the
/// server leaves the files alone.
#[test]
fn a_plan_of_the_server_is_carried_out_by_the_command() {
    let dir = Scratch::new("serve-plan");
    let (index, videos) = (dir.text("index"), dir.folder("videos"));
    let large = videos.join("large.mp4");
    clip("testsrc2=s=320x240:r=10:d=6", &large);
    let text = |path: &Path| path.display().to_string();
    ffmpeg(&["-i", &text(&large), "-vf", "scale=160:120", "-c:v", "libx264"], &videos.join("small.mp4"));
    clip("mandelbrot=s=192x144:r=5:end_scale=0.01:end_pts=50,trim=duration=6", &videos.join("other.mp4"));
    json(&["index", "--index", &index, "--json", &text(&videos)], 0);
    let before = files(&videos);
    let own = json(&["dedupe", "--index", &index, "--json"], 0);
    assert_eq!(own["clusters"][0]["keep"], "large.mp4", "{own}");

    let server = Running::start(&["--index", &index], None);
    let ask = |path: &str, body: &Value| {
        let (status, lines) = server.ask("POST", path, "", body.to_string().as_bytes());
        assert_eq!(status, 200);
        serde_json::from_slice::<Value>(lines.trim_ascii().split(|b| *b == b'\n').next_back().unwrap()).unwrap()
    };
    let found = ask("/v1/dedupe", &Value::Null);
    assert_eq!(found["report"]["clusters"], own["clusters"]);
    assert_eq!(found["report"]["clusters"].as_array().unwrap().len(), 1, "{found}");
    let plan =
        ask("/v1/dedupe/plan", &value!({ "groups": [{ "keep": "small.mp4", "go": ["large.mp4", "other.mp4"] }] }));
    assert_eq!(files(&videos), before, "the server changes no file");
    let (status, log) = server.end();
    assert!(status == Some(0) && !log.contains("large"), "{log}");

    let path = dir.text("plan.json");
    std::fs::write(&path, plan["plan"].as_str().unwrap()).unwrap();
    let aside = dir.path("aside");
    let applied = json(&["dedupe", "apply", &path, "--move", &text(&aside), "--yes", "--json"], 0);
    assert_eq!(applied["done"].as_array().unwrap().len(), 1, "{applied}");
    let left: Vec<_> = files(&videos).into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, [videos.join("other.mp4"), videos.join("small.mp4")]);
    assert_eq!(files(&aside)[0].1, before.iter().find(|(path, _)| *path == large).unwrap().1);
}

/// The library's example `ask_an_endpoint`, with a token.
#[test]
fn a_program_asks_an_endpoint() {
    let dir = Scratch::new("serve-example");
    let (index, bars) = (dir.text("index"), dir.text("videos/bars.mp4"));
    clips(&dir.path("videos"));
    json(&["index", "--index", &index, "--json", &dir.text("videos")], 0);
    let token = "0123456789abcdef";
    let server = Running::start(&["--index", &index], Some(&format!("me:search,write:{token}")));
    // Cargo builds a package's examples with its tests.
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_vidsieve"));
    let program = program.with_file_name("examples").join("library_ask_an_endpoint");
    assert!(program.exists(), "{}: run `cargo build -p vidsieve-cli --examples` first", program.display());
    let ask = |token: &str| {
        let mut command = std::process::Command::new(&program);
        command.args([&format!("http://{}", server.address), &bars]).env("VIDSIEVE_TOKEN", token);
        command.output().unwrap()
    };
    let output = ask(token);
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let first = printed.lines().next().unwrap();
    let (score, id) = first.split_once(' ').unwrap();
    assert!(id == "bars.mp4" && score.parse::<f64>().unwrap() > 0.9, "{printed}");
    assert_eq!(printed.lines().count(), 5, "{printed}");
    let refused = ask("another-token-0123");
    assert!(!refused.status.success() && stderr(&refused).contains("401"), "{}", stderr(&refused));
}

#[test]
fn tokens_and_mistakes() {
    let dir = Scratch::new("serve-tokens");
    let index = dir.text("index");
    clips(&dir.path("videos"));
    json(&["index", "--index", &index, "--json", &dir.text("videos/bars.mp4")], 0);
    let server = Running::start(&["--index", &index, "--read-only"], Some("me:search,write:0123456789abcdef"));
    assert_eq!(server.ask("GET", "/v1/videos", "", b"").0, 401);
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    assert_eq!(server.ask("GET", "/v1/videos", token, b"").0, 200);
    assert_eq!(server.ask("DELETE", "/v1/videos/bars.mp4", token, b"").0, 403);
    // Readers do not stand in each other's way.
    json(&["search", "--index", &index, "id:bars.mp4", "--json"], 0);
    let (status, log) = server.end();
    assert_eq!(status, Some(0));
    assert!(log.contains(r#""token":"me""#) && !log.contains("0123456789abcdef"), "{log}");

    let serve = |arguments: &[&str]| vidsieve(&[&["serve", "--index", &index, "--log", "none"], arguments].concat());
    let tokens = dir.text("tokens");
    std::fs::write(&tokens, "# nothing\n").unwrap();
    refused(&serve(&["--token-file", &tokens]), &["tokens", "no token"]);
    std::fs::write(&tokens, "me:search:short\n").unwrap();
    refused(&serve(&["--token-file", &tokens]), &["tokens", "line 1", "16 characters"]);
    refused(&serve(&["--token-file", &dir.text("none")]), &["none"]);
    std::fs::write(&tokens, "me:search:0123456789abcdef-\u{fc}\n").unwrap();
    refused(&serve(&["--token-file", &tokens]), &["tokens", "line 1", "header"]);
    refused(&serve(&["--addr", "0.0.0.0:0"]), &["0.0.0.0", "no tokens"]);
    refused(&serve(&["--cors", "example.org"]), &["example.org"]);
    refused(&serve(&["--www", &dir.text("none")]), &["none"]);
    refused(&serve(&["--store", "nowhere:x"]), &["nowhere:x"]);
    refused(&vidsieve(&["serve", "--index", &dir.text("no-index")]), &["no-index"]);
}

/// Options of a file, those of the command line before them; tokens that are read again; a name as address.
#[test]
fn a_configuration_file_and_tokens_that_change() {
    use std::os::unix::fs::PermissionsExt;

    let dir = Scratch::new("serve-config");
    drop(support::records::fill(&dir.path("index"), 0..3));
    let (config, tokens) = (dir.text("vidsieve.toml"), dir.text("tokens"));
    let write = |path: &str, text: &str| std::fs::write(path, text).unwrap();
    let private = |mode: u32| std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(mode)).unwrap();
    write(&tokens, "a:search,write:0123456789abcdef\n");
    private(0o644);
    let index = dir.text("index");
    write(
        &config,
        &format!(
            "index = {index:?}\ntoken-file = {tokens:?}\nread-only = true\nopen-search = false\nrate = 1000\nlog = \"none\"\n"
        ),
    );
    let (a, b) = ("authorization: Bearer 0123456789abcdef\r\n", "authorization: Bearer abcdef0123456789\r\n");
    let server = Running::start(&["--config", &config, "--addr", "localhost:0", "--log", "json"], None);
    assert_eq!(server.videos, 3);
    assert!(server.address.starts_with("127.0.0.1:") || server.address.starts_with("[::1]:"), "{}", server.address);
    let listed = |header: &str| server.ask("GET", "/v1/videos", header, b"").0;
    assert_eq!((listed(a), listed(b)), (200, 401));
    assert_eq!(server.ask("DELETE", "/v1/videos/x", a, b"").0, 403, "it only reads");
    let changed = |text: &str| {
        write(&tokens, text);
        server.signal("-HUP");
        std::thread::sleep(std::time::Duration::from_millis(500));
    };
    changed("b:search:abcdef0123456789\n");
    assert_eq!((listed(a), listed(b)), (401, 200));
    for nonsense in ["", "nonsense\n", "space/x:search:0123456789abcdef\n"] {
        changed(nonsense);
        assert_eq!(listed(b), 200, "{nonsense:?}");
    }
    private(0o600);
    changed("b:search,until=2001-01-01:abcdef0123456789\n");
    assert_eq!(listed(b), 401);
    let (status, log) = server.end();
    assert_eq!(status, Some(0));
    assert!(log.contains("chmod 600") && log.contains("read again") && log.contains("stay what they were"), "{log}");
    assert!(!log.contains("abcdef0123456789"), "{log}");

    let serve = |text: &str| {
        write(&config, text);
        vidsieve(&["serve", "--config", &config])
    };
    refused(&serve("nonsense = 1\n"), &["vidsieve.toml", "nonsense"]);
    refused(&serve("index = \n"), &["vidsieve.toml"]);
    refused(&serve("rate = 0\n"), &["vidsieve.toml", "rate"]);
    refused(&serve("rate = 1.5\n"), &["vidsieve.toml", "rate"]);
    refused(&serve("rate = 1\n"), &["--index"]);
    refused(&vidsieve(&["serve", "--config", &dir.text("none")]), &["none"]);
    let wrong = vidsieve(&["serve", "--index", &index, "--addr", "localhost"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("localhost:8787"), "{}", stderr(&wrong));

    // The example in the repository names options that there are.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/vidsieve.toml");
    write(&tokens, "a:search:0123456789abcdef\n");
    let server = Running::start(&["--config", example, "--index", &index, "--token-file", &tokens], None);
    assert_eq!(server.ask("GET", "/v1/ready", "", b"").0, 200);
    assert_eq!(server.end().0, Some(0));
}
