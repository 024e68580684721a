//! Reading by `ffprobe` and `ffmpeg`, run as child processes.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::delivery::{Delivery, FrameTimes};
use crate::error::Error;
use crate::info::{COUNTED, FileFacts, Info, Kind, LIMIT, MAX_SIDE, Rate, StreamFacts, describe};
use crate::nut;
use crate::sampling::{
    Gaps, Received, Sample, Sampler, Sampling, Stop, TOLERANCE, seconds, short_rates, upstream_step,
};
use crate::tools::{Abilities, Messages, Tools, arg, file_url, input_guards, run, spawn, wait};

/// Microseconds that a time stamp may differ from what the header lets expect, when FFmpeg leaves out frames.
const SLACK: i64 = 1000;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    packets: Vec<PacketOf>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct PacketOf {
    stream_index: usize,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    index: usize,
    codec_type: Option<String>,
    codec_name: Option<String>,
    #[serde(default)]
    width: i64,
    #[serde(default)]
    height: i64,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
    #[serde(default)]
    timed_thumbnails: u8,
}

#[derive(Deserialize, Default)]
struct Tags {
    #[serde(rename = "DURATION")]
    duration: Option<String>,
    rotate: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

/// What is asked about a file.
const ENTRIES: &str = "format=format_name,start_time,duration:stream=index,codec_type,codec_name,width,height,\
    sample_aspect_ratio,pix_fmt,color_space,color_primaries,color_transfer,r_frame_rate,avg_frame_rate,start_time,duration,\
    nb_frames:stream_disposition=default,attached_pic,timed_thumbnails:stream_tags=DURATION,rotate:\
    stream_side_data=rotation";

/// Asks `ffprobe`.
pub(crate) fn probe(tools: &Tools, path: &Path) -> Result<Info, Error> {
    let answer = ask(tools, path, ENTRIES, &[])?;
    let format = answer.format.unwrap_or_default();
    let mut file = FileFacts {
        start: format.start_time.as_deref().and_then(number),
        duration: format.duration.as_deref().and_then(number),
        container: format.format_name,
        streams: answer.streams.into_iter().map(facts).collect(),
    };
    if file.needs_counts() {
        let first = format!("%+#{COUNTED}");
        let packets = ask(tools, path, "packet=stream_index", &["-read_intervals", &first])?.packets;
        for stream in &mut file.streams {
            stream.packets = Some(packets.iter().filter(|p| p.stream_index == stream.index).count() as u64);
        }
    }
    describe(path, &file)
}

fn ask(tools: &Tools, path: &Path, entries: &str, options: &[&str]) -> Result<Answer, Error> {
    let mut command = Command::new(&tools.ffprobe);
    command.args(["-hide_banner", "-v", "error"]);
    input_guards(&mut command);
    command.args(options);
    arg(&mut command, "-show_entries", entries);
    arg(&mut command, "-print_format", "json=compact=1");
    arg(&mut command, "-i", file_url(path));
    let output = run(command, &tools.ffprobe, LIMIT)?;
    let Some(status) = output.status else {
        return Err(Error::TimeLimit { path: path.to_owned(), what: "ffprobe", seconds: LIMIT.as_secs_f64() });
    };
    let not_a_video = |detail: &str| {
        // The message repeats the name of the file, which the error has already.
        let name = file_url(path).to_string_lossy().into_owned();
        let detail = detail.replace(&format!("{name}: "), "");
        Error::NotAVideo { path: path.to_owned(), detail }
    };
    match serde_json::from_slice::<Answer>(&output.stdout) {
        Ok(answer) if status.success() && (answer.format.is_some() || !options.is_empty()) => Ok(answer),
        Err(e) if status.success() => Err(Error::Protocol { path: path.to_owned(), detail: format!("ffprobe: {e}") }),
        _ => Err(not_a_video(&output.stderr)),
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

fn facts(stream: Stream) -> StreamFacts {
    let counterclockwise = stream.side_data_list.iter().find_map(|s| s.rotation);
    let ratio = |text: &str| {
        let (num, den) = text.split_once(':')?;
        Some(num.parse::<f64>().ok()? / den.parse::<f64>().ok()?)
    };
    let rate = |text: Option<String>| text.as_deref().and_then(Rate::parse);
    StreamFacts {
        index: stream.index,
        kind: match stream.codec_type.as_deref() {
            Some("video") => Kind::Video,
            Some("audio") => Kind::Audio,
            _ => Kind::Other,
        },
        codec: stream.codec_name,
        width: stream.width,
        height: stream.height,
        aspect: stream.sample_aspect_ratio.as_deref().and_then(ratio),
        pixel_format: stream.pix_fmt.unwrap_or_default(),
        matrix: stream.color_space.clone().filter(|name| !matches!(name.as_str(), "unknown" | "unspecified")),
        has_reserved_colour: [&stream.color_space, &stream.color_primaries, &stream.color_transfer]
            .into_iter()
            .any(|name| name.as_deref() == Some("reserved")),
        base_rate: rate(stream.r_frame_rate),
        average_rate: rate(stream.avg_frame_rate),
        start: stream.start_time.as_deref().and_then(number),
        duration: stream.duration.as_deref().and_then(number),
        tagged_duration: stream.tags.duration,
        frames: stream.nb_frames.as_deref().and_then(|n| n.parse().ok()).filter(|n| *n > 0),
        packets: None,
        is_default: stream.disposition.default != 0,
        is_still: stream.disposition.attached_pic != 0 || stream.disposition.timed_thumbnails != 0,
        rotation: counterclockwise.map(|r| -r).or_else(|| stream.tags.rotate.as_deref().and_then(number)),
    }
}

/// Which frames FFmpeg passes on when not all are needed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Thinning {
    /// Microseconds before a sample's time in which all frames are passed on.
    window: i64,
    /// Expected time stamp of the first frame in microseconds.
    anchor: i64,
    /// Seconds after the first frame up to which all frames are passed on.
    from: f64,
}

impl Thinning {
    /// FFmpeg's expression that is true for the first frame of each period, and for those shortly
    /// before the time of a sample.
    fn around_samples(&self, fps: f64) -> String {
        let (Self { window, anchor, .. }, period) = (*self, 1e6 / fps);
        let late = (TOLERANCE * 1e6) as i64 + SLACK;
        let from = anchor + late;
        let keep = period - (window + late + SLACK) as f64;
        format!(
            "not(eq(floor((pts-{anchor})/{period}),floor((prev_pts-{anchor})/{period})))\
             +gte((pts-{from})-{period}*floor((pts-{from})/{period}),{keep})"
        )
    }
}

/// How one run of FFmpeg ended.
enum End {
    /// All was read, or the receiver has gone.
    Done,
    /// Again, with this thinning.
    Again(Option<Thinning>),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Closed => Self::Done,
            Stop::Doubt => Self::Again(None),
        }
    }
}

