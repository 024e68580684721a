//! The state of the pickle machine: input, stack, marks, memo, and the budgets that bound them.
//!
//! Every opcode makes at most one node and every copy is charged to a budget.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{CheckpointError, Place, shown};
use crate::node::{Bytes, Global, Id, Node, StorageSpec, describe};

/// Nodes a pickle may make and elements it may copy, together. The largest published checkpoint needs a few thousand.
pub(crate) const MAX_NODES: usize = 1 << 20;

pub(crate) const NONE: Id = 0;
pub(crate) const FALSE: Id = 1;
pub(crate) const TRUE: Id = 2;

/// The machine. Methods that fail name the opcode that is being run.
pub(crate) struct Machine<'a, 'p> {
    pub(crate) input: &'a [u8],
    pub(crate) position: usize,
    /// Start of the current opcode.
    pub(crate) at: usize,
    pub(crate) place: &'p Place,
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) stack: Vec<Id>,
    pub(crate) marks: Vec<usize>,
    pub(crate) memo: HashMap<u32, Id>,
    pub(crate) storages: Vec<StorageSpec<'a>>,
    pub(crate) by_key: HashMap<&'a str, u32>,
    copied: usize,
    decoded: usize,
}

impl<'a, 'p> Machine<'a, 'p> {
    pub(crate) fn new(input: &'a [u8], place: &'p Place) -> Self {
        Self {
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
        }
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> CheckpointError {
        self.place.malformed(self.at, reason)
    }

    pub(crate) fn unsupported(&self, what: impl Into<String>) -> CheckpointError {
        self.place.unsupported(self.at, what)
    }

    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        // Ids come from `push` alone, and nodes are never removed.
        &self.nodes[id as usize]
    }

    /// Charges copied elements to the budget.
    pub(crate) fn charge(&mut self, elements: usize) -> Result<(), CheckpointError> {
        self.copied = self.copied.saturating_add(elements);
        if self.copied.saturating_add(self.nodes.len()) > MAX_NODES {
            return Err(self.place.limit(format!("the pickle makes more than {MAX_NODES} objects")));
        }
        Ok(())
    }

    /// Charges decoded bytes: all together at most as many as the pickle has.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), CheckpointError> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.decoded > self.input.len() {
            return Err(self.place.limit("the pickle decodes the same bytes again and again"));
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.input[self.position..];
        let Some(bytes) = rest.get(..count) else {
            return Err(self.malformed(format!("{count} bytes are announced, {} are left", rest.len())));
        };
        self.position += count;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CheckpointError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn length32(&mut self) -> Result<usize, CheckpointError> {
        let length = self.u32()?;
        usize::try_from(length).map_err(|_| self.malformed(format!("a length of {length} bytes")))
    }

