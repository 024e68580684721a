//! What a file is by its first bytes.
//!
//! FFmpeg recognises more; asking it costs a process a file. What is missed here can be named.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What a file holds by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileContent {
    /// A container or raw stream of video, or a picture that moves.
    Video,
    /// A picture that does not move.
    Still,
    /// Anything else.
    Other,
}

/// Bytes that are read of a file.
const HEAD: u64 = 64 << 10;

/// Looks at the first bytes of a file; `None` if it cannot be read.
pub(crate) fn read_content(path: &Path) -> Option<FileContent> {
    let mut file = File::open(path).ok()?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).ok()?;
    let found = content_of(&head);
    if found != FileContent::Still {
        return Some(found);
    }
    let moves = if head.starts_with(b"GIF8") {
        has_second_image(file)
    } else if head.starts_with(b"\x89PNG") {
        has_animation_chunk(file)
    } else {
        Ok(false)
    };
    // A picture that ends early has not shown that it moves.
    Some(if moves.unwrap_or(false) { FileContent::Video } else { FileContent::Still })
}

/// Bytes with which videos begin.
const STARTS: [&[u8]; 27] = [
    b"\x1a\x45\xdf\xa3",                 // Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", // ASF, WMV
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11", // WTV
    b"FLV\x01",
    b"\x00\x00\x01\xba",         // MPEG program stream
    b"\x00\x00\x01\xb3",         // MPEG-1 and -2 video
    b"\x00\x00\x01\xb0",         // MPEG-4 part 2
    b"\x00\x00\x01\x0f",         // VC-1
    b"\x00\x00\x00\x00\x01\xbc", // GXF
    b".RMF",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", // MXF
    b"\x1f\x07\x00",                                 // DV
    b"DKIF",                                         // IVF
    b"YUV4MPEG2",
    b"FWS",
    b"CWS",
    b"ZWS",
    b"nut/multimedia container",
    b"NSVf",
    b"NSVs",
    b"BIK",
    b"KB2",
    b"SMK2",
    b"SMK4",
    b"DHAV",
    b"\x84\x10\xff\xff\xff\xff", // RoQ
    b"THP\0",
];

fn content_of(head: &[u8]) -> FileContent {
    let at = |from: usize, bytes: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(bytes));
    let video = |is: bool| if is { FileContent::Video } else { FileContent::Other };
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") || head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return FileContent::Still;
    }
    if head.starts_with(b"RIFF") || head.starts_with(b"RIFX") {
        return match head.get(8..12) {
            Some(b"AVI " | b"AVIX" | b"AMV " | b"CDXA") => FileContent::Video,
            // The extended header has a bit for pictures that move.
            Some(b"WEBP") if at(12, b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0) => FileContent::Video,
            Some(b"WEBP") => FileContent::Still,
            _ => FileContent::Other,
        };
    }
    if head.starts_with(b"OggS") {
        let names: [&[u8]; 5] = [b"\x80theora", b"\x01video", b"OVP80", b"BBCD\0", b"\x80daala"];
        return video(names.iter().any(|name| head[..head.len().min(4096)].windows(name.len()).any(|w| w == *name)));
    }
    match head.get(4..8) {
        Some(b"ftyp") => return iso_content(head),
        Some(b"moov" | b"mdat" | b"wide" | b"skip" | b"free" | b"pnot" | b"moof" | b"styp") => {
            return FileContent::Video;
        }
        // FLIC.
        Some([0x11 | 0x12, 0xaf, ..]) => return FileContent::Video,
        _ => {}
    }
    video(STARTS.iter().any(|start| head.starts_with(start)) || is_transport_stream(head) || is_annex_b(head))
}

