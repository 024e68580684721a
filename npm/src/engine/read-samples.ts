/** Describes samples of a file by the encoder. */

import { pause } from "#platform";

import { asError } from "../data/errors.js";
import type { Progress } from "../data/types.js";
import type { Reader } from "../sources/reader.js";
import { pixelsOf, type Frame } from "../sources/pixels.js";
import type { Encoder, Session } from "./glue.js";

/** Described samples of a file. */
export interface SamplesRead {
  /** The descriptions; the caller finishes or frees the session. */
  session: Session;
  times: number[];
  warnings: string[];
  /** Whether the file has samples beyond the requested ones. */
  more: boolean;
  /** Whether damage ended the samples: nothing after it can be decoded. */
  ended: boolean;
}

/** Describes a frame that stands for a number of samples. */
export async function pushFrame(session: Session, frame: Frame, samples: number): Promise<void> {
  const { width, height, data } = await pixelsOf(frame);
  session.push(width, height, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), samples);
}

/**
 * Describes the samples `from..to` of a file (`to` is exclusive), at most `most` of them.
 *
 * Damage gives a warning: a damaged sample repeats the frame before it, and the samples end if nothing
 * after the damage can be decoded. Fails with `unreadable` if no sample precedes the damage.
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
    // The last sample that is kept, of this range or of the one before.
    const read = times.at(-1) ?? (from - 1) / fps;
    warnings.push(
      `the file is damaged: ${error.message}; only the first ${read.toFixed(1)} of ${duration.toFixed(1)} s could be read`,
    );
  }
  if (damaged !== null) {
    warnings.push(
      `the file is damaged in places: frames that cannot be decoded are replaced by the one before (${damaged})`,
    );
  }
  return { session, times, warnings, more, ended };
}
