//! The whole recipe in small: every stage from drawn images to a bundle that describes and compares videos.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use vidsieve_edits::clip::{FrameClip, ProceduralClip, ShotConfig};
use vidsieve_edits::{Clip, Image};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network, Storage};
use vidsieve_train::TrainError;
use vidsieve_train::data::clips::NamedClip;
use vidsieve_train::data::corpus::CorpusOptions;
use vidsieve_train::data::features::TAKE;
use vidsieve_train::data::material::Material;
use vidsieve_train::data::pools::{PoolOptions, Pools};
use vidsieve_train::learners::run::Schedule;
use vidsieve_train::monitor::{Monitor, Progress, Silent, StageNote};
use vidsieve_train::networks::sizes::Sizes;
use vidsieve_train::recipe::{Networks, Recipe, RecipeStage, Workshop, bundles, carry_out, read_bundle};

fn recipe() -> Recipe {
    let mut r = Recipe::default();
    let short = |s: &mut Schedule| (s.steps, s.validate_every) = (4, 2);
    r.backbone.images = 8;
    r.backbone.sides = vec![(0, 32)];
    short(&mut r.backbone_schedule);
    r.pca_views = 24;
    let corpus = CorpusOptions {
        sources: 6,
        shard: 3,
        copies: 2,
        real_copies: 2,
        frames: 5,
        scenes: 0.5,
        takes: true,
        ..CorpusOptions::default()
    };
    r.validation = CorpusOptions { seed: 8, ..corpus.clone() };
    r.corpus = corpus;
    r.itq_vectors = 2000;
    r.iterations = 2;
    for plan in [&mut r.teacher, &mut r.fine_attention, &mut r.fine_binary] {
        plan.options.anchors = 3;
        short(&mut plan.schedule);
    }
    r.coarse.anchors = 4;
    short(&mut r.coarse_schedule);
    // So low that some answers are wrong whatever four steps made of the students.
    r.selector.threshold = 0.01;
    r.selector.pairs = 8;
    short(&mut r.selector_schedule);
    r
}

fn shop(name: &str) -> Workshop {
    let folder = std::env::temp_dir().join(format!("vidsieve-pipeline-{name}-{}", std::process::id()));
    let sizes = Sizes {
        stem: 8,
        stages: [8, 8, 16],
        dims: 32,
        bits: 32,
        output: 16,
        clusters: 2,
        feedforward: 16,
        heads: 2,
        comparator: [4, 8, 8],
        selector_comparator: [4, 4, 4],
        hidden: 8,
        two_scales: true,
        direct: true,
    };
    Workshop { folder, isa: Isa::best(), device: Device::flex().autodiff(), sizes, given: None, start: None }
}

fn material() -> Material {
    let mut material = Material::default();
    material.draw(48);
    let mut drawn = ProceduralClip::new(3, ShotConfig { duration: 9.0, ..ShotConfig::default() }).unwrap();
    let frames: Vec<Image> = (0..9).map(|second| drawn.frame(f64::from(second)).unwrap()).collect();
    let clip = NamedClip { name: "real.mp4".into(), clip: FrameClip::new(frames, 1.0).unwrap() };
    material.clips.push(clip);
    material
}

/// Every other take is a video of a scene that the corpus has, no copy, and a distractor of its
/// scene's original.
fn takes_are_no_copies(shop: &Workshop, sources: u64) {
    let mut set = shop.made_features("train").unwrap().value;
    set.group(shop.isa, 0.98);
    let position = |source: u64, kind: &str| {
        set.videos.iter().position(|v| v.info.source == source && (v.info.kind == kind)).unwrap()
    };
    let takes: Vec<u64> = set.videos.iter().filter(|v| v.info.kind == TAKE).map(|v| v.info.source).collect();
    assert!(takes.contains(&sources) && takes.len() > 1, "of the clip, and of a scene: {takes:?}");
    // Of 9 seconds 60 in a hundred are the clip, at most 5 frames; the rest is the take.
    assert_eq!([position(0, "original"), position(sources, TAKE)].map(|v| set.videos[v].frames), [5, 4]);
    let pools = Pools::mine(shop.isa, &set, &PoolOptions { hard: 100, random: 0, seed: 1 });
    for take in takes {
        let (original, take) = (position(take - sources, "original"), position(take, TAKE));
        assert!(set.videos[take].info.unrelated(&set.videos[original].info));
        assert!(pools.anchors.iter().all(|a| a.video != take));
        let anchor = pools.anchors.iter().find(|a| a.video == original).unwrap();
        assert!(anchor.negatives.iter().any(|m| m.video == take) && anchor.positives.iter().all(|m| m.video != take));
    }
}

