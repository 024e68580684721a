//! Which bundle an index is of, and the records that fit it.

use serde::Serialize;
use vidsieve_model::bundle::Bundle;
use vidsieve_record::{BundleId, Record, RecordError, Shape};
use vidsieve_search::Query;

use crate::problem::Problem;

/// Response of `/v1/model`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ServerModel {
    /// SHA-256 of the bundle, 64 hexadecimal digits.
    #[serde(serialize_with = "digits")]
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    bundle: BundleId,
    /// Number of regions of a frame, R.
    regions: Option<usize>,
    /// Bits of a region's code, L.
    bits: Option<usize>,
    /// Length of a video's vector, D.
    dims: Option<usize>,
    /// Names of the bundle's networks.
    networks: Vec<&'static str>,
    /// Size of the bundle in bytes.
    bytes: usize,
}

fn digits<S: serde::Serializer>(bundle: &BundleId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(bundle)
}

fn refusal(error: &RecordError) -> Problem {
    match error {
        RecordError::Bundle { .. } => Problem::other_bundle(error.to_string()),
        _ => Problem::bad_body(error.to_string()),
    }
}

impl ServerModel {
    /// Describes a bundle. `codes`: R and L of its codes, `dims`: values of its vectors; parts that
    /// are `None` are not checked.
    #[must_use]
    pub fn new(bundle: &Bundle, codes: Option<(usize, usize)>, dims: Option<usize>) -> Self {
        Self {
            bundle: bundle.id(),
            regions: codes.map(|c| c.0),
            bits: codes.map(|c| c.1),
            dims,
            networks: bundle.networks().map(|n| n.name()).collect(),
            bytes: bundle.as_bytes().len(),
        }
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.bundle
    }

    /// A body as a record of this bundle and its shape.
    ///
    /// # Errors
    /// `bad-body`, `other-bundle`.
    pub fn record<B: AsRef<[u8]>>(&self, body: B) -> Result<Record<B>, Problem> {
        let record = Record::parse(body).map_err(|e| refusal(&e))?;
        record.expect(&self.bundle).map_err(|e| refusal(&e))?;
        let Shape { regions, bits, dims, .. } = record.shape();
        let differs = |known: Option<usize>, found| known.is_some_and(|known| known != found);
        if differs(self.regions, regions) || differs(self.bits, bits) || differs(self.dims, dims) {
            let detail = format!("{regions} regions of {bits} bits and {dims} values do not fit the bundle");
            return Err(Problem::bad_body(detail));
        }
        Ok(record)
    }

    /// The video that a body's record describes.
    ///
    /// # Errors
    /// As [`ServerModel::record`].
    pub fn query<B: AsRef<[u8]>>(&self, body: B) -> Result<Query, Problem> {
        Query::from_record(&self.record(body)?).map_err(|e| Problem::bad_body(e.to_string()))
    }
}
