/** What the full modules do: all that the slim one does, and encoding. */

import { pause } from "#platform";
import type * as Glue from "../../build/full/vidsieve.js";

import { VidsieveError, asError } from "../data/errors.js";
import { createHost, type SlimGlue } from "./host.js";
import type { Encoded, Handlers } from "./methods.js";
import { pixelsOf, type Frame } from "../sources/pixels.js";
import type { Progress } from "../data/types.js";

/** The classes of a full module. */
export type FullGlue = SlimGlue & Pick<typeof Glue, "Encoder">;

/** Samples of a file that were described. */
interface FileRead {
  session: Glue.Session;
  times: number[];
  duration: number;
  warnings: string[];
  /** Whether there are samples after them that were not wanted. */
  more: boolean;
}

/** The methods of a full module that is instantiated, with its number of threads. */
export function fullHandlers(glue: FullGlue, threads: number): Handlers {
  const { handlers, model } = createHost(glue, threads, (parsed) => {
    const encoder = new glue.Encoder(parsed as Glue.Model);
    return { encoder, frameSide: encoder.frameSide, maxFrames: encoder.maxFrames };
  });

  const encoderOf = (id: string): Glue.Encoder => {
    const { encoder } = model(id);
    if (encoder) return encoder;
    throw new VidsieveError("no-model", "this model was loaded for searching only: use Encoder.load");
  };
  const push = async (session: Glue.Session, frame: Frame, samples: number): Promise<void> => {
    const { width, height, data } = await pixelsOf(frame);
    session.push(width, height, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), samples);
  };
  const finish = (session: Glue.Session, times: Float64Array, duration: number, warnings: string[]): Encoded => {
    const threads = session.flush();
    const bytes = session.finish(times, duration);
    return { bytes, info: glue.inspect(bytes), warnings, threads };
  };

  /**
   * Describes samples of a file from number `from` on, `most` of them; what comes before damage counts, as it does natively. The caller
   * takes the session.
   */
  const readFile = async (
    encoder: Glue.Encoder,
    { file, fps, from, to }: { file: Blob; fps: number; from: number; to: number },
    most: number,
    signal: AbortSignal,
    emit: (progress: Progress) => void,
  ): Promise<FileRead> => {
    const { frames } = await import("../sources/media.js");
    const reader = await frames(file, fps, signal);
    const { count, duration } = reader;
    const session = encoder.session();
    const times: number[] = [];
    const warnings: string[] = [];
    let more = false;
    try {
      for await (const { frame, samples } of reader.samples(from, to)) {
        const room = most - times.length;
        try {
          if (room > 0) {
            await push(session, frame, Math.min(samples.length, room));
            times.push(...samples.slice(0, room));
          }
        } finally {
          frame.close();
        }
        if (samples.length > room) {
          more = true;
          break;
        }
        emit({ phase: "encode", done: times.length, total: Math.min(count - from, most), seconds: times.at(-1) ?? 0, duration });
        await pause();
        signal.throwIfAborted();
      }
      return { session, times, duration, warnings, more };
    } catch (thrown) {
      const error = asError(thrown);
      if (signal.aborted || error.code !== "unreadable" || from + times.length === 0) {
        session.free();
        signal.throwIfAborted();
        throw error;
      }
      const read = times.at(-1) ?? from / fps;
      warnings.push(`the file is damaged: ${error.message}; ${read.toFixed(1)} s of ${duration.toFixed(1)} s were read`);
      return { session, times, duration, warnings, more };
    } finally {
      reader.close();
    }
  };

  const sessions = new Map<number, Glue.Session>();
  let last = 0;
  const sessionOf = (id: number): Glue.Session => {
    const found = sessions.get(id);
    if (found) return found;
    throw new VidsieveError("disposed", "this video's encoding has ended already");
  };

  return {
    ...handlers,

    async probe({ file, fps }, { signal }) {
      const { frames } = await import("../sources/media.js");
      const reader = await frames(file, fps, signal);
      reader.close();
      return { count: reader.count, duration: reader.duration };
    },

    async encodeFile({ model: id, file, fps }, { signal, emit }) {
      const encoder = encoderOf(id);
      const { session, ...read } = await readFile(encoder, { file, fps, from: 0, to: encoder.maxFrames + 1 }, encoder.maxFrames, signal, emit);
      if (read.more) read.warnings.push(`only the first ${encoder.maxFrames} frames were encoded`);
      return finish(session, Float64Array.from(read.times), read.duration, read.warnings);
    },

    async encodeRange({ model: id, ...range }, { signal, emit }) {
      const { session, times, warnings } = await readFile(encoderOf(id), range, range.to - range.from, signal, emit);
      return { part: session.part(), times: Float64Array.from(times), warnings };
    },

    async join({ model: id, parts, times, duration, warnings }) {
      const session = encoderOf(id).session();
      try {
        for (const part of parts) session.join(part);
      } catch (thrown) {
        session.free();
        throw thrown;
      }
      return finish(session, times, duration, warnings);
    },

    async begin({ model: id }) {
      sessions.set(++last, encoderOf(id).session());
      return last;
    },

    async push({ session, frame, samples }) {
      try {
        await push(sessionOf(session), frame, samples);
      } finally {
        if ("close" in frame) frame.close();
      }
    },

    async finish({ session, times, duration }) {
      const found = sessionOf(session);
      sessions.delete(session);
      return finish(found, times, duration, []);
    },

    async drop({ session }) {
      sessions.get(session)?.free();
      sessions.delete(session);
    },
  };
}
