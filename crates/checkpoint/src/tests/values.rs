//! Sound files: weights, settings and plain values.

use super::*;

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
fn bare_pickles_of_every_protocol() {
    let expected = || {
        let text = |t: &str| Value::Str(t.into());
        Value::Dict(vec![
            (text("q"), Value::List(vec![text("a"), text("b"), text("a")])),
            (Value::Int(7), Value::Tuple(vec![Value::Float(0.5), Value::Int(-3), Value::None])),
        ])
    };
    // pickle.dumps({'q': ['a', 'b', 'a'], 7: (0.5, -3, None)}, protocol) of Python 3, and protocol 0 of Python 2.
    let zero = b"(dp0\nVq\np1\n(lp2\nVa\np3\naVb\np4\nag3\nasI7\n(F0.5\nI-3\nNtp5\ns.";
    let zero_python2 = b"(dp0\nS'q'\np1\n(lp2\nS'a'\np3\naS'b'\np4\nag3\nasI7\n(F0.5\nI-3\nNtp5\ns.";
    let two = b"\x80\x02}q\x00(X\x01\0\0\0qq\x01]q\x02(X\x01\0\0\0aq\x03X\x01\0\0\0bq\x04h\x03e\
        K\x07G?\xe0\0\0\0\0\0\0J\xfd\xff\xff\xffN\x87q\x05u.";
    for bytes in [&zero[..], &zero_python2[..], &two[..]] {
        let pickle = read_pickle("a.pickle", bytes).unwrap();
        assert_eq!((pickle.format(), pickle.value().unwrap()), (Format::Pickle, expected()));
        // What follows the pickle is ignored, a cut is noticed.
        assert_eq!(read_pickle("a.pickle", &[bytes, b"more"].concat()).unwrap().value().unwrap(), expected());
        for cut in 0..bytes.len() {
            let message = read_pickle("a.pickle", &bytes[..cut]).unwrap_err().to_string();
            assert!(message.starts_with("a.pickle: pickle"), "{message}");
        }
    }
}

#[test]
fn bare_pickles_hold_their_numbers_in_full() {
    let p = Pickle::new().global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
    let p = p.op(b"K\x00\x85C\x01b\x87R(K\x01").ints(&[2]).global("numpy", "dtype").str("f8");
    let mut object = p.op(b"\x89\x88\x87R(K\x03").str("<").op(b"tb\x89C\x10");
    for value in [0.1f64, -1e-300] {
        object = object.op(&value.to_le_bytes());
    }
    let bytes = object.op(b"tb").end();
    let pickle = read_pickle("a.pickle", &bytes).unwrap();
    let Value::Tensor(array) = pickle.value().unwrap() else { panic!("no array") };
    assert_eq!(pickle.tensor_f64(&array).unwrap(), [0.1, -1e-300]);
    assert_eq!(pickle.tensor(&array).unwrap().into_f32(), [0.1f32, 0.0]);
    // A tensor whose data lie elsewhere is no plain value.
    let outside = Pickle::new().floats("0", &[4]).end();
    let message = read_pickle("a.pickle", &outside).unwrap_err().to_string();
    assert!(message.contains("the storage `0` outside of the pickle"), "{message}");
    let hostile = b"cos\nsystem\n(S'true'\ntR.";
    let message = read_pickle("a.pickle", hostile).unwrap_err().to_string();
    assert!(message.contains("refused to load `os.system`"), "{message}");
}
