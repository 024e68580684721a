use ndarray::{Array4, s};
use proptest::prelude::*;

use super::*;
use crate::frames::{Preprocess, RgbFrame};
use crate::golden;
use crate::regions::RegionPooling;

/// Weights by the rule of the reference files.
fn weights(config: &BackboneConfig, label: &str) -> StateDict {
    let mut state = StateDict::new(label);
    for (name, shape) in config.tensors().unwrap() {
        let fan_in: usize = shape[1..].iter().product();
        let (scale, offset) = match (shape.len(), name.rsplit('.').next().unwrap()) {
            (4, _) => ((6.0 / fan_in as f64).sqrt() as f32, 0.0),
            (_, "weight") if name.contains("bn3.") => (0.1, 0.3),
            (_, "weight") => (0.2, 1.0),
            (_, "running_var") => (0.5, 1.0),
            _ => (0.1, 0.0),
        };
        let values = golden::numbers(&format!("{label}{name}"), shape.iter().product(), scale, offset);
        state.insert(name, shape, values).unwrap();
    }
    state
}

/// tract and every instruction set.
fn engines() -> impl Iterator<Item = Engine> {
    #[cfg(feature = "tract")]
    let others = [Engine::Tract];
    #[cfg(not(feature = "tract"))]
    let others = [];
    Isa::available().map(Engine::Products).chain(others)
}

fn frames(shape: [usize; 4]) -> Array4<f32> {
    Array4::from_shape_vec(shape, golden::numbers("frames", shape.iter().product(), 2.0, 0.0)).unwrap()
}

/// A convolution, its batch normalisation, an addition and ReLU from their definitions, one frame [channels][h][w].
fn naive_conv(
    state: &StateDict,
    (conv, norm): (&str, &str),
    (k, stride): (usize, usize),
    x: &Array4<f64>,
    residual: Option<&Array4<f64>>,
    relu: bool,
) -> Array4<f64> {
    let (n, inputs, h, w) = x.dim();
    let outputs = state.shape(&format!("{conv}.weight")).unwrap()[0];
    let weight = state.get(&format!("{conv}.weight"), &[outputs, inputs, k, k]).unwrap();
    let norm = |part: &str| state.get(&format!("{norm}.{part}"), &[outputs]).unwrap();
    let (gamma, beta, mean, var) = (norm("weight"), norm("bias"), norm("running_mean"), norm("running_var"));
    let size = |n: usize| (n + 2 * (k / 2) - k) / stride + 1;
    Array4::from_shape_fn((n, outputs, size(h), size(w)), |(f, o, y, x_)| {
        let mut sum = 0.0;
        for i in 0..inputs {
            for a in 0..k {
                for b in 0..k {
                    let (row, column) = ((y * stride + a).wrapping_sub(k / 2), (x_ * stride + b).wrapping_sub(k / 2));
                    if row < h && column < w {
                        sum += f64::from(weight[((o * inputs + i) * k + a) * k + b]) * x[[f, i, row, column]];
                    }
                }
            }
        }
        let normalised = (sum - f64::from(mean[o])) / (f64::from(var[o]) + 1e-5).sqrt();
        let value = normalised * f64::from(gamma[o]) + f64::from(beta[o]) + residual.map_or(0.0, |r| r[[f, o, y, x_]]);
        if relu { value.max(0.0) } else { value }
    })
}

fn naive_plain(config: &PlainConfig, state: &StateDict, frames: &Array4<f32>) -> Vec<Array4<f64>> {
    let mut x = naive_conv(state, ("stem", "stem_bn"), (3, 2), &frames.mapv(f64::from), None, true);
    (1..=config.stages.len())
        .map(|i| {
            let name = |part: &str| format!("stage{i}.{part}");
            let a = naive_conv(state, (&name("conv1"), &name("bn1")), (3, 2), &x, None, true);
            let shortcut = config
                .residual
                .then(|| naive_conv(state, (&name("shortcut"), &name("shortcut_bn")), (1, 2), &x, None, false));
            x = naive_conv(state, (&name("conv2"), &name("bn2")), (3, 1), &a, shortcut.as_ref(), true);
            x.clone()
        })
        .collect()
}

