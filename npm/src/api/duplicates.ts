import { VidsieveError } from "../data/errors.js";
import type { DedupeOptions } from "../data/types.js";
import type { DuplicateReport } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";
import { recordBytes, type EncodedVideo } from "./video.js";

/** What counts as a copy, with the defaults, checked. @internal */
export function dedupeDefaults({ minScore = 0.9, budget = "auto", order = [] }: DedupeOptions): { minScore: number; budget: string; order: string[] } {
  if (!(minScore >= 0 && minScore <= 1)) throw new VidsieveError("bad-argument", `minScore is ${minScore}, must be 0 to 1`);
  return { minScore, budget, order: [...order] };
}

/**
 * Finds the copies and excerpts among videos, each with an id of its own, and says which of several
 * copies to keep. Their model must be loaded. {@link LocalIndex.dedupe} does it for a whole index.
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