fn files(shop: &Workshop, networks: &Networks) -> [Bundle; 2] {
    bundles(shop, networks, Storage::F16, "MIT", &BTreeMap::new()).unwrap()
}

/// Stops after so many reports.
struct StopAfter(u32);

impl Monitor for StopAfter {
    fn report(&mut self, _: &Progress) {
        self.0 = self.0.saturating_sub(1);
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn from_images_to_a_bundle_the_same_however_often_interrupted() {
    let (recipe, material) = (recipe(), material());
    let whole = shop("whole");
    let (networks, report) = carry_out(&whole, &recipe, &material, RecipeStage::Calibration, &mut Silent).unwrap();
    let [browser, full] = files(&whole, &networks.unwrap());
    assert_eq!(report.stages.len(), 15, "{:?}", report.stages.keys());
    assert!(report.plain.contains_key("across_scales"));
    for network in [Network::Backbone, Network::Pca, Network::FineBinary, Network::Coarse, Network::Selector] {
        assert!(browser.networks().any(|n| n == network), "{network}");
    }
    assert!(browser.weights(Network::FineAttention).is_err() && full.weights(Network::Teacher).is_ok());
    assert_eq!(browser.config().region_count().unwrap(), Some(35));
    assert!(browser.config().calibration.as_ref().unwrap().fine_binary.is_some());
    let binary = browser.weights(Network::FineBinary).unwrap();
    assert_eq!(
        binary.shape("direct.weight").unwrap(),
        [3, 8],
        "three channels, each a hypothesis, of eight kinds of evidence"
    );
    takes_are_no_copies(&whole, recipe.corpus.sources);

    // Networks of a bundle are taken as they are; what belongs to all of them is made anew.
    let later = Workshop { given: Some(Arc::new(full)), ..shop("given") };
    let (networks, report) = carry_out(&later, &recipe, &material, RecipeStage::Calibration, &mut Silent).unwrap();
    let [_, given] = files(&later, &networks.unwrap());
    assert!(report.stages.keys().all(|k| !["backbone", "teacher", "coarse"].contains(&k.as_str())));
    let first = later.given.as_ref().unwrap();
    for network in [Network::Backbone, Network::Pca, Network::Coarse] {
        assert_eq!(given.weights(network).unwrap(), first.weights(network).unwrap(), "{network}");
    }
    let codes = |b: &Bundle| b.weights(Network::FineBinary).unwrap().get("binarization.W", &[32, 32]).unwrap().to_vec();
    assert_eq!(codes(&given), codes(first));
    std::fs::remove_dir_all(&later.folder).unwrap();

    // A backbone that starts from a bundle's, and does not move, is that one.
    let mut still = recipe.clone();
    (still.backbone_schedule.lr, still.backbone_schedule.validate_every) = (0.0, 10);
    let start = Workshop { start: later.given.clone(), ..shop("start") };
    carry_out(&start, &still, &material, RecipeStage::Pca, &mut Silent).unwrap();
    let started = read_bundle(&start.path("extractor.safetensors")).unwrap();
    let convolution = |b: &Bundle| {
        let weights = b.weights(Network::Backbone).unwrap();
        weights.get("stage2.conv2.weight", &[8, 8, 3, 3]).unwrap().to_vec()
    };
    assert_eq!(convolution(&started), convolution(first));
    let mut other = Workshop { folder: start.path("other"), ..start.clone() };
    other.sizes.stages = [8, 16, 16];
    let error = carry_out(&other, &still, &material, RecipeStage::Backbone, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("to start from has no `stage2"), "{error}");
    std::fs::remove_dir_all(&start.folder).unwrap();

    let parts = shop("parts");
    let mut stops = 0u32;
    let networks = loop {
        match carry_out(&parts, &recipe, &material, RecipeStage::Calibration, &mut StopAfter(3 + 5 * stops)) {
            Err(TrainError::Cancelled) => stops += 1,
            other => break other.unwrap().0.unwrap(),
        }
        assert!(stops < 100, "no progress between stops");
    };
    assert!(stops > 3, "{stops}");
    let [again, _] = files(&parts, &networks);
    assert_eq!(again.id(), browser.id(), "an interrupted run ends as one that was not");
    for shop in [whole, parts] {
        std::fs::remove_dir_all(shop.folder).unwrap();
    }
}

/// Keeps what is said of artefacts of other settings.
#[derive(Default)]
struct Notes(Vec<StageNote>);

impl Monitor for Notes {
    fn report(&mut self, _: &Progress) {}

    fn note(&mut self, note: &StageNote) {
        self.0.push(note.clone());
    }
}

/// Notes and contents of a run up to the features.
fn features(shop: &Workshop, recipe: &Recipe, material: &Material) -> (Vec<StageNote>, BTreeMap<String, Vec<u8>>) {
    let mut notes = Notes::default();
    carry_out(shop, recipe, material, RecipeStage::Features, &mut notes).unwrap();
    let files = [shop.folder.clone(), shop.path("features")]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    (notes.0, files)
}

/// The stages that were made anew, and why.
fn anew(notes: &[StageNote]) -> Vec<(&str, &str)> {
    notes.iter().map(|note| (note.stage.as_str(), note.reason.as_str())).collect()
}

#[test]
fn a_stage_of_other_settings_is_made_anew() {
    let (mut recipe, mut material, shop) = (recipe(), material(), shop("settings"));
    recipe.corpus.copies = 1;
    recipe.validation.copies = 1;
    let (notes, first) = features(&shop, &recipe, &material);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(
        first.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "backbone.safetensors",
            "extractor.safetensors",
            "train-0000.safetensors",
            "train-0001.safetensors",
            "validation-0000.safetensors",
            "validation-0001.safetensors"
        ]
    );
    let (notes, again) = features(&shop, &recipe, &material);
    assert!(notes.is_empty() && again == first, "the same settings use what is there: {notes:?}");

    // Another corpus: of its own features, nothing of the former ones is used.
    let mut other = recipe.clone();
    (other.corpus.sources, other.corpus.seed) = (3, 70);
    let (notes, changed) = features(&shop, &other, &material);
    assert_eq!(anew(&notes), [("train", "`corpus.seed` was 7, is 70; `corpus.sources` was 6, is 3")]);
    assert_eq!((notes[0].files, notes[0].file.clone()), (2, shop.path("features").join("train-0000.safetensors")));
    assert_ne!(changed["train-0000.safetensors"], first["train-0000.safetensors"]);
    assert!(!changed.contains_key("train-0001.safetensors"), "a leftover shard");
    let sources = |set: &vidsieve_train::data::features::FeatureSet| {
        set.videos.iter().filter(|v| v.info.kind == "original").count()
    };
    assert_eq!(sources(&shop.made_features("train").unwrap().value), 3);
    for kept in ["backbone.safetensors", "extractor.safetensors", "validation-0000.safetensors"] {
        assert_eq!(changed[kept], first[kept], "{kept}");
    }

    // Another whitening: it and all that is described with it.
    other.pca_shrink = 0.5;
    let (notes, shrunk) = features(&shop, &other, &material);
    let described = "`extractor` is another one";
    assert_eq!(
        anew(&notes),
        [("extractor", "`shrink` was 0.0, is 0.5"), ("train", described), ("validation", described)]
    );
    for (name, same) in
        [("backbone.safetensors", true), ("extractor.safetensors", false), ("train-0000.safetensors", false)]
    {
        assert_eq!(shrunk[name] == changed[name], same, "{name}");
    }
    // Back to the first settings: the same artefacts as then.
    assert_eq!(features(&shop, &recipe, &material).1, first);

    // Artefacts without a record, as of a version before there were records.
    std::fs::remove_file(shop.path("extractor.stage.json")).unwrap();
    let (notes, _) = features(&shop, &recipe, &material);
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(note.file.ends_with("extractor.safetensors") && note.reason.contains("no record"), "{note}");
    assert!(shop.path("stale/extractor.safetensors").exists(), "the former artefact is kept");

    // Other material.
    material.held_out.pop();
    let (notes, _) = features(&shop, &recipe, &material);
    let stages: Vec<&str> = notes.iter().map(|n| n.stage.as_str()).collect();
    assert_eq!(stages, ["backbone", "extractor", "train", "validation"]);
    std::fs::remove_dir_all(shop.folder).unwrap();
}

#[test]
fn nothing_to_train_on_is_said() {
    let shop = shop("empty");
    let mut recipe = recipe();
    recipe.backbone.procedural = 0.0;
    let error = carry_out(&shop, &recipe, &Material::default(), RecipeStage::Backbone, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("stills"), "{error}");
    let _ = std::fs::remove_dir_all(PathBuf::from(&shop.folder));
}
