//! What all instruction sets share: which code lies in which lane, the loops over tiles, and the sums over regions.
//!
//! Packed codes are groups of vectors. A group covers `span` target frames, a power of two up to the lane count; its
//! vectors hold `lanes / span` regions each:
//!
//! ```text
//! vector v, lane c  =  region v * (lanes / span) + c / span  of frame  start + c % span
//! ```
//!
//! Full groups have `span == lanes`: lane = frame, vector = region. The last frames of a target get narrower groups, so
//! that a lane is not wasted on a frame that is not there. Lanes beyond the last frame or region repeat it: a repeated
//! region does not change a minimum, a repeated frame is not read.

use super::residual::{BLOCK, Row, combine};
use super::{MAX_REGIONS, Part, Shape};

/// Largest lane count of an engine.
pub(super) const MAX_LANES: usize = 32;

/// The inner kernels of one instruction set.
///
/// # Safety
/// `pack` fills `dst` entirely, and `tile` touches only the memory that its contract names.
pub(super) unsafe trait Engine {
    /// Codes in a vector; a power of two up to [`MAX_LANES`].
    const LANES: usize;
    /// Query codes in the largest tile.
    const TILE_CODES: usize;
    /// Target vectors in the largest tile.
    const TILE_VECTORS: usize;

    /// Bytes of a packed vector of codes of `code_bytes` bytes.
    fn vector_bytes(code_bytes: usize) -> usize;

    /// Packs `LANES` codes of equal length as the vector `index` of the `vectors` vectors in `dst`, which are compared
    /// in one tile and may be interleaved.
    ///
    /// # Safety
    /// The instruction set is present.
    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]);

    /// For each of `count` query codes and each lane: the least distance to the codes of that lane in `vectors` target
    /// vectors, and, unless `first`, the value already in `least`, goes to `least`.
    ///
    /// # Safety
    /// The instruction set is present; `count` is in 1..=`TILE_CODES` and `vectors` in 1..=`TILE_VECTORS`; `query`
    /// points to `count` codes of `code_bytes` bytes, `target` to `vectors` vectors packed together, `least` to `count` rows of
    /// `LANES` values.
    unsafe fn tile(
        count: usize,
        vectors: usize,
        query: *const u8,
        target: *const u8,
        code_bytes: usize,
        least: *mut u16,
        first: bool,
    );
}

/// The value of an expression for the constants `Q` and `P` that equal a count of codes and of vectors.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))]
macro_rules! tiles {
    ($count:expr, $vectors:expr, [$(($q:literal, $p:literal)),* $(,)?], $tile:expr) => {
        match ($count, $vectors) {
            $(($q, $p) => {
                const Q: usize = $q;
                const P: usize = $p;
                $tile
            })*
            _ => unreachable!("a tile of {} codes and {} vectors", $count, $vectors),
        }
    };
}
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(super) use tiles;

/// Some target frames whose codes share vectors.
struct Group {
    /// First target frame.
    start: usize,
    /// Frames; at most `span`.
    frames: usize,
    /// Frames that the lanes of a vector are laid out for.
    span: usize,
    /// Vectors.
    vectors: usize,
    /// Bytes of packed codes before the group.
    offset: usize,
}

/// The groups of a target.
struct Groups {
    lanes: usize,
    regions: usize,
    vector_bytes: usize,
    next: usize,
    frames: usize,
    offset: usize,
}

impl Groups {
    fn new<E: Engine>(shape: Shape, frames: usize) -> Self {
        Self {
            lanes: E::LANES,
            regions: shape.regions(),
            vector_bytes: E::vector_bytes(shape.code_bytes()),
            next: 0,
            frames,
            offset: 0,
        }
    }

    fn vectors(&self, span: usize) -> usize {
        self.regions.div_ceil(self.lanes / span)
    }

    /// The span of the next group, and the vectors of it and all after it, when `left` frames (fewer than the lanes) are
    /// left: either one group, or a group without unused lanes and the best groups for the rest.
    fn best(&self, left: usize) -> (usize, usize) {
        let wide = left.next_power_of_two();
        let one = (wide, self.vectors(wide));
        if wide == left {
            return one;
        }
        let split = self.vectors(wide / 2) + self.best(left - wide / 2).1;
        if split < one.1 { (wide / 2, split) } else { one }
    }
}

impl Iterator for Groups {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let left = self.frames - self.next;
        if left == 0 {
            return None;
        }
        let span = if left >= self.lanes { self.lanes } else { self.best(left).0 };
        let vectors = self.vectors(span);
        let group = Group { start: self.next, frames: span.min(left), span, vectors, offset: self.offset };
        self.next += group.frames;
        self.offset += vectors * self.vector_bytes;
        Some(group)
    }
}

