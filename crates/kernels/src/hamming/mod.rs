//! Binary region Chamfer similarity: the frame-to-frame matrix of the binary fine-grained student S^f_B.
//!
//! A frame is `regions` binary codes of `bits` bits. For a query frame i and a target frame j the kernels compute
//!
//! ```text
//! S[i][j] = sum over query regions o of  min over target regions p of  hamming(q_io, t_jp)
//! ```
//!
//! and `f2f[i][j] = 1 - 2 S[i][j] / (regions * bits)` is the Chamfer similarity of the +-1 vectors. S is an integer
//! and the same on every instruction set; [`similarity`] is one correctly rounded division, so f2f is too.
//!
//! Either side may be a [`Part`], some of the regions of every frame: the sum is then over the query's part, the minimum over
//! the target's, and `regions` is that of the query's part.
//!
//! Targets are repacked so that one vector lane is one code ([`Target`]): the minimum over target regions is then
//! lane-wise and nothing is ever summed across lanes. Queries are read as stored.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod bytes;
mod generic;
pub mod naive;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub mod residual;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
mod words;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::Isa;
use crate::isa::Kind;

/// Most regions in a frame.
pub const MAX_REGIONS: usize = 64;

/// The layout of the codes of one frame: `regions` codes of `bits` bits each.
///
/// Codes lie region after region, frame after frame, without padding: `[frames][regions][bits / 8]` bytes, where bit k
/// of byte j is dimension 8 j + k.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    regions: usize,
    bits: usize,
}

impl Shape {
    /// A layout of `regions` codes of `bits` bits.
    ///
    /// # Errors
    /// `regions` is not in 1..=[`MAX_REGIONS`], `bits` is not a positive multiple of 8, or `regions * bits` exceeds
    /// 65535, above which a sum of distances does not fit `u16`.
    pub const fn new(regions: usize, bits: usize) -> Result<Self, ShapeError> {
        if regions == 0 || regions > MAX_REGIONS {
            return Err(ShapeError::Regions(regions));
        }
        if bits == 0 || !bits.is_multiple_of(8) {
            return Err(ShapeError::Bits(bits));
        }
        if bits > u16::MAX as usize / regions {
            return Err(ShapeError::TooManyBits { regions, bits });
        }
        Ok(Self { regions, bits })
    }

    /// Codes in a frame.
    #[must_use]
    pub const fn regions(self) -> usize {
        self.regions
    }

    /// Bits in a code, a multiple of 8.
    #[must_use]
    pub const fn bits(self) -> usize {
        self.bits
    }

    /// Bytes in a code.
    #[must_use]
    pub const fn code_bytes(self) -> usize {
        self.bits / 8
    }

    /// Bytes in a frame.
    #[must_use]
    pub const fn frame_bytes(self) -> usize {
        self.regions * self.code_bytes()
    }

    /// Bits in a frame: the largest sum of distances, at most 65535.
    #[must_use]
    pub const fn frame_bits(self) -> usize {
        self.regions * self.bits
    }

    /// Frames in `codes`.
    ///
    /// # Errors
    /// `codes` is not a whole number of frames.
    pub const fn frames(self, codes: &[u8]) -> Result<usize, ShapeError> {
        if codes.len().is_multiple_of(self.frame_bytes()) {
            Ok(codes.len() / self.frame_bytes())
        } else {
            Err(ShapeError::Length { bytes: codes.len(), frame_bytes: self.frame_bytes() })
        }
    }
}

/// Why codes or a layout of codes are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ShapeError {
    /// The number of regions is not in 1..=[`MAX_REGIONS`].
    Regions(usize),
    /// The number of bits is not a positive multiple of 8.
    Bits(usize),
    /// A frame has more than 65535 bits.
    TooManyBits {
        /// Codes in a frame.
        regions: usize,
        /// Bits in a code.
        bits: usize,
    },
    /// A range of regions is empty or reaches beyond those of a frame.
    Range {
        /// First region.
        start: usize,
        /// Region after the last.
        end: usize,
        /// Regions of a frame.
        regions: usize,
    },
    /// The codes are not a whole number of frames.
    Length {
        /// Bytes given.
        bytes: usize,
        /// Bytes in a frame.
        frame_bytes: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regions(regions) => {
                write!(f, "{regions} regions in a frame: binary codes have 1 to {MAX_REGIONS}")
            }
            Self::Bits(bits) => write!(f, "codes of {bits} bits: the length must be a positive multiple of 8"),
            Self::TooManyBits { regions, bits } => {
                write!(f, "{regions} regions of {bits} bits: a frame has at most {} bits", u16::MAX)
            }
            Self::Range { start, end, regions } => {
                write!(f, "regions {start}..{end} of a frame of {regions}: a part has at least one, all of the frame's")
            }
            Self::Length { bytes, frame_bytes } => {
                write!(f, "{bytes} bytes of codes are not a whole number of frames of {frame_bytes} bytes")
            }
        }
    }
}

impl core::error::Error for ShapeError {}

