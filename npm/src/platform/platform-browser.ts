import { VidsieveError, unreachable } from "../data/errors.js";
import { indexedDbStore } from "../store/indexed-db.js";
import { memoryStore } from "../store/memory-store.js";
import type { RecordStore } from "../store/record-store.js";

export async function open(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new VidsieveError("network", unreachable(url), { cause });
  }
}

export function packagedModel(): string {
  return new URL("./model/default.safetensors", import.meta.url).href;
}

export async function models(): Promise<Cache | null> {
  try {
    return typeof caches === "undefined" ? null : await caches.open("vidsieve-models");
  } catch {
    // Private windows and sandboxed frames have no cache.
    return null;
  }
}

export async function store(name: string): Promise<RecordStore> {
  return typeof indexedDB === "undefined" ? memoryStore(name) : indexedDbStore(name);
}

export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
