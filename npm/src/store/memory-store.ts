import type { RecordStore } from "./record-store.js";

/** Keeps records in memory, as long as the process runs. */
export class MemoryStore implements RecordStore {
  #bundle: string | null = null;
  readonly #records = new Map<string, { record: Uint8Array; added: Date }>();

  async bundle(): Promise<string | null> {
    return this.#bundle;
  }

  async each(visit: (id: string, record: Uint8Array, added: Date | null) => void): Promise<void> {
    for (const [id, { record, added }] of this.#records) visit(id, record, added);
  }

  async get(ids: string[]): Promise<(Uint8Array | undefined)[]> {
    return ids.map((id) => this.#records.get(id)?.record);
  }

  async put(id: string, record: Uint8Array, bundle: string): Promise<void> {
    this.#records.set(id, { record: record.slice(), added: new Date() });
    this.#bundle = bundle;
  }

  async remove(id: string): Promise<void> {
    this.#records.delete(id);
  }

  async clear(): Promise<void> {
    this.#records.clear();
    this.#bundle = null;
  }

  close(): void {}
}

const stores = new Map<string, MemoryStore>();

/** Returns the store of an index, the same one for all that open it. */
export async function memoryStore(name: string): Promise<RecordStore> {
  let found = stores.get(name);
  if (!found) stores.set(name, (found = new MemoryStore()));
  return found;
}
