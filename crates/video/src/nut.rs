//! Reading what FFmpeg's NUT muxer writes to a pipe: streams of raw frames, each with its time stamp and size.
//!
//! NUT is the one container of FFmpeg that frames raw video in a pipe with exact time stamps. Only what that needs is
//! read; check sums are not, since a pipe does not damage bytes.

use std::io::{self, Read};

/// Most streams.
const MAX_STREAMS: usize = 2;

/// A frame: its stream, its time stamp in microseconds, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) stream: usize,
    pub(crate) micros: i64,
    pub(crate) data: Vec<u8>,
}

const MAGIC: &[u8; 25] = b"nut/multimedia container\0";
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
const INDEX: u64 = 0x4E58_DD67_2F23_E64E;
const INFO: u64 = 0x4E49_AB68_B596_BA78;

/// Most bytes of a header or of anything that is not a frame.
const MAX_HEADER: u64 = 1 << 20;

const FLAG_CODED_PTS: u64 = 8;
const FLAG_STREAM_ID: u64 = 16;
const FLAG_SIZE_MSB: u64 = 32;
const FLAG_CHECKSUM: u64 = 64;
const FLAG_RESERVED: u64 = 128;
const FLAG_SIDE_DATA: u64 = 256;
const FLAG_HEADER_INDEX: u64 = 1024;
const FLAG_MATCH_TIME: u64 = 2048;
const FLAG_CODED: u64 = 4096;
const FLAG_INVALID: u64 = 8192;

/// What one frame code stands for.
#[derive(Debug, Clone, Copy, Default)]
struct FrameCode {
    flags: u64,
    stream: u64,
    size_mul: u64,
    size_lsb: u64,
    pts_delta: i64,
    reserved: u64,
    header: usize,
}

#[derive(Debug, Default)]
struct Main {
    streams: usize,
    time_bases: Vec<(u64, u64)>,
    codes: Vec<FrameCode>,
    /// Bytes that frames begin with and that are left out of them.
    elided: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    time_base: usize,
    msb_pts_shift: u32,
    last_pts: i64,
}

/// Reads packets from a pipe.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    pipe: R,
    main: Main,
    streams: Vec<Stream>,
    max_frame: u64,
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

impl<R: Read> Reader<R> {
    /// A reader that refuses frames of more than `max_frame` bytes. The headers are read with the first packet.
    pub(crate) fn new(pipe: R, max_frame: u64) -> Self {
        Self { pipe, main: Main::default(), streams: Vec::new(), max_frame }
    }

    /// The next frame; `None` at the end of the pipe. An end within a frame or header is `UnexpectedEof`.
    pub(crate) fn next(&mut self) -> io::Result<Option<Packet>> {
        if self.main.codes.is_empty() {
            let mut magic = [0; 25];
            match self.first_byte()? {
                None => return Ok(None),
                Some(byte) => magic[0] = byte,
            }
            self.pipe.read_exact(&mut magic[1..])?;
            if &magic != MAGIC {
                return Err(bad("not a NUT stream"));
            }
            let code = self.startcode(None)?;
            if code != MAIN {
                return Err(bad("no main header"));
            }
            let header = self.header()?;
            self.main = Main::parse(&mut header.as_slice())?;
        }
        loop {
            let Some(byte) = self.first_byte()? else { return Ok(None) };
            if byte != b'N' {
                return self.frame(byte).map(Some);
            }
            let code = self.startcode(Some(byte))?;
            let body = self.header()?;
            let body = &mut body.as_slice();
            match code {
                STREAM => {
                    let stream = self.main.parse_stream(body, self.streams.len())?;
                    self.streams.push(stream);
                }
                SYNCPOINT => {
                    let coded = varint(body)?;
                    let bases = self.main.time_bases.len() as u64;
                    let from = self.main.base((coded % bases) as usize)?;
                    for stream in &mut self.streams {
                        let to = self.main.base(stream.time_base)?;
                        // Rounded down, as the muxer does.
                        let value = i128::from(coded / bases) * i128::from(from.0) * i128::from(to.1);
                        let value = value.div_euclid(i128::from(from.1) * i128::from(to.0));
                        stream.last_pts = i64::try_from(value).map_err(|_| bad("a time stamp out of range"))?;
                    }
                }
                // Repeated headers, the index and tags tell nothing new.
                MAIN | INDEX | INFO => {}
                other => return Err(bad(format!("unknown start code {other:016x}"))),
            }
        }
    }

    fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.pipe.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn startcode(&mut self, first: Option<u8>) -> io::Result<u64> {
        let mut bytes = [0; 8];
        match first {
            Some(byte) => {
                bytes[0] = byte;
                self.pipe.read_exact(&mut bytes[1..])?;
            }
            None => self.pipe.read_exact(&mut bytes)?,
        }
        Ok(u64::from_be_bytes(bytes))
    }

