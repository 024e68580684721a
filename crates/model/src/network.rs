//! The networks of a bundle.

use std::fmt;

/// Networks of a bundle, each under its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The convolutional backbone.
    Backbone,
    /// PCA-whitening.
    Pca,
    /// Teacher T.
    Teacher,
    /// S^f_A.
    FineAttention,
    /// S^f_B.
    FineBinary,
    /// S^f without attention and binarisation.
    FinePlain,
    /// Iterative quantisation: a start of the binary layer, for training.
    Itq,
    /// S^c.
    Coarse,
    /// SN.
    Selector,
}

impl Network {
    /// All networks.
    pub const ALL: [Self; 9] = [
        Self::Backbone,
        Self::Pca,
        Self::Teacher,
        Self::FineAttention,
        Self::FineBinary,
        Self::FinePlain,
        Self::Itq,
        Self::Coarse,
        Self::Selector,
    ];

    /// Name without the dot: `coarse`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backbone => "backbone",
            Self::Pca => "pca",
            Self::Teacher => "teacher",
            Self::FineAttention => "fine_attention",
            Self::FineBinary => "fine_binary",
            Self::FinePlain => "fine_plain",
            Self::Itq => "itq",
            Self::Coarse => "coarse",
            Self::Selector => "selector",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
