use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

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

#[test]
fn both_layouts_give_the_same() {
    check_sample(&sample_zip(), Format::Zip);
    check_sample(&sample_legacy(), Format::Legacy);
}

#[test]
fn old_archives_state_no_byte_order() {
    let storages: Vec<_> = sample_storages().into_iter().map(|(key, _, data)| (key, data)).collect();
    check_sample(&zip(&entries(&sample_object(), &storages)), Format::Zip);
}

#[test]
fn a_prefix_from_the_file_name_is_found() {
    let object = Pickle::new().op(b"}").str("mean").floats("0", &[2]).op(b"s").end();
    let all = [Entry::new("pca_1M/data.pkl", &object), Entry::new("pca_1M/data/0", &f32s(&[1.0, 2.0]))];
    let tensors = exercise(&zip(&all)).unwrap();
    assert_eq!(tensors.len(), 1);
    assert_eq!((tensors[0].0.as_str(), tensors[0].1.clone().into_f32()), ("mean", vec![1.0, 2.0]));
}

#[test]
fn weights_are_looked_for_under_their_usual_names() {
    let inner = |p: Pickle, name: &str| p.op(b"}").str(name).floats("0", &[4]).op(b"s");
    let outer = |key: &str| inner(Pickle::new().op(b"}").str(key), "w").op(b"s").end();
    let read = |object: &[u8]| exercise(&zip(&entries(object, &[("0", f32s(&[0.0; 4]))])));
    for key in ["model", "state_dict"] {
        assert_eq!(read(&outer(key)).unwrap()[0].0, "w", "{key}");
    }
    let message = read(&outer("net")).unwrap_err().to_string();
    assert!(message.contains("`net`: a dictionary of 1"), "{message}");
    assert!(message.contains("torch.save({'model'"), "{message}");
    // A tensor called `model` is a weight like any other.
    assert_eq!(read(&inner(Pickle::new(), "model").end()).unwrap()[0].0, "model");
    // Both: `model` counts.
    let both = inner(inner(Pickle::new().op(b"}").str("state_dict"), "b").op(b"s").str("model"), "a").op(b"s").end();
    assert_eq!(read(&both).unwrap()[0].0, "a");
    assert!(read(&Pickle::new().op(b"]").end()).unwrap_err().to_string().contains("a list of 0"));
}

#[test]
fn an_equal_key_replaces_the_first() {
    let object = Pickle::new().op(b"}").str("w").floats("0", &[1]).op(b"s").str("w").floats("1", &[1]).op(b"s").end();
    let tensors = exercise(&zip(&entries(&object, &[("0", f32s(&[1.0])), ("1", f32s(&[2.0]))]))).unwrap();
    assert_eq!(tensors.len(), 1);
    assert_eq!(tensors[0].1.clone().into_f32(), [2.0]);
    // Also when the last is no tensor, or no plain value.
    let p = Pickle::new().op(b"}").str("w").floats("0", &[1]).op(b"s").str("v").floats("0", &[1]).op(b"s");
    let p = p.str("w").op(b"Ns").str("args").op(b"}").str("a").op(b"Ns").str("a").global("torch", "Size").op(b"ss");
    let bytes = zip(&entries(&p.end(), &[("0", f32s(&[1.0]))]));
    let checkpoint = read("w.pth", &bytes).unwrap();
    assert_eq!(checkpoint.state_dict().unwrap().iter().map(|(n, _)| n).collect::<Vec<_>>(), ["v"]);
    assert_eq!(checkpoint.args(), []);
}

