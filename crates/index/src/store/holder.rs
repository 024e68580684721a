//! A note beside the index of who writes it. Locks decide; the note is for messages.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::now;

/// The file of the note.
const FILE: &str = "writer";

/// The process that writes an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexHolder {
    /// Number of the process.
    pub process: u32,
    /// What it does, such as `vidsieve serve`.
    pub program: String,
    /// Since when, in seconds from 1970.
    pub since: u64,
}

impl IndexHolder {
    /// Reads the note of a folder.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(FILE)).ok()?;
        let mut lines = text.lines();
        let (process, since) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
        let program = lines.next()?.chars().filter(|c| !c.is_control()).take(100).collect();
        Some(Self { process, program, since })
    }

    /// Whether it is a server of the HTTP API.
    pub(super) fn is_server(&self) -> bool {
        self.program.ends_with(" serve")
    }
}

impl fmt::Display for IndexHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = now().saturating_sub(self.since);
        let (count, unit) = match seconds {
            0..120 => (seconds, "seconds"),
            120..7200 => (seconds / 60, "minutes"),
            7200..172_800 => (seconds / 3600, "hours"),
            _ => (seconds / 86_400, "days"),
        };
        write!(f, "`{}`, process {}, for {count} {unit}", self.program, self.process)
    }
}

/// The note of this process; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct HolderNote(PathBuf);

impl HolderNote {
    /// Writes the note; `None` where it cannot be written, which does no harm.
    pub(super) fn write(folder: &Path) -> Option<Self> {
        let mut arguments = std::env::args_os();
        let program = arguments.next().map(PathBuf::from);
        let program = program.as_deref().and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned());
        // The subcommand, and no more of the command line.
        let command = arguments.next().map(|a| a.to_string_lossy().into_owned());
        let command = command.filter(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        let name = [program, command].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let path = folder.join(FILE);
        fs::write(&path, format!("{}\n{}\n{name}\n", std::process::id(), now())).ok()?;
        Some(Self(path))
    }
}

impl Drop for HolderNote {
    fn drop(&mut self) {
        // A note that stays does no harm: no process is refused by it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn notes_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(IndexHolder::of(folder.path()), None);
        let note = HolderNote::write(folder.path()).unwrap();
        let holder = IndexHolder::of(folder.path()).unwrap();
        assert_eq!(holder.process, std::process::id());
        assert!(holder.to_string().contains(&format!("process {}", holder.process)), "{holder}");
        drop(note);
        assert_eq!(IndexHolder::of(folder.path()), None);
        fs::write(folder.path().join(FILE), "1\nx\n").unwrap();
        assert_eq!(IndexHolder::of(folder.path()), None);
        let server = IndexHolder { process: 7, program: "vidsieve serve".into(), since: now() - 7300 };
        assert!(server.is_server());
        assert_eq!(server.to_string(), "`vidsieve serve`, process 7, for 2 hours");
    }
}
