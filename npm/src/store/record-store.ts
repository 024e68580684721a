/** Where a local index keeps its records. */
export interface RecordStore {
  /** SHA-256 of the bundle that made the records; null of a new index. */
  bundle(): Promise<string | null>;
  /** All records, one after the other; `added` is when, or null if that is not known. */
  each(visit: (id: string, record: Uint8Array, added: Date | null) => void): Promise<void>;
  /** Some records; undefined for those that are not there. */
  get(ids: string[]): Promise<(Uint8Array | undefined)[]>;
  /** Adds or replaces; `bundle` is remembered as the index's. */
  put(id: string, record: Uint8Array, bundle: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Removes everything, the remembered bundle too. */
  clear(): Promise<void>;
  close(): void;
}