/// Some consecutive regions of every frame of a video.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    codes: &'a [u8],
    /// Of a whole frame.
    frame: Shape,
    first: usize,
    /// Of the part.
    shape: Shape,
}

impl<'a> Part<'a> {
    /// The regions `range` of `codes`, any number of frames of `shape`.
    ///
    /// # Errors
    /// `codes` is not a whole number of frames; `range` is empty or reaches beyond the regions of `shape`.
    pub fn new(shape: Shape, codes: &'a [u8], range: Range<usize>) -> Result<Self, ShapeError> {
        shape.frames(codes)?;
        if range.is_empty() || range.end > shape.regions {
            return Err(ShapeError::Range { start: range.start, end: range.end, regions: shape.regions });
        }
        let own = Shape { regions: range.len(), bits: shape.bits };
        Ok(Self { codes, frame: shape, first: range.start, shape: own })
    }

    /// All regions of `codes`.
    ///
    /// # Errors
    /// `codes` is not a whole number of frames.
    pub fn whole(shape: Shape, codes: &'a [u8]) -> Result<Self, ShapeError> {
        Self::new(shape, codes, 0..shape.regions)
    }

    /// Number of frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.codes.len() / self.frame.frame_bytes()
    }

    /// The layout of the part: its number of regions, the bits of a code.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The code of one region of the part.
    fn code(&self, frame: usize, region: usize) -> &'a [u8] {
        let code_bytes = self.shape.code_bytes();
        &self.codes[(frame * self.frame.regions + self.first + region) * code_bytes..][..code_bytes]
    }

    /// The distance of every frame of the part but the first to the one before it, all regions together.
    #[must_use]
    pub fn steps(&self) -> Vec<u32> {
        let differing = |frame: usize| {
            let [(a, a_rest), (b, b_rest)] = [frame, frame - 1].map(|frame| self.frame(frame).as_chunks::<8>());
            let words = a.iter().zip(b).map(|(a, b)| (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones());
            let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones());
            words.sum::<u32>() + rest.sum::<u32>()
        };
        (1..self.frames()).map(differing).collect()
    }

    /// The codes of one frame of the part, region after region.
    fn frame(&self, frame: usize) -> &'a [u8] {
        let code_bytes = self.shape.code_bytes();
        &self.codes[(frame * self.frame.regions + self.first) * code_bytes..][..self.shape.frame_bytes()]
    }

    /// The codes of the part alone, without those between: borrowed if it is the whole.
    fn gathered(&self) -> Cow<'a, [u8]> {
        if self.shape == self.frame {
            return Cow::Borrowed(self.codes);
        }
        let (start, length) = (self.first * self.shape.code_bytes(), self.shape.frame_bytes());
        let mut codes = Vec::with_capacity(self.frames() * length);
        for frame in self.codes.chunks_exact(self.frame.frame_bytes()) {
            codes.extend_from_slice(&frame[start..start + length]);
        }
        Cow::Owned(codes)
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = self.first..self.first + self.shape.regions;
        f.debug_struct("Part").field("frame", &self.frame).field("regions", &regions).finish_non_exhaustive()
    }
}

/// One cache line of packed codes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Line {
    fn bytes(lines: &[Self]) -> &[u8] {
        // SAFETY: a `Line` is 64 initialised bytes without padding.
        unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 64) }
    }

    fn bytes_mut(lines: &mut [Self]) -> &mut [u8] {
        // SAFETY: a `Line` is 64 bytes of any value, without padding.
        unsafe { core::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 64) }
    }
}

/// The codes of a target video, repacked for one instruction set.
///
/// Codes of different frames (and, where frames are few, of different regions) lie in the lanes of one vector.
/// Repacking reads each byte once; it costs a small part of a comparison with a query of some tens of frames, so
/// records stay in the canonical layout and are repacked when they are compared.
#[derive(Clone)]
pub struct Target {
    isa: Isa,
    shape: Shape,
    frames: usize,
    packed: Vec<Line>,
}

impl Target {
    /// Packs `codes`, any number of frames of `shape`, for `isa`.
    ///
    /// # Errors
    /// `codes` is not a whole number of frames.
    pub fn new(isa: Isa, shape: Shape, codes: &[u8]) -> Result<Self, ShapeError> {
        Ok(Self::of_part(isa, &Part::whole(shape, codes)?))
    }

    /// Packs some regions of every frame for `isa`.
    #[must_use]
    pub fn of_part(isa: Isa, part: &Part<'_>) -> Self {
        let mut target = Self { isa, shape: part.shape(), frames: 0, packed: Vec::new() };
        target.repack_part(part);
        target
    }

    /// Replaces the codes by `codes`, any number of frames of the same shape; the allocation is used again.
    ///
    /// # Errors
    /// `codes` is not a whole number of frames; the target is unchanged.
    pub fn repack(&mut self, codes: &[u8]) -> Result<(), ShapeError> {
        self.repack_part(&Part::whole(self.shape, codes)?);
        Ok(())
    }

