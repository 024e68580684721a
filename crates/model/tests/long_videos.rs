//! Long videos: memory that grows with the videos' lengths and not with their product, and the score of the whole matrix.
// A counting allocator is the only way to see the peak, and an allocator is unsafe to implement.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ndarray::Array3;
use vidsieve_kernels::comparator::Pool;
use vidsieve_kernels::{Isa, hamming};
use vidsieve_model::config::{Attention, Channel, ComparatorConfig, FineConfig, PaddingMode, PoolEdge};
use vidsieve_model::fine::{Fine, VideoTensor, video_chamfer};
use vidsieve_model::weights::StateDict;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// One test at a time: the counters are the process's.
static TURN: Mutex<()> = Mutex::new(());

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `f` holds at its peak beyond what was held before.
fn peak<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let value = f();
    (value, PEAK.load(Relaxed) - before)
}

fn numbers(seed: u32, n: usize) -> Vec<f32> {
    let mut z = seed;
    let mut next = || {
        z = z.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (z >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn network(dims: usize, bits: Option<usize>) -> Fine {
    network_of(dims, bits, None)
}

fn network_of(dims: usize, bits: Option<usize>, channels: Option<Vec<Channel>>) -> Fine {
    let inputs = channels.as_ref().map_or(1, Vec::len);
    let mut state = StateDict::new("fine.");
    let mut add = |name: &str, shape: &[usize], scale: f32| {
        let n = shape.iter().product();
        let data = numbers(n as u32, n).into_iter().map(|v| v * scale).collect();
        state.insert(name, shape.to_vec(), data).unwrap();
    };
    add("visil_head.conv1.weight", &[32, inputs, 3, 3], 0.8);
    add("visil_head.conv1.bias", &[32], 0.1);
    add("visil_head.conv2.weight", &[64, 32, 3, 3], 0.14);
    add("visil_head.conv2.bias", &[64], 0.1);
    add("visil_head.conv3.weight", &[128, 64, 3, 3], 0.1);
    add("visil_head.conv3.bias", &[128], 0.1);
    add("visil_head.fconv.weight", &[1, 128, 1, 1], 0.2);
    add("visil_head.fconv.bias", &[1], 0.1);
    let attention = if let Some(bits) = bits {
        add("binarization.W", &[dims, bits], 1.0);
        Attention::None
    } else {
        add("attention.transform.weight", &[dims, dims], 0.5);
        add("attention.transform.bias", &[dims], 0.1);
        add("attention.context_vector.weight", &[1, dims], 1.0);
        Attention::H
    };
    let channels_of = [inputs, 32, 64, 128];
    let comparator = ComparatorConfig { channels: channels_of, padding: PaddingMode::Zero, edge: PoolEdge::Drop };
    let config = FineConfig { dims, attention, bits, symmetric: false, channels, comparator, direct: false };
    Fine::new(Isa::best(), config, &state).unwrap()
}

fn codes(seed: u32, frames: usize, regions: usize, bits: usize) -> VideoTensor {
    let shape = hamming::Shape::new(regions, bits).unwrap();
    let bytes = frames * shape.frame_bytes();
    let data = numbers(seed, bytes).into_iter().map(|v| (v * 127.0) as i8 as u8).collect();
    VideoTensor::Codes { data, frames, shape }
}

#[test]
fn bands_give_the_score_of_the_whole_matrix() {
    let _turn = TURN.lock().unwrap();
    for bits in [None, Some(64)] {
        let net = network(16, bits);
        let index = |seed: u32, frames: usize| {
            let x = Array3::from_shape_vec((frames, 9, 16), numbers(seed, frames * 9 * 16)).unwrap();
            net.index(x.view()).unwrap()
        };
        for (q, t) in [(4, 4), (5, 131), (133, 70), (301, 450), (1, 40)] {
            let (query, target) = (index(1, q), index(2, t));
            let f2f = net.frame_similarity(&query.scored(), &target.scored()).unwrap();
            let whole = video_chamfer(net.compare(f2f.view(), Pool::Floor).unwrap().view(), false);
            let banded = net.similarity(&query, &target).unwrap();
            assert!((whole - banded).abs() <= 1e-5, "{bits:?} {q}x{t}: {whole} {banded}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_product_of_the_lengths() {
    const LIMIT: usize = 64 << 20;
    let _turn = TURN.lock().unwrap();
    let channel = |query, target, transposed| Channel { query, target, transposed };
    let across =
        vec![channel([0, 9], [0, 9], false), channel([9, 10], [10, 35], false), channel([10, 35], [9, 10], true)];
    let one = network(512, Some(512));
    let several = network_of(512, Some(128), Some(across));
    for (net, q, t, regions) in [(&one, 600, 6000, 9), (&one, 3600, 3600, 9), (&several, 600, 6000, 35)] {
        let bits = net.config().bits.unwrap();
        let (query, target) = (codes(3, q, regions, bits), codes(4, t, regions, bits));
        let (score, bytes) = peak(|| net.similarity(&query, &target).unwrap());
        eprintln!("{q} x {t} frames of {regions} regions: {:.1} MB, similarity {score}", bytes as f64 / 1e6);
        assert!((-1.0..=1.0).contains(&score));
        // A channel's matrix alone would take 14 or 52 MB, the first layer's activations 32 times that.
        assert!(bytes < LIMIT, "{q} x {t} frames took {bytes} bytes");
    }
}
