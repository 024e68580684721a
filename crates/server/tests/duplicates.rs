//! Copies over HTTP: reports, decisions, plans, and who may ask for them. Plans that act on files are tested with the
//! command.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use support::*;
use vidsieve::{Archive, DedupeOptions};

const COPY: &str = "folder/copy of 0.mp4";

/// An index of so many videos, and a copy of the first.
fn with_copy(folder: &Path, videos: u64) -> Index {
    let index = index(folder, videos);
    index.put(COPY, &record(0), &Source::default()).unwrap();
    index
}

async fn serving(videos: u64, config: Config) -> Running {
    let folder = Folder::new();
    let index = with_copy(&folder.at("index"), videos);
    Running::of(folder, index, None, config).await
}

/// The lines of an answer.
async fn lines(request: RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].clone();
    let text = response.text().await.unwrap();
    assert_eq!((status.as_u16(), kind.to_str().unwrap()), (200, "application/x-ndjson"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, others) = lines.split_last().unwrap();
    assert_eq!(last["last"], true, "{text}");
    for line in others {
        conforms("WorkProgress", line);
    }
    lines
}

async fn last(request: RequestBuilder) -> Value {
    lines(request).await.pop().unwrap()
}

fn find(server: &Running, options: &str) -> RequestBuilder {
    server.request(Method::POST, &format!("/v1/dedupe?{options}"))
}

fn decide(server: &Running, body: &Value) -> RequestBuilder {
    server.request(Method::PUT, "/v1/dedupe/decisions").body(body.to_string())
}

fn plan(server: &Running, body: &Value) -> RequestBuilder {
    server.request(Method::POST, "/v1/dedupe/plan").body(body.to_string())
}

