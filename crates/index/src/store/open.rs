//! Opening an index.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{ConcurrencyMode, DatabaseError, ReadOnlyDatabase, StorageError};
use vidsieve_record::BundleId;

use super::error::database_error;
use super::handle::{Handle, Opened};
use super::holder::HolderNote;
use super::{FILE, Index, IndexError, META, VERSION};

/// Opens a database so that one process writes while others read; where the file system cannot lock parts of a file, for this
/// process alone.
pub(super) fn shared<T>(open: impl Fn(&redb::Builder) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    let mut builder = redb::Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    match open(&builder) {
        Err(DatabaseError::Storage(error)) if is_unsupported(&error) => exclusive(open),
        other => other,
    }
}

/// Opens a database so that no process writes it at the same time.
pub(super) fn exclusive<T>(open: impl Fn(&redb::Builder) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    open(redb::Builder::new().set_concurrency_mode(ConcurrencyMode::ExclusiveWriter))
}

fn is_unsupported(error: &StorageError) -> bool {
    match error {
        StorageError::Unsupported => true,
        StorageError::Io(error) => error.kind() == io::ErrorKind::Unsupported,
        _ => false,
    }
}

impl Index {
    /// The index of a folder, to read and to write.
    ///
    /// # Errors
    /// [`IndexError`] with the remedy.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let path = Self::file(folder)?;
        let database = guarded(folder, || shared(|builder| builder.open(&path)))?;
        let mut index = Self::checked(folder, Opened::Write(database))?;
        index._holder = HolderNote::write(folder);
        Ok(index)
    }

    /// The index of a folder, to read, also while another process writes it. An index that was left open by a process that
    /// ended badly is put in order first.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_read_only(folder: &Path) -> Result<Self, IndexError> {
        Self::open_to_read(folder, &|path| shared(|builder| builder.open_read_only(path)))
    }

    /// The index of a folder, to read, while no process writes it.
    pub(super) fn open_alone(folder: &Path) -> Result<Self, IndexError> {
        Self::open_to_read(folder, &|path| exclusive(|builder| builder.open_read_only(path)))
    }

    fn open_to_read(
        folder: &Path,
        open: &dyn Fn(&Path) -> Result<ReadOnlyDatabase, DatabaseError>,
    ) -> Result<Self, IndexError> {
        let path = Self::file(folder)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| open(&path)));
        let database = match outcome {
            Ok(Err(DatabaseError::RepairAborted)) => {
                drop(Self::open(folder)?);
                guarded(folder, || open(&path))?
            }
            Ok(outcome) => guarded(folder, || outcome)?,
            Err(_) => return Err(contradiction(folder)),
        };
        Self::checked(folder, Opened::Read(database))
    }

    fn file(folder: &Path) -> Result<PathBuf, IndexError> {
        let path = folder.join(FILE);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() && meta.len() > 0 => Ok(path),
            Ok(meta) if meta.is_file() => {
                Err(IndexError::Damaged { path: folder.to_owned(), detail: format!("{FILE} is empty") })
            }
            Err(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(IndexError::Io { path, source })
            }
            _ => Err(IndexError::NotAnIndex(folder.to_owned())),
        }
    }

    fn checked(folder: &Path, opened: Opened) -> Result<Self, IndexError> {
        let handle = Handle::new(folder, opened);
        let mut index = Self { folder: folder.to_owned(), handle, bundle: BundleId([0; 32]), _holder: None };
        let read = |name: &str| -> Result<Vec<u8>, IndexError> {
            let transaction = index.reading()?;
            let meta = transaction.open_table(META).map_err(|e| index.fail(e.into()))?;
            let value = meta.get(name).map_err(|e| index.fail(e.into()))?;
            value.map(|v| v.value().to_vec()).ok_or_else(|| index.damaged(format!("it does not tell its {name}")))
        };
        let version = read("version")?;
        let version =
            version.try_into().map(u32::from_le_bytes).map_err(|_| index.damaged("its version is no number"))?;
        let path = || folder.to_owned();
        match version.cmp(&VERSION) {
            Ordering::Less => return Err(IndexError::PastVersion { path: path(), found: version }),
            Ordering::Greater => return Err(IndexError::FutureVersion { path: path(), found: version }),
            Ordering::Equal => {}
        }
        let bundle = read("bundle")?;
        index.bundle = BundleId(bundle.try_into().map_err(|_| index.damaged("its bundle's name is cut short"))?);
        Ok(index)
    }
}

/// Opens a database that may be damaged: one with damaged pages may reach a state that it takes for impossible.
fn guarded<T>(folder: &Path, open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(outcome) => outcome.map_err(|error| database_error(folder, error)),
        Err(_) => Err(contradiction(folder)),
    }
}

fn contradiction(folder: &Path) -> IndexError {
    IndexError::Damaged { path: folder.to_owned(), detail: "its pages contradict one another".into() }
}
