//! The coarse student.

use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::CoarseConfig;
use vidsieve_model::math::dot;
use vidsieve_model::tensors::TensorFile;

use super::{Checker, ParityError, layout, scored, tolerance, weights};

/// Heads of every published coarse student; not in the weights.
const HEADS: usize = 8;

/// Keys and shapes of a coarse student with one transformer layer.
pub(crate) fn shapes(d: usize, feedforward: usize, clusters: usize, output: usize) -> Vec<(&'static str, Vec<usize>)> {
    vec![
        ("attention.transform.weight", vec![d, d]),
        ("attention.transform.bias", vec![d]),
        ("attention.context_vector.weight", vec![1, d]),
        ("transformer.layers.0.self_attn.in_proj_weight", vec![3 * d, d]),
        ("transformer.layers.0.self_attn.in_proj_bias", vec![3 * d]),
        ("transformer.layers.0.self_attn.out_proj.weight", vec![d, d]),
        ("transformer.layers.0.self_attn.out_proj.bias", vec![d]),
        ("transformer.layers.0.linear1.weight", vec![feedforward, d]),
        ("transformer.layers.0.linear1.bias", vec![feedforward]),
        ("transformer.layers.0.linear2.weight", vec![d, feedforward]),
        ("transformer.layers.0.linear2.bias", vec![d]),
        ("transformer.layers.0.norm1.weight", vec![d]),
        ("transformer.layers.0.norm1.bias", vec![d]),
        ("transformer.layers.0.norm2.weight", vec![d]),
        ("transformer.layers.0.norm2.bias", vec![d]),
        ("transformer.norm.weight", vec![d]),
        ("transformer.norm.bias", vec![d]),
        ("netvlad.centroids", vec![clusters, d]),
        ("netvlad.conv.weight", vec![clusters, d, 1, 1]),
        ("netvlad.reduction_layer.weight", vec![output, clusters * d]),
        ("netvlad.norm.weight", vec![output]),
        ("netvlad.norm.bias", vec![output]),
    ]
}

pub(super) fn student(checker: &mut Checker, model: &str) -> Result<(), ParityError> {
    let file = format!("{model}.out.safetensors");
    let Some(bytes) = checker.read(&file)? else { return Ok(()) };
    let out = TensorFile::parse(&file, &bytes)?;
    let inputs = checker.inputs()?;
    let Some(dims) = inputs.first().map(|(_, v)| v.dim().2) else {
        checker.skip(&file, "inputs.safetensors is not here");
        return Ok(());
    };
    // The rule needs sizes: clusters and output are those of the numbers, the rest is upstream's (full) or small.
    let width = |name: &str| out.shape(name).ok().and_then(|s| s.last().copied());
    let by_rule = match (width("stage.b4.soft_assign"), width("index")) {
        (Some(k), Some(n)) => shapes(dims, if model == "cg_full" { 2048 } else { 256 }, k, n),
        _ => Vec::new(),
    };
    let Some(found) = checker.weights(model, &file, &by_rule)? else { return Ok(()) };
    let config = CoarseConfig::infer(&found.state, Some(dims), found.heads.unwrap_or(HEADS))
        .map_err(|e| weights(&found.file, e))?;
    let net = Coarse::new(checker.isa, config, &found.state).map_err(|e| weights(&found.file, e))?;
    let fail = |e| layout(&file, e);
    let mut indexes = Vec::new();
    for (name, video) in &inputs {
        let stages = net.stages(scored(&video.view()).view()).map_err(fail)?;
        for (stage, got, tolerance) in [
            ("att", &stages.attention, tolerance::LAYER),
            ("pooled", &stages.pooled, tolerance::LAYER),
            ("transformer", &stages.transformer, tolerance::LAYER),
            ("soft_assign", &stages.soft_assign, tolerance::LAYER),
            ("vlad_raw", &stages.vlad_raw, tolerance::LAYER),
            ("vlad_norm", &stages.vlad_norm, tolerance::LAYER),
            ("reduced", &stages.reduced, tolerance::LAYER),
            ("layernorm", &stages.layer_norm, tolerance::LAYER),
            ("out", &stages.out, tolerance::LAYER),
        ] {
            let key = format!("stage.{name}.{stage}");
            if out.contains(&key) {
                let group = format!("stage {stage}");
                checker.close(&file, &group, tolerance, out.f32(&key)?.1, got.iter().copied());
            }
        }
        let single = format!("index_{name}_single_frame");
        if out.contains(&single) {
            let got = net.index(video.view()).map_err(fail)?;
            checker.close(&file, "index of a single frame", tolerance::LAYER, out.f32(&single)?.1, got);
        }
        indexes.push(stages.out);
    }
    for name in ["index", "index_masked_batch"] {
        if out.contains(name) {
            let got = indexes.iter().flatten().copied();
            checker.close(&file, name, tolerance::LAYER, out.f32(name)?.1, got);
        }
    }
    if out.contains("g") {
        let got = indexes.iter().flat_map(|q| indexes.iter().map(move |t| dot(q, t)));
        checker.close(&file, "g", tolerance::SIMILARITY, out.f32("g")?.1, got);
    }
    Ok(())
}
