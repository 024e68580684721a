/**
 * Encodes a file in one Worker, or a long file in several: each takes the next range of samples
 * until none is left.
 */

import type { Progress } from "../data/types.js";
import type { Backend, Encoded, Range } from "../engine/methods.js";
import type { Rate } from "../sources/sampling.js";

/** Samples of a range: enough that seeking to the first frame costs little in comparison. */
const RANGE = 60;

/** A file to encode, and the number of Workers that may share it. */
export interface FileJob {
  model: string;
  file: Blob;
  fps: Rate;
  maxFrames: number;
  workers: number;
}

interface Options {
  signal: AbortSignal | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
}

/** Number of the last opened file. */
let lastReader = 0;

/**
 * Encodes a file. The first Worker opens it and decides whether sharing is worthwhile. One Worker
 * encodes files that are too short for that, and files that exceed the maximum number of frames.
 */
export async function encodeFile(backend: Backend, job: FileJob, options: Options): Promise<Encoded> {
  const { model, file, maxFrames, workers } = job;
  const { signal, onProgress } = options;
  const reader = ++lastReader;
  try {
    const { count, duration, fps, warnings } = await backend.call(
      "openFile",
      { reader, file, fps: job.fps },
      { signal },
    );
    const ranges = Math.ceil(count / RANGE);
    if (workers > 1 && ranges > 1 && count + RANGE <= maxFrames) {
      return await encodeShared(backend, { ...job, fps, reader, count, duration, ranges, warnings }, options);
    }
    return await backend.call("encodeFile", { model, reader }, { signal, onEvent: (event) => onProgress?.(event) });
  } finally {
    backend.call("closeFile", { reader }).catch(() => {});
  }
}

/** A file that is open in the first Worker. */
interface SharedJob extends FileJob {
  fps: number;
  reader: number;
  /** Samples and seconds that the headers declare. */
  count: number;
  duration: number;
  ranges: number;
  /** Missing parts that the headers reveal. */
  warnings: string[];
}

/** Encodes an open file in several Workers; the record equals that of a single Worker. */
async function encodeShared(
  backend: Backend,
  { model, file, fps, maxFrames, workers, reader, count, duration, ranges, warnings: opened }: SharedJob,
  options: Options,
): Promise<Encoded> {
  const helpers = backend.helpers(Math.min(workers, ranges) - 1);
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const found: Range[] = [];
  const done = new Array<number>(ranges).fill(0);
  let next = 0;
  // The first range that ends in damage ends the video.
  let last = ranges - 1;
  const work = async (by: Backend): Promise<void> => {
    while (next <= last) {
      const range = next++;
      const from = range * RANGE;
      // A file may have one sample more than its headers declare.
      const to = range === ranges - 1 ? maxFrames : from + RANGE;
      const onEvent = (progress: Progress) => {
        done[range] = progress.done;
        const all = done.reduce((a, b) => a + b, 0);
        options.onProgress?.({ phase: "encode", done: all, total: Math.max(all, count), seconds: all / fps, duration });
      };
      const result = await by.call("encodeRange", { model, reader, from, to }, { signal, onEvent });
      found[range] = result;
      if (result.ended) last = Math.min(last, range);
    }
  };
  const help = async (helper: Backend): Promise<void> => {
    await helper.call("openFile", { reader, file, fps }, { signal });
    await work(helper);
  };
  try {
    await Promise.all([work(backend), ...helpers.map(help)]);
  } catch (thrown) {
    failed.abort();
    throw thrown;
  } finally {
    for (const helper of helpers) helper.close();
  }
  const kept = found.slice(0, last + 1);
  const parts = kept.map(({ part }) => part);
  const times = Float64Array.from(kept.flatMap((range) => [...range.times]));
  const warnings = [...new Set([...opened, ...kept.flatMap((range) => range.warnings)])];
  return backend.call("join", { model, parts, times, duration, warnings }, { signal: options.signal });
}