/// Files that begin with `ftyp`: brands say whether they are sound, still pictures or videos.
fn iso_content(head: &[u8]) -> FileContent {
    let size = head.get(..4).and_then(|b| b.try_into().ok()).map_or(0, |b| u32::from_be_bytes(b) as usize);
    let brands = head.get(8..size.clamp(12, head.len().max(12))).unwrap_or_default();
    let (brands, _) = brands.as_chunks::<4>();
    let has = |names: &[&[u8; 4]]| brands.iter().enumerate().any(|(k, b)| k != 1 && names.contains(&b));
    // The second word is a version.
    let major = |names: &[&[u8; 4]]| brands.first().is_some_and(|b| names.contains(&b));
    if major(&[b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "]) {
        FileContent::Other
    } else if major(&[b"crx "]) {
        FileContent::Still
    } else if has(&[b"avis", b"msf1", b"hevc", b"hevx"]) {
        FileContent::Video
    } else if has(&[b"avif", b"mif1", b"heic", b"heix"]) {
        FileContent::Still
    } else {
        FileContent::Video
    }
}

/// Whether packets of a transport stream follow each other: of 188 bytes, with a time code before or parity after each.
fn is_transport_stream(head: &[u8]) -> bool {
    [(0, 188), (4, 192), (0, 204)].iter().any(|&(first, step)| {
        let marks = head.iter().skip(first).step_by(step).take(8);
        marks.len() >= 2 && marks.into_iter().all(|&byte| byte == 0x47)
    })
}

/// Whether a raw stream of H.264, H.265 or H.266 begins: a start code and the unit that comes first.
fn is_annex_b(head: &[u8]) -> bool {
    let rest = head.strip_prefix(b"\0\0\0\x01").or_else(|| head.strip_prefix(b"\0\0\x01"));
    match rest {
        // Parameter sets and delimiters; the forbidden bit is 0.
        Some([unit, next, ..]) => {
            matches!(unit & 0x9f, 7 | 9)
                || (matches!(unit, 0x40 | 0x42 | 0x46) && *next == 1)
                || (*unit == 0 && matches!(next >> 3, 14 | 15 | 20))
        }
        _ => false,
    }
}

/// Whether a PNG says that it moves, which comes before the first picture.
fn has_animation_chunk(mut file: File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(8))?;
    let mut reader = BufReader::new(file);
    // Text and colour profiles may come before it, a few chunks.
    for _ in 0..200 {
        let mut head = [0; 8];
        reader.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        match &kind {
            b"acTL" => return Ok(true),
            b"IDAT" | b"IEND" => return Ok(false),
            _ => reader.seek_relative(i64::from(u32::from_be_bytes([a, b, c, d])) + 4)?,
        }
    }
    Ok(false)
}

