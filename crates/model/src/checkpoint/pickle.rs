//! The pickle machine: runs a program's opcodes over an arena of plain nodes. It knows no classes; the few callables
//! that checkpoints need are in [`super::objects`], everything else is refused by name.
//!
//! Nodes refer to each other by number, so that a shared or even cyclic structure costs what the file spells out. Every
//! opcode makes at most one node and every copy is charged to a budget.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::error::{CheckpointError, Place, shown};
use super::objects::Global;
use super::tensor::{DType, TensorRef};

/// Number of a node in the arena.
pub(super) type Id = u32;

/// Nodes a pickle may make and elements it may copy, together. The largest published checkpoint needs a few thousand.
const MAX_NODES: usize = 1 << 20;

/// Bytes that lie in the file, or that had to be decoded once.
#[derive(Debug, Clone)]
pub(super) enum Bytes<'a> {
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
pub(super) enum Node<'a> {
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
pub(super) enum Source<'a> {
    /// Outside of the pickle, under this key.
    Key(&'a str),
    /// In the pickle itself (numpy).
    Inline(Bytes<'a>),
}

/// A storage that a pickle refers to.
#[derive(Debug, Clone)]
pub(super) struct StorageSpec<'a> {
    pub(super) source: Source<'a>,
    pub(super) dtype: DType,
    pub(super) numel: usize,
}

/// What a pickle made.
#[derive(Debug)]
pub(super) struct Loaded<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    pub(super) storages: Vec<StorageSpec<'a>>,
    /// Bytes up to and with the STOP opcode.
    pub(super) length: usize,
}

/// The machine. Methods that fail name the opcode that is being run.
pub(super) struct Machine<'a, 'p> {
    input: &'a [u8],
    position: usize,
    /// Start of the current opcode.
    at: usize,
    place: &'p Place,
    pub(super) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    pub(super) storages: Vec<StorageSpec<'a>>,
    pub(super) by_key: HashMap<&'a str, u32>,
    copied: usize,
    decoded: usize,
}

/// Runs one pickle at the start of `input`.
pub(super) fn load<'a>(input: &'a [u8], place: &Place) -> Result<Loaded<'a>, CheckpointError> {
    let mut machine = Machine {
        input,
        position: 0,
        at: 0,
        place,
        nodes: vec![Node::None, Node::Bool(false), Node::Bool(true)],
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        storages: Vec::new(),
        by_key: HashMap::new(),
        copied: 0,
        decoded: 0,
    };
    let root = machine.run()?;
    Ok(Loaded { nodes: machine.nodes, root, storages: machine.storages, length: machine.position })
}

const NONE: Id = 0;
const FALSE: Id = 1;
const TRUE: Id = 2;