    pub(crate) fn length64(&mut self) -> Result<usize, CheckpointError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.malformed(format!("a length of {length} bytes")))
    }

    /// Up to a line feed, which is skipped.
    pub(crate) fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.input[self.position..];
        let Some(length) = rest.iter().position(|&b| b == b'\n') else {
            return Err(self.malformed("a line without an end"));
        };
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.malformed("a name that is not UTF-8"))
    }

    pub(crate) fn text(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("a string that is not UTF-8"))?;
        Ok(Node::Str(text))
    }

    /// A Python 2 string: text where it is UTF-8, else bytes.
    pub(crate) fn old_text(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_or(Node::Bytes(Bytes::File(bytes)), Node::Str))
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
        Ok(Node::Bytes(Bytes::File(self.take(length)?)))
    }

    pub(crate) fn long(&mut self, length: usize) -> Result<Node<'a>, CheckpointError> {
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
    pub(crate) fn decimal(&mut self, long: bool) -> Result<Node<'a>, CheckpointError> {
        let line = self.line()?;
        if !long && (line == "00" || line == "01") {
            return Ok(Node::Bool(line == "01"));
        }
        let digits = if long { line.strip_suffix('L').unwrap_or(line) } else { line };
        let number = digits.parse().map_err(|_| self.unsupported(format!("the number `{}`", shown(digits))))?;
        Ok(Node::Int(number))
    }

    /// A float in decimal digits (protocol 0).
    pub(crate) fn decimal_float(&mut self) -> Result<Node<'a>, CheckpointError> {
        let line = self.line()?;
        let value = line.parse().map_err(|_| self.malformed(format!("the float `{}`", shown(line))))?;
        Ok(Node::Float(value))
    }

    /// A number of the memo in decimal digits (protocol 0).
    pub(crate) fn decimal_key(&mut self) -> Result<u32, CheckpointError> {
        let line = self.line()?;
        line.parse().map_err(|_| self.malformed(format!("the memo entry `{}`", shown(line))))
    }

    /// A string between quotes (protocol 0). Escapes are refused: names of videos need none.
    pub(crate) fn quoted(&mut self) -> Result<Node<'a>, CheckpointError> {
        let line = self.line()?;
        let inner = ['\'', '"'].into_iter().find_map(|q| line.strip_prefix(q)?.strip_suffix(q));
        let inner = inner.ok_or_else(|| self.malformed("a string without quotes"))?;
        self.plain(inner)
    }

    /// A string up to the end of the line (protocol 0), without escapes.
    pub(crate) fn unescaped(&mut self) -> Result<Node<'a>, CheckpointError> {
        let line = self.line()?;
        self.plain(line)
    }

    fn plain(&self, text: &'a str) -> Result<Node<'a>, CheckpointError> {
        match text.contains('\\') {
            true => Err(self.unsupported("a string with escapes in protocol 0")),
            false => Ok(Node::Str(text)),
        }
    }

    pub(crate) fn push(&mut self, node: Node<'a>) -> Result<(), CheckpointError> {
        self.charge(1)?;
        // MAX_NODES is far below the range of an Id.
        #[allow(clippy::cast_possible_truncation)]
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.push_id(id)
    }

    pub(crate) fn push_id(&mut self, id: Id) -> Result<(), CheckpointError> {
        if self.stack.len() >= MAX_NODES {
            return Err(self.place.limit(format!("the pickle stacks more than {MAX_NODES} objects")));
        }
        self.stack.push(id);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Result<Id, CheckpointError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(self.malformed("an object is taken from an empty stack"));
        }
        self.stack.pop().ok_or_else(|| self.malformed("an object is taken from an empty stack"))
    }

    pub(crate) fn top(&self) -> Result<Id, CheckpointError> {
        let above = &self.stack[self.marks.last().copied().unwrap_or(0)..];
        above.last().copied().ok_or_else(|| self.malformed("an object is used from an empty stack"))
    }

    /// All objects above the last mark, which is removed.
    pub(crate) fn pop_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    pub(crate) fn pop_tuple<const N: usize>(&mut self) -> Result<(), CheckpointError> {
        let mut items = vec![NONE; N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Node::Tuple(items))
    }

    pub(crate) fn append(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let list = self.top()?;
        match &mut self.nodes[list as usize] {
            Node::List(list) => list.extend_from_slice(items),
            _ => return Err(self.malformed(format!("an item is appended to {}", self.describe(list)))),
        }
        Ok(())
    }

    pub(crate) fn set_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
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

    pub(crate) fn add_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let set = self.top()?;
        match &mut self.nodes[set as usize] {
            Node::Set(set) => set.extend_from_slice(items),
            _ => return Err(self.malformed(format!("an item is added to {}", self.describe(set)))),
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, key: u32) -> Result<(), CheckpointError> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    pub(crate) fn get(&mut self, key: u32) -> Result<(), CheckpointError> {
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => Err(self.malformed(format!("memo entry {key} is used before it is set"))),
        }
    }

    pub(crate) fn global(&mut self, module: &str, name: &str) -> Result<(), CheckpointError> {
        match Global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(self.place.global(self.at, format!("{}.{}", shown(module), shown(name)))),
        }
    }

    pub(crate) fn stack_global(&mut self) -> Result<(), CheckpointError> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (self.node(module), self.node(name)) {
            (&Node::Str(module), &Node::Str(name)) => self.global(module, name),
            _ => Err(self.malformed("the name of a class or function is no string")),
        }
    }

    /// What a node is, in words, for messages.
    pub(crate) fn describe(&self, id: Id) -> Cow<'static, str> {
        describe(self.node(id))
    }
}
