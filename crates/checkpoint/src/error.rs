//! Errors of the checkpoint reader: every one names the file, the place in it and what to do.

use std::fmt;

/// What to do about a file that holds more than tensors and plain values.
const RESAVE: &str =
    "re-save it in Python with torch.save({'model': model.state_dict()}, path): only tensors and plain values are read";
/// What to do about a file that contradicts itself.
const DAMAGED: &str = "the file is damaged or cut short: download or save it again";

/// Why a checkpoint was refused. `file` is the name that was given to [`read`](crate::read); `entry` is the part of
/// the file (a zip entry, or a part of the non-zip stream).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file is something else than a checkpoint.
    #[error("{file}: not a PyTorch checkpoint: {reason}")]
    NotACheckpoint {
        /// Name of the file, as given.
        file: String,
        /// What it seems to be, and what to do.
        reason: String,
    },
    /// The zip archive cannot be read, or it is not laid out as `torch.save` does it.
    #[error("{file}: {entry}: {reason}")]
    Archive {
        /// Name of the file, as given.
        file: String,
        /// Zip entry at fault.
        entry: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The file was written on a big-endian machine.
    #[error(
        "{file}: {entry} says `{order}`: only little-endian files are read; \
         load it with torch.load and save it again on a little-endian machine"
    )]
    ByteOrder {
        /// Name of the file, as given.
        file: String,
        /// Zip entry that states the order.
        entry: String,
        /// What it states.
        order: String,
    },
    /// The pickle names a class or function that is not on the list of known ones. Nothing was executed.
    #[error("{file}: {entry}, byte {offset}: refused to load `{global}`; {RESAVE}")]
    Global {
        /// Name of the file, as given.
        file: String,
        /// Zip entry or part of the stream.
        entry: String,
        /// Where the pickle asks for it: in the zip entry, or in the file when that is no zip.
        offset: usize,
        /// `module.name` of the class or function.
        global: String,
    },
    /// The pickle asks for something that checkpoints of tensors and plain values do not need.
    #[error("{file}: {entry}, byte {offset}: {what}; {RESAVE}")]
    Unsupported {
        /// Name of the file, as given.
        file: String,
        /// Zip entry or part of the stream.
        entry: String,
        /// Where: in the zip entry, or in the file when that is no zip.
        offset: usize,
        /// What it asks for.
        what: String,
    },
    /// The pickle is cut short or contradicts itself.
    #[error("{file}: {entry}, byte {offset}: {reason}; {DAMAGED}")]
    Malformed {
        /// Name of the file, as given.
        file: String,
        /// Zip entry or part of the stream.
        entry: String,
        /// Where: in the zip entry, or in the file when that is no zip.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// A storage is missing, has another size than the pickle says, or fails its checksum.
    #[error("{file}: {entry}: {reason}")]
    Storage {
        /// Name of the file, as given.
        file: String,
        /// Zip entry or storage key.
        entry: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The file asks for more memory or work than its size justifies.
    #[error("{file}: {entry}: {what}; {RESAVE}")]
    Limit {
        /// Name of the file, as given.
        file: String,
        /// Zip entry or part of the stream.
        entry: String,
        /// The limit that was hit.
        what: String,
    },
    /// The file is sound but holds no weights where they are looked for.
    #[error(
        "{file}: no tensors under `model` or `state_dict`, and the file itself is no dictionary of tensors; \
         it holds {found}. Save the weights with torch.save({{'model': model.state_dict()}}, path)"
    )]
    NoTensors {
        /// Name of the file, as given.
        file: String,
        /// What the file holds instead.
        found: String,
    },
}

/// The file and the part of it that is being read, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) entry: String,
    /// Added to offsets in the part: 0 for a zip entry, the part's start for the non-zip stream.
    pub(crate) base: usize,
}

impl Place {
    pub(crate) fn new(file: &str, entry: impl Into<String>, base: usize) -> Self {
        Self { file: file.to_owned(), entry: entry.into(), base }
    }

    pub(crate) fn malformed(&self, offset: usize, reason: impl Into<String>) -> CheckpointError {
        let Self { file, entry, base } = self.clone();
        CheckpointError::Malformed { file, entry, offset: base + offset, reason: reason.into() }
    }

    pub(crate) fn unsupported(&self, offset: usize, what: impl Into<String>) -> CheckpointError {
        let Self { file, entry, base } = self.clone();
        CheckpointError::Unsupported { file, entry, offset: base + offset, what: what.into() }
    }

    pub(crate) fn global(&self, offset: usize, global: String) -> CheckpointError {
        let Self { file, entry, base } = self.clone();
        CheckpointError::Global { file, entry, offset: base + offset, global }
    }

    pub(crate) fn limit(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::Limit { file: self.file.clone(), entry: self.entry.clone(), what: what.into() }
    }

    /// A storage that is not what the pickle says.
    pub(crate) fn storage(&self, reason: impl fmt::Display) -> CheckpointError {
        CheckpointError::Storage {
            file: self.file.clone(),
            entry: self.entry.clone(),
            reason: format!("{reason}; {DAMAGED}"),
        }
    }

    /// An archive that contradicts itself.
    pub(crate) fn archive(&self, reason: impl fmt::Display) -> CheckpointError {
        CheckpointError::Archive {
            file: self.file.clone(),
            entry: self.entry.clone(),
            reason: format!("{reason}; {DAMAGED}"),
        }
    }

    /// An archive that is sound but of another kind; `reason` says what to do.
    pub(crate) fn foreign(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::Archive { file: self.file.clone(), entry: self.entry.clone(), reason: reason.into() }
    }
}

/// Text from a file for a message: control characters escaped, at most 120 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(120).flat_map(char::escape_debug).collect();
    if text.chars().nth(120).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_files_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(shown(&"x".repeat(120)), "x".repeat(120));
        assert_eq!(shown(&"x".repeat(121)).chars().count(), 121);
    }

    #[test]
    fn every_message_names_file_and_remedy() {
        let place = Place::new("w.pth", "w/data.pkl", 5);
        for error in [
            place.malformed(1, "r"),
            place.unsupported(1, "r"),
            place.global(1, "os.system".into()),
            place.limit("r"),
            place.storage("r"),
            place.archive("r"),
        ] {
            let text = error.to_string();
            assert!(text.starts_with("w.pth: w/data.pkl"), "{text}");
            assert!(text.contains("again") || text.contains("re-save"), "{text}");
        }
        assert!(place.malformed(1, "r").to_string().contains("byte 6"));
    }
}
