/**
 * Reads a video's frames by seeking in a `<video>`, where WebCodecs is missing or lacks the codec. Each
 * sample is what the browser shows at its time. The times of the first and the last frame determine
 * the samples, as in other files, if the browser reports them; otherwise the length does.
 */

import { VidsieveError, unreachable } from "../data/errors.js";
import type { TimedFrame } from "../data/types.js";
import { canvasOf } from "./pixels.js";
import { TOLERANCE, rateOf, type Rate } from "./sampling.js";

/** Seconds before the end in which no frame begins. */
const END = 0.01;

/** Timeout of a seek in milliseconds. */
const PATIENCE = 20_000;

/** Timeout for the time of a frame in milliseconds: hidden pages do not get it. */
const FRAME_TIMEOUT = 400;

/** A time after the end of any video. Seeking to it makes the browser determine a missing length. */
const FAR = 1e10;

function once(video: HTMLVideoElement, event: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const end = (then: () => void) => () => {
      clearTimeout(timer);
      listening.abort();
      then();
    };
    const fail = (message: string) => end(() => reject(new VidsieveError("unreadable", message)));
    const timer = setTimeout(fail(`the browser made no progress with this video for ${PATIENCE / 1000} s`), PATIENCE);
    video.addEventListener(event, end(resolve), { signal: listening.signal });
    const reason = () =>
      unreachable(
        video.src,
        `cannot be played by this browser${video.error?.message ? ` (${video.error.message})` : ""}`,
      );
    video.addEventListener("error", () => fail(reason())(), { signal: listening.signal });
    signal?.addEventListener(
      "abort",
      end(() => reject(signal.reason)),
      { signal: listening.signal },
    );
    if (signal?.aborted) end(() => reject(signal.reason))();
  });
}

async function seek(video: HTMLVideoElement, time: number, signal: AbortSignal | undefined): Promise<void> {
  const seeked = once(video, "seeked", signal);
  video.currentTime = time;
  await seeked;
}

/**
 * Runs `act`, and returns the time of the newest frame that the browser then presents, or null if it
 * does not report one.
 */
async function newest(video: HTMLVideoElement, act: () => Promise<void>): Promise<number | null> {
  if (typeof video.requestVideoFrameCallback !== "function") {
    await act();
    return null;
  }
  let found: number | null = null;
  let wake = () => {};
  const look = (_: number, { mediaTime }: VideoFrameCallbackMetadata): void => {
    found = mediaTime;
    handle = video.requestVideoFrameCallback(look);
    wake();
  };
  let handle = video.requestVideoFrameCallback(look);
  try {
    await act();
    if (found === null) await new Promise<void>((resolve) => setTimeout((wake = resolve), FRAME_TIMEOUT));
    return found;
  } finally {
    video.cancelVideoFrameCallback(handle);
  }
}

/** Returns the length of a video in seconds. */
async function lengthOf(video: HTMLVideoElement, signal: AbortSignal | undefined): Promise<number> {
  if (video.duration === Infinity) {
    await seek(video, FAR, signal);
    const { seekable } = video;
    if (video.duration === Infinity && seekable.length > 0) return seekable.end(seekable.length - 1);
  }
  return video.duration;
}

/** An open video. */
export interface ElementReader {
  /** Length in seconds. */
  duration: number;
  /** Samples a second. */
  fps: number;
  width: number;
  height: number;
  frames: () => AsyncGenerator<TimedFrame>;
  close: () => void;
}

/** Opens a video by its URL. */
export async function elementFrames(url: string, rate: Rate, signal: AbortSignal | undefined): Promise<ElementReader> {
  if (typeof document === "undefined") throw new VidsieveError("unsupported", "this host has no <video>");
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.crossOrigin = "anonymous";
  const close = () => {
    video.removeAttribute("src");
    video.load();
  };
  try {
    const begun = await newest(video, () => {
      const ready = once(video, "loadeddata", signal);
      video.src = url;
      return ready;
    });
    const { videoWidth: width, videoHeight: height } = video;
    let length = Number.NaN;
    // Sound may be longer than the picture: the last frame stays on screen until its end.
    const final = await newest(video, async () => {
      length = await lengthOf(video, signal);
      if (!(Number.isFinite(length) && length > 0 && width > 0 && height > 0)) {
        throw new VidsieveError("unreadable", "the video has no length or no picture");
      }
      await seek(video, length, signal);
    });
    const first = begun !== null && begun < length - END ? begun : 0;
    // Without the time of the first frame, the reported time may still be that of the first.
    const last = begun !== null && final !== null && final > first && final < length - END ? final : null;
    const fps = rateOf(rate, (last ?? length - END) - first);
    const isSample = (time: number) =>
      time === 0 || (last === null ? first + time < length - END : first + time <= last + TOLERANCE);
    const { context } = canvasOf(width, height);
    async function* frames(): AsyncGenerator<TimedFrame> {
      for (let k = 0; isSample(k / fps); k++) {
        await seek(video, Math.min(first + k / fps + TOLERANCE, length), signal);
        context.drawImage(video, 0, 0, width, height);
        yield { image: context.getImageData(0, 0, width, height), time: k / fps };
      }
    }
    return { duration: length - first, fps, width, height, frames, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
