//! safetensors files, read strictly: one parser for bundles and for plain weight files.

use std::collections::HashMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// Why a safetensors file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorsError {
    /// The file is not safetensors, is cut short, or its header lies.
    #[error("{file}: not a sound safetensors file: {reason}")]
    Damaged {
        /// Name of the file, as given.
        file: String,
        /// What is wrong, with the tensor's name where one is at fault.
        reason: String,
    },
    /// A tensor that was asked for is not there.
    #[error("{file}: there is no tensor `{name}`")]
    Missing {
        /// Name of the file, as given.
        file: String,
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has an element type that is of no use here.
    #[error("{file}: tensor `{name}` is {found:?}, expected {expected}")]
    Type {
        /// Name of the file, as given.
        file: String,
        /// Name of the tensor.
        name: String,
        /// Its element type.
        found: Dtype,
        /// Element types that would do.
        expected: &'static str,
    },
}

/// A parsed safetensors file over borrowed bytes. Nothing is copied or widened until a tensor is read.
pub struct TensorFile<'a> {
    file: String,
    inner: SafeTensors<'a>,
    metadata: Option<HashMap<String, String>>,
}

impl<'a> TensorFile<'a> {
    /// Parses the header and checks that every tensor lies where it says, without gaps or overlaps. `file` names the
    /// source in messages.
    ///
    /// # Errors
    /// [`TensorsError::Damaged`], naming the tensor at fault where there is one.
    pub fn parse(file: &str, bytes: &'a [u8]) -> Result<Self, TensorsError> {
        let damaged = |e: &SafeTensorError| TensorsError::Damaged { file: file.to_owned(), reason: explain(e, bytes) };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
        let inner = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
        let metadata = metadata.metadata().clone();
        Ok(Self { file: file.to_owned(), inner, metadata })
    }

    /// The value of a key of the file's metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key).map(String::as_str)
    }

    /// Names of all tensors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.inner.names();
        names.sort_unstable();
        names
    }

    /// Whether a tensor is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.inner.tensor(name).is_ok()
    }

    fn view(&self, name: &str) -> Result<TensorView<'a>, TensorsError> {
        self.inner.tensor(name).map_err(|_| TensorsError::Missing { file: self.file.clone(), name: name.to_owned() })
    }

    /// Shape of a tensor.
    ///
    /// # Errors
    /// [`TensorsError::Missing`].
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, TensorsError> {
        Ok(self.view(name)?.shape().to_vec())
    }

    /// Element type of a tensor.
    ///
    /// # Errors
    /// [`TensorsError::Missing`].
    pub fn dtype(&self, name: &str) -> Result<Dtype, TensorsError> {
        Ok(self.view(name)?.dtype())
    }

    /// Bytes of a tensor in the file.
    ///
    /// # Errors
    /// [`TensorsError::Missing`].
    pub fn bytes(&self, name: &str) -> Result<&'a [u8], TensorsError> {
        Ok(self.view(name)?.data())
    }

    fn type_error(&self, name: &str, found: Dtype, expected: &'static str) -> TensorsError {
        TensorsError::Type { file: self.file.clone(), name: name.to_owned(), found, expected }
    }

    /// Shape and values of a floating-point tensor, widened (or, from F64, rounded) to f32.
    ///
    /// # Errors
    /// [`TensorsError::Missing`], [`TensorsError::Type`].
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), TensorsError> {
        let view = self.view(name)?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => chunks::<4>(data).map(f32::from_le_bytes).collect(),
            Dtype::F16 => chunks::<2>(data).map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            Dtype::BF16 => chunks::<2>(data).map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            #[allow(clippy::cast_possible_truncation)]
            Dtype::F64 => chunks::<8>(data).map(|b| f64::from_le_bytes(b) as f32).collect(),
            other => return Err(self.type_error(name, other, "F32, F16, BF16 or F64")),
        };
        Ok((view.shape().to_vec(), values))
    }

    /// Shape and values of an F32 or F64 tensor as f64.
    ///
    /// # Errors
    /// [`TensorsError::Missing`], [`TensorsError::Type`].
    pub fn f64(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>), TensorsError> {
        let view = self.view(name)?;
        if view.dtype() == Dtype::F64 {
            return Ok((view.shape().to_vec(), chunks::<8>(view.data()).map(f64::from_le_bytes).collect()));
        }
        let (shape, values) = self.f32(name)?;
        Ok((shape, values.into_iter().map(f64::from).collect()))
    }

    /// Shape and values of an integer tensor.
    ///
    /// # Errors
    /// [`TensorsError::Missing`], [`TensorsError::Type`].
    pub fn i64(&self, name: &str) -> Result<(Vec<usize>, Vec<i64>), TensorsError> {
        let view = self.view(name)?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::I64 => chunks::<8>(data).map(i64::from_le_bytes).collect(),
            Dtype::I32 => chunks::<4>(data).map(|b| i64::from(i32::from_le_bytes(b))).collect(),
            Dtype::I8 => data.iter().map(|&b| i64::from(b.cast_signed())).collect(),
            Dtype::U8 => data.iter().map(|&b| i64::from(b)).collect(),
            other => return Err(self.type_error(name, other, "I64, I32, I8 or U8")),
        };
        Ok((view.shape().to_vec(), values))
    }
}

