//! The groups of contestants. Names contain `chamfer`, `comparator`, `pair`, `scan`, `selector` or `coarse`.

use std::cell::RefCell;
use std::hint::black_box;

use vidsieve_kernels::comparator::{self, Padding, Pool, Scratch};
use vidsieve_kernels::{Isa, chamfer, hamming, scan, selector};

use super::measure::{DIMS, REGIONS, codes, contestant, rows, same, sizes, vectors};
use super::network::Network;
#[cfg(feature = "tract")]
use super::tract;
use super::{BenchError, BenchOptions, Row};
use crate::rule;

type Group = fn(&BenchOptions, &mut Vec<Row>) -> Result<(), BenchError>;

/// Groups by name, in the order in which they run.
pub(super) const ALL: &[(&str, Group)] = &[
    ("chamfer_binary", chamfer_binary),
    ("chamfer_float", chamfer_float),
    (COMPARATOR, comparator_maps),
    #[cfg(feature = "tract")]
    (PAIR, tract::pair_fine_binary),
    ("scan", scans),
    ("selector", selector_pairs),
    #[cfg(feature = "tract")]
    (COARSE, tract::coarse_index),
];

/// Groups with rows whose reference is a tract graph.
pub(super) const WITH_TRACT: [&str; 3] = [COMPARATOR, PAIR, COARSE];

const COMPARATOR: &str = "comparator";
const PAIR: &str = "pair_fine_binary";
const COARSE: &str = "coarse_index";

fn chamfer_binary(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    let shape = hamming::Shape::new(REGIONS, DIMS).map_err(BenchError::contestant)?;
    for &frames in sizes(options) {
        let name = format!("chamfer_binary_{frames}x{frames}x{REGIONS}x{DIMS}");
        let (q, t) = (codes("q", frames * shape.frame_bytes()), codes("t", frames * shape.frame_bytes()));
        let sums = || RefCell::new(vec![0u16; frames * frames]);
        let (plain, popcnt) = (sums(), sums());
        hamming::naive::region_chamfer(shape, &q, &t, &mut plain.borrow_mut());
        let targets: Vec<RefCell<hamming::Target>> = Isa::available()
            .map(|isa| hamming::Target::new(isa, shape, &t).map(RefCell::new))
            .collect::<Result<_, _>>()
            .map_err(BenchError::contestant)?;
        let buffers: Vec<_> = targets.iter().map(|_| sums()).collect();
        let mut contestants = vec![contestant("count_ones loop", 1.0, || {
            hamming::naive::region_chamfer(black_box(shape), black_box(&q), black_box(&t), &mut plain.borrow_mut());
        })];
        if hamming::naive::region_chamfer_popcnt(shape, &q, &t, &mut popcnt.borrow_mut()) {
            contestants.push(contestant("count_ones loop, popcnt", 1.0, || {
                hamming::naive::region_chamfer_popcnt(shape, black_box(&q), black_box(&t), &mut popcnt.borrow_mut());
            }));
        }
        let references = contestants.len();
        for (target, buffer) in targets.iter().zip(&buffers) {
            let label = target.borrow().isa().name();
            hamming::region_chamfer(&q, &target.borrow(), &mut buffer.borrow_mut());
            let floats = |s: &RefCell<Vec<u16>>| s.borrow().iter().map(|&v| f32::from(v)).collect::<Vec<_>>();
            same(&name, label, "count_ones loop", 0.0, &floats(&plain), &floats(buffer))?;
            contestants.push(contestant(label, 1.0, || {
                hamming::region_chamfer(black_box(&q), &target.borrow(), &mut buffer.borrow_mut());
            }));
            contestants.push(contestant(format!("{label}+repack"), 1.0, || {
                // The codes have this target's length: packing them again cannot fail.
                let _ = target.borrow_mut().repack(black_box(&t));
                hamming::region_chamfer(black_box(&q), &target.borrow(), &mut buffer.borrow_mut());
            }));
        }
        rows(&name, contestants, references, options, out);
    }
    Ok(())
}

