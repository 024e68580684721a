//! Reading by FFmpeg's libraries in this process.
//!
//! Time stamps, seeking, rotation and the choice of frames follow the program `ffmpeg`, so that both ways give the same
//! frames. Frames which no sample needs are decoded but neither scaled nor converted.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Once};

use ffmpeg_the_third as ffmpeg;

use ffmpeg::codec::packet::side_data;
use ffmpeg::format::context::Input;
use ffmpeg::format::stream::Disposition;
use ffmpeg::frame::Video;
use ffmpeg::{
    Dictionary, Packet, Rational, Rescale, Stream, color, decoder, filter, format, media, rescale::TIME_BASE,
};

use crate::delivery::{Delivery, FrameTimes, Shared};
use crate::error::Error;
use crate::info::{COUNTED, FileFacts, Info, Kind, LIMIT, MAX_SIDE, Rate, StreamFacts, describe};
use crate::sampling::{Received, Sample, Sampler, Sampling, Stop, seconds, upstream_step};
use crate::tools::{DEMUXERS, Messages, file_url};

/// FFmpeg's mark of a missing time.
const NO_TIME: i64 = i64::MIN;

/// Microseconds by which a packet of a container with jumping clocks may be later than expected.
const JUMP: i64 = 10_000_000;

/// Microseconds by which such a packet may be earlier than the one before.
const BACK: i64 = 100_000;

/// Failures in a row after which a decoder is not asked any more for what it still holds.
const STUBBORN: u32 = 1000;

/// Describes a file. A library that hangs is given up and its thread left behind.
pub(crate) fn probe(path: &Path) -> Result<Info, Error> {
    let (sender, receiver) = channel();
    let file = path.to_owned();
    std::thread::Builder::new()
        .name("probe".into())
        .spawn(move || {
            let info = open(&file)
                .map_err(|e| Error::NotAVideo { path: file.clone(), detail: e.to_string() })
                .and_then(|mut input| {
                    let mut found = facts(&input);
                    if found.needs_counts() {
                        count_packets(&mut input, &mut found);
                    }
                    describe(&file, &found)
                });
            // After the limit the receiver has gone.
            let _ = sender.send(info);
        })
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    match receiver.recv_timeout(LIMIT) {
        Ok(info) => info,
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::TimeLimit { path: path.to_owned(), what: "probing", seconds: LIMIT.as_secs_f64() })
        }
        Err(RecvTimeoutError::Disconnected) => Err(panicked(path)),
    }
}

/// Counts the packets of each stream in the first part of the file.
fn count_packets(input: &mut Input, found: &mut FileFacts) {
    found.streams.iter_mut().for_each(|stream| stream.packets = Some(0));
    for _ in 0..COUNTED {
        let mut packet = Packet::empty();
        if packet.read(input).is_err() {
            return;
        }
        let stream = found.streams.iter_mut().find(|stream| stream.index == packet.stream());
        if let Some(count) = stream.and_then(|stream| stream.packets.as_mut()) {
            *count += 1;
        }
    }
}

fn panicked(path: &Path) -> Error {
    Error::Protocol { path: path.to_owned(), detail: "the binding to FFmpeg's libraries panicked".into() }
}

/// Opens a file by its literal name, as one of the formats that may be opened.
fn open(path: &Path) -> Result<Input, ffmpeg::Error> {
    static QUIET: Once = Once::new();
    // The libraries print to this program's error output otherwise.
    QUIET.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Quiet));
    let guards: Dictionary = [("protocol_whitelist", "file"), ("format_whitelist", DEMUXERS)].into_iter().collect();
    format::input_with_dictionary(file_url(path), guards)
}

fn facts(input: &Input) -> FileFacts {
    FileFacts {
        container: input.format().name().to_owned(),
        start: start(input).map(seconds),
        duration: Some(input.duration()).filter(|d| *d != NO_TIME).map(seconds),
        streams: input.streams().map(|s| stream_facts(&s)).collect(),
    }
}

