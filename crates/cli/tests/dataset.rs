//! `vidsieve eval dataset` and `eval segments` on folders in the published layouts.
#![cfg(feature = "eval")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Scratch, clips, ffmpeg, json, refused, stderr, vidsieve};

fn shared(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/datasets").join(name).display().to_string()
}

#[test]
fn a_part_of_a_data_set_is_decoded_compared_and_ranked() {
    let scratch = Scratch::new("dataset");
    let folder = scratch.folder("videos");
    clips(&folder);
    // Copies that are cropped and encoded anew; ids are names without extension, as of YouTube.
    for name in ["bars.mp4", "mandelbrot.mp4"] {
        let from = folder.join(name).display().to_string();
        let out = folder.join(format!("copy-{name}"));
        ffmpeg(&["-i", &from, "-vf", "crop=iw*0.9:ih*0.9,scale=160:120", "-c:v", "libx264", "-crf", "30"], &out);
    }
    std::fs::write(folder.join("broken.mp4"), b"not a video").unwrap();
    let annotation = scratch.path("annotation.json");
    let truth = serde_json::json!({
        "annotation": {
            "bars": { "ND": ["copy-bars"], "DS": ["missing"] }, "mandelbrot": { "DS": ["copy-mandelbrot"] },
            "life": { "ND": ["missing"] }, "gone": { "ND": ["copy-bars"] }
        },
        "5k": {
            "queries": ["bars", "mandelbrot", "life", "gone"],
            "database": ["copy-bars", "copy-mandelbrot", "gradients", "cells", "life", "missing", "broken"]
        }
    });
    std::fs::write(&annotation, truth.to_string()).unwrap();
    let (annotation, videos, plots) =
        (annotation.display().to_string(), folder.display().to_string(), scratch.text("plots"));
    let common = ["eval", "dataset", "--name", "FIVR-5K", "--annotation", &annotation, "--videos", &videos];
    let report = json(&[&common[..], &["--plots", &plots, "--json"]].concat(), 0);
    assert_eq!(report["dataset"], "fivr-5k");
    assert_eq!(report["queries"], serde_json::json!({ "listed": 4, "available": 3, "missing": ["gone"] }));
    assert_eq!(report["database"]["missing"], serde_json::json!(["broken", "missing"]));
    assert!(report["unreadable"]["broken"].as_str().is_some_and(|reason| !reason.is_empty()), "{report}");
    for network in ["coarse", "fine_binary"] {
        let row = &report["results"][network]["DSVR"];
        assert_eq!((row["queries"].as_u64(), row["without_relevant"].as_u64()), (Some(2), Some(1)), "{report}");
    }
    assert_eq!(report["results"]["fine_binary"]["DSVR"]["map"], 1.0, "{report}");
    assert_eq!(report["dns"]["shares"].as_array().unwrap().len(), 21);
    assert!(report["bytes_per_video"]["fine_binary"].as_f64().unwrap() > 500.0);
    assert!(Path::new(&plots).join("shares.svg").exists());

    // The table names what is missing as well.
    let table = vidsieve(&common);
    let text = String::from_utf8(table.stdout.clone()).unwrap();
    assert!(table.status.success(), "{}", stderr(&table));
    for part in ["3 of 4 queries", "missing: gone", "5 of 7 database videos", "unreadable: broken: ", "DAVR", "100 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn similarities_of_another_program_are_evaluated() {
    let annotation = shared("cc_web_video.pickle");
    let file = shared("cc_web_video.part.json");
    let common = ["eval", "dataset", "--name", "cc_web_video", "--annotation", &annotation];
    let report = json(&[&common[..], &["--similarities", &file, "--json"]].concat(), 0);
    assert_eq!(report["database"]["missing"].as_array().unwrap().len(), 4);
    let map = report["results"]["similarities"]["mAP"]["map"].as_f64().unwrap();
    let named = json(&[&common[..], &["--similarities", &format!("mine={file}"), "--json"]].concat(), 0);
    assert_eq!(named["results"]["mine"]["mAP"]["map"].as_f64(), Some(map));

    // Fewer videos than the file has scores for.
    let scratch = Scratch::new("dataset-available");
    let list = scratch.path("here.txt");
    std::fs::write(&list, "1/1_0_Y\n1/1_1_Y\n2/2_20_Y\n").unwrap();
    let list = list.display().to_string();
    let fewer = json(&[&common[..], &["--similarities", &file, "--available", &list, "--json"]].concat(), 0);
    assert_eq!(fewer["database"]["available"], 3);

    let evve = shared("evve.pickle");
    let merged = ["coarse", "fine_binary", "selector"].map(|n| format!("{n}={}", shared(&format!("merge.{n}.json"))));
    let [a, b, c] = &merged;
    let report =
        json(&["eval", "dataset", "--name", "evve", "--annotation", &evve, "--json", "--similarities", a, b, c], 0);
    assert_eq!(report["dns"]["map"]["mAP"].as_array().unwrap().len(), 21);
}

#[test]
fn what_is_no_data_set_is_refused() {
    let (pickle, file) = (shared("evve.pickle"), shared("evve.json"));
    let run = |arguments: &[&str]| vidsieve(&[&["eval", "dataset"], arguments].concat());
    let named = run(&["--name", "imagenet", "--annotation", &pickle, "--similarities", &file]);
    assert_eq!(named.status.code(), Some(2));
    assert!(stderr(&named).contains("fivr-200k"), "{}", stderr(&named));
    let nothing = run(&["--name", "evve", "--annotation", &pickle]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("--similarities"), "{}", stderr(&nothing));
    refused(&run(&["--name", "fivr-5k", "--annotation", &pickle, "--similarities", &file]), &["evve.pickle", "`5k`"]);
    refused(&run(&["--name", "evve", "--annotation", "/none/evve.pickle", "--similarities", &file]), &["/none/evve"]);
    let features = shared("features.hdf5");
    refused(&run(&["--name", "evve", "--annotation", &pickle, "--features", &features]), &["0 of 12 queries"]);
    refused(&run(&["--name", "evve", "--annotation", &pickle, "--features", &file]), &["evve.json", "neither HDF5"]);
}

#[test]
fn segments_are_compared_with_labelled_ones() {
    let [labels, predictions, groups] = ["vcsl.labels.json", "vcsl.predictions.json", "vcsl.groups.json"].map(shared);
    let common = ["eval", "segments", "--rule", "vcsl", "--truth", &labels, "--predictions", &predictions];
    let report = json(&[&common[..], &["--groups", &groups, "--split", "test", "--json"]].concat(), 0);
    assert_eq!((report["pairs"].as_u64(), report["query_sets"].as_u64()), (Some(20), Some(2)));
    assert!(report["macro_average"]["f1"].as_f64().is_some_and(|f1| f1 > 0.5 && f1 < 1.0), "{report}");
    let [labels, predictions] = ["vsc.labels.csv", "vsc.predictions.csv"].map(shared);
    let report =
        json(&["eval", "segments", "--rule", "vsc", "--truth", &labels, "--predictions", &predictions, "--json"], 0);
    assert!(report["segment_uap"].as_f64().is_some_and(|uap| uap > 0.5 && uap < 1.0), "{report}");
    let swapped = vidsieve(&["eval", "segments", "--rule", "vsc", "--truth", &predictions, "--predictions", &labels]);
    refused(&swapped, &["vsc.labels.csv", "no column `score`"]);
}
