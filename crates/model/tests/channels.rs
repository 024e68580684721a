//! Fine networks of several channels, against the definition in plain loops.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, Array3, ArrayView1, Axis, s};
use vidsieve_kernels::Isa;
use vidsieve_kernels::comparator::{Padding, Pool, Weights, naive};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::{
    Attention, Channel, CoarseConfig, ComparatorConfig, FineConfig, PaddingMode, PoolEdge, SelectorConfig,
};
use vidsieve_model::fine::{Fine, InputError, VideoTensor, Workspace, video_chamfer};
use vidsieve_model::footage::Footage;
use vidsieve_model::selector::Selector;
use vidsieve_model::weights::StateDict;

const DIMS: usize = 24;
const BITS: usize = 40;
const REGIONS: usize = 35;

fn numbers(seed: usize, n: usize) -> Vec<f32> {
    let mut z = seed as u32 ^ 0x9e37_79b9;
    let mut next = || {
        z = z.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (z >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Unit region vectors.
fn video(seed: usize, frames: usize) -> Array3<f32> {
    let mut x = Array3::from_shape_vec((frames, REGIONS, DIMS), numbers(seed, frames * REGIONS * DIMS)).unwrap();
    for mut row in x.rows_mut() {
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    x
}

fn comparator(state: &mut StateDict, inputs: usize) {
    for (name, shape, scale) in [
        ("conv1.weight", vec![8, inputs, 3, 3], 0.5),
        ("conv1.bias", vec![8], 0.1),
        ("conv2.weight", vec![12, 8, 3, 3], 0.3),
        ("conv2.bias", vec![12], 0.1),
        ("conv3.weight", vec![16, 12, 3, 3], 0.25),
        ("conv3.bias", vec![16], 0.1),
        ("fconv.weight", vec![1, 16, 1, 1], 0.3),
        ("fconv.bias", vec![1], 0.1),
    ] {
        add(state, &format!("visil_head.{name}"), shape, scale);
    }
}

fn add(state: &mut StateDict, name: &str, shape: Vec<usize>, scale: f32) {
    let n = shape.iter().product();
    state.insert(name, shape, numbers(n + name.len(), n).into_iter().map(|v| v * scale).collect()).unwrap();
}

fn attention(state: &mut StateDict) {
    add(state, "attention.transform.weight", vec![DIMS, DIMS], 0.5);
    add(state, "attention.transform.bias", vec![DIMS], 0.1);
    add(state, "attention.context_vector.weight", vec![1, DIMS], 1.0);
}

fn channel(query: [usize; 2], target: [usize; 2], transposed: bool) -> Channel {
    Channel { query, target, transposed }
}

/// Nine windows with nine; the whole frame with the windows of the larger scale; the same from the target's side.
fn across_scales() -> Vec<Channel> {
    vec![channel([0, 9], [0, 9], false), channel([9, 10], [10, 35], false), channel([10, 35], [9, 10], true)]
}

fn state(inputs: usize) -> StateDict {
    let mut state = StateDict::new("fine.");
    comparator(&mut state, inputs);
    attention(&mut state);
    add(&mut state, "binarization.W", vec![DIMS, BITS], 1.0);
    state
}

fn network(isa: Isa, bits: Option<usize>, channels: Option<Vec<Channel>>, edge: PoolEdge) -> Fine {
    let inputs = channels.as_ref().map_or(1, Vec::len);
    let config = FineConfig {
        dims: DIMS,
        attention: if bits.is_some() { Attention::None } else { Attention::H },
        bits,
        symmetric: false,
        channels,
        comparator: ComparatorConfig { channels: [inputs, 8, 12, 16], padding: PaddingMode::Zero, edge },
        direct: false,
    };
    Fine::new(isa, config, &state(inputs)).unwrap()
}

/// What is compared: the weighted vectors, or the signs of a code divided by the root of their number.
fn vectors(index: &VideoTensor) -> Array3<f32> {
    match index {
        VideoTensor::Float { data, frames, regions, dims } => {
            Array3::from_shape_vec((*frames, *regions, *dims), data.clone()).unwrap()
        }
        VideoTensor::Codes { data, frames, shape } => {
            let unit = 1.0 / (shape.bits() as f32).sqrt();
            let bits = data.iter().flat_map(|byte| (0..8).map(move |k| if byte >> k & 1 == 1 { unit } else { -unit }));
            Array3::from_shape_vec((*frames, shape.regions(), shape.bits()), bits.collect()).unwrap()
        }
    }
}

fn naive_channel(query: &Array3<f32>, target: &Array3<f32>, channel: Channel) -> Array2<f32> {
    let part = |x: &Array3<f32>, [start, end]: [usize; 2]| x.slice(s![.., start..end, ..]).to_owned();
    let (q, t) = (part(query, channel.query), part(target, channel.target));
    let mean_of_best = |mean: &Array3<f32>, i: usize, best: &Array3<f32>, j: usize| {
        let product = |a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>| {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let (mean, best) = (mean.index_axis(Axis(0), i), best.index_axis(Axis(0), j));
        let maxima =
            mean.rows().into_iter().map(|a| best.rows().into_iter().map(|b| product(a, b)).fold(-9.0, f64::max));
        (maxima.sum::<f64>() / mean.nrows() as f64) as f32
    };
    Array2::from_shape_fn((q.dim().0, t.dim().0), |(i, j)| {
        if channel.transposed { mean_of_best(&t, j, &q, i) } else { mean_of_best(&q, i, &t, j) }
    })
}

fn worst<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f32 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn channels_follow_their_definition() {
    let mut channels = across_scales();
    // Parts that overlap, one region, all regions, transposed with more regions on either side.
    channels.extend([
        channel([3, 20], [7, 35], false),
        channel([0, 35], [34, 35], true),
        channel([2, 5], [0, 35], true),
        channel([0, 35], [0, 35], false),
    ]);
    for isa in Isa::available() {
        for bits in [None, Some(BITS)] {
            let net = network(isa, bits, Some(channels.clone()), PoolEdge::Drop);
            for (tq, tt) in [(1, 1), (4, 7), (17, 33), (40, 5)] {
                let (q, t) = (net.index(video(1, tq).view()).unwrap(), net.index(video(2, tt).view()).unwrap());
                assert_eq!(q.regions(), REGIONS);
                let maps = net.channel_similarity(&q, &t).unwrap();
                assert_eq!(maps.dim(), (channels.len(), tq, tt));
                let (qv, tv) = (vectors(&q), vectors(&t));
                for (map, channel) in maps.outer_iter().zip(&channels) {
                    let error = worst(map, &naive_channel(&qv, &tv, *channel));
                    assert!(error <= 2e-6, "{isa} {bits:?} {channel:?} {tq}x{tt}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_transposed_channel_is_the_other_one_of_swapped_videos() {
    for bits in [None, Some(BITS)] {
        let with = |channel| network(Isa::best(), bits, Some(vec![channel]), PoolEdge::Drop);
        let there = with(channel([10, 35], [9, 10], true));
        let back = with(channel([9, 10], [10, 35], false));
        let (q, t) = (there.index(video(3, 19).view()).unwrap(), there.index(video(4, 26).view()).unwrap());
        let (a, b) = (there.frame_similarity(&q, &t).unwrap(), back.frame_similarity(&t, &q).unwrap());
        assert_eq!(a.dim(), (19, 26));
        assert!(worst(&a, b.t()) <= if bits.is_some() { 0.0 } else { 1e-6 });
    }
}

#[test]
fn one_channel_over_all_regions_is_what_is_there_without_channels() {
    for bits in [None, Some(BITS)] {
        let all = network(Isa::best(), bits, Some(vec![channel([0, 35], [0, 35], false)]), PoolEdge::Drop);
        let none = network(Isa::best(), bits, None, PoolEdge::Drop);
        let (q, t) = (all.index(video(5, 9).view()).unwrap(), all.index(video(6, 14).view()).unwrap());
        assert_eq!(all.frame_similarity(&q, &t).unwrap(), none.frame_similarity(&q, &t).unwrap());
        assert_eq!(all.similarity(&q, &t).unwrap().to_bits(), none.similarity(&q, &t).unwrap().to_bits());
    }
}

#[test]
fn the_picture_of_several_channels() {
    let net = network(Isa::best(), Some(BITS), Some(across_scales()), PoolEdge::Drop);
    let (q, t) = (net.index(video(7, 6).view()).unwrap(), net.index(video(8, 5).view()).unwrap());
    let maps = net.channel_similarity(&q, &t).unwrap();
    let expected = Array2::from_shape_fn((6, 5), |(i, j)| {
        (maps[[0, i, j]] + maps[[0, i, j]].max(maps[[1, i, j]]).max(maps[[2, i, j]])) / 2.0
    });
    assert_eq!(net.frame_similarity(&q, &t).unwrap(), expected);
}

#[test]
fn bands_and_chunks_give_the_score_of_whole_maps() {
    let state = state(3);
    let get = |name: &str| state.iter().find(|(n, _)| *n == format!("visil_head.{name}")).unwrap().1.data.as_slice();
    let weights = Weights {
        channels: [3, 8, 12, 16],
        conv1: get("conv1.weight"),
        bias1: get("conv1.bias"),
        conv2: get("conv2.weight"),
        bias2: get("conv2.bias"),
        conv3: get("conv3.weight"),
        bias3: get("conv3.bias"),
        fconv: get("fconv.weight"),
        fbias: get("fconv.bias")[0],
    };
    let mut workspace = Workspace::default();
    for isa in Isa::available() {
        for bits in [None, Some(BITS)] {
            for (edge, pool) in [(PoolEdge::Drop, Pool::Floor), (PoolEdge::Keep, Pool::Ceil)] {
                let net = network(isa, bits, Some(across_scales()), edge);
                // The last needs several bands of query frames.
                for (h, w) in [(1, 3), (5, 42), (61, 13), (150, 300)] {
                    if h * w > 1000 && isa != Isa::best() {
                        continue;
                    }
                    let (q, t) = (net.index(video(h, h).view()).unwrap(), net.index(video(w + 1, w).view()).unwrap());
                    let maps = net.channel_similarity(&q.scored(), &t.scored()).unwrap();
                    let raw = net.compare_channels(maps.view(), pool).unwrap();
                    let (_, rows, columns) = maps.dim();
                    let expected =
                        naive::forward(&weights, Padding::Zero, maps.as_slice().unwrap(), rows, columns, pool);
                    assert!(worst(&raw, &expected) <= 1e-4, "{isa} {bits:?} {h}x{w}");
                    let score = net.similarity_with(&q, &t, &mut workspace).unwrap();
                    let whole = video_chamfer(raw.view(), false);
                    assert!((score - whole).abs() <= 1e-5, "{isa} {bits:?} {edge:?} {h}x{w}: {score} {whole}");
                    if w == 42 {
                        let parts = [0..20, 20..40].map(|r| net.similarity(&q, &t.slice(r)).unwrap());
                        let chunked = net.similarity_chunked(&q, &t, 20).unwrap();
                        assert!((chunked - (parts[0] + parts[1]) / 2.0).abs() <= 1e-6, "{parts:?} {chunked}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_direct_path_weighs_what_the_maps_say() {
    let channels = across_scales();
    let best = |map: ndarray::ArrayView2<'_, f32>| -> f32 {
        map.rows().into_iter().map(|row| row.iter().copied().fold(-9.0, f32::max)).sum::<f32>() / map.nrows() as f32
    };
    let mut workspace = Workspace::default();
    for bits in [None, Some(BITS)] {
        let plain = network(Isa::best(), bits, Some(channels.clone()), PoolEdge::Keep);
        let mut with_path = state(3);
        let weights = [0.3f32, 0.8, 0.5, -0.2, 0.4, -0.6, 0.7, 0.35];
        with_path.insert("direct.weight", vec![1, 8], weights.to_vec()).unwrap();
        with_path.insert("direct.scale", vec![2], vec![0.5, 0.2]).unwrap();
        let config = FineConfig { direct: true, ..plain.config().clone() };
        assert!(Fine::new(Isa::best(), config.clone(), &with_path).is_err(), "a path without its bias");
        with_path.insert("direct.bias", vec![1], vec![-0.1]).unwrap();
        let direct = Fine::new(Isa::best(), config, &with_path).unwrap();
        // Two frames are repeated; the last takes several bands of query frames.
        for (h, w) in [(2, 9), (7, 5), (150, 300)] {
            let (q, t) = (plain.index(video(h, h).view()).unwrap(), plain.index(video(w + 1, w).view()).unwrap());
            let maps = plain.channel_similarity(&q.scored(), &t.scored()).unwrap();
            let highest = maps.fold_axis(Axis(0), -9.0, |a: &f32, b| a.max(*b));
            let mut expected = vec![
                plain.similarity(&q, &t).unwrap(),
                best(plain.frame_similarity(&q.scored(), &t.scored()).unwrap().view()),
                best(highest.view()),
            ];
            expected.extend(maps.outer_iter().map(best));
            let footage = [&q, &t].map(Footage::of_tensor);
            let mut examine = |net: &Fine| net.examine(&footage[0], &footage[1], &mut workspace).unwrap();
            let (examined, evidence) = (examine(&direct), examine(&direct).evidence);
            assert_eq!(evidence, examine(&plain).evidence);
            assert!(worst(&evidence[..6], &expected) <= 1e-5, "{evidence:?} {expected:?}");
            let aligned = evidence[6];
            assert!(evidence.len() == 8 && (0.0..=1.0).contains(&aligned) && (h > 2 || aligned == 0.0), "{evidence:?}");
            let sum: f32 = evidence.iter().zip(weights).map(|(e, w)| e * w).sum();
            let score = direct.similarity(&q, &t).unwrap();
            assert!((score - (0.2 + 0.5 * (sum - 0.1)).tanh()).abs() <= 1e-6, "{bits:?} {h}x{w}: {score}");
            assert_eq!(score, examined.similarity);
            let of_maps = direct.similarity_of_maps(maps.view(), [h, w], evidence[7], Pool::Ceil).unwrap();
            assert!((score - of_maps).abs() <= 1e-5, "{bits:?} {h}x{w}: {score} {of_maps}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let net = network(Isa::best(), Some(BITS), Some(across_scales()), PoolEdge::Drop);
    let small = video(1, 4).slice(s![.., ..10, ..]).to_owned();
    assert_eq!(net.index(small.view()), Err(InputError::Regions { needed: 35, found: 10 }));
    let plain = network(Isa::best(), Some(BITS), None, PoolEdge::Drop);
    let tensor = plain.index(small.view()).unwrap();
    assert_eq!(net.similarity(&tensor, &tensor), Err(InputError::Regions { needed: 35, found: 10 }));
    assert!(matches!(
        net.similarity(&tensor, &plain.index(video(1, 4).view()).unwrap()),
        Err(InputError::Mismatch { .. })
    ));
    let map = Array2::zeros((8, 8));
    assert_eq!(net.compare(map.view(), Pool::Floor), Err(InputError::Channels { expected: 3, found: 1 }));
    let config = FineConfig { channels: None, ..net.config().clone() };
    let message = Fine::new(Isa::best(), config, &state(3)).unwrap_err().to_string();
    assert!(message.contains("takes 3 channels, the network has 1"), "{message}");
}

#[test]
fn coarse_and_selector_look_at_their_regions_only() {
    let mut coarse_state = StateDict::new("coarse.");
    attention(&mut coarse_state);
    let mut state = StateDict::new("selector.");
    comparator(&mut state, 1);
    attention(&mut state);
    for (layer, inputs) in [(0, 3), (4, 5)] {
        add(&mut state, &format!("mlp.model.{layer}.weight"), vec![5, inputs], 0.5);
        for name in ["weight", "bias", "running_mean"] {
            add(&mut state, &format!("mlp.model.{}.{name}", layer + 1), vec![5], 0.5);
        }
        state.insert(format!("mlp.model.{}.running_var", layer + 1), vec![5], vec![0.5; 5]).unwrap();
    }
    add(&mut state, "mlp.model.8.weight", vec![1, 5], 0.5);
    add(&mut state, "mlp.model.8.bias", vec![1], 0.5);

    let coarse_of = |regions| {
        let config = CoarseConfig { dims: DIMS, attention: true, regions, transformer: None, netvlad: None };
        Coarse::new(Isa::best(), config, &coarse_state)
    };
    let selector_of = |regions| {
        let comparator =
            ComparatorConfig { channels: [1, 8, 12, 16], padding: PaddingMode::Zero, edge: PoolEdge::Drop };
        Selector::new(Isa::best(), SelectorConfig { dims: DIMS, regions, comparator, hidden: 5, layers: 1 }, &state)
    };
    let video = video(9, 13);
    let part = video.slice(s![.., 4..14, ..]).to_owned();
    let (some, all) = (coarse_of(Some([4, 14])).unwrap(), coarse_of(None).unwrap());
    let stages = some.stages(video.view()).unwrap();
    assert_eq!(stages.attention.len(), 13 * 10);
    assert_eq!(stages, all.stages(part.view()).unwrap());
    assert_ne!(stages.out, all.index(video.view()).unwrap());
    let (some, all) = (selector_of(Some([4, 14])).unwrap(), selector_of(None).unwrap());
    assert_eq!(some.self_matrix(video.view()).unwrap(), all.self_matrix(part.view()).unwrap());
    let own = some.self_similarity(video.view()).unwrap();
    assert_eq!(own.to_bits(), all.self_similarity(part.view()).unwrap().to_bits());
    assert_ne!(own.to_bits(), all.self_similarity(video.view()).unwrap().to_bits());

    let error = InputError::Regions { needed: 36, found: 35 };
    assert_eq!(coarse_of(Some([4, 36])).unwrap().index(video.view()), Err(error.clone()));
    assert_eq!(selector_of(Some([4, 36])).unwrap().self_similarity(video.view()), Err(error));
    for message in
        [coarse_of(Some([4, 4])).unwrap_err().to_string(), selector_of(Some([4, 3])).unwrap_err().to_string()]
    {
        assert!(message.contains("above the start"), "{message}");
    }
}