fn chamfer_float(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    let frames = sizes(options)[0];
    let name = format!("chamfer_float_{frames}x{frames}x{REGIONS}x{DIMS}");
    let (q, t) = (vectors("q", frames, DIMS), vectors("t", frames, DIMS));
    let buffer = || RefCell::new(vec![0f32; frames * frames]);
    let expected = buffer();
    chamfer::naive::region_chamfer(&q, &t, REGIONS, DIMS, &mut expected.borrow_mut());
    let targets: Vec<_> =
        Isa::available().map(|isa| (isa, chamfer::Target::new(isa, &t, frames, REGIONS, DIMS))).collect();
    let buffers: Vec<_> = targets.iter().map(|_| buffer()).collect();
    let mut contestants = vec![contestant("einsum-style loops", 1.0, || {
        chamfer::naive::region_chamfer(black_box(&q), &t, REGIONS, DIMS, &mut expected.borrow_mut());
    })];
    for ((isa, target), buffer) in targets.iter().zip(&buffers) {
        chamfer::region_chamfer(&q, target, &mut buffer.borrow_mut());
        same(&name, isa.name(), "einsum-style loops", 1e-5, &expected.borrow(), &buffer.borrow())?;
        contestants.push(contestant(isa.name(), 1.0, || {
            chamfer::region_chamfer(black_box(&q), target, &mut buffer.borrow_mut());
        }));
    }
    rows(&name, contestants, 1, options, out);
    Ok(())
}

fn comparator_maps(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    let network = Network::new();
    let kernels = network.kernels()?;
    for &side in sizes(options) {
        let name = format!("comparator_{side}x{side}");
        let map = rule::values("map", side * side, 1.0, 0.0);
        let expected = comparator::naive::forward(&network.view(), Padding::Zero, &map, side, side, Pool::Floor);
        let buffers: Vec<_> =
            kernels.iter().map(|_| RefCell::new((vec![0f32; expected.len()], Scratch::default()))).collect();
        let mut contestants = Vec::new();
        #[cfg(feature = "tract")]
        {
            let graph = tract::comparator(&network, side)?;
            same(&name, "tract", "direct loops", 1e-4, &expected, &graph.run(&map)?)?;
            let map = &map;
            contestants.push(contestant("tract graph", 1.0, move || {
                let _ = black_box(graph.run(black_box(map)));
            }));
        }
        // The plain loops take a hundred times longer: once is enough to know it.
        if side == sizes(options)[0] {
            let (view, map) = (network.view(), &map);
            contestants.push(contestant("direct loops", 1.0, move || {
                let _ = black_box(comparator::naive::forward(&view, Padding::Zero, map, side, side, Pool::Floor));
            }));
        }
        let references = contestants.len();
        for (kernel, buffer) in kernels.iter().zip(&buffers) {
            let label = kernel.isa().name();
            let call = || {
                let (values, scratch) = &mut *buffer.borrow_mut();
                kernel.forward(black_box(&map), side, side, Pool::Floor, values, scratch);
            };
            call();
            same(&name, label, "direct loops", 1e-4, &expected, &buffer.borrow().0)?;
            let map = &map;
            contestants.push(contestant(label, 1.0, move || {
                let (values, scratch) = &mut *buffer.borrow_mut();
                kernel.forward(black_box(map), side, side, Pool::Floor, values, scratch);
            }));
        }
        rows(&name, contestants, references, options, out);
    }
    Ok(())
}

