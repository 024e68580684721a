//! Decoded frames as an iterator.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Warning};
use crate::nut;
use crate::probe::{Info, MAX_SIDE, Rate, probe_with};
use crate::sampling::{Received, Sampler, Sampling, Stop, TOLERANCE, seconds, upstream_step};
use crate::tools::{Messages, Tools, arg, file_url, input_guards, spawn, wait};

/// How often a waiting consumer looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(20);

/// Microseconds that a time stamp may differ from what the header lets expect, when FFmpeg leaves out frames.
const SLACK: i64 = 1000;

/// Stops a decoder from another thread.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag: the next or the waiting call of the iterator gives [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelFlag::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What reading one file may cost. Only the time in which the consumer waits for FFmpeg counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Longest wait for one frame.
    pub stall: Duration,
    /// Sum of all waits.
    pub total: Duration,
    /// Frames that are returned at most; [`Warning::FrameLimit`] tells that there were more.
    pub frames: u64,
}

impl Default for Limits {
    /// Two minutes for a frame, six hours in all, 1,000,000 frames.
    fn default() -> Self {
        Self { stall: Duration::from_secs(120), total: Duration::from_secs(6 * 3600), frames: 1_000_000 }
    }
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which frames.
    pub sampling: Sampling,
    /// Frames whose longer side has more pixels are reduced to this by area; never enlarged beyond their display size.
    pub max_side: Option<u32>,
    /// Whether frames get square pixels, as players show them; else they stay as they are stored.
    pub square_pixels: bool,
    /// Seconds of the file that are skipped; the first frame at or after is the first one.
    pub start: f64,
    /// Frames after which reading ends.
    pub max_frames: Option<u64>,
    /// Threads of the decoder; `None`: as many as FFmpeg likes.
    pub threads: Option<u32>,
    /// Frames that are decoded before they are asked for, at most.
    pub ahead: usize,
    /// Limits.
    pub limits: Limits,
    /// Stops reading from elsewhere.
    pub cancel: CancelFlag,
}

impl Default for Options {
    /// One frame a second by time stamps, as large as they are, two threads.
    fn default() -> Self {
        Self {
            sampling: Sampling::Fps(1.0),
            max_side: None,
            square_pixels: true,
            start: 0.0,
            max_frames: None,
            threads: Some(2),
            ahead: 3,
            limits: Limits::default(),
            cancel: CancelFlag::new(),
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Options(message));
        match self.sampling {
            Sampling::Fps(fps) if !(fps.is_finite() && fps > 0.0 && fps <= 1000.0) => {
                return refuse(format!("{fps} frames a second, must be above 0 and at most 1000"));
            }
            _ => {}
        }
        if let Some(side) = self.max_side.filter(|s| !(1..=MAX_SIDE).contains(s)) {
            return refuse(format!("a largest side of {side} pixels, must be 1 to {MAX_SIDE}"));
        }
        if !(self.start.is_finite() && self.start >= 0.0 && self.start < 1e9) {
            return refuse(format!("a start of {} s, must be 0 or more", self.start));
        }
        if let Some(threads) = self.threads.filter(|t| !(1..=256).contains(t)) {
            return refuse(format!("{threads} threads, must be 1 to 256"));
        }
        Ok(())
    }
}

/// One frame: RGB, 8 bits a channel, rows from the top without padding; rotated upright, transparency over black.
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Frame {
    index: u64,
    time: f64,
    pts: f64,
    repeat: bool,
    width: u32,
    height: u32,
    data: Arc<Vec<u8>>,
}

impl Frame {
    /// Position among the returned frames.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Seconds after the first frame (plus [`Options::start`]) for which this frame was taken: k / fps for
    /// [`Sampling::Fps`], else [`Frame::pts`].
    #[must_use]
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Seconds after the first frame (plus [`Options::start`]) at which this frame appears.
    #[must_use]
    pub fn pts(&self) -> f64 {
        self.pts
    }

