//! Paths in files that people read.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path in JSON: a text where its name is UTF-8, else `{"bytes": "…"}` with hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "PathText", try_from = "PathText")]
pub struct PlanPath(PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PathText {
    Text(String),
    Bytes { bytes: String },
}

impl PlanPath {
    /// Returns the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl From<&Path> for PlanPath {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for PlanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl From<PlanPath> for PathText {
    fn from(path: PlanPath) -> Self {
        match path.0.into_os_string().into_string() {
            Ok(text) => Self::Text(text),
            Err(name) => Self::Bytes { bytes: hex(name.as_encoded_bytes()) },
        }
    }
}

impl TryFrom<PathText> for PlanPath {
    type Error = String;

    fn try_from(text: PathText) -> Result<Self, String> {
        let path = match text {
            PathText::Text(text) => text.into(),
            PathText::Bytes { bytes } => {
                os_string(of_hex(&bytes).ok_or("the bytes of a path are hexadecimal digits")?)?
            }
        };
        if path.as_encoded_bytes().contains(&0) {
            return Err("a path with a zero byte".to_owned());
        }
        Ok(Self(path.into()))
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)]
fn os_string(bytes: Vec<u8>) -> Result<OsString, String> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Result<OsString, String> {
    String::from_utf8(bytes).map(OsString::from).map_err(|_| "a path of another system".to_owned())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits.
pub(super) fn of_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>()?;
    rest.is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_any_bytes_come_back() {
        let round = |path: &Path| {
            let text = serde_json::to_string(&PlanPath::from(path)).unwrap();
            (serde_json::from_str::<PlanPath>(&text).unwrap().as_path().to_owned(), text)
        };
        let (path, text) = round(Path::new("/ü/a b"));
        assert_eq!((path.as_path(), text.as_str()), (Path::new("/ü/a b"), "\"/ü/a b\""));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let odd = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
            assert_eq!(round(odd), (odd.to_owned(), "{\"bytes\":\"2f61ff\"}".to_owned()));
        }
        for bad in ["{\"bytes\":\"2f6\"}", "{\"bytes\":\"zz\"}", "\"a\\u0000\"", "7"] {
            assert!(serde_json::from_str::<PlanPath>(bad).is_err(), "{bad}");
        }
    }
}