/// Cuts `vectors` vectors into tiles, as equal as can be: first vector and number of vectors of each.
#[inline(always)]
fn tiles_of<E: Engine>(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    core::iter::from_fn(move || {
        let (first, left) = (next, vectors - next);
        let count = left.div_ceil(left.div_ceil(E::TILE_VECTORS).max(1));
        next += count;
        (left > 0).then_some((first, count))
    })
}

/// Bytes that the packed codes of `frames` frames take.
///
/// # Safety
/// None is needed: unsafe for the sake of one dispatch macro.
pub(super) unsafe fn packed_bytes<E: Engine>(shape: Shape, frames: usize) -> usize {
    Groups::new::<E>(shape, frames)
        .last()
        .map_or(0, |group| group.offset + group.vectors * E::vector_bytes(shape.code_bytes()))
}

/// Packs the codes of `part` into `packed`, at least `packed_bytes` bytes.
///
/// # Safety
/// The instruction set of `E` is present.
#[inline(always)]
pub(super) unsafe fn pack<E: Engine>(part: &Part<'_>, packed: &mut [u8]) {
    let shape = part.shape();
    let regions = shape.regions();
    let vector_bytes = E::vector_bytes(shape.code_bytes());
    for group in Groups::new::<E>(shape, part.frames()) {
        let packed = &mut packed[group.offset..][..group.vectors * vector_bytes];
        for (first, vectors) in tiles_of::<E>(group.vectors) {
            let tile = &mut packed[first * vector_bytes..][..vectors * vector_bytes];
            for index in 0..vectors {
                let mut lanes: [&[u8]; MAX_LANES] = [&[]; MAX_LANES];
                for (c, lane) in lanes[..E::LANES].iter_mut().enumerate() {
                    let region = ((first + index) * (E::LANES / group.span) + c / group.span).min(regions - 1);
                    let frame = group.start + (c % group.span).min(group.frames - 1);
                    *lane = part.code(frame, region);
                }
                // SAFETY: the caller vouches for the instruction set.
                unsafe { E::pack(&lanes, index, vectors, tile) };
            }
        }
    }
}

/// Writes the sums of `query`, whole frames of `regions` codes each, against `frames` packed target frames of `shape`,
/// row-major.
///
/// # Safety
/// The instruction set of `E` is present.
#[inline(always)]
pub(super) unsafe fn compare<E: Engine>(
    regions: usize,
    query: &[u8],
    shape: Shape,
    packed: &[u8],
    frames: usize,
    sums: &mut [u16],
) {
    let code_bytes = shape.code_bytes();
    let vector_bytes = E::vector_bytes(code_bytes);
    let frame_bytes = regions * code_bytes;
    assert!(regions <= MAX_REGIONS && sums.len() == query.len() / frame_bytes * frames);
    // The least distances of as many query frames as fit: a tile of target vectors stays in the first-level cache for
    // all of them.
    let mut least = [0u16; MAX_REGIONS * MAX_LANES];
    let batch = MAX_REGIONS / regions;
    for group in Groups::new::<E>(shape, frames) {
        let target = &packed[group.offset..][..group.vectors * vector_bytes];
        for (codes, rows) in query.chunks(batch * frame_bytes).zip(sums.chunks_mut(batch * frames)) {
            let count = codes.len() / code_bytes;
            for (first, vectors) in tiles_of::<E>(group.vectors) {
                for o in (0..count).step_by(E::TILE_CODES) {
                    // SAFETY: the caller vouches for the instruction set; `codes` holds `count` codes, `target` holds
                    // `group.vectors >= first + vectors` vectors, these in one tile, and `least` holds
                    // `batch * regions >= count` rows, as MAX_LANES >= LANES.
                    unsafe {
                        E::tile(
                            E::TILE_CODES.min(count - o),
                            vectors,
                            codes.as_ptr().add(o * code_bytes),
                            target.as_ptr().add(first * vector_bytes),
                            code_bytes,
                            least.as_mut_ptr().add(o * E::LANES),
                            first == 0,
                        );
                    }
                }
            }
            for (least, row) in least.chunks_exact(regions * E::LANES).zip(rows.chunks_exact_mut(frames)) {
                sum_regions::<E>(least, &group, row);
            }
        }
    }
}

/// Sums the least distances `[regions][LANES]` of one query frame over its regions into the group's part of `row`.
#[inline(always)]
fn sum_regions<E: Engine>(least: &[u16], group: &Group, row: &mut [u16]) {
    let row = &mut row[group.start..][..group.frames];
    match group.span {
        1 => sum_lanes::<E, 1>(least, row),
        2 => sum_lanes::<E, 2>(least, row),
        4 => sum_lanes::<E, 4>(least, row),
        8 => sum_lanes::<E, 8>(least, row),
        16 => sum_lanes::<E, 16>(least, row),
        _ => sum_lanes::<E, 32>(least, row),
    }
}

