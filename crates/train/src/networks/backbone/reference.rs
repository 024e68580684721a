//! The network and its loss from their definitions, in f64.

use std::collections::BTreeMap;

use vidsieve_model::backbone::PlainConfig;

use super::LossConfig;
use crate::networks::parameters::Parameters;

pub(super) type Values = BTreeMap<String, Vec<f64>>;

pub(super) fn values(p: &Parameters) -> Values {
    p.iter().map(|(n, t)| (n.to_owned(), t.data.iter().map(|&v| f64::from(v)).collect())).collect()
}

/// Maps `[view][channel][row][column]`.
#[derive(Clone)]
struct Maps {
    views: usize,
    channels: usize,
    side: usize,
    x: Vec<f64>,
}

impl Maps {
    fn at(&self, v: usize, c: usize, y: usize, x: usize) -> f64 {
        self.x[((v * self.channels + c) * self.side + y) * self.side + x]
    }
}

/// Convolution and batch normalisation with the batch's statistics.
fn unit(p: &Values, (name, norm): (&str, &str), (k, stride): (usize, usize), x: &Maps) -> Maps {
    let (w, gamma, beta) = (&p[&format!("{name}.weight")], &p[&format!("{norm}.weight")], &p[&format!("{norm}.bias")]);
    let outputs = gamma.len();
    let side = x.side.div_ceil(stride);
    let mut out = Maps { views: x.views, channels: outputs, side, x: vec![] };
    for v in 0..x.views {
        for o in 0..outputs {
            for y in 0..side {
                for z in 0..side {
                    let mut sum = 0.0;
                    for i in 0..x.channels {
                        for a in 0..k {
                            for b in 0..k {
                                let (r, c) =
                                    ((y * stride + a).wrapping_sub(k / 2), (z * stride + b).wrapping_sub(k / 2));
                                if r < x.side && c < x.side {
                                    sum += w[((o * x.channels + i) * k + a) * k + b] * x.at(v, i, r, c);
                                }
                            }
                        }
                    }
                    out.x.push(sum);
                }
            }
        }
    }
    let area = side * side;
    let count = (x.views * area) as f64;
    for o in 0..outputs {
        let places = |v: usize| (v * outputs + o) * area..(v * outputs + o + 1) * area;
        let mean = (0..x.views).flat_map(|v| &out.x[places(v)]).sum::<f64>() / count;
        let variance = (0..x.views).flat_map(|v| &out.x[places(v)]).map(|z| (z - mean).powi(2)).sum::<f64>() / count;
        for v in 0..x.views {
            for z in &mut out.x[places(v)] {
                *z = (*z - mean) / (variance + 1e-5).sqrt() * gamma[o] + beta[o];
            }
        }
    }
    out
}

fn relu(mut x: Maps) -> Maps {
    x.x.iter_mut().for_each(|v| *v = v.max(0.0));
    x
}

fn unit_vector(x: &[f64]) -> Vec<f64> {
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
    x.iter().map(|v| v / norm).collect()
}