/// Microseconds at which a file starts: its first sound or picture.
fn start(input: &Input) -> Option<i64> {
    let timed = |s: &Stream| kind(s) != Kind::Other && s.start_time() != NO_TIME;
    input.streams().filter(timed).map(|s| s.start_time().rescale(s.time_base(), TIME_BASE)).min()
}

fn kind(stream: &Stream) -> Kind {
    match stream.parameters().medium() {
        media::Type::Video => Kind::Video,
        media::Type::Audio => Kind::Audio,
        _ => Kind::Other,
    }
}

fn stream_facts(stream: &Stream) -> StreamFacts {
    let parameters = stream.parameters();
    let in_seconds = |time: i64| {
        let base = stream.time_base();
        (time != NO_TIME && base.1 != 0).then(|| time as f64 * f64::from(base.0) / f64::from(base.1))
    };
    let rate = |r: Rational| Rate::positive(u32::try_from(r.0).ok()?, u32::try_from(r.1).ok()?);
    // That of the container counts before that of the codec, if both make sense.
    let aspect = [stream.sample_aspect_ratio(), parameters.sample_aspect_ratio()]
        .into_iter()
        .find(|r| r.0 > 0 && r.1 > 0)
        .map(|r| f64::from(r.0) / f64::from(r.1));
    StreamFacts {
        index: stream.index(),
        kind: kind(stream),
        codec: Some(parameters.id().name().to_owned()),
        width: i64::from(parameters.width()),
        height: i64::from(parameters.height()),
        aspect,
        pixel_format: if kind(stream) == Kind::Video { pixel_format(stream) } else { String::new() },
        matrix: Some(parameters.color_space())
            .filter(|space| *space != color::Space::Unspecified)
            .and_then(|space| space.name())
            .map(str::to_owned),
        has_reserved_colour: parameters.color_space() == color::Space::Reserved
            || matches!(parameters.color_primaries(), color::Primaries::Reserved | color::Primaries::Reserved0)
            || matches!(
                parameters.color_transfer_characteristic(),
                color::TransferCharacteristic::Reserved | color::TransferCharacteristic::Reserved0
            ),
        base_rate: rate(stream.rate()),
        average_rate: rate(stream.avg_frame_rate()),
        start: in_seconds(stream.start_time()),
        duration: in_seconds(stream.duration()),
        tagged_duration: stream.metadata().get("DURATION").map(str::to_owned),
        frames: u64::try_from(stream.frames()).ok().filter(|n| *n > 0),
        packets: None,
        is_default: stream.disposition().contains(Disposition::DEFAULT),
        is_still: stream.disposition().contains(Disposition::ATTACHED_PIC),
        rotation: matrix(stream).map(|m| clockwise(&m).trunc()),
    }
}

/// The name of the pixel format by the header; empty if it is not known.
fn pixel_format(stream: &Stream) -> String {
    // A decoder that was not opened is a view of the parameters, which have no such function themselves.
    let format = ffmpeg::codec::Context::from_parameters(stream.parameters())
        .map(|context| decoder::Video(decoder::Opened(context.decoder())).format());
    format.ok().and_then(format::Pixel::descriptor).map(|d| d.name().to_owned()).unwrap_or_default()
}

/// The matrix by which a picture is turned and mirrored: nine numbers by rows.
fn matrix(stream: &Stream) -> Option<[i32; 9]> {
    let data = stream.side_data().find(|d| d.kind() == side_data::Type::DisplayMatrix)?;
    let mut numbers = data.data().chunks_exact(4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = numbers.next()?;
    }
    Some(matrix)
}

/// Clockwise degrees of a matrix; 0 if it has no meaning.
fn clockwise(matrix: &[i32; 9]) -> f64 {
    let at = |i: usize| f64::from(matrix[i]);
    let (x, y) = (at(0).hypot(at(3)), at(1).hypot(at(4)));
    if x == 0.0 || y == 0.0 { 0.0 } else { (at(1) / y).atan2(at(0) / x).to_degrees() }
}

