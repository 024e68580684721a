//! Rendered clips, their edited copies and the default bundle: the command finds the copies.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn vidsieve(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vidsieve")).args(arguments).output().unwrap()
}

/// The JSON report of `eval retrieval`, without what a clock says of it.
fn report(arguments: &[&str], folder: &Path) -> serde_json::Value {
    let command = Command::new(env!("CARGO_BIN_EXE_vidsieve")).args(arguments).current_dir(folder).output().unwrap();
    assert!(command.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&command.stderr));
    let mut report: serde_json::Value = serde_json::from_slice(&command.stdout).unwrap();
    assert!(report.as_object_mut().unwrap().remove("ms_per_query").unwrap()["coarse"].is_number());
    report
}

fn ok(arguments: &[&str]) -> String {
    let output = vidsieve(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_default_bundle_finds_edited_copies() {
    let folder = std::env::temp_dir().join(format!("vidsieve-retrieval-{}", std::process::id()));
    let at = |name: &str| folder.join(name).display().to_string();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default.safetensors").display().to_string();
    // The built-in bundle is the default, from any folder.
    let elsewhere = std::env::temp_dir();
    ok(&["train", "data", "render", "--out", &at("clips"), "--count", "4", "--seed", "9"]);
    let kinds = "crop,text_logo,border,colour,trim,recompress";
    ok(&["train", "data", "edit", "--videos", &at("clips"), "--out", &at("set"), "--kinds", kinds]);
    let (videos, truth, edits, plots) = (at("set"), at("set/truth.json"), at("set/edits.json"), at("plots"));
    let retrieval = ["eval", "retrieval", "--videos", &videos, "--truth", &truth, "--edits", &edits, "--json"];
    let report = report(&[&retrieval[..], &["--plots", &plots]].concat(), &elsewhere);
    let number =
        |path: &str| report.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or_else(|| panic!("{path}"));
    // Four clips, each with six kinds and three chains.
    assert_eq!((report["queries"].as_u64(), report["relevant_pairs"].as_u64()), (Some(4), Some(36)));
    for (path, least) in [("/coarse/map", 0.6), ("/fine_binary/map", 0.75), ("/fine_binary/recall1", 0.99)] {
        assert!(number(path) >= least, "{path} is {}", number(path));
    }
    assert!(number("/dns/100/map") >= number("/dns/0/map") - 0.05);
    assert!(number("/plain/region_chamfer/map") > 0.3 && number("/bytes_per_video/fine_binary") > 500.0);
    assert!(number("/kinds/fine_binary/crop/first") > 0.7);
    assert!(folder.join("plots/selection.svg").exists());

    // A file that is no video is named, and the others are searched.
    let broken = folder.join("set/copies");
    let first = std::fs::read_dir(&broken).unwrap().map(|e| e.unwrap().path()).min().unwrap();
    std::fs::write(&first, b"not a video").unwrap();
    let output = vidsieve(&["eval", "retrieval", "--videos", &videos, "--truth", &truth, "--model", &model]);
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && messages.contains("left out"), "{messages}");
    let missing = vidsieve(&["eval", "retrieval", "--videos", &videos, "--truth", &at("none.json"), "--model", &model]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("none.json"));
    std::fs::remove_dir_all(folder).unwrap();
}
