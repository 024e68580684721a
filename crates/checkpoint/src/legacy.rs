//! The stream layout before PyTorch 1.6: pickles of the magic number, the protocol version, the writer's system, the
//! object and the list of storage keys; then each storage as a count (i64) and its elements.

use std::collections::HashMap;

use crate::error::{CheckpointError, Place, shown};
use crate::node::{Bytes, Node, Source, describe};
use crate::pickle::{self, Loaded};

/// The number 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only protocol version there ever was.
const VERSION: i64 = 1001;
pub(crate) const OBJECT: &str = "object pickle";

/// Whether the file begins with a pickle of the magic number.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    let place = Place::new("", "", 0);
    // The magic number takes 15 bytes, with a frame a few more.
    let start = &bytes[..bytes.len().min(32)];
    pickle::load(start, &place)
        .is_ok_and(|loaded| matches!(loaded.nodes[loaded.root as usize], Node::Long(number) if number == MAGIC))
}

/// Reads the stream: the object, and the elements of each of its storages in the order of `storages`.
pub(crate) fn read<'a>(file: &str, bytes: &'a [u8]) -> Result<(Loaded<'a>, Vec<Bytes<'a>>), CheckpointError> {
    let mut position = 0;
    let mut next = |entry: &str| -> Result<(Loaded<'a>, Place), CheckpointError> {
        let place = Place::new(file, entry, position);
        let loaded = pickle::load(&bytes[position..], &place)?;
        position += loaded.length;
        Ok((loaded, place))
    };
    next("magic number")?;
    let (version, place) = next("protocol version")?;
    match version.nodes[version.root as usize] {
        Node::Int(VERSION) => {}
        Node::Int(other) => return Err(place.unsupported(0, format!("protocol version {other}, not {VERSION}"))),
        _ => return Err(place.malformed(0, "the protocol version is no number")),
    }
    next("system information")?;
    let (object, _) = next(OBJECT)?;
    let (keys, place) = next("list of storage keys")?;
    let Node::List(ids) = &keys.nodes[keys.root as usize] else {
        return Err(place.malformed(0, "not a list"));
    };

    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (index, storage) in object.storages.iter().enumerate() {
        if let Source::Key(key) = storage.source {
            wanted.insert(key, index);
        }
    }
    let mut data: Vec<Option<Bytes<'a>>> = object
        .storages
        .iter()
        .map(|storage| match &storage.source {
            Source::Inline(bytes) => Some(bytes.clone()),
            Source::Key(_) => None,
        })
        .collect();
    for &id in ids {
        let &Node::Str(key) = &keys.nodes[id as usize] else {
            return Err(place.malformed(0, format!("a storage key is {}", describe(&keys.nodes[id as usize]))));
        };
        let Some(index) = wanted.remove(key) else {
            return Err(place.malformed(0, format!("the object has no storage `{}`, or it comes twice", shown(key))));
        };
        let storage = &object.storages[index];
        let place = Place::new(file, format!("storage `{}` at byte {position}", shown(key)), position);
        let rest = &bytes[position..];
        let Some((count, rest)) = rest.split_first_chunk::<8>() else {
            return Err(place.storage("the file ends before it"));
        };
        let count = i64::from_le_bytes(*count);
        if usize::try_from(count) != Ok(storage.numel) {
            return Err(place.storage(format!("it has {count} elements, the object says {}", storage.numel)));
        }
        let size = storage.numel.checked_mul(storage.dtype.size());
        let Some(elements) = size.and_then(|size| rest.get(..size)) else {
            return Err(place.storage(format!(
                "{} elements of {} bytes are announced, {} bytes are left",
                storage.numel,
                storage.dtype.size(),
                rest.len()
            )));
        };
        position += 8 + elements.len();
        data[index] = Some(Bytes::File(elements));
    }
    if let Some(key) = wanted.keys().min() {
        return Err(place.malformed(0, format!("storage `{}` is missing", shown(key))));
    }
    Ok((object, data.into_iter().flatten().collect()))
}