/// Runs FFmpeg and reads its frames.
pub(crate) struct Decoder {
    ffmpeg: PathBuf,
    abilities: Abilities,
    delivery: Delivery,
}

impl Decoder {
    pub(crate) fn new(tools: &Tools, delivery: Delivery) -> Result<Self, Error> {
        Ok(Self { ffmpeg: tools.ffmpeg.clone(), abilities: tools.abilities()?, delivery })
    }

    pub(crate) fn run(mut self) {
        let mut thinning = self.first_thinning();
        let mut sampler = Sampler::new(self.delivery.options.sampling);
        // Thinning is corrected once for its anchor and once more to none, so three runs are enough.
        for _ in 0..3 {
            if let Some(sampler) = &mut sampler {
                sampler.restart(thinning.map(|t| Gaps { window: t.window, from: t.from }));
            }
            match self.decode(thinning, &mut sampler) {
                Ok(End::Done) => return,
                Ok(End::Again(other)) => thinning = other,
                Err(error) => {
                    self.delivery.fail(error);
                    return;
                }
            }
        }
    }

    /// At a steady rate, the frame of a sample is within a frame's length before it; two and a bit allow for a gap.
    fn first_thinning(&self) -> Option<Thinning> {
        let (fps, from) = match self.delivery.options.sampling {
            Sampling::Fps(fps) => (fps, 0.0),
            // Windows of the highest rate would hold most frames, and where frames come at uneven
            // times raise doubt.
            Sampling::Adaptive => (1.0, short_rates().next().map_or(0.0, |(_, until)| until)),
            Sampling::Upstream | Sampling::All => return None,
        };
        let rate = self.delivery.info.average_rate.map(Rate::value)?;
        let window = 2.2e6 / rate;
        let all = window + TOLERANCE * 1e6 + 4.0 * SLACK as f64 >= 1e6 / fps;
        let anchor = if self.delivery.options.start > 0.0 { 0.0 } else { self.delivery.info.start * 1e6 };
        (!all && anchor.abs() < 1e15).then_some(Thinning { window: window as i64, anchor: anchor.round() as i64, from })
    }