impl<'a> Machine<'a, '_> {
    pub(super) fn malformed(&self, reason: impl Into<String>) -> CheckpointError {
        self.place.malformed(self.at, reason)
    }

    pub(super) fn unsupported(&self, what: impl Into<String>) -> CheckpointError {
        self.place.unsupported(self.at, what)
    }

    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        // Ids come from `push` alone, and nodes are never removed.
        &self.nodes[id as usize]
    }

    /// Charges copied elements to the budget.
    pub(super) fn charge(&mut self, elements: usize) -> Result<(), CheckpointError> {
        self.copied = self.copied.saturating_add(elements);
        if self.copied.saturating_add(self.nodes.len()) > MAX_NODES {
            return Err(self.place.limit(format!("the pickle makes more than {MAX_NODES} objects")));
        }
        Ok(())
    }

    /// Charges decoded bytes: all together at most as many as the pickle has.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Result<(), CheckpointError> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.decoded > self.input.len() {
            return Err(self.place.limit("the pickle decodes the same bytes again and again"));
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.input[self.position..];
        let Some(bytes) = rest.get(..count) else {
            return Err(self.malformed(format!("{count} bytes are announced, {} are left", rest.len())));
        };
        self.position += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, CheckpointError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn length32(&mut self) -> Result<usize, CheckpointError> {
        let length = self.u32()?;
        usize::try_from(length).map_err(|_| self.malformed(format!("a length of {length} bytes")))
    }

    fn length64(&mut self) -> Result<usize, CheckpointError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.malformed(format!("a length of {length} bytes")))
    }

    /// Up to a line feed, which is skipped.
    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.input[self.position..];
        let Some(length) = rest.iter().position(|&b| b == b'\n') else {
            return Err(self.malformed("a line without an end"));
        };
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.malformed("a name that is not UTF-8"))
    }

    fn text(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("a string that is not UTF-8"))?;
        Ok(Node::Str(text))
    }

    /// A Python 2 string: text where it is UTF-8, else bytes.
    fn old_text(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_or(Node::Bytes(Bytes::File(bytes)), Node::Str))
    }

    fn bytes(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        Ok(Node::Bytes(Bytes::File(self.take(length)?)))
    }

    fn long(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Ok(Node::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        Ok(Node::Int(i64::from_le_bytes(wide)))
    }

    /// A number in decimal digits, as Python 2 writes those that do not fit 32 bits.
    fn decimal(&mut self, long: bool) -> Result<Node<'a>, CheckpointError> {
        let line = self.line()?;
        if !long && (line == "00" || line == "01") {
            return Ok(Node::Bool(line == "01"));
        }
        let digits = if long { line.strip_suffix('L').unwrap_or(line) } else { line };
        let number = digits.parse().map_err(|_| self.unsupported(format!("the number `{}`", shown(digits))))?;
        Ok(Node::Int(number))
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), CheckpointError> {
        self.charge(1)?;
        // MAX_NODES is far below the range of an Id.
        #[allow(clippy::cast_possible_truncation)]
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), CheckpointError> {
        if self.stack.len() >= MAX_NODES {
            return Err(self.place.limit(format!("the pickle stacks more than {MAX_NODES} objects")));
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(self.malformed("an object is taken from an empty stack"));
        }
        self.stack.pop().ok_or_else(|| self.malformed("an object is taken from an empty stack"))
    }

    fn top(&self) -> Result<Id, CheckpointError> {
        let above = &self.stack[self.marks.last().copied().unwrap_or(0)..];
        above.last().copied().ok_or_else(|| self.malformed("an object is used from an empty stack"))
    }

    /// All objects above the last mark, which is removed.
    fn pop_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_tuple<const N: usize>(&mut self) -> Result<(), CheckpointError> {
        let mut items = vec![NONE; N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Node::Tuple(items))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let list = self.top()?;
        match &mut self.nodes[list as usize] {
            Node::List(list) => list.extend_from_slice(items),
            _ => return Err(self.malformed(format!("an item is appended to {}", self.describe(list)))),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a dictionary key without a value"));
        }
        match &mut self.nodes[dict as usize] {
            Node::Dict(dict) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return Err(self.malformed(format!("an item is set in {}", self.describe(dict)))),
        }
        Ok(())
    }

    fn add_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let set = self.top()?;
        match &mut self.nodes[set as usize] {
            Node::Set(set) => set.extend_from_slice(items),
            _ => return Err(self.malformed(format!("an item is added to {}", self.describe(set)))),
        }
        Ok(())
    }

    fn put(&mut self, key: u32) -> Result<(), CheckpointError> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn get(&mut self, key: u32) -> Result<(), CheckpointError> {
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => Err(self.malformed(format!("memo entry {key} is used before it is set"))),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), CheckpointError> {
        match Global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(self.place.global(self.at, format!("{}.{}", shown(module), shown(name)))),
        }
    }

    fn stack_global(&mut self) -> Result<(), CheckpointError> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (self.node(module), self.node(name)) {
            (&Node::Str(module), &Node::Str(name)) => self.global(module, name),
            _ => Err(self.malformed("the name of a class or function is no string")),
        }
    }

    fn reduce(&mut self, new: bool) -> Result<(), CheckpointError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let &Node::Global(global) = self.node(callable) else {
            return Err(self.malformed(format!("{} is called like a function", self.describe(callable))));
        };
        let Node::Tuple(arguments) = self.node(arguments) else {
            return Err(self.malformed(format!("`{global}` is called with {}", self.describe(arguments))));
        };
        // Callables take a handful of arguments; more are refused before they are copied.
        if arguments.len() > 8 {
            return Err(self.unsupported(format!("`{global}` called with {} arguments", arguments.len())));
        }
        let arguments = arguments.clone();
        let node = if new { self.construct(global, &arguments)? } else { self.call(global, &arguments)? };
        self.push(node)
    }

    fn build(&mut self) -> Result<(), CheckpointError> {
        let (state, target) = (self.pop()?, self.top()?);
        self.set_state(target, state)
    }

    fn persistent(&mut self) -> Result<(), CheckpointError> {
        let id = self.pop()?;
        let Node::Tuple(parts) = self.node(id) else {
            return Err(self.malformed(format!("{} refers to something outside of the pickle", self.describe(id))));
        };
        if parts.len() > 8 {
            return Err(self.malformed(format!("a reference of {} parts", parts.len())));
        }
        let parts = parts.clone();
        let node = self.storage(&parts)?;
        self.push(node)
    }

    /// What a node is, in words, for messages.
    pub(super) fn describe(&self, id: Id) -> Cow<'static, str> {
        describe(self.node(id))
    }

    fn run(&mut self) -> Result<Id, CheckpointError> {
        loop {
            self.at = self.position;
            let opcode = self.u8()?;
            match opcode {
                // PROTO, FRAME
                0x80 => {
                    let protocol = self.u8()?;
                    if protocol > 5 {
                        return Err(self.unsupported(format!("pickle protocol {protocol}")));
                    }
                }
                0x95 => {
                    let length = self.length64()?;
                    let left = self.input.len() - self.position;
                    if length > left {
                        return Err(self.malformed(format!("a frame of {length} bytes, {left} are left")));
                    }
                }
                // STOP, MARK, POP, POP_MARK, DUP
                b'.' => return self.pop(),
                b'(' => {
                    if self.marks.len() >= MAX_NODES {
                        return Err(self.place.limit(format!("the pickle sets more than {MAX_NODES} marks")));
                    }
                    self.marks.push(self.stack.len());
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_mark()?),
                b'2' => {
                    let id = self.top()?;
                    self.push_id(id)?;
                }
                // NONE, NEWFALSE, NEWTRUE
                b'N' => self.push_id(NONE)?,
                0x89 => self.push_id(FALSE)?,
                0x88 => self.push_id(TRUE)?,
                // BININT, BININT1, BININT2, LONG1, LONG4, INT, LONG, BINFLOAT
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.u8()?;
                    self.push(Node::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.u8()?;
                    let node = self.long(length.into())?;
                    self.push(node)?;
                }
                0x8b => {
                    let length = self.length32()?;
                    let node = self.long(length)?;
                    self.push(node)?;
                }
                b'I' | b'L' => {
                    let node = self.decimal(opcode == b'L')?;
                    self.push(node)?;
                }
                b'G' => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Node::Float(value))?;
                }
                // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
                0x8c => {
                    let length = self.u8()?;
                    let node = self.text(length.into())?;
                    self.push(node)?;
                }
                b'X' => {
                    let length = self.length32()?;
                    let node = self.text(length)?;
                    self.push(node)?;
                }
                0x8d => {
                    let length = self.length64()?;
                    let node = self.text(length)?;
                    self.push(node)?;
                }
                // SHORT_BINSTRING, BINSTRING
                b'U' => {
                    let length = self.u8()?;
                    let node = self.old_text(length.into())?;
                    self.push(node)?;
                }
                b'T' => {
                    let length = self.length32()?;
                    let node = self.old_text(length)?;
                    self.push(node)?;
                }
                // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
                b'C' => {
                    let length = self.u8()?;
                    let node = self.bytes(length.into())?;
                    self.push(node)?;
                }
                b'B' => {
                    let length = self.length32()?;
                    let node = self.bytes(length)?;
                    self.push(node)?;
                }
                0x8e | 0x96 => {
                    let length = self.length64()?;
                    let node = self.bytes(length)?;
                    self.push(node)?;
                }
                // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
                b')' => self.push(Node::Tuple(Vec::new()))?,
                0x85 => self.pop_tuple::<1>()?,
                0x86 => self.pop_tuple::<2>()?,
                0x87 => self.pop_tuple::<3>()?,
                b't' => {
                    let items = self.pop_mark()?;
                    self.push(Node::Tuple(items))?;
                }
                // EMPTY_LIST, APPEND, APPENDS
                b']' => self.push(Node::List(Vec::new()))?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                b'e' => {
                    let items = self.pop_mark()?;
                    self.append(&items)?;
                }
                // EMPTY_DICT, SETITEM, SETITEMS
                b'}' => self.push(Node::Dict(Vec::new()))?,
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set_items(&items)?;
                }
                // EMPTY_SET, ADDITEMS, FROZENSET
                0x8f => self.push(Node::Set(Vec::new()))?,
                0x90 => {
                    let items = self.pop_mark()?;
                    self.add_items(&items)?;
                }
                0x91 => {
                    let items = self.pop_mark()?;
                    self.push(Node::Set(items))?;
                }
                // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
                b'q' => {
                    let key = self.u8()?;
                    self.put(key.into())?;
                }
                b'r' => {
                    let key = self.u32()?;
                    self.put(key)?;
                }
                0x94 => {
                    // One entry an opcode at most, so the count fits.
                    let key = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                    self.put(key)?;
                }
                b'h' => {
                    let key = self.u8()?;
                    self.get(key.into())?;
                }
                b'j' => {
                    let key = self.u32()?;
                    self.get(key)?;
                }
                // GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, BUILD, BINPERSID
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => self.stack_global()?,
                b'R' => self.reduce(false)?,
                0x81 => self.reduce(true)?,
                b'b' => self.build()?,
                b'Q' => self.persistent()?,
                other => {
                    return Err(match opcode_name(other) {
                        Some(name) => self.unsupported(format!("the pickle opcode {name}")),
                        None => self.malformed(format!("0x{other:02x} is no pickle opcode")),
                    });
                }
            }
        }
    }
}

/// What a node is, in words, for messages.
pub(super) fn describe(node: &Node<'_>) -> Cow<'static, str> {
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

/// Names of the opcodes that exist but are of no use in a checkpoint.
const fn opcode_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        b'F' => "FLOAT (protocol 0)",
        b'S' => "STRING (protocol 0)",
        b'V' => "UNICODE (protocol 0)",
        b'd' => "DICT (protocol 0)",
        b'l' => "LIST (protocol 0)",
        b'g' => "GET (protocol 0)",
        b'p' => "PUT (protocol 0)",
        b'P' => "PERSID (protocol 0)",
        b'i' => "INST",
        b'o' => "OBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x92 => "NEWOBJ_EX",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}
