/**
 * A video's frames by seeking in a `<video>`, where WebCodecs is missing or lacks the codec. Each
 * sample is what the browser shows at its time. Where the browser tells the times of the first and
 * the last frame, they decide which samples there are, as of other files; else the length does.
 */

import { VidsieveError, unreachable } from "../data/errors.js";
import type { TimedFrame } from "../data/types.js";
import { canvasOf } from "./pixels.js";
import { TOLERANCE, rateOf, type Rate } from "./sampling.js";

/** Seconds before the end at which no frame begins any more. */
const END = 0.01;

/** Milliseconds after which a seek is given up. */
const PATIENCE = 20_000;

/** Milliseconds that the time of a frame is waited for: pages that are not visible are not told it. */
const TOLD = 400;

/** Later than any video ends. A recording whose length is not written down has it once this was sought. */
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
    const timer = setTimeout(fail("the browser does not get on with this video"), PATIENCE);
    video.addEventListener(event, end(resolve), { signal: listening.signal });
    const reason = () => unreachable(video.src, `cannot be played by this browser${video.error?.message ? ` (${video.error.message})` : ""}`);
    video.addEventListener("error", () => fail(reason())(), { signal: listening.signal });
    signal?.addEventListener("abort", end(() => reject(signal.reason)), { signal: listening.signal });
    if (signal?.aborted) end(() => reject(signal.reason))();
  });
}

async function seek(video: HTMLVideoElement, time: number, signal: AbortSignal | undefined): Promise<void> {
  const seeked = once(video, "seeked", signal);
  video.currentTime = time;
  await seeked;
}

/**
 * Does something, and gives the time of the newest frame that the browser then says it shows; null
 * if it says nothing.
 */
async function newest(video: HTMLVideoElement, act: () => Promise<void>): Promise<number | null> {
  if (typeof video.requestVideoFrameCallback !== "function") {
    await act();
    return null;
  }
  let found: number | null = null;
  let told = () => {};
  const look = (_: number, { mediaTime }: VideoFrameCallbackMetadata): void => {
    found = mediaTime;
    handle = video.requestVideoFrameCallback(look);
    told();
  };
  let handle = video.requestVideoFrameCallback(look);
  try {
    await act();
    if (found === null) await new Promise<void>((resolve) => setTimeout((told = resolve), TOLD));
    return found;
  } finally {
    video.cancelVideoFrameCallback(handle);
  }
}

/** The length of a video in seconds. */
async function lengthOf(video: HTMLVideoElement, signal: AbortSignal | undefined): Promise<number> {
  if (video.duration === Infinity) {
    await seek(video, FAR, signal);
    const { seekable } = video;
    if (video.duration === Infinity && seekable.length > 0) return seekable.end(seekable.length - 1);
  }
  return video.duration;
}

/** A video that is open. */
export interface ElementReader {
  /** Seconds. */
  duration: number;
  /** Samples a second. */
  fps: number;
  width: number;
  height: number;
  frames: () => AsyncGenerator<TimedFrame>;
  close: () => void;
}

/** Opens a URL. */
export async function elementFrames(url: string, rate: Rate, signal: AbortSignal | undefined): Promise<ElementReader> {
  if (typeof document === "undefined") throw new VidsieveError("unsupported", "there is no <video> here");
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
    // Sound may outlast the picture: the last frame is on the screen until then.
    const final = await newest(video, async () => {
      length = await lengthOf(video, signal);
      if (!(Number.isFinite(length) && length > 0 && width > 0 && height > 0)) {
        throw new VidsieveError("unreadable", "the video has no length or no picture");
      }
      await seek(video, length, signal);
    });
    const first = begun !== null && begun < length - END ? begun : 0;
    // Without the time of the first frame, that of the last may still be the first one's.
    const last = begun !== null && final !== null && final > first && final < length - END ? final : null;
    const fps = rateOf(rate, (last ?? length - END) - first);
    const isSample = (time: number) => time === 0 || (last === null ? first + time < length - END : first + time <= last + TOLERANCE);
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
