//! The embedded store: a folder with a redb file and the bundle that made its records.
//!
//! | file | holds |
//! |---|---|
//! | `index.redb` | records, and beside them what a scan needs: vectors, scalars, sources |
//! | `model.safetensors` | the bundle, so that an index is complete in itself |
//!
//! Every change is one transaction: it is there as a whole, on the disk, or not at all, whenever the process or the machine
//! stops. One process writes at a time; several may read while none writes.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{Database, ReadOnlyDatabase, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use vidsieve_record::id::MAX_ID;
use vidsieve_record::id::is_id;
use vidsieve_record::{BundleId, Record, RecordError};

/// The version of the folder that this code writes, and the latest that it reads.
pub const VERSION: u32 = 1;

const FILE: &str = "index.redb";
const MODEL: &str = "model.safetensors";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");
const FAILURES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("failures");

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The folder holds no index.
    #[error("{}: there is no index here; `vidsieve index --index {} VIDEOS` makes one", .0.display(), .0.display())]
    NotAnIndex(PathBuf),
    /// Written by a later version of this program.
    #[error("{}: an index of version {found}, this Vidsieve knows {VERSION}: use a newer Vidsieve", path.display())]
    FutureVersion {
        /// The folder.
        path: PathBuf,
        /// The index's version.
        found: u32,
    },
    /// Made by another bundle.
    #[error(
        "{}: made by bundle {}, not {}: use that bundle, or another folder for a new index",
        path.display(),
        found.short(),
        expected.short()
    )]
    Bundle {
        /// The folder.
        path: PathBuf,
        /// The bundle asked for.
        expected: BundleId,
        /// The index's.
        found: BundleId,
    },
    /// Another process uses it.
    #[error("{}: another process is writing this index; wait until it is done", .0.display())]
    Locked(PathBuf),
    /// It was opened for reading.
    #[error("{}: this index was opened for reading", .0.display())]
    ReadOnly(PathBuf),
    /// The database is damaged.
    #[error("{}: the index is damaged: {detail}; restore it from a copy, or index the videos again in another folder", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The disk or the file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An id that cannot be used.
    #[error("{0:?} is no id: 1 to {MAX_ID} bytes without control characters")]
    Id(String),
    /// A record that does not belong here.
    #[error("{id}: {source}")]
    Record {
        /// The video.
        id: String,
        /// Why.
        source: RecordError,
    },
}

/// Where a video comes from, so that a file that was moved or changed is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The file's path as bytes: file names need not be UTF-8.
    pub path: Vec<u8>,
    /// Bytes of the file.
    pub size: u64,
    /// When it was last changed, in nanoseconds from 1970.
    pub modified: Option<i64>,
    /// Of its content.
    pub fingerprint: Option<[u8; 16]>,
    /// Width and height of its pictures, 0 if unknown.
    pub picture: [u32; 2],
}

impl Source {
    /// The path to print.
    #[must_use]
    pub fn display(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What is known of a video without its codes.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// When it was added, in seconds from 1970.
    pub added: u64,
    /// Its length in seconds.
    pub duration: f64,
    /// Sampled frames.
    pub frames: u32,
    /// Bytes of its record.
    pub bytes: u64,
    /// Its record's checksum.
    pub checksum: u64,
}

/// A video with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The record.
    pub record: Record<Vec<u8>>,
    /// What is known beside it.
    pub summary: Summary,
}

/// What a scan needs, by columns; N videos in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// N ids.
    pub ids: Vec<String>,
    /// N x D.
    pub vectors: Vec<f32>,
    /// N.
    pub self_similarity: Vec<f32>,
    /// N.
    pub frames: Vec<u32>,
    /// N, in seconds.
    pub durations: Vec<f64>,
}

impl Columns {
    /// D; 0 without videos.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.vectors.len().checked_div(self.ids.len()).unwrap_or(0)
    }
}

/// What [`Index::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The video is new.
    Added,
    /// There was another record.
    Replaced,
    /// The very record was there.
    Unchanged,
}

/// A file that could not be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The file as it was.
    pub source: Source,
    /// Why.
    pub reason: String,
}

