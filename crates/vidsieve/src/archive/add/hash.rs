//! Hashes of whole files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use vidsieve_progress::CancelToken;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Returns BLAKE3 of all bytes of a file; `None` if the operation was stopped.
pub(super) fn hash_file(path: &Path, stop: &CancelToken) -> io::Result<Option<[u8; 32]>> {
    let mut file = File::open(path)?;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; PIECE]);
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(Some(hasher.finalize().into())),
            Ok(read) => drop(hasher.update(&piece[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_byte_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let hash = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            hash_file(&path, &CancelToken::new()).unwrap().unwrap()
        };
        // The first bytes of BLAKE3 of nothing, by its specification.
        assert_eq!(hash(b"")[..4], [0xaf, 0x13, 0x49, 0xb9]);
        let mut large = vec![7u8; 3 * PIECE + 5];
        let before = hash(&large);
        for at in [0, PIECE + 77_777, 3 * PIECE + 4] {
            large[at] ^= 1;
            assert_ne!(hash(&large), before, "byte {at}");
            large[at] ^= 1;
        }
        assert_eq!(hash(&large), before);
        let stop = CancelToken::new();
        stop.cancel();
        assert_eq!(hash_file(&path, &stop).unwrap(), None);
        assert!(hash_file(&folder.path().join("none"), &stop).is_err());
    }
}