/// Unit vectors of the head, `[view][region]`.
fn vectors(p: &Values, config: &PlainConfig, views: &[u8], side: usize) -> Vec<Vec<Vec<f64>>> {
    let count = views.len() / (side * side * 3);
    let mut x = Maps { views: count, channels: 3, side, x: vec![] };
    for v in 0..count {
        for c in 0..3 {
            for pixel in 0..side * side {
                x.x.push((f64::from(views[(v * side * side + pixel) * 3 + c]) - 115.0) / 58.0);
            }
        }
    }
    let mut x = relu(unit(p, ("stem", "stem_bn"), (3, 2), &x));
    let mut regions = vec![vec![vec![]; 10]; count];
    for i in 1..=config.stages.len() {
        let name = |part: &str| format!("stage{i}.{part}");
        let a = relu(unit(p, (&name("conv1"), &name("bn1")), (3, 2), &x));
        let mut b = unit(p, (&name("conv2"), &name("bn2")), (3, 1), &a);
        if config.residual {
            let s = unit(p, (&name("shortcut"), &name("shortcut_bn")), (1, 2), &x);
            b.x.iter_mut().zip(&s.x).for_each(|(b, s)| *b += s);
        }
        x = relu(b);
        let n = x.side;
        let k = ((n as f64 / 2.0).round_ties_even() as usize).max(1);
        let start = |i: usize| ((n - k) as f64 * i as f64 / 2.0).round_ties_even() as usize;
        for (v, regions) in regions.iter_mut().enumerate() {
            for (r, region) in regions.iter_mut().enumerate() {
                let (top, left, k) = if r == 9 { (0, 0, n) } else { (start(r / 3), start(r % 3), k) };
                let mut means = vec![];
                for c in 0..x.channels {
                    let mut sum = 0.0;
                    for y in top..top + k {
                        for z in left..left + k {
                            sum += x.at(v, c, y, z).max(1e-6).powi(3);
                        }
                    }
                    means.push((sum / (k * k) as f64).cbrt());
                }
                region.extend(unit_vector(&means));
            }
        }
    }
    let (w, bias) = (&p["head.weight"], &p["head.bias"]);
    let head = |region: &Vec<f64>| {
        let out: Vec<f64> = w
            .chunks_exact(region.len())
            .zip(bias)
            .map(|(w, b)| w.iter().zip(region).map(|(w, x)| w * x).sum::<f64>() + b)
            .collect();
        unit_vector(&out)
    };
    regions.iter().map(|view| view.iter().map(head).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn info_nce(s: &[Vec<f64>], sources: &[u32], temperature: f64) -> f64 {
    let n = sources.len();
    let mut loss = 0.0;
    for i in 0..n {
        let allowed = |j: &usize| *j == i || sources[*j] != sources[i];
        let row: f64 = (0..n).filter(allowed).map(|j| (s[i][j] / temperature).exp()).sum();
        let column: f64 = (0..n).filter(allowed).map(|j| (s[j][i] / temperature).exp()).sum();
        loss += row.ln() + column.ln() - 2.0 * s[i][i] / temperature;
    }
    loss / (2 * n) as f64
}

/// The loss of a batch.
pub(super) fn loss(
    p: &Values,
    config: &PlainConfig,
    weights: &LossConfig,
    views: &[u8],
    side: usize,
    sources: &[u32],
) -> f64 {
    let all = vectors(p, config, views, side);
    let n = sources.len();
    let (a, b) = all.split_at(n);
    #[allow(clippy::type_complexity)]
    let table = |f: &dyn Fn(&[Vec<f64>], &[Vec<f64>]) -> f64| -> Vec<Vec<f64>> {
        a.iter().map(|a| b.iter().map(|b| f(a, b)).collect()).collect()
    };
    let best = |x: &[f64], of: &[Vec<f64>]| of.iter().map(|y| dot(x, y)).fold(f64::NEG_INFINITY, f64::max);
    let chamfer = table(&|a, b| {
        let one = |a: &[Vec<f64>], b: &[Vec<f64>]| a[..9].iter().map(|x| best(x, &b[..9])).sum::<f64>() / 9.0;
        (one(a, b) + one(b, a)) / 2.0
    });
    let cross = table(&|a, b| best(&a[9], b).max(best(&b[9], a)));
    let means: Vec<Vec<f64>> = all
        .iter()
        .map(|view| {
            let sum = |c: usize| view[..9].iter().map(|r| r[c]).sum::<f64>() / 9.0;
            unit_vector(&(0..view[0].len()).map(sum).collect::<Vec<_>>())
        })
        .collect();
    let global: Vec<Vec<f64>> = means[..n].iter().map(|a| means[n..].iter().map(|b| dot(a, b)).collect()).collect();
    let koleo: f64 = (0..2 * n)
        .map(|i| {
            let others = (0..2 * n).filter(|&j| j != i);
            let distance = |j: usize| means[i].iter().zip(&means[j]).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
            -0.5 * others.map(distance).fold(f64::INFINITY, f64::min).max(1e-4).ln()
        })
        .sum::<f64>()
        / (2 * n) as f64;
    let t = f64::from(weights.temperature);
    f64::from(weights.region) * info_nce(&chamfer, sources, t)
        + f64::from(weights.global) * info_nce(&global, sources, t)
        + f64::from(weights.koleo) * koleo
        + f64::from(weights.cross) * info_nce(&cross, sources, t)
}
