/** Files to the frames of their samples, through mediabunny and WebCodecs. */

import { ALL_FORMATS, BlobSource, EncodedPacketSink, Input, VideoSampleSink, type VideoSample } from "mediabunny";

import { VidsieveError } from "../data/errors.js";
import { canvasOf } from "./pixels.js";
import { TOLERANCE, rateOf, sampleCount, sampleTimes, type Rate } from "./sampling.js";

/** A frame and the times, in seconds from the first frame, that it is taken for. */
export interface Sampled {
  /** Closed by whoever takes it. */
  frame: VideoFrame;
  samples: number[];
}

/** The frames of a file. */
export interface Reader {
  /** Samples a second. */
  fps: number;
  /** Seconds from the first frame to the end, as the container says. */
  duration: number;
  /** Samples there are, by what the file says of its length. */
  count: number;
  /** The samples of a range of numbers, all by default. */
  samples(from?: number, to?: number): AsyncGenerator<Sampled>;
  close(): void;
}

function unreadable(message: string, cause?: unknown): VidsieveError {
  return new VidsieveError("unreadable", message, { cause });
}

/** Runs something of mediabunny; what it throws is about the file. */
async function reading<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof VidsieveError) throw cause;
    throw unreadable(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

/** The frame upright with square pixels. */
function upright(sample: VideoSample): VideoFrame {
  if (sample.rotation === 0) return sample.toVideoFrame();
  const { displayWidth: width, displayHeight: height } = sample;
  const { canvas, context } = canvasOf(width, height);
  sample.draw(context, 0, 0, width, height);
  return new VideoFrame(canvas, { timestamp: sample.microsecondTimestamp });
}

/** A sample that is held until its last time is known. */
interface Held {
  sample: VideoSample;
  samples: number[];
}

/** Opens a file. */
export async function frames(file: Blob, rate: Rate, signal: AbortSignal): Promise<Reader> {
  if (typeof VideoDecoder === "undefined") throw new VidsieveError("unsupported", "this host has no WebCodecs");
  const input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
  try {
    const track = await reading("the file is no video that can be read", () => input.getPrimaryVideoTrack());
    signal.throwIfAborted();
    if (!track) throw unreadable("the file has no video");
    if (!(await track.canDecode())) {
      throw new VidsieveError("unsupported", `this browser does not decode ${(await track.getCodecParameterString()) ?? "this codec"}`);
    }
    const [first, end, packet] = await reading("the file's times cannot be read", () =>
      Promise.all([
        track.getFirstTimestamp(),
        track.computeDuration(),
        new EncodedPacketSink(track).getPacket(Infinity, { metadataOnly: true }),
      ]),
    );
    signal.throwIfAborted();
    if (!packet) throw unreadable("the file has no frames");
    const last = packet.timestamp - first;
    if (!(last >= 0 && Number.isFinite(last))) throw unreadable("the file's times are out of order");
    const fps = rateOf(rate, last);
    async function* samples(from = 0, to = Infinity): AsyncGenerator<Sampled> {
      // The times that were asked for and not answered: a header that lies makes no long list.
      const asked: number[] = [];
      function* timestamps(): Generator<number> {
        let left = to - from;
        for (const time of sampleTimes(last, fps, from)) {
          if (left-- <= 0) return;
          asked.push(time);
          yield first + time + TOLERANCE;
        }
      }
      const sink = new VideoSampleSink(track as NonNullable<typeof track>);
      let held: Held | null = null;
      const taken = sink.samplesAtTimestamps(timestamps());
      try {
        for (;;) {
          const next = await reading("a frame cannot be decoded", () => taken.next());
          if (next.done) break;
          const sample: VideoSample | null = next.value;
          const time = asked.shift() ?? 0;
          if (!sample) throw unreadable(`there is no frame at ${time} s`);
          if (held && held.sample.timestamp === sample.timestamp) {
            // A picture that stays is taken once.
            sample.close();
            held.samples.push(time);
            continue;
          }
          const before = held as Held | null;
          held = { sample, samples: [time] };
          if (before) yield give(before);
        }
        const rest = held as Held | null;
        held = null;
        if (rest) yield give(rest);
      } finally {
        (held as Held | null)?.sample.close();
        await taken.return(undefined).catch(() => {});
      }
    }
    return { fps, duration: Math.max(end - first, last), count: sampleCount(last, fps), samples, close: () => input.dispose() };
  } catch (thrown) {
    input.dispose();
    throw thrown;
  }
}

function give({ sample, samples }: Held): Sampled {
  try {
    return { frame: upright(sample), samples };
  } finally {
    sample.close();
  }
}