    /// Whether this is the very frame that was returned before, on the screen for more than one sample.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.repeat
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height * 3` bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

enum Message {
    Frame(Frame),
    Warning(Warning),
    Failed(Error),
}

/// The frames of a file in order. Dropping it stops FFmpeg.
///
/// Damage does not fail as long as one frame decodes: the frames before and after it come out, and
/// [`Frames::warnings`] tells at the end what was lost.
#[derive(Debug)]
pub struct Frames {
    info: Info,
    size: (u32, u32),
    cancel: CancelFlag,
    limits: Limits,
    waited: Duration,
    warnings: Vec<Warning>,
    receiver: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// The running child, so that the consumer can end it.
#[derive(Debug, Default)]
struct Shared {
    child: Mutex<Option<Child>>,
    stop: AtomicBool,
}

impl Shared {
    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.kill();
    }

    fn kill(&self) {
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // It fails only for a child that is over.
            let _ = child.kill();
        }
    }

    fn put(&self, child: Child) {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        if self.stop.load(Ordering::SeqCst) {
            self.kill();
        }
    }

    fn take(&self) -> Option<Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Frames {
    /// Probes the file and starts decoding.
    ///
    /// # Errors
    /// What [`crate::probe`] refuses, and options that contradict themselves. A file that decodes to nothing fails at
    /// the first frame.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        Self::open_with(&Tools::of_environment(), path, options)
    }

    pub(crate) fn open_with(tools: &Tools, path: &Path, options: Options) -> Result<Self, Error> {
        options.check()?;
        let info = probe_with(tools, path)?;
        let passthrough = tools.passthrough()?;
        let size = target_size(&info, &options);
        let (sender, receiver) = sync_channel(options.ahead);
        let shared = Arc::new(Shared::default());
        let (cancel, limits) = (options.cancel.clone(), options.limits);
        let decoder = Decoder {
            ffmpeg: tools.ffmpeg.clone(),
            passthrough,
            info: info.clone(),
            size,
            options,
            shared: shared.clone(),
            sender,
            returned: 0,
            last_pts: None,
        };
        let thread = std::thread::Builder::new()
            .name("decode".into())
            .spawn(move || decoder.run())
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        Ok(Self {
            info,
            size,
            cancel,
            limits,
            waited: Duration::ZERO,
            warnings: Vec::new(),
            receiver: Some(receiver),
            thread: Some(thread),
            shared,
        })
    }

    /// What the file says about its video.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Width and height of every returned frame.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// What was not read; complete when the iterator has ended.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn path(&self) -> PathBuf {
        self.info.path.clone()
    }

    fn close(&mut self) {
        self.shared.stop();
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed there; nothing is left to do.
            let _ = thread.join();
        }
    }

    fn fail(&mut self, error: Error) -> Option<Result<Frame, Error>> {
        self.close();
        Some(Err(error))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.as_ref()?;
        let start = Instant::now();
        loop {
            if self.cancel.is_cancelled() {
                let error = Error::Cancelled { path: self.path() };
                return self.fail(error);
            }
            let message = self.receiver.as_ref()?.recv_timeout(TICK);
            let waited = start.elapsed();
            match message {
                Ok(Message::Frame(frame)) => {
                    self.waited += waited;
                    return Some(Ok(frame));
                }
                Ok(Message::Warning(warning)) => self.warnings.push(warning),
                Ok(Message::Failed(error)) => return self.fail(error),
                Err(RecvTimeoutError::Disconnected) => {
                    self.close();
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let limit = [
                        ("one frame", self.limits.stall, waited),
                        ("decoding", self.limits.total, self.waited + waited),
                    ]
                    .into_iter()
                    .find(|(_, limit, took)| took > limit);
                    if let Some((what, limit, _)) = limit {
                        let error = Error::TimeLimit { path: self.path(), what, seconds: limit.as_secs_f64() };
                        return self.fail(error);
                    }
                }
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.close();
    }
}

fn target_size(info: &Info, options: &Options) -> (u32, u32) {
    let (width, height) =
        if options.square_pixels { (info.display_width, info.display_height) } else { (info.width, info.height) };
    match options.max_side {
        Some(limit) if width.max(height) > limit => {
            let scale = f64::from(limit) / f64::from(width.max(height));
            let side = |s: u32| ((f64::from(s) * scale).round() as u32).clamp(1, limit);
            (side(width), side(height))
        }
        _ => (width, height),
    }
}

/// Which frames FFmpeg passes on when not all are needed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Thinning {
    /// Microseconds before a sample's time in which all frames are passed on.
    window: i64,
    /// Expected time stamp of the first frame in microseconds.
    anchor: i64,
}

/// How one run of FFmpeg ended.
enum End {
    /// All was read, or nobody wants more.
    Done,
    /// Again, with this thinning.
    Again(Option<Thinning>),
}

/// The thread that runs FFmpeg and reads its frames.
struct Decoder {
    ffmpeg: PathBuf,
    passthrough: &'static str,
    info: Info,
    size: (u32, u32),
    options: Options,
    shared: Arc<Shared>,
    sender: SyncSender<Message>,
    returned: u64,
    last_pts: Option<i64>,
}

impl Decoder {
    fn run(mut self) {
        let mut thinning = self.first_thinning();
        let mut next = 0;
        // Thinning is corrected once for its anchor and once more to none, so three runs are enough.
        for _ in 0..3 {
            match self.decode(thinning, &mut next) {
                Ok(End::Done) => return,
                Ok(End::Again(other)) => thinning = other,
                Err(error) => {
                    // Without a receiver nobody is interested.
                    let _ = self.sender.send(Message::Failed(error));
                    return;
                }
            }
        }
    }

    /// At a steady rate, the frame of a sample is within a frame's length before it; two and a bit allow for a gap.
    fn first_thinning(&self) -> Option<Thinning> {
        let Sampling::Fps(fps) = self.options.sampling else { return None };
        let rate = self.info.average_rate.map(Rate::value)?;
        let window = 2.2e6 / rate;
        let all = window + TOLERANCE * 1e6 + 4.0 * SLACK as f64 >= 1e6 / fps;
        let anchor = if self.options.start > 0.0 { 0.0 } else { self.info.start * 1e6 };
        (!all && anchor.abs() < 1e15).then_some(Thinning { window: window as i64, anchor: anchor.round() as i64 })
    }

    fn command(&self, thinning: Option<Thinning>) -> Command {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-v", "error", "-filter_threads", "1"]);
        if let Some(threads) = self.options.threads {
            arg(&mut command, "-threads", threads.to_string());
        }
        input_guards(&mut command);
        arg(&mut command, "-max_pixels", (u64::from(MAX_SIDE) * u64::from(MAX_SIDE)).to_string());
        if self.options.start > 0.0 {
            arg(&mut command, "-ss", format!("{:.6}", self.options.start));
        }
        arg(&mut command, "-i", file_url(&self.info.path));
        arg(&mut command, "-map", format!("0:{}", self.info.stream));
        command.args(["-an", "-sn", "-dn"]);
        arg(&mut command, "-vf", self.graph(thinning));
        arg(&mut command, self.passthrough, "passthrough");
        command.args(["-enc_time_base", "1:1000000", "-c:v", "rawvideo", "-pix_fmt", "rgb24", "-f", "nut", "pipe:1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Selection comes first, so that frames which are not needed are neither scaled nor converted.
    fn graph(&self, thinning: Option<Thinning>) -> String {
        let mut graph = String::from("settb=1/1000000");
        match (self.options.sampling, thinning) {
            (Sampling::Upstream, _) => {
                let step = upstream_step(self.info.upstream_rate());
                graph.push_str(&format!(",select='not(mod(n,{step}))'"));
            }
            (Sampling::Fps(fps), Some(Thinning { window, anchor })) => {
                let period = 1e6 / fps;
                let late = (TOLERANCE * 1e6) as i64 + SLACK;
                let from = anchor + late;
                let keep = period - (window + late + SLACK) as f64;
                // The first frame, the first one of each period, and those shortly before a sample's time.
                graph.push_str(&format!(
                    ",select='isnan(prev_pts)+not(eq(floor((pts-{anchor})/{period}),\
                     floor((prev_pts-{anchor})/{period})))\
                     +gte((pts-{from})-{period}*floor((pts-{from})/{period}),{keep})'"
                ));
            }
            _ => {}
        }
        let (width, height) = self.size;
        graph.push_str(&format!(",scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int"));
        if self.info.assume_bt709 && self.options.sampling != Sampling::Upstream {
            graph.push_str(":in_color_matrix=bt709");
        }
        graph.push_str(if self.info.has_alpha {
            ",format=gbrap,premultiply=inplace=1,format=rgb24"
        } else {
            ",format=rgb24"
        });
        graph
    }

    /// One run of FFmpeg. `next`: the first sample that is not known yet.
    fn decode(&mut self, thinning: Option<Thinning>, next: &mut u64) -> Result<End, Error> {
        let mut child = spawn(self.command(thinning), &self.ffmpeg)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        self.shared.put(child);
        let messages = stderr.map(Messages::collect);
        let frame_bytes = u64::from(self.size.0) * u64::from(self.size.1) * 3;
        let mut last = None;
        let outcome = match stdout {
            Some(pipe) => {
                let mut reader = nut::Reader::new(BufReader::with_capacity(1 << 16, pipe), frame_bytes);
                self.receive(&mut reader, frame_bytes, thinning, next, &mut last)
            }
            None => Ok(Some(End::Done)),
        };
        let complete = matches!(outcome, Ok(None));
        if !complete {
            self.shared.kill();
        }
        let status = self.shared.take().and_then(|mut child| wait(&mut child, Duration::from_secs(10)));
        let messages = messages.and_then(|t| t.join().ok()).unwrap_or_default();
        match outcome {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => {}
            // What a killed FFmpeg leaves unfinished is no error.
            Err(_) if self.shared.stop.load(Ordering::SeqCst) => return Ok(End::Done),
            Err(detail) if status.is_some_and(|s| s.success()) => {
                return Err(Error::Protocol { path: self.info.path.clone(), detail });
            }
            // FFmpeg died within a frame; what came before counts.
            Err(_) => {}
        }
        let Some(last) = last else {
            return Err(Error::NothingDecoded { path: self.info.path.clone(), detail: messages.summary() });
        };
        let failed = !status.is_some_and(|s| s.success());
        if failed || !messages.is_empty() {
            let read = self.options.start + seconds(last);
            let step = match self.options.sampling {
                Sampling::Fps(fps) => 1.0 / fps,
                Sampling::Upstream => 1.0,
                Sampling::All => 0.0,
            };
            let frame = self.info.average_rate.map_or(0.0, |r| 1.0 / r.value());
            let detail = messages.summary();
            let lost = self.info.duration.filter(|d| d - read > step + 2.0 * frame + 0.5);
            let warning = match lost {
                Some(expected) => Warning::Lost { read, expected, detail },
                None => Warning::Damaged { detail },
            };
            let _ = self.sender.send(Message::Warning(warning));
        }
        Ok(End::Done)
    }

    /// Reads frames to the end (`None`) or until the run has to end. `Err` has what is wrong with the stream.
    fn receive(
        &mut self,
        reader: &mut nut::Reader<impl std::io::Read>,
        frame_bytes: u64,
        thinning: Option<Thinning>,
        next: &mut u64,
        last: &mut Option<i64>,
    ) -> Result<Option<End>, String> {
        let sampling = self.options.sampling;
        let fps = if let Sampling::Fps(fps) = sampling { fps } else { 1.0 };
        let mut sampler = Sampler::new(fps, *next, thinning.map(|t| t.window));
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
            if packet.data.len() as u64 != frame_bytes {
                return Err(format!("a frame of {} bytes, expected {frame_bytes}", packet.data.len()));
            }
            let zero = *first.get_or_insert(packet.micros);
            if let Some(t) = thinning
                && last.is_none()
                && (zero - t.anchor).abs() > SLACK
            {
                return Ok(Some(End::Again(Some(Thinning { anchor: zero, ..t }))));
            }
            let micros = packet.micros.saturating_sub(zero);
            *last = Some(last.map_or(micros, |l: i64| l.max(micros)));
            let frame = Received { micros, data: Arc::new(packet.data) };
            let stop = if matches!(sampling, Sampling::Fps(_)) {
                let stop = sampler.push(frame, &mut |_, time, frame| self.emit(time, frame)).err();
                *next = sampler.next_sample();
                stop
            } else {
                (!self.emit(seconds(micros), &frame)).then_some(Stop::Closed)
            };
            match stop {
                None => {}
                Some(Stop::Closed) => return Ok(Some(End::Done)),
                Some(Stop::Doubt) => return Ok(Some(End::Again(None))),
            }
        }
        if matches!(sampling, Sampling::Fps(_)) && !self.shared.stop.load(Ordering::SeqCst) {
            let stop = sampler.finish(&mut |_, time, frame| self.emit(time, frame)).err();
            *next = sampler.next_sample();
            match stop {
                None => {}
                Some(Stop::Closed) => return Ok(Some(End::Done)),
                Some(Stop::Doubt) => return Ok(Some(End::Again(None))),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// Hands a frame to the consumer; `false` when no more are wanted.
    fn emit(&mut self, time: f64, frame: &Received<Arc<Vec<u8>>>) -> bool {
        if self.options.max_frames.is_some_and(|max| self.returned >= max) {
            return false;
        }
        if self.returned >= self.options.limits.frames {
            let _ = self.sender.send(Message::Warning(Warning::FrameLimit { frames: self.options.limits.frames }));
            return false;
        }
        let repeat = self.last_pts == Some(frame.micros);
        let message = Message::Frame(Frame {
            index: self.returned,
            time: self.options.start + time,
            pts: self.options.start + seconds(frame.micros),
            repeat,
            width: self.size.0,
            height: self.size.1,
            data: frame.data.clone(),
        });
        self.last_pts = Some(frame.micros);
        self.returned += 1;
        // With the last wanted frame delivered, FFmpeg need not go on to the next one.
        self.sender.send(message).is_ok() && self.options.max_frames.is_none_or(|max| self.returned < max)
    }
}
