use ndarray::Array4;
use vidsieve_model::backbone::Backbone;
use vidsieve_model::regions::{Pooling, RegionPooling, WindowGrid};

use super::*;

fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut z = seed ^ 0x9e37_79b9_7f4a_7c15;
    (0..count)
        .map(|_| {
            z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (z >> 56) as u8
        })
        .collect()
}

fn small(stem: usize, stages: &[usize], residual: bool, loss: LossConfig) -> TrainerConfig {
    TrainerConfig {
        network: PlainConfig { stem, stages: stages.to_vec(), residual },
        dims: 7,
        loss,
        ..TrainerConfig::tiny(100, 5)
    }
}

/// A trainer whose batch normalisations and biases are not neutral.
fn trainer(config: TrainerConfig) -> Trainer {
    let mut trainer = Trainer::new(config).unwrap();
    let mut state = trainer.state();
    let names: Vec<String> = state.iter().map(|(n, _)| n.to_owned()).collect();
    for (seed, name) in names
        .iter()
        .enumerate()
        .filter(|(_, n)| n.contains("bn.") || n.contains("bn1") || n.contains("bn2") || n.ends_with("bias"))
    {
        let values = state.values_mut(name).unwrap();
        let noise = bytes(seed as u64, values.len());
        for (v, n) in values.iter_mut().zip(noise) {
            *v += (f32::from(n) - 128.0) / 400.0;
        }
    }
    trainer.load(&state).unwrap();
    trainer
}

/// Gradients against central differences of the definitions in f64.
fn check(config: TrainerConfig, images: usize, side: usize, sources: &[u32]) {
    let mut trainer = trainer(config.clone());
    let views = bytes(3, 2 * images * side * side * 3);
    let (parts, gradients) = trainer.gradients(&views, side, sources).unwrap();
    let mut p = reference::values(&trainer.parameters);
    let loss = |p: &reference::Values| reference::loss(p, &config.network, &config.loss, &views, side, sources);
    let expected = loss(&p);
    assert!((parts.total - expected).abs() <= 1e-4 * expected.abs().max(1.0), "loss {} {expected}", parts.total);
    let h = 1e-5;
    for (name, gradient) in &gradients {
        let chosen: Vec<usize> = (0..gradient.len()).step_by(gradient.len().div_ceil(6)).collect();
        let mut errors = 0.0;
        let mut differences = vec![];
        for &i in &chosen {
            let value = p[name][i];
            let mut at = |v: f64| {
                p.get_mut(name).unwrap()[i] = v;
                loss(&p)
            };
            let difference = (at(value + h) - at(value - h)) / (2.0 * h);
            at(value);
            errors += (difference - f64::from(gradient[i])).powi(2);
            differences.push(difference);
        }
        let norm = differences.iter().map(|d| d * d).sum::<f64>().sqrt();
        let got: Vec<f32> = chosen.iter().map(|&i| gradient[i]).collect();
        assert!(errors.sqrt() <= 1e-3 * norm + 1e-6, "{name}: {got:?} {differences:?}");
    }
}

#[test]
fn gradients_of_a_residual_network() {
    check(small(4, &[6, 8], true, LossConfig::default()), 3, 16, &[0, 1, 2]);
}

#[test]
fn gradients_of_a_plain_network_of_odd_side() {
    check(small(3, &[5], false, LossConfig::default()), 2, 11, &[4, 9]);
}

#[test]
fn gradients_of_each_term() {
    let off = LossConfig { temperature: 0.2, region: 0.0, global: 0.0, koleo: 0.0, cross: 0.0 };
    for loss in [
        LossConfig { region: 1.0, ..off },
        LossConfig { global: 1.0, ..off },
        LossConfig { koleo: 1.0, ..off },
        LossConfig { cross: 1.0, ..off },
    ] {
        check(small(3, &[4], true, loss), 3, 10, &[1, 1, 2]);
    }
}

