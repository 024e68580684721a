//! The command as a user meets it: exit statuses, and errors of one line that name the file.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vidsieve(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vidsieve")).args(args).output().unwrap()
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn refused(output: &Output, names: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.contains(names), "{message}");
}

#[test]
fn bad_files_give_one_line_that_names_them() {
    let dir = scratch("bad");
    for (name, bytes) in [("empty.bin", &b""[..]), ("text.bin", b"no weights here"), ("new\nline.bin", b"12345678901")]
    {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.display().to_string();
        let shown = name.replace('\n', " ");
        refused(&vidsieve(&["model", "info", &path]), &shown);
        let out = dir.join("out.safetensors").display().to_string();
        let output = vidsieve(&["model", "convert", "--from", &path, "--out", &out]);
        assert_eq!(output.status.code(), Some(2));
        assert!(!Path::new(&out).exists());
    }
    refused(&vidsieve(&["model", "info", "not-there.safetensors"]), "not-there.safetensors");
    refused(&vidsieve(&["eval", "parity", &dir.display().to_string()]), "golden folder");
}

#[test]
fn a_checkpoint_becomes_a_bundle_that_a_cut_copy_does_not_replace() {
    let dir = scratch("convert");
    // In a folder that is not there yet.
    let out = dir.join("made/b.safetensors").display().to_string();
    let from = golden().join("visil_f512.pth").display().to_string();
    let output = vidsieve(&["model", "convert", "--from", &from, "--out", &out, "--storage", "f16", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["config"]["teacher"]["dims"], 512);
    assert_eq!(info["networks"]["teacher"]["parameters"], 93_313);
    let whole = std::fs::read(&out).unwrap();
    let cut = dir.join("cut.safetensors");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    refused(&vidsieve(&["model", "info", &cut.display().to_string()]), "cut.safetensors");
}

#[test]
fn parity_passes_on_the_golden_folder_and_fails_on_a_changed_number() {
    let output = vidsieve(&["eval", "parity", &golden().display().to_string(), "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    assert!(report["groups"].as_array().unwrap().len() >= 100);
    assert_eq!(output.status.code(), Some(0));

    let dir = scratch("changed");
    for file in ["inputs.safetensors", "model_fg_none.pth"] {
        std::fs::copy(golden().join(file), dir.join(file)).unwrap();
    }
    let mut bytes = std::fs::read(golden().join("fg_none.out.safetensors")).unwrap();
    // The header is followed by f32 values: one of them becomes another number.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..8 + header + 4].copy_from_slice(&7f32.to_le_bytes());
    std::fs::write(dir.join("fg_none.out.safetensors"), bytes).unwrap();
    let output = vidsieve(&["eval", "parity", &dir.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAIL"));
}
