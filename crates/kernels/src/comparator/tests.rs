use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Weights and maps of the size that trained ones have: uniform, scale sqrt(6 / fan_in), by a fixed generator.
struct Random(u64);

impl Random {
    /// Uniform in [-1, 1).
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn values(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| self.next() * scale).collect()
    }

    /// A map as two related videos give it: noise around 0.2 and a bright diagonal.
    fn map(&mut self, channels: usize, h: usize, w: usize) -> Vec<f32> {
        let mut map = Vec::with_capacity(channels * h * w);
        for _ in 0..channels {
            for y in 0..h {
                for x in 0..w {
                    let copied = if y.abs_diff(x) <= 1 { 0.7 } else { 0.0 };
                    map.push(0.2 + copied + 0.3 * self.next());
                }
            }
        }
        map
    }
}

struct Owned {
    channels: [usize; 4],
    kernels: [Vec<f32>; 4],
    biases: [Vec<f32>; 3],
}

impl Owned {
    fn new(channels: [usize; 4], seed: u64) -> Self {
        let mut random = Random(seed);
        let mut kernel = |cin: usize, cout: usize, area: usize, scale: f32| {
            random.values(cin * cout * area, scale * (6.0 / (cin * area) as f32).sqrt())
        };
        let [c0, c1, c2, c3] = channels;
        let kernels = [kernel(c0, c1, 9, 1.0), kernel(c1, c2, 9, 1.0), kernel(c2, c3, 9, 1.0), kernel(c3, 1, 1, 2.0)];
        let biases = [c1, c2, c3].map(|c| random.values(c, 0.1));
        Self { channels, kernels, biases }
    }

    fn weights(&self) -> Weights<'_> {
        let [conv1, conv2, conv3, fconv] = &self.kernels;
        let [bias1, bias2, bias3] = &self.biases;
        Weights { channels: self.channels, conv1, bias1, conv2, bias2, conv3, bias3, fconv, fbias: -0.05 }
    }
}

fn forward(comparator: &Comparator, map: &[f32], h: usize, w: usize, pool: Pool, scratch: &mut Scratch) -> Vec<f32> {
    let (oh, ow) = Comparator::output_shape(h, w, pool).expect("large enough");
    let mut out = vec![f32::NAN; oh * ow];
    comparator.forward(map, h, w, pool, &mut out, scratch);
    out
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-4, "{what}: value {i} is {f}, expected {e}");
    }
}

/// Every instruction set, padding and pooling against the definition.
fn check(channels: [usize; 4], h: usize, w: usize, seed: u64) {
    let owned = Owned::new(channels, seed);
    let map = Random(seed ^ 1).map(channels[0], h, w);
    for padding in [Padding::Zero, Padding::Replicate] {
        let padded = Pool::Padded { rows: h + seed as usize % 4, columns: w + seed as usize / 4 % 4 };
        for pool in [Pool::Floor, Pool::Ceil, padded] {
            if Comparator::output_shape(h, w, pool).is_none() {
                continue;
            }
            let expected = naive::forward(&owned.weights(), padding, &map, h, w, pool);
            for isa in Isa::available() {
                let comparator = Comparator::new(isa, &owned.weights(), padding).expect("valid weights");
                let mut scratch = Scratch::default();
                let found = forward(&comparator, &map, h, w, pool, &mut scratch);
                assert_close(&found, &expected, &std::format!("{isa} {channels:?} {h}x{w} {padding:?} {pool:?}"));
            }
        }
    }
}

const UPSTREAM: [usize; 4] = [1, 32, 64, 128];
const SMALL: [usize; 4] = [1, 5, 7, 3];

#[test]
fn all_small_shapes() {
    for h in 1..=17 {
        for w in 1..=17 {
            check(SMALL, h, w, (h * 7 + w) as u64);
        }
    }
}

#[test]
fn upstream_widths() {
    for (h, w) in [(4, 4), (7, 12), (16, 15), (28, 30), (33, 18), (40, 5)] {
        check(UPSTREAM, h, w, (h + w) as u64);
    }
}

#[test]
fn odd_channel_counts() {
    for channels in [[1, 1, 1, 1], [2, 4, 4, 4], [3, 17, 33, 15], [2, 31, 65, 16], [1, 16, 8, 130]] {
        check(channels, 9, 22, channels[3] as u64);
    }
}

