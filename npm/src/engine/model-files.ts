/** Gets a model's bytes from the caller, from the cache, or from a URL. */

import { models, open, packagedModel } from "#platform";

import { VidsieveError } from "../data/errors.js";
import type { Progress } from "../data/types.js";
import type { WireSource } from "./methods.js";

/** The bytes of a model. */
export interface ModelFile {
  bytes: Uint8Array;
  /** Name of the model in messages. */
  name: string;
  /** Whether the bytes came from the cache. */
  cached: boolean;
}

const hex = (bytes: ArrayBuffer) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");

/**
 * Computes the SHA-256 in hexadecimal digits. Returns null in insecure contexts, where the engine's
 * own hash is the only check.
 */
async function sha256(bytes: Uint8Array): Promise<string | null> {
  if (typeof crypto === "undefined" || !crypto.subtle) return null;
  return hex(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** Reads the body of a response and reports the progress. */
async function readBody(
  response: Response,
  signal: AbortSignal,
  emit: (progress: Progress) => void,
): Promise<Uint8Array> {
  const length = Number(response.headers.get("content-length"));
  // With a content encoding, `content-length` counts encoded bytes.
  const total = length > 0 && !response.headers.get("content-encoding") ? length : undefined;
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array[] = [];
  let done = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      signal.throwIfAborted();
      const piece = await reader.read();
      if (piece.done) break;
      pieces.push(piece.value);
      done += piece.value.length;
      emit({ phase: "download", done, total });
    }
  } catch (cause) {
    reader.cancel().catch(() => {});
    signal.throwIfAborted();
    throw new VidsieveError("network", `the download of the model was interrupted after ${done} bytes: load it again`, {
      cause,
    });
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * Gets a model's bytes. `sha` is the expected SHA-256, if known. For a URL, it uses the cache if the
 * cache has bytes with that hash; otherwise it downloads, checks and caches them.
 */
export async function modelFile(
  source: WireSource,
  sha: string | null,
  signal: AbortSignal,
  emit: (progress: Progress) => void,
): Promise<ModelFile> {
  if ("bytes" in source) return { bytes: source.bytes, name: "model", cached: false };
  if ("blob" in source) {
    return { bytes: new Uint8Array(await source.blob.arrayBuffer()), name: "model", cached: false };
  }
  const url = "packaged" in source ? packagedModel() : source.url;
  const expected = sha ?? ("packaged" in source ? MODEL_SHA256 : null);
  const name = url.split(/[?#]/)[0]?.split("/").pop() || "model";
  // Without an expected hash the cache is not used: the content of a URL may change.
  const cache = expected && !url.startsWith("file:") ? await models() : null;
  const key = `https://models.vidsieve.invalid/${expected ?? ""}`;
  const kept = await cache?.match(key);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await sha256(bytes)) === expected) return { bytes, name, cached: true };
    await cache?.delete(key);
  }
  const response = await open(url, signal);
  if (!response.ok) throw new VidsieveError("network", `${url}: HTTP ${response.status}`);
  const bytes = await readBody(response, signal, emit);
  const found = await sha256(bytes);
  if (expected && found && found !== expected) {
    throw new VidsieveError("integrity", `${url} has SHA-256 ${found}, expected ${expected}`);
  }
  // A full cache must not fail the load.
  if (found) await cache?.put(key, new Response(bytes as Uint8Array<ArrayBuffer>)).catch(() => {});
  return { bytes, name, cached: false };
}
