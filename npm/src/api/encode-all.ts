/** Encodes many sources, some at a time. */

import { VidsieveError, asError } from "../data/errors.js";
import type { EncodeOptions, Progress } from "../data/types.js";
import type { EncodedVideo } from "./video.js";

/** Progress of one source of {@link Encoder.encodeAll}. */
export interface ItemProgress<T> extends Progress {
  source: T;
  /** Position of the source in the input, from 0. */
  index: number;
}

/** Options of {@link Encoder.encodeAll}. */
export interface EncodeAllOptions<T> extends Pick<EncodeOptions, "fps" | "signal"> {
  /** Sources encoded at a time, 1 to 16. Default: 1, as a single file already uses several cores. */
  concurrency?: number;
  onProgress?: (progress: ItemProgress<T>) => void;
}

/** Result of one source: its video, or the error. */
export type EncodedItem<T> = { source: T; index: number } & (
  | { video: EncodedVideo; error: null }
  | { video: null; error: VidsieveError }
);

/** Encodes sources in order and yields each result as soon as it is ready. @internal */
export async function* encodeAll<T>(
  encode: (source: T, options: EncodeOptions) => Promise<EncodedVideo>,
  sources: Iterable<T> | AsyncIterable<T>,
  { concurrency = 1, signal, fps = "auto", onProgress }: EncodeAllOptions<T>,
): AsyncGenerator<EncodedItem<T>, void, undefined> {
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 16) {
    throw new VidsieveError("bad-argument", `concurrency is ${concurrency}, must be 1 to 16`);
  }
  signal?.throwIfAborted();
  const left = new AbortController();
  const stop = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  const waiting = Symbol.asyncIterator in sources ? sources[Symbol.asyncIterator]() : sources[Symbol.iterator]();
  const running = new Map<number, Promise<EncodedItem<T>>>();
  let [count, ended] = [0, false];
  const one = async (source: T, index: number): Promise<EncodedItem<T>> => {
    try {
      const video = await encode(source, {
        fps,
        signal: stop,
        onProgress: (progress) => onProgress?.({ ...progress, source, index }),
      });
      return { source, index, video, error: null };
    } catch (thrown) {
      stop.throwIfAborted();
      return { source, index, video: null, error: asError(thrown) };
    }
  };
  try {
    for (;;) {
      while (!ended && running.size < concurrency) {
        const next = await waiting.next();
        if (next.done) ended = true;
        else running.set(count, one(next.value, count++));
      }
      if (running.size === 0) return;
      const item = await Promise.race(running.values());
      running.delete(item.index);
      yield item;
    }
  } finally {
    left.abort();
    for (const rest of running.values()) rest.catch(() => {});
    if (!ended) await waiting.return?.();
  }
}
