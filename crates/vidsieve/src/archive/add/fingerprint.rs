//! Fingerprints of files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use vidsieve_index::store::Source;
use xxhash_rust::xxh3::Xxh3Default;

/// Files up to this size have a fingerprint of all their bytes.
pub(super) const WHOLE: u64 = 1 << 20;

/// Returns XXH3 of a file's content: all of a small one; of a large one its ends and sixteen pieces between.
pub(super) fn fingerprint(path: &Path, size: u64) -> io::Result<[u8; 16]> {
    const PIECE: u64 = 32 << 10;
    let mut file = File::open(path)?;
    let mut hash = Xxh3Default::new();
    hash.update(&size.to_le_bytes());
    let mut piece = Vec::new();
    let mut add = |file: &mut File, length: u64| -> io::Result<()> {
        piece.clear();
        file.take(length).read_to_end(&mut piece)?;
        hash.update(&piece);
        Ok(())
    };
    if size <= WHOLE {
        add(&mut file, WHOLE)?;
    } else {
        for k in 0..=17 {
            file.seek(SeekFrom::Start((size - PIECE) / 17 * k))?;
            add(&mut file, PIECE)?;
        }
        file.seek(SeekFrom::Start(size - PIECE))?;
        add(&mut file, PIECE)?;
    }
    Ok(hash.digest128().to_le_bytes())
}

/// Returns whether a file has the content that an index has of it; `false` if the index has no fingerprint.
pub(crate) fn has_indexed_content(path: &Path, source: &Source) -> io::Result<bool> {
    let size = path.metadata()?.len();
    Ok(size == source.size && Some(fingerprint(path, size)?) == source.fingerprint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn content_counts_and_ends_of_large_files_too() {
        let folder = tempfile::tempdir().unwrap();
        let print = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            fingerprint(&path, bytes.len() as u64).unwrap()
        };
        assert_eq!(print("a", b"same"), print("b", b"same"));
        assert_ne!(print("a", b"same"), print("b", b"sane"));
        let mut large = vec![7u8; 3 << 20];
        let before = print("c", &large);
        assert_eq!(print("d", &large), before);
        *large.last_mut().unwrap() = 8;
        assert_ne!(print("d", &large), before);
    }
}