/// The filters that turn a picture upright, each with a comma after it.
fn upright(matrix: Option<[i32; 9]>) -> String {
    let Some(matrix) = matrix else { return String::new() };
    let degrees = clockwise(&matrix).round().rem_euclid(360.0);
    let near = |other: f64| (degrees - other).abs() < 1.0;
    let mut filters = String::new();
    if near(90.0) {
        filters.push_str(if matrix[3] > 0 { "transpose=cclock_flip," } else { "transpose=clock," });
    } else if near(180.0) {
        filters.push_str(if matrix[0] < 0 { "hflip," } else { "" });
        filters.push_str(if matrix[4] < 0 { "vflip," } else { "" });
    } else if near(270.0) {
        filters.push_str(if matrix[3] < 0 { "transpose=clock_flip," } else { "transpose=cclock," });
    } else if degrees > 1.0 {
        filters = format!("rotate={degrees}*PI/180,");
    } else if matrix[4] < 0 {
        filters.push_str("vflip,");
    }
    filters
}

/// Reads a file to its end or until the receiver has gone.
pub(crate) fn run(delivery: Delivery) {
    let (messages, times) = (Messages::default(), FrameTimes::default());
    let mut reading = Reading { delivery, messages, times, converter: None };
    match catch_unwind(AssertUnwindSafe(|| reading.run())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => reading.delivery.fail(error),
        Err(_) => reading.delivery.fail(panicked(&reading.delivery.info.path)),
    }
}

/// A decoded frame, until it is wanted as RGB.
enum Picture {
    Decoded(Video),
    Ready(Arc<Vec<u8>>),
    /// It cannot be converted, and that was reported.
    Failed,
}

/// The state of reading a file.
struct Reading {
    delivery: Delivery,
    /// What was damaged.
    messages: Messages,
    times: FrameTimes,
    converter: Option<Converter>,
}

impl Reading {
    fn run(&mut self) -> Result<(), Error> {
        let path = self.delivery.info.path.clone();
        let nothing = |detail: String| Error::NothingDecoded { path: path.clone(), detail };
        let mut source = Source::open(&self.delivery).map_err(|e| nothing(e.to_string()))?;
        let mut conversion = None;
        let complete = self.receive(&mut source, &mut conversion);
        if let Some(detail) = conversion {
            return Err(Error::Protocol { path, detail });
        }
        if !complete {
            return Ok(());
        }
        if self.times.is_empty() {
            return Err(nothing(self.messages.summary()));
        }
        self.delivery.finish(&self.times, (!self.messages.is_empty()).then(|| self.messages.summary()));
        Ok(())
    }

    /// Takes all frames; whether the end was reached. `failure` gets why a frame could not be converted.
    fn receive(&mut self, source: &mut Source, failure: &mut Option<String>) -> bool {
        let sampling = self.delivery.options.sampling;
        let step = upstream_step(self.delivery.info.upstream_rate());
        let mut sampler = Sampler::new(sampling);
        let shared = source.shared.clone();
        let (delivery, converter) = (&mut self.delivery, &mut self.converter);
        let filters = format!("{}{}{}", delivery.colour_filter(), upright(source.matrix), delivery.picture_filters());
        let size = delivery.size;
        let mut take = |sample: Sample<'_, RefCell<Picture>>| {
            let Received { micros, data } = sample.frame;
            delivery.emit(sample.time, *micros, sample.undecided, || {
                let mut picture = data.borrow_mut();
                if let Picture::Decoded(frame) = &mut *picture {
                    *picture = match Converter::convert(converter, &filters, size, frame) {
                        Ok(data) => Picture::Ready(Arc::new(data)),
                        Err(detail) => {
                            *failure = Some(detail);
                            Picture::Failed
                        }
                    };
                }
                if let Picture::Ready(data) = &*picture { Some(data.clone()) } else { None }
            })
        };
        let mut first = None;
        let mut count = 0u64;
        while let Some((micros, frame)) = source.next(&mut self.messages) {
            let zero = *first.get_or_insert(micros);
            let micros = micros - zero;
            self.times.see(micros);
            let frame = Received { micros, data: RefCell::new(Picture::Decoded(frame)) };
            let go_on = match &mut sampler {
                Some(sampler) => sampler.push(frame, &mut take) != Err(Stop::Closed),
                None => {
                    count += 1;
                    let left_out = sampling == Sampling::Upstream && !(count - 1).is_multiple_of(step);
                    left_out || take(Sample { time: seconds(micros), undecided: None, frame: &frame })
                }
            };
            if !go_on {
                return false;
            }
        }
        if shared.is_stopped() || sampler.is_some_and(|mut s| s.finish(&mut take) == Err(Stop::Closed)) {
            return false;
        }
        self.delivery.release()
    }
}

