/**
 * Decodes the sampled frames of a GIF, WebP, PNG or AVIF file by `ImageDecoder`. A file that does not
 * move has one frame, as natively.
 */

import { VidsieveError } from "../data/errors.js";
import type { FileFacts } from "../data/types.js";
import type { Reader, Sampled } from "./reader.js";
import { RETRIES, isReclaimed, messageOf, reading, reclaimed, unreadable } from "./reading.js";
import { TOLERANCE, rateOf, sampleCount, sampleTimes, type Rate } from "./sampling.js";

/** Microseconds of a second. */
const SECOND = 1_000_000;

/** A kind of picture that may move. */
export interface PictureKind {
  name: string;
  codec: string;
  /** Media type. */
  type: string;
  /** Returns the microseconds of a frame that has so many: (almost) none become more, as natively. */
  shown: (duration: number) => number;
  /** Microseconds of a picture that does not move, as natively. */
  still: number;
}

const atLeast = (least: number, otherwise: number) => (duration: number) => (duration < least ? otherwise : duration);

const GIF: PictureKind = {
  name: "GIF",
  codec: "GIF",
  type: "image/gif",
  shown: atLeast(20_000, 100_000),
  still: 0,
};
const WEBP: PictureKind = {
  name: "WebP",
  codec: "WebP",
  type: "image/webp",
  shown: atLeast(10_001, 100_000),
  still: 40_000,
};
const PNG: PictureKind = { name: "PNG", codec: "PNG", type: "image/png", shown: atLeast(1, 66_670), still: 40_000 };
const AVIF: PictureKind = {
  name: "AVIF",
  codec: "AV1",
  type: "image/avif",
  shown: (duration) => duration,
  still: 40_000,
};

/** Bytes within which a file shows its kind. */
const HEAD = 256;

/** Returns the kind of a file by its first bytes; null if it is no picture. */
export async function pictureKind(file: Blob): Promise<PictureKind | null> {
  const bytes = await reading("the file cannot be read", () => file.slice(0, HEAD).arrayBuffer());
  const head = String.fromCharCode(...new Uint8Array(bytes));
  if (/^GIF8[79]a/.test(head)) return GIF;
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return PNG;
  if (/^RIFF.{4}WEBP/s.test(head)) return WEBP;
  if (head.slice(4, 8) !== "ftyp") return null;
  const brands = head.slice(8, new DataView(bytes).getUint32(0)).match(/.{4}/gs) ?? [];
  // The second word is a version.
  return brands.some((brand, k) => k !== 1 && (brand === "avif" || brand === "avis")) ? AVIF : null;
}

/** Fails if this host cannot decode pictures of a kind. */
async function decodable({ name, type }: PictureKind): Promise<void> {
  if (typeof ImageDecoder === "undefined")
    throw new VidsieveError("unsupported", `this host has no ImageDecoder, which decodes ${name}`);
  if (!(await ImageDecoder.isTypeSupported(type)))
    throw new VidsieveError("unsupported", `this browser does not decode ${name}`);
}

async function decoderOf(file: Blob, type: string): Promise<ImageDecoder> {
  const data = await file.arrayBuffer();
  const decoder = new ImageDecoder({
    type,
    data,
    transfer: [data],
    preferAnimation: true,
    // Natively colour profiles do not count.
    colorSpaceConversion: "none",
  });
  // Of a damaged file the frames before the damage count.
  const completed = decoder.completed.catch(() => {});
  try {
    await decoder.tracks.ready;
    await completed;
    return decoder;
  } catch (thrown) {
    decoder.close();
    throw thrown;
  }
}

/** The decoder of a file, which is opened again after the browser took it away. */
class PictureDecoder {
  readonly #file: Blob;
  readonly #type: string;
  #opened: Promise<ImageDecoder> | null = null;

  constructor(file: Blob, { type }: PictureKind) {
    this.#file = file;
    this.#type = type;
  }

  #open(): Promise<ImageDecoder> {
    this.#opened ??= decoderOf(this.#file, this.#type);
    return this.#opened;
  }

  /** Returns the number of frames, one of which may be incomplete. */
  async count(): Promise<number> {
    const { tracks } = await this.#open();
    return tracks.selectedTrack?.frameCount ?? 0;
  }

  /** Returns a frame; the caller closes it. */
  async frame(frameIndex: number): Promise<VideoFrame> {
    for (let attempt = 0; ; attempt++) {
      const opened = this.#open();
      try {
        const { image } = await (await opened).decode({ frameIndex });
        return image;
      } catch (thrown) {
        if (!isReclaimed(thrown)) throw thrown;
        if (attempt >= RETRIES) throw reclaimed(thrown);
        if (this.#opened === opened) this.close();
      }
    }
  }

  close(): void {
    this.#opened?.then(
      (decoder) => decoder.close(),
      () => {},
    );
    this.#opened = null;
  }
}

const FCTL = 0x6663544c;

/**
 * Returns the delays of an animated PNG in microseconds, rounded as natively: decoders round them to
 * milliseconds, which adds up.
 */