    /// A header's content without its check sum.
    fn header(&mut self) -> io::Result<Vec<u8>> {
        let size = varint(&mut self.pipe)?;
        if !(4..=MAX_HEADER).contains(&size) {
            return Err(bad(format!("a header of {size} bytes")));
        }
        if size > 4096 {
            self.pipe.read_exact(&mut [0; 4])?;
        }
        let mut body = vec![0; size as usize];
        self.pipe.read_exact(&mut body)?;
        body.truncate(body.len() - 4);
        Ok(body)
    }

    fn frame(&mut self, code: u8) -> io::Result<Packet> {
        let code = self.main.codes.get(usize::from(code)).copied().ok_or_else(|| bad("no frame code"))?;
        let mut flags = code.flags;
        if flags & FLAG_INVALID != 0 {
            return Err(bad("an invalid frame code"));
        }
        if flags & FLAG_CODED != 0 {
            flags ^= varint(&mut self.pipe)?;
        }
        let id = if flags & FLAG_STREAM_ID != 0 { varint(&mut self.pipe)? } else { code.stream };
        let number = usize::try_from(id).unwrap_or(usize::MAX);
        let stream =
            *self.streams.get(number).ok_or_else(|| bad(format!("a frame of stream {id}, without a header")))?;
        let pts = if flags & FLAG_CODED_PTS != 0 {
            let coded = varint(&mut self.pipe)?;
            full_pts(coded, stream.last_pts, stream.msb_pts_shift)?
        } else {
            stream.last_pts.checked_add(code.pts_delta).ok_or_else(|| bad("a time stamp out of range"))?
        };
        let msb = if flags & FLAG_SIZE_MSB != 0 { varint(&mut self.pipe)? } else { 0 };
        let size = msb.checked_mul(code.size_mul).and_then(|s| s.checked_add(code.size_lsb));
        let size = size.filter(|s| *s <= self.max_frame).ok_or_else(|| bad("a frame larger than it can be"))?;
        if flags & FLAG_MATCH_TIME != 0 {
            varint(&mut self.pipe)?;
        }
        let header = if flags & FLAG_HEADER_INDEX != 0 {
            usize::try_from(varint(&mut self.pipe)?).unwrap_or(usize::MAX)
        } else {
            code.header
        };
        let mut reserved = if flags & FLAG_RESERVED != 0 { varint(&mut self.pipe)? } else { code.reserved };
        if reserved > MAX_HEADER {
            return Err(bad("too many reserved fields"));
        }
        while reserved > 0 {
            varint(&mut self.pipe)?;
            reserved -= 1;
        }
        if flags & FLAG_CHECKSUM != 0 {
            self.pipe.read_exact(&mut [0; 4])?;
        }
        if flags & FLAG_SIDE_DATA != 0 {
            return Err(bad("side data"));
        }
        let start = self.main.elided.get(header).ok_or_else(|| bad("no such elided header"))?;
        // FFmpeg never elides from frames of this size, but the format allows it.
        let start: &[u8] = if size > 4096 { &[] } else { start };
        let size = size as usize;
        if start.len() > size {
            return Err(bad("an elided header longer than the frame"));
        }
        let mut data = vec![0; size];
        data[..start.len()].copy_from_slice(start);
        self.pipe.read_exact(&mut data[start.len()..])?;
        self.streams[number].last_pts = pts;
        let (num, den) = self.main.base(stream.time_base)?;
        let micros = (i128::from(pts) * i128::from(num) * 2_000_000 + i128::from(den)).div_euclid(2 * i128::from(den));
        let micros = i64::try_from(micros).map_err(|_| bad("a time stamp out of range"))?;
        Ok(Packet { stream: number, micros, data })
    }
}

/// A coded time stamp: its low bits relative to the one before, or the whole.
fn full_pts(coded: u64, last: i64, shift: u32) -> io::Result<i64> {
    let range = 1i64 << shift;
    let coded = i64::try_from(coded).map_err(|_| bad("a time stamp out of range"))?;
    if coded >= range {
        return Ok(coded - range);
    }
    let mask = range - 1;
    let delta = last.checked_sub(mask / 2).ok_or_else(|| bad("a time stamp out of range"))?;
    Ok(((coded.wrapping_sub(delta)) & mask) + delta)
}

