//! Frame similarities of two videos, a channel and a band of rows at a time.

use std::borrow::Cow;
use std::ops::Range;

use vidsieve_kernels::{Isa, chamfer, hamming};

use super::tensor::{InputError, VideoTensor};
use crate::config::{Channel, FineConfig};

/// The target's part of one channel, laid out for the kernels.
enum Packing {
    Float(chamfer::Target),
    Codes(hamming::Target),
    /// Codes of a transposed channel: minima are over the query's regions, so that it is the query's frames that are laid
    /// out, band by band.
    Banded,
}

/// Two videos and the channels in which they are compared.
pub(super) struct Pair<'a> {
    query: &'a VideoTensor,
    target: &'a VideoTensor,
    channels: Cow<'a, [Channel]>,
    packings: Vec<Packing>,
    isa: Isa,
    symmetric: bool,
}

/// Buffers of [`Pair::fill`].
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) sums: Vec<u16>,
    pub(super) values: Vec<f32>,
    band: Option<hamming::Target>,
}

/// Refuses frames of fewer regions than the channels of `config` ask for.
pub(super) fn check_regions(config: &FineConfig, found: usize) -> Result<(), InputError> {
    let needed = config.regions_needed();
    if found < needed { Err(InputError::Regions { needed, found }) } else { Ok(()) }
}

const fn range([start, end]: [usize; 2]) -> Range<usize> {
    start..end
}

impl<'a> Pair<'a> {
    /// Two indexed videos, the target laid out for the channels of `config`.
    pub(super) fn new(
        isa: Isa,
        config: &'a FineConfig,
        query: &'a VideoTensor,
        target: &'a VideoTensor,
    ) -> Result<Self, InputError> {
        let alike = match (query, target) {
            (VideoTensor::Float { regions: rq, dims: dq, .. }, VideoTensor::Float { regions, dims, .. }) => {
                rq == regions && dq == dims
            }
            (VideoTensor::Codes { shape: a, .. }, VideoTensor::Codes { shape, .. }) => a == shape,
            _ => false,
        };
        if !alike {
            return Err(InputError::Mismatch { query: query.layout(), target: target.layout() });
        }
        let regions = target.regions();
        check_regions(config, regions)?;
        let channels = config.channels_of(regions);
        let pack = |channel: &Channel| {
            Ok(match target {
                VideoTensor::Float { dims: 0, .. } => {
                    return Err(InputError::Dims { expected: config.dims, found: 0 });
                }
                VideoTensor::Float { data, dims, .. } => {
                    let part = chamfer::Part::new(data, regions, *dims, range(channel.target));
                    Packing::Float(chamfer::Target::of_part(isa, &part))
                }
                VideoTensor::Codes { .. } if channel.transposed => Packing::Banded,
                VideoTensor::Codes { data, shape, .. } => {
                    let part = hamming::Part::new(*shape, data, range(channel.target))?;
                    Packing::Codes(hamming::Target::of_part(isa, &part))
                }
            })
        };
        let packings = channels.iter().map(pack).collect::<Result<_, _>>()?;
        Ok(Self { query, target, channels, packings, isa, symmetric: config.symmetric })
    }

    /// Frame similarities [C][rows][Tt] of the query's frames `rows` with all target frames.
    pub(super) fn fill(&self, rows: Range<usize>, buffers: &mut Buffers, out: &mut [f32]) -> Result<(), InputError> {
        let size = rows.len() * self.target.frames();
        if size == 0 {
            return Ok(());
        }
        for ((channel, packing), out) in self.channels.iter().zip(&self.packings).zip(out.chunks_exact_mut(size)) {
            let asked = range(channel.query);
            match (self.query, self.target, packing) {
                (VideoTensor::Float { data, regions, dims, .. }, _, Packing::Float(target)) => {
                    let n = regions * dims;
                    let rows = &data[rows.start * n..rows.end * n];
                    if self.symmetric {
                        chamfer::region_chamfer_symmetric(rows, target, out);
                    } else {
                        let direction =
                            if channel.transposed { chamfer::Direction::Target } else { chamfer::Direction::Query };
                        let part = chamfer::Part::new(rows, *regions, *dims, asked);
                        chamfer::region_chamfer_part(&part, target, direction, out);
                    }
                }
                (VideoTensor::Codes { data, shape, .. }, _, Packing::Codes(target)) => {
                    let n = shape.frame_bytes();
                    let part = hamming::Part::new(*shape, &data[rows.start * n..rows.end * n], asked)?;
                    buffers.sums.resize(size, 0);
                    hamming::region_chamfer_part(&part, target, &mut buffers.sums);
                    hamming::similarity(part.shape(), &buffers.sums, out);
                }
                (VideoTensor::Codes { data, shape, .. }, VideoTensor::Codes { data: other, .. }, Packing::Banded) => {
                    let n = shape.frame_bytes();
                    let band = hamming::Part::new(*shape, &data[rows.start * n..rows.end * n], asked)?;
                    let target = hamming::Part::new(*shape, other, range(channel.target))?;
                    let packed = buffers.band.get_or_insert_with(|| hamming::Target::of_part(self.isa, &band));
                    packed.repack_part(&band);
                    buffers.sums.resize(size, 0);
                    hamming::region_chamfer_part(&target, packed, &mut buffers.sums);
                    buffers.values.resize(size, 0.0);
                    hamming::similarity(target.shape(), &buffers.sums, &mut buffers.values);
                    let (height, width) = (rows.len(), self.target.frames());
                    for (j, column) in buffers.values.chunks_exact(height).enumerate() {
                        out[j..].iter_mut().step_by(width).zip(column).for_each(|(to, from)| *to = *from);
                    }
                }
                _ => unreachable!("packed for this query"),
            }
        }
        Ok(())
    }
}
