/** An open local index: its records in a store, its table in the module's memory. */

import { VidsieveError, asError } from "../data/errors.js";
import type { IndexedVideo } from "../data/types.js";
import { Writer, read } from "../store/archive.js";
import type { RecordStore } from "../store/record-store.js";
import type { SlimGlue, Table } from "./glue.js";

/** An open index. */
export class OpenIndex {
  /** Number of openings without a closing. */
  users = 1;

  private constructor(
    readonly glue: SlimGlue,
    readonly records: RecordStore,
    readonly table: Table,
    /** SHA-256 of the bundle that made the records. */
    readonly bundle: string,
  ) {}

  /** Reads the records of a store into a table. Unreadable records are left out. */
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

  /** Adds or replaces a record, and returns whether the id was indexed already. */
  async add(id: string, bytes: Uint8Array): Promise<boolean> {
    if (!this.glue.isId(id)) {
      throw new VidsieveError("bad-argument", "the id is invalid: use 1 to 512 bytes without control characters");
    }
    // The table checks the record before the store writes it.
    const replaced = this.table.put(id, bytes);
    await this.records.put(id, bytes, this.bundle);
    return replaced;
  }

  /** Removes a record, and returns whether it was indexed. */
  async remove(id: string): Promise<boolean> {
    await this.records.remove(id);
    return this.table.remove(id);
  }

  /** Returns a copy of a record, or null. */
  async get(id: string): Promise<Uint8Array | null> {
    return (await this.records.get([id]))[0]?.slice() ?? null;
  }

  /** Returns all videos, sorted by id. Unreadable records are left out. */
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

  /** Exports all records as a file. */
  async export(): Promise<Blob> {
    const file = new Writer();
    await this.records.each((id, record) => file.add(id, record));
    return file.finish();
  }

  /** Adds the records of a file, and returns their number; `emit` gets the number so far. */
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
