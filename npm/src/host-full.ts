import { compile } from "#kind";
import { pause } from "#platform";
import * as glue from "../build/full/vidsieve.js";

import { VidsieveError, asError } from "./errors.js";
import { createHost } from "./host.js";
import type { Encoded, Handlers, WireFrame } from "./methods.js";
import { pixelsOf } from "./pixels.js";

/** The methods of the full module: those of the slim one, and encoding. */
export async function makeHandlers(): Promise<Handlers> {
  glue.initSync({ module: await compile() });
  const { handlers, model } = createHost(glue, (parsed) => {
    const encoder = new glue.Encoder(parsed as glue.Model);
    return { encoder, frameSide: encoder.frameSide, maxFrames: encoder.maxFrames };
  });

  const encoderOf = (id: string): glue.Encoder => {
    const { encoder } = model(id);
    if (encoder) return encoder;
    throw new VidsieveError("no-model", "this model was loaded for searching only: use Encoder.load");
  };
  const push = async (session: glue.Session, frame: WireFrame, samples: number): Promise<void> => {
    const { width, height, data } = await pixelsOf(frame);
    session.push(width, height, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), samples);
  };
  const finish = (session: glue.Session, times: Float64Array, duration: number, warnings: string[]): Encoded => {
    const bytes = session.finish(times, duration);
    return { bytes, info: glue.inspect(bytes), warnings };
  };

  const sessions = new Map<number, glue.Session>();
  let last = 0;
  const sessionOf = (id: number): glue.Session => {
    const found = sessions.get(id);
    if (found) return found;
    throw new VidsieveError("disposed", "this video's encoding has ended already");
  };

  return {
    ...handlers,

    async encodeFile({ model: id, file, fps }, { signal, emit }) {
      const encoder = encoderOf(id);
      const { frames } = await import("./media.js");
      const times: number[] = [];
      const warnings: string[] = [];
      let session: glue.Session | null = encoder.session();
      try {
        const reader = await frames(file, fps, signal);
        try {
          for await (const { frame, samples } of reader.samples()) {
            const room = encoder.maxFrames - times.length;
            try {
              if (room > 0) {
                await push(session, frame, Math.min(samples.length, room));
                times.push(...samples.slice(0, room));
              }
            } finally {
              frame.close();
            }
            if (samples.length > room) {
              warnings.push(`only the first ${encoder.maxFrames} frames were encoded`);
              break;
            }
            const total = Math.min(reader.count, encoder.maxFrames);
            emit({ phase: "encode", done: times.length, total, seconds: times.at(-1) ?? 0, duration: reader.duration });
            await pause();
            signal.throwIfAborted();
          }
        } catch (thrown) {
          signal.throwIfAborted();
          const error = asError(thrown);
          // What came before the damage counts, as it does natively.
          if (error.code !== "unreadable" || times.length === 0) throw error;
          warnings.push(`the file is damaged: ${error.message}; ${times.at(-1)?.toFixed(1)} s of ${reader.duration.toFixed(1)} s were read`);
        } finally {
          reader.close();
        }
        const done = session;
        // Finishing takes it, whatever comes of it.
        session = null;
        return finish(done, Float64Array.from(times), reader.duration, warnings);
      } finally {
        session?.free();
      }
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
