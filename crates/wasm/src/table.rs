//! The table that a local index is searched by.

use std::collections::HashMap;
use std::rc::Rc;

use vidsieve_record::{BundleId, Record};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Engine;
use crate::error::Error;

/// Ids, vectors and scalars of a local index. A search that was begun keeps the table as it was.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Table {
    bundle: BundleId,
    pub(crate) inner: Rc<vidsieve_search::Table>,
    /// Seconds of each video.
    lengths: HashMap<String, f64>,
}

impl Table {
    /// Seconds of the videos, in the order of the table.
    pub(crate) fn lengths(&self) -> Vec<f64> {
        self.inner.ids().iter().map(|id| self.lengths.get(id).copied().unwrap_or(0.0)).collect()
    }
}

#[wasm_bindgen]
impl Table {
    /// An empty table for records of an engine's bundle.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self { bundle: engine.inner.bundle(), inner: Rc::default(), lengths: HashMap::new() }
    }

    /// Videos.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.len()
    }

    /// All ids.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.inner.ids().to_vec()
    }

    /// Whether a video is there.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.inner.position(id).is_some()
    }

    /// Adds the video of a record or replaces it; tells whether it was there.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`.
    pub fn put(&mut self, id: &str, record: &[u8]) -> Result<bool, Error> {
        let record = Record::parse(record)?;
        record.expect(&self.bundle)?;
        if self.inner.is_empty() {
            self.inner = Rc::new(vidsieve_search::Table::new(record.shape().dims));
        }
        let replaced = Rc::make_mut(&mut self.inner).put_record(id, &record)?;
        self.lengths.insert(id.to_owned(), record.duration());
        Ok(replaced)
    }

    /// Removes a video; tells whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        self.lengths.remove(id);
        Rc::make_mut(&mut self.inner).remove(id)
    }
}
