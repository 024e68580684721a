//! The backward pass.

use rayon::prelude::*;

use super::super::pool::REGIONS;
use super::Engine;
use super::level::{LANE, cut, cut_mut, level_sums, mask, pool_lane_backward};
use super::unit::{Sums, sum_up, total};
use crate::TrainError;
use crate::networks::parameters::{NamedGradients, Parameters};

impl Engine {
    /// Gradients of all parameters for the gradient of [`Engine::vectors`], after a forward pass in
    /// training mode.
    ///
    /// # Errors
    /// [`TrainError::Network`] as [`Engine::forward`].
    pub(in super::super) fn backward(
        &mut self,
        parameters: &Parameters,
        gradient: &[f32],
    ) -> Result<NamedGradients, TrainError> {
        let mut named = NamedGradients::new();
        let regions = self.head_backward(parameters, gradient, &mut named)?;
        let (count, width) = (self.views, self.width);
        let lanes = count.div_ceil(LANE);
        let last = self.levels.len() - 1;
        let mut offset = width - self.levels[last].channels();

        // The gradient of the last stage comes from its regions alone.
        let level = &mut self.levels[last];
        let size = level.size();
        let mut g = std::mem::take(&mut level.gradient);
        let level_ref = &*level;
        let mut sums: Vec<(Sums, Option<Sums>)> = (
            cut_mut(&mut g, size, lanes),
            cut(&level_ref.out, size, lanes),
            cut(&level_ref.last.z, size, lanes),
            cut(level_ref.shortcut.as_ref().map_or(&[], |u| &u.z), size, lanes),
            cut(&self.means, REGIONS * width, lanes),
            cut(&regions, REGIONS * width, lanes),
        )
            .into_par_iter()
            .with_max_len(1)
            .map(|(g, out, z, short, means, regions)| {
                pool_lane_backward(level_ref, out, (means, regions), (offset, width), g);
                level_sums(level_ref, g, out, z, short)
            })
            .collect();
        level.gradient = g;

        for at in (1..self.levels.len()).rev() {
            let (before, level) = self.levels.split_at_mut(at);
            let (before, level) = (&mut before[at - 1], &mut level[0]);
            let (from, size) = (before.size(), level.size());
            let pixels = count * level.side * level.side;
            let shortcut_sums = total(sums.iter().filter_map(|s| s.1.clone()), level.channels());
            let last_sums = total(sums.into_iter().map(|s| s.0), level.channels());
            level.last.measure_back(&last_sums, pixels);
            if let Some(unit) = &mut level.shortcut {
                unit.measure_back(&shortcut_sums, pixels);
            }

            // Second convolution.
            let Some((first, middle, middle_gradient)) = &mut level.inner else {
                unreachable!("every stage has a first convolution")
            };
            let mut gradients = std::mem::take(&mut level.last.lanes);
            gradients.resize_with(lanes, Vec::new);
            let (first_ref, last) = (&*first, &level.last);
            let inner_sums: Vec<Sums> = (
                cut(&level.gradient, size, lanes),
                cut(&last.z, size, lanes),
                cut(middle, size, lanes),
                cut(&first_ref.z, size, lanes),
                cut_mut(middle_gradient, size, lanes),
                &mut gradients[..],
            )
                .into_par_iter()
                .with_max_len(1)
                .map(|(g, z, middle, first_z, dx, gradient)| {
                    dx.fill(0.0);
                    last.backward(level.side, middle, g, z, gradient, Some(&mut *dx));
                    mask(dx, middle);
                    let mut sums = [vec![0.0; first_ref.conv.outputs], vec![0.0; first_ref.conv.outputs]];
                    sum_up(&mut sums, dx, first_z);
                    sums
                })
                .collect();
            level.last.lanes = gradients;
            first.measure_back(&total(inner_sums.into_iter(), first.conv.outputs), pixels);

            // First convolution and shortcut, into what is before them.
            let mut g = std::mem::take(&mut before.gradient);
            let mut gradients = std::mem::take(&mut first.lanes);
            gradients.resize_with(lanes, Vec::new);
            let mut short_gradients = level.shortcut.as_mut().map_or_else(Vec::new, |u| std::mem::take(&mut u.lanes));
            short_gradients.resize_with(lanes, Vec::new);
            let pool = at > 1;
            if pool {
                offset -= before.channels();
            }
            let (before_ref, first_ref, shortcut) = (&*before, &*first, level.shortcut.as_ref());
            sums = (
                (
                    cut_mut(&mut g, from, lanes),
                    cut(&before_ref.out, from, lanes),
                    cut(&before_ref.last.z, from, lanes),
                    cut(before_ref.shortcut.as_ref().map_or(&[], |u| &u.z), from, lanes),
                ),
                (
                    cut(middle_gradient, size, lanes),
                    cut(&first_ref.z, size, lanes),
                    cut(&level.gradient, size, lanes),
                    cut(shortcut.map_or(&[], |u| &u.z), size, lanes),
                ),
                (
                    cut(&self.means, REGIONS * width, lanes),
                    cut(&regions, REGIONS * width, lanes),
                    &mut gradients[..],
                    &mut short_gradients[..],
                ),
            )
                .into_par_iter()
                .with_max_len(1)
                .map(
                    |(
                        (g, out, z, short),
                        (first_g, first_z, level_g, short_z),
                        (means, regions, gradient, short_gradient),
                    )| {
                        if pool {
                            pool_lane_backward(before_ref, out, (means, regions), (offset, width), g);
                        } else {
                            g.fill(0.0);
                        }
                        first_ref.backward(before_ref.side, out, first_g, first_z, gradient, Some(&mut *g));
                        if let Some(unit) = shortcut {
                            unit.backward(before_ref.side, out, level_g, short_z, short_gradient, Some(&mut *g));
                        }
                        level_sums(before_ref, g, out, z, short)
                    },
                )
                .collect();
            before.gradient = g;
            first.lanes = gradients;
            if let Some(unit) = &mut level.shortcut {
                unit.lanes = short_gradients;
            }
        }

        let stem = &mut self.levels[0];
        let stem_sums = total(sums.into_iter().map(|s| s.0), stem.channels());
        stem.last.measure_back(&stem_sums, count * stem.side * stem.side);
        let mut gradients = std::mem::take(&mut stem.last.lanes);
        gradients.resize_with(lanes, Vec::new);
        let (side, size, unit) = (self.side, stem.size(), &stem.last);
        (
            cut(&self.input, side * side * 3, lanes),
            cut(&stem.gradient, size, lanes),
            cut(&unit.z, size, lanes),
            &mut gradients[..],
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(x, g, z, gradient)| unit.backward(side, x, g, z, gradient, None));
        stem.last.lanes = gradients;
        for unit in self.units() {
            unit.gradients(&mut named);
        }
        Ok(named)
    }
}
