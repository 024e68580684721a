//! The open database: how much room its disk has, and opening it again after the system failed.
//!
//! After a write that the system refused (a full disk, a quota, a fault of the disk) redb refuses every later access until
//! the database is opened again. Opening it anew checks all of it, so that writes for which the disk has no room are refused
//! before they begin; what fails in spite of that closes the database, and the next access opens it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{CommitError, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::error::{database_error, storage_error};
use super::open::shared;
use super::{FILE, IndexError};

/// Free bytes of the disk that no write takes: copies of pages of the trees, and what else the system writes.
const MARGIN: u64 = 1 << 20;
/// Shortest time between two tries to open the database after one that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The database as it was opened.
pub(super) enum Opened {
    /// To read and to write.
    Write(Database),
    /// To read.
    Read(ReadOnlyDatabase),
    /// It could not be opened again after a fault; to write or to read.
    Closed { writes: bool },
}

/// The database of a folder.
pub(super) struct Handle {
    folder: PathBuf,
    opened: RwLock<Opened>,
    /// Whether the system has failed since the database was opened.
    broken: AtomicBool,
    /// The last try to open it that failed.
    tried: Mutex<Option<Instant>>,
    /// Bytes of records that were removed since the database was opened, and not used again: room inside the file.
    vacant: AtomicU64,
}

/// The bytes that are free on a folder's disk; `None` where the system does not say.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

/// Whether an error leaves redb unusable until the database is opened again.
fn breaks(error: &redb::Error) -> bool {
    match error {
        // redb reports foreign and truncated files by these kinds.
        redb::Error::Io(source) => !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => true,
        _ => false,
    }
}

impl Handle {
    pub(super) fn new(folder: &Path, opened: Opened) -> Self {
        Self {
            folder: folder.to_owned(),
            opened: RwLock::new(opened),
            broken: AtomicBool::new(false),
            tried: Mutex::default(),
            vacant: AtomicU64::new(0),
        }
    }

    /// An error of redb as one of the index; notes one after which the database must be opened again.
    pub(super) fn fail(&self, error: redb::Error) -> IndexError {
        if breaks(&error) {
            self.broken.store(true, Ordering::Release);
        }
        storage_error(&self.folder, error)
    }

    /// The database, for changes that nothing else may see.
    pub(super) fn database(&mut self) -> Option<&mut Database> {
        match self.opened.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Opened::Write(database) => Some(database),
            Opened::Read(_) | Opened::Closed { .. } => None,
        }
    }

    /// The open database, opened again where the system had failed.
    fn sound(&self) -> Result<RwLockReadGuard<'_, Opened>, IndexError> {
        if self.broken.load(Ordering::Acquire) {
            self.open_again()?;
        }
        Ok(self.opened.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the database and opens it again. While it is not open, others wait.
    fn open_again(&self) -> Result<(), IndexError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.is_some_and(|at| at.elapsed() < AGAIN) {
            return Err(IndexError::Interrupted(self.folder.clone()));
        }
        let writes = match *opened {
            Opened::Write(_) => true,
            Opened::Read(_) => false,
            Opened::Closed { writes } => writes,
        };
        // The file is locked for as long as it is open.
        *opened = Opened::Closed { writes };
        let path = self.folder.join(FILE);
        let again = if writes {
            shared(|builder| builder.open(&path)).map(Opened::Write)
        } else {
            shared(|builder| builder.open_read_only(&path)).map(Opened::Read)
        };
        match again {
            Ok(again) => {
                *opened = again;
                *tried = None;
                self.vacant.store(0, Ordering::Relaxed);
                self.broken.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                *tried = Some(Instant::now());
                Err(database_error(&self.folder, error))
            }
        }
    }

    pub(super) fn reading(&self) -> Result<ReadTransaction, IndexError> {
        match &*self.sound()? {
            Opened::Write(database) => database.begin_read(),
            Opened::Read(database) => database.begin_read(),
            Opened::Closed { .. } => return Err(IndexError::Interrupted(self.folder.clone())),
        }
        .map_err(|e| self.fail(e.into()))
    }

    /// A change that adds so many bytes of records; refused where the disk has no room for them.
    pub(super) fn writing(&self, bytes: u64) -> Result<Writing<'_>, IndexError> {
        let transaction = match &*self.sound()? {
            Opened::Write(database) => {
                self.check_room(bytes)?;
                database.begin_write().map_err(|e| self.fail(e.into()))?
            }
            Opened::Read(_) | Opened::Closed { writes: false } => {
                return Err(IndexError::ReadOnly(self.folder.clone()));
            }
            Opened::Closed { writes: true } => return Err(IndexError::Interrupted(self.folder.clone())),
        };
        Ok(Writing { handle: self, transaction: Some(transaction), bytes })
    }

    /// The bytes that a change may add, as far as the system says.
    pub(super) fn room(&self) -> Option<u64> {
        free(&self.folder).map(|free| free.saturating_sub(MARGIN))
    }

    fn check_room(&self, bytes: u64) -> Result<(), IndexError> {
        // redb keeps a value in pages whose number is a power of two.
        let needed = bytes.saturating_mul(2);
        let Some(room) = self.room() else { return Ok(()) };
        // What removes frees pages; it takes only copies of pages of the trees.
        if bytes == 0 || room >= needed || self.vacant.load(Ordering::Relaxed) >= needed {
            return Ok(());
        }
        let detail = format!("no space left on the disk: {room} bytes are free beyond a reserve, {needed} are needed");
        let source = io::Error::new(io::ErrorKind::StorageFull, detail);
        Err(IndexError::Io { path: self.folder.join(FILE), source })
    }

    /// Notes bytes of records that a change took out: later ones may use their room.
    pub(super) fn vacate(&self, bytes: u64) {
        self.vacant.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A change under way. Dropped before it is committed it changes nothing; where the system failed in it, the database is
/// opened again then.
pub(super) struct Writing<'a> {
    handle: &'a Handle,
    transaction: Option<WriteTransaction>,
    bytes: u64,
}

impl Writing<'_> {
    /// The transaction.
    pub(super) fn open_table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: redb::TableDefinition<'_, K, V>,
    ) -> Result<redb::Table<'_, K, V>, redb::TableError> {
        match &self.transaction {
            Some(transaction) => transaction.open_table(definition),
            // It is there until the change ends.
            None => Err(redb::StorageError::DatabaseClosed.into()),
        }
    }

    /// Makes the change durable.
    pub(super) fn commit(mut self) -> Result<(), redb::Error> {
        let Some(transaction) = self.transaction.take() else { return Err(redb::Error::DatabaseClosed) };
        let committed = transaction.commit().map_err(|e: CommitError| redb::Error::from(e));
        match &committed {
            Ok(()) => {
                let used = |vacant: u64| Some(vacant.saturating_sub(2 * self.bytes));
                let _ = self.handle.vacant.fetch_update(Ordering::Relaxed, Ordering::Relaxed, used);
            }
            // Noted before this is dropped.
            Err(error) if breaks(error) => self.handle.broken.store(true, Ordering::Release),
            Err(_) => {}
        }
        committed
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // Before the database is closed, or closing would wait for it.
        drop(self.transaction.take());
        if self.handle.broken.load(Ordering::Acquire) {
            // The next caller tries again.
            let _ = self.handle.open_again();
        }
    }
}