/// A bottleneck ResNet whose stages after the first begin with stride 2.
fn naive_resnet(config: &ResnetConfig, state: &StateDict, frames: &Array4<f32>) -> Vec<Array4<f64>> {
    let x = naive_conv(state, ("conv1", "bn1"), (7, 2), &frames.mapv(f64::from), None, true);
    let (n, c, h, w) = x.dim();
    let mut x = Array4::from_shape_fn((n, c, h.div_ceil(2), w.div_ceil(2)), |(f, c, y, x_)| {
        let range = |at: usize, n: usize| (2 * at).saturating_sub(1)..(2 * at + 2).min(n);
        x.slice(s![f, c, range(y, h), range(x_, w)]).iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
    });
    let mut taps = vec![];
    for (stage, &blocks) in config.blocks.iter().enumerate() {
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let a = naive_conv(state, (&name("conv1"), &name("bn1")), (1, 1), &x, None, true);
            let b = naive_conv(state, (&name("conv2"), &name("bn2")), (3, stride), &a, None, true);
            let shortcut = if state.contains(&name("downsample.0.weight")) {
                naive_conv(state, (&name("downsample.0"), &name("downsample.1")), (1, stride), &x, None, false)
            } else {
                x.clone()
            };
            x = naive_conv(state, (&name("conv3"), &name("bn3")), (1, 1), &b, Some(&shortcut), true);
        }
        taps.push(x.clone());
    }
    taps
}

/// Largest difference relative to the largest value of the tap, which counts as 1 at least.
fn error(got: &[Array4<f32>], expected: &[Array4<f64>]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let pairs = got.iter().zip(expected);
    pairs
        .map(|(a, b)| {
            assert_eq!(a.dim(), b.dim());
            let largest = b.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            let worst = a.iter().zip(b).map(|(x, y)| (f64::from(*x) - y).abs());
            worst.fold(0.0, |m, e| if e.is_nan() { f64::INFINITY } else { m.max(e) }) / largest
        })
        .fold(0.0, f64::max)
}

fn plain(stem: usize, stages: &[usize], residual: bool) -> PlainConfig {
    PlainConfig { stem, stages: stages.to_vec(), residual }
}

#[test]
fn known_networks_have_their_known_sizes() {
    let tiny = BackboneConfig::tiny();
    assert_eq!(tiny.tap_channels().unwrap(), [24, 48, 96]);
    assert_eq!(tiny.tap_sizes(112, 112).unwrap(), [(28, 28), (14, 14), (7, 7)]);
    let parameters = |config: &BackboneConfig| -> usize {
        let tensors = config.tensors().unwrap();
        let learned = tensors.iter().filter(|(name, _)| !name.contains("running"));
        learned.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    };
    assert_eq!(parameters(&tiny), 171_776);
    assert_eq!(tiny.multiply_adds(112, 112).unwrap(), 21_073_920);
    let resnet = BackboneConfig::resnet50();
    assert_eq!(resnet.tap_channels().unwrap(), [256, 512, 1024, 2048]);
    assert_eq!(resnet.tap_sizes(224, 288).unwrap(), [(56, 72), (28, 36), (14, 18), (7, 9)]);
    // torchvision's 25,557,032 without the classifier.
    assert_eq!(parameters(&resnet), 25_557_032 - 2_049_000);
    assert_eq!(resnet.multiply_adds(224, 224).unwrap() / 10_000_000, 408);
}

