//! Official PyTorch files, read into tensors and plain values without running any code.
//!
//! Both layouts of `torch.save` are read: the zip archive and the older stream; [`read_pickle`] reads bare pickles of
//! plain values, such as the annotations of data sets. The pickle is run by a machine
//! that knows a short list of classes (ordered dictionaries, tensors, `argparse.Namespace`, numpy arrays of numbers);
//! any other name is refused. Bytes may come from anywhere: lengths are checked before they are believed, and neither
//! memory nor work exceeds what the size of the file justifies.
//!
//! Tensors stay in the file's bytes until they are asked for, so the optimiser's state in a training checkpoint costs
//! nothing. The crate knows no networks: `vidsieve_model::convert` makes bundles of what it reads.

mod archive;
mod error;
mod legacy;
mod machine;
mod node;
mod objects;
mod pickle;
mod tensor;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod writer;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use error::CheckpointError;
pub use tensor::{DType, Tensor, TensorData, TensorRef};

use archive::{Archive, Entry};
use error::{Place, shown};
use node::{Bytes, Id, Node, Source, describe};
use pickle::Loaded;

/// Layout of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Zip archive, PyTorch 1.6 and later.
    Zip,
    /// Stream of pickles and storages.
    Legacy,
    /// A bare pickle without tensors outside of it ([`read_pickle`]).
    Pickle,
}

/// A value of a checkpoint as a tree. What is shared in the file is repeated here.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// `int` of at most 64 bits.
    Int(i64),
    /// Longer `int`: two's complement, little-endian.
    LongInt(Vec<u8>),
    /// `float`.
    Float(f64),
    /// `str`.
    Str(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `set` or `frozenset`.
    Set(Vec<Value>),
    /// `dict` or `OrderedDict`, in order of insertion; for equal keys the last one counts.
    Dict(Vec<(Value, Value)>),
    /// `argparse.Namespace`.
    Namespace(Vec<(String, Value)>),
    /// A tensor, a parameter or a numpy array, not read yet.
    Tensor(TensorRef),
}

/// Levels of nesting in a [`Value`].
const MAX_DEPTH: usize = 64;
/// Bytes that all values of one tree may take, roughly.
const MAX_TREE: usize = 64 << 20;
/// Bytes of the name of a tensor or a setting.
const MAX_NAME: usize = 1024;
/// How often one [`Checkpoint::state_dict`] may read the size of the file: tied weights are read once for each name.
const MAX_REPEAT: usize = 4;

/// A storage and the checksum it must have.
#[derive(Debug)]
struct Storage<'a> {
    entry: String,
    data: Bytes<'a>,
    crc32: Option<u32>,
    checked: OnceLock<Result<(), CheckpointError>>,
}

/// A parsed checkpoint over the bytes of its file.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    format: Format,
    place: Place,
    size: usize,
    nodes: Vec<Node<'a>>,
    root: Id,
    storages: Vec<Storage<'a>>,
}

/// Parses the bytes of a checkpoint; `file` names it in messages.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bytes = std::fs::read("dns_fg_att_student.pth")?;
/// let checkpoint = vidsieve_checkpoint::read("dns_fg_att_student.pth", &bytes)?;
/// for (name, tensor) in checkpoint.state_dict()? {
///     println!("{name} {:?}", tensor.shape);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CheckpointError`] for anything but a sound file of tensors and plain values.
pub fn read<'a>(file: &str, bytes: &'a [u8]) -> Result<Checkpoint<'a>, CheckpointError> {
    if bytes.starts_with(b"PK") {
        read_zip(file, bytes)
    } else if legacy::is_legacy(bytes) {
        let (Loaded { nodes, root, .. }, data) = legacy::read(file, bytes)?;
        let storages = data
            .into_iter()
            .map(|data| Storage { entry: legacy::OBJECT.to_owned(), data, crc32: None, checked: OnceLock::new() })
            .collect();
        let place = Place::new(file, legacy::OBJECT, 0);
        Ok(Checkpoint { format: Format::Legacy, place, size: bytes.len(), nodes, root, storages })
    } else {
        let reason = foreign(bytes).to_owned();
        Err(CheckpointError::NotACheckpoint { file: file.to_owned(), reason })
    }
}

