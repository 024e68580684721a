//! One training step of every network against numbers of the public implementation (`train_*` of the golden folder): losses,
//! gradients and parameters after Adam.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData, activation};
use vidsieve_eval::rule;
use vidsieve_model::config::{CoarseConfig, FineConfig, SelectorConfig};
use vidsieve_model::tensors::TensorFile;
use vidsieve_model::weights::StateDict;
use vidsieve_train::networks::nets::{Batch, CoarseNet, FineNet, SelectorNet};
use vidsieve_train::networks::parameters::{Adam, Leaves, NamedGradients, Parameters, values};

/// Relative to the largest value of the tensor.
const GRADIENT: f32 = 1e-3;
/// Norms below this are rounding.
const NOISE: f32 = 1e-5;

fn golden(name: &str) -> TensorFile<'static> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(format!("{name}.safetensors"));
    TensorFile::parse(name, Vec::leak(std::fs::read(&path).unwrap())).unwrap()
}

fn floats(file: &TensorFile<'_>, name: &str) -> Vec<f32> {
    file.f32(name).unwrap().1
}

/// The weights of `model` by the golden rule, which leaves integers (counters) out.
fn weights(model: &str) -> StateDict {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/state_dict_shapes.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.split('\t');
        let (name, key, shape, kind) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        let shape = shape.trim_matches(['[', ']']);
        let shape = shape.split(", ").filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect::<Vec<usize>>();
        (name == model && kind == "torch.float32").then_some((key, shape))
    });
    let mut state = rule::state_dict(model, rows).unwrap();
    assert!(!state.is_empty(), "{model}");
    if model == "fg_bin" {
        let (shape, w) = golden("fg_bin.weights").f32("binarization.W").unwrap();
        state.insert("binarization.W", shape, w).unwrap();
    }
    state
}

/// Anchors c7, d28[:12]; positives b4, g12; negatives f30[:9], e28[:16].
fn batch(device: &Device) -> Batch {
    let inputs = golden("inputs");
    let videos: Vec<Vec<f32>> = [("c7", 7), ("d28", 12), ("b4", 4), ("g12", 12), ("f30", 9), ("e28", 16)]
        .iter()
        .map(|(name, frames)| floats(&inputs, name)[..frames * 9 * 512].to_vec())
        .collect();
    let views: Vec<&[f32]> = videos.iter().map(Vec::as_slice).collect();
    Batch::new(&views, 9, 512, device).unwrap()
}

fn close(name: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst <= tolerance * largest.max(1e-6), "{name}: off by {worst}, largest value {largest}");
}

/// Every gradient's norm, and those stored in full.
fn gradients(file: &TensorFile<'_>, got: &NamedGradients) {
    let mut checked = 0;
    for (name, gradient) in got {
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let stored = floats(file, &format!("grad_norm.{name}"));
        if stored[0] < NOISE {
            // Batch normalisation takes a constant away: this gradient is zero but for rounding.
            assert!(norm < f64::from(NOISE), "{name}: {norm}");
            continue;
        }
        #[allow(clippy::cast_possible_truncation)]
        close(&format!("grad_norm.{name}"), &[norm as f32], &stored, GRADIENT);
        if let Ok((_, full)) = file.f32(&format!("grad.{name}")) {
            close(&format!("grad.{name}"), gradient, &full, GRADIENT);
            checked += 1;
        }
    }
    let stored = file.names().iter().filter(|n| n.starts_with("grad.")).count();
    assert_eq!(checked, stored, "gradients stored in full");
    let norms = file.names().iter().filter(|n| n.starts_with("grad_norm.")).count();
    assert_eq!(got.len(), norms, "gradients of all parameters");
}

