//! `vidsieve samples`: clips drawn by the program itself, and edited copies of them with their truth, to try things out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rayon::prelude::*;
use serde::Serialize;
use vidsieve_edits::clip::{Clip, ProceduralClip, ShotConfig};
use vidsieve_edits::{Edit, Edited, Kind, SourceFacts, generator};
use vidsieve_video::{Codec, Rate, Writer, WriterOptions};

use crate::output::{Failure, json, line, write};

/// Frames a second of the clips.
const FPS: u32 = 15;
/// Names of the clips.
const NAMES: [&str; 12] =
    ["amber", "basalt", "cobalt", "dune", "ember", "fjord", "granite", "harbour", "indigo", "jasper", "kelp", "lagoon"];
/// The copies: clip, kind of edit.
const COPIES: [(usize, Kind); 12] = [
    (0, Kind::Crop),
    (0, Kind::Excerpt),
    (1, Kind::Flip),
    (2, Kind::TextLogo),
    (2, Kind::Recompress),
    (3, Kind::BlurredFill),
    (4, Kind::Colour),
    (5, Kind::Border),
    (5, Kind::Speed),
    (6, Kind::Excerpt),
    (7, Kind::FilmedScreen),
    (8, Kind::PictureInPicture),
];
/// How strong the edits are, 0 to 1.
const STRENGTH: f32 = 0.5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write to: `originals/`, `copies/` and `samples.json`. Existing files are kept.
    #[arg(long)]
    out: PathBuf,
    /// Seed of clips and edits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A copy and what it is a copy of.
#[derive(Debug, Serialize)]
struct Copy {
    file: String,
    source: String,
    edit: &'static str,
    /// The clip that it was set into.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Stretches of the copy and of the source that show the same.
    segments: Vec<vidsieve_edits::Segment>,
}

#[derive(Debug, Serialize)]
struct Samples {
    seed: u64,
    originals: Vec<String>,
    copies: Vec<Copy>,
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(format_args!("{}: {error}", path.display()))
}

/// A clip of 8 to 16 seconds.
fn clip(seed: u64, number: usize) -> Result<ProceduralClip, vidsieve_edits::EditError> {
    use rand::RngExt;
    let duration = generator(&[seed, number as u64]).random_range(8.0..16.0);
    let config = ShotConfig { width: 320, height: 180, duration, shot: [2.0, 5.0], layers: 6, ..ShotConfig::default() };
    ProceduralClip::new(seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), config)
}

fn write_clip(path: &Path, clip: &mut dyn Clip, crf: u8) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let (width, height) = clip.size();
    let (width, height) = (width & !1, height & !1);
    let options = WriterOptions {
        codec: Codec::H264 { crf, preset: "veryfast" },
        ..WriterOptions::h264(width, height, Rate { num: FPS, den: 1 })
    };
    let mut writer = Writer::create(path, &options)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let frames = (clip.duration() * f64::from(FPS)).round().max(1.0) as u32;
    for i in 0..frames {
        let frame = clip.frame(f64::from(i) / f64::from(FPS)).map_err(|e| failed(path, e))?;
        writer.write(&frame.crop(0, 0, width, height).pixels)?;
    }
    Ok(writer.finish()?)
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { out, seed, json: as_json } = args;
    let list = out.join("samples.json");
    // Files that are there stay: they must be of the same seed.
    if let Ok(text) = std::fs::read(&list) {
        let before = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|v| v["seed"].as_u64());
        if before != Some(seed) {
            return Err(failed(&list, "these samples are of another seed: give another folder, or remove this one"));
        }
    }
    for folder in ["originals", "copies"] {
        let folder = out.join(folder);
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
    }
    let original = |i: usize| format!("originals/{}.mp4", NAMES[i]);
    (0..NAMES.len()).into_par_iter().try_for_each(|i| {
        let path = out.join(original(i));
        write_clip(&path, &mut clip(seed, i).map_err(|e| failed(&path, e))?, 20)
    })?;
    let copies = COPIES
        .par_iter()
        .enumerate()
        .map(|(k, &(i, kind))| {
            let file = format!("copies/{}-{}.mp4", NAMES[i], kind.name().replace('_', "-"));
            let path = out.join(&file);
            let fail = |e| failed(&path, e);
            let source = clip(seed, i).map_err(fail)?;
            let mut rng = generator(&[seed, 1000 + k as u64]);
            let edit = Edit::sample(&mut rng, kind, STRENGTH, &SourceFacts::of(&source));
            // Hosts are clips of which there is no other copy.
            let host = kind.needs_host().then_some(NAMES.len() - 1 - k % 3);
            let hosts = host.map(|h| clip(seed, h)).transpose().map_err(fail)?;
            let hosts = hosts.into_iter().map(|h| Box::new(h) as Box<dyn Clip>).collect();
            let crf = edit.crf().unwrap_or(24);
            let mut edited = Edited::new(Box::new(source), hosts, edit).map_err(fail)?;
            let segments = edited.segments().to_vec();
            write_clip(&path, &mut edited, crf)?;
            Ok(Copy { file, source: original(i), edit: kind.name(), host: host.map(original), segments })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let samples = Samples { seed, originals: (0..NAMES.len()).map(original).collect(), copies };
    write(&list, &serde_json::to_vec_pretty(&samples)?)?;
    if as_json {
        json(&samples)?;
    } else {
        let (n, m) = (samples.originals.len(), samples.copies.len());
        line(format_args!("{n} clips and {m} edited copies are in {}", out.display()));
    }
    Ok(ExitCode::SUCCESS)
}