/// What [`Index::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Videos that were looked at.
    pub checked: usize,
    /// Videos whose record is damaged or missing, and what is wrong.
    pub damaged: Vec<(String, String)>,
}

enum Handle {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// An index on the disk.
pub struct Index {
    folder: PathBuf,
    handle: Handle,
    bundle: BundleId,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("folder", &self.folder).field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Where this process makes a file of the folder before it has its name.
fn unfinished(folder: &Path, file: &str) -> PathBuf {
    folder.join(format!("{file}.{}.tmp", std::process::id()))
}

/// Bytes of a row's scalars.
const SCALARS: usize = 40;

/// A row of [`ROWS`]: little-endian scalars, the source, the vector.
fn row<B: AsRef<[u8]>>(record: &Record<B>, source: &Source, added: u64) -> Vec<u8> {
    let shape = record.shape();
    let mut row = Vec::with_capacity(128 + source.path.len() + 4 * shape.dims);
    row.extend(record.self_similarity().to_le_bytes());
    // At most a million.
    #[allow(clippy::cast_possible_truncation)]
    row.extend((shape.frames as u32).to_le_bytes());
    row.extend(record.duration().to_le_bytes());
    row.extend(added.to_le_bytes());
    row.extend((record.as_bytes().len() as u64).to_le_bytes());
    row.extend(record.checksum().to_le_bytes());
    row.extend(source.to_bytes());
    record.global().for_each(|v| row.extend(v.to_le_bytes()));
    row
}

/// Reads little-endian values one after the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()? as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head.to_vec())
    }
}

impl Source {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.path.len());
        // A path is far below 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        bytes.extend((self.path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.path);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.modified.unwrap_or(i64::MIN).to_le_bytes());
        bytes.push(u8::from(self.fingerprint.is_some()));
        bytes.extend(self.fingerprint.unwrap_or_default());
        self.picture.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.bytes()?;
        let size = reader.u64()?;
        let modified = Some(i64::from_le_bytes(reader.take()?)).filter(|m| *m != i64::MIN);
        let [has] = reader.take::<1>()?;
        let fingerprint = Some(reader.take::<16>()?).filter(|_| has != 0);
        let picture = [reader.u32()?, reader.u32()?];
        Some(Self { path, size, modified, fingerprint, picture })
    }
}

/// A row of [`ROWS`] read back: the scalar, the summary, the vector's bytes.
fn read_row<'a>(id: &str, row: &'a [u8]) -> Option<(f32, Summary, &'a [u8])> {
    let mut reader = Reader(row);
    let self_similarity = f32::from_le_bytes(reader.take()?);
    let frames = reader.u32()?;
    let duration = f64::from_le_bytes(reader.take()?);
    let (added, bytes, checksum) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let source = Source::read(&mut reader)?;
    let rest = row.len() - reader.0.len();
    let summary = Summary { id: id.to_owned(), source, added, duration, frames, bytes, checksum };
    Some((self_similarity, summary, &row[rest..]))
}

/// A row with another source.
fn with_source(id: &str, row: &[u8], source: &Source) -> Option<Vec<u8>> {
    let (_, _, vector) = read_row(id, row)?;
    Some([row.get(..SCALARS)?, &source.to_bytes(), vector].concat())
}

impl Index {
    /// The index of a folder for a bundle; a new one where there is none. `bytes` are the bundle's. What processes that were killed
    /// while they made an index have left in the folder is removed.
    ///
    /// # Errors
    /// [`IndexError::Bundle`] for an index of another bundle; what [`Index::open`] refuses; a folder that cannot be written.
    pub fn create_or_open(folder: &Path, bundle: BundleId, bytes: &[u8]) -> Result<Self, IndexError> {
        if !folder.join(FILE).exists() {
            Self::create(folder, bundle, bytes)?;
        }
        let index = Self::open(folder)?;
        if index.bundle != bundle {
            return Err(IndexError::Bundle { path: folder.to_owned(), expected: bundle, found: index.bundle });
        }
        index.remove_unfinished();
        Ok(index)
    }

