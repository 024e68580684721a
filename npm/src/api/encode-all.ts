/** Many sources, some at a time. */

import { VidsieveError, asError } from "../data/errors.js";
import type { EncodeOptions, Progress } from "../data/types.js";
import type { EncodedVideo } from "./video.js";

/** How far one of several sources has come. */
export interface ItemProgress<T> extends Progress {
  source: T;
  /** Place of the source among all, from 0. */
  index: number;
}

/** How several sources are encoded. */
export interface EncodeAllOptions<T> extends Pick<EncodeOptions, "fps" | "signal"> {
  /** Sources that are encoded at a time, 1 to 16; 1. Most work is shared already within a file. */
  concurrency?: number;
  onProgress?: (progress: ItemProgress<T>) => void;
}

/** A source that is done: its video, or why there is none. */
export type EncodedItem<T> = { source: T; index: number } & ({ video: EncodedVideo; error: null } | { video: null; error: VidsieveError });

/** Encodes sources in their order and gives each as soon as it is done. @internal */
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
      const video = await encode(source, { fps, signal: stop, onProgress: (progress) => onProgress?.({ ...progress, source, index }) });
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
