import { VidsieveError } from "./errors.js";
import { indexedDbStore } from "./indexed-db.js";
import { memoryStore } from "./memory-store.js";
import type { Kind, RecordStore } from "./platform.js";

/** A module with one relaxed-simd instruction. */
const RELAXED = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
);

export async function compile(kind: Kind): Promise<WebAssembly.Module> {
  // Literal URLs: bundlers find the files by them.
  const slim = () => new URL("./wasm/slim.wasm", import.meta.url);
  const relaxed = () => new URL("./wasm/full-relaxed.wasm", import.meta.url);
  const full = () => new URL("./wasm/full.wasm", import.meta.url);
  const url = kind === "slim" ? slim() : WebAssembly.validate(RELAXED) ? relaxed() : full();
  const response = await open(url.href, undefined);
  if (!response.ok) throw new VidsieveError("network", `${url.href}: HTTP ${response.status}`);
  // Servers that do not know the type are served as well.
  if (response.headers.get("content-type")?.startsWith("application/wasm")) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

export function spawn(kind: Kind): Worker | null {
  if (typeof Worker === "undefined") return null;
  return kind === "full"
    ? new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "vidsieve" })
    : new Worker(new URL("./slim-worker.js", import.meta.url), { type: "module", name: "vidsieve" });
}

export async function open(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new VidsieveError("network", `${url} could not be loaded`, { cause });
  }
}

export function packagedModel(): string {
  return new URL("./model/default.safetensors", import.meta.url).href;
}

export async function models(): Promise<Cache | null> {
  try {
    return typeof caches === "undefined" ? null : await caches.open("vidsieve-models");
  } catch {
    // Private windows and sandboxed frames have none.
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
