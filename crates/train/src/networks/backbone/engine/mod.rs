//! Forward and backward pass of a plain backbone in training mode, with its region vectors.
//!
//! A batch is cut into lanes of a fixed number of views. Threads take lanes; sums over a batch are
//! sums of lanes in their order, so results do not depend on the number of threads.

mod backward;
mod forward;
mod head;
mod level;
mod unit;

use vidsieve_kernels::Isa;
use vidsieve_model::backbone::PlainConfig;

use super::pool::REGIONS;
use crate::networks::parameters::Parameters;
use level::{Level, resize};
use unit::Unit;

pub(super) use unit::Mode;

/// A network in training.
#[derive(Debug)]
pub(super) struct Engine {
    isa: Isa,
    levels: Vec<Level>,
    /// Values of a region before the head, and after it.
    width: usize,
    dims: usize,
    views: usize,
    side: usize,
    input: Vec<f32>,
    /// Region vectors `[view][region][width]`: means, and divided by the norm of each tap.
    means: Vec<f32>,
    regions: Vec<f32>,
    norms: Vec<f32>,
    /// Unit vectors of the head `[view][region][dims]`, and what they were divided by.
    vectors: Vec<f32>,
    vector_norms: Vec<f32>,
}

impl Engine {
    /// A network with a head of `dims` values.
    pub(super) fn new(isa: Isa, config: &PlainConfig, dims: usize) -> Self {
        let level = |inner, last, shortcut| Level { inner, last, shortcut, out: vec![], gradient: vec![], side: 0 };
        let mut levels = vec![level(None, Unit::new("stem".into(), "stem_bn".into(), 3, config.stem, 3, 2), None)];
        let mut inputs = config.stem;
        for (stage, &outputs) in config.stages.iter().enumerate() {
            let name = |part: &str| format!("stage{}.{part}", stage + 1);
            let first = Unit::new(name("conv1"), name("bn1"), inputs, outputs, 3, 2);
            let last = Unit::new(name("conv2"), name("bn2"), outputs, outputs, 3, 1);
            let shortcut =
                config.residual.then(|| Unit::new(name("shortcut"), name("shortcut_bn"), inputs, outputs, 1, 2));
            levels.push(level(Some((first, vec![], vec![])), last, shortcut));
            inputs = outputs;
        }
        Self {
            isa,
            levels,
            width: config.stages.iter().sum(),
            dims,
            views: 0,
            side: 0,
            input: vec![],
            means: vec![],
            regions: vec![],
            norms: vec![],
            vectors: vec![],
            vector_norms: vec![],
        }
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.levels.iter().flat_map(|l| l.inner.as_ref().map(|i| &i.0).into_iter().chain([&l.last]).chain(&l.shortcut))
    }

    /// Region vectors of the last forward pass, `[view][region][channels of all taps]`, each tap a
    /// unit vector.
    pub(super) fn regions(&self) -> &[f32] {
        &self.regions
    }

    /// Unit vectors of the head of the last forward pass, `[view][region][dims]`.
    pub(super) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Gives every buffer its size.
    fn prepare(&mut self, views: usize, side: usize) {
        (self.views, self.side) = (views, side);
        resize(&mut self.input, views * side * side * 3);
        let mut from = side;
        for level in &mut self.levels {
            level.side = from.div_ceil(2);
            let count = views * level.size();
            resize(&mut level.out, count);
            resize(&mut level.gradient, count);
            resize(&mut level.last.z, count);
            if let Some((unit, out, gradient)) = &mut level.inner {
                resize(&mut unit.z, count);
                resize(out, count);
                resize(gradient, count);
            }
            if let Some(unit) = &mut level.shortcut {
                resize(&mut unit.z, count);
            }
            from = level.side;
        }
        resize(&mut self.means, views * REGIONS * self.width);
        resize(&mut self.regions, views * REGIONS * self.width);
    }

    /// Moves the running statistics towards those of the last training pass.
    pub(super) fn update_statistics(&self, parameters: &mut Parameters) {
        for level in &self.levels {
            let count = self.views * level.side * level.side;
            let inner = level.inner.as_ref().map(|i| &i.0);
            for unit in inner.into_iter().chain([&level.last]).chain(&level.shortcut) {
                unit.update(parameters, count);
            }
        }
    }
}
