//! Tensors: where they lie in a storage, and their values once read.

use half::{bf16, f16};

/// Element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// IEEE double precision.
    F64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// Signed 64-bit.
    I64,
    /// Signed 32-bit.
    I32,
    /// Signed 16-bit.
    I16,
    /// Signed 8-bit.
    I8,
    /// Unsigned 8-bit.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes an element takes in the file.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Type of a `torch.<name>`, such as `FloatStorage`.
    pub(crate) fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Type of a numpy type code, such as `f4`.
    pub(crate) fn of_numpy(code: &str) -> Option<Self> {
        Some(match code {
            "f8" => Self::F64,
            "f4" => Self::F32,
            "f2" => Self::F16,
            "i8" => Self::I64,
            "i4" => Self::I32,
            "i2" => Self::I16,
            "i1" => Self::I8,
            "u1" => Self::U8,
            "b1" => Self::Bool,
            _ => return None,
        })
    }
}

/// A tensor that has not been read yet. [`Checkpoint::tensor`](crate::Checkpoint::tensor) reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    /// Elements between neighbours, for each dimension.
    pub(crate) strides: Vec<usize>,
    /// Element of the storage where the tensor starts.
    pub(crate) offset: usize,
    pub(crate) storage: usize,
}

impl TensorRef {
    /// Dimensions, outermost first; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type in the file.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// A view of `storage_numel` elements, of which this one may use those from `offset` on. `strides` defaults to
    /// row-major. The reason is in words.
    pub(crate) fn new(
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
        offset: usize,
        dtype: DType,
        storage: usize,
        storage_numel: usize,
    ) -> Result<Self, String> {
        // Dimensions of 0 count as 1 here, so that no product of dimensions ever overflows.
        let bound = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        if bound.and_then(|n| n.checked_mul(8)).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return Err(format!("a tensor of shape {shape:?} has too many elements"));
        }
        let strides = strides.unwrap_or_else(|| row_major(&shape));
        if strides.len() != shape.len() {
            return Err(format!("a tensor of shape {shape:?} has {} strides", strides.len()));
        }
        let view = Self { shape, dtype, strides, offset, storage };
        let numel = view.numel();
        if numel == 0 {
            return Ok(view);
        }
        let mut steps = view.shape.iter().zip(&view.strides);
        let last = steps.try_fold(offset, |sum, (&d, &s)| sum.checked_add((d - 1).checked_mul(s)?));
        if last.is_none_or(|last| last >= storage_numel) {
            return Err(format!(
                "a tensor of shape {:?}, strides {:?} and offset {offset} reaches past its storage of {storage_numel} elements",
                view.shape, view.strides
            ));
        }
        if numel > storage_numel {
            return Err(format!(
                "a tensor of shape {:?} repeats elements of a storage of {storage_numel} (call .clone() on it before saving)",
                view.shape
            ));
        }
        Ok(view)
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &s)| {
            let fits = d == 1 || s == expected;
            expected *= d.max(1);
            fits
        })
    }

    /// The values, row-major. `None` when `data` is too short, which the checks on reading rule out.
    pub(crate) fn read(&self, data: &[u8]) -> Option<Tensor> {
        #[allow(clippy::cast_possible_truncation)]
        let data = match self.dtype {
            DType::F64 => TensorData::F32(self.gather(data, |b| f64::from_le_bytes(b) as f32)?),
            DType::F32 => TensorData::F32(self.gather(data, f32::from_le_bytes)?),
            DType::F16 => TensorData::F32(self.gather(data, |b| f16::from_le_bytes(b).to_f32())?),
            DType::BF16 => TensorData::F32(self.gather(data, |b| bf16::from_le_bytes(b).to_f32())?),
            DType::I64 => TensorData::I64(self.gather(data, i64::from_le_bytes)?),
            DType::I32 => TensorData::I64(self.gather(data, |b| i64::from(i32::from_le_bytes(b)))?),
            DType::I16 => TensorData::I64(self.gather(data, |b| i64::from(i16::from_le_bytes(b)))?),
            DType::I8 => TensorData::I64(self.gather(data, |b| i64::from(i8::from_le_bytes(b)))?),
            DType::U8 => TensorData::I64(self.gather(data, |[b]| i64::from(b))?),
            DType::Bool => TensorData::I64(self.gather(data, |[b]| i64::from(b != 0))?),
        };
        Some(Tensor { shape: self.shape.clone(), dtype: self.dtype, data })
    }

    /// The values in double precision, row-major. `None` as for [`TensorRef::read`].
    pub(crate) fn read_f64(&self, data: &[u8]) -> Option<Vec<f64>> {
        if self.dtype == DType::F64 {
            return self.gather(data, f64::from_le_bytes);
        }
        Some(match self.read(data)?.data {
            TensorData::F32(values) => values.into_iter().map(f64::from).collect(),
            #[allow(clippy::cast_precision_loss)]
            TensorData::I64(values) => values.into_iter().map(|v| v as f64).collect(),
        })
    }

    fn gather<const N: usize, T>(&self, data: &[u8], value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let elements = data.as_chunks::<N>().0;
        let numel = self.numel();
        if numel == 0 {
            return Some(Vec::new());
        }
        if self.is_contiguous() {
            let run = elements.get(self.offset..self.offset.checked_add(numel)?)?;
            return Some(run.iter().map(|&b| value(b)).collect());
        }
        let (&inner, outer_shape) = self.shape.split_last()?;
        let (&step, outer_strides) = self.strides.split_last()?;
        let mut values = Vec::with_capacity(numel);
        let mut index = vec![0usize; outer_shape.len()];
        loop {
            let row = self.offset + index.iter().zip(outer_strides).map(|(i, s)| i * s).sum::<usize>();
            for k in 0..inner {
                values.push(value(*elements.get(row + k * step)?));
            }
            let Some(axis) = (0..index.len()).rev().find(|&a| index[a] + 1 < outer_shape[a]) else {
                return Some(values);
            };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
    }
}

