//! Milliseconds a view of one training step of the backbone on burn's CPU backend.
//!
//! `cargo bench -p vidsieve-train --bench instance`
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use vidsieve_model::backbone::BackboneConfig;
use vidsieve_train::networks::backbone::LossConfig;
use vidsieve_train::networks::instance::{loss, regions, taps};
use vidsieve_train::networks::parameters::Leaves;

fn main() {
    let BackboneConfig::Plain(config) = BackboneConfig::tiny() else { return };
    let parameters = vidsieve_train::networks::init::backbone(&config, 128, 1);
    let device = Device::flex().autodiff();
    let views = 64;
    for side in [64usize, 112] {
        let images = Tensor::<4>::random([views, 3, side, side], Distribution::Normal(0.0, 1.0), &device);
        for _ in 0..3 {
            let start = Instant::now();
            let leaves = Leaves::new(&parameters, &device, |n| !n.contains("running_"));
            let maps = taps(&leaves, &config, images.clone(), &mut Vec::new()).unwrap();
            let forward = start.elapsed().as_secs_f64();
            let same = Tensor::zeros([views / 2, views / 2], &device);
            let (total, _) = loss(&leaves, regions(&maps), same, &LossConfig::default()).unwrap();
            let whole = start.elapsed().as_secs_f64();
            let gradients = leaves.gradients(&total.backward()).unwrap();
            let end = start.elapsed().as_secs_f64();
            println!(
                "{side} px: {:.2} ms a view (taps {:.2}, loss {:.2}, backward {:.2}), {} gradients",
                1e3 * end / views as f64,
                1e3 * forward / views as f64,
                1e3 * (whole - forward) / views as f64,
                1e3 * (end - whole) / views as f64,
                gradients.len()
            );
        }
    }
}
