import { VidsieveError } from "../data/errors.js";
import type { SearchOptions } from "../data/types.js";
import type { SearchParameters } from "../data/wire.js";

/** Fills in the defaults of a search and checks its options. */
export function searchDefaults(options: SearchOptions): SearchParameters & { signal: AbortSignal | undefined } {
  const { top = 10, budget = "auto", minScore = 0, segments = true, explain = false, signal } = options;
  if (!Number.isInteger(top) || top < 1 || top > 1000)
    throw new VidsieveError("bad-argument", `top is ${top}, must be 1 to 1000`);
  if (!Number.isFinite(minScore)) throw new VidsieveError("bad-argument", `minScore is ${minScore}, must be a number`);
  return { top, budget, minScore, segments, explain, signal };
}
