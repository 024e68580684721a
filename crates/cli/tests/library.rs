//! An index over its life: filled, searched, changed, cleaned.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Scratch, clips, ffmpeg, ids, json, refused, stderr, verified, vidsieve};

fn counts(report: &Value) -> [u64; 5] {
    ["added", "replaced", "moved", "skipped", "failed"].map(|key| report[key].as_u64().unwrap())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn files_come_change_move_and_go() {
    let dir = Scratch::new("life");
    let (videos, index) = (dir.text("videos"), dir.text("index"));
    clips(&dir.path("videos"));
    std::fs::write(dir.path("videos/notes.txt"), "no video").unwrap();
    let run = |status| json(&["index", "--index", &index, "--json", &videos], status);
    let first = run(0);
    assert_eq!(counts(&first), [5, 0, 0, 0, 0], "{first}");
    assert_eq!(ids(&index), ["bars.mp4", "life.mkv", "mandelbrot.mp4", "sub/cells.mp4", "sub/gradients.webm"]);
    assert!(number(&first["seconds_of_video"]) > 30.0 && number(&first["stages_ms"]["encode"]) > 0.0, "{first}");
    assert!(["decode", "encode", "store"].contains(&first["bottleneck"].as_str().unwrap()));
    assert_eq!(counts(&run(0)), [0, 0, 0, 5, 0]);

    // The same bytes at another time, another film under a name, a file in another place, a copy of a file.
    let at = |name: &str| dir.path("videos").join(name);
    std::fs::write(at("bars.mp4"), std::fs::read(at("bars.mp4")).unwrap()).unwrap();
    std::fs::copy(at("sub/cells.mp4"), at("life.mkv")).unwrap();
    std::fs::rename(at("mandelbrot.mp4"), at("sub/fractal.mp4")).unwrap();
    std::fs::copy(at("sub/gradients.webm"), at("copy.webm")).unwrap();
    let second = run(0);
    assert_eq!(counts(&second), [1, 1, 1, 3, 0], "{second}");
    // Nothing of this needed to be encoded.
    assert_eq!(number(&second["seconds_of_video"]), 0.0, "{second}");
    assert_eq!(
        ids(&index),
        ["bars.mp4", "copy.webm", "life.mkv", "sub/cells.mp4", "sub/fractal.mp4", "sub/gradients.webm"]
    );
    assert_eq!(counts(&run(0)), [0, 0, 0, 6, 0]);
    verified(&index);
    let same = json(&["search", "--index", &index, "id:life.mkv", "--top", "1", "--json"], 0);
    assert_eq!(same["hits"][0]["id"], "sub/cells.mp4", "{same}");

    // The folder itself moves: every file is where it was, seen from it.
    std::fs::rename(dir.path("videos"), dir.path("films")).unwrap();
    let third = json(&["index", "--index", &index, "--json", &dir.text("films")], 0);
    assert_eq!(counts(&third), [0, 0, 6, 0, 0], "{third}");

    let removed = json(&["remove", "--index", &index, "--json", "copy.webm", "life.mkv"], 0);
    assert_eq!((removed["removed"].as_array().unwrap().len(), removed["videos"].as_u64()), (2, Some(4)));
    let none = vidsieve(&["remove", "--index", &index, "copy.webm"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("\"copy.webm\": no such video"), "{}", stderr(&none));
    let compacted = json(&["compact", "--index", &index, "--json"], 0);
    assert!(number(&compacted["bytes_after"]) <= number(&compacted["bytes_before"]));
    verified(&index);
    assert_eq!(ids(&index).len(), 4);
}

#[test]
fn searching() {
    let dir = Scratch::new("searching");
    let (videos, index) = (dir.text("videos"), dir.text("index"));
    clips(&dir.path("videos"));
    // Seconds 2 to 6 of the bars, smaller and harder compressed.
    let excerpt = dir.text("excerpt.mp4");
    ffmpeg(
        &["-ss", "2", "-t", "4", "-i", &dir.text("videos/bars.mp4"), "-vf", "scale=128:96", "-crf", "34"],
        &dir.path("excerpt.mp4"),
    );
    json(&["index", "--index", &index, "--json", &videos], 0);

    let answer = json(&["search", "--index", &index, &excerpt, "--json"], 0);
    let mut keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["budget", "hits", "model", "reranked", "timings_ms", "videos"]);
    assert_eq!((answer["videos"].as_u64(), answer["reranked"].as_u64()), (Some(5), Some(5)));
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 5);
    let best = &hits[0];
    assert_eq!((best["id"].as_str(), best["stage"].as_str()), (Some("bars.mp4"), Some("fine")), "{answer}");
    for key in ["score", "coarse", "fine", "doubt"] {
        assert!((0.0..=1.0).contains(&number(&best[key])), "{key}: {best}");
    }
    let segment = &best["segments"][0];
    for (interval, want) in [("query", [0.0, 4.0]), ("target", [2.0, 6.0])] {
        for end in [0, 1] {
            let is = number(&segment[interval][end]);
            assert!((is - want[end]).abs() <= 1.0, "{interval}: {segment}");
        }
    }
    assert!(hits.windows(2).all(|w| number(&w[0]["score"]) >= number(&w[1]["score"])));
    for key in ["decode", "encode", "scan", "select", "fetch", "compare", "segments", "total"] {
        assert!(number(&answer["timings_ms"][key]) >= 0.0, "{key}");
    }

    // Budgets.
    for (budget, reranked) in [("none", 0), ("all", 5), ("2pairs", 2), ("40%", 2), ("p>1", 0), ("0ms", 0)] {
        let answer = json(&["search", "--index", &index, &excerpt, "--budget", budget, "--json"], 0);
        assert_eq!(answer["reranked"].as_u64(), Some(reranked), "{budget}");
        assert_eq!(answer["budget"].as_str().unwrap(), budget);
        let fine = answer["hits"].as_array().unwrap().iter().filter(|h| h["stage"] == "fine").count();
        assert_eq!(fine as u64, reranked, "{budget}: {answer}");
    }
    assert_eq!(
        json(&["search", "--index", &index, &excerpt, "--top", "2", "--json"], 0)["hits"].as_array().unwrap().len(),
        2
    );
    let likely = json(&["search", "--index", &index, &excerpt, "--min-score", "1", "--json"], 0);
    assert!(likely["hits"].as_array().unwrap().len() <= 1);
    let explained = json(&["search", "--index", &index, &excerpt, "--explain", "--json"], 0);
    assert_eq!(explained["hits"][0]["explain"]["selected"], true, "{explained}");

    // Pages, each a line.
    let output = vidsieve(&["search", "--index", &index, "id:bars.mp4", "--json", "--pages"]);
    let pages: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(pages.len(), 2);
    assert_eq!((pages[0]["page"].as_str(), pages[0]["last"].as_bool()), (Some("coarse"), Some(false)));
    assert_eq!((pages[1]["page"].as_str(), pages[1]["last"].as_bool()), (Some("refined"), Some(true)));
    assert_eq!((pages[1]["reranked"].as_u64(), pages[1]["degraded"].as_bool()), (Some(4), Some(false)));
    let found = |page: &Value| page["hits"].as_array().unwrap().iter().any(|h| h["id"] == "bars.mp4");
    assert!(!found(&pages[0]) && !found(&pages[1]), "a video of the index does not find itself");
    let output = vidsieve(&["search", "--index", &index, "id:bars.mp4", "--json", "--pages", "--budget", "none"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);

    // People see a table, without escape sequences where there is no terminal.
    let output = vidsieve(&["search", "--index", &index, &excerpt]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("bars.mp4") && text.contains("5 compared frame by frame") && !text.contains('\x1b'),
        "{text}"
    );

    // Mistakes.
    refused(&vidsieve(&["search", "--index", &index, "id:none.mp4"]), &["none.mp4", "vidsieve list"]);
    refused(&vidsieve(&["search", "--index", &dir.text("nowhere"), &excerpt]), &["nowhere", "vidsieve index"]);
    refused(&vidsieve(&["search", "--index", &index, &dir.text("none.mp4")]), &["none.mp4"]);
    let usage = vidsieve(&["search", "--index", &index, &excerpt, "--budget", "5"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(stderr(&usage).contains("write 5%, 100pairs"), "{}", stderr(&usage));
    let stranger = json(&["search", "--index", &index, &dir.text("excerpt.mp4"), "--budget", "none", "--json"], 0);
    assert!(number(&stranger["timings_ms"]["compare"]) == 0.0);
}

#[test]
fn comparing_and_its_picture() {
    let dir = Scratch::new("comparing");
    clips(&dir.path("videos"));
    let (bars, life) = (dir.text("videos/bars.mp4"), dir.text("videos/life.mkv"));
    let (copy, picture) = (dir.text("copy.gif"), dir.text("map.png"));
    ffmpeg(&["-ss", "1", "-t", "5", "-i", &bars, "-vf", "scale=128:96,fps=10"], &dir.path("copy.gif"));
    let same = json(&["compare", &copy, &bars, "--heatmap", &picture, "--json"], 0);
    let mut keys: Vec<&String> = same.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["coarse", "coverage", "doubt", "fine", "relation", "score", "segments"]);
    let other = json(&["compare", &bars, &life, "--json"], 0);
    assert!(number(&same["score"]) > 0.9 && number(&other["score"]) < 0.5, "{same} {other}");
    assert_eq!((&same["relation"], &other["relation"]), (&"excerpt".into(), &"different".into()));
    assert!(other["segments"].as_array().unwrap().is_empty(), "{other}");
    assert!(!same["segments"].as_array().unwrap().is_empty());
    let bytes = std::fs::read(&picture).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert!((400..2000).contains(&side(16)) && (300..2000).contains(&side(20)), "{}x{}", side(16), side(20));
    let text = String::from_utf8(vidsieve(&["compare", &copy, &bars]).stdout).unwrap();
    assert!(text.starts_with("score") && text.contains("segment"), "{text}");
    refused(&vidsieve(&["compare", &bars, &dir.text("no.mp4")]), &["no.mp4"]);
    refused(&vidsieve(&["compare", &copy, &bars, "--heatmap", &dir.text("no/where.png")]), &["where.png"]);
}

#[test]
fn copies_are_grouped_and_one_is_kept() {
    let dir = Scratch::new("dedupe");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    clips(&videos);
    let original = videos.join("bars.mp4");
    let original = original.to_str().unwrap();
    ffmpeg(&["-i", original, "-vf", "scale=128:96", "-crf", "30"], &videos.join("small.mp4"));
    std::fs::copy(original, videos.join("again.mp4")).unwrap();
    json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    let report = json(&["dedupe", "--index", &index, "--min-score", "0.95", "--json"], 0);
    let clusters = report["clusters"].as_array().unwrap();
    let group =
        clusters.iter().find(|c| c["videos"].as_array().unwrap().iter().any(|v| v["id"] == "bars.mp4")).unwrap();
    let members: Vec<&str> = group["videos"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap()).collect();
    assert_eq!(members.len(), 3, "{report}");
    assert!(members.contains(&"small.mp4") && members.contains(&"again.mp4"));
    // Equal pictures, lengths and sizes: the older file.
    assert_eq!((group["keep"].as_str(), group["reason"].as_str()), (Some("bars.mp4"), Some("oldest")), "{report}");
    assert_eq!(members[2], "small.mp4");
    let small = &group["videos"][2];
    assert_eq!(
        (small["width"].as_u64(), small["height"].as_u64(), small["keep"].as_bool()),
        (Some(128), Some(96), Some(false))
    );
    // Gradients are at the limit of what shows anything: they are compared with the six others, or not.
    assert!(matches!(report["compared"].as_u64(), Some(15 | 21)), "{report}");
    let csv =
        String::from_utf8(vidsieve(&["dedupe", "--index", &index, "--min-score", "0.95", "--csv"]).stdout).unwrap();
    assert!(csv.starts_with("cluster,keep,reason,id,") && csv.contains("true,oldest,\"bars.mp4\""), "{csv}");
    let text = String::from_utf8(vidsieve(&["dedupe", "--index", &index, "--min-score", "0.95"]).stdout).unwrap();
    assert!(text.contains("keep") && text.contains("oldest"), "{text}");
    // Nothing was deleted.
    assert!(videos.join("small.mp4").exists() && videos.join("again.mp4").exists());

    // An excerpt with a larger picture stands under the whole and is no copy.
    ffmpeg(&["-ss", "2", "-t", "4", "-i", original, "-vf", "scale=384:288"], &videos.join("excerpt.mp4"));
    json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    let report = json(&["dedupe", "--index", &index, "--min-score", "0.7", "--related", "--json"], 0);
    let clusters = report["clusters"].as_array().unwrap();
    assert!(
        clusters.iter().flat_map(|c| c["videos"].as_array().unwrap()).all(|v| v["id"] != "excerpt.mp4"),
        "{report}"
    );
    let excerpt = report["excerpts"].as_array().unwrap().iter().find(|e| e["id"] == "excerpt.mp4").unwrap();
    let number = |name: &str| excerpt[name].as_f64().unwrap();
    assert_eq!(excerpt["of"], "bars.mp4", "{report}");
    assert!((number("start") - 2.0).abs() <= 1.0 && (number("seconds") - 4.0).abs() <= 1.0, "{excerpt}");
    assert!(number("share") > 0.8, "{excerpt}");
    assert!(report["related"].is_array() && report["untold"].is_array(), "{report}");
    let text = String::from_utf8(vidsieve(&["dedupe", "--index", &index, "--min-score", "0.7"]).stdout).unwrap();
    let row = text.lines().find(|line| line.contains("excerpt.mp4")).unwrap();
    assert!(row.starts_with("excerpt") && row.contains("% of it in bars.mp4 from"), "{text}");
    assert!(text.contains("1 group with 2 copies and 1 excerpt among 8 videos"), "{text}");
    let csv =
        String::from_utf8(vidsieve(&["dedupe", "--index", &index, "--min-score", "0.7", "--csv"]).stdout).unwrap();
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == 20), "{csv}");
    let row = csv.lines().find(|line| line.contains("\"excerpt.mp4\"")).unwrap();
    assert!(row.starts_with(",,,") && row.contains(",excerpt,\"bars.mp4\",") && !row.contains("false,"), "{csv}");

    // What is gone is not kept.
    std::fs::remove_file(original).unwrap();
    std::fs::remove_file(videos.join("again.mp4")).unwrap();
    let report = json(&["dedupe", "--index", &index, "--json"], 0);
    let group = &report["clusters"][0];
    assert_eq!(
        (group["keep"].as_str(), group["reason"].as_str()),
        (Some("small.mp4"), Some("file exists")),
        "{report}"
    );
    let text = String::from_utf8(vidsieve(&["dedupe", "--index", &index, "--min-score", "0.7"]).stdout).unwrap();
    assert_eq!(text.matches("the file is gone").count(), 2, "{text}");
}

