import { VidsieveError } from "../data/errors.js";
import type { ComparisonWithMatrix } from "../data/types.js";
import type { Comparison } from "../data/wire.js";
import { backendOf } from "../worker/backend.js";
import { recordBytes, type EncodedVideo } from "./video.js";

/** Options of {@link compare}. */
export interface CompareOptions {
  /** Whether to compute the similarity matrix. Default: true. */
  matrix?: boolean;
  /** Maximum width and height of the matrix in cells, 1 to 4096. Default: 512. */
  side?: number;
  signal?: AbortSignal;
}

/**
 * Compares two videos: the probability that the footage of the first is in the second, the matching
 * segments, and the similarity of their frames. Pass the shorter video first. The model of both must
 * be loaded (`Encoder.load` or `loadModel`).
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
  if (!Number.isInteger(side) || side < 1 || side > 4096)
    throw new VidsieveError("bad-argument", `side is ${side}, must be 1 to 4096`);
  return backendOf().call("compare", { a: recordBytes(a), b: recordBytes(b), side: matrix ? side : 0 }, { signal });
}
