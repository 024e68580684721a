/** Samples of a file described by the encoder. */

import { pause } from "#platform";

import { asError } from "../data/errors.js";
import type { Progress } from "../data/types.js";
import type { Reader } from "../sources/media.js";
import { pixelsOf, type Frame } from "../sources/pixels.js";
import type { Encoder, Session } from "./glue.js";

/** Samples of a file that were described. */
export interface SamplesRead {
  /** Holds the descriptions; the caller finishes or frees it. */
  session: Session;
  times: number[];
  warnings: string[];
  /** Whether the file has samples after those that were wanted. */
  more: boolean;
  /** Whether damage ended the samples: nothing after them can be decoded. */
  ended: boolean;
}

/** Describes a frame that is taken for a number of samples. */
export async function pushFrame(session: Session, frame: Frame, samples: number): Promise<void> {
  const { width, height, data } = await pixelsOf(frame);
  session.push(width, height, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), samples);
}

/**
 * Describes the samples of a file from number `from` on, at most `most` of them; samples from
 * number `to` on are not decoded. Damage is a warning: its samples have the frame before it, and
 * where nothing follows they end. It is an error if the file has no sample before it.
 */
export async function readSamples(
  encoder: Encoder,
  reader: Reader,
  { from, to, most }: { from: number; to: number; most: number },
  signal: AbortSignal,
  emit: (progress: Progress) => void,
): Promise<SamplesRead> {
  const { count, duration, fps } = reader;
  const session = encoder.session();
  const times: number[] = [];
  const warnings: string[] = [];
  let [more, ended] = [false, false];
  let damaged: string | null = null;
  try {
    for await (const { frame, samples, damage } of reader.samples(from, to)) {
      const room = most - times.length;
      try {
        if (room > 0) {
          await pushFrame(session, frame, Math.min(samples.length, room));
          times.push(...samples.slice(0, room));
          damaged ??= damage;
        }
      } finally {
        frame.close();
      }
      if (samples.length > room) {
        more = true;
        break;
      }
      const total = Math.min(count - from, most);
      emit({ phase: "encode", done: times.length, total, seconds: times.at(-1) ?? 0, duration });
      await pause();
      signal.throwIfAborted();
    }
  } catch (thrown) {
    const error = asError(thrown);
    if (signal.aborted || error.code !== "unreadable" || from + times.length === 0) {
      session.free();
      signal.throwIfAborted();
      throw error;
    }
    ended = true;
    // The last sample that is kept, here or by whoever read those before.
    const read = times.at(-1) ?? (from - 1) / fps;
    warnings.push(`the file is damaged: ${error.message}; only the first ${read.toFixed(1)} of ${duration.toFixed(1)} s could be read`);
  }
  if (damaged !== null) {
    warnings.push(`the file is damaged in places: frames that cannot be decoded have the one before in their place (${damaged})`);
  }
  return { session, times, warnings, more, ended };
}