#[test]
fn sampling_belongs_to_the_index() {
    let dir = Scratch::new("sampling");
    let (videos, index) = (dir.text("videos"), dir.text("index"));
    clips(&dir.path("videos"));
    let bars = dir.text("videos/bars.mp4");
    let report = json(&["index", "--index", &index, "--fps", "2", "--json", &bars], 0);
    assert_eq!(report["added"], 1);
    let list = json(&["list", "--index", &index, "--json"], 0);
    assert_eq!(list["videos"][0]["frames"], 16, "{list}");
    refused(
        &vidsieve(&["index", "--index", &index, "--upstream", &videos]),
        &["sampling of this index is `fps 2`", "upstream"],
    );
    refused(&vidsieve(&["index", "--index", &index, "--fps", "0", &videos]), &["--fps 0"]);
    refused(&vidsieve(&["index", "--index", &index, "--fps", "auto", &videos]), &["not `auto`"]);
    let often = vidsieve(&["index", "--index", &index, "--fps", "often", &videos]);
    assert_eq!(often.status.code(), Some(2));
    assert!(stderr(&often).contains("must be `auto` or a number"), "{}", stderr(&often));
    // The others are sampled alike without being asked, and what is searched for as well.
    assert_eq!(json(&["index", "--index", &index, "--json", &videos], 0)["added"], 4);
    let hit = &json(&["search", "--index", &index, &bars, "--top", "1", "--json"], 0)["hits"][0];
    assert_eq!(hit["id"], "bars.mp4");
    assert!(number(&hit["score"]) > 0.9, "{hit}");
}

