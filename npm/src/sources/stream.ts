/** The frames of a camera, a screen or a canvas as they come. */

import { VidsieveError } from "../data/errors.js";
import type { TimedFrame } from "../data/types.js";
import { canvasOf } from "./pixels.js";
import { TOLERANCE, rateOf, type Rate } from "./sampling.js";

/** When a stream ends, other than by its track's end. */
export interface StreamOptions {
  /** Frames a second that are taken. */
  fps: Rate;
  /** Seconds after which it ends. */
  duration: number | undefined;
  /** Ends it; what came before counts. */
  until: AbortSignal | undefined;
  /** Ends it with its reason. */
  signal: AbortSignal | undefined;
}

/** Milliseconds in which a stream has to begin. */
const PATIENCE = 20_000;

/** Frames with their arrival times, in seconds from the first; the caller closes each. */
interface Source {
  next(): Promise<TimedFrame | null>;
  close(): void;
}

/** `MediaStreamTrackProcessor`, of which TypeScript's declarations of pages know nothing. */
type Processor = new (options: { track: MediaStreamTrack }) => { readable: ReadableStream<VideoFrame> };

const processor = (): Processor | undefined =>
  (globalThis as { MediaStreamTrackProcessor?: Processor }).MediaStreamTrackProcessor;

/** Milliseconds for which a frame that was asked for is still awaited after the end. */
const GRACE = 1000;

/**
 * Every frame of a track, as the browser gives them out.
 *
 * Chromium makes a frame in one task and puts it into the stream in another. A stream that is cancelled
 * in between drops the frame without closing it, so `close` awaits a frame that was asked for.
 */
function processed(Processor: Processor, track: MediaStreamTrack): Source {
  const reader = new Processor({ track }).readable.getReader();
  let first: number | undefined;
  let asked: Promise<ReadableStreamReadResult<VideoFrame>> | null = null;
  let over = false;
  let end = (): void => {};
  const ended = new Promise<null>((resolve) => (end = () => resolve(null)));
  return {
    async next() {
      if (over) return null;
      asked = reader.read();
      const read = await Promise.race([asked, ended]);
      if (!read) return null;
      asked = null;
      if (read.done) return null;
      first ??= read.value.timestamp;
      return { image: read.value, time: (read.value.timestamp - first) / 1e6 };
    },
    close() {
      if (over) return;
      over = true;
      end();
      const cancel = () => void reader.cancel().catch(() => {});
      if (!asked) return cancel();
      const timer = setTimeout(cancel, GRACE);
      asked
        .then(({ value }) => value?.close())
        .catch(() => {})
        .finally(() => {
          clearTimeout(timer);
          cancel();
        });
    },
  };
}

/** The pictures that a `<video>` shows of a stream: the first one at or after the time of each sample. */
async function played(track: MediaStreamTrack, rate: Rate): Promise<Source> {
  if (typeof document === "undefined") throw new VidsieveError("unsupported", "streams can be read in pages only");
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  video.srcObject = new MediaStream([track]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new VidsieveError("unreadable", `the stream showed no picture within ${PATIENCE / 1000} s`)),
      PATIENCE,
    );
  });
  await Promise.race([video.play(), late]).finally(() => clearTimeout(timer));
  let first: number | undefined;
  let due = 0;
  let closed = false;
  let wake = (_: TimedFrame | null): void => {};
  let handle = 0;
  const look = (now: number): void => {
    first ??= now;
    const time = (now - first) / 1000;
    const { videoWidth: width, videoHeight: height } = video;
    if (time < due || width === 0) {
      handle = video.requestVideoFrameCallback(look);
      return;
    }
    const fps = rateOf(rate, time);
    due = (Math.floor(time * fps) + 1) / fps;
    const { context } = canvasOf(width, height);
    context.drawImage(video, 0, 0, width, height);
    wake({ image: context.getImageData(0, 0, width, height), time });
  };
  const ended = () => wake(null);
  track.addEventListener("ended", ended);
  return {
    next: () =>
      closed || track.readyState === "ended"
        ? Promise.resolve(null)
        : new Promise((resolve) => {
            wake = resolve;
            handle = video.requestVideoFrameCallback(look);
          }),
    close() {
      closed = true;
      track.removeEventListener("ended", ended);
      video.cancelVideoFrameCallback(handle);
      video.srcObject = null;
      wake(null);
    },
  };
}

function closeFrame(frame: TimedFrame | null): void {
  if (frame && "close" in frame.image) frame.image.close();
}

/**
 * The frames of a stream's video, in real time. A picture that stays, as of a screen on which nothing moves, is given once more at the
 * end, with the time at which the stream ended. The stream itself goes on: its tracks are the caller's.
 */
export async function* streamFrames(
  stream: MediaStream,
  options: StreamOptions,
): AsyncGenerator<TimedFrame, void, undefined> {
  const { fps, duration, until, signal } = options;
  const track = stream.getVideoTracks()[0];
  if (!track) throw new VidsieveError("bad-argument", "this stream has no video");
  signal?.throwIfAborted();
  const Processor = processor();
  const source = Processor ? processed(Processor, track) : await played(track, fps);
  // Closing ends the wait for the next frame.
  let over = false;
  const end = (): void => {
    over = true;
    source.close();
  };
  for (const ending of [until, signal]) ending?.addEventListener("abort", end);
  if (until?.aborted || signal?.aborted) end();
  const latest = duration === undefined ? Infinity : duration - 2 * TOLERANCE;
  // A stream that never begins ends too.
  let timer = duration === undefined ? undefined : setTimeout(end, 1000 * duration + PATIENCE);
  let last: TimedFrame | null = null;
  let came = 0;
  try {
    for (;;) {
      const frame = await source.next();
      if (!frame) break;
      if (over || frame.time > latest) {
        closeFrame(frame);
        break;
      }
      // A device that was changed may begin its times anew.
      if (last && frame.time <= last.time) {
        closeFrame(frame);
        continue;
      }
      if (!last && duration !== undefined) {
        clearTimeout(timer);
        timer = setTimeout(end, 1000 * duration);
      }
      closeFrame(last);
      [last, came] = [frame, performance.now()];
      yield frame;
    }
    signal?.throwIfAborted();
    if (last) yield { image: last.image, time: Math.min(last.time + (performance.now() - came) / 1000, latest) };
  } finally {
    clearTimeout(timer);
    for (const ending of [until, signal]) ending?.removeEventListener("abort", end);
    closeFrame(last);
    source.close();
  }
}