#[test]
fn stages_have_the_shapes_of_the_definition() {
    let owned = Owned::new(SMALL, 3);
    let map = Random(4).map(1, 7, 10);
    let stages = naive::stages(&owned.weights(), Padding::Zero, &map, 7, 10, Pool::Floor);
    let lengths = [&stages.relu1, &stages.pool1, &stages.relu2, &stages.pool2, &stages.relu3, &stages.vc_raw];
    assert_eq!(lengths.map(Vec::len), [5 * 70, 5 * 15, 7 * 15, 7 * 2, 3 * 2, 2]);
}

#[test]
fn naive_by_hand() {
    // One channel, kernels that add the left neighbour: c1 = relu(x + left), pooled twice, then 2 c3 - 1.
    let kernel = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let center = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let weights = Weights {
        channels: [1; 4],
        conv1: &kernel,
        bias1: &[0.5],
        conv2: &center,
        bias2: &[0.0],
        conv3: &kernel,
        bias3: &[0.0],
        fconv: &[2.0],
        fbias: -1.0,
    };
    let mut map = [0.0; 4 * 8];
    map[2 * 8 + 3] = 3.0;
    map[5] = 1.0;
    // After both pools: [3.5, 3.5] (value 3 reaches columns 3 and 4), so 2 * 3.5 - 1 and 2 * 7 - 1.
    assert_eq!(naive::forward(&weights, Padding::Zero, &map, 4, 8, Pool::Floor), [6.0, 13.0]);
    assert_eq!(naive::forward(&weights, Padding::Replicate, &map, 4, 8, Pool::Floor), [13.0, 13.0]);
}

/// Evaluation with masks as upstream does it: the map is padded with zeros, and what lies outside the valid part is set to
/// zero before each ReLU.
fn masked(weights: &Weights<'_>, map: &[f32], [h, w]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let [c0, c1, c2, c3] = weights.channels;
    let mut padded = vec![0.0; c0 * rows * columns];
    for (i, row) in map.chunks_exact(w).enumerate() {
        let (c, y) = (i / h, i % h);
        padded[(c * rows + y) * columns..][..w].copy_from_slice(row);
    }
    let convolve =
        |input: &[f32], cin, cout, kernel: &[f32], bias: &[f32], [h, w]: [usize; 2], [vh, vw]: [usize; 2]| {
            let mut out = naive::convolve(input, [cin, h, w], kernel, bias, cout, Padding::Zero);
            for (i, x) in out.iter_mut().enumerate() {
                if i / w % h >= vh || i % w >= vw {
                    *x = 0.0;
                }
            }
            out
        };
    let pool = Pool::Padded { rows, columns };
    let ([v1, v2], [p1, p2]) = (pool.shapes(h, w), Pool::Floor.shapes(rows, columns));
    let x = convolve(&padded, c0, c1, weights.conv1, weights.bias1, [rows, columns], [h, w]);
    let x = naive::max_pool(&x, [c1, rows, columns], p1);
    let x = convolve(&x, c1, c2, weights.conv2, weights.bias2, p1.into(), v1.into());
    let x = naive::max_pool(&x, [c2, p1.0, p1.1], p2);
    let x = convolve(&x, c2, c3, weights.conv3, weights.bias3, p2.into(), v2.into());
    let mut out = Vec::new();
    for y in 0..v2.0 {
        for col in 0..v2.1 {
            let pixel = (0..c3).map(|c| weights.fconv[c] * x[(c * p2.0 + y) * p2.1 + col]);
            out.push(weights.fbias + pixel.sum::<f32>());
        }
    }
    out
}

#[test]
fn padded_pooling_is_the_evaluation_with_masks() {
    let owned = Owned::new([2, 3, 5, 4], 21);
    for (h, w, rows, columns) in [(7, 12, 30, 30), (29, 30, 30, 30), (13, 6, 13, 16), (1, 5, 8, 6), (5, 4, 6, 7)] {
        let map = Random(h as u64).map(2, h, w);
        let expected = masked(&owned.weights(), &map, [h, w], [rows, columns]);
        for isa in Isa::available() {
            let comparator = Comparator::new(isa, &owned.weights(), Padding::Zero).expect("valid weights");
            let pool = Pool::Padded { rows, columns };
            let found = forward(&comparator, &map, h, w, pool, &mut Scratch::default());
            assert_close(&found, &expected, &std::format!("{isa} {h}x{w} in {rows}x{columns}"));
        }
    }
}

