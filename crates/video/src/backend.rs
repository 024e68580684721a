//! Which FFmpeg reads files: the programs as child processes, or the libraries in this process.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::error::Error;
use crate::info::Info;
#[cfg(feature = "linked")]
use crate::linked;
use crate::process;
use crate::tools::{Tools, check_file};
use crate::webp::Animation;

/// The variable that chooses.
const VARIABLE: &str = "VIDSIEVE_DECODER";

/// A way to FFmpeg. Both give the same descriptions and the same frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// `ffprobe` and `ffmpeg` as child processes.
    Process(Tools),
    /// FFmpeg's libraries, linked into this program.
    #[cfg(feature = "linked")]
    Linked,
}

impl Backend {
    /// What `VIDSIEVE_DECODER` names; without it the linked libraries where they are built in, else the programs.
    pub(crate) fn of_environment() -> Result<Self, Error> {
        Self::named(std::env::var_os(VARIABLE).as_deref())
    }

    fn named(name: Option<&OsStr>) -> Result<Self, Error> {
        let name = name.filter(|n| !n.is_empty());
        match name.map(OsStr::to_str) {
            Some(Some("process")) => Ok(Self::Process(Tools::of_environment())),
            #[cfg(feature = "linked")]
            None | Some(Some("linked")) => Ok(Self::Linked),
            #[cfg(not(feature = "linked"))]
            None => Ok(Self::Process(Tools::of_environment())),
            #[cfg(not(feature = "linked"))]
            Some(Some("linked")) => Err(Error::Options(format!(
                "{VARIABLE} is `linked`, but this program was built without the cargo feature `linked`; unset it or \
                 build with `--features linked`"
            ))),
            _ => Err(Error::Options(format!("{VARIABLE} is {name:?}; it must be `process` or `linked`"))),
        }
    }

    pub(crate) fn probe(&self, path: &Path) -> Result<Info, Error> {
        check_file(path)?;
        if let Some(animation) = Animation::of_file(path)? {
            return animation.describe(path);
        }
        match self {
            Self::Process(tools) => process::probe(tools, path),
            #[cfg(feature = "linked")]
            Self::Linked => linked::probe(path),
        }
    }

    /// What sends the frames of a file, to be run in a thread of its own until it returns.
    pub(crate) fn decoder(&self, delivery: Delivery) -> Result<Box<dyn FnOnce() + Send>, Error> {
        Ok(match self {
            Self::Process(tools) => {
                let decoder = process::Decoder::new(tools, delivery)?;
                Box::new(move || decoder.run())
            }
            #[cfg(feature = "linked")]
            Self::Linked => Box::new(move || linked::run(delivery)),
        })
    }

    /// How long a decoder that is to stop is waited for; `None`: until it ends. A child can be killed, a call
    /// of a library cannot: its thread is left behind then.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Process(_) => None,
            #[cfg(feature = "linked")]
            Self::Linked => Some(Duration::from_secs(5)),
        }
    }
}

/// Reads the description of a file's video.
///
/// # Errors
/// [`Error`] when the file is missing, empty, no video, has sound only, a picture of a size beyond
/// [`crate::MAX_SIDE`], or when FFmpeg is missing.
pub fn probe(path: &Path) -> Result<Info, Error> {
    Backend::of_environment()?.probe(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let of = |name: &str| Backend::named(Some(name.as_ref()));
        assert!(matches!(of("process"), Ok(Backend::Process(_))));
        assert!(of("").is_ok() && Backend::named(None).ok() == of("").ok());
        let error = of("ffmpeg").unwrap_err().to_string();
        assert!(error.contains(VARIABLE) && error.contains("ffmpeg"), "{error}");
        #[cfg(feature = "linked")]
        assert!(matches!((of("linked"), of("")), (Ok(Backend::Linked), Ok(Backend::Linked))));
        #[cfg(not(feature = "linked"))]
        {
            let error = of("linked").unwrap_err().to_string();
            assert!(error.contains("without the cargo feature `linked`") && !error.contains('\n'), "{error}");
        }
    }
}
