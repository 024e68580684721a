/** Searches a local index: fetches the records that the engine requests, and emits its pages. */

import { pause } from "#platform";

import type { SearchPage, SearchParameters, SearchStep } from "../data/wire.js";
import type { Engine, SlimGlue } from "./glue.js";
import type { Context } from "./methods.js";
import type { OpenIndex } from "./open-index.js";

/** Milliseconds of work between two pauses for the thread's other tasks. */
const SLICE = 8;

/** What a search runs on. */
export interface SearchPlace {
  glue: SlimGlue;
  /** Number of threads, and of pairs compared at a time. */
  threads: number;
  engine: Engine;
  index: OpenIndex;
}

/** Searches an index for a record, and emits one or two pages. */
export async function searchIndex(
  { glue, threads, engine, index: { records, table } }: SearchPlace,
  record: Uint8Array,
  options: SearchParameters,
  { signal, emit }: Context<SearchPage>,
): Promise<void> {
  const search = glue.Search.start(engine, table, record, options);
  let slice = performance.now();
  const giveWay = async () => {
    await pause();
    signal.throwIfAborted();
    slice = performance.now();
  };
  try {
    for (;;) {
      const step: SearchStep = search.step();
      switch (step.step) {
        case "page":
          emit(step.page);
          break;
        case "compare": {
          const found = await records.get(step.ids);
          signal.throwIfAborted();
          for (let at = 0; at < found.length && search.hasTime(); at += threads) {
            search.compare(found.slice(at, at + threads));
            if (performance.now() - slice > SLICE) await giveWay();
          }
          break;
        }
        case "align":
          for (const id of step.ids) {
            search.align(await records.get([id]));
            await giveWay();
          }
          break;
        case "done":
          return;
      }
    }
  } finally {
    search.free();
  }
}
