//! Errors on their way to JavaScript.

use serde::Serialize;
use vidsieve_model::bundle::BundleError;
use vidsieve_record::RecordError;
use vidsieve_search::SearchError;
use vidsieve_search::budget::BudgetError;
use wasm_bindgen::JsValue;

/// Code of an error of the engine, stable across versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum EngineErrorCode {
    /// The bytes are no sound bundle, or it lacks a network.
    BadModel,
    /// The bytes are no sound record.
    BadRecord,
    /// A record of another version of the format.
    OtherVersion,
    /// A record that another bundle made.
    OtherBundle,
    /// A frame that cannot be encoded.
    BadFrame,
    /// A video without frames, or with too many.
    BadVideo,
    /// An argument that is out of its range.
    BadArgument,
}

impl EngineErrorCode {
    /// As JavaScript reads it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadModel => "bad-model",
            Self::BadRecord => "bad-record",
            Self::OtherVersion => "other-version",
            Self::OtherBundle => "other-bundle",
            Self::BadFrame => "bad-frame",
            Self::BadVideo => "bad-video",
            Self::BadArgument => "bad-argument",
        }
    }
}

/// An error of this module.
#[derive(Debug, Clone)]
pub struct Error {
    code: EngineErrorCode,
    message: String,
}

impl Error {
    pub(crate) fn new(code: EngineErrorCode, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let value = Self::from(js_sys::Error::new(&error.message));
        // A plain property of a new object: setting it does not fail.
        let _ = js_sys::Reflect::set(&value, &"code".into(), &error.code.name().into());
        value
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::Bundle { .. } => EngineErrorCode::OtherBundle,
            RecordError::Version(_) => EngineErrorCode::OtherVersion,
            _ => EngineErrorCode::BadRecord,
        };
        Self::new(code, error)
    }
}

impl From<SearchError> for Error {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Record(error) => error.into(),
            SearchError::Bundle(error) => Self::new(EngineErrorCode::BadModel, error),
            error => Self::new(EngineErrorCode::BadRecord, error),
        }
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        Self::new(EngineErrorCode::BadModel, error)
    }
}

impl From<BudgetError> for Error {
    fn from(error: BudgetError) -> Self {
        Self::new(EngineErrorCode::BadArgument, error)
    }
}

impl From<serde_wasm_bindgen::Error> for Error {
    fn from(error: serde_wasm_bindgen::Error) -> Self {
        Self::new(EngineErrorCode::BadArgument, error)
    }
}
