/** A long file encoded by several Workers: each takes the next range of samples until there are none. */

import type { Backend, Encoded, Range } from "../engine/methods.js";
import type { Progress } from "../data/types.js";

/** Samples of a range: looking for its first frame takes little beside them. */
const RANGE = 60;

/** What is encoded, and by how many. */
export interface Job {
  model: string;
  file: Blob;
  fps: number;
  maxFrames: number;
  workers: number;
}

/**
 * Encodes a file by several Workers; the video is the one that a single Worker makes of it. Null for a file that is too short for that, or
 * so long that it is cut.
 */
export async function encodeShared(
  backend: Backend,
  { model, file, fps, maxFrames, workers }: Job,
  options: { signal: AbortSignal | undefined; onProgress: ((progress: Progress) => void) | undefined },
): Promise<Encoded | null> {
  const { count, duration } = await backend.call("probe", { file, fps }, { signal: options.signal });
  const ranges = Math.ceil(count / RANGE);
  if (ranges < 2 || count + RANGE > maxFrames) return null;
  const helpers = backend.helpers(Math.min(workers, ranges) - 1);
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const found: Range[] = [];
  const done = new Array<number>(ranges).fill(0);
  let next = 0;
  // The video ends with the first range that is damaged.
  let last = ranges - 1;
  const work = async (by: Backend): Promise<void> => {
    while (next <= last) {
      const range = next++;
      const from = range * RANGE;
      // The file may have a sample more than it says.
      const to = range === ranges - 1 ? maxFrames : from + RANGE;
      const onEvent = (progress: Progress) => {
        done[range] = progress.done;
        const all = done.reduce((a, b) => a + b, 0);
        options.onProgress?.({ phase: "encode", done: all, total: Math.max(all, count), seconds: all / fps, duration });
      };
      const result = await by.call("encodeRange", { model, file, fps, from, to }, { signal, onEvent });
      found[range] = result;
      if (result.warnings.length > 0) last = Math.min(last, range);
    }
  };
  try {
    await Promise.all([backend, ...helpers].map(work));
  } catch (thrown) {
    failed.abort();
    throw thrown;
  } finally {
    for (const helper of helpers) helper.close();
  }
  const kept = found.slice(0, last + 1);
  const parts = kept.map(({ part }) => part);
  const times = Float64Array.from(kept.flatMap((range) => [...range.times]));
  const warnings = kept.flatMap((range) => range.warnings);
  return backend.call("join", { model, parts, times, duration, warnings }, { signal: options.signal });
}