/// `sum_regions` for groups laid out for `SPAN` frames.
#[inline(always)]
fn sum_lanes<E: Engine, const SPAN: usize>(least: &[u16], row: &mut [u16]) {
    let mut total = [0u16; SPAN];
    for least in least.chunks_exact(E::LANES) {
        // The regions of a frame are `SPAN` lanes apart.
        let mut min = [u16::MAX; SPAN];
        for least in least.chunks_exact(SPAN) {
            for (min, &least) in min.iter_mut().zip(least) {
                *min = (*min).min(least);
            }
        }
        for (total, min) in total.iter_mut().zip(min) {
            *total += min;
        }
    }
    row.copy_from_slice(&total[..row.len()]);
}

/// Lanes of a vector, and its bytes for codes of `shape`.
///
/// # Safety
/// None is needed: unsafe for the sake of one dispatch macro.
pub(super) unsafe fn vector_layout<E: Engine>(shape: Shape) -> (usize, usize) {
    (E::LANES, E::vector_bytes(shape.code_bytes()))
}

/// Packs each region of `LANES` frames as a vector of its own: `[groups of frames][regions]`. Lanes
/// beyond the last frame repeat it.
///
/// # Safety
/// The instruction set of `E` is present.
#[inline(always)]
pub(super) unsafe fn pack_each<E: Engine>(part: &Part<'_>, packed: &mut [u8]) {
    let (shape, frames) = (part.shape(), part.frames());
    let vector_bytes = E::vector_bytes(shape.code_bytes());
    for (index, vector) in packed.chunks_exact_mut(vector_bytes).enumerate() {
        let (start, region) = (index / shape.regions() * E::LANES, index % shape.regions());
        if start >= frames {
            break;
        }
        let mut lanes: [&[u8]; MAX_LANES] = [&[]; MAX_LANES];
        for (c, lane) in lanes[..E::LANES].iter_mut().enumerate() {
            *lane = part.code((start + c).min(frames - 1), region);
        }
        // SAFETY: the caller vouches for the instruction set.
        unsafe { E::pack(&lanes, 0, 1, vector) };
    }
}

/// The distance of every code of `query` to every region of the target frames from `start` on, up to
/// [`BLOCK`] of them: `[codes][regions][BLOCK]`. Places beyond the last group of lanes keep what they
/// had.
///
/// # Safety
/// The instruction set of `E` is present.
#[inline(always)]
pub(super) unsafe fn each<E: Engine>(
    query: &[u8],
    shape: Shape,
    packed: &[u8],
    frames: usize,
    start: usize,
    distances: &mut [u16],
) {
    let (regions, code_bytes) = (shape.regions(), shape.code_bytes());
    let (vector_bytes, count) = (E::vector_bytes(code_bytes), query.len() / code_bytes);
    assert!(start.is_multiple_of(BLOCK) && start < frames && distances.len() >= count * regions * BLOCK);
    let groups = (frames - start).min(BLOCK).div_ceil(E::LANES);
    let first = start / E::LANES;
    assert!(packed.len() >= (first + groups) * regions * vector_bytes);
    let mut tile = [0u16; MAX_LANES * 4];
    for group in 0..groups {
        for region in 0..regions {
            let vector = &packed[((first + group) * regions + region) * vector_bytes..][..vector_bytes];
            for q in (0..count).step_by(E::TILE_CODES) {
                let codes = E::TILE_CODES.min(count - q);
                const { assert!(E::TILE_CODES <= 4 && E::LANES <= MAX_LANES) };
                // SAFETY: the caller vouches for the instruction set; `query` holds `codes` codes from `q` on, `vector` is one
                // vector that was packed alone, and `tile` holds `TILE_CODES` rows of `LANES` values.
                unsafe {
                    E::tile(
                        codes,
                        1,
                        query.as_ptr().add(q * code_bytes),
                        vector.as_ptr(),
                        code_bytes,
                        tile.as_mut_ptr(),
                        true,
                    );
                }
                for (k, lanes) in tile[..codes * E::LANES].chunks_exact(E::LANES).enumerate() {
                    let at = ((q + k) * regions + region) * BLOCK + group * E::LANES;
                    distances[at..at + E::LANES].copy_from_slice(lanes);
                }
            }
        }
    }
}

/// A row of residual similarities ([`combine`]).
///
/// # Safety
/// The instruction set of `E` is present.
#[inline(always)]
pub(super) unsafe fn residual_row<E: Engine>(row: &Row<'_>, shape: Shape, packed: &[u8], out: &mut [f32]) {
    let (frames, count) = (out.len(), row.weights.len() * shape.regions());
    let mut few = [0u16; 128 * BLOCK];
    let mut many = alloc::vec::Vec::new();
    let distances = if count <= 128 {
        &mut few[..]
    } else {
        many.resize(count * BLOCK, 0);
        &mut many[..]
    };
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { each::<E>(row.codes, shape, packed, frames, block * BLOCK, distances) };
        combine(row, shape, distances, block * BLOCK, out);
    }
}
