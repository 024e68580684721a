//! Small files that ask for much memory or work.

use super::*;

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
