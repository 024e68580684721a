//! Plain values of JSON files and pickles, in the order of the file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use vidsieve_checkpoint::{Checkpoint, CheckpointError, Value as Pickled};

use super::DatasetError;

/// A plain value. Keys of dictionaries are text: numbers are written in decimal digits.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `null`, `None`, NaN.
    Null,
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Dict(Vec<(String, Value)>),
}

/// Reads a JSON file or a pickle, whichever it is.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Value, DatasetError> {
    let refuse = |detail: String| DatasetError::File { file: file.to_owned(), detail };
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match start.iter().find(|b| !b.is_ascii_whitespace()) {
        None => Err(refuse("the file is empty".into())),
        Some(b'{' | b'[') => serde_json::from_slice(start).map_err(|e| refuse(format!("not sound JSON: {e}"))),
        // Pickles of protocol 2 and later, and of protocol 0.
        Some(0x80 | b'(' | b'c') => {
            let pickle = vidsieve_checkpoint::read_pickle(file, bytes).map_err(|e| refuse(remedy(file, e)))?;
            let value = pickle.value().map_err(|e| refuse(remedy(file, e)))?;
            unpickle(&pickle, value).map_err(|e| refuse(remedy(file, e)))
        }
        Some(_) => Err(refuse("neither JSON nor a pickle; is it the right file, and complete?".into())),
    }
}

/// What to do about a pickle that holds more than plain values.
fn remedy(file: &str, error: CheckpointError) -> String {
    const SAVE: &str = "save the values as JSON in Python (json.dump, sets as lists)";
    match error {
        CheckpointError::Global { offset, global, .. } => {
            format!("byte {offset}: refused to load `{global}`, nothing was run; {SAVE}")
        }
        CheckpointError::Unsupported { offset, what, .. } => format!("byte {offset}: {what}; {SAVE}"),
        CheckpointError::Limit { what, .. } => format!("{what}; {SAVE}"),
        error => {
            let text = error.to_string();
            text.strip_prefix(&format!("{file}: ")).unwrap_or(&text).to_owned()
        }
    }
}

fn unpickle(pickle: &Checkpoint<'_>, value: Pickled) -> Result<Value, CheckpointError> {
    let list = |items: Vec<Pickled>| -> Result<Vec<Value>, CheckpointError> {
        items.into_iter().map(|item| unpickle(pickle, item)).collect()
    };
    Ok(match value {
        Pickled::None => Value::Null,
        Pickled::Bool(value) => Value::Number(f64::from(u8::from(value))),
        #[allow(clippy::cast_precision_loss)]
        Pickled::Int(value) => Value::Number(value as f64),
        Pickled::LongInt(_) => Value::Null,
        Pickled::Float(value) => number(value),
        Pickled::Str(text) => Value::Text(text),
        Pickled::Bytes(bytes) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Pickled::List(items) | Pickled::Tuple(items) | Pickled::Set(items) => Value::List(list(items)?),
        Pickled::Dict(pairs) => {
            let pairs = pairs.into_iter().filter_map(|(key, value)| {
                let key = match key {
                    Pickled::Str(key) => key,
                    Pickled::Int(key) => key.to_string(),
                    Pickled::Bytes(key) => String::from_utf8_lossy(&key).into_owned(),
                    _ => return None,
                };
                Some(unpickle(pickle, value).map(|value| (key, value)))
            });
            Value::Dict(pairs.collect::<Result<_, _>>()?)
        }
        Pickled::Namespace(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key, unpickle(pickle, value)?)));
            Value::Dict(pairs.collect::<Result<_, CheckpointError>>()?)
        }
        Pickled::Tensor(tensor) => {
            let values = pickle.tensor_f64(&tensor)?;
            match tensor.shape() {
                [rows, columns] if *columns > 0 && *rows > 0 => {
                    let row = |row: &[f64]| Value::List(row.iter().copied().map(number).collect());
                    Value::List(values.chunks(*columns).map(row).collect())
                }
                _ => Value::List(values.into_iter().map(number).collect()),
            }
        }
    })
}

fn number(value: f64) -> Value {
    if value.is_nan() { Value::Null } else { Value::Number(value) }
}

impl Value {
    /// The value under a key; of equal keys the last one counts.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(pairs) => pairs.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn dict(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// A name: text, or a whole number as its digits.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(value) if value.fract() == 0.0 => Some(format!("{value:.0}")),
            _ => None,
        }
    }

    /// Names of a list, or the keys of a dictionary.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => items.iter().map(Self::name).collect(),
            Self::Dict(pairs) => Some(pairs.iter().map(|(key, _)| key.clone()).collect()),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            #[allow(clippy::cast_possible_truncation)]
            Self::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Number(_) => "a number".into(),
            Self::Text(_) => "text".into(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Dict(pairs) => {
                let keys: Vec<&str> = pairs.iter().take(6).map(|(key, _)| key.as_str()).collect();
                format!("a dictionary of {} with the keys `{}`", pairs.len(), keys.join("`, `"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl<'de> Visitor<'de> for Plain {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plain value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Number(f64::from(u8::from(value))))
            }
            #[allow(clippy::cast_precision_loss)]
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Number(value as f64))
            }
            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = entries.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Value::Dict(pairs))
            }
        }
        deserializer.deserialize_any(Plain)
    }
}
