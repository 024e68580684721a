//! Instance discrimination on burn: the backbone, its region vectors and the loss as one graph, for
//! any burn backend (a GPU among them). On a CPU the engine of [`crate::networks::backbone`]
//! computes the same several times faster; tests hold one against the other.

use burn::tensor::{Tensor, activation, module, ops};

use vidsieve_model::backbone::PlainConfig;

use crate::TrainError;
use crate::networks::backbone::LossConfig;
use crate::networks::losses::info_nce;
use crate::networks::nets::normalise;
use crate::networks::parameters::Leaves;

/// Exponent of the generalised mean in a window.
const GEM: f32 = 3.0;
/// What values are raised to before the generalised mean.
const FLOOR: f32 = 1e-6;
/// Variance epsilon of batch normalisation.
const EPSILON: f32 = 1e-5;

/// Means and biased variances of one batch normalisation, by the name of the layer.
pub type NormStatistics = Vec<(String, Tensor<1>, Tensor<1>)>;

fn batch_norm(
    net: &Leaves,
    name: &str,
    x: Tensor<4>,
    statistics: &mut NormStatistics,
) -> Result<Tensor<4>, TrainError> {
    let [n, c, h, w] = x.dims();
    let columns = x.clone().swap_dims(0, 1).reshape([c, n * h * w]);
    let mean = columns.clone().mean_dim(1);
    let variance = (columns - mean.clone()).square().mean_dim(1);
    let scale = net.get::<1>(&format!("{name}.weight"))?.reshape([1, c, 1, 1]);
    let shift = net.get::<1>(&format!("{name}.bias"))?.reshape([1, c, 1, 1]);
    let per_channel = |v: Tensor<2>| v.reshape([1, c, 1, 1]);
    let root = (per_channel(variance.clone()) + EPSILON).sqrt();
    statistics.push((name.to_owned(), mean.clone().reshape([c]), variance.reshape([c])));
    Ok((x - per_channel(mean)) / root * scale + shift)
}

fn convolution(net: &Leaves, name: &str, x: Tensor<4>, stride: usize) -> Result<Tensor<4>, TrainError> {
    let weight = net.get::<4>(&format!("{name}.weight"))?;
    let padding = weight.dims()[2] / 2;
    let options = ops::ConvOptions::new([stride, stride], [padding, padding], [1, 1], 1);
    Ok(module::conv2d(x, weight, None, options))
}

/// Taps of the network `config` for normalised images `[N, 3, S, S]`, batch normalisation by the batch.
///
/// # Errors
/// [`TrainError::Network`] for parameters that are missing.
pub fn taps(
    net: &Leaves,
    config: &PlainConfig,
    images: Tensor<4>,
    statistics: &mut NormStatistics,
) -> Result<Vec<Tensor<4>>, TrainError> {
    let mut x = activation::relu(batch_norm(net, "stem_bn", convolution(net, "stem", images, 2)?, statistics)?);
    let mut out = Vec::new();
    for stage in 1..=config.stages.len() {
        let name = |part: &str| format!("stage{stage}.{part}");
        let a = convolution(net, &name("conv1"), x.clone(), 2)?;
        let a = activation::relu(batch_norm(net, &name("bn1"), a, statistics)?);
        let mut b = batch_norm(net, &name("bn2"), convolution(net, &name("conv2"), a, 1)?, statistics)?;
        if config.residual {
            let shortcut = convolution(net, &name("shortcut"), x, 2)?;
            b = b + batch_norm(net, &name("shortcut_bn"), shortcut, statistics)?;
        }
        x = activation::relu(b);
        out.push(x.clone());
    }
    Ok(out)
}

/// Region vectors `[N, 10, C]` of taps: 3x3 windows of half the side, then the whole frame, by generalised mean; normalised a
/// tap, concatenated.
#[must_use]
pub fn regions(taps: &[Tensor<4>]) -> Tensor<3> {
    let parts: Vec<Tensor<3>> = taps
        .iter()
        .map(|tap| {
            let [n, c, side, _] = tap.dims();
            let powered = tap.clone().clamp_min(FLOOR).powf_scalar(GEM);
            let mut windows = Vec::with_capacity(10);
            for (y, x, k) in windows_of(side) {
                let window = powered.clone().narrow(2, y, k).narrow(3, x, k).reshape([n, c, k * k]);
                windows.push(window.mean_dim(2).reshape([n, 1, c]));
            }
            normalise(Tensor::cat(windows, 1).powf_scalar(1.0 / GEM))
        })
        .collect();
    Tensor::cat(parts, 2)
}