/// Whether a GIF has more than one picture.
fn has_second_image(mut file: File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(6))?;
    let mut reader = BufReader::new(file);
    fn byte(reader: &mut impl Read) -> io::Result<u8> {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        Ok(byte[0])
    }
    fn skip_table(reader: &mut BufReader<File>, flags: u8) -> io::Result<()> {
        if flags & 0x80 != 0 { reader.seek_relative(3 << ((flags & 7) + 1)) } else { Ok(()) }
    }
    fn skip_blocks(reader: &mut BufReader<File>) -> io::Result<()> {
        loop {
            match byte(reader)? {
                0 => return Ok(()),
                length => reader.seek_relative(length.into())?,
            }
        }
    }
    let mut screen = [0; 7];
    reader.read_exact(&mut screen)?;
    skip_table(&mut reader, screen[4])?;
    let mut images = 0;
    loop {
        match byte(&mut reader)? {
            0x21 => {
                byte(&mut reader)?;
                skip_blocks(&mut reader)?;
            }
            0x2c => {
                images += 1;
                if images > 1 {
                    return Ok(true);
                }
                let mut place = [0; 9];
                reader.read_exact(&mut place)?;
                skip_table(&mut reader, place[8])?;
                byte(&mut reader)?;
                skip_blocks(&mut reader)?;
            }
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn transport(first: usize, step: usize) -> Vec<u8> {
        let mut bytes = vec![1u8; step * 5];
        (0..5).for_each(|k| bytes[first + k * step] = 0x47);
        bytes
    }

    #[test]
    fn videos_by_their_first_bytes() {
        let iso = |brands: &[&str]| {
            let size = 8 + 4 * brands.len() as u32;
            [&size.to_be_bytes()[..], b"ftyp", brands.concat().as_bytes(), b"mdat"].concat()
        };
        let webp = |flags: u8| [&b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0"[..], &[flags, 0, 0, 0]].concat();
        for (bytes, found) in [
            (iso(&["isom", "\0\0\x02\0", "mp41"]), FileContent::Video),
            (iso(&["qt  ", "\0\0\0\0"]), FileContent::Video),
            (iso(&["M4A ", "\0\0\0\0", "isom"]), FileContent::Other),
            (iso(&["avif", "\0\0\0\0", "mif1"]), FileContent::Still),
            (iso(&["avis", "\0\0\0\0", "avif", "msf1"]), FileContent::Video),
            (b"\0\0\x02\0moov".to_vec(), FileContent::Video),
            (webp(2), FileContent::Video),
            (webp(0x10), FileContent::Still),
            (b"RIFF\0\0\0\0WAVE".to_vec(), FileContent::Other),
            (b"RIFF\0\0\0\0AVI LIST".to_vec(), FileContent::Video),
            (b"\x1a\x45\xdf\xa3\x9f".to_vec(), FileContent::Video),
            (b"OggS\0\x02..........................\x01vorbis".to_vec(), FileContent::Other),
            (b"OggS\0\x02..........................\x80theora".to_vec(), FileContent::Video),
            (transport(0, 188), FileContent::Video),
            (transport(4, 192), FileContent::Video),
            (transport(0, 204), FileContent::Video),
            (b"Go is a language".to_vec(), FileContent::Other),
            ("GET / HTTP/1.1\n".repeat(40).into_bytes(), FileContent::Other),
            (b"\0\0\0\x01\x67\x42\0".to_vec(), FileContent::Video),
            (b"\0\0\0\x01\x40\x01\x0c".to_vec(), FileContent::Video),
            (b"\0\0\0\x01\x02\x03".to_vec(), FileContent::Other),
            (b"const a = 1;".to_vec(), FileContent::Other),
            (b"M.K. a tracker's song".to_vec(), FileContent::Other),
            (Vec::new(), FileContent::Other),
        ] {
            assert_eq!(content_of(&bytes), found, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
    }

    #[test]
    fn pictures_that_move() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        let content = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_content(&path).unwrap()
        };
        let image: &[u8] = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
        let head: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
        let delay: &[u8] = b"\x21\xf9\x04\0\x0a\0\0\0";
        assert_eq!(content(&[head, delay, image, b"\x3b"].concat()), FileContent::Still);
        assert_eq!(content(&[head, delay, image, delay, image, b"\x3b"].concat()), FileContent::Video);
        assert_eq!(content(&[head, image, &image[..3]].concat()), FileContent::Video);
        assert_eq!(content(&[head, delay, &image[..12]].concat()), FileContent::Still);
        let chunk =
            |kind: &[u8; 4], body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat();
        let png = |chunks: &[Vec<u8>]| [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat();
        let profile = chunk(b"iCCP", &vec![7; 100_000]);
        let (data, moves) = (chunk(b"IDAT", b"x"), chunk(b"acTL", &[0; 8]));
        assert_eq!(content(&png(&[chunk(b"IHDR", &[0; 13]), data.clone()])), FileContent::Still);
        assert_eq!(
            content(&png(&[chunk(b"IHDR", &[0; 13]), profile, moves.clone(), data.clone()])),
            FileContent::Video
        );
        assert_eq!(content(&png(&[data, moves])), FileContent::Still);
        assert!(read_content(&folder.path().join("none")).is_none());
    }
}
