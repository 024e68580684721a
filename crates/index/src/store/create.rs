//! Making an index.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use redb::Database;
use tempfile::{Builder, NamedTempFile};
use vidsieve_record::BundleId;

use super::error::{database_error, storage_error};
use super::{DECISIONS, FAILURES, FILE, Index, IndexError, META, MODEL, RECORDS, ROWS, VERSION, WINDOWS};

/// Creates a file of the folder under a temporary name, which tells the process that writes it. It is removed when it is
/// dropped before it gets its name.
fn temporary(folder: &Path, file: &str) -> io::Result<NamedTempFile> {
    let (prefix, mut builder) = (format!("{file}.{}-", std::process::id()), Builder::new());
    builder.prefix(&prefix).suffix(".tmp");
    // Temporary files are for their owner alone by default; these become ordinary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Returns whether a name is one of [`temporary`]'s for a file: `FILE.PROCESS.tmp` or `FILE.PROCESS-RANDOM.tmp`.
fn is_temporary(name: &str, file: &str) -> bool {
    let middle = || name.strip_prefix(file)?.strip_prefix('.')?.strip_suffix(".tmp");
    middle().is_some_and(|middle| {
        let process = middle.split_once('-').map_or(middle, |(process, _)| process);
        process.parse::<u32>().is_ok()
    })
}

impl Index {
    /// Opens the index of a folder, or makes one for a bundle. `bytes` are the bundle's. Files that interrupted processes
    /// left behind while they made an index are removed.
    ///
    /// # Errors
    /// [`IndexError::Bundle`] for an index of another bundle; the errors of [`Index::open`]; [`IndexError::Io`] for a folder
    /// that cannot be written.
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

    /// Makes an index. It is no error if another process makes one at the same time: the first one stays.
    fn create(folder: &Path, bundle: BundleId, bytes: &[u8]) -> Result<(), IndexError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| IndexError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let (model, file) = (folder.join(MODEL), folder.join(FILE));
        let written = temporary(folder, MODEL).and_then(|mut temporary| {
            temporary.write_all(bytes)?;
            temporary.as_file().sync_all()?;
            Ok(temporary.persist(&model)?)
        });
        if let Err(error) = written
            && !file.exists()
        {
            return Err(io(&model)(error));
        }
        let made = Self::create_database(folder, bundle, &file);
        if !file.exists() {
            made?;
        }
        #[cfg(unix)]
        fs::File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder))?;
        Ok(())
    }

    /// Makes the database. It gets its name when it is complete, and only if no other process was faster.
    fn create_database(folder: &Path, bundle: BundleId, file: &Path) -> Result<(), IndexError> {
        let io = |source| IndexError::Io { path: file.to_owned(), source };
        let fail = |e: redb::Error| storage_error(folder, e);
        // The handle is closed before the database opens the file.
        let temporary = temporary(folder, FILE).map_err(io)?.into_temp_path();
        let database = Database::create(&temporary).map_err(|e| database_error(folder, e))?;
        let transaction = database.begin_write().map_err(|e| fail(e.into()))?;
        {
            let mut meta = transaction.open_table(META).map_err(|e| fail(e.into()))?;
            meta.insert("version", VERSION.to_le_bytes().as_slice()).map_err(|e| fail(e.into()))?;
            meta.insert("bundle", bundle.0.as_slice()).map_err(|e| fail(e.into()))?;
            transaction.open_table(RECORDS).map_err(|e| fail(e.into()))?;
            transaction.open_table(ROWS).map_err(|e| fail(e.into()))?;
            transaction.open_table(WINDOWS).map_err(|e| fail(e.into()))?;
            transaction.open_table(FAILURES).map_err(|e| fail(e.into()))?;
            transaction.open_table(DECISIONS).map_err(|e| fail(e.into()))?;
        }
        transaction.commit().map_err(|e| fail(e.into()))?;
        drop(database);
        match temporary.persist_noclobber(file) {
            // Some file systems have neither links nor a rename that spares an existing file.
            Err(refused) if !file.exists() => refused.path.persist(file).map_err(|e| io(e.error)),
            _ => Ok(()),
        }
    }

    /// Removes temporary files that were never finished. No other process can finish one: the index exists, and this
    /// process has locked it.
    fn remove_unfinished(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| [FILE, MODEL].iter().any(|file| is_temporary(name, file))) {
                // A file that cannot be removed does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
