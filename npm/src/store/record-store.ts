/** Store of the records of a local index. */
export interface RecordStore {
  /** Returns the SHA-256 of the bundle that made the records; null for a new index. */
  bundle(): Promise<string | null>;
  /** Visits all records; `added` is the time at which each was added, or null if unknown. */
  each(visit: (id: string, record: Uint8Array, added: Date | null) => void): Promise<void>;
  /** Returns some records; undefined for those that are not stored. */
  get(ids: string[]): Promise<(Uint8Array | undefined)[]>;
  /** Adds or replaces a record, and sets the bundle of the index. */
  put(id: string, record: Uint8Array, bundle: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Removes all records and the bundle of the index. */
  clear(): Promise<void>;
  close(): void;
}