/// The frames of the video stream with their time stamps.
struct Source {
    input: Input,
    decoder: decoder::Opened,
    shared: Arc<Shared>,
    stream: usize,
    base: Rational,
    matrix: Option<[i32; 9]>,
    /// Whether the clock of the container may jump.
    jumps: bool,
    /// Microseconds that are added to every time stamp.
    offset: i64,
    /// Whether frames before time 0 are passed over.
    trim: bool,
    /// Microseconds between frames, where nothing tells better.
    period: i64,
    /// Decoding times of the last packet and expected for the next one, in microseconds.
    dts: i64,
    next_dts: Option<i64>,
    /// Time of the last frame in microseconds.
    last: Option<i64>,
    drained: bool,
    failures: u32,
    good_frames: bool,
}

impl Source {
    fn open(delivery: &Delivery) -> Result<Self, ffmpeg::Error> {
        let (info, options) = (&delivery.info, &delivery.options);
        let mut input = open(&delivery.input)?;
        let first = start(&input).unwrap_or(0);
        let from = (options.start * 1e6).round() as i64 + first;
        if options.start > 0.0 {
            // Frames may be stored later than they are shown.
            let late = input.streams().any(|s| s.parameters().video_delay() > 0);
            let to_pts = input.format().flags().contains(format::Flags::SEEK_TO_PTS);
            let target = if late && !to_pts { from - 3_000_000 / 23 } else { from };
            // Where seeking is not possible, frames are read and passed over.
            let _ = input.seek(target, ..=target);
        }
        let jumps = input.format().flags().contains(format::Flags::TS_DISCONT);
        let stream = input.stream(info.stream).ok_or(ffmpeg::Error::StreamNotFound)?;
        let parameters = stream.parameters();
        let delay = i64::from(parameters.video_delay());
        let threads = options.threads.map_or_else(|| "auto".into(), |t| t.to_string());
        let pixels = (u64::from(MAX_SIDE) * u64::from(MAX_SIDE)).to_string();
        let settings: Dictionary = [("threads", threads), ("max_pixels", pixels)].into_iter().collect();
        let decoder = ffmpeg::codec::Context::from_parameters(stream.parameters())?
            .decoder()
            .open_as_with(decoder::find(parameters.id()), settings)?;
        let rate = stream.avg_frame_rate();
        let period = if rate.0 > 0 { 1_000_000 * i64::from(rate.1) / i64::from(rate.0) } else { 0 };
        Ok(Self {
            decoder,
            shared: delivery.shared.clone(),
            stream: info.stream,
            base: stream.time_base(),
            matrix: matrix(&stream),
            jumps,
            offset: -from,
            trim: options.start > 0.0,
            period,
            dts: -delay * period,
            next_dts: None,
            last: None,
            drained: false,
            failures: 0,
            good_frames: false,
            input,
        })
    }

