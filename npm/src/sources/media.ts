/** Decodes the sampled frames of a file by WebCodecs: of a video by mediabunny, of a picture by `ImageDecoder`. */

import { ALL_FORMATS, BlobSource, Input, type InputVideoTrack, type VideoSample } from "mediabunny";

import { VidsieveError } from "../data/errors.js";
import type { FileFacts } from "../data/types.js";
import { codecName } from "./codecs.js";
import { Lookups } from "./lookups.js";
import { withWholeCluster } from "./matroska.js";
import { pictureFacts, pictureFrames, pictureKind } from "./pictures.js";
import { canvasOf } from "./pixels.js";
import type { Reader, Sampled } from "./reader.js";
import { messageOf, reading, unreadable } from "./reading.js";
import { rateOf, sampleCount, type Rate } from "./sampling.js";
import { spanOf } from "./span.js";
import { Watch } from "./watched.js";

/** Turns a frame upright, with square pixels. */
function upright(sample: VideoSample): VideoFrame {
  if (sample.rotation === 0) return sample.toVideoFrame();
  const { displayWidth: width, displayHeight: height } = sample;
  const { canvas, context } = canvasOf(width, height);
  sample.draw(context, 0, 0, width, height);
  return new VideoFrame(canvas, { timestamp: sample.microsecondTimestamp });
}

/** The input of a file; the caller closes it. `cut`: the file ends within a cluster. */
async function inputOf(given: Blob): Promise<{ input: Input; file: Blob; cut: boolean }> {
  const file = await reading("the file cannot be read", () => withWholeCluster(given));
  return { input: new Input({ source: new BlobSource(file), formats: ALL_FORMATS }), file, cut: file !== given };
}

/** Opens a file's video track; the caller closes the input. */
async function trackOf(input: Input): Promise<InputVideoTrack> {
  const track = await reading("the file is no video that can be read", () => input.getPrimaryVideoTrack());
  if (!track) throw unreadable("the file has no video");
  return track;
}

/** Fails if this browser has no decoder for a track. */
async function decodable(track: InputVideoTrack): Promise<void> {
  if (typeof VideoDecoder === "undefined") throw new VidsieveError("unsupported", "this host has no WebCodecs");
  if (!(await track.canDecode()))
    throw new VidsieveError("unsupported", `this browser does not decode ${await codecOf(track)}`);
}

async function codecOf(track: InputVideoTrack): Promise<string> {
  return codecName((await track.getCodecParameterString()) ?? (await track.getCodec()));
}

/** Reads a file's headers, and all frames of a picture. Fails only if it is aborted: `reason` says why a file cannot be decoded. */
export async function factsOf(given: Blob, rate: Rate, signal: AbortSignal): Promise<FileFacts> {
  const facts: FileFacts = {
    container: null,
    codec: null,
    width: null,
    height: null,
    duration: null,
    frames: null,
    warnings: [],
    reason: null,
  };
  let opened: Input | null = null;
  try {
    const kind = await pictureKind(given);
    if (kind) {
      await pictureFacts(facts, given, kind, rate, signal);
      return facts;
    }
    const { input, file, cut } = await inputOf(given);
    opened = input;
    facts.container = (await reading("the file is no video that can be read", () => input.getFormat())).name;
    const track = await trackOf(input);
    signal.throwIfAborted();
    [facts.codec, facts.width, facts.height] = await Promise.all([
      codecOf(track),
      track.getDisplayWidth(),
      track.getDisplayHeight(),
    ]);
    const span = await reading("the file's times cannot be read", () => spanOf(input, track, file, cut));
    signal.throwIfAborted();
    if (!span) throw unreadable("the file has no frames");
    const last = span.last - span.first;
    facts.duration = Math.max(span.end - span.first, last);
    facts.frames = sampleCount(last, rateOf(rate, last));
    facts.warnings = span.warnings;
    await decodable(track);
  } catch (thrown) {
    signal.throwIfAborted();
    facts.reason = messageOf(thrown);
  } finally {
    opened?.dispose();
  }
  return facts;
}

/** Opens a file. */
export async function frames(given: Blob, rate: Rate, signal: AbortSignal): Promise<Reader> {
  const kind = await pictureKind(given);
  signal.throwIfAborted();
  if (kind) return pictureFrames(given, kind, rate, signal);
  const { input, file, cut } = await inputOf(given);
  try {
    const track = await trackOf(input);
    signal.throwIfAborted();
    await decodable(track);
    const span = await reading("the file's times cannot be read", () => spanOf(input, track, file, cut));
    signal.throwIfAborted();
    if (!span) throw unreadable("the file has no frames");
    const last = span.last - span.first;
    if (!(last >= 0 && Number.isFinite(last))) throw unreadable("the file's times are out of order");
    const fps = rateOf(rate, last);
    const count = sampleCount(last, fps);
    const watch = new Watch(track);
    const lookups = new Lookups(watch, span, fps, count);
    const samples = (from = 0, to = Infinity) => sampled(lookups, from, to);
    const close = () => {
      watch.close();
      input.dispose();
    };
    return {
      fps,
      duration: Math.max(span.end - span.first, last),
      count,
      warnings: span.warnings,
      samples,
      close,
    };
  } catch (thrown) {
    input.dispose();
    throw thrown;
  }
}

/** A frame that is kept until its last sample is known. */
interface Held {
  sample: VideoSample;
  samples: number[];
  damage: string | null;
}

/** Yields the frames of samples; a frame that stands for several samples comes once. */
async function* sampled(lookups: Lookups, from: number, to: number): AsyncGenerator<Sampled> {
  const found = lookups.read(from, to);
  let held: Held | null = null;
  // Times of the samples before the first frame that can be decoded.
  let waiting: number[] = [];
  let expected = from;
  try {
    for (;;) {
      const next = await reading("a frame cannot be decoded", () => found.next());
      if (next.done) break;
      const { number, sample, damage = null } = next.value;
      // A skipped sample gets the frame before it, or else the one after it.
      const skipped = Array.from({ length: number - expected }, (_, i) => (expected + i) / lookups.fps);
      expected = number + 1;
      const before: Held | null = held as Held | null;
      if (before) before.samples.push(...skipped);
      else waiting = skipped;
      if (before && before.sample.timestamp === sample.timestamp) {
        sample.close();
        before.samples.push(number / lookups.fps);
        before.damage ??= damage;
        continue;
      }
      held = { sample, samples: [...waiting, number / lookups.fps], damage };
      waiting = [];
      if (before) yield give(before);
    }
    const rest = held as Held | null;
    held = null;
    if (rest) yield give(rest);
  } catch (thrown) {
    // The frames before the error count.
    const rest = held as Held | null;
    held = null;
    if (rest) yield give(rest);
    throw thrown;
  } finally {
    (held as Held | null)?.sample.close();
    await found.return(undefined).catch(() => {});
  }
}

function give({ sample, samples, damage }: Held): Sampled {
  try {
    return { frame: upright(sample), samples, damage };
  } finally {
    sample.close();
  }
}
