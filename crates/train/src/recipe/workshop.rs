//! A working folder with what stages work with: instructions, sizes, given networks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, BundleWriter, Network, Storage};
use vidsieve_model::coarse::Coarse;
use vidsieve_model::config::{CoarseConfig, Config, FineConfig};
use vidsieve_model::fine::Fine;
use vidsieve_model::weights::StateDict;

use crate::TrainError;
use crate::checkpoint::read;
use crate::monitor::Progress;
use crate::networks::parameters::Parameters;
use crate::networks::sizes::Sizes;
use crate::stage::{Keyed, StageKey};

/// A working folder and the instructions to work with.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The folder.
    pub folder: PathBuf,
    /// Instructions of everything but burn.
    pub isa: Isa,
    /// Device of burn, with autodiff.
    pub device: Device,
    /// Sizes of the networks.
    pub sizes: Sizes,
    /// A bundle whose networks are used instead of trained ones. Its selector and calibration are
    /// not: they belong to everything else.
    pub given: Option<Arc<Bundle>>,
    /// A bundle whose backbone the training of the backbone starts from, instead of from noise.
    pub start: Option<Arc<Bundle>>,
}

impl Workshop {
    /// A file of the working folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The network of the given bundle, if it has one.
    ///
    /// # Errors
    /// [`TrainError::Bundle`] for damaged weights.
    pub fn given(&self, wanted: Network) -> Result<Option<Keyed<Parameters>>, TrainError> {
        let Some(bundle) = self.given.as_ref().filter(|b| b.networks().any(|n| n == wanted)) else { return Ok(None) };
        let value = Parameters::from_state(&bundle.weights(wanted)?);
        Ok(Some(Keyed { value, key: given_key(bundle, wanted) }))
    }

    /// The extractor of the given bundle, if it has a backbone and whitening.
    ///
    /// # Errors
    /// [`TrainError::Bundle`] for damaged weights, [`TrainError::Network`] for sizes other than the
    /// workshop's.
    pub fn given_extractor(&self) -> Result<Option<Keyed<Bundle>>, TrainError> {
        let Some(given) =
            self.given.as_ref().filter(|b| b.config().backbone.is_some() && b.config().whitening.is_some())
        else {
            return Ok(None);
        };
        let theirs = given.config();
        let mut config = self.sizes.extractor();
        config.whitening = theirs.whitening.filter(|w| w.dims == self.sizes.dims);
        let same = config.backbone == theirs.backbone
            && config.whitening == theirs.whitening
            && config.scales() == theirs.scales();
        if !same {
            return Err(TrainError::Network("the given bundle sees frames otherwise: give its --sizes".into()));
        }
        let (backbone, pca) = (given.weights(Network::Backbone)?, given.weights(Network::Pca)?);
        let value = bundle(config, &[(Network::Backbone, &backbone), (Network::Pca, &pca)])?;
        let key = StageKey::of(value.id());
        Ok(Some(Keyed { value, key }))
    }

    /// A fine network of trained parameters.
    ///
    /// # Errors
    /// [`TrainError::Weights`].
    pub fn build_fine(&self, config: &FineConfig, parameters: &Parameters) -> Result<Fine, TrainError> {
        Ok(Fine::new(self.isa, config.clone(), &parameters.to_state("trained.")?)?)
    }

    /// A coarse student of trained parameters.
    ///
    /// # Errors
    /// [`TrainError::Weights`].
    pub fn build_coarse(&self, config: &CoarseConfig, parameters: &Parameters) -> Result<Coarse, TrainError> {
        Ok(Coarse::new(self.isa, *config, &parameters.to_state("trained.")?)?)
    }
}

pub(super) fn progress(stage: &str, step: u64, steps: u64) -> Progress {
    Progress { stage: stage.to_owned(), step, steps, ..Progress::default() }
}

/// The key of a bundle's network.
#[must_use]
pub fn given_key(bundle: &Bundle, network: Network) -> StageKey {
    StageKey::of(format_args!("{} {network}", bundle.id()))
}

/// A bundle of these networks in single precision.
///
/// # Errors
/// [`TrainError::Weights`], [`TrainError::Bundle`].
pub fn bundle(config: Config, networks: &[(Network, &StateDict)]) -> Result<Bundle, TrainError> {
    let mut writer = BundleWriter::new(config, "", BTreeMap::new());
    for (network, state) in networks {
        writer.add(*network, state, Storage::F32)?;
    }
    Ok(writer.finish()?)
}

/// A bundle from a file.
///
/// # Errors
/// [`TrainError::File`], [`TrainError::Bundle`], which names the file too.
pub fn read_bundle(path: &Path) -> Result<Bundle, TrainError> {
    Ok(Bundle::from_bytes(&path.display().to_string(), read(path)?)?)
}
