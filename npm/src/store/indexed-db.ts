import { VidsieveError } from "../data/errors.js";
import type { RecordStore } from "./record-store.js";

const RECORDS = "records";
const META = "meta";

/** Returns the key in `META` under which the time is kept at which a video was added. */
const addedKey = (id: string): [string, string] => ["added", id];

function failed(what: string, cause: unknown): VidsieveError {
  const reason = cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
  return new VidsieveError("storage", `the local index ${what}: ${reason}`, { cause });
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failed("could not be read", request.error));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(failed("could not be written", transaction.error));
    transaction.onerror = () => reject(failed("could not be written", transaction.error));
  });
}

/** Keeps records in IndexedDB. */
class IndexedDbStore implements RecordStore {
  constructor(readonly database: IDBDatabase) {}

  async bundle(): Promise<string | null> {
    const found: unknown = await done(this.database.transaction(META).objectStore(META).get("bundle"));
    return typeof found === "string" ? found : null;
  }

  async each(visit: (id: string, record: Uint8Array, added: Date | null) => void): Promise<void> {
    const meta = this.database.transaction(META).objectStore(META);
    const [keys, values] = await Promise.all([done(meta.getAllKeys()), done(meta.getAll() as IDBRequest<unknown[]>)]);
    const dates = new Map(
      keys.map((key, i) => [Array.isArray(key) && key[0] === "added" ? String(key[1]) : null, values[i]]),
    );
    return new Promise((resolve, reject) => {
      const request = this.database.transaction(RECORDS).objectStore(RECORDS).openCursor();
      request.onerror = () => reject(failed("could not be read", request.error));
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve();
        try {
          const id = String(cursor.key);
          const added = dates.get(id);
          visit(id, cursor.value as Uint8Array, added instanceof Date ? added : null);
          cursor.continue();
        } catch (thrown) {
          reject(thrown);
        }
      };
    });
  }

  async get(ids: string[]): Promise<(Uint8Array | undefined)[]> {
    const records = this.database.transaction(RECORDS).objectStore(RECORDS);
    const found: unknown[] = await Promise.all(ids.map((id) => done(records.get(id))));
    return found.map((record) => (record instanceof Uint8Array ? record : undefined));
  }

  async put(id: string, record: Uint8Array, bundle: string): Promise<void> {
    const transaction = this.database.transaction([RECORDS, META], "readwrite");
    transaction.objectStore(RECORDS).put(record.slice(), id);
    transaction.objectStore(META).put(bundle, "bundle");
    transaction.objectStore(META).put(new Date(), addedKey(id));
    await committed(transaction);
  }

  async remove(id: string): Promise<void> {
    const transaction = this.database.transaction([RECORDS, META], "readwrite");
    transaction.objectStore(RECORDS).delete(id);
    transaction.objectStore(META).delete(addedKey(id));
    await committed(transaction);
  }

  async clear(): Promise<void> {
    const transaction = this.database.transaction([RECORDS, META], "readwrite");
    transaction.objectStore(RECORDS).clear();
    transaction.objectStore(META).clear();
    await committed(transaction);
  }

  close(): void {
    this.database.close();
  }
}

/** Opens the store of an index. */
export function indexedDbStore(name: string): Promise<RecordStore> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(`vidsieve:${name}`, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(RECORDS);
      request.result.createObjectStore(META);
    };
    request.onerror = () => reject(failed("could not be opened", request.error));
    request.onsuccess = () => {
      const database = request.result;
      // Another page wants to delete or upgrade it.
      database.onversionchange = () => database.close();
      resolve(new IndexedDbStore(database));
    };
  });
}
