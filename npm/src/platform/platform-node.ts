import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { VidsieveError, unreachable } from "../data/errors.js";
import { memoryStore } from "../store/memory-store.js";
import type { RecordStore } from "../store/record-store.js";

export async function open(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    if (url.startsWith("file:")) {
      const bytes = await readFile(fileURLToPath(url), signal ? { signal } : {});
      return new Response(bytes, { headers: { "content-length": String(bytes.length) } });
    }
    return await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new VidsieveError("network", unreachable(url), { cause });
  }
}

export function packagedModel(): string {
  return new URL("./model/default.safetensors", import.meta.url).href;
}

export async function models(): Promise<null> {
  return null;
}

export function store(name: string): Promise<RecordStore> {
  return memoryStore(name);
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