async function delaysOfPng(file: Blob): Promise<number[]> {
  const view = new DataView(await file.arrayBuffer());
  const delays: number[] = [];
  for (let at = 8; at + 34 <= view.byteLength; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) !== FCTL) continue;
    delays.push(10 * Math.round((1e5 * view.getUint16(at + 28)) / (view.getUint16(at + 30) || 100)));
  }
  return delays;
}

/** What is known of a picture after all its frames were decoded once: before that, no decoder tells their durations. */
interface Timeline {
  /** Seconds from the first frame to each. */
  times: number[];
  /** Seconds to the end of the last frame. */
  duration: number;
  width: number;
  height: number;
  warnings: string[];
}

async function timelineOf(
  decoder: PictureDecoder,
  kind: PictureKind,
  file: Blob,
  signal: AbortSignal,
): Promise<Timeline> {
  const what = `the file is no ${kind.name} that can be read`;
  const count = await reading(what, () => decoder.count());
  signal.throwIfAborted();
  if (count === 0) throw unreadable(`the ${kind.name} has no frames`);
  const delays = kind === PNG ? await reading(what, () => delaysOfPng(file)) : [];
  const found: Timeline = { times: [], duration: 0, width: 0, height: 0, warnings: [] };
  const { times } = found;
  let end = 0;
  for (let index = 0; index < count; index++) {
    let frame: VideoFrame;
    try {
      frame = await decoder.frame(index);
    } catch (thrown) {
      signal.throwIfAborted();
      if (index === 0 || thrown instanceof VidsieveError) return reading(what, () => Promise.reject(thrown));
      const read = (end / SECOND).toFixed(1);
      found.warnings.push(`the file is damaged: ${messageOf(thrown)}; only the first ${read} s could be read`);
      break;
    }
    [found.width, found.height] = [frame.displayWidth, frame.displayHeight];
    times.push(end / SECOND);
    end += kind.shown(delays[index] ?? frame.duration ?? kind.still);
    frame.close();
    signal.throwIfAborted();
  }
  found.duration = lengthOf(times, end / SECOND);
  return found;
}

/** Returns the length of a video, by the native rule: its last frame may stay, but not far longer than all before it. */
function lengthOf(times: number[], end: number): number {
  const last = times.at(-1) ?? 0;
  let [gap, longest] = [end, 0];
  for (let k = 1; k < times.length; k++) {
    gap = (times[k] ?? 0) - (times[k - 1] ?? 0);
    longest = Math.max(longest, gap);
  }
  return end <= 2 * last + 10 * longest + 60 ? end : last + gap;
}

/** Completes what is known of a picture. Fails if it cannot be decoded. */
export async function pictureFacts(
  facts: FileFacts,
  file: Blob,
  kind: PictureKind,
  rate: Rate,
  signal: AbortSignal,
): Promise<void> {
  facts.container = kind.name;
  facts.codec = kind.codec;
  await decodable(kind);
  const decoder = new PictureDecoder(file, kind);
  try {
    const { times, duration, width, height, warnings } = await timelineOf(decoder, kind, file, signal);
    const last = times.at(-1) ?? 0;
    Object.assign(facts, { width, height, duration, warnings, frames: sampleCount(last, rateOf(rate, last)) });
  } finally {
    decoder.close();
  }
}

/** Opens a picture. */
export async function pictureFrames(file: Blob, kind: PictureKind, rate: Rate, signal: AbortSignal): Promise<Reader> {
  await decodable(kind);
  const decoder = new PictureDecoder(file, kind);
  try {
    const { times, duration, warnings } = await timelineOf(decoder, kind, file, signal);
    const last = times.at(-1) ?? 0;
    const fps = rateOf(rate, last);
    return {
      fps,
      duration,
      count: sampleCount(last, fps),
      warnings,
      samples: (from = 0, to = Infinity) => sampled(decoder, times, fps, from, to),
      close: () => decoder.close(),
    };
  } catch (thrown) {
    decoder.close();
    throw thrown;
  }
}

/** Yields the frames of samples; a frame that stands for several samples comes once. */
async function* sampled(
  decoder: PictureDecoder,
  times: number[],
  fps: number,
  from: number,
  to: number,
): AsyncGenerator<Sampled> {
  const give = async (index: number, samples: number[]): Promise<Sampled> => ({
    frame: await reading("a frame cannot be decoded", () => decoder.frame(index)),
    samples,
    damage: null,
  });
  let [index, number] = [0, from];
  let samples: number[] = [];
  for (const time of sampleTimes(times.at(-1) ?? 0, fps, from)) {
    if (number++ >= to) break;
    let next = index;
    while ((times[next + 1] ?? Infinity) <= time + TOLERANCE) next++;
    if (next !== index && samples.length > 0) {
      yield await give(index, samples);
      samples = [];
    }
    index = next;
    samples.push(time);
  }
  if (samples.length > 0) yield await give(index, samples);
}