/// One query against many global vectors: all similarities, and the best 100 by way of int8 and of signs with exact
/// rescoring. One unit is one vector.
#[allow(clippy::cast_precision_loss)]
fn scans(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    const BEST: usize = 100;
    let (count, dims) = match (options.quick, cfg!(target_family = "wasm")) {
        (true, _) => (500, 64),
        (false, true) => (20_000, 1024),
        (false, false) => (200_000, 1024),
    };
    // Rows of a few directions and noise, as videos of a few sources would be.
    let mut data = rule::values("rows", count * dims, 1.0, 0.0);
    let centres = rule::values("centres", 50 * dims, 1.0, 0.0);
    for (i, row) in data.chunks_exact_mut(dims).enumerate() {
        let centre = &centres[i % 50 * dims..][..dims];
        row.iter_mut().zip(centre).for_each(|(v, c)| *v = 0.7 * *v + c);
    }
    vidsieve_model::math::normalise_rows(&mut data, dims);
    let query = data[..dims].to_vec();
    let (values, scales) = scan::quantise_rows_i8(&data, dims);
    let signs = scan::sign_rows(&data, dims);
    let exact = |row: u32| vidsieve_model::math::dot(&query, &data[row as usize * dims..][..dims]);
    let mut plain = vec![0f32; count];
    scan::naive::dot_f32_plain(&query, &data, &mut plain);
    let expected = scan::top_k(&plain, BEST);
    let work = count as f64;
    let scores = RefCell::new(vec![0f32; count]);
    let all = |isa: Isa| scan::dot_f32(isa, black_box(&query), &data, dims, &mut scores.borrow_mut());
    let int8 = |isa: Isa| {
        let rows = scan::Rows::Int8 { values: &values, scales: &scales };
        scan::scan_rescored(isa, black_box(&query), rows, BEST, 4 * BEST, exact)
    };
    let sign = |isa: Isa| scan::scan_rescored(isa, black_box(&query), scan::Rows::Sign(&signs), BEST, 20 * BEST, exact);
    let buffer = RefCell::new(vec![0f32; count]);
    let reference = || {
        let mut buffer = buffer.borrow_mut();
        scan::naive::dot_f32_plain(black_box(&query), &data, &mut buffer);
    };
    for isa in Isa::available() {
        let name = |kind: &str| format!("scan_{kind}_{count}x{dims}");
        all(isa);
        same(&name("f32"), isa.name(), "f32 loop", 1e-5, &plain, &scores.borrow())?;
        let found = int8(isa);
        let kept = expected.iter().filter(|e| found.iter().any(|f| f.index == e.index)).count();
        same(&name("int8"), isa.name(), "exact best 100", 0.5, &[expected.len() as f32], &[kept as f32])?;
        let contestants = vec![contestant("f32 loop", work, reference), contestant(isa.name(), work, || all(isa))];
        rows(&name("f32"), contestants, 1, options, out);
        let contestants = vec![
            contestant("f32 loop", work, reference),
            contestant("f32 scan, same path", work, || all(isa)),
            contestant(isa.name(), work, || {
                black_box(int8(isa));
            }),
        ];
        rows(&name("int8_rescored"), contestants, 2, options, out);
        let contestants = vec![
            contestant("f32 loop", work, reference),
            contestant("f32 scan, same path", work, || all(isa)),
            contestant(isa.name(), work, || {
                black_box(sign(isa));
            }),
        ];
        rows(&name("sign_rescored"), contestants, 2, options, out);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn selector_pairs(options: &BenchOptions, out: &mut Vec<Row>) -> Result<(), BenchError> {
    const HIDDEN: usize = 100;
    let pairs = if options.quick { 1_000 } else { 200_000 };
    let name = format!("selector_{pairs}_pairs");
    let layer = |key: &str, n: usize, k: usize| selector::Layer {
        weight: rule::weight("bench", &format!("mlp.{key}.weight"), &[n, k]),
        bias: rule::weight("bench", &format!("mlp.{key}.bias"), &[n]),
    };
    let layers = [layer("0", HIDDEN, 3), layer("4", HIDDEN, HIDDEN), layer("8", 1, HIDDEN)];
    let (own, coarse) = (rule::values("own", pairs, 1.0, 0.0), rule::values("coarse", pairs, 1.0, 0.0));
    let query = 0.3f32;
    let expected: Vec<f32> =
        own.iter().zip(&coarse).map(|(&t, &c)| selector::naive::predict(&layers, [query, t, c])).collect();
    let work = pairs as f64;
    let networks: Vec<(Isa, selector::Mlp)> = Isa::available()
        .map(|isa| selector::Mlp::new(isa, &layers).map(|m| (isa, m)))
        .collect::<Result<_, _>>()
        .map_err(BenchError::contestant)?;
    let buffers: Vec<_> = networks.iter().map(|_| RefCell::new(vec![0f32; pairs])).collect();
    let mut contestants = vec![contestant("loop over pairs", work, || {
        for (&t, &c) in own.iter().zip(&coarse) {
            black_box(selector::naive::predict(black_box(&layers), [query, t, c]));
        }
    })];
    for ((isa, mlp), buffer) in networks.iter().zip(&buffers) {
        mlp.predict(query, &own, &coarse, &mut buffer.borrow_mut());
        same(&name, isa.name(), "loop over pairs", 1e-5, &expected, &buffer.borrow())?;
        contestants.push(contestant(isa.name(), work, || {
            mlp.predict(black_box(query), &own, &coarse, &mut buffer.borrow_mut());
        }));
    }
    rows(&name, contestants, 1, options, out);
    Ok(())
}
