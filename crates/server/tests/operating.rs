//! What an operator sees: figures, traces, clients behind proxies, tokens that change.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn figures(server: &Running) -> String {
    server.get("/metrics").send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_an_id() {
    let server = Running::with(1, Config { cors: vec!["https://example.org".into()], ..open() }).await;
    let of = |response: &Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let traced = server.get("/v1/health").header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    assert_eq!(of(&traced.send().await.unwrap()), TRACE);
    let mut seen = BTreeSet::new();
    for path in ["/v1/health", "/v1/nothing", "/v1/model"] {
        let own = of(&server.get(path).header("traceparent", "nonsense").send().await.unwrap());
        assert!(own.len() == 32 && seen.insert(own.clone()), "{own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_search_to_its_end() {
    let server = Running::with(20, open()).await;
    server.pages("budget=all", 3).await;
    let text = figures(&server).await;
    for line in [
        r#"vidsieve_http_answer_duration_seconds_count{route="/v1/search",method="POST"} 1"#,
        r#"vidsieve_http_request_duration_seconds_count{route="/v1/search",method="POST"} 1"#,
        r#"vidsieve_search_page_duration_seconds_count{page="coarse"} 1"#,
        r#"vidsieve_search_page_duration_seconds_count{page="refined"} 1"#,
        "vidsieve_queue_wait_seconds_count 1",
        "vidsieve_index_videos 20",
        "vidsieve_ready 1",
        "vidsieve_http_answers_cut_total 0",
        r#"vidsieve_build_info{version=""#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
        line.parse::<f64>().unwrap()
    };
    assert!(number("vidsieve_connections") >= 1.0 && number("vidsieve_index_bytes") > 0.0);
    assert!(number("vidsieve_http_answer_bytes_total") > 100.0);
    // The end of an answer is not before its beginning.
    let sum = |name: &str| {
        number(&format!(r#"vidsieve_http_{name}_duration_seconds_sum{{route="/v1/search",method="POST"}}"#))
    };
    assert!(sum("answer") >= sum("request"), "{text}");
}

/// The files for operators name figures that there are.
#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_name_figures() {
    let server = Running::with(3, open()).await;
    server.pages("budget=all", 1).await;
    let text = figures(&server).await;
    let known: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    for file in ["alerts.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        if file.ends_with("json") {
            serde_json::from_str::<Value>(&text).unwrap();
        }
        let names: BTreeSet<&str> = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("vidsieve_") || word.starts_with("process_"))
            .collect();
        assert!(names.len() > 4, "{file}: {names:?}");
        for name in names {
            let base = ["_total", "_bucket", "_sum", "_count", "_info"].iter().find_map(|end| name.strip_suffix(end));
            assert!(known.contains(name) || base.is_some_and(|base| known.contains(base)), "{file}: {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_proxy_are_told_apart() {
    let config = |trusted: &[&str]| Config {
        rate: 1,
        burst: 2,
        trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
        ..Config::default()
    };
    let asked = |server: &Running, client: &str| server.get("/v1/model").header("x-forwarded-for", client.to_owned());
    let behind = Running::with(1, config(&["127.0.0.0/8"])).await;
    for client in ["198.51.100.1", "198.51.100.2", "203.0.113.9, 198.51.100.3"] {
        for _ in 0..2 {
            value(asked(&behind, client), 200).await;
        }
        refused(asked(&behind, client), 429, "too-many-requests").await;
    }
    // Nobody else is believed.
    let open = Running::with(1, config(&["10.0.0.0/8"])).await;
    for client in ["198.51.100.1", "198.51.100.2"] {
        value(asked(&open, client), 200).await;
    }
    refused(asked(&open, "198.51.100.3"), 429, "too-many-requests").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_change_and_expire() {
    let tokens = |line: &str| Tokens::parse(line).unwrap();
    let first = format!("reader:search:{READER}\nold:search,until=2001-01-01:{WRITER}");
    let config = Config { tokens: tokens(&first), ..open() };
    let folder = Folder::new();
    let server = Server::start(([127, 0, 0, 1], 0).into(), index(&folder.at("index"), 1), None, config).await.unwrap();
    let (address, reload) = (server.address().unwrap(), server.reload());
    let running = tokio::spawn(server.run(std::future::pending()));
    vidsieve_index::tls::install_provider();
    let client = Client::new();
    let listed = |token: &str| client.get(format!("http://{address}/v1/videos")).bearer_auth(token);
    value(listed(READER), 200).await;
    let expired = value(listed(WRITER), 401).await;
    assert!(expired["detail"].as_str().unwrap().contains("expired"), "{expired}");
    reload.tokens(tokens(&format!("writer:search:{WRITER}"))).unwrap();
    refused(listed(READER), 401, "unauthorized").await;
    value(listed(WRITER), 200).await;
    for none in [Tokens::default(), tokens(&format!("space/x:search:{READER}"))] {
        assert!(reload.tokens(none).is_err());
        value(listed(WRITER), 200).await;
    }
    running.abort();
}