/// Seven bits a byte, most significant first, the high bit set on all but the last.
fn varint(pipe: &mut impl Read) -> io::Result<u64> {
    let mut value = 0u64;
    loop {
        let mut byte = [0];
        pipe.read_exact(&mut byte)?;
        if value >> 57 != 0 {
            return Err(bad("a number of more than 64 bits"));
        }
        value = value << 7 | u64::from(byte[0] & 0x7F);
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
}

fn signed(pipe: &mut impl Read) -> io::Result<i64> {
    let coded = varint(pipe)?;
    let half = (coded >> 1) as i64;
    Ok(if coded & 1 == 1 { half + 1 } else { -half })
}

/// A length, then as many bytes.
fn bytes(pipe: &mut impl Read) -> io::Result<Vec<u8>> {
    let size = varint(pipe)?;
    if size > MAX_HEADER {
        return Err(bad("a string that is too long"));
    }
    let mut data = vec![0; size as usize];
    pipe.read_exact(&mut data)?;
    Ok(data)
}

impl Main {
    fn base(&self, index: usize) -> io::Result<(u64, u64)> {
        self.time_bases.get(index).copied().ok_or_else(|| bad("no such time base"))
    }

    fn parse(body: &mut &[u8]) -> io::Result<Self> {
        let version = varint(body)?;
        if !(2..=4).contains(&version) {
            return Err(bad(format!("version {version}")));
        }
        if version > 3 {
            varint(body)?;
        }
        let streams = varint(body)?;
        let streams = usize::try_from(streams).ok().filter(|n| (1..=MAX_STREAMS).contains(n));
        let streams = streams.ok_or_else(|| bad("too many streams"))?;
        varint(body)?;
        let bases = varint(body)?;
        if !(1..=64).contains(&bases) {
            return Err(bad(format!("{bases} time bases")));
        }
        let mut main = Self { streams, ..Self::default() };
        for _ in 0..bases {
            let base = (varint(body)?, varint(body)?);
            if !(1..1 << 31).contains(&base.0) || !(1..1 << 31).contains(&base.1) {
                return Err(bad("a time base out of range"));
            }
            main.time_bases.push(base);
        }
        main.parse_codes(body)?;
        main.elided.push(Vec::new());
        for _ in 0..varint(body)?.min(256) {
            main.elided.push(bytes(body)?);
        }
        Ok(main)
    }

    fn parse_codes(&mut self, body: &mut &[u8]) -> io::Result<()> {
        let mut code = FrameCode { size_mul: 1, ..FrameCode::default() };
        while self.codes.len() < 256 {
            code.flags = varint(body)?;
            let fields = varint(body)?;
            let mut first_size = 0;
            code.reserved = 0;
            if fields > 0 {
                code.pts_delta = signed(body)?;
            }
            if fields > 1 {
                code.size_mul = varint(body)?;
            }
            if fields > 2 {
                code.stream = varint(body)?;
            }
            if fields > 3 {
                first_size = varint(body)?;
            }
            if fields > 4 {
                code.reserved = varint(body)?;
            }
            let count = if fields > 5 {
                varint(body)?
            } else {
                code.size_mul.checked_sub(first_size).ok_or_else(|| bad("frame codes of negative number"))?
            };
            if fields > 6 {
                signed(body)?;
            }
            if fields > 7 {
                code.header = usize::try_from(varint(body)?).unwrap_or(usize::MAX);
            }
            for _ in 8..fields.min(1024) {
                varint(body)?;
            }
            if count == 0 || count > 256 {
                return Err(bad(format!("{count} frame codes at once")));
            }
            let mut j = 0;
            while j < count && self.codes.len() < 256 {
                // `N` begins start codes, never a frame.
                if self.codes.len() == usize::from(b'N') {
                    self.codes.push(FrameCode { flags: FLAG_INVALID, ..FrameCode::default() });
                    continue;
                }
                self.codes.push(FrameCode { size_lsb: first_size + j, ..code });
                j += 1;
            }
        }
        Ok(())
    }

    fn parse_stream(&self, body: &mut &[u8], next: usize) -> io::Result<Stream> {
        if next >= self.streams || varint(body)? != next as u64 {
            return Err(bad("a stream that was not announced"));
        }
        varint(body)?;
        bytes(body)?;
        let time_base = usize::try_from(varint(body)?).unwrap_or(usize::MAX);
        self.base(time_base)?;
        let msb_pts_shift = varint(body)?;
        if msb_pts_shift > 32 {
            return Err(bad("time stamps of too many bits"));
        }
        Ok(Stream { time_base, msb_pts_shift: msb_pts_shift as u32, last_pts: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(varint(&mut &[0x05u8][..]).unwrap(), 5);
        assert_eq!(varint(&mut &[0x81u8, 0x00][..]).unwrap(), 128);
        assert!(varint(&mut &[0xFFu8; 11][..]).is_err());
        assert_eq!([1u8, 2, 3, 4].map(|b| signed(&mut &[b][..]).unwrap()), [1, -1, 2, -2]);
    }

    #[test]
    fn low_bits_of_time_stamps() {
        // 7 bits, last 1000: the nearest stamp with these low bits, or the whole above the range.
        assert_eq!(full_pts(1001 & 127, 1000, 7).unwrap(), 1001);
        assert_eq!(full_pts(990 & 127, 1000, 7).unwrap(), 990);
        assert_eq!(full_pts(5000 + 128, 1000, 7).unwrap(), 5000);
        assert!(full_pts(u64::MAX, 0, 7).is_err());
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        assert_eq!(Reader::new(&b""[..], 10).next().unwrap(), None);
        assert!(Reader::new(&b"nut/"[..], 10).next().is_err());
        // A stream of noise behind sound magic: whatever the bytes, the reader ends.
        let mut state = 1u32;
        for length in 0..400 {
            let mut data = MAGIC.to_vec();
            data.extend(MAIN.to_be_bytes());
            data.push(100);
            data.extend((0..length).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
            let mut reader = Reader::new(data.as_slice(), 1000);
            for _ in 0..1000 {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }
}