#[test]
fn bad_configurations_and_weights_are_refused() {
    for bad in [
        BackboneConfig::Plain(plain(0, &[4], true)),
        BackboneConfig::Plain(plain(4, &[], true)),
        BackboneConfig::Plain(plain(4, &[4, 0], true)),
        BackboneConfig::Resnet(ResnetConfig { blocks: vec![1, 0], stem: 4, width: 4, expansion: 4 }),
        BackboneConfig::Resnet(ResnetConfig { blocks: vec![usize::MAX], stem: 4, width: 4, expansion: 4 }),
        BackboneConfig::Resnet(ResnetConfig { blocks: vec![1; 90], stem: 4, width: 4, expansion: 4 }),
        BackboneConfig::Resnet(ResnetConfig { blocks: vec![1], stem: 4, width: usize::MAX / 2, expansion: 4 }),
    ] {
        assert!(matches!(bad.validate(), Err(BackboneError::Config(_))), "{bad:?}");
    }
    let config = BackboneConfig::Plain(plain(4, &[5], true));
    let mut state = weights(&config, "light.");
    state.insert("stage1.bn2.running_var", vec![5], vec![1.0, 1.0, -0.5, 1.0, 1.0]).unwrap();
    let message = Backbone::with_engine(&config, &state, engines().last().unwrap()).unwrap_err().to_string();
    assert!(
        message.contains("light.") && message.contains("stage1.bn2.running_var") && message.contains("-0.5"),
        "{message}"
    );
    let wider = BackboneConfig::Plain(plain(4, &[6], true));
    let shape = Backbone::new(&wider, &state).unwrap_err();
    assert!(matches!(shape, BackboneError::Weights(WeightsError::Shape { .. })));
    let missing = Backbone::new(&config, &StateDict::new("light.")).unwrap_err();
    assert!(matches!(missing, BackboneError::Weights(WeightsError::Missing { .. })));
}

#[test]
fn frames_of_a_wrong_shape_are_refused() {
    let config = BackboneConfig::Plain(plain(4, &[5], false));
    for engine in engines() {
        let backbone = Backbone::with_engine(&config, &weights(&config, "light."), engine).unwrap();
        assert_eq!(backbone.run(frames([1, 4, 8, 8]).view()).unwrap_err(), BackboneError::Input([1, 4, 8, 8]));
        assert_eq!(backbone.run(frames([1, 3, 0, 8]).view()).unwrap_err(), BackboneError::Input([1, 3, 0, 8]));
        assert_eq!(backbone.run(frames([0, 3, 8, 8]).view()).unwrap()[0].dim().0, 0);
    }
}

#[test]
fn configuration_round_trips_as_json() {
    for config in [BackboneConfig::resnet50(), BackboneConfig::tiny()] {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<BackboneConfig>(&json).unwrap(), config, "{json}");
    }
}

#[test]
fn folded_weights_make_the_same_network() {
    let config = BackboneConfig::Plain(plain(4, &[5, 7], true));
    let state = weights(&config, "light.");
    let folded = config.fold(&state).unwrap();
    assert!(folded.contains("stage2.shortcut.bias") && !folded.contains("stage2.bn1.weight"));
    let x = frames([2, 3, 9, 12]);
    for engine in engines() {
        let run = |state: &StateDict| Backbone::with_engine(&config, state, engine).unwrap().run(x.view()).unwrap();
        assert_eq!(run(&state), run(&folded));
    }
}

