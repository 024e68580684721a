//! Pickles that name, call or claim the wrong things.

use super::*;

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
        (b"Fx\n", "the float `x`"),
        (b"S'a\n", "a string without quotes"),
        (b"S'a\\n'\n", "a string with escapes"),
        (b"Va\\u0041\n", "a string with escapes"),
        (b"g0\n", "memo entry 0 is used before it is set"),
        (b"Npx\n", "the memo entry `x`"),
        (b"(Nd", "a dictionary key without a value"),
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
