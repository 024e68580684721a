/** The methods of a module with the encoder: those of the slim module, plus encoding. */

import { VidsieveError } from "../data/errors.js";
import type { Encoder, FullGlue, FullModel, Session } from "./glue.js";
import type { Encoded, Handlers } from "./methods.js";
import { Models } from "./models.js";
import { OpenFiles } from "./open-files.js";
import { pushFrame, readSamples } from "./read-samples.js";
import { Sessions } from "./sessions.js";
import { slimHandlers } from "./slim.js";

/** Returns the methods of an instantiated module that runs on `threads` threads. */
export function fullHandlers(glue: FullGlue, threads: number): Handlers {
  const models = new Models(glue, threads, (parsed) => {
    const encoder = new glue.Encoder(parsed as FullModel);
    return { encoder, frameSide: encoder.frameSide, maxFrames: encoder.maxFrames };
  });
  const files = new OpenFiles();
  const sessions = new Sessions();

  const encoderOf = (id: string): Encoder => {
    const { encoder } = models.get(id);
    if (encoder) return encoder;
    throw new VidsieveError("no-model", "this model was loaded for searching only: use Encoder.load");
  };
  const finish = (session: Session, times: Float64Array, duration: number, warnings: string[]): Encoded => {
    const described = session.flush();
    const bytes = session.finish(times, duration);
    return { bytes, info: glue.inspect(bytes), warnings, threads: described };
  };

  return {
    ...slimHandlers(models),

    fileFacts: async ({ file, fps }, { signal }) => files.facts(file, fps, signal),

    async openFile({ reader, file, fps }, { signal }) {
      const { count, duration, fps: rate, warnings } = await files.open(reader, file, fps, signal);
      return { count, duration, fps: rate, warnings };
    },

    async closeFile({ reader }) {
      files.close(reader);
    },

    async encodeFile({ model, reader: id }, { signal, emit }) {
      const encoder = encoderOf(model);
      const most = encoder.maxFrames;
      return files.read(id, async (reader) => {
        const range = { from: 0, to: most + 1, most };
        const { session, times, warnings, more } = await readSamples(encoder, reader, range, signal, emit);
        if (more) warnings.push(`only the first ${most} frames were encoded`);
        return finish(session, Float64Array.from(times), reader.duration, [...reader.warnings, ...warnings]);
      });
    },

    async encodeRange({ model, reader: id, from, to }, { signal, emit }) {
      const encoder = encoderOf(model);
      return files.read(id, async (reader) => {
        const range = { from, to, most: to - from };
        const { session, times, warnings, ended } = await readSamples(encoder, reader, range, signal, emit);
        return { part: session.part(), times: Float64Array.from(times), warnings, ended };
      });
    },

    async join({ model, parts, times, duration, warnings }) {
      const session = encoderOf(model).session();
      try {
        for (const part of parts) session.join(part);
      } catch (thrown) {
        session.free();
        throw thrown;
      }
      return finish(session, times, duration, warnings);
    },

    begin: async ({ model }) => sessions.begin(encoderOf(model)),

    async push({ session, frame, samples }) {
      try {
        await pushFrame(sessions.get(session), frame, samples);
      } finally {
        if ("close" in frame) frame.close();
      }
    },

    halve: async ({ session }) => sessions.get(session).halve(),

    finish: async ({ session, times, duration }) => finish(sessions.take(session), times, duration, []),
    drop: async ({ session }) => sessions.drop(session),
  };
}