#[test]
fn frames_of_a_batch_do_not_mix_and_sizes_may_change() {
    let config = BackboneConfig::tiny();
    for engine in engines() {
        let backbone = Backbone::with_engine(&config, &weights(&config, "light."), engine).unwrap();
        for side in [16, 24, 32, 40, 48, 16] {
            let x = frames([3, 3, side, side]);
            let all = backbone.run(x.view()).unwrap();
            for frame in 0..3 {
                let one = backbone.run(x.slice(s![frame..=frame, .., .., ..])).unwrap();
                for (all, one) in all.iter().zip(&one) {
                    assert_eq!(all.slice(s![frame..=frame, .., .., ..]), one);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn plain_networks_match_the_definition(
        stem in 1usize..6, stages in proptest::collection::vec(1usize..8, 1..4), residual in any::<bool>(),
        n in 1usize..3, h in 1usize..24, w in 1usize..24,
    ) {
        let plain = plain(stem, &stages, residual);
        let config = BackboneConfig::Plain(plain.clone());
        let state = weights(&config, "light.");
        let x = frames([n, 3, h, w]);
        let expected = naive_plain(&plain, &state, &x);
        for engine in engines() {
            let got = Backbone::with_engine(&config, &state, engine).unwrap().run(x.view()).unwrap();
            let error = error(&got, &expected);
            prop_assert!(error < 1e-5, "{engine:?}: {error}");
        }
    }

    #[test]
    fn resnets_match_the_definition(
        blocks in proptest::collection::vec(1usize..3, 1..4), stem in 1usize..9, width in 1usize..5, expansion in 1usize..4,
        h in 1usize..40, w in 1usize..40,
    ) {
        let resnet = ResnetConfig { blocks, stem, width, expansion };
        let config = BackboneConfig::Resnet(resnet.clone());
        let state = weights(&config, "resnet.");
        let x = frames([1, 3, h, w]);
        let expected = naive_resnet(&resnet, &state, &x);
        for engine in engines() {
            let got = Backbone::with_engine(&config, &state, engine).unwrap().run(x.view()).unwrap();
            let error = error(&got, &expected);
            prop_assert!(error < 1e-5, "{engine:?}: {error}");
        }
    }
}

#[test]
fn golden_feature_extractor() {
    let file = golden::file("feature_extractor");
    let (shape, bytes) = file.u8("frames");
    let images: Vec<_> = bytes
        .chunks_exact(shape[1] * shape[2] * 3)
        .map(|image| RgbFrame::new(shape[2] as u32, shape[1] as u32, image).unwrap())
        .collect();
    // The frames are 224x224 already: neither resized nor cropped.
    let preprocess = Preprocess { resize: crate::frames::Resize::Keep, ..Preprocess::imagenet(256, 224) };
    let x = preprocess.batch(&images).unwrap();
    let corner: Vec<f32> = x.slice(s![0, .., ..8, ..8]).iter().copied().collect();
    assert!(golden::error(&corner, &file.f32("normalized_0_0_8x8").1) <= 1e-6);
    let config = BackboneConfig::resnet50();
    let state = weights(&config, "resnet.");
    for engine in std::iter::once(Engine::default()).chain(engines().skip(Isa::available().count())) {
        let taps = Backbone::with_engine(&config, &state, engine).unwrap().run(x.view()).unwrap();
        for (i, tap) in taps.iter().enumerate() {
            let (_, expected) = file.f32(&format!("layer{}.mean_std_max", i + 1));
            let values = || tap.iter().map(|&v| f64::from(v));
            let mean = values().sum::<f64>() / tap.len() as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / (tap.len() - 1) as f64;
            let got = [mean, variance.sqrt(), values().fold(0.0, f64::max)];
            for (got, expected) in got.iter().zip(&expected) {
                assert!(
                    (got - f64::from(*expected)).abs() <= 1e-4 * f64::from(expected.abs()),
                    "{i}: {got} {expected}"
                );
            }
            let first: Vec<f32> = tap.slice(s![0, ..4, .., ..]).iter().copied().collect();
            let (_, maps) = file.f32(&format!("layer{}.first4ch_frame0", i + 1));
            assert!(golden::error(&first, &maps) <= 1e-5 * expected[2]);
        }
        let pooling = RegionPooling::L3Imac { kernels: vec![28, 14, 6, 3] };
        let regions = pooling.pool(&taps.iter().map(|tap| tap.view()).collect::<Vec<_>>()).unwrap();
        let error = golden::error(regions.as_slice().unwrap(), &file.f32("regions3840").1);
        assert!(error <= 1e-5, "{engine:?}: {error}");
    }
}
