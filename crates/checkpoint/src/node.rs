//! The values that a pickle makes: an arena of nodes that refer to each other by number.
//!
//! A shared or even cyclic structure costs what the file spells out.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::tensor::{DType, TensorRef};

/// Number of a node in the arena.
pub(crate) type Id = u32;

/// Bytes that lie in the file, or that had to be decoded once.
#[derive(Debug, Clone)]
pub(crate) enum Bytes<'a> {
    File(&'a [u8]),
    Decoded(Arc<Vec<u8>>),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::File(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
        }
    }
}

/// A value in the arena.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, two's complement, little-endian.
    Long(&'a [u8]),
    Float(f64),
    Str(&'a str),
    Bytes(Bytes<'a>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Namespace(Vec<(Id, Id)>),
    Global(Global),
    /// `numel` elements of a storage from `offset` on.
    Storage {
        index: u32,
        offset: usize,
        numel: usize,
    },
    Tensor(Box<TensorRef>),
    ArrayType(DType),
    /// A numpy array whose state has not come yet.
    Array,
}

/// Where the data of a storage come from.
#[derive(Debug, Clone)]
pub(crate) enum Source<'a> {
    /// Outside of the pickle, under this key.
    Key(&'a str),
    /// In the pickle itself (numpy).
    Inline(Bytes<'a>),
}

/// A storage that a pickle refers to.
#[derive(Debug, Clone)]
pub(crate) struct StorageSpec<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) dtype: DType,
    pub(crate) numel: usize,
}

/// What a node is, in words, for messages.
pub(crate) fn describe(node: &Node<'_>) -> Cow<'static, str> {
    match node {
        Node::None => "None".into(),
        Node::Bool(_) => "a truth value".into(),
        Node::Int(_) | Node::Long(_) => "an integer".into(),
        Node::Float(_) => "a float".into(),
        Node::Str(_) => "a string".into(),
        Node::Bytes(_) => "bytes".into(),
        Node::Tuple(items) => format!("a tuple of {}", items.len()).into(),
        Node::List(items) => format!("a list of {}", items.len()).into(),
        Node::Set(items) => format!("a set of {}", items.len()).into(),
        Node::Dict(pairs) => format!("a dictionary of {}", pairs.len()).into(),
        Node::Namespace(_) => "a Namespace".into(),
        Node::Global(global) => format!("`{global}`").into(),
        Node::Storage { numel, .. } => format!("a storage of {numel} elements").into(),
        Node::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape).into(),
        Node::ArrayType(_) => "a numpy type".into(),
        Node::Array => "an unfinished numpy array".into(),
    }
}

/// A name on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `argparse.Namespace`.
    Namespace,
    /// `builtins.set` and `frozenset`.
    Set,
    /// `builtins.bytes`, which Python 3 writes for empty bytes.
    Bytes,
    /// `_codecs.encode`, which Python 3 writes for other bytes.
    Encode,
    /// `torch._utils._rebuild_tensor` (storage, offset, size, stride).
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v2` (the same, requires_grad, hooks, metadata).
    RebuildTensorV2,
    /// `torch._utils._rebuild_parameter` (tensor, requires_grad, hooks).
    RebuildParameter,
    /// `torch.<Type>Storage`.
    Storage(DType),
    /// `torch.Size`.
    Size,
    /// `torch.device`.
    Device,
    /// `numpy.core.multiarray._reconstruct`.
    ArrayReconstruct,
    /// `numpy.core.multiarray.scalar`.
    ArrayScalar,
    /// `numpy.ndarray`.
    Array,
    /// `numpy.dtype`.
    ArrayType,
}

impl Global {
    /// The name, if it is on the list.
    pub(crate) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("argparse", "Namespace") => Self::Namespace,
            ("builtins" | "__builtin__", "set" | "frozenset") => Self::Set,
            ("builtins" | "__builtin__", "bytes") => Self::Bytes,
            ("_codecs", "encode") => Self::Encode,
            ("torch._utils", "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensorV2,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch", storage) => Self::Storage(DType::of_storage(storage)?),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Self::ArrayReconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::ArrayScalar,
            ("numpy", "ndarray") => Self::Array,
            ("numpy", "dtype") => Self::ArrayType,
            _ => return None,
        })
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OrderedDict => "collections.OrderedDict",
            Self::Namespace => "argparse.Namespace",
            Self::Set => "set",
            Self::Bytes => "bytes",
            Self::Encode => "_codecs.encode",
            Self::RebuildTensor => "torch._utils._rebuild_tensor",
            Self::RebuildTensorV2 => "torch._utils._rebuild_tensor_v2",
            Self::RebuildParameter => "torch._utils._rebuild_parameter",
            Self::Storage(dtype) => return write!(f, "torch {dtype:?} storage"),
            Self::Size => "torch.Size",
            Self::Device => "torch.device",
            Self::ArrayReconstruct => "numpy.core.multiarray._reconstruct",
            Self::ArrayScalar => "numpy.core.multiarray.scalar",
            Self::Array => "numpy.ndarray",
            Self::ArrayType => "numpy.dtype",
        })
    }
}
