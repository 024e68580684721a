/** A search of a local index: a coarse page, the comparisons of the budget, a refined page. */

import { pause } from "#platform";

import type { Hit, SearchPage, SearchParameters, Timings } from "../data/wire.js";
import type { Engine, SlimGlue } from "./glue.js";
import type { Context } from "./methods.js";
import type { OpenIndex } from "./open-index.js";

/** Milliseconds of comparing after which the thread's other work gets a turn. */
const SLICE = 8;

/** Where a search works. */
export interface SearchPlace {
  glue: SlimGlue;
  /** Threads, as many pairs are compared at a time. */
  threads: number;
  engine: Engine;
  index: OpenIndex;
}

/** Searches an index for a record and emits one or two pages. */
export async function searchIndex(
  { glue, threads, engine, index: { records, table, bundle } }: SearchPlace,
  record: Uint8Array,
  options: SearchParameters,
  { signal, emit }: Context<SearchPage>,
): Promise<void> {
  const start = performance.now();
  const timings: Timings = { scan: 0, select: 0, fetch: 0, compare: 0, segments: 0, total: 0 };
  const search = new glue.Search(engine, table, record, options.budget);
  try {
    timings.scan = performance.now() - start;
    const page = (kind: "coarse" | "refined", last: boolean): SearchPage & { likely: boolean[] } => {
      const answer = search.page(options.top, options.minScore, options.explain);
      timings.total = performance.now() - start;
      return { page: kind, last, model: bundle, ...answer, degraded: answer.missing > 0, timings_ms: { ...timings } };
    };
    let wanted: string[] = search.wanted();
    const { likely: _, ...coarse } = page("coarse", wanted.length === 0 && !options.segments);
    emit(coarse);
    if (coarse.last) return;

    const limit = search.timeLimit ?? Infinity;
    const inTime = () => performance.now() - start < limit;
    let slice = performance.now();
    for (; wanted.length > 0 && inTime(); wanted = search.wanted()) {
      const fetching = performance.now();
      const found = await records.get(wanted);
      timings.fetch += performance.now() - fetching;
      signal.throwIfAborted();
      for (let at = 0; at < found.length && inTime(); at += threads) {
        const comparing = performance.now();
        search.compare(found.slice(at, at + threads));
        timings.compare += performance.now() - comparing;
        if (performance.now() - slice > SLICE) {
          await pause();
          signal.throwIfAborted();
          slice = performance.now();
        }
      }
    }

    const { likely, ...refined } = page("refined", true);
    if (options.segments) {
      const begin = performance.now();
      for (const [i, hit] of (refined.hits as Hit[]).entries()) {
        if (!likely[i]) continue;
        const [target] = await records.get([hit.id]);
        if (target) hit.segments = search.segments(target);
        await pause();
        signal.throwIfAborted();
      }
      timings.segments = performance.now() - begin;
      timings.total = performance.now() - start;
      refined.timings_ms = { ...timings };
    }
    emit(refined);
  } finally {
    search.free();
  }
}
