//! From pixels to video tensors.

use std::collections::BTreeMap;

use ndarray::Array4;
use vidsieve_model::backbone::{Backbone, BackboneConfig};
use vidsieve_model::frames::{Preprocess, Resize, RgbFrame};
use vidsieve_model::regions::RegionPooling;
use vidsieve_model::tensors::TensorFile;
use vidsieve_model::whitening::{Whitening, projection};

use super::{Checker, ParityError, layout, tolerance};
use crate::rule;

/// Upstream's kernels of L3-iMAC.
const KERNELS: [usize; 4] = [28, 14, 6, 3];

fn l3_imac() -> RegionPooling {
    RegionPooling::L3Imac { kernels: KERNELS.to_vec() }
}

pub(super) fn region_pooling(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "region_pooling.safetensors";
    /// Channels and net stride of the four taps.
    const TAPS: [(usize, usize); 4] = [(4, 4), (8, 8), (16, 16), (32, 32)];
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let tensors = TensorFile::parse(FILE, &bytes)?;
    for name in tensors.names() {
        let Some(size) = name.strip_suffix(".regions") else { continue };
        let (shape, expected) = tensors.f32(name)?;
        let images = shape.first().copied().unwrap_or(0);
        let (h, w) = size
            .split_once('x')
            .and_then(|(h, w)| Some((h.parse::<usize>().ok()?, w.parse::<usize>().ok()?)))
            .ok_or_else(|| layout(FILE, format!("tensor name `{name}`")))?;
        let mut taps = Vec::new();
        for (i, (channels, stride)) in TAPS.into_iter().enumerate() {
            let key = format!("{size}.layer{}", i + 1);
            let (shape, data) = if tensors.contains(&key) {
                let (shape, data) = tensors.f32(&key)?;
                let shape = <[usize; 4]>::try_from(shape).map_err(|s| layout(FILE, format!("`{key}`: {s:?}")))?;
                (shape, data)
            } else if checker.rule_holds()? {
                let shape = [images, channels, h / stride, w / stride];
                let values = rule::values(&format!("maps.{size}.{i}"), shape.iter().product(), 1.0, 0.0);
                (shape, values.into_iter().map(|v| v.max(0.0)).collect())
            } else {
                checker.skip(FILE, format!("no input maps `{key}`"));
                return Ok(());
            };
            taps.push(Array4::from_shape_vec(shape, data).map_err(|e| layout(FILE, e))?);
        }
        let views: Vec<_> = taps.iter().map(|t| t.view()).collect();
        let got = l3_imac().pool(&views).map_err(|e| layout(FILE, e))?;
        checker.equal(FILE, "shapes", &shape, got.shape());
        checker.close(FILE, "regions", tolerance::LAYER, expected, got);
    }
    Ok(())
}

pub(super) fn whitening(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "pca_small.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let tensors = TensorFile::parse(FILE, &bytes)?;
    let mut sources =
        BTreeMap::from([(FILE.to_owned(), [tensors.f32("mean")?.1, tensors.f32("d")?.1, tensors.f32("V")?.1])]);
    for checkpoint in ["pca_small.pth", "pca_small_legacy.pth"] {
        if let Some(bytes) = checker.read(checkpoint)? {
            let (state, _) = vidsieve_model::convert::read_weights(checkpoint, &bytes)?;
            let part = |name: &str| -> Result<Vec<f32>, ParityError> {
                let shape = state.shape(name).map_err(|e| super::weights(checkpoint, e))?.to_vec();
                Ok(state.get(name, &shape).map_err(|e| super::weights(checkpoint, e))?.to_vec())
            };
            sources.insert(checkpoint.to_owned(), [part("mean")?, part("d")?, part("V")?]);
        }
    }
    let x = tensors.f32("x")?.1;
    for (file, [mean, d, v]) in sources {
        for name in tensors.names() {
            if let Some(dims) = name.strip_prefix("DVt_").and_then(|n| n.parse().ok()) {
                let got = projection(&d, &v, dims).map_err(|e| layout(&file, e))?;
                checker.close(&file, "DVt", tolerance::LAYER, tensors.f32(name)?.1, got);
            }
            if let Some(dims) = name.strip_prefix("y_").and_then(|n| n.parse().ok()) {
                let whitening = Whitening::from_pca(checker.isa, mean.clone(), &d, &v, dims);
                let got = whitening.and_then(|w| w.apply(&x)).map_err(|e| layout(&file, e))?;
                checker.close(&file, "y", tolerance::LAYER, tensors.f32(name)?.1, got);
            }
        }
    }
    Ok(())
}

