//! The zip layout: `<prefix>/data.pkl` and one stored entry a storage, `<prefix>/data/<key>`.

use std::collections::HashMap;
use std::io::Cursor;

use zip::{CompressionMethod, ZipArchive};

use crate::error::{CheckpointError, Place, shown};

/// A stored entry: its bytes and the checksum the archive states for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) crc32: u32,
}

impl Entry<'_> {
    /// Whether the bytes have the checksum that the archive states.
    pub(crate) fn check(&self, place: &Place) -> Result<(), CheckpointError> {
        let found = crc32fast::hash(self.data);
        if found == self.crc32 {
            return Ok(());
        }
        Err(place.archive(format!(
            "the bytes have the CRC-32 {found:08x}, the archive says {:08x} (files written after \
             torch.serialization.set_crc32_options(False) have none: save such a file again without it)",
            self.crc32
        )))
    }
}

/// A checkpoint's archive. Entries are slices of the file; none is compressed.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    /// Directory of all entries: the stem of the name under which the file was first saved, or `archive`.
    pub(crate) prefix: String,
    entries: HashMap<String, Entry<'a>>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(file: &str, bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let whole = Place::new(file, "zip archive", 0);
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| whole.archive(e))?;
        if zip.has_duplicate_names() {
            return Err(whole.archive("two entries have the same name"));
        }
        if zip.has_overlapping_entries().map_err(|e| whole.archive(e))? {
            return Err(whole.archive("entries overlap"));
        }
        let mut entries = HashMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(|e| whole.archive(e))?;
            let name = entry.name().map_err(|e| whole.archive(e))?.into_owned();
            let place = Place::new(file, shown(&name), 0);
            if entry.encrypted() {
                return Err(place.foreign("the entry is encrypted; unpack the archive and zip it without a password"));
            }
            if entry.compression() != CompressionMethod::Stored {
                return Err(place.foreign(format!(
                    "the entry is compressed ({}), torch.save only stores; use the file that torch.save wrote, or pack \
                     it with `zip -0`",
                    entry.compression()
                )));
            }
            let (size, stored) = (entry.size(), entry.compressed_size());
            if size != stored {
                return Err(place.archive(format!("a stored entry of {size} bytes takes {stored}")));
            }
            let data = entry.data_start().and_then(|start| {
                let end = usize::try_from(start.checked_add(size)?).ok()?;
                bytes.get(usize::try_from(start).ok()?..end)
            });
            let Some(data) = data else {
                return Err(place.archive(format!("the entry of {size} bytes reaches past the end of the file")));
            };
            entries.insert(name, Entry { data, crc32: entry.crc32() });
        }
        let prefix = prefix(&whole, &entries)?;
        for foreign in [format!("{prefix}/constants.pkl"), format!("{prefix}/code/")] {
            if entries.keys().any(|name| name.starts_with(&foreign)) {
                return Err(Place::new(file, foreign, 0).foreign(
                    "this is a TorchScript archive, which holds a program; save its weights with \
                     torch.save({'model': torch.jit.load(path).state_dict()}, new_path)",
                ));
            }
        }
        Ok(Self { prefix, entries })
    }

    /// The entry `<prefix>/<name>`, and its full name.
    pub(crate) fn get(&self, name: &str) -> (String, Option<Entry<'a>>) {
        let full = format!("{}/{name}", self.prefix);
        let entry = self.entries.get(&full).copied();
        (full, entry)
    }
}

fn prefix(whole: &Place, entries: &HashMap<String, Entry<'_>>) -> Result<String, CheckpointError> {
    let mut found: Vec<&str> =
        entries.keys().filter_map(|n| n.strip_suffix("/data.pkl")).filter(|p| !p.contains('/')).collect();
    found.sort_unstable();
    match found[..] {
        [prefix] => Ok(prefix.to_owned()),
        [] => Err(whole.foreign(
            "the archive has no `<name>/data.pkl`, so it was not written by torch.save; if a download tool packed the \
             checkpoint into it, unpack it first",
        )),
        [first, second, ..] => Err(whole.archive(format!(
            "there are two pickles, `{}/data.pkl` and `{}/data.pkl`",
            shown(first),
            shown(second)
        ))),
    }
}
