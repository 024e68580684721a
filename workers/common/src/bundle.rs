//! The bundle: read from where the records are once in an isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use vidsieve_api::ServerModel;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::BundleId;
use vidsieve_search::Engine;
use worker::Env;

use crate::config::text;
use crate::error::EdgeError;
use crate::records::Records;

/// The networks of a bundle.
#[derive(Debug)]
pub struct Networks {
    /// The bundle.
    pub bundle: Bundle,
    /// What looks at pairs.
    pub engine: Engine,
    /// What records must be.
    pub model: ServerModel,
    encoder: OnceCell<Option<Encoder>>,
}

impl Networks {
    fn new(bytes: Vec<u8>) -> Result<Self, EdgeError> {
        let fail = |e: &dyn std::fmt::Display| EdgeError::Bundle(e.to_string());
        let bundle = Bundle::from_bytes("the bundle", bytes).map_err(|e| fail(&e))?;
        let engine = Engine::new(Isa::best(), &bundle).map_err(|e| fail(&e))?;
        let config = bundle.config();
        let regions = config.region_count().ok().flatten();
        let bits = config.fine_binary.as_ref().and_then(|f| f.bits);
        let dims = config.coarse.as_ref().map(|c| c.output());
        let model = ServerModel::new(&bundle, regions.zip(bits), dims);
        Ok(Self { bundle, engine, model, encoder: OnceCell::new() })
    }

    /// The bundle's id.
    #[must_use]
    pub const fn id(&self) -> BundleId {
        self.model.bundle()
    }

    /// What makes records of frames, built when it is first asked for; nothing for a bundle that cannot encode.
    #[must_use]
    pub fn encoder(&self) -> Option<&Encoder> {
        self.encoder.get_or_init(|| Encoder::new(Isa::best(), &self.bundle).ok()).as_ref()
    }
}

thread_local! {
    static LOADED: RefCell<Option<Rc<Networks>>> = const { RefCell::new(None) };
}

/// The networks of the bundle whose SHA-256 the variable `BUNDLE` names: read from the binding `RECORDS` on an isolate's first
/// request, at `bundles/<SHA-256>.safetensors`.
///
/// # Errors
/// [`EdgeError`].
pub async fn networks(env: &Env) -> Result<Rc<Networks>, EdgeError> {
    if let Some(loaded) = LOADED.with_borrow(Clone::clone) {
        return Ok(loaded);
    }
    let refuse = |reason: &str| EdgeError::Config { name: "BUNDLE", reason: reason.to_owned() };
    let wanted = text(env, "BUNDLE").ok_or_else(|| refuse("it is not set: the SHA-256 of the bundle"))?;
    let wanted: BundleId = wanted.trim().parse().map_err(|_| refuse("it is not 64 hexadecimal digits"))?;
    let bytes = Records::new(env)?
        .get(&format!("bundles/{wanted}.safetensors"))
        .await?
        .ok_or_else(|| EdgeError::Bundle(format!("RECORDS has nothing at bundles/{wanted}.safetensors")))?;
    // Another request may have been faster.
    if let Some(loaded) = LOADED.with_borrow(Clone::clone) {
        return Ok(loaded);
    }
    let networks = Networks::new(bytes)?;
    if networks.id() != wanted {
        return Err(EdgeError::Bundle(format!("RECORDS has another one ({}) under its name", networks.id().short())));
    }
    let networks = Rc::new(networks);
    LOADED.set(Some(networks.clone()));
    Ok(networks)
}
