import { VidsieveError, unreachable } from "../data/errors.js";
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
  throw new VidsieveError(
    "bad-argument",
    "in workerd there is no packaged model: pass `model: bytes`, from KV, R2 or a binding",
  );
}

export async function models(): Promise<null> {
  return null;
}

export function store(name: string): Promise<RecordStore> {
  return memoryStore(name);
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
