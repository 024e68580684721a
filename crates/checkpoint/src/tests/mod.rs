//! Tests of the reader, by subject, over checkpoints made by [`super::writer`].

use super::writer::{
    Entry, Pickle, entries, f32s, legacy, sample_legacy, sample_numpy, sample_object, sample_storages, sample_zip, zip,
};
use super::*;

/// Everything a caller can ask of a file.
fn exercise(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let checkpoint = read("w.pth", bytes)?;
    let _ = checkpoint.args();
    let _ = checkpoint.value();
    checkpoint.state_dict()
}

fn error(bytes: &[u8]) -> String {
    let message = exercise(bytes).map_or_else(|e| e.to_string(), |tensors| format!("accepted: {tensors:?}"));
    assert!(message.starts_with("w.pth: "), "{message}");
    message
}

/// The message for a pickle that comes with the storage "0" of four floats, in both layouts.
fn pickle_error(pickle: Pickle) -> String {
    let object = pickle.end();
    let stream = error(&legacy(&object, &[("0", 4, f32s(&[0.0; 4]))]));
    let zipped = error(&zip(&entries(&object, &[("0", f32s(&[0.0; 4]))])));
    assert!(stream.contains("object pickle") || stream.contains("no tensors"), "{stream}");
    assert!(zipped.contains("archive/data.pkl") || zipped.contains("no tensors"), "{zipped}");
    zipped
}

fn check_sample(bytes: &[u8], format: Format) {
    let checkpoint = read("w.pth", bytes).unwrap();
    assert_eq!(checkpoint.format(), format);
    let tensors = checkpoint.state_dict().unwrap();
    let expected = [
        ("conv.weight", vec![3, 2], DType::F32, TensorData::F32(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])),
        ("conv.bias", vec![2], DType::F16, TensorData::F32(vec![0.5, -2.0])),
        ("steps", vec![], DType::I64, TensorData::I64(vec![77])),
    ];
    let expected = expected.map(|(name, shape, dtype, data)| (name.to_owned(), Tensor { shape, dtype, data }));
    assert_eq!(tensors, expected);
    assert_eq!(tensors[2].1.clone().into_f32(), [77.0]);
    let args = [
        ("dims", Value::Int(512)),
        ("attention", Value::Bool(true)),
        ("learning_rate", Value::Float(1e-4)),
        ("teacher", Value::None),
        ("student_type", Value::Str("fg".into())),
        ("layers", Value::List(vec![Value::Int(1), Value::Int(2)])),
    ];
    assert_eq!(checkpoint.args(), args.map(|(name, value)| (name.to_owned(), value)));
    let Value::Dict(root) = checkpoint.value().unwrap() else { panic!("no dictionary") };
    let Value::Dict(optimizer) = &root[1].1 else { panic!("no optimizer") };
    let Value::Tensor(state) = &optimizer[0].1 else { panic!("no tensor") };
    assert_eq!((state.shape(), state.dtype(), state.numel()), (&[2][..], DType::F32, 2));
    assert_eq!(checkpoint.tensor(state).unwrap().into_f32(), [0.25, 0.75]);
}

/// Lists of lists of lists ..., each holding the one before `WIDTH` times.
fn bomb(levels: usize, width: usize) -> Vec<u8> {
    let mut p = Pickle::new().op(b"}").str("args").op(b"}").str("bomb").op(b"]q\x00");
    for _ in 0..levels {
        p = p.op(b"0](");
        for _ in 0..width {
            p = p.op(b"h\x00");
        }
        p = p.op(b"eq\x00");
    }
    p.op(b"ss").end()
}

mod files;
mod limits;
mod random;
mod refusals;
mod values;