    /// Replaces the codes, and the layout, by those of `part`; the allocation is used again.
    pub fn repack_part(&mut self, part: &Part<'_>) {
        (self.frames, self.shape) = (part.frames(), part.shape());
        let lines = packed_bytes(self.isa, self.shape, self.frames).div_ceil(size_of::<Line>());
        self.packed.resize(lines, Line([0; 64]));
        pack(self.isa, part, Line::bytes_mut(&mut self.packed));
    }

    /// Number of frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// The layout of a frame.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The instruction set that compares.
    #[must_use]
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    fn packed(&self) -> &[u8] {
        Line::bytes(&self.packed)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("isa", &self.isa)
            .field("shape", &self.shape)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// The sums of smallest Hamming distances of every query frame to every target frame.
///
/// `query` is canonical codes of `target.shape()`; `sums` is `[query frames][target frames]`, row-major, and every value
/// is written. Values are in 0..=`shape.frame_bits()`.
///
/// # Panics
/// `query` is not a whole number of frames, or `sums` has the wrong length.
pub fn region_chamfer(query: &[u8], target: &Target, sums: &mut [u16]) {
    let frame_bytes = target.shape.frame_bytes();
    assert!(query.len().is_multiple_of(frame_bytes), "query codes must be whole frames");
    assert_eq!(sums.len(), query.len() / frame_bytes * target.frames, "sums must be query frames x target frames");
    compare(target.isa, target.shape.regions, query, target.shape, target.packed(), target.frames, sums);
}

/// Computes [`region_chamfer`] of the regions of `query` with those of the target, whose numbers may differ. Values are in
/// 0..=`query.shape().frame_bits()`.
///
/// # Panics
/// The codes of the two differ in length, or `sums` has the wrong length.
pub fn region_chamfer_part(query: &Part<'_>, target: &Target, sums: &mut [u16]) {
    assert_eq!(query.shape.bits, target.shape.bits, "codes of one length");
    assert_eq!(sums.len(), query.frames() * target.frames, "sums must be query frames x target frames");
    let codes = query.gathered();
    compare(target.isa, query.shape.regions, &codes, target.shape, target.packed(), target.frames, sums);
}

/// Frame-to-frame similarities `1 - 2 S / (regions * bits)` in [-1, 1] from the sums S of [`region_chamfer`]; `shape` is that
/// of the query, or of its part.
///
/// The numerator is an exact integer and the division rounds once, so every platform gives the same bits.
///
/// # Panics
/// `sums` and `f2f` differ in length.
pub fn similarity(shape: Shape, sums: &[u16], f2f: &mut [f32]) {
    assert_eq!(sums.len(), f2f.len(), "one similarity per sum");
    let bits = shape.frame_bits() as i32;
    for (value, &sum) in f2f.iter_mut().zip(sums) {
        *value = (bits - 2 * i32::from(sum)) as f32 / bits as f32;
    }
}

/// Defines a function that runs a generic body for the engine of an instruction set, compiled for it.
macro_rules! dispatch {
    (fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = $body:path) => {
        fn $name(isa: Isa, $($arg: $ty),*) $(-> $ret)? {
            use $body as body;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn on_avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the engine's instruction set.
                unsafe { body::<avx2::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
            fn on_avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the engine's instruction set.
                unsafe { body::<avx512::Avx512>($($arg),*) }
            }
            match isa.kind() {
                // SAFETY: plain Rust needs no instruction set.
                Kind::Portable => unsafe { body::<portable::Portable>($($arg),*) },
                // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { on_avx2($($arg),*) },
                // SAFETY: an `Isa` of this kind exists only where detection found the instruction set.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { on_avx512($($arg),*) },
                // SAFETY: Advanced SIMD is part of the AArch64 baseline.
                #[cfg(target_arch = "aarch64")]
                Kind::Neon => unsafe { body::<neon::Neon>($($arg),*) },
                // SAFETY: the whole module is compiled with simd128.
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Kind::Simd128 => unsafe { body::<wasm::Simd128>($($arg),*) },
                // SAFETY: the whole module is compiled with relaxed-simd.
                #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
                Kind::RelaxedSimd => unsafe { body::<wasm::Relaxed>($($arg),*) },
            }
        }
    };
}

dispatch!(fn packed_bytes(shape: Shape, frames: usize) -> usize = generic::packed_bytes);
dispatch!(fn pack(part: &Part<'_>, packed: &mut [u8]) = generic::pack);
dispatch!(
    fn compare(
        regions: usize,
        query: &[u8],
        shape: Shape,
        packed: &[u8],
        frames: usize,
        sums: &mut [u16]
    ) = generic::compare
);
dispatch!(fn vector_layout(shape: Shape) -> (usize, usize) = generic::vector_layout);
dispatch!(fn pack_each(part: &Part<'_>, packed: &mut [u8]) = generic::pack_each);
dispatch!(
    fn each(
        query: &[u8],
        shape: Shape,
        packed: &[u8],
        frames: usize,
        start: usize,
        distances: &mut [u16]
    ) = generic::each
);
dispatch!(
    fn residual_rows(row: &residual::Row<'_>, shape: Shape, packed: &[u8], out: &mut [f32]) = generic::residual_row
);
