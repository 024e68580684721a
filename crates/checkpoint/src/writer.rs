//! Writes small checkpoints for the tests, sound ones and lying ones.

/// A pickle under construction. Methods append opcodes; [`Pickle::end`] stops it.
#[derive(Debug, Clone)]
pub(crate) struct Pickle(Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub(crate) fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.op(b".").0
    }

    pub(crate) fn str(self, text: &str) -> Self {
        self.op(b"X").op(&u32::try_from(text.len()).unwrap().to_le_bytes()).op(text.as_bytes())
    }

    pub(crate) fn int(self, value: i64) -> Self {
        self.op(&[0x8a, 8]).op(&value.to_le_bytes())
    }

    pub(crate) fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.op(b"("), |p, &v| p.int(v)).op(b"t")
    }

    pub(crate) fn float(self, value: f64) -> Self {
        self.op(b"G").op(&value.to_be_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.op(b"c").op(module.as_bytes()).op(b"\n").op(name.as_bytes()).op(b"\n")
    }

    /// `('storage', torch.<class>, key, location, numel)`, resolved.
    pub(crate) fn storage(self, class: &str, key: &str, location: &str, numel: i64) -> Self {
        self.op(b"(").str("storage").global("torch", class).str(key).str(location).int(numel).op(b"tQ")
    }

    /// `_rebuild_tensor_v2` over the storage that `storage` appends.
    pub(crate) fn tensor(
        self,
        storage: impl FnOnce(Self) -> Self,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Self {
        storage(self.global("torch._utils", "_rebuild_tensor_v2").op(b"("))
            .int(offset)
            .ints(shape)
            .ints(strides)
            .op(&[0x89])
            .global("collections", "OrderedDict")
            .op(b")RtR")
    }

    /// A row-major f32 tensor that is the whole storage `key`.
    pub(crate) fn floats(self, key: &str, shape: &[i64]) -> Self {
        let strides: Vec<i64> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        let numel = shape.iter().product();
        self.tensor(|p| p.storage("FloatStorage", key, "cpu", numel), 0, shape, &strides)
    }
}

/// f32 values as bytes.
pub(crate) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A zip entry, and the lies its headers tell.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) size: u32,
    pub(crate) stored: u32,
    pub(crate) crc32: u32,
    pub(crate) flags: u16,
}

impl Entry {
    pub(crate) fn new(name: &str, data: &[u8]) -> Self {
        let size = u32::try_from(data.len()).unwrap();
        let crc32 = crc32fast::hash(data);
        Self { name: name.to_owned(), data: data.to_vec(), method: 0, size, stored: size, crc32, flags: 0 }
    }

    /// The fields that both headers share, from the version on.
    fn fields(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for half in [20, self.flags, self.method, 0, 0x21] {
            out.extend(half.to_le_bytes());
        }
        for word in [self.crc32, self.stored, self.size] {
            out.extend(word.to_le_bytes());
        }
        out.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out
    }
}