    fn command(&self, thinning: Option<Thinning>) -> Command {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-v", "error", "-filter_threads", "1"]);
        if let Some(threads) = self.delivery.options.threads {
            arg(&mut command, "-threads", threads.to_string());
        }
        input_guards(&mut command);
        arg(&mut command, "-max_pixels", (u64::from(MAX_SIDE) * u64::from(MAX_SIDE)).to_string());
        if self.delivery.options.start > 0.0 {
            arg(&mut command, "-ss", format!("{:.6}", self.delivery.options.start));
        }
        if let Some(filter) = self.tag_filter() {
            arg(&mut command, "-bsf:v", filter);
        }
        arg(&mut command, "-i", file_url(&self.delivery.input));
        self.add_filters(&mut command, thinning);
        command.args(["-an", "-sn", "-dn"]);
        arg(&mut command, self.abilities.passthrough, "passthrough");
        command.args(["-enc_time_base", "1:1000000", "-c:v", "rawvideo", "-f", "nut", "pipe:1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The filter of packets that takes reserved tags of colours off, with which FFmpeg 7 ends before its filters.
    fn tag_filter(&self) -> Option<&'static str> {
        let is_reserved = self.delivery.info.colour.is_some_and(|colour| colour.is_reserved);
        if !(is_reserved && self.abilities.has_input_filters) {
            return None;
        }
        match self.delivery.info.codec.as_str() {
            "h264" => Some("h264_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"),
            "hevc" => Some("hevc_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"),
            "av1" => Some("av1_metadata=color_primaries=2:transfer_characteristics=2:matrix_coefficients=2"),
            "mpeg2video" => Some("mpeg2_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"),
            _ => None,
        }
    }

    /// Adds the filters and what they give. Where frames are left out, a second output has the times of all frames, with a
    /// picture of one pixel each.
    fn add_filters(&self, command: &mut Command, thinning: Option<Thinning>) {
        let delivery = &self.delivery;
        let (stream, colour, pictures) = (delivery.info.stream, delivery.colour_filter(), delivery.picture_filters());
        match self.selection(thinning) {
            None => {
                arg(command, "-map", format!("0:{stream}"));
                arg(command, "-vf", format!("settb=1/1000000,{colour}{pictures}"));
                command.args(["-pix_fmt", "rgb24"]);
            }
            // Selection comes first, so that frames which are not needed are neither scaled nor converted.
            Some(choice) => {
                let one_pixel = "crop='min(8,iw)':'min(8,ih)':0:0,scale=1:1:flags=neighbor,format=gray";
                let graph = format!(
                    "[0:{stream}]settb=1/1000000,{colour}split[all][times];[all]select='{choice}',{pictures}[pictures];\
                     [times]{one_pixel}[pixels]"
                );
                command.args(["-filter_complex_threads", "1"]);
                arg(command, "-filter_complex", graph);
                command.args([
                    "-map",
                    "[pictures]",
                    "-map",
                    "[pixels]",
                    "-pix_fmt:v:0",
                    "rgb24",
                    "-pix_fmt:v:1",
                    "gray",
                ]);
            }
        }
    }

    /// FFmpeg's expression that is true for the frames that are needed; `None` if all are.
    fn selection(&self, thinning: Option<Thinning>) -> Option<String> {
        match (self.delivery.options.sampling, thinning) {
            (Sampling::Upstream, _) => {
                Some(format!("not(mod(n,{}))", upstream_step(self.delivery.info.upstream_rate())))
            }
            (Sampling::Fps(fps), Some(thinning)) => Some(format!("isnan(prev_pts)+{}", thinning.around_samples(fps))),
            (Sampling::Adaptive, Some(thinning)) => {
                // Up to the time from which a rate is enough, frames are needed for the next higher
                // one.
                let anchor = thinning.anchor;
                let mut choice = format!("isnan(prev_pts)+{}", thinning.around_samples(1.0));
                for (rate, until) in short_rates() {
                    let until = until * 1e6;
                    choice.push_str(&format!("+lt(pts-{anchor},{until})"));
                    if until > thinning.from * 1e6 {
                        choice.push_str(&format!("*({})", thinning.around_samples(rate)));
                    }
                }
                Some(choice)
            }
            _ => None,
        }
    }

    /// One run of FFmpeg. `sampler`: `None` for a sampling that goes by the number of a frame.
    fn decode(
        &mut self,
        thinning: Option<Thinning>,
        sampler: &mut Option<Sampler<Arc<Vec<u8>>>>,
    ) -> Result<End, Error> {
        let mut child = spawn(self.command(thinning), &self.ffmpeg)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        self.delivery.shared.put(child);
        let messages = stderr.map(Messages::collect);
        let frame_bytes = u64::from(self.delivery.size.0) * u64::from(self.delivery.size.1) * 3;
        let mut times = FrameTimes::default();
        let outcome = match stdout {
            Some(pipe) => {
                let mut reader = nut::Reader::new(BufReader::with_capacity(1 << 16, pipe), frame_bytes);
                self.receive(&mut reader, frame_bytes, thinning, sampler, &mut times)
            }
            None => Ok(Some(End::Done)),
        };
        let complete = matches!(outcome, Ok(None));
        if !complete {
            self.delivery.shared.kill();
        }
        let status = self.delivery.shared.take().and_then(|mut child| wait(&mut child, Duration::from_secs(10)));
        let messages = messages.and_then(|t| t.join().ok()).unwrap_or_default();
        match outcome {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => {}
            // What a killed FFmpeg leaves unfinished is no error.
            Err(_) if self.delivery.shared.is_stopped() => return Ok(End::Done),
            Err(detail) if status.is_some_and(|s| s.success()) => {
                return Err(Error::Protocol { path: self.delivery.info.path.clone(), detail });
            }
            // FFmpeg died within a frame; what came before counts.
            Err(_) => {}
        }
        if times.is_empty() {
            return Err(Error::NothingDecoded { path: self.delivery.info.path.clone(), detail: messages.summary() });
        }
        let failed = !status.is_some_and(|s| s.success());
        self.delivery.finish(&times, (failed || !messages.is_empty()).then(|| messages.summary()));
        Ok(End::Done)
    }

    /// Reads frames to the end (`None`) or until the run has to end. `Err` has what is wrong with the stream.
    fn receive(
        &mut self,
        reader: &mut nut::Reader<impl std::io::Read>,
        frame_bytes: u64,
        thinning: Option<Thinning>,
        sampler: &mut Option<Sampler<Arc<Vec<u8>>>>,
        times: &mut FrameTimes,
    ) -> Result<Option<End>, String> {
        let delivery = &mut self.delivery;
        let shared = delivery.shared.clone();
        let mut take = |s: Sample<'_, Arc<Vec<u8>>>| {
            delivery.emit(s.time, s.frame.micros, s.undecided, || Some(s.frame.data.clone()))
        };
        let mut first = None;
        let mut damage = None;
        loop {
            let packet = match reader.next() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => {
                    damage = Some(error.to_string());
                    break;
                }
            };
            let zero = *first.get_or_insert(packet.micros);
            if let Some(t) = thinning
                && times.is_empty()
                && (zero - t.anchor).abs() > SLACK
            {
                return Ok(Some(End::Again(Some(Thinning { anchor: zero, ..t }))));
            }
            let micros = packet.micros.saturating_sub(zero);
            times.see(micros);
            if packet.stream != 0 {
                continue;
            }
            if packet.data.len() as u64 != frame_bytes {
                return Err(format!("a frame of {} bytes, expected {frame_bytes}", packet.data.len()));
            }
            let frame = Received { micros, data: Arc::new(packet.data) };
            let stop = match sampler {
                Some(sampler) => sampler.push(frame, &mut take).err(),
                None => {
                    let sample = Sample { time: seconds(micros), undecided: None, frame: &frame };
                    (!take(sample)).then_some(Stop::Closed)
                }
            };
            if let Some(stop) = stop {
                return Ok(Some(stop.into()));
            }
        }
        if !shared.is_stopped() {
            if let Some(Err(stop)) = sampler.as_mut().map(|sampler| sampler.finish(&mut take)) {
                return Ok(Some(stop.into()));
            }
            if !self.delivery.release() {
                return Ok(Some(End::Done));
            }
        }
        damage.map_or(Ok(None), Err)
    }
}