    /// The next frame with its time in microseconds, which ascends strictly; `None` at the end and when told to stop.
    fn next(&mut self, messages: &mut Messages) -> Option<(i64, Video)> {
        while !self.shared.is_stopped() {
            let mut frame = Video::empty();
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => {
                    self.failures = 0;
                    if let Some(micros) = self.time(&frame, messages) {
                        return Some((micros, frame));
                    }
                }
                Err(error) if is_again(error) && !self.drained => self.feed(messages),
                Err(ffmpeg::Error::Eof) => return None,
                Err(error) => {
                    messages.push(format!("decoder: {error}").as_bytes());
                    self.failures += 1;
                    if self.drained && self.failures > STUBBORN {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// The time of a frame; `None` if it is passed over.
    fn time(&mut self, frame: &Video, messages: &mut Messages) -> Option<i64> {
        // A stream that begins between key frames has damaged ones at first, which is no damage of the file.
        if !frame.is_corrupt() {
            self.good_frames = true;
        } else if self.good_frames {
            messages.push(b"decoder: a frame is incomplete");
        }
        let expected = self.last.map_or(0, |last| last + self.period);
        let micros = frame.timestamp().map_or(expected, |t| t.rescale(self.base, TIME_BASE));
        if self.trim && micros < 0 {
            return None;
        }
        let micros = self.last.map_or(micros, |last| micros.max(last + 1));
        self.last = Some(micros);
        Some(micros)
    }

    /// Gives the decoder one packet, or the end.
    fn feed(&mut self, messages: &mut Messages) {
        let mut packet = Packet::empty();
        match packet.read(&mut self.input) {
            Ok(()) if packet.stream() != self.stream => return,
            Ok(()) => {
                self.stamp(&mut packet);
                if let Err(error) = self.decoder.send_packet(&packet)
                    && error != ffmpeg::Error::Eof
                {
                    messages.push(format!("decoder: {error}").as_bytes());
                }
                return;
            }
            Err(ffmpeg::Error::Eof) => {}
            Err(error) if is_again(error) && self.failures < STUBBORN => {
                self.failures += 1;
                return;
            }
            Err(error) => messages.push(format!("file: {error}").as_bytes()),
        }
        self.drained = true;
        if let Err(error) = self.decoder.send_eof() {
            messages.push(format!("decoder: {error}").as_bytes());
        }
    }

    /// Moves a packet's times to those that count from the start, and mends jumps of the clock.
    fn stamp(&mut self, packet: &mut Packet) {
        let micros = |time: i64, base: Rational| time.rescale(base, TIME_BASE);
        let shift = self.offset.rescale(TIME_BASE, self.base);
        let (mut pts, mut dts) = (packet.pts().map(|t| t + shift), packet.dts().map(|t| t + shift));
        if let (Some(time), Some(next), true) = (dts, self.next_dts, self.jumps) {
            let time = micros(time, self.base);
            let delta = time - next;
            if delta.abs() > JUMP || time + BACK < self.dts {
                self.offset -= delta;
                let delta = delta.rescale(TIME_BASE, self.base);
                (pts, dts) = (pts.map(|t| t - delta), dts.map(|t| t - delta));
            }
        }
        self.dts = dts.map_or(self.next_dts.unwrap_or(self.dts), |t| micros(t, self.base));
        let duration = packet.duration();
        let duration = if duration > 0 { micros(duration, self.base) } else { self.period };
        self.next_dts = Some(self.dts + duration);
        packet.set_pts(pts);
        packet.set_dts(Some(self.dts.rescale(TIME_BASE, self.base)));
    }
}

/// Whether FFmpeg asks to be called again.
fn is_again(error: ffmpeg::Error) -> bool {
    matches!(error, ffmpeg::Error::Other { errno } if errno == libc::EAGAIN)
}

/// Makes frames upright, of the wanted size, and RGB; for decoded frames of one size and format.
struct Converter {
    graph: filter::Graph,
    format: format::Pixel,
    width: u32,
    height: u32,
}

impl Converter {
    /// Applies the filters. The frame is used up.
    fn convert(
        converter: &mut Option<Self>,
        filters: &str,
        size: (u32, u32),
        frame: &mut Video,
    ) -> Result<Vec<u8>, String> {
        let fits = |c: &&mut Self| (c.format, c.width, c.height) == (frame.format(), frame.width(), frame.height());
        let current = match converter.as_mut().filter(fits) {
            Some(current) => current,
            None => converter.insert(Self::new(filters, frame).map_err(|e| format!("filters: {e}"))?),
        };
        current.apply(size, frame)
    }

    fn new(filters: &str, frame: &Video) -> Result<Self, ffmpeg::Error> {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let find = |name: &str| filter::find(name).ok_or(ffmpeg::Error::FilterNotFound);
        let pixels = format.descriptor().ok_or(ffmpeg::Error::InvalidData)?.name();
        let mut source = format!("video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1000000");
        if filter::version() >> 16 >= 10 {
            // Since FFmpeg 7 filters negotiate these beforehand.
            // A reserved value is refused; the first filter says what is assumed.
            if let Some(matrix) = frame.color_space().name().filter(|name| *name != "reserved") {
                source.push_str(&format!(":colorspace={matrix}"));
            }
            if let Some(range) = frame.color_range().name() {
                source.push_str(&format!(":range={range}"));
            }
        }
        let mut graph = filter::Graph::new();
        graph.add(&find("buffer")?, "in", &source)?;
        graph.add(&find("buffersink")?, "out", "")?;
        // A frame that needs no conversion would be passed on as it is, with rows from the bottom in some codecs.
        let copy = if format == format::Pixel::RGB24 { ",copy" } else { "" };
        graph.output("in", 0)?.input("out", 0)?.parse(&format!("{filters}{copy}"))?;
        graph.validate()?;
        Ok(Self { graph, format, width, height })
    }

    fn apply(&mut self, (width, height): (u32, u32), frame: &mut Video) -> Result<Vec<u8>, String> {
        let failed = |e: ffmpeg::Error| format!("filters: {e}");
        let missing = || "filters: an end is missing".to_owned();
        frame.set_pts(Some(0));
        self.graph.get("in").ok_or_else(missing)?.source().add(frame).map_err(failed)?;
        let mut picture = Video::empty();
        self.graph.get("out").ok_or_else(missing)?.sink().frame(&mut picture).map_err(failed)?;
        let got = (picture.format(), picture.width(), picture.height());
        if got != (format::Pixel::RGB24, width, height) {
            return Err(format!("a picture of {}x{} as {:?}, expected {width}x{height}", got.1, got.2, got.0));
        }
        let row = width as usize * 3;
        let mut data = Vec::with_capacity(row * height as usize);
        for line in picture.data(0).chunks(picture.stride(0)).take(height as usize) {
            data.extend_from_slice(&line[..row]);
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices() {
        const ONE: i32 = 0x1_0000;
        let of = |a, b, c, d| Some([a, b, 0, c, d, 0, 0, 0, 0x4000_0000]);
        for (matrix, degrees, filters) in [
            (of(ONE, 0, 0, ONE), 0.0, ""),
            (of(0, ONE, -ONE, 0), 90.0, "transpose=clock,"),
            (of(-ONE, 0, 0, -ONE), 180.0, "hflip,vflip,"),
            (of(0, -ONE, ONE, 0), -90.0, "transpose=cclock,"),
            (of(ONE, 0, 0, -ONE), 0.0, "vflip,"),
        ] {
            assert_eq!((clockwise(&matrix.unwrap()), upright(matrix).as_str()), (degrees, filters));
        }
        assert_eq!((clockwise(&[0; 9]), upright(None).as_str()), (0.0, ""));
    }
}
