//! An index on the disk: what it holds, and how it is opened.

mod add;
mod backup;
mod decisions;
mod dedupe;
mod list;
mod missing;
mod search;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use vidsieve_index::store::{Index, IndexError, Source};
use vidsieve_record::{BundleId, Record, RecordError};
use vidsieve_search::{Fetched, Outcome, SearchError, Table};
use vidsieve_video::Sampling;

use crate::encode::{check_sampling, sampling_name, sampling_of_name};
use crate::model::init;
use crate::{EncodedVideo, Error, Model};

pub use add::{AddOptions, IndexNote, IndexReport, IndexStage, IndexStageTimes, NoteStatus, find_videos};
pub use backup::ArchiveCopy;
pub use decisions::{DecidedVideo, Decision, DecisionKind};
pub(crate) use dedupe::ChosenGroup;
pub use dedupe::{
    CopyFile, CopyGroup, CopyMember, CopyPair, DedupeOptions, DedupeReport, ExcerptVideo, FileDamage, FileState,
    KeepBy, KeepReason, LinkedVideo, NameKind, OtherName, PlanChoice, RelatedPair, UntoldVideo,
};
pub use list::{ArchiveListing, ArchiveVideo, CompactReport, RemoveReport};
pub use missing::{RemoveMissingReport, SourceState, UnreachableFolder};
pub use search::{QueryTimings, SearchAnswer, SearchOptions, SearchQuery, TurnedHit};
pub use verify::{DamagedVideo, VerifyReport};

/// The setting under which an index keeps how its videos were sampled.
const SAMPLING: &str = "sampling";
/// The file of an index's model.
const MODEL_FILE: &str = "model.safetensors";

/// An index of videos in a folder. It is complete in itself: the folder holds the records and the model that made them.
///
/// One process may write an index at a time; others read it meanwhile, each as it was at one moment. Every change is on the disk
/// as a whole when the method returns, or not at all.
pub struct Archive {
    index: Arc<Index>,
    model: OnceLock<Model>,
    /// Vectors of all videos, once a search has read them; emptied by every change.
    table: Mutex<Option<Arc<Table>>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Options of opening or creating an [`Archive`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ArchiveOptions {
    model: Option<Model>,
    sampling: Option<Sampling>,
}

impl ArchiveOptions {
    /// Returns the defaults: the built-in model and [`Sampling::Adaptive`] for a new index, those
    /// of an existing one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the model of a new index. An existing one must have been made with it.
    pub fn model(mut self, model: Model) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets which frames of its videos a new index holds. An existing one must be sampled alike.
    pub const fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// Opens the index of a folder to read and write, or creates one.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a rate of frames outside (0, 1000] and for [`Sampling::All`]; [`Error::Encoder`] for a
    /// model that cannot encode; [`Error::OtherSampling`]; the errors of [`Archive::open`].
    pub fn open_or_create(&self, folder: impl AsRef<Path>) -> Result<Archive, Error> {
        let folder = folder.as_ref();
        self.check()?;
        // An index is complete in itself.
        if self.model.is_none() && folder.join("index.redb").exists() {
            let archive = Archive::open(folder)?;
            archive.model()?;
            return archive.settle_sampling(self.sampling);
        }
        let model = self.model.clone().map_or_else(Model::built_in, Ok)?;
        // A model that cannot encode makes no index.
        model.encoder()?;
        let index = Index::create_or_open(folder, model.id(), model.as_bytes())?;
        Archive { model: OnceLock::from(model), ..Archive::of(index) }.settle_sampling(self.sampling)
    }

    fn check(&self) -> Result<(), Error> {
        match self.sampling {
            Some(Sampling::All) => Err(Error::InvalidOption {
                option: "sampling",
                value: "all".to_owned(),
                rule: "an index is sampled at a rate, or as upstream",
            }),
            Some(sampling) => check_sampling(sampling),
            None => Ok(()),
        }
    }
}

impl Archive {
    fn of(index: Index) -> Self {
        Self::over(Arc::new(index))
    }

    /// Returns the archive of an index that the caller opened and uses too: for the server of this workspace.
    #[doc(hidden)]
    #[must_use]
    pub fn over(index: Arc<Index>) -> Self {
        Self { index, model: OnceLock::new(), table: Mutex::default() }
    }

    /// Creates an index in a folder with the built-in model and [`Sampling::Adaptive`];
    /// [`ArchiveOptions`] has other choices. An index that exists and has this model is opened.
    ///
    /// # Errors
    /// [`Error::Index`] for an index of another model, for one that another process uses, and for a folder that cannot be
    /// written.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, Error> {
        ArchiveOptions::new().model(Model::built_in()?).open_or_create(folder)
    }

    /// Opens the index of a folder to read and write.
    ///
    /// # Errors
    /// [`Error::Index`] for a folder without an index, for one that another process uses, and for a damaged one.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::of(Index::open(folder.as_ref())?))
    }

