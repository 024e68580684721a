//! The classes and functions that a checkpoint may name, and the nodes that they make.
//!
//! Nothing is looked up or executed: each name is a case of [`Global`] with a few lines that build
//! plain nodes.

use std::sync::Arc;

use crate::error::{CheckpointError, shown};
use crate::machine::Machine;
use crate::node::{Bytes, Global, Id, Node, Source, StorageSpec};
use crate::tensor::{DType, TensorData, TensorRef};

/// Dimensions a tensor may have.
const MAX_RANK: usize = 16;
/// Bytes that the name of a storage may have.
const MAX_KEY: usize = 256;

impl<'a> Machine<'a, '_> {
    /// `global(*arguments)` (REDUCE).
    pub(crate) fn call(&mut self, global: Global, arguments: &[Id]) -> Result<Node<'a>, CheckpointError> {
        match (global, arguments) {
            (Global::OrderedDict | Global::Namespace, []) => self.construct(global, arguments),
            (Global::OrderedDict, &[pairs]) => self.dict_of_pairs(pairs),
            (Global::Set, []) => Ok(Node::Set(Vec::new())),
            (Global::Set, &[items]) => match self.node(items) {
                Node::List(list) | Node::Tuple(list) | Node::Set(list) => {
                    let count = list.len();
                    self.charge(count)?;
                    let (Node::List(list) | Node::Tuple(list) | Node::Set(list)) = self.node(items) else {
                        return Err(self.wrong(global));
                    };
                    Ok(Node::Set(list.clone()))
                }
                _ => Err(self.wrong(global)),
            },
            (Global::Bytes, []) => Ok(Node::Bytes(Bytes::File(&[]))),
            (Global::Encode, &[text, codec]) => self.encode(text, codec),
            (Global::RebuildTensor, &[storage, offset, size, stride]) => self.tensor(storage, offset, size, stride),
            (Global::RebuildTensorV2, &[storage, offset, size, stride, _, _]) => {
                self.tensor(storage, offset, size, stride)
            }
            (Global::RebuildTensorV2, &[storage, offset, size, stride, _, _, metadata]) => match self.node(metadata) {
                Node::None => self.tensor(storage, offset, size, stride),
                Node::Dict(pairs) if pairs.is_empty() => self.tensor(storage, offset, size, stride),
                _ => Err(self.unsupported("a conjugated or negated view")),
            },
            (Global::RebuildParameter, &[data, _, _]) => match self.node(data) {
                Node::Tensor(tensor) => {
                    let tensor = tensor.clone();
                    self.charge(2 * tensor.shape.len())?;
                    Ok(Node::Tensor(tensor))
                }
                _ => Err(self.wrong(global)),
            },
            (Global::Size, &[sizes]) => {
                let sizes = self.integers(sizes)?;
                self.charge(sizes.len())?;
                let (Node::Tuple(ids) | Node::List(ids)) = self.node(arguments[0]) else {
                    return Err(self.wrong(global));
                };
                Ok(Node::Tuple(ids.clone()))
            }
            // The device says nothing that matters here: its kind stands for it.
            (Global::Device, &[kind] | &[kind, _]) => match self.node(kind) {
                &Node::Str(kind) => Ok(Node::Str(kind)),
                _ => Err(self.wrong(global)),
            },
            (Global::ArrayReconstruct, &[class, _, _]) => match self.node(class) {
                Node::Global(Global::Array) => Ok(Node::Array),
                _ => Err(self.wrong(global)),
            },
            (Global::ArrayType, &[code, _, _] | &[code]) => match self.node(code) {
                &Node::Str(code) => match DType::of_numpy(code) {
                    Some(dtype) => Ok(Node::ArrayType(dtype)),
                    None => Err(self.unsupported(format!("numpy element type `{}`", shown(code)))),
                },
                _ => Err(self.wrong(global)),
            },
            (Global::ArrayScalar, &[dtype, data]) => self.array_scalar(dtype, data),
            _ => Err(self.wrong(global)),
        }
    }

    /// `global.__new__(global)` (NEWOBJ).
    pub(crate) fn construct(&self, global: Global, arguments: &[Id]) -> Result<Node<'a>, CheckpointError> {
        match (global, arguments) {
            (Global::OrderedDict, []) => Ok(Node::Dict(Vec::new())),
            (Global::Namespace, []) => Ok(Node::Namespace(Vec::new())),
            _ => Err(self.wrong(global)),
        }
    }

    /// `target.__setstate__(state)` or `target.__dict__.update(state)` (BUILD).
    pub(crate) fn set_state(&mut self, target: Id, state: Id) -> Result<(), CheckpointError> {
        match (self.node(target), self.node(state)) {
            (Node::Namespace(_), Node::Dict(pairs)) => {
                if let Some(&(key, _)) = pairs.iter().find(|(key, _)| !matches!(self.node(*key), Node::Str(_))) {
                    return Err(self.malformed(format!("an attribute is named by {}", self.describe(key))));
                }
                self.charge(pairs.len())?;
                if let Some((Node::Namespace(attributes), Node::Dict(pairs))) =
                    two(&mut self.nodes, target as usize, state as usize)
                {
                    attributes.extend_from_slice(pairs);
                }
                Ok(())
            }
            // Attributes of a dictionary, such as a state dict's `_metadata`, hold no weights.
            (Node::Dict(_), Node::Dict(_)) => Ok(()),
            (Node::Array, Node::Tuple(_)) => self.array_state(target, state),
            (Node::ArrayType(_), Node::Tuple(_)) => self.check_byte_order(state),
            _ => Err(self.malformed(format!("{} is given the state {}", self.describe(target), self.describe(state)))),
        }
    }

    /// A persistent id `('storage', type, key, location, numel[, view])`.
    pub(crate) fn storage(&mut self, parts: &[Id]) -> Result<Node<'a>, CheckpointError> {
        let (kind, class, key, location, numel, view) = match *parts {
            [kind, class, key, location, numel] => (kind, class, key, location, numel, None),
            [kind, class, key, location, numel, view] => (kind, class, key, location, numel, Some(view)),
            _ => return Err(self.malformed(format!("a reference of {} parts", parts.len()))),
        };
        match self.node(kind) {
            Node::Str("storage") => {}
            Node::Str("module") => return Err(self.unsupported("a whole module with its source code")),
            _ => return Err(self.malformed("a reference to something that is no storage")),
        }
        let &Node::Global(Global::Storage(dtype)) = self.node(class) else {
            return Err(self.malformed(format!("a storage of type {}", self.describe(class))));
        };
        let (&Node::Str(key), Node::Str(_)) = (self.node(key), self.node(location)) else {
            return Err(self.malformed("a storage whose name or location is no string"));
        };
        if key.len() > MAX_KEY {
            return Err(self.malformed(format!("a storage whose name has {} bytes", key.len())));
        }
        let numel = self.integer(numel)?;
        let known = self.by_key.get(key).copied();
        let index = match known {
            Some(index) => index,
            None => {
                // One storage an opcode at most, so the count fits.
                let index = u32::try_from(self.storages.len()).unwrap_or(u32::MAX);
                self.storages.push(StorageSpec { source: Source::Key(key), dtype, numel });
                self.by_key.insert(key, index);
                index
            }
        };
        let spec = &self.storages[index as usize];
        if spec.dtype != dtype || spec.numel != numel {
            return Err(self.malformed(format!("storage `{}` is described in two ways", shown(key))));
        }
        match view.map(|view| self.node(view)) {
            None | Some(Node::None) => Ok(Node::Storage { index, offset: 0, numel }),
            Some(Node::Tuple(parts)) => {
                let &[_, offset, size] = &parts[..] else {
                    return Err(self.malformed("a storage view that is no (key, offset, size)"));
                };
                let (offset, size) = (self.integer(offset)?, self.integer(size)?);
                if offset.checked_add(size).is_none_or(|end| end > numel) {
                    return Err(self.malformed(format!(
                        "a view of {size} elements from {offset} on reaches past its storage of {numel} elements"
                    )));
                }
                Ok(Node::Storage { index, offset, numel: size })
            }
            Some(_) => Err(self.malformed("a storage view that is no (key, offset, size)")),
        }
    }

    fn wrong(&self, global: Global) -> CheckpointError {
        self.unsupported(format!("`{global}` called with unknown arguments"))
    }

    fn integer(&self, id: Id) -> Result<usize, CheckpointError> {
        match self.node(id) {
            &Node::Int(value) => usize::try_from(value)
                .map_err(|_| self.malformed(format!("{value} where a size, stride or offset is expected"))),
            _ => Err(self.malformed(format!("{} where a size, stride or offset is expected", self.describe(id)))),
        }
    }

    fn integers(&self, id: Id) -> Result<Vec<usize>, CheckpointError> {
        let (Node::Tuple(ids) | Node::List(ids)) = self.node(id) else {
            return Err(self.malformed(format!("{} where sizes or strides are expected", self.describe(id))));
        };
        if ids.len() > MAX_RANK {
            return Err(self.unsupported(format!("a tensor of {} dimensions", ids.len())));
        }
        ids.iter().map(|&id| self.integer(id)).collect()
    }

    fn tensor(&mut self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<Node<'a>, CheckpointError> {
        let &Node::Storage { index, offset: start, numel } = self.node(storage) else {
            return Err(self.malformed(format!("a tensor over {}", self.describe(storage))));
        };
        let dtype = self.storages[index as usize].dtype;
        let (shape, strides) = (self.integers(size)?, self.integers(stride)?);
        self.charge(2 * shape.len())?;
        let offset = self.integer(offset)?;
        let mut tensor = TensorRef::new(shape, Some(strides), offset, dtype, index as usize, numel)
            .map_err(|reason| self.malformed(reason))?;
        // An empty tensor reads nothing, wherever it starts.
        tensor.offset = tensor.offset.saturating_add(start);
        Ok(Node::Tensor(Box::new(tensor)))
    }

    /// `OrderedDict([(key, value), ...])`, as Python 2 writes it.
    fn dict_of_pairs(&mut self, list: Id) -> Result<Node<'a>, CheckpointError> {
        let count = match self.node(list) {
            Node::List(items) | Node::Tuple(items) => items.len(),
            _ => return Err(self.wrong(Global::OrderedDict)),
        };
        self.charge(count)?;
        let (Node::List(items) | Node::Tuple(items)) = self.node(list) else {
            return Err(self.wrong(Global::OrderedDict));
        };
        let pairs = items.iter().map(|&item| match self.node(item) {
            Node::List(pair) | Node::Tuple(pair) => match pair[..] {
                [key, value] => Ok((key, value)),
                _ => Err(self.wrong(Global::OrderedDict)),
            },
            _ => Err(self.wrong(Global::OrderedDict)),
        });
        Ok(Node::Dict(pairs.collect::<Result<_, _>>()?))
    }

    /// `_codecs.encode(text, 'latin1')`.
    fn encode(&mut self, text: Id, codec: Id) -> Result<Node<'a>, CheckpointError> {
        let (&Node::Str(text), &Node::Str("latin1" | "latin-1")) = (self.node(text), self.node(codec)) else {
            return Err(self.wrong(Global::Encode));
        };
        self.charge_bytes(text.len())?;
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>();
        match bytes {
            Some(bytes) => Ok(Node::Bytes(Bytes::Decoded(Arc::new(bytes)))),
            None => Err(self.malformed("bytes that do not fit Latin-1")),
        }
    }

    /// State of a numpy type: `(version, byte order, ...)`.
    fn check_byte_order(&self, state: Id) -> Result<(), CheckpointError> {
        let order = match self.node(state) {
            Node::Tuple(parts) => parts.get(1).map(|&order| self.node(order)),
            _ => None,
        };
        match order {
            Some(Node::Str("<" | "|" | "=")) => Ok(()),
            Some(Node::Str(">")) => Err(self.unsupported("a big-endian numpy array")),
            _ => Err(self.malformed("a numpy type of unknown byte order")),
        }
    }

    /// Bytes of a numpy array or scalar; Python 2 writes them as a string.
    fn raw(&self, id: Id) -> Option<Bytes<'a>> {
        match self.node(id) {
            Node::Bytes(bytes) => Some(bytes.clone()),
            Node::Str(text) => Some(Bytes::File(text.as_bytes())),
            _ => None,
        }
    }

    /// State of a numpy array: `(version, shape, type, column-major, bytes)`.
    fn array_state(&mut self, target: Id, state: Id) -> Result<(), CheckpointError> {
        let Node::Tuple(parts) = self.node(state) else {
            return Err(self.malformed("a numpy array without a state"));
        };
        let &[_, shape, dtype, order, data] = &parts[..] else {
            return Err(self.malformed(format!("a numpy array whose state has {} parts", parts.len())));
        };
        let (&Node::ArrayType(dtype), &Node::Bool(column_major), Some(data)) =
            (self.node(dtype), self.node(order), self.raw(data))
        else {
            return Err(self.unsupported("a numpy array that does not hold plain numbers"));
        };
        let shape = self.integers(shape)?;
        self.charge(2 * shape.len())?;
        let bytes = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        if bytes != Some(data.len()) {
            return Err(self.malformed(format!(
                "a numpy array of shape {shape:?} and {} bytes an element has {} bytes",
                dtype.size(),
                data.len()
            )));
        }
        let strides = column_major.then(|| {
            let mut step = 1usize;
            let before = |&d: &usize| {
                let before = step;
                step = step.saturating_mul(d);
                before
            };
            shape.iter().map(before).collect()
        });
        let numel = data.len() / dtype.size();
        let index = self.storages.len();
        let tensor = TensorRef::new(shape, strides, 0, dtype, index, numel).map_err(|reason| self.malformed(reason))?;
        self.storages.push(StorageSpec { source: Source::Inline(data), dtype, numel });
        self.nodes[target as usize] = Node::Tensor(Box::new(tensor));
        Ok(())
    }

    fn array_scalar(&self, dtype: Id, data: Id) -> Result<Node<'a>, CheckpointError> {
        let (&Node::ArrayType(dtype), Some(data)) = (self.node(dtype), self.raw(data)) else {
            return Err(self.wrong(Global::ArrayScalar));
        };
        let bad = || self.malformed(format!("a numpy number of {} bytes", data.len()));
        // An f64 keeps its precision here, which a tensor would round away.
        if dtype == DType::F64 {
            let bytes = <[u8; 8]>::try_from(&data[..]).map_err(|_| bad())?;
            return Ok(Node::Float(f64::from_le_bytes(bytes)));
        }
        if data.len() != dtype.size() {
            return Err(bad());
        }
        let scalar = TensorRef::new(Vec::new(), None, 0, dtype, 0, 1).map_err(|reason| self.malformed(reason))?;
        match scalar.read(&data).map(|tensor| tensor.data) {
            Some(TensorData::F32(values)) => values.first().map(|&v| Node::Float(v.into())),
            Some(TensorData::I64(values)) => {
                values.first().map(|&v| if dtype == DType::Bool { Node::Bool(v != 0) } else { Node::Int(v) })
            }
            None => None,
        }
        .ok_or_else(bad)
    }
}

/// Two different elements of a slice.
fn two<T>(items: &mut [T], a: usize, b: usize) -> Option<(&mut T, &mut T)> {
    items.get_disjoint_mut([a, b]).ok().map(|[a, b]| (a, b))
}
