//! The hash of a whole file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Returns BLAKE3 of all bytes of a file.
///
/// # Errors
/// The system's error for a file that cannot be read to its end.
pub fn whole_hash(path: &Path) -> io::Result<[u8; 32]> {
    whole_hash_while(path, &|| true)?.ok_or_else(|| io::ErrorKind::Interrupted.into())
}

/// Returns BLAKE3 of all bytes of a file; `None` if it was stopped. `goes_on` is asked after each piece that was read.
///
/// # Errors
/// As [`whole_hash`].
pub fn whole_hash_while(path: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<Option<[u8; 32]>> {
    let (mut file, mut hasher, mut piece) = (File::open(path)?, blake3::Hasher::new(), vec![0; PIECE]);
    while goes_on() {
        match file.read(&mut piece) {
            Ok(0) => return Ok(Some(*hasher.finalize().as_bytes())),
            Ok(read) => drop(hasher.update(&piece[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_byte_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut bytes = vec![7u8; 3 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let before = whole_hash(&path).unwrap();
        assert_eq!(before, *blake3::hash(&bytes).as_bytes());
        bytes[(2 << 20) + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(whole_hash(&path).unwrap(), before);
        assert_eq!(whole_hash_while(&path, &|| false).unwrap(), None);
        assert!(whole_hash(&folder.path().join("none")).is_err());
    }
}