#[test]
fn short_videos_are_sampled_more_densely() {
    let dir = Scratch::new("short");
    let videos = dir.folder("videos");
    // The last frame is a tenth of a second before the end.
    for (name, seconds) in [("1.mp4", "1"), ("3.mp4", "3"), ("6.mp4", "6"), ("12.mp4", "12"), ("20.mp4", "20")] {
        let source = format!("testsrc2=s=160x120:r=10:d={seconds}");
        ffmpeg(&["-f", "lavfi", "-i", &source], &videos.join(name));
    }
    let frames = |index: &str, options: &[&str]| -> Vec<(String, u64)> {
        let all = [&["index", "--index", index, "--json"], options, &[videos.to_str().unwrap()]].concat();
        json(&all, 0);
        let list = json(&["list", "--index", index, "--json"], 0);
        let of = |v: &Value| (v["id"].as_str().unwrap().to_owned(), v["frames"].as_u64().unwrap());
        list["videos"].as_array().unwrap().iter().map(of).collect()
    };
    let expected = |counts: [u64; 5]| {
        let mut list: Vec<_> =
            ["1.mp4", "3.mp4", "6.mp4", "12.mp4", "20.mp4"].map(str::to_owned).into_iter().zip(counts).collect();
        list.sort();
        list
    };
    let sorted = |mut list: Vec<(String, u64)>| {
        list.sort();
        list
    };
    assert_eq!(sorted(frames(&dir.text("auto"), &[])), expected([8, 24, 48, 48, 40]));
    assert_eq!(sorted(frames(&dir.text("each"), &["--fps", "1"])), expected([1, 3, 6, 12, 20]));
    let short = dir.text("videos/3.mp4");
    let same = json(&["compare", &short, &short, "--json"], 0);
    assert!(number(&same["score"]) > 0.9, "{same}");
    assert_eq!(json(&["compare", "--fps", "auto", &short, &short, "--json"], 0), same);
}

