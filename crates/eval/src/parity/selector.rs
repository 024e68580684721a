//! The selector.

use vidsieve_kernels::comparator::Pool;
use vidsieve_model::config::SelectorConfig;
use vidsieve_model::selector::Selector;
use vidsieve_model::tensors::TensorFile;

use super::fine::COMPARATOR;
use super::{Checker, ParityError, layout, scored, tolerance, weights};

/// Keys and shapes of a selector with one hidden-to-hidden layer.
fn shapes(dims: usize, hidden: usize) -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> =
        COMPARATOR.iter().map(|(n, s)| (format!("visil_head.{n}"), s.to_vec())).collect();
    let mut add = |name: &str, shape: &[usize]| all.push((name.to_owned(), shape.to_vec()));
    add("attention.transform.weight", &[dims, dims]);
    add("attention.transform.bias", &[dims]);
    add("attention.context_vector.weight", &[1, dims]);
    for (linear, norm, inputs) in [(0, 1, 3), (4, 5, hidden)] {
        add(&format!("mlp.model.{linear}.weight"), &[hidden, inputs]);
        for name in ["weight", "bias", "running_mean", "running_var"] {
            add(&format!("mlp.model.{norm}.{name}"), &[hidden]);
        }
    }
    add("mlp.model.8.weight", &[1, hidden]);
    add("mlp.model.8.bias", &[1]);
    all
}

pub(super) fn network(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "selector.out.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let out = TensorFile::parse(FILE, &bytes)?;
    let inputs = checker.inputs()?;
    let Some(dims) = inputs.first().map(|(_, v)| v.dim().2) else {
        checker.skip(FILE, "inputs.safetensors is not here");
        return Ok(());
    };
    let hidden = out.shape("mlp_layer0").ok().and_then(|s| s.last().copied()).unwrap_or(100);
    let names = shapes(dims, hidden);
    let by_rule: Vec<(&str, Vec<usize>)> = names.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
    let Some(found) = checker.weights("selector", FILE, &by_rule)? else { return Ok(()) };
    let config = SelectorConfig::infer(&found.state).map_err(|e| weights(&found.file, e))?;
    let net = Selector::new(checker.isa, config, &found.state).map_err(|e| weights(&found.file, e))?;
    let fail = |e| layout(FILE, e);
    let longest = inputs.iter().map(|(_, v)| scored(&v.view()).dim().0).max().unwrap_or(0);
    let (mut values, mut padded) = (Vec::new(), Vec::new());
    for (name, video) in &inputs {
        let video = scored(&video.view());
        values.push(net.self_similarity(video.view()).map_err(fail)?);
        let f2f = net.self_matrix(video.view()).map_err(fail)?;
        let raw = net.compare(&f2f, Pool::Floor).map_err(fail)?;
        let key = format!("self_vc.{name}");
        if out.contains(&key) {
            checker.close(FILE, "self_vc", tolerance::SIMILARITY, out.f32(&key)?.1, raw);
        }
        if out.contains("self_similarity_masked_batch") {
            let raw = net.compare(&f2f, Pool::Padded { rows: longest, columns: longest }).map_err(fail)?;
            padded.push(raw.mapv(f64::from).mean().unwrap_or(f64::NAN));
        }
        let key = format!("self_f2f.{name}");
        if out.contains(&key) {
            checker.close(FILE, "self_f2f", tolerance::LAYER, out.f32(&key)?.1, f2f);
        }
    }
    if out.contains("self_similarity") && !inputs.is_empty() {
        checker.close(FILE, "self_similarity", tolerance::SIMILARITY, out.f32("self_similarity")?.1, values);
    }
    if out.contains("self_similarity_masked_batch") && !inputs.is_empty() {
        let expected = out.f32("self_similarity_masked_batch")?.1;
        checker.close(FILE, "self_similarity_masked_batch", tolerance::SIMILARITY, expected, padded);
    }
    if out.contains("mlp_input") {
        let triples: Vec<[f32; 3]> = out.f32("mlp_input")?.1.as_chunks::<3>().0.to_vec();
        let mut got = vec![0f32; triples.len()];
        if out.contains("mlp_prob") {
            net.mlp().predict_pairs(&triples, &mut got);
            checker.close(FILE, "mlp_prob", tolerance::SIMILARITY, out.f32("mlp_prob")?.1, got.iter().copied());
        }
        if out.contains("mlp_layer8") {
            net.mlp().logits_pairs(&triples, &mut got);
            checker.close(FILE, "mlp_layer8", tolerance::SIMILARITY, out.f32("mlp_layer8")?.1, got);
        }
    }
    Ok(())
}