fn groups(report: &Value) -> Vec<Vec<String>> {
    let ids = |group: &Value| {
        let mut ids: Vec<String> =
            group["videos"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    report["report"]["clusters"].as_array().unwrap().iter().map(ids).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_that_of_the_library() {
    let folder = Folder::new();
    let index = Arc::new(with_copy(&folder.at("index"), 6));
    let own = Archive::over(index.clone()).dedupe(&DedupeOptions::new(), &Control::new()).unwrap();
    let index = Arc::into_inner(index).unwrap();
    let server = Running::of(folder, index, None, open()).await;

    let answer = last(find(&server, "")).await;
    conforms("DedupeReportLine", &answer);
    assert_eq!((&answer["page"], &answer["left_out"]), (&json!("report"), &json!(0)));
    let mut report = answer["report"].clone();
    let mut own: Value = serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
    for report in [&mut report, &mut own] {
        report.as_object_mut().unwrap().remove("seconds");
    }
    assert_eq!(report, own);
    assert_eq!(groups(&answer), [[COPY.to_owned(), name(0)]]);

    assert_eq!(value(server.get("/v1/health"), 200).await["dedupe"], true);
    assert_eq!(last(find(&server, "budget=none&keep=oldest,path:folder&reviewed=true&top=1")).await["left_out"], 0);
    let none = last(find(&server, "min_score=1")).await;
    assert_eq!((&none["report"]["min_score"], &none["page"]), (&json!(1.0), &json!("report")));
    for bad in ["top=0", "top=10001", "min_score=2", "budget=1s", "keep=best", "other=1"] {
        refused(find(&server, bad), 400, "bad-request").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_kept_and_taken_back() {
    let server = serving(4, open()).await;
    let different = json!({ "kind": "different", "ids": [COPY, name(0)] });
    assert_eq!(value(decide(&server, &different), 200).await, json!({ "result": "kept" }));
    assert_eq!(groups(&last(find(&server, "")).await).len(), 0);
    let undo = json!({ "kind": "different", "ids": [COPY, name(0)], "undo": true });
    assert_eq!(value(decide(&server, &undo), 200).await, json!({ "result": "removed" }));
    refused(decide(&server, &undo), 404, "not-found").await;
    assert_eq!(groups(&last(find(&server, "")).await).len(), 1);

    let reviewed = json!({ "kind": "reviewed", "ids": [COPY, name(0)] });
    value(decide(&server, &reviewed), 200).await;
    let answer = last(find(&server, "")).await;
    assert_eq!((groups(&answer).len(), &answer["report"]["hidden"]), (0, &json!(1)));
    assert_eq!(groups(&last(find(&server, "reviewed=true")).await).len(), 1);

    for (body, status, code) in [
        (json!({ "kind": "different", "ids": [COPY] }), 400, "bad-request"),
        (json!({ "kind": "different", "ids": [COPY, COPY] }), 400, "bad-request"),
        (json!({ "kind": "different", "ids": [COPY, "no such video"] }), 404, "not-found"),
        (json!({ "kind": "alike", "ids": [COPY, name(0)] }), 422, "bad-body"),
        (json!([]), 422, "bad-body"),
    ] {
        refused(decide(&server, &body), status, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_of_what_was_chosen() {
    let server = serving(4, open()).await;
    let choice = |keep: &str, go: &[&str]| json!({ "groups": [{ "keep": keep, "go": go }] });
    let answer = last(plan(&server, &choice(COPY, &[&name(0), &name(1)]))).await;
    conforms("PlanLine", &answer);
    let text: Value = serde_json::from_str(answer["plan"].as_str().unwrap()).unwrap();
    assert_eq!((&text["format"], text["groups"].as_array().unwrap().len()), (&json!("vidsieve-plan-1"), 1));
    let group = &text["groups"][0];
    // The videos came without files: nothing can go.
    assert_eq!((&group["keep"], &group["go"], &group["reason"]), (&Value::Null, &json!([]), &json!("chosen")));
    let held = |id: &str| {
        let held = group["held"].as_array().unwrap().iter().find(|held| held["id"] == id);
        held.unwrap_or_else(|| panic!("{id}: {group}"))["reason"].as_str().unwrap()
    };
    assert!(held(COPY).contains("does not know its file"), "{group}");
    assert!(held(&name(0)).contains("no file of the group is fit"), "{group}");
    assert!(held(&name(1)).contains("it is no copy of the video to keep"), "{group}");

    value(decide(&server, &json!({ "kind": "different", "ids": [COPY, name(0)] })), 200).await;
    let answer = last(plan(&server, &choice(COPY, &[&name(0)]))).await;
    assert!(answer["plan"].as_str().unwrap().contains("marked as different"), "{answer}");

    for (body, code) in [
        (choice(COPY, &[COPY]), "bad-request"),
        (choice(COPY, &["no such video"]), "not-found"),
        (choice("no such video", &[COPY]), "not-found"),
    ] {
        let answer = last(plan(&server, &body)).await;
        assert_eq!(answer["page"], "error", "{answer}");
        assert_eq!(answer["problem"]["type"], format!("urn:vidsieve:problem:{code}"), "{answer}");
    }
    refused(plan(&server, &json!({ "groups": [] })), 400, "bad-request").await;
    refused(plan(&server, &json!({ "min_score": 2, "groups": [{ "keep": "a", "go": ["b"] }] })), 400, "bad-request")
        .await;
    refused(plan(&server, &json!({ "groups": [{ "keep": "a" }] })), 422, "bad-body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_need_the_scope_write_and_no_index_that_can_be_written() {
    let tokens = Tokens::parse(&format!("reader:search:{READER}\nwriter:write:{WRITER}")).unwrap();
    let config = Config { tokens, open_search: true, read_only: true, ..open() };
    let server = serving(3, config).await;
    let decision = json!({ "kind": "different", "ids": [COPY, name(0)] });
    let choices = json!({ "groups": [{ "keep": COPY, "go": [name(0)] }] });
    let all = || [find(&server, ""), plan(&server, &choices), decide(&server, &decision)];
    for request in all() {
        refused(request, 401, "unauthorized").await;
    }
    for request in all() {
        refused(request.bearer_auth(READER), 403, "forbidden").await;
    }
    assert_eq!(groups(&last(find(&server, "").bearer_auth(WRITER)).await).len(), 1);
    assert_eq!(last(plan(&server, &choices).bearer_auth(WRITER)).await["page"], "plan");
    refused(decide(&server, &decision).bearer_auth(WRITER), 403, "read-only").await;
}

/// One request at a time works on the whole index; it stops when its client leaves.
#[tokio::test(flavor = "multi_thread")]
async fn work_ends_with_its_client() {
    let server = serving(80, Config { patience: Duration::from_millis(1), ..open() }).await;
    let start = Instant::now();
    assert_eq!(last(find(&server, "budget=all")).await["page"], "report");
    let whole = start.elapsed();

    let mut left = find(&server, "budget=all").send().await.unwrap();
    assert!(left.chunk().await.unwrap().is_some());
    refused(find(&server, "budget=none"), 503, "busy").await;
    // Searches go on meanwhile.
    assert_eq!(server.pages("top=1", 7).await.last().unwrap()["hits"][0]["id"], name(7));
    let start = Instant::now();
    drop(left);
    while find(&server, "budget=none").send().await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(start.elapsed() < whole.max(Duration::from_secs(1)), "it goes on without its client");
    }
}
