//! Trains a backbone on folders of stills: `backbone_run CHECKPOINT STEPS FOLDER…`.
#![allow(clippy::unwrap_used)]
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use vidsieve_kernels::Isa;
use vidsieve_model::backbone::BackboneConfig;
use vidsieve_train::instance::LossWeights;
use vidsieve_train::materials::Stills;
use vidsieve_train::monitor::{Monitor, Progress};
use vidsieve_train::run::{Schedule, train};
use vidsieve_train::self_supervised::{BackboneLearner, BackboneOptions};

struct Print;

impl Monitor for Print {
    fn report(&mut self, p: &Progress) {
        println!("{}", serde_json::to_string(p).unwrap());
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let checkpoint = PathBuf::from(args.next().unwrap());
    let steps: u64 = args.next().unwrap().parse().unwrap();
    let folders: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let (stills, refused) = Stills::load(&folders).unwrap();
    for line in refused {
        eprintln!("left out: {line}");
    }
    let (mut train_on, mut held_out) = (Vec::new(), Vec::new());
    let mut clothing = 0;
    for (i, (name, image)) in stills.names.iter().zip(stills.images).enumerate() {
        if name.starts_with("alexeygrigorev") {
            clothing += 1;
            if clothing % 4 != 0 {
                continue;
            }
        }
        if i % 16 == 7 { held_out.push(image) } else { train_on.push(image) }
    }
    println!("{} stills, {} held out", train_on.len(), held_out.len());
    let schedule = Schedule {
        steps,
        lr: 2e-3,
        warmup: 50,
        weight_decay: 1e-3,
        clip: 0.0,
        validate_every: 250,
        ..Schedule::default()
    };
    let options = BackboneOptions { sides: vec![(0, 64), (steps * 92 / 100, 112)], ..BackboneOptions::default() };
    let BackboneConfig::Plain(config) = BackboneConfig::tiny() else { return };
    let start = vidsieve_train::init::backbone(&config, options.head, schedule.seed);
    let settings = format!("{config:?} {options:?}");
    let device = Device::flex().autodiff();
    let weights = LossWeights::default();
    let mut learner =
        BackboneLearner::new(config, options, weights, Arc::new(train_on), &held_out, schedule.seed, device, Isa::best())
            .unwrap();
    train("backbone", &checkpoint, &settings, &schedule, start, &mut learner, &mut Print).unwrap();
}
