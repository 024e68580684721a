//! Archives and streams that are damaged, foreign or cut short.

use super::*;

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