fn fine(model: &str) {
    let file = golden(&format!("train_{model}"));
    let device = Device::flex().autodiff();
    let state = weights(model);
    let net = FineNet::new(FineConfig::infer(&state, Some(512), false).unwrap());
    let mut parameters = Parameters::from_state(&state);
    let leaves = Leaves::new(&parameters, &device, |_| true);
    let batch = batch(&device);
    close("masks", &values(batch.mask.clone()).unwrap(), &floats(&file, "masks"), 0.0);
    let index = net.index(&leaves, &batch).unwrap();
    if let Ok((_, expected)) = file.f32("index_train_erf_anchor0") {
        close("index_train_erf_anchor0", &values(index.select(&[0]).videos).unwrap(), &expected, 1e-4);
    }
    let scores = net.similarity(&leaves, &index.select(&[0, 0, 1, 1]), &index.select(&[2, 4, 3, 5])).unwrap();
    close(
        "student_sims_pos_neg",
        &values(scores.similarity.clone()).unwrap(),
        &floats(&file, "student_sims_pos_neg"),
        1e-4,
    );
    let targets = Tensor::<1>::from_data(TensorData::new(floats(&file, "targets"), [4]), &device);
    let l1 = (scores.similarity - targets).abs().mean();
    let reg = scores.excess.sum();
    let loss = l1.clone() + reg.clone() * 1e-3;
    for (name, value) in [("l1", l1), ("reg", reg), ("loss", loss.clone())] {
        close(name, &values(value).unwrap(), &floats(&file, name), 1e-4);
    }
    let got = leaves.gradients(&loss.backward()).unwrap();
    gradients(&file, &got);
    Adam::default().step(&mut parameters, &got, 1e-4).unwrap();
    for name in ["visil_head.fconv.weight", "visil_head.conv1.weight"] {
        close(name, parameters.values(name).unwrap(), &floats(&file, &format!("after_adam.{name}")), GRADIENT);
    }
}

#[test]
fn fine_attention_student() {
    fine("fg_att");
}

#[test]
fn fine_binary_student() {
    fine("fg_bin");
}

#[test]
fn coarse_student() {
    let file = golden("train_cg_small_nodropout");
    let device = Device::flex().autodiff();
    let state = weights("cg_small");
    let net = CoarseNet { config: CoarseConfig::infer(&state, None, 8).unwrap() };
    let leaves = Leaves::new(&Parameters::from_state(&state), &device, |_| true);
    let embeddings = net.embed(&leaves, &batch(&device), &mut |_| None).unwrap();
    close("embeddings", &values(embeddings.clone()).unwrap(), &floats(&file, "embeddings"), 1e-4);
    let row = |i: usize| embeddings.clone().narrow(0, i, 1);
    let dot = |a: usize, b: usize| (row(a) * row(b)).sum_dim(1).reshape([1]);
    let sims: Tensor<1> = Tensor::cat(vec![dot(0, 2), dot(0, 4), dot(1, 3), dot(1, 5)], 0);
    close("student_sims_pos_neg", &values(sims.clone()).unwrap(), &floats(&file, "student_sims_pos_neg"), 1e-4);
    let targets = Tensor::<1>::from_data(TensorData::new(floats(&file, "targets01"), [4]), &device);
    let l1 = (sims - targets).abs().mean();
    close("l1", &values(l1.clone()).unwrap(), &floats(&file, "l1"), 1e-4);
    gradients(&file, &leaves.gradients(&l1.backward()).unwrap());
}

#[test]
fn selector() {
    let file = golden("train_selector_nodropout");
    let device = Device::flex().autodiff();
    let state = weights("selector");
    let net = SelectorNet { config: SelectorConfig::infer(&state).unwrap() };
    let parameters = Parameters::from_state(&state);
    let leaves = Leaves::new(&parameters, &device, |name| !name.contains("running_"));
    let own = net.self_similarity(&leaves, &batch(&device)).unwrap();
    close("self_sim", &values(own.clone()).unwrap(), &floats(&file, "self_sim"), 1e-4);
    let column = |x: Tensor<1>| x.reshape([3, 1]);
    let coarse = Tensor::<1>::from_data(TensorData::new(floats(&file, "coarse"), [3]), &device);
    let rows: Tensor<2> =
        Tensor::cat(vec![column(own.clone().narrow(0, 0, 3)), column(own.narrow(0, 3, 3)), column(coarse)], 1);
    let (logits, statistics) = net.logits(&leaves, rows, &mut |_| None).unwrap();
    let p = activation::sigmoid(logits.clone());
    close("prob", &values(p).unwrap(), &floats(&file, "prob_trainmode_bn_nodropout"), 1e-4);
    let labels = Tensor::<1>::from_data(TensorData::new(floats(&file, "labels"), [3]), &device);
    let bce = vidsieve_train::networks::losses::binary_cross_entropy(logits, labels);
    close("bce", &values(bce.clone()).unwrap(), &floats(&file, "bce"), 1e-4);
    gradients(&file, &leaves.gradients(&bce.backward()).unwrap());

    let mut parameters = parameters;
    vidsieve_train::networks::nets::update_running(&mut parameters, statistics, 0.1).unwrap();
    for (name, stored) in [("running_mean", "bn1.running_mean_after"), ("running_var", "bn1.running_var_after")] {
        let got = parameters.values(&format!("mlp.model.1.{name}")).unwrap();
        close(name, got, &floats(&file, stored), 1e-4);
    }
}
