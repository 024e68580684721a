//! The networks and their weights.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::BundleId;
use vidsieve_search::Engine;

use crate::Error;

/// Returns the instruction set to compute with: the best of this machine, or the one that `VIDSIEVE_ISA` names.
///
/// # Errors
/// [`Error::InstructionSet`] for a name that this machine does not know.
pub fn instruction_set() -> Result<Isa, Error> {
    match std::env::var("VIDSIEVE_ISA") {
        Ok(name) => Isa::by_name(&name).ok_or(Error::InstructionSet(name)),
        Err(_) => Ok(Isa::best()),
    }
}

/// A model: the networks of Distill-and-Select with their weights. Videos of different models cannot be compared.
///
/// Clones share one set of networks, which are built when they are first needed.
#[derive(Clone)]
pub struct Model(Arc<Networks>);

struct Networks {
    bundle: Bundle,
    isa: Isa,
    encoder: OnceLock<Encoder>,
    engine: OnceLock<Engine>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("bundle", &self.0.bundle).field("isa", &self.0.isa).finish_non_exhaustive()
    }
}

impl Model {
    /// Returns the model that is part of this crate.
    ///
    /// # Errors
    /// [`Error::InstructionSet`].
    pub fn built_in() -> Result<Self, Error> {
        Self::from_bytes("the built-in bundle", vidsieve_default_bundle::BUNDLE.to_vec())
    }

    /// Reads a model from a file, such as `vidsieve train` and `vidsieve model convert` write.
    ///
    /// # Errors
    /// [`Error::ReadModel`], [`Error::Model`], [`Error::InstructionSet`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::ReadModel { path: path.to_owned(), source })?;
        Self::from_bytes(&path.display().to_string(), bytes)
    }

    /// Reads a model from memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::InstructionSet`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let (bundle, isa) = (Bundle::from_bytes(name, bytes)?, instruction_set()?);
        Ok(Self(Arc::new(Networks { bundle, isa, encoder: OnceLock::new(), engine: OnceLock::new() })))
    }

    /// Returns the model's identity: SHA-256 of its file.
    #[must_use]
    pub fn id(&self) -> BundleId {
        self.0.bundle.id()
    }

    /// Returns the bytes of its file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bundle.as_bytes()
    }

    /// Returns the bundle for the crates below this one. It is no part of the promised surface.
    #[doc(hidden)]
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.0.bundle
    }

    /// Returns the instruction set that it computes with.
    #[must_use]
    pub fn instruction_set(&self) -> Isa {
        self.0.isa
    }

    /// Returns the networks that encode a video, which are built on the first call.
    pub(crate) fn encoder(&self) -> Result<&Encoder, Error> {
        let networks = &*self.0;
        init(&networks.encoder, || Encoder::new(networks.isa, &networks.bundle).map_err(Error::Encoder))
    }

    /// Returns the networks that compare videos, which are built on the first call.
    pub(crate) fn engine(&self) -> Result<&Engine, Error> {
        let networks = &*self.0;
        init(&networks.engine, || Ok(Engine::new(networks.isa, &networks.bundle)?))
    }
}

/// Returns the value of a cell, which is filled if it is empty. Of two threads that fill it at once the first one wins.
pub(crate) fn init<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, Error>) -> Result<&T, Error> {
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = make()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}
