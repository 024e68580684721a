import { VidsieveError } from "../data/errors.js";
import type { DedupeOptions } from "../data/types.js";
import type { DuplicateReport } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";
import { recordBytes, type EncodedVideo } from "./video.js";

/** Fills in defaults and checks the options. @internal */
export function dedupeDefaults({ minScore = 0.9, budget = "auto", order = [] }: DedupeOptions): {
  minScore: number;
  budget: string;
  order: string[];
} {
  if (!(minScore >= 0 && minScore <= 1))
    throw new VidsieveError("bad-argument", `minScore is ${minScore}, must be 0 to 1`);
  return { minScore, budget, order: [...order] };
}

/**
 * Finds copies and excerpts among videos, and names the one to keep of each group of copies.
 *
 * Ids must be unique. The model of the videos must be loaded. {@link LocalIndex.dedupe} does the same
 * for a whole index.
 */
export async function findDuplicates(
  videos: Iterable<readonly [id: string, video: EncodedVideo | Uint8Array]>,
  options: DedupeOptions = {},
): Promise<DuplicateReport> {
  const { signal, onProgress } = options;
  const byId = new Map<string, Uint8Array>();
  for (const [id, video] of videos) {
    if (byId.has(id)) throw new VidsieveError("bad-argument", `two videos have the id ${id}`);
    byId.set(id, recordBytes(video));
  }
  const args = { ids: [...byId.keys()], records: [...byId.values()], wanted: dedupeDefaults(options) };
  return backendOf().call("duplicates", args, { signal, onEvent: (event) => onProgress?.(event) });
}
