//! The groups whose only reference is a tract graph, and the graphs that other groups compare with.

mod graphs;

use std::cell::RefCell;
use std::hint::black_box;

use ndarray::Array3;
use vidsieve_kernels::comparator::{self, Comparator, Pool, Scratch};
use vidsieve_kernels::{Isa, chamfer, hamming};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::{CoarseConfig, NetVladConfig, TransformerConfig};

use super::measure::{DIMS, REGIONS, codes, contestant, rows, same, sizes, vectors};
use super::network::Network;
use super::{BenchError, BenchOptions, Row};
use crate::rule;
use graphs::Graph;

/// The comparator of a network over one map of `side` x `side`.
pub(super) fn comparator(network: &Network, side: usize) -> Result<Graph, BenchError> {
    graphs::comparator(network, side, side).map_err(BenchError::contestant)
}

/// A whole S^f_B pair, codes to similarity, against the same in float32 as upstream computes it:
/// signs as floats, einsum, maximum, mean, comparator on tract.
pub(super) fn pair_fine_binary(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    let shape = hamming::Shape::new(REGIONS, DIMS).map_err(BenchError::contestant)?;
    let network = Network::new();
    let kernels = network.kernels()?;
    for &frames in sizes(options) {
        let name = format!("pair_fine_binary_{frames}x{frames}");
        let (q, t) = (codes("q", frames * shape.frame_bytes()), codes("t", frames * shape.frame_bytes()));
        let signs = |codes: &[u8]| -> Vec<f32> {
            (0..codes.len() * 8).map(|i| if codes[i / 8] >> (i % 8) & 1 == 1 { 1.0 } else { -1.0 }).collect()
        };
        let (qf, tf) = (signs(&q), signs(&t));
        let graph = comparator(&network, frames)?;
        let (rows_out, columns_out) = (frames / 2 / 2, frames / 2 / 2);
        let float_pair = || -> Result<f32, BenchError> {
            let mut f2f = vec![0f32; frames * frames];
            chamfer::naive::region_chamfer(black_box(&qf), &tf, REGIONS, DIMS, &mut f2f);
            #[allow(clippy::cast_precision_loss)]
            f2f.iter_mut().for_each(|v| *v /= DIMS as f32);
            let raw = graph.run(&f2f)?;
            Ok(comparator::chamfer_of_output(&raw, rows_out, columns_out))
        };
        let expected = float_pair()?;
        type State = (hamming::Target, Vec<u16>, Vec<f32>, Vec<f32>, Scratch);
        let states: Vec<RefCell<State>> = kernels
            .iter()
            .map(|kernel| {
                let target = hamming::Target::new(kernel.isa(), shape, &t)?;
                let n = frames * frames;
                Ok(RefCell::new((
                    target,
                    vec![0; n],
                    vec![0.0; n],
                    vec![0.0; rows_out * columns_out],
                    Scratch::default(),
                )))
            })
            .collect::<Result<_, hamming::ShapeError>>()
            .map_err(BenchError::contestant)?;
        let pair = |kernel: &Comparator, state: &RefCell<State>| {
            let (target, sums, f2f, raw, scratch) = &mut *state.borrow_mut();
            let _ = target.repack(black_box(&t));
            hamming::region_chamfer(black_box(&q), target, sums);
            hamming::similarity(shape, sums, f2f);
            kernel.forward(f2f, frames, frames, Pool::Floor, raw, scratch);
            comparator::chamfer_of_output(raw, rows_out, columns_out)
        };
        let pair = &pair;
        let mut contestants = vec![contestant("float32 einsum + tract", 1.0, || {
            let _ = black_box(float_pair());
        })];
        for (kernel, state) in kernels.iter().zip(&states) {
            let label = kernel.isa().name();
            same(&name, label, "float32 einsum + tract", 1e-4, &[expected], &[pair(kernel, state)])?;
            contestants.push(contestant(label, 1.0, move || {
                black_box(pair(kernel, state));
            }));
        }
        rows(&name, contestants, 1, options, out);
    }
    Ok(())
}

/// S^c of 60 frames: the kernels against the same network as a tract graph.
pub(super) fn coarse_index(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    let frames = sizes(options)[0];
    let (dims, feedforward, clusters, output) = if options.quick { (64, 128, 4, 32) } else { (512, 2048, 64, 1024) };
    let name = format!("coarse_index_{frames}_frames");
    let config = CoarseConfig {
        dims,
        attention: true,
        transformer: Some(TransformerConfig { heads: 8, feedforward, layers: 1 }),
        netvlad: Some(NetVladConfig { clusters, output }),
        regions: None,
    };
    let shapes = crate::parity::coarse_shapes(dims, feedforward, clusters, output);
    let state = rule::state_dict("bench", shapes).map_err(BenchError::contestant)?;
    let x = vectors("q", frames, dims);
    let video = Array3::from_shape_vec((frames, REGIONS, dims), x.clone()).map_err(BenchError::contestant)?;
    let graph = graphs::coarse(&state, &config, frames, REGIONS).map_err(BenchError::contestant)?;
    let expected = graph.run(&x)?;
    let networks: Vec<(Isa, Coarse)> = Isa::available()
        .map(|isa| Coarse::new(isa, config, &state).map(|n| (isa, n)))
        .collect::<Result<_, _>>()
        .map_err(BenchError::contestant)?;
    let mut contestants = vec![contestant("tract graph", 1.0, || {
        let _ = black_box(graph.run(black_box(&x)));
    })];
    for (isa, network) in &networks {
        let got = network.index(video.view()).map_err(BenchError::contestant)?;
        same(&name, isa.name(), "tract graph", 1e-5, &expected, &got)?;
        let video = &video;
        contestants.push(contestant(isa.name(), 1.0, move || {
            let _ = black_box(network.index(video.view()));
        }));
    }
    rows(&name, contestants, 1, options, out);
    Ok(())
}
