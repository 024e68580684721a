import { VidsieveError } from "../data/errors.js";
import type { ComparisonWithMatrix } from "../data/types.js";
import type { Comparison } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";
import { recordBytes, type EncodedVideo } from "./video.js";

/** What is told of a pair. */
export interface CompareOptions {
  /** Whether the similarity matrix is made; true. */
  matrix?: boolean;
  /** Most cells of its side, 512. */
  side?: number;
  signal?: AbortSignal;
}

/**
 * Compares two videos: how probably the first one's footage is in the second, where, and the similarity of their frames. The shorter
 * one is best given first. Their model must be loaded.
 */
export async function compare(
  a: EncodedVideo | Uint8Array,
  b: EncodedVideo | Uint8Array,
  options: CompareOptions & { matrix: false },
): Promise<Comparison>;
export async function compare(
  a: EncodedVideo | Uint8Array,
  b: EncodedVideo | Uint8Array,
  options?: CompareOptions & { matrix?: true },
): Promise<ComparisonWithMatrix>;
export async function compare(
  a: EncodedVideo | Uint8Array,
  b: EncodedVideo | Uint8Array,
  options: CompareOptions = {},
): Promise<Comparison> {
  const { matrix = true, side = 512, signal } = options;
  if (!Number.isInteger(side) || side < 1 || side > 4096) throw new VidsieveError("bad-argument", "the matrix' side must be 1 to 4096");
  return backendOf().call("compare", { a: recordBytes(a), b: recordBytes(b), side: matrix ? side : 0 }, { signal });
}
