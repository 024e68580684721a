//! `vidsieve eval trust` from clips to a report.
#![cfg(feature = "eval")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Scratch, json, refused, vidsieve};
use vidsieve_edits::Clip;
use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
use vidsieve_video::{Rate, Writer, WriterOptions};

fn draw(path: &Path, seed: u64) {
    let config = ShotConfig { width: 128, height: 72, duration: 5.0, shot: [1.5, 2.5], ..ShotConfig::default() };
    let mut clip = ProceduralClip::new(seed, config).unwrap();
    let mut writer = Writer::create(path, &WriterOptions::h264(128, 72, Rate { num: 8, den: 1 })).unwrap();
    for i in 0..40 {
        writer.write(&clip.frame(f64::from(i) / 8.0).unwrap().pixels).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_set_is_made_and_run_from_the_command_line() {
    let dir = Scratch::new("trust");
    let (clips, set, plots) = (dir.text("clips"), dir.text("set"), dir.text("plots"));
    std::fs::create_dir_all(&clips).unwrap();
    for (name, seed) in [("amber", 1), ("basalt", 2), ("cobalt", 3)] {
        draw(&Path::new(&clips).join(format!("{name}.mp4")), seed);
    }
    let make = ["eval", "trust", "make", "--clips", &clips, "--out", &set, "--pairs", "2", "--side", "72"];
    let kinds = [&make[..], &["--kinds", "lead-white,copy-cropped", "--json"]].concat();
    let made = json(&kinds, 0);
    assert_eq!((made["clips"].as_u64(), made["pairs"].as_u64(), made["kept"].as_u64()), (Some(3), Some(4), Some(0)));
    assert_eq!(json(&kinds, 0)["kept"], made["videos"], "the same command makes nothing again");

    let report = json(&["eval", "trust", "run", "--set", &set, "--plots", &plots, "--json"], 0);
    assert_eq!((report["pairs"].as_u64(), report["kinds"][1]["name"].as_str()), (Some(4), Some("copy-cropped")));
    assert_eq!(report["kinds"][1]["claimed"].as_f64(), Some(1.0), "{report}");
    for plot in ["claims.svg", "relations.svg", "reliability.svg", "recall.svg"] {
        assert!(Path::new(&plots).join(plot).exists(), "{plot}");
    }
    // As text, and with its limits as the exit status.
    let kept = report["bars"].as_array().unwrap().iter().all(|bar| bar["kept"].as_bool().unwrap());
    let output = vidsieve(&["eval", "trust", "run", "--set", &set, "--check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!kept)), "{text}");
    for line in ["lead-white", "relation found", "precision", "same footage claimed: 1.0000 (limit >= 0.97)"] {
        assert!(text.contains(line), "{line}: {text}");
    }

    refused(&vidsieve(&[&make[..], &["--kinds", "nonsense"]].concat()), &["there is no kind `nonsense`"]);
    refused(&vidsieve(&["eval", "trust", "run", "--set", &clips]), &["trust.json", "`vidsieve eval trust make`"]);
    let table = dir.text("groups.csv");
    std::fs::write(&table, "name,group\n").unwrap();
    refused(&vidsieve(&[&make[..], &["--groups", &table]].concat()), &["groups.csv: it is no table of clips"]);
}
