//! The rule that makes the pseudo-random weights and inputs of the golden numbers, so that they need not be stored.
//!
//! Element i of the tensor `name`: splitmix64 of FNV-1a-64(name) and i, its upper 24 bits as `u` in [0, 1), value =
//! `offset + (2u - 1) * scale`.

use vidsieve_model::weights::{StateDict, WeightsError};

fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// `n` values of the tensor `name`: `offset + (2u - 1) * scale`.
#[must_use]
pub fn values(name: &str, n: usize, scale: f64, offset: f64) -> Vec<f32> {
    let h = fnv1a(name);
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    (1..=n as u64)
        .map(|i| {
            let mut z = h.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let u = (z >> 40) as f64 / f64::from(1u32 << 24);
            offset as f32 + (2.0 * u - 1.0) as f32 * scale as f32
        })
        .collect()
}

/// (scale, offset) of a weight by its state-dict key and shape.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn spread(key: &str, shape: &[usize]) -> (f64, f64) {
    let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f64;
    let conv = ["conv1.weight", "conv2.weight", "conv3.weight"].iter().any(|c| key.ends_with(c)) && shape.len() == 4;
    if key.ends_with("running_mean") {
        (0.1, 0.0)
    } else if key.ends_with("running_var") {
        (0.5, 1.0)
    } else if shape.len() == 1 {
        if key.ends_with("weight") { (0.2, 1.0) } else { (0.1, 0.0) }
    } else if conv && !key.ends_with("netvlad.conv.weight") {
        ((6.0 / fan_in).sqrt(), 0.0)
    } else if key.ends_with("fconv.weight") {
        (2.0 * (6.0 / fan_in).sqrt(), 0.0)
    } else if key.ends_with("context_vector.weight") {
        (4.0 * (3.0 / fan_in).sqrt(), 0.0)
    } else if key.ends_with("attention.transform.weight") {
        (3f64.sqrt(), 0.0)
    } else if key.ends_with("netvlad.conv.weight") || key.ends_with("netvlad.centroids") {
        (0.2, 0.0)
    } else {
        ((3.0 / fan_in).sqrt(), 0.0)
    }
}

/// (scale, offset) of a ResNet weight (`resnet.<key>`).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn resnet_spread(key: &str, shape: &[usize]) -> (f64, f64) {
    if key.ends_with("running_mean") {
        (0.1, 0.0)
    } else if key.ends_with("running_var") {
        (0.5, 1.0)
    } else if shape.len() > 1 {
        ((6.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt(), 0.0)
    } else if key.ends_with("bn3.weight") {
        (0.1, 0.3)
    } else if key.ends_with("weight") {
        (0.2, 1.0)
    } else {
        (0.1, 0.0)
    }
}

/// A weight of the network `model` by the rule.
#[must_use]
pub fn weight(model: &str, key: &str, shape: &[usize]) -> Vec<f32> {
    let (scale, offset) = if model == "resnet" { resnet_spread(key, shape) } else { spread(key, shape) };
    values(&format!("{model}.{key}"), shape.iter().product(), scale, offset)
}

/// A whole state dict by the rule, from keys and shapes.
///
/// # Errors
/// A shape whose size overflows.
pub fn state_dict<'a>(
    model: &str,
    keys: impl IntoIterator<Item = (&'a str, Vec<usize>)>,
) -> Result<StateDict, WeightsError> {
    let mut state = StateDict::new(format!("{model}."));
    for (key, shape) in keys {
        let data = weight(model, key, &shape);
        state.insert(key, shape, data)?;
    }
    Ok(state)
}

/// A video tensor of `frames` x 9 x 512 unit vectors: `nrm(0.6 * common + frames)`.
#[must_use]
pub fn video(name: &str, frames: usize) -> ndarray::Array3<f32> {
    let common = values(&format!("{name}.common"), 512, 1.0, 0.0);
    let mut data = values(&format!("{name}.frames"), frames * 9 * 512, 1.0, 0.0);
    for row in data.chunks_exact_mut(512) {
        row.iter_mut().zip(&common).for_each(|(v, c)| *v += 0.6f32 * c);
    }
    vidsieve_model::math::normalise_rows(&mut data, 512);
    ndarray::Array3::from_shape_vec((frames, 9, 512), data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fill_their_interval() {
        let v = values("a.b", 1000, 2.0, 1.0);
        assert!(v.iter().all(|x| (-1.0..=3.0).contains(x)));
        assert!(v.iter().any(|x| *x < -0.9) && v.iter().any(|x| *x > 2.9));
        assert_ne!(v, values("a.c", 1000, 2.0, 1.0));
    }
}
