//! Sizes of the default bundle, and how its networks are trained.

use vidsieve_eval::baselines::WINDOWS;
use vidsieve_model::backbone::{BackboneConfig, PlainConfig};
use vidsieve_model::config::{
    Attention, Channel, CoarseConfig, ComparatorConfig, Config, FineConfig, ItqConfig, NetVladConfig, PaddingMode,
    PoolEdge, Scale, SelectorConfig, TransformerConfig, WhiteningConfig,
};
use vidsieve_model::frames::Preprocess;
use vidsieve_model::regions::{Pooling, RegionPooling, WindowGrid};

/// Sizes that the default bundle can be made in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Channels of the backbone's first convolution.
    pub stem: usize,
    /// Channels of the backbone's stages.
    pub stages: [usize; 3],
    /// D: values of a region vector.
    pub dims: usize,
    /// L: bits of a region's code.
    pub bits: usize,
    /// Values of the video vector.
    pub output: usize,
    /// Clusters of NetVLAD.
    pub clusters: usize,
    /// Width of the feed-forward layer of S^c.
    pub feedforward: usize,
    /// Heads of S^c.
    pub heads: usize,
    /// Channels of the fine students' comparators after each convolution.
    pub comparator: [usize; 3],
    /// Channels of the selector's comparator after each convolution.
    pub selector_comparator: [usize; 3],
    /// Width of the selector's MLP.
    pub hidden: usize,
    /// Whether frames are seen at two scales, and compared across them.
    pub two_scales: bool,
    /// Whether fine networks have a direct path beside the comparator.
    pub direct: bool,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            stem: 24,
            stages: [32, 64, 128],
            dims: 128,
            bits: 256,
            output: 256,
            clusters: 16,
            feedforward: 256,
            heads: 4,
            comparator: [32, 64, 128],
            selector_comparator: [16, 32, 64],
            hidden: 100,
            two_scales: true,
            direct: true,
        }
    }
}

/// Region pooling of the default bundle's first scale: nine windows of half the side, then the
/// whole frame.
#[must_use]
pub fn first_scale() -> RegionPooling {
    let grids = vec![WindowGrid { count: 3, fraction: 0.5 }, WindowGrid { count: 1, fraction: 1.0 }];
    RegionPooling::Windows { grids, pooling: Pooling::Gem { p: 3.0, floor: 1e-6 }, normalise: false }
}

/// Regions of the first scale: nine windows and the whole frame.
pub const FIRST: usize = 10;
/// Regions of both scales.
pub const BOTH: usize = 35;

impl Sizes {
    /// The backbone: residual stages of plain convolutions.
    #[must_use]
    pub fn plain(&self) -> PlainConfig {
        PlainConfig { stem: self.stem, stages: self.stages.to_vec(), residual: true }
    }

    /// What the extractor of the bundle is: backbone `tiny`, 112 pixels with nine windows and the whole frame, and 224 pixels with
    /// 9 + 16 windows of half the side. Without whitening, which is fitted later.
    #[must_use]
    pub fn extractor(&self) -> Config {
        let second = RegionPooling::Windows {
            grids: vec![WindowGrid { count: 3, fraction: 0.5 }, WindowGrid { count: 4, fraction: 0.5 }],
            pooling: Pooling::Gem { p: 3.0, floor: 1e-6 },
            normalise: false,
        };
        let further = Scale { preprocess: Preprocess::square(224), regions: second };
        Config {
            preprocess: Some(Preprocess::square(112)),
            backbone: Some(BackboneConfig::Plain(self.plain())),
            regions: Some(first_scale()),
            further_scales: if self.two_scales { vec![further] } else { Vec::new() },
            ..Config::default()
        }
    }

    /// Whitening of vectors of `input` values.
    #[must_use]
    pub const fn whitening(&self, input: usize) -> WhiteningConfig {
        WhiteningConfig { input, dims: self.dims }
    }

    /// The start of the binary layer.
    #[must_use]
    pub const fn itq(&self) -> ItqConfig {
        ItqConfig { dims: self.dims, bits: self.bits }
    }

    fn channels(&self) -> Vec<Channel> {
        const WHOLE: [usize; 2] = [WINDOWS, FIRST];
        let windows = Channel { query: [0, WINDOWS], target: [0, WINDOWS], transposed: false };
        if !self.two_scales {
            return vec![windows];
        }
        vec![
            windows,
            Channel { query: WHOLE, target: [FIRST, BOTH], transposed: false },
            Channel { query: [FIRST, BOTH], target: WHOLE, transposed: true },
        ]
    }

    fn fine(&self, attention: Attention, bits: Option<usize>) -> FineConfig {
        let channels = self.channels();
        let [a, b, c] = self.comparator;
        let comparator =
            ComparatorConfig { channels: [channels.len(), a, b, c], padding: PaddingMode::Zero, edge: PoolEdge::Keep };
        let channels = Some(channels);
        FineConfig { dims: self.dims, attention, bits, symmetric: false, comparator, channels, direct: self.direct }
    }

    /// The teacher: l2-attention as ViSiL's.
    #[must_use]
    pub fn teacher(&self) -> FineConfig {
        self.fine(Attention::L2, None)
    }

    /// S^f_A.
    #[must_use]
    pub fn fine_attention(&self) -> FineConfig {
        self.fine(Attention::H, None)
    }

    /// S^f_B.
    #[must_use]
    pub fn fine_binary(&self) -> FineConfig {
        self.fine(Attention::None, Some(self.bits))
    }

    /// S^c, on the first scale.
    #[must_use]
    pub fn coarse(&self) -> CoarseConfig {
        CoarseConfig {
            dims: self.dims,
            attention: true,
            transformer: Some(TransformerConfig { heads: self.heads, feedforward: self.feedforward, layers: 1 }),
            netvlad: Some(NetVladConfig { clusters: self.clusters, output: self.output }),
            regions: Some([0, FIRST]),
        }
    }

    /// SN, on the first scale.
    #[must_use]
    pub fn selector(&self) -> SelectorConfig {
        let [a, b, c] = self.selector_comparator;
        SelectorConfig {
            dims: self.dims,
            comparator: ComparatorConfig { channels: [1, a, b, c], padding: PaddingMode::Zero, edge: PoolEdge::Keep },
            hidden: self.hidden,
            layers: 1,
            regions: Some([0, FIRST]),
        }
    }
}