/// An archive of entries, as they say.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let start = u32::try_from(out.len()).unwrap();
        out.extend(b"PK\x03\x04");
        out.extend(entry.fields());
        out.extend(entry.name.as_bytes());
        out.extend(&entry.data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(entry.fields());
        // Comment length, disk, internal and external attributes.
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let (start, count) = (u32::try_from(out.len()).unwrap(), u16::try_from(entries.len()).unwrap());
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// Entries of a checkpoint archive: the pickle, and the storages under their keys.
pub(crate) fn entries(pickle: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<Entry> {
    let data = storages.iter().map(|(key, data)| Entry::new(&format!("archive/data/{key}"), data));
    std::iter::once(Entry::new("archive/data.pkl", pickle)).chain(data).collect()
}

/// A checkpoint in the stream layout; storages are key, element count and bytes.
pub(crate) fn legacy(object: &[u8], storages: &[(&str, i64, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    out.extend(object);
    let keys = storages.iter().fold(Pickle::new().op(b"]("), |p, (key, ..)| p.str(key)).op(b"e").end();
    out.extend(keys);
    for (_, count, data) in storages {
        out.extend(count.to_le_bytes());
        out.extend(data);
    }
    out
}

/// The object of the sample checkpoints: two weights (one transposed, on a GPU), a counter, optimiser state, settings.
pub(crate) fn sample_object() -> Vec<u8> {
    Pickle::new()
        .op(b"}(")
        .str("model")
        .global("collections", "OrderedDict")
        .op(b")R(")
        .str("conv.weight")
        .tensor(|p| p.storage("FloatStorage", "0", "cuda:0", 6), 0, &[3, 2], &[1, 3])
        .str("conv.bias")
        .tensor(|p| p.storage("HalfStorage", "1", "cpu", 3), 1, &[2], &[1])
        .str("steps")
        .tensor(|p| p.storage("LongStorage", "2", "cpu", 1), 0, &[], &[])
        .op(b"u}")
        .str("_metadata")
        .op(b"}sb")
        .str("optimizer")
        .op(b"}")
        .int(0)
        .floats("3", &[2])
        .op(b"s")
        .str("args")
        .global("argparse", "Namespace")
        .op(b")\x81}(")
        .str("dims")
        .op(b"M\x00\x02")
        .str("attention")
        .op(b"\x88")
        .str("learning_rate")
        .float(1e-4)
        .str("teacher")
        .op(b"N")
        .str("student_type")
        .str("fg")
        .str("layers")
        .op(b"]K\x01aK\x02a")
        .op(b"ubu")
        .end()
}

/// Storages of [`sample_object`]: key, elements, bytes.
pub(crate) fn sample_storages() -> Vec<(&'static str, i64, Vec<u8>)> {
    let halves: Vec<u8> = [9.0f32, 0.5, -2.0].iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    vec![
        ("0", 6, f32s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        ("1", 3, halves),
        ("2", 1, 77i64.to_le_bytes().to_vec()),
        ("3", 2, f32s(&[0.25, 0.75])),
    ]
}

/// The sample as an archive.
pub(crate) fn sample_zip() -> Vec<u8> {
    let storages: Vec<_> = sample_storages().into_iter().map(|(key, _, data)| (key, data)).collect();
    let mut all = entries(&sample_object(), &storages);
    all.push(Entry::new("archive/byteorder", b"little"));
    all.push(Entry::new("archive/version", b"3\n"));
    zip(&all)
}

/// The sample as a stream.
pub(crate) fn sample_legacy() -> Vec<u8> {
    legacy(&sample_object(), &sample_storages())
}

/// `{'proj': numpy array [2, 3] column-major, 'scale': numpy float64}` as numpy pickles them.
pub(crate) fn sample_numpy() -> Vec<u8> {
    let latin1 = |p: Pickle, bytes: &[u8]| {
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        p.global("_codecs", "encode").str(&text).str("latin1").op(b"\x86R")
    };
    let dtype = |p: Pickle, code: &str| {
        p.global("numpy", "dtype")
            .str(code)
            .op(b"\x89\x88\x87R(K\x03")
            .str("<")
            .op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    };
    let p = Pickle::new().op(b"}(").str("proj");
    let p = p.global("numpy._core.multiarray", "_reconstruct").global("numpy", "ndarray").op(b"K\x00\x85");
    let p = latin1(p, b"b").op(b"\x87R(K\x01").ints(&[2, 3]);
    let doubles: Vec<u8> = [1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let p = latin1(dtype(p, "f8").op(b"\x88"), &doubles).op(b"tb");
    let p = p.str("scale").global("numpy.core.multiarray", "scalar");
    let p = latin1(dtype(p, "f8"), &0.1f64.to_le_bytes()).op(b"\x86R");
    zip(&entries(&p.op(b"u").end(), &[]))
}
