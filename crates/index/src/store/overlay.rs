//! A database that is read from its file and written to memory alone, so that a check changes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes of a piece that is kept in memory.
const PIECE: u64 = 4096;

/// The file, and what was written over it.
#[derive(Debug, Clone)]
pub(super) struct Overlay(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of the file that count.
    file_length: u64,
    length: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let state = State { file, file_length: length, length, pieces: BTreeMap::new() };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads bytes; those behind the file are 0.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let from_file = self.file_length.saturating_sub(offset).min(out.len() as u64);
        if from_file > 0 {
            self.file.seek(SeekFrom::Start(offset))?;
            // At most the length of `out`.
            #[allow(clippy::cast_possible_truncation)]
            self.file.read_exact(&mut out[..from_file as usize])?;
        }
        let end = offset + out.len() as u64;
        for (&at, piece) in self.pieces.range(offset.saturating_sub(PIECE - 1)..end) {
            let (start, stop) = (at.max(offset), (at + PIECE).min(end));
            if start < stop {
                #[allow(clippy::cast_possible_truncation)]
                let [to, from, length] = [start - offset, start - at, stop - start].map(|n| n as usize);
                out[to..to + length].copy_from_slice(&piece[from..from + length]);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut at = offset;
        while at < offset + data.len() as u64 {
            let piece = at / PIECE * PIECE;
            let stop = (piece + PIECE).min(offset + data.len() as u64);
            let mut bytes = vec![0; PIECE as usize];
            self.read(piece, &mut bytes)?;
            #[allow(clippy::cast_possible_truncation)]
            let [to, from, length] = [at - piece, at - offset, stop - at].map(|n| n as usize);
            bytes[to..to + length].copy_from_slice(&data[from..from + length]);
            self.pieces.insert(piece, bytes);
            at = stop;
        }
        Ok(())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if offset.saturating_add(out.len() as u64) > state.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if length < state.length {
            // What is cut off is 0 if the file grows again.
            let first = length.next_multiple_of(PIECE);
            state.pieces.split_off(&first);
            state.file_length = state.file_length.min(length);
            if !length.is_multiple_of(PIECE)
                && let Some(piece) = state.pieces.get_mut(&(length / PIECE * PIECE))
            {
                #[allow(clippy::cast_possible_truncation)]
                piece[(length % PIECE) as usize..].fill(0);
            }
        }
        state.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let bytes: Vec<u8> = (0..10_000u32).map(|n| n.to_le_bytes()[0]).collect();
        std::fs::write(&path, &bytes).unwrap();
        let overlay = Overlay::open(&path).unwrap();
        let mut expected = bytes.clone();
        let mut state = 5u32;
        for _ in 0..300 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (kind, at, size) = (state >> 30, (state >> 8) as usize % 20_000, (state >> 20) as usize % 900);
            if kind == 0 {
                overlay.set_len(at as u64).unwrap();
                expected.resize(at, 0);
            } else if at + size <= expected.len() {
                overlay.write(at as u64, &vec![state.to_le_bytes()[1]; size]).unwrap();
                expected[at..at + size].fill(state.to_le_bytes()[1]);
            }
            let mut all = vec![1; expected.len()];
            overlay.read(0, &mut all).unwrap();
            assert!(all == expected && overlay.len().unwrap() == expected.len() as u64);
        }
        assert!(overlay.read(1, &mut vec![0; expected.len()]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
