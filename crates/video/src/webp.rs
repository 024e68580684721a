//! Animated WebP, which FFmpeg before version 9 does not read: its pictures become a temporary APNG with the same times.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image_webp::WebPDecoder;
use tempfile::TempPath;
use vidsieve_progress::CancelToken;

use crate::error::Error;
use crate::info::{Info, MAX_SIDE};

/// Most pixels of a picture.
const MAX_PIXELS: u64 = 1 << 26;
/// Most bytes of pictures, before they are packed.
const MAX_BYTES: u64 = 1 << 34;
/// Milliseconds of a picture that has (almost) none, as browsers show it.
const DEFAULT_DELAY: u32 = 100;

/// The header of an animated WebP.
#[derive(Debug)]
pub(crate) struct Animation {
    width: u32,
    height: u32,
    has_alpha: bool,
    /// Milliseconds of each picture.
    delays: Vec<u32>,
    /// Whether the file is shorter than its header says.
    is_cut_off: bool,
}

/// An animated WebP as another file.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The file; it is removed when this is dropped.
    pub(crate) file: TempPath,
    /// What could not be read.
    pub(crate) damage: Option<String>,
}

fn u24(bytes: [u8; 3]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

impl Animation {
    /// Reads the header of a file; `None` for one that is no animated WebP.
    pub(crate) fn of_file(path: &Path) -> Result<Option<Self>, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        Self::read(&mut BufReader::new(file)).map_err(unreadable)
    }

    fn read(file: &mut BufReader<File>) -> io::Result<Option<Self>> {
        let mut head = [0; 30];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let flags = head[20];
        if !(head.starts_with(b"RIFF") && &head[8..16] == b"WEBPVP8X" && flags & 2 != 0) {
            return Ok(None);
        }
        let side = |at: usize| u24([head[at], head[at + 1], head[at + 2]]) + 1;
        let mut found = Self {
            width: side(24),
            height: side(27),
            has_alpha: flags & 0x10 != 0,
            delays: Vec::new(),
            is_cut_off: false,
        };
        let promised = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
        found.is_cut_off = file.get_ref().metadata()?.len() < promised;
        let size = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
        file.seek_relative(i64::from(size.next_multiple_of(2)) - 10)?;
        let mut chunk = [0; 8];
        // A file that ends early has the pictures before that.
        while file.read_exact(&mut chunk).is_ok() {
            let [a, b, c, d, size @ ..] = chunk;
            let mut left = i64::from(u32::from_le_bytes(size)) + i64::from(size[0] & 1);
            if [a, b, c, d] == *b"ANMF" {
                let mut place = [0; 16];
                if file.read_exact(&mut place).is_err() {
                    break;
                }
                left -= 16;
                let delay = u24([place[12], place[13], place[14]]);
                found.delays.push(if delay <= 10 { DEFAULT_DELAY } else { delay });
            }
            file.seek_relative(left)?;
        }
        Ok(Some(found))
    }

    /// Describes the file.
    pub(crate) fn describe(&self, path: &Path) -> Result<Info, Error> {
        let (width, height) = (self.width, self.height);
        let pixels = u64::from(width) * u64::from(height);
        if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
            let (width, height) = (width.into(), height.into());
            return Err(Error::Size { path: path.to_owned(), width, height, limit: 1 << (MAX_PIXELS.ilog2() / 2) });
        }
        let millis: u64 = self.delays.iter().copied().map(u64::from).sum();
        let duration = Some(millis as f64 / 1e3).filter(|d| *d > 0.0);
        Ok(Info {
            path: path.to_owned(),
            container: "webp".into(),
            codec: "webp".into(),
            pixel_format: if self.has_alpha { "rgba" } else { "rgb24" }.into(),
            width,
            height,
            display_width: width,
            display_height: height,
            rotation: 0,
            duration,
            stream_duration: duration,
            average_rate: None,
            base_rate: None,
            frames: Some(self.delays.len() as u64),
            has_audio: false,
            has_alpha: self.has_alpha,
            stream: 0,
            start: 0.0,
            colour: None,
        })
    }
}

/// Unpacks an animated WebP; `None` for another file.
pub(crate) fn unpack(path: &Path, cancel: &CancelToken) -> Result<Option<Unpacked>, Error> {
    let Some(animation) = Animation::of_file(path)? else { return Ok(None) };
    animation.describe(path)?;
    let failed = |detail: String| Error::NothingDecoded { path: path.to_owned(), detail };
    let file = tempfile::Builder::new().prefix("vidsieve-").suffix(".png").tempfile();
    let file = file.map_err(|e| failed(format!("no temporary file: {e}")))?.into_temp_path();
    // The decoder reads bytes from outside.
    let outcome = catch_unwind(AssertUnwindSafe(|| write(path, &animation, &file, cancel)));
    let (written, damage) = match outcome.unwrap_or_else(|_| Ok((0, Some("the decoder of WebP panicked".into())))) {
        Ok(written) => written,
        Err(detail) => return Err(failed(detail)),
    };
    if cancel.is_cancelled() {
        return Err(Error::Cancelled { path: path.to_owned() });
    }
    let damage = damage.or_else(|| animation.is_cut_off.then(|| "the file ends early".to_owned()));
    match damage {
        Some(detail) if written == 0 => Err(failed(detail)),
        damage => Ok(Some(Unpacked { file, damage })),
    }
}

/// Writes the pictures. Returns their number and why there are not more; an error for a file that cannot be written.
fn write(
    path: &Path,
    animation: &Animation,
    to: &Path,
    cancel: &CancelToken,
) -> Result<(usize, Option<String>), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let mut decoder = match File::open(path).map(BufReader::new).map(WebPDecoder::new) {
        Ok(Ok(decoder)) if decoder.is_animated() && decoder.dimensions() == (animation.width, animation.height) => {
            decoder
        }
        Ok(Ok(_)) => return Ok((0, Some("its header contradicts itself".into()))),
        Ok(Err(error)) => return Ok((0, Some(text(&error)))),
        Err(error) => return Err(text(&error)),
    };
    let frames = decoder.num_frames();
    let mut picture = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    let file = File::create(to).map_err(|e| text(&e))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), animation.width, animation.height);
    encoder.set_color(if decoder.has_alpha() { png::ColorType::Rgba } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_animated(frames.max(1), 0).map_err(|e| text(&e))?;
    let mut writer = encoder.write_header().map_err(|e| text(&e))?;
    let mut written = 0;
    let damage = loop {
        if written == frames as usize || cancel.is_cancelled() {
            break None;
        }
        if (written as u64 + 1) * picture.len() as u64 > MAX_BYTES {
            break Some(format!("its first {written} pictures are {MAX_BYTES} bytes, the rest was not read"));
        }
        if let Err(error) = decoder.read_frame(&mut picture) {
            break Some(error.to_string());
        }
        let delay = animation.delays.get(written).copied().unwrap_or(DEFAULT_DELAY);
        let (number, unit) = match u16::try_from(delay) {
            Ok(millis) => (millis, 1000),
            // Of up to 16,777 s.
            Err(_) => (u16::try_from(delay / 1000).unwrap_or(u16::MAX), 1),
        };
        writer.set_frame_delay(number, unit).map_err(|e| text(&e))?;
        writer.write_image_data(&picture).map_err(|e| text(&e))?;
        written += 1;
    };
    // A file with fewer pictures than announced is read to its end.
    let _ = writer.finish();
    Ok((written, damage))
}
