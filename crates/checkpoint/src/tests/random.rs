//! Random damage and random programs: nothing panics, hangs or takes much memory.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

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
        let _ = read_pickle("w.pickle", &program).map(|pickle| pickle.value());
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
    b"F1.5\n",
    b"S'a'\n",
    b"Vb\n",
    b"l",
    b"d",
    b"p0\n",
    b"g0\n",
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

/// Writes the samples as seeds of the fuzz target: `cargo test -p vidsieve-checkpoint fuzz_seeds -- --ignored`.
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