/// A scratch space that has seen other maps must not leak into the next one.
#[test]
fn scratch_can_be_reused() {
    let owned = Owned::new(SMALL, 9);
    for isa in Isa::available() {
        let comparator = Comparator::new(isa, &owned.weights(), Padding::Zero).expect("valid weights");
        let mut used = Scratch::default();
        for (i, (h, w)) in [(40, 37), (5, 9), (70, 4), (4, 70), (19, 18)].into_iter().enumerate() {
            let map = Random(i as u64).values(h * w, 1e3);
            let fresh = forward(&comparator, &map, h, w, Pool::Ceil, &mut Scratch::default());
            assert_eq!(forward(&comparator, &map, h, w, Pool::Ceil, &mut used), fresh, "{isa} {h}x{w}");
        }
    }
}

fn banded(comparator: &Comparator, map: &[f32], h: usize, w: usize, pool: Pool) -> Vec<f32> {
    let (oh, ow) = Comparator::output_shape(h, w, pool).expect("large enough");
    let (mut out, mut next) = (Vec::new(), 0);
    comparator.forward_banded(
        h,
        w,
        pool,
        |rows, values| {
            assert_eq!(rows.start, next, "rows come in order");
            next = rows.end;
            for (c, values) in values.chunks_exact_mut(rows.len() * w).enumerate() {
                values.copy_from_slice(&map[(c * h + rows.start) * w..][..rows.len() * w]);
            }
        },
        |row, values| {
            assert_eq!(row * ow, out.len());
            out.extend_from_slice(values);
        },
        &mut Scratch::default(),
    );
    assert_eq!(out.len(), oh * ow);
    out
}

#[test]
fn every_band_height_gives_the_same_bits() {
    let owned = Owned::new([2, 5, 7, 3], 11);
    for isa in Isa::available() {
        for padding in [Padding::Zero, Padding::Replicate] {
            let comparator = Comparator::new(isa, &owned.weights(), padding).expect("valid weights");
            for pool in [Pool::Floor, Pool::Ceil] {
                for h in [4, 15, 16, 17, 18, 19, 31, 32, 33, 35, 64, 66, 95, 97] {
                    let w = 21;
                    let map = Random(h as u64).map(2, h, w);
                    let (oh, ow) = Comparator::output_shape(h, w, pool).expect("large enough");
                    let whole = naive::forward(&owned.weights(), padding, &map, h, w, pool);
                    let mut first: Option<Vec<f32>> = None;
                    for band in [1, 2, 3, 100] {
                        let mut out = vec![f32::NAN; oh * ow];
                        let map = Map { values: &map, h, w };
                        comparator.forward_maps(&[map], pool, band, &mut out, &mut Scratch::default());
                        let what = std::format!("{isa} {padding:?} {pool:?} h {h} band {band}");
                        assert_close(&out, &whole, &what);
                        assert_eq!(first.get_or_insert_with(|| out.clone()), &out, "{what}");
                    }
                    assert_eq!(first, Some(banded(&comparator, &map, h, w, pool)), "{isa} {padding:?} {pool:?} {h}");
                }
            }
        }
    }
}

#[test]
fn long_map_in_little_memory() {
    let owned = Owned::new([1, 4, 4, 4], 12);
    let (h, w) = (3001, 6);
    let map = Random(5).map(1, h, w);
    let expected = naive::forward(&owned.weights(), Padding::Zero, &map, h, w, Pool::Floor);
    for isa in Isa::available() {
        let comparator = Comparator::new(isa, &owned.weights(), Padding::Zero).expect("valid weights");
        assert_close(&banded(&comparator, &map, h, w, Pool::Floor), &expected, "long map");
        let sizes = [640, 6400].map(|h| {
            let mut scratch = Scratch::default();
            let fill = |_: Range<usize>, values: &mut [f32]| values.fill(0.1);
            comparator.forward_banded(h, w, Pool::Floor, fill, |_, _| {}, &mut scratch);
            scratch.bytes()
        });
        assert_eq!(sizes[0], sizes[1], "{isa}: work space must not grow with the height");
    }
}

