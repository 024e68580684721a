//! The comparator network that the groups measure.

use vidsieve_kernels::Isa;
use vidsieve_kernels::comparator::{self, Comparator, Padding};

use super::BenchError;
use crate::rule;

/// Upstream's comparator with weights by the rule.
pub(super) struct Network {
    /// Weights and biases of the 3x3 convolutions, in upstream's layout.
    pub(super) conv: [(Vec<f32>, Vec<f32>); 3],
    /// Weights of the last, 1x1 convolution.
    pub(super) fconv: Vec<f32>,
    /// Its bias.
    pub(super) fbias: f32,
}

impl Network {
    /// Channels of the map and after each convolution.
    pub(super) const CHANNELS: [usize; 4] = [1, 32, 64, 128];

    pub(super) fn new() -> Self {
        let [_, a, b, c] = Self::CHANNELS;
        let conv = |key: &str, o: usize, i: usize| {
            (
                rule::weight("bench", &format!("visil_head.{key}.weight"), &[o, i, 3, 3]),
                rule::weight("bench", &format!("visil_head.{key}.bias"), &[o]),
            )
        };
        Self {
            conv: [conv("conv1", a, 1), conv("conv2", b, a), conv("conv3", c, b)],
            fconv: rule::weight("bench", "visil_head.fconv.weight", &[1, c, 1, 1]),
            fbias: 0.05,
        }
    }

    pub(super) fn view(&self) -> comparator::Weights<'_> {
        let [(conv1, bias1), (conv2, bias2), (conv3, bias3)] = &self.conv;
        comparator::Weights {
            channels: Self::CHANNELS,
            conv1,
            bias1,
            conv2,
            bias2,
            conv3,
            bias3,
            fconv: &self.fconv,
            fbias: self.fbias,
        }
    }

    pub(super) fn kernels(&self) -> Result<Vec<Comparator>, BenchError> {
        let build = |isa| Comparator::new(isa, &self.view(), Padding::Zero);
        Isa::available().map(build).collect::<Result<_, _>>().map_err(BenchError::contestant)
    }
}