    /// Makes an index; no error where another process has made one meanwhile.
    fn create(folder: &Path, bundle: BundleId, bytes: &[u8]) -> Result<(), IndexError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| IndexError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let (model, file) = (folder.join(MODEL), folder.join(FILE));
        let temporary = unfinished(folder, MODEL);
        let written = fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &model));
        if let Err(error) = written {
            // What could not be written is of no use.
            let _ = fs::remove_file(&temporary);
            if !file.exists() {
                return Err(io(&model)(error));
            }
        }
        // The database appears under its name when it is complete: a process that is killed here leaves no half of one.
        let temporary = unfinished(folder, FILE);
        let made = (|| {
            let database = Database::create(&temporary).map_err(|e| database_error(folder, e))?;
            let fail = |e: redb::Error| storage_error(folder, e);
            let transaction = database.begin_write().map_err(|e| fail(e.into()))?;
            {
                let mut meta = transaction.open_table(META).map_err(|e| fail(e.into()))?;
                meta.insert("version", VERSION.to_le_bytes().as_slice()).map_err(|e| fail(e.into()))?;
                meta.insert("bundle", bundle.0.as_slice()).map_err(|e| fail(e.into()))?;
                transaction.open_table(RECORDS).map_err(|e| fail(e.into()))?;
                transaction.open_table(ROWS).map_err(|e| fail(e.into()))?;
                transaction.open_table(FAILURES).map_err(|e| fail(e.into()))?;
            }
            transaction.commit().map_err(|e| fail(e.into()))?;
            drop(database);
            // Unlike a rename, a link does not take the place of an index that another process has made meanwhile.
            match fs::hard_link(&temporary, &file) {
                // There are file systems without links.
                Err(_) if !file.exists() => fs::rename(&temporary, &file).map_err(io(folder)),
                _ => Ok(()),
            }
        })();
        let _ = fs::remove_file(&temporary);
        if !file.exists() {
            made?;
        }
        #[cfg(unix)]
        fs::File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder))?;
        Ok(())
    }

    /// Removes what was begun under other names and never finished. No process can still be at work on it to an end that counts: the
    /// index is there, and this process has it to itself.
    fn remove_unfinished(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let begun = |file: &str| {
                let rest = name.to_str()?.strip_prefix(file)?.strip_prefix('.')?;
                rest.strip_suffix(".tmp").filter(|process| process.parse::<u32>().is_ok())
            };
            if begun(FILE).or_else(|| begun(MODEL)).is_some() {
                // It is in nobody's way if it stays.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The index of a folder, to read and to write.
    ///
    /// # Errors
    /// [`IndexError`] with the remedy.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let path = Self::file(folder)?;
        let database = Database::open(path).map_err(|e| database_error(folder, e))?;
        Self::checked(folder, Handle::Write(database))
    }

    /// The index of a folder, to read. An index that was left open by a process that ended badly is put in order first.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_read_only(folder: &Path) -> Result<Self, IndexError> {
        let path = Self::file(folder)?;
        match ReadOnlyDatabase::open(&path) {
            Ok(database) => Self::checked(folder, Handle::Read(database)),
            Err(redb::DatabaseError::RepairAborted) => {
                drop(Self::open(folder)?);
                let database = ReadOnlyDatabase::open(&path).map_err(|e| database_error(folder, e))?;
                Self::checked(folder, Handle::Read(database))
            }
            Err(error) => Err(database_error(folder, error)),
        }
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

    fn checked(folder: &Path, handle: Handle) -> Result<Self, IndexError> {
        let mut index = Self { folder: folder.to_owned(), handle, bundle: BundleId([0; 32]) };
        let read = |name: &str| -> Result<Vec<u8>, IndexError> {
            let transaction = index.reading()?;
            let meta = transaction.open_table(META).map_err(|e| index.fail(e.into()))?;
            let value = meta.get(name).map_err(|e| index.fail(e.into()))?;
            value.map(|v| v.value().to_vec()).ok_or_else(|| index.damaged(format!("it does not tell its {name}")))
        };
        let version = read("version")?;
        let version =
            version.try_into().map(u32::from_le_bytes).map_err(|_| index.damaged("its version is no number"))?;
        if version > VERSION {
            return Err(IndexError::FutureVersion { path: folder.to_owned(), found: version });
        }
        let bundle = read("bundle")?;
        index.bundle = BundleId(bundle.try_into().map_err(|_| index.damaged("its bundle's name is cut short"))?);
        Ok(index)
    }

    fn reading(&self) -> Result<redb::ReadTransaction, IndexError> {
        match &self.handle {
            Handle::Write(database) => database.begin_read(),
            Handle::Read(database) => database.begin_read(),
        }
        .map_err(|e| self.fail(e.into()))
    }

    fn writing(&self) -> Result<redb::WriteTransaction, IndexError> {
        match &self.handle {
            Handle::Write(database) => database.begin_write().map_err(|e| self.fail(e.into())),
            Handle::Read(_) => Err(IndexError::ReadOnly(self.folder.clone())),
        }
    }

    fn fail(&self, error: redb::Error) -> IndexError {
        storage_error(&self.folder, error)
    }

    fn damaged(&self, detail: impl Into<String>) -> IndexError {
        IndexError::Damaged { path: self.folder.clone(), detail: detail.into() }
    }

    fn bad_row(&self, id: &str) -> IndexError {
        self.damaged(format!("what is kept of {id}: `vidsieve remove` takes it out"))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bundle of all records.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.bundle
    }

    /// The bundle's bytes.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub fn bundle_bytes(&self) -> Result<Vec<u8>, IndexError> {
        let path = self.folder.join(MODEL);
        fs::read(&path).map_err(|source| IndexError::Io { path, source })
    }

    /// Videos.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn len(&self) -> Result<u64, IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        rows.len().map_err(|e| self.fail(e.into()))
    }

    /// Whether there are no videos.
    ///
    /// # Errors
    /// As [`Index::len`].
    pub fn is_empty(&self) -> Result<bool, IndexError> {
        Ok(self.len()? == 0)
    }

    /// Adds a video or replaces it. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put<B: AsRef<[u8]>>(&self, id: &str, record: &Record<B>, source: &Source) -> Result<Put, IndexError> {
        let done = self.put_many(&[(id, record.view(), source)])?;
        Ok(done.first().copied().unwrap_or(Put::Unchanged))
    }

    /// Adds or replaces several videos, all of them or none.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put_many(&self, videos: &[(&str, Record<&[u8]>, &Source)]) -> Result<Vec<Put>, IndexError> {
        for (id, record, _) in videos {
            if !is_id(id) {
                return Err(IndexError::Id(id.chars().take(80).collect()));
            }
            record.expect(&self.bundle).map_err(|source| IndexError::Record { id: (*id).to_owned(), source })?;
        }
        let transaction = self.writing()?;
        let mut done = Vec::with_capacity(videos.len());
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let mut failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
            for (id, record, source) in videos {
                let before = records.insert(*id, record.as_bytes()).map_err(|e| self.fail(e.into()))?;
                let put = match before {
                    None => Put::Added,
                    Some(old) if old.value() == record.as_bytes() => Put::Unchanged,
                    Some(_) => Put::Replaced,
                };
                let row = row(record, source, now());
                rows.insert(*id, row.as_slice()).map_err(|e| self.fail(e.into()))?;
                failures.remove(source.path.as_slice()).map_err(|e| self.fail(e.into()))?;
                done.push(put);
            }
        }
        transaction.commit().map_err(|e| self.fail(e.into()))?;
        Ok(done)
    }

    /// A video with its record.
    ///
    /// # Errors
    /// [`IndexError::Record`] for a damaged record.
    pub fn get(&self, id: &str) -> Result<Option<Entry>, IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let Some(row) = rows.get(id).map_err(|e| self.fail(e.into()))? else { return Ok(None) };
        let (_, summary, _) = read_row(id, row.value()).ok_or_else(|| self.bad_row(id))?;
        let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
        let bytes = records.get(id).map_err(|e| self.fail(e.into()))?;
        let bytes = bytes.ok_or_else(|| self.damaged(format!("the record of {id} is missing")))?.value().to_vec();
        let record = Record::parse(bytes).map_err(|source| IndexError::Record { id: id.to_owned(), source })?;
        Ok(Some(Entry { record, summary }))
    }

    /// The records of several videos; `None` for one that is not there, an error in its place for one that is damaged.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be read.
    #[allow(clippy::type_complexity)]
    pub fn records<S: AsRef<str>>(
        &self,
        ids: &[S],
    ) -> Result<Vec<Option<Result<Record<Vec<u8>>, RecordError>>>, IndexError> {
        let transaction = self.reading()?;
        let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
        ids.iter()
            .map(|id| {
                let bytes = records.get(id.as_ref()).map_err(|e| self.fail(e.into()))?;
                Ok(bytes.map(|bytes| Record::parse(bytes.value().to_vec())))
            })
            .collect()
    }

    /// Removes a video, a damaged one as well; tells whether it was there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn remove(&self, id: &str) -> Result<bool, IndexError> {
        Ok(self.remove_many(&[id])?.contains(&true))
    }

    /// Removes several videos, all of them or none; tells of each whether anything of it was there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn remove_many<S: AsRef<str>>(&self, ids: &[S]) -> Result<Vec<bool>, IndexError> {
        let transaction = self.writing()?;
        let mut removed = Vec::with_capacity(ids.len());
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            for id in ids {
                let record = records.remove(id.as_ref()).map_err(|e| self.fail(e.into()))?.is_some();
                let row = rows.remove(id.as_ref()).map_err(|e| self.fail(e.into()))?.is_some();
                removed.push(record || row);
            }
        }
        transaction.commit().map_err(|e| self.fail(e.into()))?;
        Ok(removed)
    }

    /// What is known of a video, without its codes.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn summary(&self, id: &str) -> Result<Option<Summary>, IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let Some(row) = rows.get(id).map_err(|e| self.fail(e.into()))? else { return Ok(None) };
        let (_, summary, _) = read_row(id, row.value()).ok_or_else(|| self.bad_row(id))?;
        Ok(Some(summary))
    }

    /// A setting of the index, such as how its videos were sampled.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn setting(&self, key: &str) -> Result<Option<String>, IndexError> {
        let transaction = self.reading()?;
        let meta = transaction.open_table(META).map_err(|e| self.fail(e.into()))?;
        let value = meta.get(format!("setting.{key}").as_str()).map_err(|e| self.fail(e.into()))?;
        Ok(value.map(|v| String::from_utf8_lossy(v.value()).into_owned()))
    }

    /// Keeps a setting.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut meta = transaction.open_table(META).map_err(|e| self.fail(e.into()))?;
            meta.insert(format!("setting.{key}").as_str(), value.as_bytes()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e.into()))
    }

    /// Gives videos other sources: their files were touched or lie elsewhere, their content is the same. Records are not read.
    /// Videos that are not there are passed over.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn put_sources(&self, sources: &[(&str, &Source)]) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            for (id, source) in sources {
                let changed = {
                    let Some(kept) = rows.get(*id).map_err(|e| self.fail(e.into()))? else { continue };
                    with_source(id, kept.value(), source).ok_or_else(|| self.bad_row(id))?
                };
                rows.insert(*id, changed.as_slice()).map_err(|e| self.fail(e.into()))?;
            }
        }
        transaction.commit().map_err(|e| self.fail(e.into()))
    }

    /// Gives a video another id and source, without reading its record: a file that was moved. A video that has the other id
    /// is replaced. Tells whether the video is there.
    ///
    /// # Errors
    /// [`IndexError`]; the index is as it was.
    pub fn relabel(&self, from: &str, to: &str, source: &Source) -> Result<bool, IndexError> {
        if !is_id(to) {
            return Err(IndexError::Id(to.chars().take(80).collect()));
        }
        let transaction = self.writing()?;
        {
            let mut records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
            let mut rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
            let record = records.remove(from).map_err(|e| self.fail(e.into()))?.map(|r| r.value().to_vec());
            let kept = rows.remove(from).map_err(|e| self.fail(e.into()))?.map(|r| r.value().to_vec());
            // A transaction that is dropped changes nothing.
            let (Some(record), Some(kept)) = (record, kept) else { return Ok(false) };
            let row = with_source(from, &kept, source).ok_or_else(|| self.bad_row(from))?;
            records.insert(to, record.as_slice()).map_err(|e| self.fail(e.into()))?;
            rows.insert(to, row.as_slice()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e.into()))?;
        Ok(true)
    }

    /// What is known of every video, in the order of their ids.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn list(&self) -> Result<Vec<Summary>, IndexError> {
        let mut all = Vec::new();
        self.rows(|_, summary, _| all.push(summary))?;
        Ok(all)
    }

    /// What is known of the videos after an id, in order, at most `limit`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Summary>, IndexError> {
        use std::ops::Bound;
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = rows.range::<&str>((start, Bound::Unbounded)).map_err(|e| self.fail(e.into()))?;
        let mut page = Vec::new();
        for item in range.take(limit) {
            let (id, row) = item.map_err(|e| self.fail(e.into()))?;
            let (_, summary, _) = read_row(id.value(), row.value()).ok_or_else(|| self.bad_row(id.value()))?;
            page.push(summary);
        }
        Ok(page)
    }

    fn rows(&self, mut each: impl FnMut(f32, Summary, &[u8])) -> Result<(), IndexError> {
        let transaction = self.reading()?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        for item in rows.iter().map_err(|e| self.fail(e.into()))? {
            let (id, row) = item.map_err(|e| self.fail(e.into()))?;
            let (scalar, summary, vector) =
                read_row(id.value(), row.value()).ok_or_else(|| self.bad_row(id.value()))?;
            each(scalar, summary, vector);
        }
        Ok(())
    }

    /// What a scan needs of all videos; codes are not touched.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn columns(&self) -> Result<Columns, IndexError> {
        let mut columns = Columns::default();
        self.rows(|scalar, summary, vector| {
            columns.ids.push(summary.id);
            columns.vectors.extend(vector.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            columns.self_similarity.push(scalar);
            columns.frames.push(summary.frames);
            columns.durations.push(summary.duration);
        })?;
        if columns.vectors.len() != columns.dims() * columns.ids.len() {
            return Err(self.damaged("its vectors differ in length"));
        }
        Ok(columns)
    }

    /// Remembers a file that could not be indexed.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn put_failure(&self, failure: &Failure) -> Result<(), IndexError> {
        let transaction = self.writing()?;
        {
            let mut failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
            let mut value = failure.source.to_bytes();
            value.extend_from_slice(failure.reason.as_bytes());
            failures.insert(failure.source.path.as_slice(), value.as_slice()).map_err(|e| self.fail(e.into()))?;
        }
        transaction.commit().map_err(|e| self.fail(e.into()))
    }

    /// Files that could not be indexed, by path.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn failures(&self) -> Result<HashMap<Vec<u8>, Failure>, IndexError> {
        let transaction = self.reading()?;
        let failures = transaction.open_table(FAILURES).map_err(|e| self.fail(e.into()))?;
        let mut all = HashMap::new();
        for item in failures.iter().map_err(|e| self.fail(e.into()))? {
            let (path, value) = item.map_err(|e| self.fail(e.into()))?;
            let mut reader = Reader(value.value());
            let source = Source::read(&mut reader).ok_or_else(|| self.damaged("a failure that was remembered"))?;
            let reason = String::from_utf8_lossy(reader.0).into_owned();
            all.insert(path.value().to_vec(), Failure { source, reason });
        }
        Ok(all)
    }

    /// Reads every record and compares it with what is known of it. `progress` is told how many are done, of how many; it
    /// answers whether to go on.
    ///
    /// # Errors
    /// [`IndexError`] if the store itself cannot be read.
    pub fn verify(&self, progress: impl FnMut(usize, usize) -> bool) -> Result<VerifyReport, IndexError> {
        // Where its pages are damaged the database may find itself in a state that it takes for impossible.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.verify_records(progress)))
            .unwrap_or_else(|_| Err(self.damaged("its pages contradict one another")))
    }

    fn verify_records(&self, mut progress: impl FnMut(usize, usize) -> bool) -> Result<VerifyReport, IndexError> {
        let transaction = self.reading()?;
        let records = transaction.open_table(RECORDS).map_err(|e| self.fail(e.into()))?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.fail(e.into()))?;
        #[allow(clippy::cast_possible_truncation)]
        let all = rows.len().map_err(|e| self.fail(e.into()))? as usize;
        let mut report = VerifyReport::default();
        for item in rows.iter().map_err(|e| self.fail(e.into()))? {
            if !progress(report.checked, all) {
                return Ok(report);
            }
            let (id, kept) = item.map_err(|e| self.fail(e.into()))?;
            let bytes = records.get(id.value()).map_err(|e| self.fail(e.into()))?;
            let summary = read_row(id.value(), kept.value()).map(|(_, summary, _)| summary);
            let wrong = match (bytes.map(|b| Record::parse(b.value().to_vec())), summary) {
                (None, _) => Some("its record is missing".to_owned()),
                (Some(Err(error)), _) => Some(error.to_string()),
                (Some(Ok(_)), None) => Some("what is kept beside its record is damaged".to_owned()),
                (Some(Ok(record)), Some(summary)) => match record.expect(&self.bundle) {
                    Err(error) => Some(error.to_string()),
                    Ok(()) => (kept.value() != row(&record, &summary.source, summary.added))
                        .then(|| "its vector does not belong to its record".to_owned()),
                },
            };
            report.checked += 1;
            report.damaged.extend(wrong.map(|reason| (id.value().to_owned(), reason)));
        }
        for item in records.iter().map_err(|e| self.fail(e.into()))? {
            let (id, _) = item.map_err(|e| self.fail(e.into()))?;
            if rows.get(id.value()).map_err(|e| self.fail(e.into()))?.is_none() {
                report.damaged.push((id.value().to_owned(), "a record of which nothing is kept beside it".into()));
            }
        }
        progress(all, all);
        Ok(report)
    }

    /// Checks the checksums of the database's pages, which reading does not.
    ///
    /// # Errors
    /// [`IndexError::Damaged`]; [`IndexError::ReadOnly`] for an index that was opened to read.
    pub fn check_pages(&mut self) -> Result<(), IndexError> {
        let folder = self.folder.clone();
        let Handle::Write(database) = &mut self.handle else { return Err(IndexError::ReadOnly(folder)) };
        let damaged = |detail: String| IndexError::Damaged { path: folder.clone(), detail };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| database.check_integrity())) {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(damaged("its pages were not in order; what could be mended was".into())),
            Ok(Err(error)) => Err(database_error(&folder, error)),
            Err(_) => Err(damaged("its pages contradict one another".into())),
        }
    }

    /// Gives free space back to the file system; tells the bytes before and after.
    ///
    /// # Errors
    /// [`IndexError::ReadOnly`], [`IndexError::Io`].
    pub fn compact(&mut self) -> Result<(u64, u64), IndexError> {
        let path = self.folder.join(FILE);
        let size =
            || fs::metadata(&path).map(|m| m.len()).map_err(|source| IndexError::Io { path: path.clone(), source });
        let before = size()?;
        let Handle::Write(database) = &mut self.handle else {
            return Err(IndexError::ReadOnly(self.folder.clone()));
        };
        match database.compact() {
            Ok(_) => Ok((before, size()?)),
            Err(error) => Err(storage_error(&self.folder, error.into())),
        }
    }
}

fn database_error(folder: &Path, error: redb::DatabaseError) -> IndexError {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => {
            IndexError::Locked(folder.to_owned())
        }
        error => storage_error(folder, error.into()),
    }
}

fn storage_error(folder: &Path, error: redb::Error) -> IndexError {
    match error {
        // What is no database, or is cut off, is told as data that are not as they should be.
        redb::Error::Io(source)
            if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            IndexError::Damaged { path: folder.to_owned(), detail: source.to_string() }
        }
        redb::Error::Io(source) => IndexError::Io { path: folder.join(FILE), source },
        error => IndexError::Damaged { path: folder.to_owned(), detail: error.to_string() },
    }
}