/// Parses a bare pickle, as Python's `pickle.dump` writes annotations: plain values and numpy arrays
/// of numbers, protocols 0 to 5. The same short list of classes as for checkpoints applies. Bytes
/// after the pickle are ignored, as Python does.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bytes = std::fs::read("fivr.pickle")?;
/// let value = vidsieve_checkpoint::read_pickle("fivr.pickle", &bytes)?.value()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CheckpointError`] for anything but a sound pickle of plain values.
pub fn read_pickle<'a>(file: &str, bytes: &'a [u8]) -> Result<Checkpoint<'a>, CheckpointError> {
    const ENTRY: &str = "pickle";
    let place = Place::new(file, ENTRY, 0);
    let Loaded { nodes, root, storages, .. } = pickle::load(bytes, &place)?;
    let storages = storages.into_iter().map(|storage| match storage.source {
        Source::Inline(data) => Ok(Storage { entry: ENTRY.to_owned(), data, crc32: None, checked: OnceLock::new() }),
        Source::Key(key) => Err(place.unsupported(0, format!("the storage `{}` outside of the pickle", shown(key)))),
    });
    let storages = storages.collect::<Result<_, _>>()?;
    Ok(Checkpoint { format: Format::Pickle, place, size: bytes.len(), nodes, root, storages })
}

/// What a file that is no checkpoint seems to be.
fn foreign(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "the file is empty; download it again",
        [b'<', ..] => "it looks like a web page; the download address may have changed",
        [0x1f, 0x8b, ..] => "it is packed with gzip; unpack it first",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "it is a numpy array; save it with torch.save as a tensor",
        [_, _, _, _, _, _, _, _, b'{', ..] => "it looks like a safetensors file, which needs no conversion",
        _ if bytes.starts_with(b"version https://git-lfs") => {
            "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"
        }
        _ if bytes.get(257..262) == Some(b"ustar") => {
            "it is a tar archive; unpack it first (PyTorch before 0.2 saved such files: load and save it again)"
        }
        [0x80, ..] => "it is a pickle, but not one of torch.save, or it is cut short; save it with torch.save",
        _ => "neither a zip archive nor a stream of torch.save; is it the right file, and complete?",
    }
}

fn read_zip<'a>(file: &str, bytes: &'a [u8]) -> Result<Checkpoint<'a>, CheckpointError> {
    let archive = Archive::open(file, bytes)?;
    if let (entry, Some(order)) = archive.get("byteorder") {
        order.check(&Place::new(file, &entry, 0))?;
        if order.data != b"little" {
            let order = shown(&String::from_utf8_lossy(order.data));
            return Err(CheckpointError::ByteOrder { file: file.to_owned(), entry, order });
        }
    }
    let (entry, pickle) = archive.get("data.pkl");
    let place = Place::new(file, entry, 0);
    let pickle = pickle.ok_or_else(|| place.archive("the entry is missing"))?;
    pickle.check(&place)?;
    let Loaded { nodes, root, storages, .. } = pickle::load(pickle.data, &place)?;
    let storages = storages.into_iter().map(|storage| match storage.source {
        Source::Inline(data) => Ok(Storage { entry: place.entry.clone(), data, crc32: None, checked: OnceLock::new() }),
        Source::Key(key) => {
            let (entry, data) = archive.get(&format!("data/{key}"));
            let place = Place::new(file, shown(&entry), 0);
            let Entry { data, crc32 } = data.ok_or_else(|| place.storage("the entry is missing"))?;
            if storage.numel.checked_mul(storage.dtype.size()) != Some(data.len()) {
                return Err(place.storage(format!(
                    "the entry has {} bytes, the pickle says {} elements of {} bytes",
                    data.len(),
                    storage.numel,
                    storage.dtype.size()
                )));
            }
            Ok(Storage { entry: place.entry, data: Bytes::File(data), crc32: Some(crc32), checked: OnceLock::new() })
        }
    });
    let storages = storages.collect::<Result<_, _>>()?;
    Ok(Checkpoint { format: Format::Zip, place, size: bytes.len(), nodes, root, storages })
}