fn chunks<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    data.as_chunks::<N>().0.iter().copied()
}

/// The reason in words; a second, tolerant look at the header finds the tensor at fault.
fn explain(error: &SafeTensorError, bytes: &[u8]) -> String {
    match error {
        SafeTensorError::HeaderTooSmall => {
            format!("{} bytes are fewer than the 8 of the header's length", bytes.len())
        }
        SafeTensorError::HeaderTooLarge => "the header claims to be larger than 100 MB".into(),
        SafeTensorError::InvalidHeaderLength => {
            format!("the header claims more bytes than the file has ({}); is it cut short?", bytes.len())
        }
        SafeTensorError::InvalidHeader(e) => format!("the header is not UTF-8: {e}"),
        SafeTensorError::InvalidHeaderDeserialization(e) => format!("the header is not the JSON it should be: {e}"),
        SafeTensorError::MetadataIncompleteBuffer => {
            match tensor_at_fault(bytes, |_, end, available, _| end > available) {
                Some(name) => format!("tensor `{name}` reaches past the end of the file; is it cut short?"),
                None => "bytes follow the last tensor".into(),
            }
        }
        SafeTensorError::InvalidOffset(name) => format!("tensor `{name}` overlaps another or leaves a gap"),
        SafeTensorError::TensorInvalidInfo
        | SafeTensorError::ValidationOverflow
        | SafeTensorError::MisalignedSlice
        | SafeTensorError::InvalidTensorView(..) => {
            match tensor_at_fault(bytes, |start, end, _, size| {
                Some(end.saturating_sub(start)) != size.map(|s| s as u64)
            }) {
                Some(name) => format!("tensor `{name}`: its shape and its bytes disagree"),
                None => "the shape and the bytes of a tensor disagree".into(),
            }
        }
        other => other.to_string(),
    }
}

/// First tensor, by name, for which `wrong(start, end, bytes available, bytes by shape and type)` holds.
fn tensor_at_fault(bytes: &[u8], wrong: impl Fn(u64, u64, u64, Option<usize>) -> bool) -> Option<String> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let stop = usize::try_from(length).ok()?.checked_add(8)?;
    // From text, like the other JSON of a bundle: reading bytes would compile a second parser.
    let header: Value = serde_json::from_str(std::str::from_utf8(bytes.get(8..stop)?).ok()?).ok()?;
    let available = (bytes.len() - stop) as u64;
    let mut names: Vec<_> = header.as_object()?.iter().filter(|(k, _)| *k != "__metadata__").collect();
    names.sort_by(|a, b| a.0.cmp(b.0));
    names.into_iter().find_map(|(name, info)| {
        let start = info["data_offsets"][0].as_u64()?;
        let end = info["data_offsets"][1].as_u64()?;
        let width = match info["dtype"].as_str()? {
            "F64" | "I64" | "U64" => 8usize,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            _ => 1,
        };
        let size = info["shape"]
            .as_array()?
            .iter()
            .try_fold(width, |n, d| d.as_u64().and_then(|d| usize::try_from(d).ok()).and_then(|d| n.checked_mul(d)));
        wrong(start, end, available, size).then(|| name.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn reason(bytes: &[u8]) -> String {
        match TensorFile::parse("w.safetensors", bytes) {
            Ok(_) => String::from("accepted"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn lying_headers_are_refused_by_name() {
        let short = file(r#"{"layer.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, 12);
        assert!(reason(&short).contains("`layer.weight` reaches past the end"), "{}", reason(&short));
        let lying = file(r#"{"layer.weight":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}"#, 16);
        assert!(reason(&lying).contains("`layer.weight`: its shape and its bytes disagree"), "{}", reason(&lying));
        let huge = file(r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}"#, 16);
        assert!(reason(&huge).contains("`w`"), "{}", reason(&huge));
        let gap = file(r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#, 16);
        assert!(reason(&gap).contains("`w`"), "{}", reason(&gap));
        let tail = file(r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 16);
        assert!(reason(&tail).contains("follow the last tensor"), "{}", reason(&tail));
        assert!(reason(&[1, 2]).contains("fewer than the 8"));
        assert!(reason(&u64::MAX.to_le_bytes()).contains("larger than 100 MB"));
        assert!(reason(&1000u64.to_le_bytes()).contains("cut short"));
    }

    #[test]
    fn types_are_widened_or_refused_by_name() {
        let bytes = file(
            r#"{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[6,8]},"h":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},"f":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#,
            8,
        );
        let parsed = TensorFile::parse("w", &bytes).unwrap();
        assert_eq!(parsed.f32("h").unwrap(), (vec![1], vec![0.0]));
        assert_eq!(parsed.f32("f").unwrap(), (vec![], vec![0.0]));
        assert!(parsed.f32("b").unwrap_err().to_string().contains("`b` is BOOL"));
        assert!(parsed.f32("z").unwrap_err().to_string().contains("no tensor `z`"));
    }
}
