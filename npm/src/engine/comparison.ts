/** Compares two records. */

import { pause } from "#platform";

import type { ComparisonWithMatrix, SimilarityMatrix } from "../data/types.js";
import type { Comparison } from "../data/wire.js";
import type { Engine } from "./glue.js";

/**
 * Compares two records. If `side` is above 0, it also computes the similarity matrix, with at most
 * `side` cells a side.
 */
export async function comparePair(
  engine: Engine,
  a: Uint8Array,
  b: Uint8Array,
  side: number,
  signal: AbortSignal,
): Promise<Comparison | ComparisonWithMatrix> {
  const comparison: Comparison = engine.compare(a, b);
  if (side === 0) return comparison;
  await pause();
  signal.throwIfAborted();
  return { ...comparison, matrix: similarityMatrix(engine, a, b, side) };
}

function similarityMatrix(engine: Engine, a: Uint8Array, b: Uint8Array, side: number): SimilarityMatrix {
  const matrix = engine.matrix(a, b, side);
  try {
    const { width, height, stride } = matrix;
    return { width, height, stride, values: matrix.values(), image: picture(width, height, matrix.rgba()) };
  } finally {
    matrix.free();
  }
}

/** Makes an `ImageData`, or an object with its properties where the host lacks the class. */
function picture(width: number, height: number, rgba: Uint8Array): ImageData {
  const data = new Uint8ClampedArray(rgba.buffer as ArrayBuffer, rgba.byteOffset, rgba.byteLength);
  return typeof ImageData === "undefined" ? ({ width, height, data } as ImageData) : new ImageData(data, width, height);
}
