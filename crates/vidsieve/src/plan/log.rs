//! The log of what was done to files: a line of JSON before each step, and one after it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::path::PlanPath;
use crate::Error;

/// The form of logs that this version writes and reads.
const FORMAT: &str = "vidsieve-log-1";
/// Largest log that is read, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StepKind {
    Move,
    Trash,
    HardLink,
}

/// A step, as it is written before it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LogStep {
    pub(super) step: u64,
    pub(super) action: StepKind,
    /// The file.
    pub(super) from: PlanPath,
    /// Where it goes; itself for a link.
    pub(super) to: PlanPath,
    /// What describes it in the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<PlanPath>,
    /// The file that is kept in its place.
    pub(super) keep: PlanPath,
    pub(super) size: u64,
    pub(super) modified: Option<i64>,
    #[serde(with = "super::hex_hash")]
    pub(super) blake3: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum LogRecord {
    Start { format: String },
    Step(LogStep),
    Done { step: u64 },
    Failed { step: u64, reason: String },
    Undone { step: u64 },
}

/// A log that this process alone writes.
#[derive(Debug)]
pub(super) struct ActionLog {
    path: PathBuf,
    file: File,
    /// Steps that were begun and not taken back, the first one first.
    steps: Vec<LogStep>,
    next: u64,
}

impl ActionLog {
    /// Opens a log, or makes one if `create` is set. It is locked until it is dropped.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(refuse(path, "another process writes it: wait until it is done"));
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        if file.metadata().map_err(failed)?.len() > MOST_BYTES {
            return Err(refuse(path, "it is larger than 1 GiB"));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let records = parse(&text).ok_or_else(|| refuse(path, "it is no log of `vidsieve dedupe apply`"))?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut log = Self { path: path.to_owned(), file, steps: Vec::new(), next: 1 };
        if text.last().is_some_and(|last| *last != b'\n') {
            // The line that an interruption cut off ends here.
            log.file.write_all(b"\n").map_err(failed)?;
        }
        if records.is_empty() {
            log.append(&LogRecord::Start { format: FORMAT.to_owned() })?;
            vidsieve_files::sync_folder_of(path).map_err(failed)?;
        }
        for record in records {
            match record {
                LogRecord::Step(step) => {
                    log.next = log.next.max(step.step.saturating_add(1));
                    log.steps.push(step);
                }
                LogRecord::Undone { step } => log.steps.retain(|known| known.step != step),
                // What was begun may have been done, whatever came of it: the files decide.
                LogRecord::Start { .. } | LogRecord::Done { .. } | LogRecord::Failed { .. } => {}
            }
        }
        Ok(log)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the steps that were begun and not taken back, the first one first.
    pub(super) fn steps(&self) -> &[LogStep] {
        &self.steps
    }

    fn append(&mut self, record: &LogRecord) -> Result<(), Error> {
        let failed = |source: io::Error| Error::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(failed)
    }

    /// Writes that a step begins, before anything is done to its file; `make` gets its number.
    pub(super) fn begin(&mut self, make: impl FnOnce(u64) -> LogStep) -> Result<LogStep, Error> {
        let step = make(self.next);
        self.next += 1;
        self.append(&LogRecord::Step(step.clone()))?;
        Ok(step)
    }

    /// Writes what came of a step.
    pub(super) fn end(&mut self, step: &LogStep, outcome: &io::Result<()>) -> Result<(), Error> {
        let step = step.step;
        self.append(&match outcome {
            Ok(()) => LogRecord::Done { step },
            Err(error) => LogRecord::Failed { step, reason: error.to_string() },
        })
    }

    /// Writes that a step was taken back.
    pub(super) fn undone(&mut self, step: &LogStep) -> Result<(), Error> {
        self.append(&LogRecord::Undone { step: step.step })
    }
}

fn refuse(path: &Path, detail: &str) -> Error {
    Error::Plan { path: path.to_owned(), detail: detail.to_owned() }
}

/// Reads the records of a log; lines that an interruption cut off are passed over. `None` for what is no log.
fn parse(text: &[u8]) -> Option<Vec<LogRecord>> {
    let of_line = |line: &[u8]| serde_json::from_slice::<LogRecord>(line).ok();
    let records: Vec<LogRecord> = text.split(|&byte| byte == b'\n').filter_map(of_line).collect();
    let is_known = |record: &LogRecord| matches!(record, LogRecord::Start { format } if format == FORMAT);
    match records.first() {
        Some(first) => is_known(first).then_some(records),
        // Nothing, or a first line that was cut off.
        None => {
            let text = text.trim_ascii();
            let start = b"{\"record\":\"start\"";
            (text.starts_with(start) || start.starts_with(text)).then_some(records)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(step: u64) -> LogStep {
        LogStep {
            step,
            action: StepKind::Move,
            from: Path::new("/a").into(),
            to: Path::new("/b").into(),
            info: None,
            keep: Path::new("/c").into(),
            size: 1,
            modified: None,
            blake3: [1; 32],
        }
    }

    #[test]
    fn a_log_goes_on_wherever_it_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = ActionLog::open(&path, true).unwrap();
        let first = log.begin(step).unwrap();
        log.end(&first, &Ok(())).unwrap();
        let second = log.begin(step).unwrap();
        log.end(&second, &Err(io::Error::other("full"))).unwrap();
        assert!(ActionLog::open(&path, false).unwrap_err().to_string().contains("another process"));
        drop(log);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut log = ActionLog::open(&path, false).unwrap();
            let steps = log.steps().len();
            let third = log.begin(step).unwrap();
            assert_eq!(third.step, steps as u64 + 1, "{length}");
            drop(log);
            let mut log = ActionLog::open(&path, false).unwrap();
            assert_eq!(log.steps().last(), Some(&third), "{length}");
            log.undone(&third).unwrap();
            drop(log);
            assert_eq!(ActionLog::open(&path, false).unwrap().steps().len(), steps);
        }
        for foreign in ["hello", "{\"record\":\"done\",\"step\":1}\n", "{\"record\":\"start\",\"format\":\"x\"}\n"] {
            std::fs::write(&path, foreign).unwrap();
            assert!(ActionLog::open(&path, true).unwrap_err().to_string().contains("no log"), "{foreign}");
        }
        assert!(ActionLog::open(&folder.path().join("none"), false).is_err());
    }
}