pub(super) fn preprocess(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "preprocess.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let tensors = TensorFile::parse(FILE, &bytes)?;
    let rule = Preprocess::imagenet(256, 224);
    for name in tensors.names() {
        let Some(case) = name.strip_suffix(".input") else { continue };
        let [h, w, _] = <[usize; 3]>::try_from(tensors.shape(name)?)
            .map_err(|s| layout(FILE, format!("tensor `{name}` has shape {s:?}")))?;
        let side = |n: usize| u32::try_from(n).map_err(|e| layout(FILE, e));
        let frame = RgbFrame::new(side(w)?, side(h)?, tensors.bytes(name)?).map_err(|e| layout(FILE, e))?;
        let key = format!("{case}.resized_shape");
        if tensors.contains(&key) {
            let whole = Preprocess { crop: None, ..rule };
            let (w, h) = whole.output_size(side(w)?, side(h)?).map_err(|e| layout(FILE, e))?;
            checker.equal(FILE, "resized_shape", &tensors.i64(&key)?.1, &[i64::from(h), i64::from(w), 3]);
        }
        let key = format!("{case}.crop224");
        if tensors.contains(&key) {
            let image = rule.image(&frame).map_err(|e| layout(FILE, e))?;
            // One level of 255: OpenCV's own result depends on its version, on IPP and on the number of threads, so that
            // no single rule gives every value of every build.
            let expected = tensors.bytes(&key)?.iter().copied();
            checker.close(FILE, "crop224 (levels)", tolerance::LEVEL, expected, image.data.iter().copied());
        }
    }
    Ok(())
}

/// Backbone, L3-iMAC and whitening of whole frames. Raw maps grow large and are compared by way of what is pooled.
pub(super) fn extractor(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "feature_extractor.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let tensors = TensorFile::parse(FILE, &bytes)?;
    let fail = |e: &dyn std::fmt::Display| layout(FILE, e);
    let config = BackboneConfig::resnet50();
    let names = config.tensors().map_err(|e| fail(&e))?;
    let shapes: Vec<(&str, Vec<usize>)> = names.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
    if tensors.contains("frames") {
        let Some(found) = checker.weights("resnet", FILE, &shapes)? else { return Ok(()) };
        let [n, h, w, _] =
            <[usize; 4]>::try_from(tensors.shape("frames")?).map_err(|s| fail(&format!("frames {s:?}")))?;
        let side = |n: usize| u32::try_from(n).map_err(|e| fail(&e));
        let (width, height) = (side(w)?, side(h)?);
        let pixels = tensors.bytes("frames")?;
        let frames = pixels
            .chunks_exact(pixels.len() / n.max(1))
            .map(|f| RgbFrame::new(width, height, f))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| fail(&e))?;
        let rule = Preprocess { resize: Resize::Keep, crop: None, ..Preprocess::imagenet(256, 224) };
        let batch = rule.batch(&frames).map_err(|e| fail(&e))?;
        if tensors.contains("normalized_0_0_8x8") {
            let corner = batch.slice(ndarray::s![0, .., ..8, ..8]);
            let expected = tensors.f32("normalized_0_0_8x8")?.1;
            checker.close(FILE, "normalized", tolerance::LAYER, expected, corner.iter().copied());
        }
        let backbone = Backbone::new(&config, &found.state).map_err(|e| fail(&e))?;
        let taps = backbone.run(batch.view()).map_err(|e| fail(&e))?;
        let views: Vec<_> = taps.iter().map(|t| t.view()).collect();
        let got = l3_imac().pool(&views).map_err(|e| fail(&e))?;
        if tensors.contains("regions3840") {
            let expected = tensors.f32("regions3840")?.1;
            checker.close(FILE, "regions3840", tolerance::SIMILARITY, expected, got);
        }
    }
    if !(tensors.contains("regions3840") && tensors.contains("pca.mean") && tensors.contains("pca.d_sorted_desc")) {
        return Ok(());
    }
    let (mean, d) = (tensors.f32("pca.mean")?.1, tensors.f32("pca.d_sorted_desc")?.1);
    let (input, dims) = (mean.len(), d.len());
    let v = if tensors.contains("pca.V") {
        tensors.f32("pca.V")?.1
    } else if checker.rule_holds()? {
        #[allow(clippy::cast_precision_loss)]
        rule::values("pca.V", input * dims, (3.0 / input as f64).sqrt(), 0.0)
    } else {
        checker.skip(FILE, "no PCA: pca.V is not here");
        return Ok(());
    };
    // The eigenvectors of the largest values alone: scaled as the rule of whitening says.
    let scales: Vec<f64> = d.iter().map(|&d| 1.0 / (f64::from(d) + 1e-7).sqrt()).collect();
    #[allow(clippy::cast_possible_truncation)]
    let w: Vec<f32> =
        v.chunks(dims).flat_map(|r| r.iter().zip(&scales).map(|(&v, s)| (f64::from(v) * s) as f32)).collect();
    let whitening = Whitening::new(checker.isa, mean, &w, dims).map_err(|e| fail(&e))?;
    let got = whitening.apply(&tensors.f32("regions3840")?.1).map_err(|e| fail(&e))?;
    checker.close(FILE, "features512", tolerance::SIMILARITY, tensors.f32("features512")?.1, got);
    Ok(())
}