#[test]
fn plain_values_of_all_kinds() {
    let object = Pickle::new()
        .op(b"(K\x07J\xfe\xff\xff\xff\x8a\x00\x8a\x01\xff")
        .op(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01")
        .op(b"I4294967296\nI01\nL-5L\n")
        .op(b"\x8c\x02hi\x8d\x01\0\0\0\0\0\0\0yU\x02ab")
        .op(b"C\x01\xff)\x85\x8f(K\x01K\x02\x90")
        .global("torch", "Size")
        .ints(&[2, 3])
        .op(b"\x85R")
        .global("torch", "device")
        .str("cuda")
        .op(b"K\x00\x86R")
        .global("collections", "OrderedDict")
        .op(b"](K\x01K\x02\x86e\x85R")
        .global("__builtin__", "set")
        .op(b"]K\x05a\x85R")
        .global("__builtin__", "bytes")
        .op(b")R")
        .op(b"t")
        .end();
    let bytes = zip(&entries(&object, &[]));
    let value = read("w.pth", &bytes).unwrap().value().unwrap();
    let int = Value::Int;
    let long = vec![0, 0, 0, 0, 0, 0, 0, 0, 1];
    let expected = vec![
        int(7),
        int(-2),
        int(0),
        int(-1),
        Value::LongInt(long),
        int(1 << 32),
        Value::Bool(true),
        int(-5),
        Value::Str("hi".into()),
        Value::Str("y".into()),
        Value::Str("ab".into()),
        Value::Bytes(vec![255]),
        Value::Tuple(vec![Value::Tuple(vec![])]),
        Value::Set(vec![int(1), int(2)]),
        Value::Tuple(vec![int(2), int(3)]),
        Value::Str("cuda".into()),
        Value::Dict(vec![(int(1), int(2))]),
        Value::Set(vec![int(5)]),
        Value::Bytes(vec![]),
    ];
    assert_eq!(value, Value::Tuple(expected));
}

#[test]
fn later_protocols_are_read() {
    // Protocol 4 with a frame, MEMOIZE and STACK_GLOBAL.
    let body = b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94h\x02.";
    let mut object = b"\x80\x04\x95".to_vec();
    object.extend((body.len() as u64).to_le_bytes());
    object.extend(body);
    let bytes = zip(&entries(&object, &[]));
    let message = read("w.pth", &bytes).unwrap().value().unwrap_err().to_string();
    assert!(message.contains("no plain value"), "{message}");
    // The memo's third entry is the class; the fourth is the dictionary.
    let at = object.len() - 2;
    object[at] = 3;
    let bytes = zip(&entries(&object, &[]));
    assert_eq!(read("w.pth", &bytes).unwrap().value().unwrap(), Value::Dict(vec![]));
}

#[test]
fn numpy_arrays_are_tensors() {
    let bytes = sample_numpy();
    let checkpoint = read("w.pth", &bytes).unwrap();
    let tensors = checkpoint.state_dict().unwrap();
    assert_eq!(tensors.len(), 1);
    let (name, tensor) = &tensors[0];
    assert_eq!((name.as_str(), &tensor.shape[..], tensor.dtype), ("proj", &[2, 3][..], DType::F64));
    assert_eq!(tensor.data, TensorData::F32(vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    let Value::Dict(root) = checkpoint.value().unwrap() else { panic!("no dictionary") };
    assert_eq!(root[1], (Value::Str("scale".into()), Value::Float(0.1)));
}

#[test]
fn numpy_arrays_that_lie_are_refused() {
    let p = || {
        let p = Pickle::new().global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
        p.op(b"K\x00\x85C\x01b\x87R(K\x01")
    };
    let dtype = |p: Pickle, code: &str, order: &str| {
        p.global("numpy", "dtype").str(code).op(b"\x89\x88\x87R(K\x03").str(order).op(b"tb")
    };
    let good = dtype(p().ints(&[2]), "f4", "<").op(b"\x89C\x0812345678tb");
    assert!(error(&zip(&entries(&good.end(), &[]))).contains("it holds a tensor of shape [2]"));
    let short = dtype(p().ints(&[3]), "f4", "<").op(b"\x89C\x0812345678tb");
    assert!(pickle_error(short).contains("has 8 bytes"));
    let huge = dtype(p().ints(&[1 << 62, 1 << 62]), "f4", "<").op(b"\x89C\x0812345678tb");
    assert!(pickle_error(huge).contains("has 8 bytes"));
    let big = dtype(p().ints(&[2]), "f4", ">").op(b"\x89C\x0812345678tb");
    assert!(pickle_error(big).contains("big-endian numpy"));
    let objects = dtype(p().ints(&[2]), "O8", "|").op(b"\x89]tb");
    assert!(pickle_error(objects).contains("numpy element type `O8`"));
    let list = dtype(p().ints(&[2]), "f4", "<").op(b"\x89]tb");
    assert!(pickle_error(list).contains("plain numbers"));
}

#[test]
fn other_names_are_refused() {
    let stack = |module: &str, name: &str| Pickle::new().str(module).str(name).op(&[0x93]);
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.FloatStorage", "__class__"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict.__init__"),
        ("numpy", "load"),
        ("torch.jit._pickle", "restore_type_tag"),
    ] {
        for pickle in [Pickle::new().global(module, name), stack(module, name)] {
            let message = pickle_error(pickle.str("touch /hacked").op(b"\x85R"));
            assert!(message.contains(&format!("refused to load `{module}.{name}`")), "{message}");
            assert!(message.contains("torch.save({'model'") && message.contains("byte "), "{message}");
        }
    }
    let escaped = pickle_error(Pickle::new().global("\u{1b}[31m", "x"));
    assert!(escaped.contains("\\u{1b}[31m.x"), "{escaped}");
}

#[test]
fn opcodes_that_no_checkpoint_needs_are_refused() {
    for (opcode, name) in [
        (&b"(ios\nsystem\n"[..], "INST"),
        (b"(cos\nsystem\no", "refused to load `os.system`"),
        (b"(N\x80\x02o", "OBJ"),
        (b"P1\n", "PERSID"),
        (b"F1.5\n", "FLOAT"),
        (b"S'a'\n", "STRING"),
        (b"Va\n", "UNICODE"),
        (b"g0\n", "GET"),
        (b"p0\n", "PUT"),
        (b"(d", "DICT"),
        (b"(l", "LIST"),
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x00", "EXT2"),
        (b"\x84\x01\x00\x00\x00", "EXT4"),
        (b"\x92", "NEWOBJ_EX"),
        (b"\x97", "NEXT_BUFFER"),
        (b"\x98", "READONLY_BUFFER"),
        (b"\xff", "0xff is no pickle opcode"),
        (b"\x80\x06", "pickle protocol 6"),
        (b"I123456789012345678901234567890\n", "the number `1234"),
    ] {
        let message = pickle_error(Pickle::new().op(opcode));
        assert!(message.contains(name), "{name}: {message}");
    }
}

#[test]
fn calls_of_and_states_on_the_wrong_things_are_refused() {
    let dict = |p: Pickle| p.global("collections", "OrderedDict");
    let space = |p: Pickle| p.global("argparse", "Namespace");
    let cases: Vec<(Pickle, &str)> = vec![
        (Pickle::new().op(b"K\x01)R"), "an integer is called like a function"),
        (Pickle::new().op(b"])R"), "a list of 0 is called like a function"),
        (Pickle::new().str("os.system").op(b")R"), "a string is called like a function"),
        (Pickle::new().op(b"K\x01)\x81"), "an integer is called like a function"),
        (dict(Pickle::new()).op(b"]R"), "called with a list of 0"),
        (dict(Pickle::new()).op(b"K\x01\x85R"), "unknown arguments"),
        (dict(Pickle::new()).op(b"]K\x01a\x85R"), "unknown arguments"),
        (dict(Pickle::new()).op(b"](K\x01\x85e\x85R"), "unknown arguments"),
        (space(Pickle::new()).op(b"K\x01\x85R"), "unknown arguments"),
        (Pickle::new().global("torch", "FloatStorage").op(b"K\x08\x85R"), "unknown arguments"),
        (Pickle::new().global("numpy", "ndarray").op(b"K\x08\x85R"), "unknown arguments"),
        (Pickle::new().global("_codecs", "encode").str("a").str("rot13").op(b"\x86R"), "unknown arguments"),
        (Pickle::new().global("_codecs", "encode").str("\u{100}").str("latin1").op(b"\x86R"), "fit Latin-1"),
        (Pickle::new().global("torch._utils", "_rebuild_parameter").op(b"N\x89N\x87R"), "unknown arguments"),
        (Pickle::new().op(b"]}b"), "a list of 0 is given the state a dictionary"),
        (Pickle::new().op(b"K\x01}b"), "an integer is given the state"),
        (dict(Pickle::new()).op(b"}b"), "is given the state"),
        (dict(Pickle::new()).op(b")R]b"), "given the state a list"),
        (space(Pickle::new()).op(b")\x81]b"), "given the state a list"),
        (space(Pickle::new()).op(b")\x81}K\x01K\x02sb"), "an attribute is named by an integer"),
        (Pickle::new().floats("0", &[4]).op(b"}b"), "a tensor of shape [4] is given the state"),
        (Pickle::new().op(b"K\x01Q"), "an integer refers to something outside"),
        (Pickle::new().op(b")Q"), "a reference of 0 parts"),
        (Pickle::new().op(b"(").str("module").op(b"NNNNtQ"), "a whole module"),
        (Pickle::new().op(b"(").str("storage").op(b"NNNNtQ"), "a storage of type None"),
        (Pickle::new().op(b"K\x01\x93"), "empty stack"),
        (Pickle::new().op(b"K\x01K\x02\x93"), "no string"),
        (Pickle::new().op(b"K\x01K\x02a"), "appended to an integer"),
        (Pickle::new().op(b"](K\x01u"), "a dictionary key without a value"),
        (Pickle::new().op(b"](K\x01K\x02u"), "set in a list"),
        (Pickle::new().op(b"](K\x01\x90"), "added to a list"),
        (Pickle::new().op(b"e"), "a mark is missing"),
        (Pickle::new().op(b"("), "empty stack"),
        (Pickle::new().op(b"K\x01(0"), "empty stack"),
        (Pickle::new().op(b""), "empty stack"),
        (Pickle::new().op(b"h\x05"), "memo entry 5"),
        (Pickle::new().op(b"q\x05"), "empty stack"),
        (Pickle::new().op(b"X\x02\0\0\0\xff\xfe"), "not UTF-8"),
    ];
    for (pickle, expected) in cases {
        let message = pickle_error(pickle);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn announced_lengths_are_not_believed() {
    let huge = (1u64 << 63).to_le_bytes();
    for opcode in [0x8d, 0x8e, 0x96, 0x95] {
        let message = pickle_error(Pickle::new().op(&[opcode]).op(&huge));
        assert!(message.contains("9223372036854775808") && message.contains("left"), "{message}");
    }
    for opcode in *b"XTB\x8b" {
        let message = pickle_error(Pickle::new().op(&[opcode]).op(&[0xff; 4]));
        assert!(message.contains("4294967295 bytes are announced"), "{message}");
    }
    let object = Pickle::new().floats("0", &[4]).end();
    for count in [i64::MAX, i64::MIN, -1, 5] {
        let message = error(&legacy(&object, &[("0", count, f32s(&[0.0; 4]))]));
        assert!(message.contains(&format!("it has {count} elements, the object says 4")), "{message}");
    }
    let object = Pickle::new().tensor(|p| p.storage("DoubleStorage", "0", "cpu", 1 << 62), 0, &[1], &[1]).end();
    let message = error(&legacy(&object, &[("0", 1 << 62, f32s(&[0.0; 4]))]));
    assert!(message.contains("4611686018427387904 elements of 8 bytes are announced, 16 bytes are left"), "{message}");
    let message = error(&zip(&entries(&object, &[("0", f32s(&[0.0; 4]))])));
    assert!(message.contains("archive/data/0: the entry has 16 bytes"), "{message}");
}

#[test]
fn tensors_stay_in_their_storages() {
    let with = |offset, shape: &[i64], strides: &[i64]| {
        pickle_error(Pickle::new().tensor(|p| p.storage("FloatStorage", "0", "cpu", 4), offset, shape, strides))
    };
    assert!(with(0, &[2, 2], &[2, 1]).contains("it holds a tensor of shape [2, 2]"));
    assert!(with(1, &[2, 2], &[2, 1]).contains("reaches past its storage of 4 elements"));
    assert!(with(0, &[5], &[1]).contains("reaches past"));
    assert!(with(0, &[2], &[4]).contains("reaches past"));
    assert!(with(0, &[2], &[-1]).contains("-1 where a size, stride or offset"));
    assert!(with(-1, &[2], &[1]).contains("-1 where a size, stride or offset"));
    assert!(with(0, &[-2], &[1]).contains("-2 where a size, stride or offset"));
    assert!(with(0, &[1 << 40], &[0]).contains("repeats elements"));
    assert!(with(0, &[i64::MAX, 2], &[0, 0]).contains("too many elements"));
    assert!(with(0, &[2, 2], &[i64::MAX, i64::MAX]).contains("reaches past"));
    assert!(with(i64::MAX, &[1], &[1]).contains("reaches past"));
    assert!(with(0, &[2, 2], &[1]).contains("strides"));
    assert!(with(0, &[1; 17], &[1; 17]).contains("17 dimensions"));
    let conjugated = Pickle::new().global("torch._utils", "_rebuild_tensor_v2").op(b"(");
    let conjugated = conjugated.storage("FloatStorage", "0", "cpu", 4).int(0).ints(&[4]).ints(&[1]);
    assert!(pickle_error(conjugated.op(b"\x89N}").str("conj").op(b"\x88stR")).contains("conjugated"));
}

#[test]
fn old_storage_views_are_bounded() {
    let with = |offset: i64, size: i64, shape: i64| {
        let view = |p: Pickle| {
            let p = p.op(b"(").str("storage").global("torch", "FloatStorage").str("0").str("cpu").int(4);
            p.op(b"(").str("view").int(offset).int(size).op(b"ttQ")
        };
        let object = Pickle::new().op(b"}").str("w").tensor(view, 0, &[shape], &[1]).op(b"s").end();
        exercise(&legacy(&object, &[("0", 4, f32s(&[1.0, 2.0, 3.0, 4.0]))]))
    };
    assert_eq!(with(1, 2, 2).unwrap()[0].1.clone().into_f32(), [2.0, 3.0]);
    assert!(with(1, 2, 3).unwrap_err().to_string().contains("past its storage of 2"));
    assert!(with(3, 2, 1).unwrap_err().to_string().contains("reaches past its storage of 4"));
    assert!(with(i64::MAX, i64::MAX, 1).unwrap_err().to_string().contains("reaches past"));
    assert!(with(-1, 2, 1).unwrap_err().to_string().contains("-1 where"));
}

#[test]
fn storages_must_be_there_once_and_agree() {
    let object = Pickle::new().op(b"}").str("w").floats("0", &[4]).op(b"s").end();
    let data = f32s(&[0.0; 4]);
    let two = [("0", 4, data.clone()), ("1", 4, data.clone())];
    assert!(error(&legacy(&object, &[])).contains("storage `0` is missing"));
    assert!(error(&legacy(&object, &two)).contains("no storage `1`"));
    assert!(error(&legacy(&object, &[two[0].clone(), two[0].clone()])).contains("comes twice"));
    assert!(error(&zip(&entries(&object, &[]))).contains("archive/data/0: the entry is missing"));
    let twice = |class: &str, numel| {
        let second = Pickle::new().op(b"(").floats("0", &[4]);
        pickle_error(second.tensor(|p| p.storage(class, "0", "cpu", numel), 0, &[1], &[1]).op(b"t"))
    };
    assert!(twice("FloatStorage", 4).contains("a tuple of 2"));
    assert!(twice("LongStorage", 4).contains("described in two ways"));
    assert!(twice("FloatStorage", 3).contains("described in two ways"));
    let long = pickle_error(Pickle::new().storage("FloatStorage", &"k".repeat(300), "cpu", 4));
    assert!(long.contains("name has 300 bytes"), "{long}");
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

#[test]
fn shared_values_do_not_blow_up() {
    let bytes = zip(&entries(&bomb(60, 10), &[]));
    let checkpoint = read("w.pth", &bytes).unwrap();
    assert!(checkpoint.args().is_empty());
    assert!(matches!(checkpoint.value(), Err(CheckpointError::Limit { .. })));
    let bytes = zip(&entries(&bomb(3, 2), &[]));
    assert_eq!(read("w.pth", &bytes).unwrap().args().len(), 1);
}

#[test]
fn values_that_contain_themselves_are_not_followed() {
    let p = Pickle::new().op(b"}").str("args").op(b"}").str("loop").op(b"]q\x00h\x00as").str("n").op(b"K\x05ss");
    let bytes = zip(&entries(&p.end(), &[]));
    let checkpoint = read("w.pth", &bytes).unwrap();
    assert_eq!(checkpoint.args(), [("n".to_owned(), Value::Int(5))]);
    assert!(matches!(checkpoint.value(), Err(CheckpointError::Limit { .. })));
    // A dictionary that is its own state, and a Namespace that is.
    let own = |module, name| error(&zip(&entries(&Pickle::new().global(module, name).op(b")R2b").end(), &[])));
    assert!(own("collections", "OrderedDict").contains("it holds a dictionary of 0 entries"));
    assert!(own("argparse", "Namespace").contains("a Namespace is given the state a Namespace"));
}

#[test]
fn deep_nesting_is_bounded() {
    let mut p = Pickle::new().op(b")");
    for _ in 0..200_000 {
        p = p.op(&[0x85]);
    }
    let bytes = zip(&entries(&p.end(), &[]));
    assert!(matches!(read("w.pth", &bytes).unwrap().value(), Err(CheckpointError::Limit { .. })));
}

#[test]
fn copies_are_charged() {
    // 20,000 objects in a list, which is turned into a dictionary or a set again and again.
    let mut pairs = Pickle::new().op(b"]q\x00(");
    for _ in 0..20_000 {
        pairs = pairs.op(b"K\x01K\x01\x86");
    }
    for (module, name) in [("collections", "OrderedDict"), ("builtins", "set")] {
        let mut p = pairs.clone().op(b"e").global(module, name).op(b"q\x01");
        for _ in 0..1000 {
            p = p.op(b"h\x01h\x00\x85R");
        }
        let message = pickle_error(p);
        assert!(message.contains("more than 1048576 objects"), "{message}");
    }
    let mut p = Pickle::new().str(&"x".repeat(10_000)).op(b"q\x00").str("latin1").op(b"q\x01");
    p = p.global("_codecs", "encode").op(b"q\x02");
    for _ in 0..100 {
        p = p.op(b"h\x02h\x00h\x01\x86R");
    }
    assert!(pickle_error(p).contains("decodes the same bytes"));
    assert!(pickle_error(Pickle::new().op(&vec![b'('; (1 << 20) + 1])).contains("marks"));
    assert!(pickle_error(Pickle::new().op(b"N").op(&vec![b'2'; 1 << 20])).contains("stacks more"));
    assert!(pickle_error(Pickle::new().op(&vec![b']'; 1 << 20])).contains("objects"));
}

#[test]
fn weights_that_share_a_storage_are_bounded() {
    let object = |names: usize| {
        let mut p = Pickle::new().op(b"}").str("w").floats("0", &[4096]).op(b"q\x00s");
        for name in 0..names {
            p = p.str(&format!("{name}")).op(b"h\x00s");
        }
        p.end()
    };
    let file = |names| zip(&entries(&object(names), &[("0", f32s(&[0.5; 4096]))]));
    assert_eq!(exercise(&file(2)).unwrap().len(), 3);
    let message = error(&file(100));
    assert!(message.contains("share storages"), "{message}");
    // The last of many equal names counts, so these take no more than one.
    let mut p = Pickle::new().op(b"}").str("w").op(b"q\x01").floats("0", &[4096]).op(b"q\x00s");
    for _ in 0..100 {
        p = p.op(b"h\x01h\x00s");
    }
    assert_eq!(exercise(&zip(&entries(&p.end(), &[("0", f32s(&[0.5; 4096]))]))).unwrap().len(), 1);
    let named = Pickle::new().op(b"}").str(&"n".repeat(2000)).floats("0", &[4]).op(b"s");
    assert!(pickle_error(named).contains("name has 2000 bytes"));
}

#[test]
fn archives_that_lie_are_refused() {
    let object = Pickle::new().op(b"}").str("w").floats("0", &[4]).op(b"s").end();
    let sound = entries(&object, &[("0", f32s(&[0.0; 4]))]);
    assert_eq!(exercise(&zip(&sound)).unwrap().len(), 1);
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut all = sound.clone();
        change(&mut all);
        error(&zip(&all))
    };
    let second = |name: &'static str| with(&|all| all.push(Entry::new(name, &object)));
    assert!(second("archive/data.pkl").contains("same name"));
    assert!(second("other/data.pkl").contains("two pickles, `archive/data.pkl` and `other/data.pkl`"));
    assert!(second("archive/constants.pkl").contains("TorchScript"));
    assert!(second("archive/code/__torch__.py").contains("TorchScript"));
    assert!(with(&|all| all.truncate(0)).contains("no `<name>/data.pkl`"));
    assert!(with(&|all| drop(all.remove(0))).contains("no `<name>/data.pkl`"));
    assert!(with(&|all| drop(all.remove(1))).contains("archive/data/0: the entry is missing"));
    let deflated = with(&|all| all[1].method = 8);
    assert!(deflated.contains("archive/data/0: the entry is compressed"), "{deflated}");
    assert!(with(&|all| all[1].flags = 1).contains("encrypted"));
    let larger = with(&|all| all[1].size = 17);
    assert!(larger.contains("a stored entry of 17 bytes takes 16"), "{larger}");
    for size in [17, 0x7fff_ffff, 0xffff_fffe] {
        let message = with(&|all| (all[1].size, all[1].stored) = (size, size));
        assert!(message.contains("zip archive") || message.contains("archive/data/0"), "{message}");
    }
    let damaged = with(&|all| all[1].data[3] ^= 1);
    assert!(damaged.contains("archive/data/0: the bytes have the CRC-32"), "{damaged}");
    assert!(with(&|all| all[0].crc32 ^= 1).contains("archive/data.pkl: the bytes have the CRC-32"));
    let big = with(&|all| all.push(Entry::new("archive/byteorder", b"big")));
    assert!(big.contains("archive/byteorder says `big`") && big.contains("little-endian machine"), "{big}");
}

#[test]
fn damaged_storages_matter_only_when_they_are_read() {
    let storages: Vec<_> = sample_storages().into_iter().map(|(key, _, data)| (key, data)).collect();
    let mut all = entries(&sample_object(), &storages);
    all[4].data[0] ^= 1;
    let bytes = zip(&all);
    let checkpoint = read("w.pth", &bytes).unwrap();
    assert_eq!(checkpoint.state_dict().unwrap().len(), 3);
    let Value::Dict(root) = checkpoint.value().unwrap() else { panic!("no dictionary") };
    let Value::Dict(optimizer) = &root[1].1 else { panic!("no optimizer") };
    let Value::Tensor(state) = &optimizer[0].1 else { panic!("no tensor") };
    assert!(checkpoint.tensor(state).unwrap_err().to_string().contains("archive/data/3"));
}

#[test]
fn tensors_of_another_checkpoint_do_no_harm() {
    let bytes = sample_zip();
    let Value::Dict(root) = read("w.pth", &bytes).unwrap().value().unwrap() else { panic!("no dictionary") };
    let Value::Dict(model) = &root[0].1 else { panic!("no model") };
    let small = zip(&entries(&Pickle::new().floats("0", &[1]).end(), &[("0", f32s(&[1.0]))]));
    let other = read("v.pth", &small).unwrap();
    for (_, value) in model {
        let Value::Tensor(tensor) = value else { panic!("no tensor") };
        assert!(other.tensor(tensor).is_err());
    }
}

#[test]
fn other_files_are_told_apart() {
    assert!(error(b"").contains("empty"));
    assert!(error(b"<!DOCTYPE html>").contains("web page"));
    assert!(error(b"\x1f\x8b\x08").contains("gzip"));
    assert!(error(b"\x93NUMPY\x01").contains("numpy array"));
    assert!(error(b"\x10\0\0\0\0\0\0\0{\"a\":1}").contains("safetensors"));
    assert!(error(b"version https://git-lfs.github.com/spec/v1").contains("LFS"));
    assert!(error(&[&[b'x'; 257][..], b"ustar"].concat()).contains("tar archive"));
    assert!(error(&Pickle::new().op(b"}").end()).contains("not one of torch.save"));
    assert!(error(b"hello").contains("neither"));
    assert!(error(b"PK\x05\x06").contains("zip archive"));
    let version = sample_legacy().windows(2).position(|w| w == b"\xe9\x03").unwrap();
    let mut other = sample_legacy();
    other[version] = 0xea;
    assert!(error(&other).contains("protocol version 1002"));
}

#[test]
fn every_truncation_is_an_error() {
    for sample in [sample_zip(), sample_legacy(), sample_numpy()] {
        assert!(exercise(&sample).is_ok());
        for length in 0..sample.len() {
            assert!(exercise(&sample[..length]).is_err(), "{length} of {} bytes", sample.len());
        }
    }
    let object = sample_object();
    let storages: Vec<_> = sample_storages().into_iter().map(|(key, _, data)| (key, data)).collect();
    for length in 0..object.len() {
        let message = error(&zip(&entries(&object[..length], &storages)));
        assert!(message.contains("archive/data.pkl"), "{length}: {message}");
    }
}

/// One change of a file.
#[derive(Debug, Clone)]
enum Mutation {
    Flip { at: prop::sample::Index, bit: u8 },
    Set { at: prop::sample::Index, byte: u8 },
    Truncate { at: prop::sample::Index },
    Delete { at: prop::sample::Index, length: usize },
    Splice { from: prop::sample::Index, to: prop::sample::Index, length: usize },
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set { at, byte }),
        index().prop_map(|at| Mutation::Truncate { at }),
        (index(), 1usize..20).prop_map(|(at, length)| Mutation::Delete { at, length }),
        (index(), index(), 1usize..40).prop_map(|(from, to, length)| Mutation::Splice { from, to, length }),
        (index(), prop::collection::vec(any::<u8>(), 1..10)).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
    ]
}

fn apply(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip { at, bit } => *at.get_mut(bytes) ^= 1 << bit,
        Mutation::Set { at, byte } => *at.get_mut(bytes) = byte,
        Mutation::Truncate { at } => bytes.truncate(at.index(bytes.len())),
        Mutation::Delete { at, length } => {
            let start = at.index(bytes.len());
            bytes.drain(start..(start + length).min(bytes.len()));
        }
        Mutation::Splice { from, to, length } => {
            let start = from.index(bytes.len());
            let piece = bytes[start..(start + length).min(bytes.len())].to_vec();
            let to = to.index(bytes.len());
            bytes.splice(to..to, piece);
        }
        Mutation::Insert { at, bytes: piece } => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Damaged files are refused or read, never a panic; what is read has the shape it says.
    #[test]
    fn damaged_files_do_not_panic(which in 0usize..3, changes in prop::collection::vec(mutation(), 1..4)) {
        let mut bytes = [sample_zip, sample_legacy, sample_numpy][which]();
        changes.into_iter().for_each(|change| apply(&mut bytes, change));
        for (name, tensor) in exercise(&bytes).unwrap_or_default() {
            prop_assert!(!name.is_empty() || tensor.shape.len() <= 16);
            let numel: usize = tensor.shape.iter().product();
            prop_assert_eq!(tensor.into_f32().len(), numel);
        }
    }

    /// The same for the pickle alone, behind a checksum that holds.
    #[test]
    fn damaged_pickles_do_not_panic(changes in prop::collection::vec(mutation(), 1..6)) {
        let mut object = sample_object();
        changes.into_iter().for_each(|change| apply(&mut object, change));
        let storages: Vec<_> = sample_storages().into_iter().map(|(key, _, data)| (key, data)).collect();
        for (_, tensor) in exercise(&zip(&entries(&object, &storages))).unwrap_or_default() {
            let numel: usize = tensor.shape.iter().product();
            prop_assert_eq!(tensor.into_f32().len(), numel);
        }
    }

    /// Arbitrary programs of known opcodes.
    #[test]
    fn arbitrary_programs_do_not_panic(ops in prop::collection::vec(0usize..OPS.len(), 0..60)) {
        let program = ops.into_iter().fold(Pickle::new(), |p, op| p.op(OPS[op])).end();
        let bytes = zip(&entries(&program, &[("0", f32s(&[0.0; 4]))]));
        let _ = exercise(&bytes);
    }
}

const OPS: &[&[u8]] = &[
    b"N",
    b"\x88",
    b"\x89",
    b"K\x00",
    b"K\x01",
    b"K\x04",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"X\x01\0\0\x000",
    b"X\x03\0\0\0cpu",
    b"X\x07\0\0\0storage",
    b"X\x05\0\0\0model",
    b"X\x04\0\0\0args",
    b"C\x04\0\0\0\0",
    b"X\x01\0\0\0<",
    b"X\x02\0\0\0f4",
    b"X\x06\0\0\0latin1",
    b"(",
    b"(",
    b"t",
    b")",
    b"\x85",
    b"\x86",
    b"\x87",
    b"]",
    b"a",
    b"e",
    b"}",
    b"s",
    b"u",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"0",
    b"1",
    b"2",
    b"q\x00",
    b"q\x01",
    b"h\x00",
    b"h\x01",
    b"R",
    b"R",
    b"R",
    b"\x81",
    b"b",
    b"b",
    b"Q",
    b"ccollections\nOrderedDict\n",
    b"cargparse\nNamespace\n",
    b"ctorch\nSize\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"c_codecs\nencode\n",
    b"cbuiltins\nset\n",
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ",
];

/// Writes the samples as seeds of the fuzz target: `cargo test -p vidsieve-model fuzz_seeds -- --ignored`.
#[test]
#[ignore = "writes files under fuzz/corpus"]
fn fuzz_seeds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/checkpoint");
    fs::create_dir_all(&folder).unwrap();
    let bomb = zip(&entries(&bomb(4, 4), &[]));
    for (name, bytes) in [("zip", sample_zip()), ("legacy", sample_legacy()), ("numpy", sample_numpy()), ("bomb", bomb)]
    {
        fs::write(folder.join(name), bytes).unwrap();
    }
}