#[test]
fn manual_and_completions() {
    let dir = Scratch::new("manual");
    let text = String::from_utf8(vidsieve(&["completions", "bash"]).stdout).unwrap();
    assert!(text.contains("complete") && text.contains("dedupe"));
    let text = String::from_utf8(vidsieve(&["man"]).stdout).unwrap();
    assert!(text.contains(".TH vidsieve"), "{text}");
    let output = vidsieve(&["man", "--dir", &dir.text("man")]);
    assert!(output.status.success(), "{}", stderr(&output));
    for page in ["vidsieve.1", "vidsieve-index.1", "vidsieve-bench-query.1"] {
        assert!(std::fs::read_to_string(dir.path("man").join(page)).unwrap().contains(".TH"), "{page}");
    }
}

#[test]
fn a_query_on_synthetic_records_is_timed_beside_float32() {
    let dir = Scratch::new("bench");
    let temp = dir.folder("temp").display().to_string();
    let arguments = [
        "bench", "query", "--videos", "40", "--frames", "12", "--budget", "50%", "--pairs", "3", "--temp", &temp,
        "--json",
    ];
    let report = json(&arguments, 0);
    assert_eq!((report["videos"].as_u64(), report["reranked"].as_u64()), (Some(40), Some(20)));
    for part in ["scan", "select", "fetch", "compare", "merge", "total"] {
        assert!(number(&report["times_ms"][part]) > 0.0, "{part}: {report}");
    }
    assert_eq!(report["float32"]["sampled_pairs"].as_u64(), Some(3));
    let times = ["ms_per_pair", "codes_ms_per_pair", "extrapolated_ms", "every_video_ms", "every_video_ratio"];
    times.iter().for_each(|time| assert!(number(&report["float32"][time]) > 0.0, "{time}: {report}"));
    // Both ways compute the same.
    assert!(number(&report["float32"]["max_difference"]) < 1e-3, "{report}");
    assert_eq!(std::fs::read_dir(dir.path("temp")).unwrap().count(), 0);
    let report = json(&["bench", "encode", "--frames", "8", "--rounds", "1", "--json"], 0);
    assert!(number(&report["all_cores_frames_per_second"]) > 0.0, "{report}");
}