#[test]
fn a_batch_of_many_lanes() {
    check(small(2, &[3], true, LossConfig::default()), 9, 6, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

/// The same bits whatever the number of threads.
#[test]
fn threads_do_not_matter() {
    let views = bytes(8, 26 * 32 * 32 * 3);
    let sources: Vec<u32> = (0..13).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = Trainer::new(TrainerConfig { average: Some(0.9), ..TrainerConfig::tiny(10, 1) }).unwrap();
            let reports: Vec<StepReport> = (0..3).map(|_| trainer.step(&views, 32, &sources).unwrap()).collect();
            (reports, trainer.state())
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

/// Evaluation by the model's backbone and regions.
#[test]
fn an_exported_network_is_the_same() {
    let config = TrainerConfig { average: Some(0.5), ..small(6, &[8, 10, 12], true, LossConfig::default()) };
    let mut trainer = trainer(config.clone());
    let sources: Vec<u32> = (0..8).collect();
    for seed in 0..5 {
        trainer.step(&bytes(seed, 16 * 40 * 40 * 3), 40, &sources).unwrap();
    }
    for (averaged, side) in [(false, 40), (true, 40), (false, 51)] {
        let views = bytes(77, 3 * side * side * 3);
        let got = trainer.regions(&views, side, averaged).unwrap();
        let backbone =
            Backbone::new(&BackboneConfig::Plain(config.network.clone()), &trainer.export(averaged).unwrap()).unwrap();
        let frames = Array4::from_shape_fn((3, 3, side, side), |(v, c, y, x)| {
            (f32::from(views[((v * side + y) * side + x) * 3 + c]) - 115.0) / 58.0
        });
        let taps = backbone.run(frames.view()).unwrap();
        let pooling = RegionPooling::Windows {
            grids: vec![WindowGrid { count: 3, fraction: 0.5 }, WindowGrid { count: 1, fraction: 1.0 }],
            pooling: Pooling::Gem { p: 3.0, floor: 1e-6 },
            normalise: false,
        };
        let expected = pooling.pool(&taps.iter().map(|t| t.view()).collect::<Vec<_>>()).unwrap();
        assert_eq!(expected.dim(), (3, REGIONS, 30));
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() <= 1e-4, "{got} {expected}");
        }
    }
}

#[test]
fn a_run_learns_and_continues_from_its_state() {
    let config = TrainerConfig {
        rate: 5e-3,
        warm_up: 2,
        average: Some(0.9),
        clip: Some(5.0),
        ..small(4, &[6, 8], true, LossConfig::default())
    };
    // Second views are first views, a little darker.
    let first = bytes(5, 6 * 20 * 20 * 3);
    let views: Vec<u8> = first.iter().copied().chain(first.iter().map(|v| v / 2 + 30)).collect();
    let sources: Vec<u32> = (0..6).collect();
    let mut trainer = Trainer::new(config.clone()).unwrap();
    let mut reports: Vec<StepReport> = (0..12).map(|_| trainer.step(&views, 20, &sources).unwrap()).collect();
    let state = trainer.state();
    reports.extend((0..12).map(|_| trainer.step(&views, 20, &sources).unwrap()));
    assert!(
        reports[23].loss.total < 0.7 * reports[0].loss.total,
        "{} {}",
        reports[0].loss.total,
        reports[23].loss.total
    );
    assert!(reports[23].loss.accuracy > 0.9);
    let mut other = Trainer::new(TrainerConfig { seed: 99, ..config.clone() }).unwrap();
    other.load(&state).unwrap();
    assert_eq!(other.steps(), 12);
    for report in &reports[12..] {
        assert_eq!(other.step(&views, 20, &sources).unwrap(), *report);
    }
    assert_eq!(other.state(), trainer.state());
    other.start_from(&state).unwrap();
    assert_eq!(other.steps(), 0);
    let mut wider = Trainer::new(TrainerConfig { dims: 9, ..config }).unwrap();
    let before = wider.state();
    assert!(wider.load(&state).is_err());
    assert_eq!(wider.state(), before);
}

#[test]
fn the_rate_rises_and_falls() {
    let config = TrainerConfig::tiny(150, 0);
    assert!((config.rate_at(0) - 4e-5).abs() < 1e-9);
    assert!((config.rate_at(49) - 2e-3).abs() < 1e-9);
    assert!((config.rate_at(50) - 2e-3).abs() < 1e-9);
    assert!((config.rate_at(149) - 4e-5).abs() < 1e-9);
    assert!((config.rate_at(100_000) - 4e-5).abs() < 1e-9);
}

#[test]
fn views_that_do_not_fit_are_refused() {
    let mut trainer = Trainer::new(small(2, &[3], true, LossConfig::default())).unwrap();
    for (count, side, sources) in [(4 * 192 + 1, 8, 2), (0, 8, 0), (3 * 192, 8, 2), (12, 0, 2), (4 * 192, 8, 3)] {
        let views = vec![0; count];
        let sources: Vec<u32> = (0..sources).collect();
        assert!(matches!(trainer.step(&views, side, &sources), Err(TrainError::Data(_))), "{count} {side}");
    }
    assert!(Trainer::new(TrainerConfig { rate: f32::NAN, ..TrainerConfig::tiny(1, 1) }).is_err());
}

/// burn's automatic differentiation of the same network and loss.
#[test]
fn gradients_are_those_of_burn() {
    use burn::tensor::{Device, Tensor, TensorData};

    use crate::networks::instance;
    use crate::networks::parameters::Leaves;

    let config = small(4, &[6, 8], true, LossConfig::default());
    let mut trainer = trainer(config.clone());
    let (images, side) = (4, 16);
    let sources = [3, 5, 3, 7];
    let views = bytes(13, 2 * images * side * side * 3);
    let (parts, gradients) = trainer.gradients(&views, side, &sources).unwrap();
    let device = Device::flex().autodiff();
    let leaves = Leaves::new(trainer.parameters(), &device, |n| !n.contains("running_"));
    let pixels: Vec<f32> = views.iter().map(|&v| (f32::from(v) - 115.0) / 58.0).collect();
    let input = Tensor::<1>::from_data(TensorData::new(pixels, [views.len()]), &device)
        .reshape([2 * images, side, side, 3])
        .permute([0, 3, 1, 2]);
    let maps = instance::taps(&leaves, &config.network, input, &mut Vec::new()).unwrap();
    let same: Vec<f32> =
        (0..16).map(|i| f32::from(u8::from(i / 4 != i % 4 && sources[i / 4] == sources[i % 4]))).collect();
    let same = Tensor::<1>::from_data(TensorData::new(same, [16]), &device).reshape([4, 4]);
    let (total, _) = instance::loss(&leaves, instance::regions(&maps), same, &super::LossConfig::default()).unwrap();
    let value = crate::networks::parameters::values(total.clone()).unwrap()[0];
    assert!((parts.total - f64::from(value)).abs() <= 1e-4 * parts.total.abs(), "{} {value}", parts.total);
    let expected = leaves.gradients(&total.backward()).unwrap();
    assert_eq!(expected.len(), gradients.len());
    for (name, expected) in &expected {
        let norm = expected.iter().map(|v| v * v).sum::<f32>().sqrt();
        let error = expected.iter().zip(&gradients[name]).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        assert!(error <= 1e-3 * norm + 1e-6, "{name}: error {error} of {norm}");
    }
}
