/** A local index that is open: its records in a store, its table in the module's memory. */

import { VidsieveError, asError } from "../data/errors.js";
import type { IndexedVideo } from "../data/types.js";
import { Writer, read } from "../store/archive.js";
import type { RecordStore } from "../store/record-store.js";
import type { SlimGlue, Table } from "./glue.js";

/** An open index. */
export class OpenIndex {
  /** Openings without a closing. */
  users = 1;

  private constructor(
    readonly glue: SlimGlue,
    readonly records: RecordStore,
    readonly table: Table,
    /** SHA-256 of the bundle that made its records. */
    readonly bundle: string,
  ) {}

  /** Reads the records of a store into a table. Records that cannot be read are left out. */
  static async read(glue: SlimGlue, records: RecordStore, table: Table, bundle: string): Promise<OpenIndex> {
    await records.each((id, record) => {
      try {
        table.put(id, record);
      } catch (thrown) {
        if (asError(thrown).code !== "bad-record") throw thrown;
      }
    });
    return new OpenIndex(glue, records, table, bundle);
  }

  /** Adds or replaces a record; returns whether the id was there. */
  async add(id: string, bytes: Uint8Array): Promise<boolean> {
    if (!this.glue.isId(id)) {
      throw new VidsieveError("bad-argument", "an id is 1 to 512 bytes without control characters");
    }
    // The table checks the record before it is written.
    const replaced = this.table.put(id, bytes);
    await this.records.put(id, bytes, this.bundle);
    return replaced;
  }

  /** Removes a record; returns whether the id was there. */
  async remove(id: string): Promise<boolean> {
    await this.records.remove(id);
    return this.table.remove(id);
  }

  /** A copy of a record; null if there is none. */
  async get(id: string): Promise<Uint8Array | null> {
    return (await this.records.get([id]))[0]?.slice() ?? null;
  }

  /** All videos, by id. Those whose record cannot be read are left out. */
  async list(): Promise<IndexedVideo[]> {
    const found: IndexedVideo[] = [];
    await this.records.each((id, record, added) => {
      if (!this.table.has(id)) return;
      const { duration, frames } = this.glue.inspect(record);
      found.push({ id, duration, frames, bytes: record.length, added });
    });
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Removes all records. */
  async clear(): Promise<void> {
    await this.records.clear();
    for (const id of this.table.ids()) this.table.remove(id);
  }

  /** All records as a file. */
  async export(): Promise<Blob> {
    const file = new Writer();
    await this.records.each((id, record) => file.add(id, record));
    return file.finish();
  }

  /** Adds the records of a file and returns their number; `emit` gets the number so far. */
  async import(file: Blob, signal: AbortSignal, emit: (count: number) => void): Promise<number> {
    let count = 0;
    for await (const { id, record } of read(file)) {
      signal.throwIfAborted();
      await this.add(id, record);
      emit(++count);
    }
    return count;
  }

  /** Closes the store and frees the table. */
  close(): void {
    this.records.close();
    this.table.free();
  }
}
