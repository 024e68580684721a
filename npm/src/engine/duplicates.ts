/** Finds copies and excerpts among videos, and fetches the records that the engine requests. */

import { pause } from "#platform";

import type { DedupeProgress } from "../data/types.js";
import type { DuplicateReport, DuplicateStep } from "../data/wire.js";
import type { Engine, SlimGlue, Table } from "./glue.js";
import type { Context, Wanted } from "./methods.js";

/** Milliseconds of work between two pauses for the thread's other tasks. */
const SLICE = 8;

/** The vectors of the videos, and access to their records. */
export interface Videos {
  table: Table;
  get(ids: string[]): Promise<(Uint8Array | undefined)[]>;
}

/** Finds the copies and excerpts among videos. */
export async function findDuplicates(
  glue: SlimGlue,
  engine: Engine,
  { table, get }: Videos,
  { minScore, budget, order }: Wanted,
  { signal, emit }: Context<DedupeProgress>,
): Promise<DuplicateReport> {
  const run = glue.Duplicates.start(engine, table, minScore, budget);
  let slice = performance.now();
  try {
    for (;;) {
      const step: DuplicateStep = run.step();
      if (step.step === "done") return run.report(order) as DuplicateReport;
      if (step.step === "compare") {
        const [query, ...targets] = await get([step.query, ...step.targets]);
        run.compare(query, targets);
      }
      emit({ phase: step.step === "compare" ? "compare" : "choose", done: step.done, total: step.all });
      if (performance.now() - slice < SLICE) continue;
      await pause();
      signal.throwIfAborted();
      slice = performance.now();
    }
  } finally {
    run.free();
  }
}
