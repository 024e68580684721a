/**
 * A video's frames by seeking in a `<video>`, where WebCodecs is missing or lacks the codec. The frames' own times are not known:
 * each sample is what the browser shows at its time.
 */

import { VidsieveError } from "../data/errors.js";
import type { TimedFrame } from "../data/types.js";
import { canvasOf } from "./pixels.js";
import { TOLERANCE, rateOf, type Rate } from "./sampling.js";

/** Seconds before the end at which no frame begins any more. */
const END = 0.01;

/** Milliseconds after which a seek is given up. */
const PATIENCE = 20_000;

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
    const reason = () => video.error?.message || "the browser cannot play this video";
    video.addEventListener("error", () => fail(reason())(), { signal: listening.signal });
    signal?.addEventListener("abort", end(() => reject(signal.reason)), { signal: listening.signal });
    if (signal?.aborted) end(() => reject(signal.reason))();
  });
}

/** Opens a URL. The rate `auto` goes by the length, as the time of the last frame is not known. */
export async function elementFrames(
  url: string,
  rate: Rate,
  signal: AbortSignal | undefined,
): Promise<{ duration: number; fps: number; frames: () => AsyncGenerator<TimedFrame>; close: () => void }> {
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
    const ready = once(video, "loadeddata", signal);
    video.src = url;
    await ready;
    const { duration, videoWidth: width, videoHeight: height } = video;
    if (!(Number.isFinite(duration) && duration > 0 && width > 0 && height > 0)) {
      throw new VidsieveError("unreadable", "the video has no length or no picture");
    }
    const fps = rateOf(rate, duration - END);
    const { context } = canvasOf(width, height);
    async function* frames(): AsyncGenerator<TimedFrame> {
      for (let k = 0; k === 0 || k / fps < duration - END; k++) {
        const seeked = once(video, "seeked", signal);
        video.currentTime = Math.min(k / fps + TOLERANCE, duration);
        await seeked;
        context.drawImage(video, 0, 0, width, height);
        yield { image: context.getImageData(0, 0, width, height), time: k / fps };
      }
    }
    return { duration, fps, frames, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}
