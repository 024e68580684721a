//! Both benchmarks in small, with the networks of the default bundle.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vidsieve_benchmark::ablation::{Ablation, AblationCorpora, AblationStudy};
use vidsieve_benchmark::hard::{HardBenchmark, HardMaterial, HardOptions};
use vidsieve_edits::clip::{FrameClip, ProceduralClip, ShotConfig};
use vidsieve_edits::{Clip, Image};
use vidsieve_kernels::Isa;
use vidsieve_train::data::clips::NamedClip;
use vidsieve_train::data::corpus::CorpusOptions;
use vidsieve_train::data::material::Material;
use vidsieve_train::device;
use vidsieve_train::monitor::{Monitor, Progress, Silent, StageNote};
use vidsieve_train::networks::sizes::Sizes;
use vidsieve_train::recipe::{Recipe, RecipeStage, Workshop, carry_out, read_bundle};

/// A folder that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vidsieve-benchmark-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn shop(&self) -> Workshop {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default-full.safetensors");
        let given = Some(Arc::new(read_bundle(&path).unwrap()));
        let (folder, sizes) = (self.0.clone(), Sizes::default());
        Workshop { folder, isa: Isa::best(), device: device(), sizes, given, start: None }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Stops after so many reports, and keeps notes.
struct Watch(u32, Vec<StageNote>);

impl Monitor for Watch {
    fn report(&mut self, _: &Progress) {
        self.0 = self.0.saturating_sub(1);
    }

    fn note(&mut self, note: &StageNote) {
        self.1.push(note.clone());
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

fn clip(seed: u64) -> NamedClip {
    let mut drawn = ProceduralClip::new(seed, ShotConfig { duration: 10.0, ..ShotConfig::default() }).unwrap();
    let frames: Vec<Image> = (0..10).map(|second| drawn.frame(f64::from(second)).unwrap()).collect();
    NamedClip { name: format!("{seed}.mp4"), clip: FrameClip::new(frames, 1.0).unwrap() }
}

#[test]
fn the_hard_benchmark_measures_what_it_made_with_its_settings() {
    let scratch = Scratch::new("hard");
    let material = HardMaterial { clips: vec![clip(1), clip(2)], stills: Vec::new() };
    let mut options = HardOptions::default();
    options.edits.kinds = ["crop", "border"].map(String::from).into();
    options.edits.chains = vec![2];
    options.frames = 4;
    options.distractors.sources = 5;
    options.distractors.frames = 3;
    let benchmark = HardBenchmark::new(scratch.shop()).unwrap();
    assert!(benchmark.videos(&material, &options, &mut Watch(1, Vec::new())).is_err(), "it was stopped");
    let mut watch = Watch(u32::MAX, Vec::new());
    let set = benchmark.videos(&material, &options, &mut watch).unwrap();
    assert!(watch.1.is_empty(), "{:?}", watch.1);
    let fresh = Scratch::new("hard-fresh");
    let whole = HardBenchmark::new(fresh.shop()).unwrap().videos(&material, &options, &mut Silent).unwrap();
    assert_eq!(set, whole, "an interrupted benchmark ends as one that was not");

    let report = benchmark.measure(&set, None).unwrap();
    let networks = &report.output.report;
    // Two clips, each with two kinds, a chain and another take, and five distractors.
    assert_eq!((networks.queries, networks.relevant_pairs, networks.database), (2, 6, 13));
    assert_eq!((report.takes, report.distractors), (2, 5));
    assert!(networks.teacher.as_ref().unwrap().map > 0.5 && networks.dns.is_some());
    for name in ["mean_vector", "frame_chamfer", "region_chamfer", "across_scales"] {
        assert!(report.output.plain[name].map > 0.3, "{name}");
    }
    assert_eq!(report.output.kinds["coarse"]["crop"].copies, 2);
    assert_eq!(report.output.plain["across_scales"].map, report.sizes[0].map);
    assert!(report.sizes.iter().any(|row| row.bits == Some(64)) && report.sizes.iter().any(|row| row.regions == 10));
    let names: Vec<&str> = report.plots().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["selection.svg", "bits.svg", "reliability.svg"]);
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["fine_binary"]["map"].is_number() && json["takes"] == 2 && json.get("thresholds").is_none());

    // Selectors of unknown origin are refused, by name.
    std::fs::write(scratch.0.join("ablation-selector-2.safetensors"), "of another bundle").unwrap();
    let message = benchmark.measure(&set, Some(&scratch.0)).unwrap_err().to_string();
    assert!(message.contains("ablation-selector-2.safetensors") && message.contains("no record"), "{message}");

    // Other edits are other videos.
    options.edits.kinds = vec!["flip".into()];
    let mut watch = Watch(u32::MAX, Vec::new());
    let other = benchmark.videos(&material, &options, &mut watch);
    let [note] = watch.1.as_slice() else { panic!("{:?}", watch.1) };
    assert!(note.stage == "hard" && note.files == 2 && note.reason.contains("edits.kinds"), "{note}");
    assert!(other.is_err() || other.unwrap().videos != set.videos);
}

#[test]
fn an_ablation_reads_the_corpora_by_their_records() {
    let scratch = Scratch::new("ablation");
    let shop = scratch.shop();
    let message = AblationCorpora::load(&shop).unwrap_err().to_string();
    assert!(message.contains("train.stage.json"), "{message}");

    let mut recipe = Recipe::default();
    let corpus =
        CorpusOptions { sources: 4, shard: 2, copies: 2, frames: 4, seconds: [4.0, 5.0], ..CorpusOptions::default() };
    recipe.validation = CorpusOptions { seed: 8, ..corpus.clone() };
    recipe.corpus = corpus;
    recipe.coarse.anchors = 3;
    let mut material = Material::default();
    material.draw(8);
    carry_out(&shop, &recipe, &material, RecipeStage::Features, &mut Silent).unwrap();

    let corpora = AblationCorpora::load(&shop).unwrap();
    assert_eq!(corpora.training_videos(), 12);
    let bundle = Arc::clone(shop.given.as_ref().unwrap());
    let ablation = Ablation::new(&shop, &recipe, &corpora, 2);
    let rows = ablation.run(AblationStudy::Coarse, &bundle, &mut Silent).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names[0], "S^c, attention, transformer, NetVLAD");
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.score.is_some_and(|s| (0.0..=1.0).contains(&s)) && row.start.is_some()));
    // The same study again reads its runs; a study of other settings does not.
    let again = ablation.run(AblationStudy::Coarse, &bundle, &mut Silent).unwrap();
    assert_eq!(again, rows);
    let mut watch = Watch(u32::MAX, Vec::new());
    Ablation::new(&shop, &recipe, &corpora, 1).run(AblationStudy::Coarse, &bundle, &mut watch).unwrap();
    assert_eq!(watch.1.len(), 5, "{:?}", watch.1);
    assert!(watch.1[0].reason.contains("`schedule.steps` was 2, is 1"), "{}", watch.1[0]);

    // A shard that is missing is not passed over.
    std::fs::remove_file(shop.path("features/train-0001.safetensors")).unwrap();
    let message = AblationCorpora::load(&shop).unwrap_err().to_string();
    assert!(message.contains("train-0001.safetensors"), "{message}");
}
