//! The forward pass.

use rayon::prelude::*;

use super::super::pool::REGIONS;
use super::super::{PIXEL_DEVIATION, PIXEL_MEAN};
use super::Engine;
use super::level::{LANE, cut, cut_mut, pool_lane};
use super::unit::{Mode, Sums, activate};
use crate::TrainError;
use crate::networks::parameters::Parameters;

impl Engine {
    /// Runs the network on views `[view][row][column][colour]`.
    ///
    /// # Errors
    /// [`TrainError::Network`] for parameters that are missing or have another shape.
    pub(in super::super) fn forward(
        &mut self,
        parameters: &Parameters,
        views: &[u8],
        side: usize,
        mode: Mode,
    ) -> Result<(), TrainError> {
        let isa = self.isa;
        for level in &mut self.levels {
            let inner = level.inner.as_mut().map(|i| &mut i.0);
            for unit in inner.into_iter().chain([&mut level.last]).chain(&mut level.shortcut) {
                unit.load(isa, parameters, mode)?;
            }
        }
        let area = side * side * 3;
        let count = views.len() / area;
        self.prepare(count, side);
        let lanes = count.div_ceil(LANE);
        let training = mode == Mode::Training;

        let stem = &mut self.levels[0];
        let size = stem.size();
        let mut z = std::mem::take(&mut stem.last.z);
        let unit = &stem.last;
        let sums: Vec<Sums> =
            (views.par_chunks(LANE * area), cut_mut(&mut self.input, area, lanes), cut_mut(&mut z, size, lanes))
                .into_par_iter()
                .with_max_len(1)
                .map(|(views, input, z)| {
                    for (x, &v) in input.iter_mut().zip(views) {
                        *x = (f32::from(v) - PIXEL_MEAN) / PIXEL_DEVIATION;
                    }
                    unit.forward(side, input, z)
                })
                .collect();
        stem.last.z = z;
        if training {
            stem.last.measure(sums.into_iter(), count * stem.side * stem.side);
        }

        let mut offset = 0;
        for at in 1..self.levels.len() {
            let (before, level) = self.levels.split_at_mut(at);
            let (before, level) = (&mut before[at - 1], &mut level[0]);
            let (from, size) = (before.size(), level.size());
            let pool = (at > 1).then_some(offset);
            if at > 1 {
                offset += before.channels();
            }
            let Some((first, middle, _)) = &mut level.inner else {
                unreachable!("every stage has a first convolution")
            };
            let (mut first_z, mut short_z) = (
                std::mem::take(&mut first.z),
                level.shortcut.as_mut().map_or_else(Vec::new, |u| std::mem::take(&mut u.z)),
            );
            let mut out = std::mem::take(&mut before.out);
            let before_ref = &*before;
            let (first_ref, shortcut) = (&*first, level.shortcut.as_ref());
            let width = self.width;
            let sums: Vec<(Sums, Option<Sums>)> = (
                cut_mut(&mut out, from, lanes),
                cut(&before_ref.last.z, from, lanes),
                cut(before_ref.shortcut.as_ref().map_or(&[], |u| &u.z), from, lanes),
                cut_mut(&mut first_z, size, lanes),
                cut_mut(&mut short_z, size, lanes),
                cut_mut(&mut self.means, REGIONS * width, lanes),
            )
                .into_par_iter()
                .with_max_len(1)
                .map(|(out, z, short, first_z, short_z, means)| {
                    activate(out, (&before_ref.last, z), before_ref.shortcut.as_ref().map(|u| (u, short)));
                    if let Some(offset) = pool {
                        pool_lane(before_ref, out, means, (offset, width));
                    }
                    let first = first_ref.forward(before_ref.side, out, first_z);
                    (first, shortcut.map(|u| u.forward(before_ref.side, out, short_z)))
                })
                .collect();
            before.out = out;
            first.z = first_z;
            let pixels = count * level.side * level.side;
            if let Some(unit) = &mut level.shortcut {
                unit.z = short_z;
                if training {
                    unit.measure(sums.iter().filter_map(|s| s.1.clone()), pixels);
                }
            }
            if training {
                first.measure(sums.into_iter().map(|s| s.0), pixels);
            }

            let mut z = std::mem::take(&mut level.last.z);
            let (first, last) = (&*first, &level.last);
            let sums: Vec<Sums> =
                (cut_mut(middle, size, lanes), cut(&first.z, size, lanes), cut_mut(&mut z, size, lanes))
                    .into_par_iter()
                    .with_max_len(1)
                    .map(|(middle, first_z, z)| {
                        activate(middle, (first, first_z), None);
                        last.forward(level.side, middle, z)
                    })
                    .collect();
            level.last.z = z;
            if training {
                level.last.measure(sums.into_iter(), pixels);
            }
        }

        if let Some(level) = self.levels.last_mut() {
            let size = level.size();
            let mut out = std::mem::take(&mut level.out);
            let level_ref = &*level;
            let width = self.width;
            (
                cut_mut(&mut out, size, lanes),
                cut(&level_ref.last.z, size, lanes),
                cut(level_ref.shortcut.as_ref().map_or(&[], |u| &u.z), size, lanes),
                cut_mut(&mut self.means, REGIONS * width, lanes),
            )
                .into_par_iter()
                .with_max_len(1)
                .for_each(|(out, z, short, means)| {
                    activate(out, (&level_ref.last, z), level_ref.shortcut.as_ref().map(|u| (u, short)));
                    pool_lane(level_ref, out, means, (offset, width));
                });
            level.out = out;
        }
        self.head(parameters)
    }
}
