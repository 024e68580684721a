//! Training of every network of Distill-and-Select (§7 of the project's mathematics).
//!
//! The students, the teacher and the selector are graphs on burn ([`nets`]); the backbone, whose convolutions are most of the
//! work, has an engine of its own on the project's kernels ([`backbone`]). Every stage reads and writes files of a working
//! folder, keeps checkpoints, and continues where it stopped.

use std::path::PathBuf;

pub mod ablation;
pub mod backbone;
pub mod calibrate;
pub mod checkpoint;
pub mod coarse;
pub mod corpus;
pub mod defaults;
pub mod direct;
pub mod editing;
pub mod features;
pub mod fine;
pub mod hard;
pub mod init;
pub mod instance;
pub mod linear;
pub mod losses;
pub mod materials;
pub mod monitor;
pub mod nets;
pub mod parameters;
pub mod pipeline;
pub mod pools;
pub mod recipe;
pub mod run;
pub mod selector;
pub mod self_supervised;
pub mod temporal;
pub mod validation;

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file of the run cannot be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Parameters, shapes and configuration do not fit together.
    #[error("{0}")]
    Network(String),
    /// Too little material to train on.
    #[error("{0}")]
    Data(String),
    /// The loss or a gradient is not finite.
    #[error("training diverged: {0}; lower the learning rate, or continue from an earlier checkpoint")]
    Diverged(String),
    /// Stopped on request; a checkpoint was kept.
    #[error("stopped; the same command continues from the last checkpoint")]
    Cancelled,
}

/// The device that burn trains on: the CPU, or a GPU where the feature `gpu` is built in and one is found.
#[must_use]
pub fn device() -> burn::tensor::Device {
    #[cfg(feature = "gpu")]
    let device = burn::tensor::Device::wgpu(burn::tensor::DeviceIndex::Default);
    #[cfg(not(feature = "gpu"))]
    let device = burn::tensor::Device::flex();
    device.autodiff()
}
