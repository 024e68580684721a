//! Drawn clips that benchmarks are made of.

use std::path::{Path, PathBuf};

use vidsieve::Control;
use vidsieve_benchmark::trust::{Groups, TrustSource, load_sources};
use vidsieve_edits::Clip;
use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
use vidsieve_video::{Rate, Writer, WriterOptions};

/// A folder that is removed again.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vidsieve-benchmark-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a drawn clip of several shots.
fn draw(path: &Path, seed: u64, take: u64, seconds: f64) {
    let fixed = take > 0;
    let shot = if fixed { [seconds, seconds] } else { [1.5, 2.5] };
    let config = ShotConfig { width: 160, height: 96, duration: seconds, shot, fixed, take, ..ShotConfig::default() };
    let mut clip = ProceduralClip::new(seed, config).unwrap();
    let mut writer = Writer::create(path, &WriterOptions::h264(160, 96, Rate { num: 10, den: 1 })).unwrap();
    for i in 0..(seconds * 10.0) as u32 {
        writer.write(&clip.frame(f64::from(i) / 10.0).unwrap().pixels).unwrap();
    }
    writer.finish().unwrap();
}

/// Clips of eight sources, and two groups of takes.
pub(crate) fn clips(folder: &Path) -> Vec<TrustSource> {
    let names = ["amber", "basalt", "cobalt", "dune", "ember", "fjord", "granite", "harbour"];
    for (i, name) in names.iter().enumerate() {
        draw(&folder.join(format!("{name}.mp4")), 40 + i as u64, 0, 6.0 + i as f64 * 0.5);
    }
    let mut table = "file,group\n".to_owned();
    for (group, seed, take) in [("inlet", 90, 1), ("inlet", 90, 2), ("jetty", 91, 1), ("jetty", 91, 2)] {
        draw(&folder.join(format!("{group}-{take}.mp4")), seed, take, 5.0);
        table += &format!("{group}-{take}.mp4,{group}\n");
    }
    std::fs::write(folder.join("groups.csv"), table).unwrap();
    let groups = Groups::load(&[folder.join("groups.csv")]).unwrap();
    let (sources, left_out) = load_sources(&[folder], &groups, 96, &Control::new()).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(sources.len(), 12);
    sources
}