#[test]
fn batch_equals_single() {
    let owned = Owned::new([1, 8, 16, 24], 13);
    let shapes = [(30, 30), (30, 7), (30, 4), (4, 4), (30, 61), (200, 190), (9, 9), (30, 30), (60, 60), (5, 300)];
    let maps: Vec<Vec<f32>> = shapes.iter().map(|&(h, w)| Random((h * w) as u64).map(1, h, w)).collect();
    let maps: Vec<Map<'_>> = maps.iter().zip(shapes).map(|(values, (h, w))| Map { values, h, w }).collect();
    for isa in Isa::available() {
        let comparator = Comparator::new(isa, &owned.weights(), Padding::Replicate).expect("valid weights");
        for pool in [Pool::Floor, Pool::Ceil] {
            let mut scratch = Scratch::default();
            let single: Vec<f32> =
                maps.iter().flat_map(|m| forward(&comparator, m.values, m.h, m.w, pool, &mut scratch)).collect();
            let mut batch = vec![f32::NAN; single.len()];
            comparator.forward_batch(&maps, pool, &mut batch, &mut scratch);
            assert_eq!(batch, single, "{isa} {pool:?}");
        }
        comparator.forward_batch(&[], Pool::Floor, &mut [], &mut Scratch::default());
    }
}

#[test]
fn wrong_weights_are_named() {
    let owned = Owned::new(SMALL, 1);
    let mut weights = owned.weights();
    weights.bias2 = &weights.bias2[1..];
    let error = Comparator::new(Isa::portable(), &weights, Padding::Zero).map(|_| ()).unwrap_err();
    assert_eq!(error, WeightsError::Length { tensor: "bias2", expected: 7, found: 6 });
    for channels in [[0, 5, 7, 3], [1, 5, 7, 0], [1, usize::MAX, 7, 3], [usize::MAX / 2, 5, 7, 3]] {
        let weights = Weights { channels, ..owned.weights() };
        assert_eq!(weights.check(), Err(WeightsError::Channels(channels)));
    }
}

#[test]
fn output_shapes() {
    assert_eq!(Comparator::output_shape(60, 60, Pool::Floor), Some((15, 15)));
    assert_eq!(Comparator::output_shape(7, 12, Pool::Floor), Some((1, 3)));
    assert_eq!(Comparator::output_shape(7, 12, Pool::Ceil), Some((2, 3)));
    assert_eq!(Comparator::output_shape(3, 12, Pool::Floor), None);
    assert_eq!(Comparator::output_shape(1, 1, Pool::Ceil), Some((1, 1)));
    assert_eq!(Comparator::output_shape(5, 0, Pool::Ceil), None);
    // A batch padded to 30 frames: 30 -> 15 -> 7 cells, of which 29 frames fill seven and 7 frames two.
    let pool = Pool::Padded { rows: 30, columns: 30 };
    assert_eq!(pool.shapes(29, 7), [(15, 4), (7, 2)]);
    assert_eq!(pool.shapes(31, 1), [(15, 1), (7, 1)]);
    for n in 0..40 {
        assert_eq!(Pool::Floor.shapes(n, n), Pool::Padded { rows: 0, columns: n }.shapes(n, n));
        assert_eq!(Pool::Ceil.shapes(n, n), Pool::Padded { rows: n + 3, columns: 64 }.shapes(n, n));
    }
}

#[test]
fn chamfer_clamps_before_the_mean() {
    assert_eq!(chamfer_of_output(&[0.25, -3.0, 7.0, 0.5, -2.0, -9.0], 3, 2), (0.25 + 1.0 - 1.0) / 3.0);
    assert_eq!(chamfer_of_output(&[-0.5], 1, 1), -0.5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_shapes(c0 in 1usize..3, c1 in 1usize..40, c2 in 1usize..40, c3 in 1usize..40,
                     h in 4usize..41, w in 4usize..41, seed: u64) {
        check([c0, c1, c2, c3], h, w, seed);
    }
}
