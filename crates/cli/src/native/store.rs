//! An index on the disk, and what is computed with its records.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use vidsieve_index::store::Index;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_record::{Record, RecordError};
use vidsieve_search::read_ahead::Spent;
use vidsieve_search::{Engine, Fetched, Outcome, Query, Session, Table};
use vidsieve_video::{CancelToken, Sampling};

use crate::native::isa;
use crate::output::Failure;

/// The setting under which an index keeps how its videos were sampled.
const SAMPLING: &str = "sampling";

/// An index with its bundle and the networks that compare its records.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) index: Index,
    pub(crate) bundle: Bundle,
    pub(crate) engine: Engine,
    pub(crate) isa: Isa,
}

impl Store {
    /// The index of a folder, to read.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let index = Index::open_read_only(folder)?;
        let name = folder.join("model.safetensors").display().to_string();
        let bundle = Bundle::from_bytes(&name, index.bundle_bytes()?)?;
        if bundle.id() != index.bundle() {
            return Err(Failure::new(format_args!(
                "{name}: this is not the bundle that made the index ({}): put that one in its place",
                index.bundle().short()
            )));
        }
        let isa = isa()?;
        let engine = Engine::new(isa, &bundle)?;
        Ok(Self { index, bundle, engine, isa })
    }

    /// What the coarse scan needs.
    pub(crate) fn table(&self) -> Result<Table, Failure> {
        let columns = self.index.columns()?;
        let dims = match columns.dims() {
            0 => self.bundle.coarse(self.isa)?.config().output(),
            dims => dims,
        };
        Ok(Table::from_columns(dims, columns.ids, columns.vectors, columns.self_similarity)?)
    }
}

/// How the videos of an index are sampled: one frame a second where it does not say.
pub(crate) fn sampling(index: &Index) -> Result<Sampling, Failure> {
    let Some(text) = index.setting(SAMPLING)? else { return Ok(Sampling::Fps(1.0)) };
    if text == "upstream" {
        return Ok(Sampling::Upstream);
    }
    text.strip_prefix("fps ").and_then(|n| n.parse().ok()).map(Sampling::Fps).ok_or_else(|| {
        Failure::new(format_args!(
            "{}: sampled by {text:?}, which this Vidsieve does not know",
            index.folder().display()
        ))
    })
}

/// Settles how the videos of an index are sampled: what is asked for in a new one, in others what they have.
pub(crate) fn settle_sampling(index: &Index, asked: Option<Sampling>) -> Result<Sampling, Failure> {
    let has = sampling(index)?;
    let Some(asked) = asked.filter(|asked| *asked != has) else { return Ok(has) };
    if index.setting(SAMPLING)?.is_some() || !index.is_empty()? {
        return Err(Failure::new(format_args!(
            "{}: its videos are sampled at {}, not {}: leave the option out, or make another index",
            index.folder().display(),
            text(has),
            text(asked)
        )));
    }
    index.set_setting(SAMPLING, &text(asked))?;
    Ok(asked)
}

fn text(sampling: Sampling) -> String {
    match sampling {
        Sampling::Fps(fps) => format!("fps {fps}"),
        Sampling::Upstream | Sampling::All => "upstream".to_owned(),
    }
}

/// The path that a source keeps.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    let name: OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    let name = OsString::from(String::from_utf8_lossy(bytes).into_owned());
    name.into()
}

/// Records by id, in order; one that is missing or damaged is an outcome.
pub(crate) fn fetch(index: &Index, ids: &[impl AsRef<str>]) -> Result<Vec<Fetched<Vec<u8>>>, Failure> {
    let of = |record: Option<Result<Record<Vec<u8>>, RecordError>>| match record {
        Some(Ok(record)) => Ok(record),
        Some(Err(error)) => Err(Outcome::Failed(format!("{error}; `vidsieve verify` finds such records"))),
        None => Err(Outcome::Missing),
    };
    Ok(index.records(ids)?.into_iter().map(of).collect())
}

#[cfg_attr(not(feature = "eval"), allow(dead_code))]
/// Compares the query with the videos that the session selected ([`Session::refine`]), until it is done or cancelled.
pub(crate) fn refine(
    index: &Index,
    session: &mut Session<&Engine, &Query>,
    cancel: &CancelToken,
    progress: &dyn Fn(usize),
) -> Result<Spent, Failure> {
    let spent = session.refine(
        |ids| fetch(index, ids),
        |done| {
            progress(done);
            !cancel.is_cancelled()
        },
    )?;
    progress(session.done());
    Ok(spent)
}
