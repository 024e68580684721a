//! Decoded frames as an iterator.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vidsieve_progress::CancelToken;

use crate::backend::Backend;
use crate::delivery::{Delivery, Frame, Message, Shared};
use crate::error::{Error, Warning};
use crate::info::Info;
use crate::options::{Limits, Options};
use crate::webp::{self, Unpacked};

/// How often a waiting consumer looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(20);

/// The frames of a file in order. Dropping it stops FFmpeg.
///
/// Damage does not fail as long as one frame decodes: the frames before and after it come out, and
/// [`Frames::warnings`] tells at the end what was lost.
#[derive(Debug)]
pub struct Frames {
    info: Info,
    size: (u32, u32),
    cancel: CancelToken,
    limits: Limits,
    waited: Duration,
    warnings: Vec<Warning>,
    length: Option<f64>,
    unpacked: Option<Unpacked>,
    receiver: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    patience: Option<Duration>,
}

impl Frames {
    /// Probes the file and starts decoding.
    ///
    /// # Errors
    /// What [`crate::probe`] refuses, and options that contradict themselves. A file that decodes to nothing fails at
    /// the first frame.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        Self::open_by(&Backend::of_environment()?, path, options)
    }

    pub(crate) fn open_by(backend: &Backend, path: &Path, options: Options) -> Result<Self, Error> {
        options.check()?;
        let info = backend.probe(path)?;
        let unpacked = webp::unpack(path, &options.cancel)?;
        let size = options.frame_size(&info);
        let (sender, receiver) = sync_channel(options.ahead);
        let shared = Arc::new(Shared::default());
        let (cancel, limits) = (options.cancel.clone(), options.limits);
        let mut delivery = Delivery::new(info.clone(), options, shared.clone(), sender);
        if let Some(unpacked) = &unpacked {
            delivery.input = unpacked.file.to_path_buf();
            delivery.damage.clone_from(&unpacked.damage);
        }
        let decoder = backend.decoder(delivery)?;
        let thread = std::thread::Builder::new()
            .name("decode".into())
            .spawn(decoder)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        Ok(Self {
            info,
            size,
            cancel,
            limits,
            waited: Duration::ZERO,
            warnings: Vec::new(),
            length: None,
            unpacked,
            receiver: Some(receiver),
            thread: Some(thread),
            shared,
            patience: backend.patience(),
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

    /// Returns the seconds from the first frame to the end of the last one, by the times of all frames that could be decoded:
    /// of those too that are not returned. Known when the iterator has ended; `None` if reading ended before the file did.
    #[must_use]
    pub fn length(&self) -> Option<f64> {
        self.length
    }

    fn path(&self) -> PathBuf {
        self.info.path.clone()
    }

    fn close(&mut self) {
        self.shared.stop();
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let start = Instant::now();
            while self.patience.is_some_and(|p| start.elapsed() < p) && !thread.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if self.patience.is_none() || thread.is_finished() {
                // A panic of the thread was printed there; nothing is left to do.
                let _ = thread.join();
            }
        }
        // Nothing reads it any more.
        self.unpacked = None;
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
                Ok(Message::Length(length)) => self.length = Some(length),
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
