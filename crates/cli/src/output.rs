//! What every command prints and how it fails.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

/// Why a command ends: one line. Bad usage or bad input, exit status 2; or something that failed, exit status 1.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    status: u8,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line whatever a file is called, and nothing that a terminal would obey.
        f.write_str(&crate::native::terminal::plain(&self.text.replace(['\n', '\r'], " ")))
    }
}

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { text: message.to_string(), status: 2 }
    }

    /// Nothing is wrong with what was asked, but it could not be done.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { text: message.to_string(), status: 1 }
    }

    /// How a command ends that the library fails: an interruption or a missing program is no bad input, and options and
    /// ids are named as the command line does.
    fn of_library(error: &vidsieve::Error) -> Self {
        match error {
            error if error.is_cancelled() => Self::failed("interrupted"),
            vidsieve::Error::Video(vidsieve_video::Error::FfmpegMissing { .. }) => Self::failed(error),
            vidsieve::Error::InvalidOption { option, value, rule } => {
                Self::new(format_args!("--{} {value}: {rule}", option.replace('_', "-")))
            }
            vidsieve::Error::UnknownVideo { .. } => {
                Self::new(format_args!("{error} (`vidsieve list` shows them; ./id:… names a file)"))
            }
            error => Self::new(error),
        }
    }

    /// The exit status.
    pub(crate) const fn status(&self) -> u8 {
        self.status
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: &dyn std::error::Error = &error;
        error.downcast_ref().map_or_else(|| Self::new(error), Self::of_library)
    }
}

/// Prints to standard output; a closed pipe ends the output, not the program.
pub(crate) fn line(text: impl fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints text of several lines as it is.
pub(crate) fn text(text: impl fmt::Display) {
    let _ = write!(io::stdout().lock(), "{text}");
}

pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))
}

#[cfg(any(feature = "convert", feature = "train"))]
/// Makes the folder that a file is to be written to: before long work, not after it.
pub(crate) fn make_folder_of(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|e| Failure::new(format_args!("{}: {e}", folder.display())))
}

/// Writes a file whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    vidsieve_files::write_atomically(path, bytes).map_err(|e| Failure::new(format_args!("{}: {e}", path.display())))
}

/// `1.5 KB`, `3.2 MB`: decimal units.
pub(crate) fn size(bytes: usize) -> String {
    #[allow(clippy::cast_precision_loss)]
    let b = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", b / 1e3),
        _ => format!("{:.2} MB", b / 1e6),
    }
}