/// Strides of a row-major tensor. The product of the dimensions, zeros taken as ones, must fit.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// A tensor with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type in the file, before widening.
    pub dtype: DType,
    /// Product of `shape` values, row-major.
    pub data: TensorData,
}

/// Values of a [`Tensor`]. NaN and infinities are passed on as they are.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Floats: half precision widened, double precision rounded.
    F32(Vec<f32>),
    /// Integers and truth values (0 or 1), widened.
    I64(Vec<i64>),
}

impl Tensor {
    /// The values as f32; integers are rounded to the nearest one.
    #[must_use]
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            TensorData::F32(values) => values,
            #[allow(clippy::cast_precision_loss)]
            TensorData::I64(values) => values.into_iter().map(|v| v as f32).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let new = |shape: &[usize], strides: &[usize], offset| {
            TensorRef::new(shape.to_vec(), Some(strides.to_vec()), offset, DType::F32, 0, 6)
        };
        assert!(new(&[2, 3], &[3, 1], 0).is_ok());
        assert!(new(&[2, 3], &[3, 1], 1).unwrap_err().contains("past its storage"));
        assert!(new(&[2], &[6], 0).unwrap_err().contains("past its storage"));
        assert!(new(&[1], &[1], usize::MAX).unwrap_err().contains("past its storage"));
        assert!(new(&[2], &[usize::MAX], 1).unwrap_err().contains("past its storage"));
        assert!(new(&[7], &[0], 0).unwrap_err().contains("repeats"));
        assert!(new(&[usize::MAX / 2, usize::MAX / 2], &[0, 0], 0).unwrap_err().contains("too many"));
        assert!(new(&[0, usize::MAX / 2, usize::MAX / 2], &[0, 0, 0], 0).unwrap_err().contains("too many"));
        assert!(new(&[2, 3], &[1], 0).unwrap_err().contains("strides"));
        // An empty tensor may start anywhere: it reads nothing.
        assert_eq!(new(&[0, 3], &[3, 1], 99).unwrap().read(&[]).unwrap().data, TensorData::F32(vec![]));
        assert!(TensorRef::new(vec![usize::MAX], None, 0, DType::U8, 0, 6).is_err());
    }

    #[test]
    fn types_are_widened() {
        let read = |dtype, data: &[u8]| TensorRef::new(vec![2], None, 0, dtype, 0, 2).unwrap().read(data).unwrap().data;
        let halves: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        assert_eq!(read(DType::F16, &halves), TensorData::F32(vec![1.5, -2.0]));
        let brains: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        assert_eq!(read(DType::BF16, &brains), TensorData::F32(vec![1.5, -2.0]));
        let doubles: Vec<u8> = [0.1f64, 1e300].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read(DType::F64, &doubles), TensorData::F32(vec![0.1, f32::INFINITY]));
        assert_eq!(read(DType::I8, &[255, 7]), TensorData::I64(vec![-1, 7]));
        assert_eq!(read(DType::U8, &[255, 7]), TensorData::I64(vec![255, 7]));
        assert_eq!(read(DType::Bool, &[2, 0]), TensorData::I64(vec![1, 0]));
        assert_eq!(read(DType::I16, &[0xfe, 0xff, 1, 0]), TensorData::I64(vec![-2, 1]));
        assert_eq!(read(DType::I32, &[0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0]), TensorData::I64(vec![-2, 1]));
        let longs: Vec<u8> = [i64::MIN, 3].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read(DType::I64, &longs), TensorData::I64(vec![i64::MIN, 3]));
    }

    proptest! {
        /// Permuted views of a row-major block, against indexing by hand.
        #[test]
        fn strided_views_are_materialised(dims in prop::collection::vec(1usize..5, 0..4), turn in 0usize..4, skip in 0usize..3) {
            let numel: usize = dims.iter().product();
            let values: Vec<f32> = (0..numel + skip).map(|i| i as f32).collect();
            let mut order: Vec<usize> = (0..dims.len()).collect();
            if !order.is_empty() {
                order.rotate_left(turn % dims.len());
            }
            let strides = row_major(&dims);
            let shape: Vec<usize> = order.iter().map(|&a| dims[a]).collect();
            let permuted: Vec<usize> = order.iter().map(|&a| strides[a]).collect();
            let view = TensorRef::new(shape.clone(), Some(permuted.clone()), skip, DType::F32, 0, values.len()).unwrap();
            let mut expected = Vec::new();
            for flat in 0..numel {
                let (mut rest, mut at) = (flat, skip);
                for axis in (0..shape.len()).rev() {
                    at += (rest % shape[axis]) * permuted[axis];
                    rest /= shape[axis];
                }
                expected.push(values[at]);
            }
            prop_assert_eq!(view.read(&bytes(&values)).unwrap().data, TensorData::F32(expected));
        }
    }
}
