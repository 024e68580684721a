//! The hash of a whole file.

use std::fs::File;
use std::io;
use std::path::Path;

/// Returns BLAKE3 of all bytes of a file.
///
/// # Errors
/// The system's error for a file that cannot be read to its end.
pub fn whole_hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
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
        assert!(whole_hash(&folder.path().join("none")).is_err());
    }
}
