//! The server as clients see it: over TCP, with the default bundle and records of random codes.
#![allow(clippy::unwrap_used)]

mod support;

use support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_two_pages() {
    let server = Running::with(40, open()).await;
    let pages = server.pages("top=5&budget=all&explain=true", 7).await;
    let [coarse, refined] = &pages[..] else { panic!("{pages:?}") };
    assert_eq!((&coarse["page"], &coarse["last"]), (&json!("coarse"), &json!(false)));
    assert_eq!((&refined["page"], &refined["last"]), (&json!("refined"), &json!(true)));
    assert_eq!((&coarse["videos"], &coarse["selected"], &coarse["reranked"]), (&json!(40), &json!(40), &json!(0)));
    assert_eq!(
        (&refined["reranked"], &refined["missing"], &refined["degraded"]),
        (&json!(40), &json!(0), &json!(false))
    );
    for page in &pages {
        let hits = page["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 5);
        assert_eq!(hits[0]["id"], name(7), "{page}");
        let scores: Vec<f64> = hits.iter().map(|h| h["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s)), "{scores:?}");
        assert!((hits[0]["explain"]["coarse_cosine"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    }
    assert_eq!(refined["hits"][0]["stage"], "fine");
    assert!(refined["hits"][0]["score"].as_f64().unwrap() > 0.9, "{refined}");
    // The whole of it matches itself.
    let own = &refined["hits"][0];
    let segment = &own["segments"][0];
    assert_eq!((&segment["query"], &segment["at"]), (&segment["target"], &json!(["whole", "whole"])), "{refined}");
    assert_eq!((&own["relation"], &own["coverage"]["query"]["share"]), (&json!("copy"), &json!(1.0)), "{refined}");
    let of =
        |page: &Value, key: &str| page["hits"].as_array().unwrap().iter().map(|h| h[key].clone()).collect::<Vec<_>>();
    assert!(of(refined, "relation").iter().skip(1).all(|relation| relation == "different"), "{refined}");
    for key in ["relation", "coverage"] {
        assert!(of(coarse, key).iter().all(Value::is_null), "{coarse}");
    }
    assert!(of(coarse, "score").iter().all(|score| score.as_f64().unwrap() < 0.9), "likely at most: {coarse}");
    for page in &pages {
        conforms("Page", page);
    }

    let none = server.pages("budget=none&segments=false", 7).await;
    assert_eq!((none.len(), &none[0]["last"], &none[0]["budget"]), (1, &json!(true), &json!("none")));
    for (budget, reranked) in [("3pairs", 3), ("10%25", 4), ("p>1", 0), ("0ms", 0)] {
        let pages = server.pages(&format!("budget={budget}"), 7).await;
        assert_eq!(pages.last().unwrap()["reranked"], reranked, "{budget}");
    }
    let sure = server.pages("budget=all&min_score=0.9", 7).await;
    assert_eq!(sure.last().unwrap()["hits"].as_array().unwrap().len(), 1, "{sure:?}");

    let empty = Running::with(0, open()).await;
    let pages = empty.pages("", 1).await;
    assert_eq!((pages.last().unwrap()["last"].as_bool(), &pages[0]["hits"]), (Some(true), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_come_and_go() {
    let server = Running::with(3, open()).await;
    let id = "new/ünï ☃.mp4";
    let put = |n| server.video(Method::PUT, id).body(record(n).into_bytes());
    assert_eq!(value(put(50), 201).await, json!({ "result": "added" }));
    assert_eq!(server.pages("top=1", 50).await[1]["hits"][0]["id"], id, "it is found at once");
    assert_eq!(value(put(50), 200).await, json!({ "result": "unchanged" }));
    assert_eq!(value(put(51), 200).await, json!({ "result": "replaced" }));
    let read = server.video(Method::GET, id).send().await.unwrap();
    assert_eq!(read.headers()["content-type"], wire::RECORD_TYPE);
    let etag = read.headers()["etag"].clone();
    assert_eq!(read.bytes().await.unwrap(), record(51).into_bytes());
    let again = server.video(Method::GET, id).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let list = value(server.get("/v1/videos?limit=3"), 200).await;
    assert_eq!((list["videos"].as_array().unwrap().len(), &list["next"]), (3, &json!(name(2))));
    let rest = value(server.get("/v1/videos?limit=3&after=folder/video%202.mp4"), 200).await;
    assert_eq!((&rest["videos"][0]["id"], &rest["next"]), (&json!(id), &Value::Null));
    assert_eq!(value(server.get("/v1/health"), 200).await["videos"], 4);

    assert_eq!(server.video(Method::DELETE, id).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    refused(server.video(Method::DELETE, id), 404, "not-found").await;
    refused(server.video(Method::GET, id), 404, "not-found").await;
    assert_ne!(server.pages("top=1", 51).await[1]["hits"][0]["id"], id);

    let model = value(server.get("/v1/model"), 200).await;
    let bytes = server.get("/v1/model/bundle").send().await.unwrap().bytes().await.unwrap();
    assert_eq!((model["bundle"].as_str().unwrap(), &bytes[..]), (&*bundle().id().to_string(), BUNDLE));
    let document = value(server.get("/v1/openapi.json"), 200).await;
    assert_eq!(document["openapi"], "3.1.0");
}

/// Every route of the document is answered, and every route that answers is in the document.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_the_routes() {
    let server = Running::with(1, open()).await;
    let document: Value = serde_json::from_str(vidsieve_server::OPENAPI).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let url = path.replace("{id}", "folder%2Fvideo%200.mp4");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let response = server.request(method.parse().unwrap(), &url).send().await.unwrap();
            let known = methods.get(method.to_lowercase()).is_some();
            assert_eq!(response.status() != StatusCode::METHOD_NOT_ALLOWED, known, "{method} {path}");
            if known {
                let answers = &methods[method.to_lowercase()]["responses"];
                let status = response.status().as_u16().to_string();
                assert!(answers.get(&status).is_some(), "{method} {path}: {status} is not in the document");
            }
        }
    }
    refused(server.get("/v1/nothing"), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let server = Running::with(2, Config { body_limit: 100_000, ..open() }).await;
    let good = record(1).into_bytes();
    let search = |options: &str, body: Vec<u8>| server.search(options, body);
    for options in [
        "top=0",
        "top=1001",
        "top=x",
        "budget=5",
        "budget=p>2",
        "nonsense=1",
        "explain=maybe",
        "min_score=-0.1",
        "min_score=1.5",
        "min_score=nan",
    ] {
        refused(search(options, good.clone()), 400, "bad-request").await;
    }
    refused(search("", Vec::new()), 422, "bad-body").await;
    refused(search("", good[..good.len() - 1].to_vec()), 422, "bad-body").await;
    for at in [0, 9, 40, 100, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        refused(search("", damaged), 422, "bad-body").await;
    }
    let other = record_of(BundleId([1; 32]), 1).into_bytes();
    refused(search("", other.clone()), 409, "other-bundle").await;
    refused(server.video(Method::PUT, "a").body(other), 409, "other-bundle").await;
    refused(server.video(Method::PUT, "a").body(good[..50].to_vec()), 422, "bad-body").await;
    // Told in advance, and not told.
    refused(search("", vec![0; 100_001]), 413, "too-large").await;
    let chunks = futures::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(vec![0u8; 10_000])));
    refused(server.search("", reqwest::Body::wrap_stream(chunks)), 413, "too-large").await;
    // Chunks that are none.
    let head = "POST /v1/search HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = raw(server.address, format!("{head}nonsense\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("problem:bad-request"), "{answer}");
    for id in ["a%0Ab", &"x".repeat(513), "%FF"] {
        refused(server.get(&format!("/v1/videos/{id}")), 400, "bad-request").await;
        refused(server.video(Method::DELETE, id), 400, "bad-request").await;
    }
    for limit in ["0", "1001", "x"] {
        refused(server.get(&format!("/v1/videos?limit={limit}")), 400, "bad-request").await;
    }
    refused(server.request(Method::PATCH, "/v1/search"), 405, "method-not-allowed").await;
    refused(server.encode("text/plain", b"x".to_vec()), 415, "media-type").await;
    refused(server.encode(wire::FRAMES_TYPE, b"VSFRAMES".to_vec()), 422, "bad-body").await;
    let rerank = |body: Vec<u8>| server.request(Method::POST, "/v1/rerank").body(body);
    refused(rerank(vec![255; 8]), 422, "bad-body").await;
    refused(rerank(wire::join_rerank(b"{", &good)), 422, "bad-body").await;
    refused(rerank(wire::join_rerank(br#"{"ids":["a"]}"#, b"")), 422, "bad-body").await;
    refused(rerank(wire::join_rerank(br#"{"ids":["a","b","a"]}"#, &good)), 400, "bad-request").await;
    let many = json!({ "ids": vec!["x"; 1001] }).to_string();
    refused(rerank(wire::join_rerank(many.as_bytes(), &good)), 400, "bad-request").await;
    // Nothing of this did any harm.
    assert_eq!(server.pages("top=1", 1).await[1]["hits"][0]["id"], name(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_rates() {
    let lines = format!("reader:search:{READER}\nwriter:write:{WRITER}");
    let tokens = Tokens::parse(&lines).unwrap();
    let server = Running::with(2, Config { tokens: tokens.clone(), ..open() }).await;
    let response = refused(server.get("/v1/videos"), 401, "unauthorized").await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    refused(server.get("/v1/videos").bearer_auth("reader-token-012345678"), 401, "unauthorized").await;
    refused(server.get("/v1/videos").bearer_auth(WRITER), 403, "forbidden").await;
    refused(server.get("/metrics"), 401, "unauthorized").await;
    value(server.get("/v1/videos").bearer_auth(READER), 200).await;
    let put = |token: &str| server.video(Method::PUT, "x").bearer_auth(token).body(record(9).into_bytes());
    refused(put(READER), 403, "forbidden").await;
    value(put(WRITER), 201).await;
    refused(server.video(Method::DELETE, "x").bearer_auth(READER), 403, "forbidden").await;
    value(server.get("/v1/health"), 200).await;

    let open_search = Running::with(1, Config { tokens: tokens.clone(), open_search: true, ..open() }).await;
    assert_eq!(open_search.pages("top=1", 0).await.len(), 2);
    value(open_search.get("/v1/model"), 200).await;
    let bundle = open_search.get("/v1/model/bundle").send().await.unwrap();
    assert_eq!(bundle.status(), StatusCode::OK);
    assert_eq!(bundle.headers()["cache-control"], "private, max-age=3600");
    refused(open_search.encode("text/plain", Vec::new()), 415, "media-type").await;
    refused(open_search.get("/v1/model").bearer_auth("no-such-token-at-all"), 401, "unauthorized").await;
    for path in ["/v1/videos", "/v1/videos/a", "/metrics"] {
        refused(open_search.get(path), 401, "unauthorized").await;
    }
    refused(open_search.request(Method::POST, "/v1/rerank"), 401, "unauthorized").await;
    value(open_search.get("/v1/videos").bearer_auth(READER), 200).await;
    refused(open_search.video(Method::DELETE, "x"), 401, "unauthorized").await;

    let read_only = Running::with(1, Config { read_only: true, ..open() }).await;
    refused(read_only.video(Method::DELETE, &name(0)), 403, "read-only").await;
    value(read_only.get("/v1/videos"), 200).await;

    // One token's rate is not another's.
    let slow = Running::with(1, Config { tokens, rate: 1, burst: 3, ..Config::default() }).await;
    for _ in 0..3 {
        value(slow.get("/v1/videos").bearer_auth(READER), 200).await;
    }
    let response = refused(slow.get("/v1/videos").bearer_auth(READER), 429, "too-many-requests").await;
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let put = slow.video(Method::PUT, "x").bearer_auth(WRITER).body(record(9).into_bytes());
    assert_eq!(put.send().await.unwrap().status(), 201);
}

/// Tokens cannot be guessed faster than an address may ask.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted() {
    let tokens = Tokens::parse(&format!("reader:search:{READER}")).unwrap();
    let server = Running::with(1, Config { tokens, rate: 1, burst: 3, ..Config::default() }).await;
    let guess = || server.get("/v1/videos").bearer_auth("a-guess-0123456789");
    let right = || server.get("/v1/videos").bearer_auth(READER);
    refused(guess(), 401, "unauthorized").await;
    refused(server.get("/v1/videos"), 401, "unauthorized").await;
    refused(server.video(Method::DELETE, "x").bearer_auth(READER), 403, "forbidden").await;
    refused(guess(), 429, "too-many-requests").await;
    // No token is looked at for a while, and no health is refused.
    refused(right(), 429, "too-many-requests").await;
    for _ in 0..10 {
        value(server.get("/v1/health"), 200).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    value(right(), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_open_server_for_others() {
    let error = not_started([0, 0, 0, 0], Config::default()).await;
    assert!(matches!(error, ServeError::Open(_)) && error.to_string().contains("there are no tokens"), "{error}");
    let error = not_started([127, 0, 0, 1], Config { cors: vec!["*".into()], ..open() }).await;
    assert!(matches!(error, ServeError::AnyOrigin), "{error}");

    // A name that was made to lead here.
    let server = Running::with(1, open()).await;
    let health = |host: &str| format!("GET /v1/health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    for host in ["localhost", "localhost:80", "127.0.0.1:8787", "[::1]:1"] {
        assert!(raw(server.address, health(host)).await.starts_with("HTTP/1.1 200"), "{host}");
    }
    for host in ["example.org", "127.0.0.1.example.org:80", "10.0.0.1"] {
        let answer = raw(server.address, health(host)).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("problem:host"), "{host}: {answer}");
    }
    let whole = health("localhost").replace("/v1", "http://example.org/v1");
    assert!(raw(server.address, whole).await.starts_with("HTTP/1.1 403"));
    let old = "GET /v1/health HTTP/1.0\r\n\r\n".to_owned();
    assert!(raw(server.address, old).await.contains(" 200 "), "only browsers can be led here, and they tell the name");

    let tokens = Tokens::parse(&format!("reader:search:{READER}")).unwrap();
    let server = Running::with(1, Config { tokens, ..open() }).await;
    assert!(raw(server.address, health("example.org")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_and_an_application() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.at("sub/.git")).unwrap();
    for name in ["clip.txt", ".secret", "sub/.git/config", "index.html"] {
        std::fs::write(folder.at(name), "0123456789").unwrap();
    }
    let config = Config { media: Some(folder.0.clone()), www: Some(folder.0.clone()), ..open() };
    let server = Running::with(1, config.clone()).await;
    let part = server.get("/media/clip.txt").header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.text().await.unwrap(), "234");
    for path in [".secret", "%2Esecret", "/.secret", "sub/.git/config", "sub%2F.git/config", "sub", "none", "%FF"] {
        refused(server.get(&format!("/media/{path}")), 404, "not-found").await;
    }
    refused(server.request(Method::PUT, "/media/clip.txt"), 405, "method-not-allowed").await;
    let page = server.get("/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/videos/a/b"] {
        refused(server.get(path), 404, "not-found").await;
        refused(server.request(Method::POST, path), 404, "not-found").await;
    }

    let slow = Running::with(1, Config { rate: 1, burst: 2, ..config.clone() }).await;
    for _ in 0..2 {
        assert_eq!(slow.get("/media/clip.txt").send().await.unwrap().status(), StatusCode::OK);
    }
    refused(slow.get("/media/clip.txt"), 429, "too-many-requests").await;

    let tokens = Tokens::parse(&format!("reader:search:{READER}")).unwrap();
    let error = not_started([127, 0, 0, 1], Config { tokens: tokens.clone(), ..config.clone() }).await;
    assert!(matches!(error, ServeError::Media), "{error}");
    let server = Running::with(1, Config { tokens, open_search: true, ..config }).await;
    assert_eq!(server.get("/media/clip.txt").send().await.unwrap().status(), StatusCode::OK);
}

/// While videos come and go, every answer is about the videos that it names.
#[tokio::test(flavor = "multi_thread")]
async fn writes_during_searches() {
    let server = Running::with(60, open()).await;
    let writes = async {
        for round in 0..40u64 {
            let id = name(round % 20);
            assert_eq!(server.video(Method::DELETE, &id).send().await.unwrap().status(), 204);
            let put = server.video(Method::PUT, &id).body(record(round % 20).into_bytes());
            assert_eq!(put.send().await.unwrap().status(), 201);
        }
    };
    let searches = |first: u64| {
        let server = &server;
        async move {
            for number in (0..20).map(|i| 20 + (first + i) % 40) {
                for page in server.pages("top=3&budget=all", number).await {
                    assert_eq!(page["hits"][0]["id"], name(number), "{page}");
                    // Vectors alone are likely at most.
                    assert!(page["hits"][0]["score"].as_f64().unwrap() > 0.8, "{page}");
                    assert!(page["hits"][1]["score"].as_f64().unwrap() < 0.8, "{page}");
                }
            }
        }
    };
    tokio::join!(writes, searches(0), searches(13), searches(27));
    assert_eq!(value(server.get("/v1/health"), 200).await["videos"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_says_so() {
    let server = Running::with(300, Config { workers: 1, patience: Duration::from_millis(1), ..open() }).await;
    let asked = futures::future::join_all((0..24).map(|n| {
        // The records are made before the clock runs.
        let request = server.search("budget=all", record(n).into_bytes());
        async move { request.send().await.unwrap() }
    }))
    .await;
    let busy = asked.iter().filter(|r| r.status() == StatusCode::SERVICE_UNAVAILABLE).count();
    assert!(busy > 0 && busy < 24, "{busy}");
    for response in asked {
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(response.headers()["retry-after"], "1");
        } else {
            assert_eq!(response.text().await.unwrap().lines().count(), 2);
        }
    }
}

/// Bodies that do not come hold no memory; those that stop in the middle do, but no more than is set aside for them.
#[tokio::test(flavor = "multi_thread")]
async fn memory_for_bodies_is_limited() {
    let server = Running::with(1, Config { body_limit: 4096, patience: Duration::from_secs(1), ..open() }).await;
    let stalled = |begun: &str| {
        format!(
            "PUT /v1/videos/a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{begun}"
        )
    };
    let none: Vec<_> = (0..8).map(|_| tokio::spawn(raw(server.address, stalled("")))).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    refused(server.video(Method::PUT, "a").body("x"), 422, "bad-body").await;
    let mut begun = Vec::new();
    for _ in 0..2 {
        begun.extend((0..4).map(|_| tokio::spawn(raw(server.address, stalled("1\r\nx\r\n")))));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Four hold all of it, four more have it next: longer than this one waits.
    refused(server.video(Method::PUT, "a").body("x"), 503, "busy").await;
    for answer in none.into_iter().chain(begun) {
        let answer = answer.await.unwrap();
        let late = answer.starts_with("HTTP/1.1 408") && answer.contains("problem:timeout");
        assert!(late || answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    refused(server.video(Method::PUT, "a").body("x"), 422, "bad-body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_ends_when_nobody_waits() {
    let server = Running::with(3, Config { workers: 1, ..open() }).await;
    // Long work, by the only worker.
    let long = server.encode(wire::FRAMES_TYPE, grey(10_000, 16)).timeout(Duration::from_millis(500));
    assert!(long.send().await.unwrap_err().is_timeout());
    let start = Instant::now();
    assert_eq!(server.pages("top=1", 0).await.len(), 2);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let figures = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let gone = r#"vidsieve_http_requests_total{route="/v1/encode",method="POST",status="499"} 1"#;
    assert!(figures.contains(gone) && figures.contains("vidsieve_http_requests_in_flight 1"), "{figures}");
}

/// The server ends while it computes, and the work ends soon: this test's runtime waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_does_not_wait_for_work() {
    let mut server = Running::with(1, Config { grace: Duration::from_millis(100), ..open() }).await;
    let long = tokio::spawn(server.encode(wire::FRAMES_TYPE, grey(10_000, 16)).send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    server.end().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(long.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_good_order() {
    let mut server = Running::with(300, open()).await;
    let response = server.search("budget=all", record(3).into_bytes()).send().await.unwrap();
    server.end().await;
    let text = response.text().await.unwrap();
    assert!(text.lines().last().unwrap().contains(r#""page":"refined""#), "{text}");
    assert!(Client::new().get(format!("http://{}/v1/health", server.address)).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn encoding() {
    let server = Running::with(0, open()).await;
    let (frames, width, height) = (5usize, 64usize, 48usize);
    let mut rng = Pcg64::seed_from_u64(4);
    let pixels: Vec<u8> = (0..frames * width * height * 3).map(|_| rng.random()).collect();
    let mut body = wire::FRAMES_MAGIC.to_vec();
    for n in [frames, width, height, 0] {
        body.extend(u32::try_from(n).unwrap().to_le_bytes());
    }
    body.extend(5f64.to_le_bytes());
    (0..frames).for_each(|t| body.extend((t as f64).to_le_bytes()));
    body.extend(&pixels);
    let encode = |kind: &str, body: Vec<u8>| server.encode(kind, body).send();
    // Before anything is computed.
    let problem = value(server.encode(wire::FRAMES_TYPE, grey(100_001, 1)), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("100000"), "{problem}");
    let response = encode(wire::FRAMES_TYPE, body).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &wire::RECORD_TYPE.parse().unwrap())
    );
    let encoded = Record::parse(response.bytes().await.unwrap().to_vec()).unwrap();
    // The same as on this machine without a server.
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    let (w, h) = (u32::try_from(width).unwrap(), u32::try_from(height).unwrap());
    let views: Vec<_> =
        pixels.chunks(width * height * 3).map(|p| vidsieve_model::frames::RgbFrame::new(w, h, p).unwrap()).collect();
    let local = encoder.finish(encoder.describe(&views).unwrap()).unwrap();
    assert_eq!(encoded.global().collect::<Vec<_>>(), local.global);
    assert_eq!((encoded.shape().frames, encoded.bundle()), (frames, bundle().id()));
    let put = server.video(Method::PUT, "x").body(encoded.into_bytes());
    assert_eq!(put.send().await.unwrap().status(), 201, "a record that the server made is taken by it");

    // Region vectors of the bundle's shape are encoded, of others refused.
    let model = value(server.get("/v1/model"), 200).await;
    let regions = usize::try_from(model["regions"].as_u64().unwrap()).unwrap();
    let dims = bundle().config().whitening.as_ref().unwrap().dims;
    for (r, status) in [(regions, 200), (regions + 1, 422)] {
        let mut body = wire::REGIONS_MAGIC.to_vec();
        for n in [2, r, dims, 0] {
            body.extend(u32::try_from(n).unwrap().to_le_bytes());
        }
        body.extend(2f64.to_le_bytes());
        [0f64, 1.0].iter().for_each(|t| body.extend(t.to_le_bytes()));
        for _ in 0..2 * r {
            let vector: Vec<f32> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
            let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.iter().for_each(|v| body.extend((v / norm).to_le_bytes()));
        }
        assert_eq!(encode(wire::REGIONS_TYPE, body).await.unwrap().status(), status);
    }
}

/// The re-rank tier: a query's record and ids, records from a store elsewhere, some of them missing or damaged.
#[tokio::test(flavor = "multi_thread")]
async fn comparing_again_from_a_store() {
    let folder = Folder::new();
    let index = index(&folder.at("index"), 12);
    let location = format!("fs:{}", folder.at("store").display());
    let store = Remote::open(&location).unwrap();
    let wrong =
        Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), self::index(&folder.at("other"), 0), Some(store), open());
    assert!(wrong.await.unwrap_err().to_string().contains("vidsieve push"));
    let store = Remote::open(&location).unwrap();
    store.push(&index, PushOptions::default(), &Control::new()).await.unwrap();
    let file = |n: u64| folder.at("store").join(remote::key(&name(n)));
    std::fs::remove_file(file(1)).unwrap();
    let mut bytes = std::fs::read(file(2)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file(2), bytes).unwrap();
    // A version that the index does not have.
    std::fs::write(file(4), record(77).into_bytes()).unwrap();
    let server = Running::of(folder, index, Some(store), open()).await;

    let ids: Vec<String> = (0..5).map(name).chain(["nothing".to_owned()]).collect();
    let body =
        wire::join_rerank(json!({ "ids": ids, "segments": true }).to_string().as_bytes(), &record(3).into_bytes());
    let answer = value(server.request(Method::POST, "/v1/rerank").body(body), 200).await;
    let of = |key: &str| {
        answer[key].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("pairs"), [name(0), name(3)], "{answer}");
    let mut missing = of("missing");
    missing.sort();
    assert_eq!(missing, [name(1), name(2), name(4), "nothing".to_owned()], "{answer}");
    let old = answer["missing"].as_array().unwrap().iter().find(|m| m["id"] == name(4)).unwrap();
    assert!(old["reason"].as_str().unwrap().contains("vidsieve push"), "{answer}");
    conforms("Reranked", &answer);
    let own = &answer["pairs"][1];
    assert_eq!((&own["relation"], &own["coverage"]["target"]["share"]), (&json!("copy"), &json!(1.0)), "{answer}");
    assert_eq!(answer["pairs"][0]["relation"], "different", "{answer}");
    assert!(own["score"].as_f64().unwrap() > 0.9 && own["segments"][0]["query"][0] == 0.0, "{answer}");

    // A search says what is missing; nothing is silently wrong.
    let pages = server.pages("budget=all&top=12", 2).await;
    assert_eq!(
        (&pages[1]["missing"], &pages[1]["degraded"], &pages[1]["reranked"]),
        (&json!(3), &json!(true), &json!(9))
    );
    let hits = pages[1]["hits"].as_array().unwrap();
    let marked: Vec<&Value> = hits.iter().filter(|h| h.get("unavailable").is_some()).collect();
    assert!(marked.len() == 3 && marked.iter().all(|h| h["stage"] == "coarse"), "{hits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_and_figures() {
    let config = Config { cors: vec!["https://example.org".into()], ..open() };
    let server = Running::with(1, config).await;
    let preflight = |origin: &str| {
        server
            .request(Method::OPTIONS, "/v1/search")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,if-none-match")
            .send()
    };
    let allowed = preflight("https://example.org").await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://example.org");
    let headers = allowed.headers()["access-control-allow-headers"].to_str().unwrap().to_owned();
    assert!(headers.split(',').any(|name| name.trim() == "if-none-match"), "{headers}");
    assert!(preflight("https://evil.example").await.unwrap().headers().get("access-control-allow-origin").is_none());
    server.pages("", 0).await;
    refused(server.request("BREW".parse().unwrap(), "/v1/search"), 405, "method-not-allowed").await;
    let figures = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(
        figures.contains(r#"vidsieve_http_requests_total{route="/v1/search",method="POST",status="200"} 1"#),
        "{figures}"
    );
    assert!(
        figures.contains("vidsieve_index_videos 1") && figures.contains("vidsieve_pairs_compared_total 1"),
        "{figures}"
    );
    assert!(!figures.contains("folder"), "no ids: {figures}");
    assert!(figures.contains(r#"method="other",status="405""#) && !figures.contains("BREW"), "{figures}");

    let error = not_started([127, 0, 0, 1], Config { cors: vec!["example.org".into()], ..open() }).await;
    assert!(error.to_string().contains("example.org"), "{error}");
}
