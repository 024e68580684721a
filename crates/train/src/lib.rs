//! Training of every network of Distill-and-Select: backbone, whitening, teacher, students,
//! selector, bundle.
//!
//! The modules, each of which uses only those above it:
//!
//! | module | holds |
//! |---|---|
//! | [`networks`] | networks as graphs on burn, their parameters, starts and sizes; the engine of the backbone on the project's kernels |
//! | [`data`] | clips and stills, corpora of edited copies, video tensors, pools of pairs |
//! | [`learners`] | what each network learns from, the loop that trains it, validation, calibration |
//! | [`stage`] | artefacts of a working folder, each under the key of the settings that it was made with |
//! | [`recipe`] | all stages in order, from material to a bundle |
//!
//! [`checkpoint`] and [`monitor`] hold what all of them write and report. Metrics and plain
//! baselines are those of [`vidsieve_eval`].

pub mod checkpoint;
pub mod data;
mod error;
pub mod learners;
pub mod monitor;
pub mod networks;
pub mod recipe;
pub mod stage;

pub use error::{FileError, TrainError};

/// The device that burn trains on: the CPU, or a GPU where the feature `gpu` is built in and one is found.
#[must_use]
pub fn device() -> burn::tensor::Device {
    #[cfg(feature = "gpu")]
    let device = burn::tensor::Device::wgpu(burn::tensor::DeviceIndex::Default);
    #[cfg(not(feature = "gpu"))]
    let device = burn::tensor::Device::flex();
    device.autodiff()
}
