//! The selector.

use vidsieve_kernels::comparator::Pool;
use vidsieve_model::config::SelectorConfig;
use vidsieve_model::selector::Selector;
use vidsieve_model::tensors::TensorFile;

use super::{Checker, ParityError, layout, scored, tolerance, weights};

pub(super) fn network(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "selector.out.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let out = TensorFile::parse(FILE, &bytes)?;
    let inputs = checker.inputs()?;
    let Some(found) = checker.weights("selector", FILE, &[])? else { return Ok(()) };
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