    /// Opens the index of a folder to read. Several processes can do so at a time, and while another one writes it.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::of(Index::open_read_only(folder.as_ref())?))
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.index.folder()
    }

    /// Returns the identity of the model that made its records.
    #[must_use]
    pub fn model_id(&self) -> BundleId {
        self.index.bundle()
    }

    /// Returns the model that made its records, which is read from the folder on the first call.
    ///
    /// # Errors
    /// [`Error::ForeignModel`], [`Error::Model`], or [`Error::Index`] for a file that is missing.
    pub fn model(&self) -> Result<&Model, Error> {
        init(&self.model, || {
            let path = self.folder().join(MODEL_FILE);
            let model = Model::from_bytes(&path.display().to_string(), self.index.bundle_bytes()?)?;
            let expected = self.index.bundle();
            if model.id() == expected { Ok(model) } else { Err(Error::ForeignModel { path, expected }) }
        })
    }

    /// Returns how its videos are sampled: [`Sampling::Adaptive`] where it does not say.
    ///
    /// # Errors
    /// [`Error::UnknownSampling`] for an index of a later version, [`Error::Index`].
    pub fn sampling(&self) -> Result<Sampling, Error> {
        let Some(name) = self.index.setting(SAMPLING)? else { return Ok(Sampling::default()) };
        sampling_of_name(&name).ok_or_else(|| Error::UnknownSampling { folder: self.folder().to_owned(), name })
    }

    /// Writes the sampling into an index without videos; others keep theirs.
    fn settle_sampling(self, asked: Option<Sampling>) -> Result<Self, Error> {
        let (found, is_written) = (self.sampling()?, self.index.setting(SAMPLING)?.is_some());
        let sampling = asked.unwrap_or(found);
        if !is_written && self.index.is_empty()? {
            self.index.set_setting(SAMPLING, &sampling_name(sampling))?;
        } else if sampling != found {
            return Err(Error::OtherSampling { folder: self.folder().to_owned(), found, asked: sampling });
        }
        Ok(self)
    }

    /// Returns the number of videos.
    ///
    /// # Errors
    /// [`Error::Index`] for a damaged index.
    pub fn len(&self) -> Result<u64, Error> {
        Ok(self.index.len()?)
    }

    /// Returns whether there are no videos.
    ///
    /// # Errors
    /// As [`Archive::len`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.index.is_empty()?)
    }

    /// Returns a video of the index, to search with or to compare; `None` for an unknown id.
    ///
    /// # Errors
    /// [`Error::Index`] for a damaged record.
    pub fn get(&self, id: &str) -> Result<Option<EncodedVideo>, Error> {
        self.index.get(id)?.map(|entry| EncodedVideo::from_record(&entry.record)).transpose()
    }

    /// Adds an encoded video under an id of the caller's choice, or replaces the video that has it: for frames that come
    /// from elsewhere than a file. Returns whether the video is new.
    ///
    /// # Errors
    /// [`Error::Index`] for an id of more than 512 bytes or with control characters, for a video of another model, and for
    /// an index that is open to read.
    pub fn insert(&self, id: &str, video: &EncodedVideo) -> Result<bool, Error> {
        let picture = video.info().map_or([0; 2], |info| [info.display_width, info.display_height]);
        let path = video.info().map(|info| info.path.as_os_str().as_encoded_bytes().to_vec());
        let source = Source { path: path.unwrap_or_default(), picture, ..Source::default() };
        let put = self.index.put(id, &video.record()?, &source)?;
        self.forget_table();
        Ok(put == vidsieve_index::store::Put::Added)
    }

    /// Returns the vectors of all videos, which are kept in memory until the index changes.
    fn table(&self) -> Result<Arc<Table>, Error> {
        let mut kept = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*kept {
            return Ok(table.clone());
        }
        Ok(kept.insert(Arc::new(self.read_table()?)).clone())
    }

    fn read_table(&self) -> Result<Table, Error> {
        let columns = self.index.columns()?;
        let dims = match columns.dims() {
            0 => self
                .model()?
                .bundle()
                .coarse(self.model()?.instruction_set())
                .map_err(SearchError::from)?
                .config()
                .output(),
            dims => dims,
        };
        let mut table =
            Table::from_columns(dims, columns.ids, columns.vectors, columns.self_similarity, &columns.informative)?;
        self.index.windows(|id, windows| table.put_windows(id, &windows))??;
        Ok(table)
    }

    fn forget_table(&self) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns records by id, in order; one that is missing or damaged is an outcome.
    fn fetch(&self, ids: &[impl AsRef<str>]) -> Result<Vec<Fetched<Vec<u8>>>, IndexError> {
        let of = |record: Option<Result<Record<Vec<u8>>, RecordError>>| match record {
            Some(Ok(record)) => Ok(record),
            Some(Err(error)) => Err(Outcome::Failed(format!("{error}; `vidsieve verify` finds such records"))),
            None => Err(Outcome::Missing),
        };
        Ok(self.index.records(ids)?.into_iter().map(of).collect())
    }
}

/// Returns the path that a source keeps.
fn path_of(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    let name: OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    let name = OsString::from(String::from_utf8_lossy(bytes).into_owned());
    name.into()
}
