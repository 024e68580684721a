//! Runs a pickle: one case for each opcode.
//!
//! The machine knows no classes; the few callables that checkpoints need are in [`crate::objects`],
//! everything else is refused by name.

use crate::error::{CheckpointError, Place};
use crate::machine::{FALSE, MAX_NODES, Machine, NONE, TRUE};
use crate::node::{Id, Node, StorageSpec};

/// What a pickle made.
#[derive(Debug)]
pub(crate) struct Loaded<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) root: Id,
    pub(crate) storages: Vec<StorageSpec<'a>>,
    /// Bytes up to and with the STOP opcode.
    pub(crate) length: usize,
}

/// Runs one pickle at the start of `input`.
pub(crate) fn load<'a>(input: &'a [u8], place: &Place) -> Result<Loaded<'a>, CheckpointError> {
    let mut machine = Machine::new(input, place);
    let root = machine.run()?;
    Ok(Loaded { nodes: machine.nodes, root, storages: machine.storages, length: machine.position })
}

impl<'a> Machine<'a, '_> {
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
                // Protocol 0, as Python 2 writes by default: FLOAT, STRING, UNICODE, LIST, DICT, PUT, GET
                b'F' => {
                    let node = self.decimal_float()?;
                    self.push(node)?;
                }
                b'S' => {
                    let node = self.quoted()?;
                    self.push(node)?;
                }
                b'V' => {
                    let node = self.unescaped()?;
                    self.push(node)?;
                }
                b'l' => {
                    let items = self.pop_mark()?;
                    self.push(Node::List(items))?;
                }
                b'd' => {
                    let items = self.pop_mark()?;
                    self.push(Node::Dict(Vec::new()))?;
                    self.set_items(&items)?;
                }
                b'p' => {
                    let key = self.decimal_key()?;
                    self.put(key)?;
                }
                b'g' => {
                    let key = self.decimal_key()?;
                    self.get(key)?;
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
}

/// Names of the opcodes that exist but are of no use in a checkpoint.
const fn opcode_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
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
