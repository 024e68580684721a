//! Fine networks before any training on a working folder's validation corpus: which comparator, how many bits.
//!
//! `cargo bench -p vidsieve-train --bench starts -- WORK [QUERIES]`, the folder by its absolute path.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::path::PathBuf;

use vidsieve_kernels::Isa;
use vidsieve_model::fine::Fine;
use vidsieve_train::data::features::FeatureSet;
use vidsieve_train::learners::validation::Validation;
use vidsieve_train::networks::init;
use vidsieve_train::networks::linear::itq;
use vidsieve_train::networks::parameters::Parameters;
use vidsieve_train::networks::sizes::Sizes;
use vidsieve_train::stage::StageRecord;

/// Comparator weights: taps of the first convolution along the diagonal, weight of what further channels exceed the first by.
fn comparator(p: &mut Parameters, maps: usize, along: [f32; 3], excess: f32, through: [f32; 2]) {
    for layer in 1..=3 {
        let name = format!("visil_head.conv{layer}.weight");
        let w = p.values_mut(&name).unwrap();
        let outputs = [0, 32, 64, 128][layer];
        let inputs = w.len() / 9 / outputs;
        w.fill(0.0);
        for filter in 0..maps {
            let row = &mut w[filter * inputs * 9..][..inputs * 9];
            if layer > 1 {
                row[filter * 9 + 4] = 1.0;
                continue;
            }
            for (tap, weight) in [0, 4, 8].into_iter().zip(along) {
                row[filter * 9 + tap] = weight;
                if filter > 0 {
                    row[tap] = -weight;
                }
            }
        }
        p.values_mut(&format!("visil_head.conv{layer}.bias")).unwrap().fill(0.0);
    }
    let w = p.values_mut("visil_head.fconv.weight").unwrap();
    w.fill(0.0);
    for (map, w) in w[..maps].iter_mut().enumerate() {
        *w = through[1] * if map == 0 { 1.0 } else { excess };
    }
    p.values_mut("visil_head.fconv.bias").unwrap().fill(through[0]);
}

fn main() {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let work = PathBuf::from(args.next().expect("a working folder"));
    let queries = args.next().map_or(50, |n| n.parse().unwrap());
    let isa = Isa::best();
    let features = work.join("features");
    let record = StageRecord::complete(&features, "validation").unwrap();
    let mut set = FeatureSet::load_all(record.paths(&features)).unwrap();
    set.group(isa, 0.7);
    let validation = Validation::new(&set, queries, 300);
    println!(
        "{} videos, {} queries, {} in the database",
        set.videos.len(),
        validation.queries.len(),
        validation.database.len()
    );
    let show = |name: &str, v: &std::collections::BTreeMap<String, f64>| {
        let kinds: Vec<String> =
            v.iter().filter(|(k, _)| k.starts_with("kind_")).map(|(k, v)| format!("{} {v:.2}", &k[5..])).collect();
        println!("{name:<44} map {:.4}  {}", v["map"], kinds.join(" "));
    };
    for (name, values) in validation.plain(isa).unwrap() {
        show(&name, &values);
    }
    let x: Vec<f32> = set
        .videos
        .iter()
        .flat_map(|v| v.data.chunks_exact(set.dims).step_by(29).take(12).flatten().map(|v| v.to_f32()))
        .collect();
    for bits in [None, Some(128), Some(256), Some(512)] {
        let sizes = Sizes { bits: bits.unwrap_or(128), ..Sizes::default() };
        let mut config = sizes.fine_binary();
        if bits.is_none() {
            config.bits = None;
        }
        let projection = bits.map(|b| itq(isa, &x, set.dims, b, 50, 11).unwrap());
        let maps = config.comparator.channels[0];
        let variants: &[(&str, [f32; 3], f32)] = if bits == Some(256) || bits.is_none() {
            &[
                ("along .25 .5 .25", [0.25, 0.5, 0.25], 0.5),
                ("along 0 1 0", [0.0, 1.0, 0.0], 0.5),
                ("excess 1", [0.25, 0.5, 0.25], 1.0),
                ("excess .25", [0.25, 0.5, 0.25], 0.25),
                ("excess 0", [0.25, 0.5, 0.25], 0.0),
                ("along .33", [0.33, 0.34, 0.33], 0.5),
            ]
        } else {
            &[("along .25 .5 .25", [0.25, 0.5, 0.25], 0.5)]
        };
        for (name, along, excess) in variants {
            let mut p = init::fine(&config, projection.as_deref(), 1);
            comparator(&mut p, maps, *along, *excess, [-0.9, 0.9]);
            let fine = Fine::new(isa, config.clone(), &p.to_state("start.").unwrap()).unwrap();
            show(&format!("{bits:?} {name}"), &validation.fine(&fine).unwrap());
        }
    }
}