/// Row, column and side of the nine windows of half the side, and of the whole frame.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn windows_of(side: usize) -> Vec<(usize, usize, usize)> {
    let k = ((side as f64 / 2.0).round_ties_even() as usize).max(1);
    let start = |i: usize| ((side - k) as f64 * i as f64 / 2.0).round_ties_even() as usize;
    let mut windows: Vec<_> = (0..9).map(|i| (start(i / 3), start(i % 3), k)).collect();
    windows.push((0, 0, side));
    windows
}

/// Parts of a loss by name.
pub type LossTensors = Vec<(&'static str, Tensor<1>)>;

/// The loss of region vectors `[2B, 10, C]` (first all views A, then all views B) after the head, and its parts by name.
/// `same` `[B, B]` is 1 where two images of the batch are one image.
///
/// # Errors
/// [`TrainError::Network`] for parameters that are missing.
pub fn loss(
    net: &Leaves,
    vectors: Tensor<3>,
    same: Tensor<2>,
    weights: &LossConfig,
) -> Result<(Tensor<1>, LossTensors), TrainError> {
    let [views, r, c] = vectors.dims();
    let b = views / 2;
    let (weight, bias) = (net.get::<2>("head.weight")?, net.get::<1>("head.bias")?);
    let [d, _] = weight.dims();
    let z = module::linear(vectors.reshape([views * r, c]), weight.transpose(), Some(bias));
    let z = normalise(z).reshape([views, r, d]);
    let half = |k: usize| z.clone().narrow(0, k * b, b);
    let (left, right) = (half(0), half(1));
    let windows = |x: &Tensor<3>| x.clone().narrow(1, 0, 9).reshape([b * 9, d]);
    let whole = |x: &Tensor<3>| x.clone().narrow(1, 9, 1).reshape([b, d]);
    let contrast = |s: Tensor<2>| {
        let both = info_nce(s.clone(), Some(same.clone()), weights.temperature)
            + info_nce(s.transpose(), Some(same.clone()), weights.temperature);
        both * 0.5
    };
    // [B, 9, B, 9]
    let products = windows(&left).matmul(windows(&right).transpose()).reshape([b, 9, b, 9]);
    let rows = products.clone().max_dim(3).mean_dim(1).reshape([b, b]);
    let columns = products.max_dim(1).mean_dim(3).reshape([b, b]);
    let chamfer = contrast((rows + columns) * 0.5);
    let global = normalise(z.clone().narrow(1, 0, 9).mean_dim(1).reshape([views, d]));
    let pair = |k: usize| global.clone().narrow(0, k * b, b);
    let mean = contrast(pair(0).matmul(pair(1).transpose()));
    // Squared distance of unit vectors is 2 - 2 cos; the nearest other view.
    let cosines = global.clone().matmul(global.clone().transpose()) - Tensor::<2>::eye(views, &global.device()) * 1e9;
    let nearest = (cosines.max_dim(1) * -2.0 + 2.0).clamp_min(1e-4);
    let entropy = nearest.log().mean() * -0.5;
    let best = |a: &Tensor<3>, b_: &Tensor<3>| {
        let w = whole(a).matmul(windows(b_).transpose()).reshape([b, b, 9]).max_dim(2).reshape([b, b]);
        let all = whole(a).matmul(whole(b_).transpose());
        w.max_pair(all)
    };
    let cross = contrast(best(&left, &right).max_pair(best(&right, &left).transpose()));
    let total = chamfer.clone() * weights.region
        + mean.clone() * weights.global
        + entropy.clone() * weights.koleo
        + cross.clone() * weights.cross;
    Ok((total, vec![("region", chamfer), ("global", mean), ("koleo", entropy), ("cross", cross)]))
}
