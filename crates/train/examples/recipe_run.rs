//! `recipe_run WORK RECIPE.json`
#![allow(clippy::unwrap_used)]
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use vidsieve_edits::{Image, clip::FrameClip};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Storage;
use vidsieve_train::corpus::NamedClip;
use vidsieve_train::defaults::Sizes;
use vidsieve_train::materials::{Stills, files};
use vidsieve_train::monitor::{Monitor, Progress};
use vidsieve_train::pipeline::{Material, Workshop};
use vidsieve_train::recipe::{Recipe, Stage, bundles, carry_out, save_report};

struct Print;

impl Monitor for Print {
    fn report(&mut self, p: &Progress) {
        if p.step % 50 == 0 || p.step == p.steps || p.values.keys().any(|k| k.starts_with("validation")) {
            println!("{}", serde_json::to_string(p).unwrap());
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let work = PathBuf::from(args.next().unwrap());
    let recipe: Recipe = serde_json::from_slice(&std::fs::read(args.next().unwrap()).unwrap()).unwrap();
    let folders = ["/tmp/media/stills", "/tmp/media/stills2", "/tmp/clipframes"].map(PathBuf::from);
    let (stills, _) = Stills::load(&folders).unwrap();
    let mut material = Material::default();
    let mut clothing = 0;
    for (i, (name, image)) in stills.names.iter().zip(stills.images).enumerate() {
        if name.starts_with("alexeygrigorev") {
            clothing += 1;
            if clothing % 4 != 0 {
                continue;
            }
        }
        if i % 16 == 7 { material.held_out.push(Arc::new(image)) } else { material.stills.push(Arc::new(image)) }
    }
    let frames = std::fs::read_dir("/tmp/clipframes").unwrap().count();
    material.scenes = material.stills[..material.stills.len() - frames].to_vec();
    let mut names: Vec<PathBuf> = std::fs::read_dir("/tmp/clips4").unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for (i, folder) in names.iter().enumerate() {
        let frames: Vec<Image> = files(folder, &["jpg"])
            .unwrap()
            .iter()
            .map(|p| Image::decode(&std::fs::read(p).unwrap()).unwrap())
            .collect();
        let clip = NamedClip {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            clip: FrameClip::new(frames, 4.0).unwrap(),
        };
        if i % 6 == 3 { material.held_out_clips.push(clip) } else { material.clips.push(clip) }
    }
    let shop = Workshop {
        folder: work,
        isa: Isa::best(),
        device: Device::flex().autodiff(),
        sizes: Sizes::default(),
    };
    let (networks, report) = carry_out(&shop, &recipe, &material, Stage::Calibration, &mut Print).unwrap();
    let networks = networks.unwrap();
    save_report(&shop, &recipe, &report).unwrap();
    let [browser, whole] = bundles(&shop, &networks, Storage::F16, "", &Default::default()).unwrap();
    std::fs::write(shop.path("default.safetensors"), browser.as_bytes()).unwrap();
    std::fs::write(shop.path("default-full.safetensors"), whole.as_bytes()).unwrap();
    println!("{} {}", browser.as_bytes().len(), whole.as_bytes().len());
}