impl Checkpoint<'_> {
    /// Layout of the file.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    fn node(&self, id: Id) -> &Node<'_> {
        &self.nodes[id as usize]
    }

    /// The last entry of a dictionary under a key, as Python keeps it.
    fn lookup(&self, pairs: &[(Id, Id)], key: &str) -> Option<Id> {
        let mut pairs = pairs.iter().rev();
        pairs.find(|(k, _)| matches!(self.node(*k), Node::Str(k) if *k == key)).map(|&(_, value)| value)
    }

    /// Entries whose key is a string: for equal keys the value of the last at the place of the first, as in Python.
    fn named(&self, pairs: &[(Id, Id)]) -> Result<Vec<(&str, Id)>, CheckpointError> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut entries: Vec<(&str, Id)> = Vec::new();
        for &(key, value) in pairs {
            let &Node::Str(name) = self.node(key) else { continue };
            if name.len() > MAX_NAME {
                return Err(self.place.limit(format!("a name has {} bytes", name.len())));
            }
            let place = *places.entry(name).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((name, value)),
            }
        }
        Ok(entries)
    }

    /// The weights: the tensors of the dictionary under `model`, else under `state_dict`, else of the file's own
    /// dictionary, in the order of the file. Names are as they are, nothing is stripped; entries that are no tensors
    /// (counters, settings) are left out.
    ///
    /// # Errors
    /// [`CheckpointError::NoTensors`] when there are none; [`CheckpointError::Storage`] or
    /// [`CheckpointError::Archive`] for damaged ones; [`CheckpointError::Limit`] when together they are far larger
    /// than the file.
    pub fn state_dict(&self) -> Result<Vec<(String, Tensor)>, CheckpointError> {
        let mut views: Vec<(&str, &TensorRef)> = Vec::new();
        for (name, value) in self.named(self.weights()?)? {
            if let Node::Tensor(tensor) = self.node(value) {
                views.push((name, tensor));
            }
        }
        let bytes = views
            .iter()
            .fold(0usize, |sum, (_, view)| sum.saturating_add(view.numel().saturating_mul(view.dtype.size())));
        if bytes > self.size.saturating_mul(MAX_REPEAT) {
            return Err(self.place.limit(format!("the tensors share storages: together they take {bytes} bytes")));
        }
        views.into_iter().map(|(name, view)| Ok((name.to_owned(), self.tensor(view)?))).collect()
    }

    /// The dictionary that holds the weights.
    fn weights(&self) -> Result<&[(Id, Id)], CheckpointError> {
        let missing = |found: String| CheckpointError::NoTensors { file: self.place.file.clone(), found };
        let Node::Dict(root) = self.node(self.root) else {
            return Err(missing(describe(self.node(self.root)).into_owned()));
        };
        let nested = ["model", "state_dict"].into_iter().find_map(|key| match self.node(self.lookup(root, key)?) {
            Node::Dict(pairs) => Some(pairs),
            _ => None,
        });
        let pairs = nested.unwrap_or(root);
        let is_named_tensor =
            |&(key, value): &(Id, Id)| matches!((self.node(key), self.node(value)), (Node::Str(_), Node::Tensor(_)));
        if pairs.iter().any(is_named_tensor) {
            return Ok(pairs);
        }
        let entries = pairs.iter().take(8).map(|&(key, value)| {
            let key = match self.node(key) {
                Node::Str(key) => format!("`{}`", shown(key)),
                other => describe(other).into_owned(),
            };
            format!("{key}: {}", describe(self.node(value)))
        });
        let entries = entries.collect::<Vec<_>>().join(", ");
        Err(missing(format!("a dictionary of {} entries ({entries})", pairs.len())))
    }

    /// Settings of the training: the plain entries of the `argparse.Namespace` (or dictionary) under `args`, in the
    /// order of the file. Empty when the file has none. Entries that are no plain values are left out.
    #[must_use]
    pub fn args(&self) -> Vec<(String, Value)> {
        let Node::Dict(root) = self.node(self.root) else { return Vec::new() };
        let Some(args) = self.lookup(root, "args") else { return Vec::new() };
        let (Node::Namespace(pairs) | Node::Dict(pairs)) = self.node(args) else { return Vec::new() };
        let mut budget = MAX_TREE;
        let entries = self.named(pairs).unwrap_or_default().into_iter();
        entries.filter_map(|(name, value)| Some((name.to_owned(), self.tree(value, 0, &mut budget)?))).collect()
    }

    /// Everything the file holds, as a tree.
    ///
    /// # Errors
    /// [`CheckpointError::Limit`] for values that are nested too deeply, contain themselves or share so much that the
    /// tree would be far larger than the file, and for bare classes.
    pub fn value(&self) -> Result<Value, CheckpointError> {
        let mut budget = MAX_TREE;
        self.tree(self.root, 0, &mut budget).ok_or_else(|| {
            self.place.limit("the values are nested too deeply, are too many, or hold something that is no plain value")
        })
    }

    /// A node as a tree; `None` when it is not plain or the budget is spent.
    fn tree(&self, id: Id, depth: usize, budget: &mut usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let node = self.node(id);
        let held = match node {
            Node::Str(text) => text.len(),
            Node::Bytes(bytes) => bytes.len(),
            Node::Long(bytes) => bytes.len(),
            Node::Tensor(tensor) => 16 * tensor.shape.len(),
            _ => 0,
        };
        *budget = budget.checked_sub(held.checked_add(64)?)?;
        let many = |items: &[Id], budget: &mut usize| -> Option<Vec<Value>> {
            items.iter().map(|&item| self.tree(item, depth + 1, budget)).collect()
        };
        Some(match node {
            Node::None => Value::None,
            &Node::Bool(value) => Value::Bool(value),
            &Node::Int(value) => Value::Int(value),
            Node::Long(bytes) => Value::LongInt(bytes.to_vec()),
            &Node::Float(value) => Value::Float(value),
            &Node::Str(text) => Value::Str(text.to_owned()),
            Node::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Node::Tuple(items) => Value::Tuple(many(items, budget)?),
            Node::List(items) => Value::List(many(items, budget)?),
            Node::Set(items) => Value::Set(many(items, budget)?),
            Node::Dict(pairs) => {
                let pairs = pairs.iter().map(|&(key, value)| {
                    Some((self.tree(key, depth + 1, budget)?, self.tree(value, depth + 1, budget)?))
                });
                Value::Dict(pairs.collect::<Option<_>>()?)
            }
            Node::Namespace(pairs) => {
                let pairs = pairs.iter().map(|&(key, value)| match self.tree(key, depth + 1, budget)? {
                    Value::Str(name) => Some((name, self.tree(value, depth + 1, budget)?)),
                    _ => None,
                });
                Value::Namespace(pairs.collect::<Option<_>>()?)
            }
            Node::Tensor(tensor) => Value::Tensor((**tensor).clone()),
            Node::Global(_) | Node::Storage { .. } | Node::ArrayType(_) | Node::Array => return None,
        })
    }

    /// Reads a tensor of this checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Archive`] when the bytes fail their checksum, [`CheckpointError::Storage`] for a tensor of
    /// another checkpoint that does not fit this one.
    pub fn tensor(&self, tensor: &TensorRef) -> Result<Tensor, CheckpointError> {
        tensor.read(self.storage_of(tensor)?).ok_or_else(|| self.alien())
    }

    /// The values of a tensor of this checkpoint, row-major, in double precision: nothing is rounded but integers
    /// beyond 2^53.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn tensor_f64(&self, tensor: &TensorRef) -> Result<Vec<f64>, CheckpointError> {
        tensor.read_f64(self.storage_of(tensor)?).ok_or_else(|| self.alien())
    }

    fn alien(&self) -> CheckpointError {
        self.place.storage("a tensor of another checkpoint")
    }

    /// The checked bytes of the storage that a tensor lies in.
    fn storage_of(&self, tensor: &TensorRef) -> Result<&[u8], CheckpointError> {
        let storage = self.storages.get(tensor.storage).ok_or_else(|| self.alien())?;
        if let Some(crc32) = storage.crc32 {
            let check = || {
                let place = Place::new(&self.place.file, &storage.entry, 0);
                Entry { data: &storage.data, crc32 }.check(&place)
            };
            storage.checked.get_or_init(check).clone()?;
        }
        Ok(&storage.data)
    }
}
